"""An office reads and signs the terms of a round, uploads, and fetches its links."""

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.errors import ApiError
from api.client.terminal import (
    INPUT_FILE,
    OUTPUT_FILE,
    ask_passphrase,
    failing,
    json_option,
    progress_bar,
    refuse_paths_twice,
    remark,
    say,
    server_options,
    show_json,
)
from api.office.session import (
    open_office,
    overwrite_option,
    round_option,
)

if TYPE_CHECKING:
    from keys.linkage_secret import LinkageSecret


@click.command(name="terms")
@round_option
@click.option("--out", type=OUTPUT_FILE, required=True, help="File for the terms (.json).")
@click.option("--profile-out", type=OUTPUT_FILE, help="File for the encoding profile (.toml).")
@overwrite_option
@server_options
def terms_command(
    server: str,
    keys: Path,
    ca_file: Path | None,
    round_id: str,
    out: Path,
    profile_out: Path | None,
    overwrite: bool,
) -> None:
    """Download the terms of a round and show them in plain words.

    Read them.  Sign the file with 'tongqiao office sign' only if you agree.

    Example:

    \b
        tongqiao office terms --round 2026-h2 --out terms.json --server URL \\
            --keys my-office.private.json
    """
    from api.client.private_files import write_privately
    from api.office.round_terms import plain_words
    from api.office.signing_terms import fetch_profile, fetch_round

    refuse_paths_twice([keys, ca_file], [out, profile_out])
    with failing("write the terms"):
        client, office = open_office(server, keys, ca_file)
        terms = fetch_round(client, round_id).terms
        profile = fetch_profile(client, terms)
        text = json.dumps(terms.document, ensure_ascii=False, indent=2) + "\n"
        write_privately(out, text.encode(), overwrite=overwrite)
        if profile_out is not None:
            write_privately(profile_out, profile.source.encode(), overwrite=overwrite)
    for paragraph in plain_words(terms, office):
        # Ids hold hyphens, and must stay whole.
        click.echo(
            textwrap.fill(
                paragraph,
                90,
                subsequent_indent="    ",
                break_on_hyphens=False,
                break_long_words=False,
            )
        )
    remark("If you agree, sign the file with 'tongqiao office sign'.")


@click.command(name="sign")
@round_option
@click.option(
    "--terms",
    "terms_file",
    type=INPUT_FILE,
    required=True,
    help="The terms that you read, as 'office terms' wrote them.",
)
@click.option(
    "--secret-file",
    type=INPUT_FILE,
    help="The linkage secret; the coordinating office gives it to confirm the key.",
)
@server_options
def sign_command(
    server: str,
    keys: Path,
    ca_file: Path | None,
    round_id: str,
    terms_file: Path,
    secret_file: Path | None,
) -> None:
    """Sign the terms that you read.

    Signs nothing if the server's terms are not those in the file.  The secret itself never leaves
    your machine: the coordinating office sends a check value that others' uploads must fit.

    Example:

    \b
        tongqiao office sign --round 2026-h2 --terms terms.json --server URL \\
            --keys my-office.private.json
    """
    from api.client.terms import TermsError, parse_terms
    from api.office.signing_terms import sign_terms

    with failing("read the terms"):
        client, office = open_office(server, keys, ca_file)
        terms = parse_terms(terms_file.read_bytes())
        if terms.round != round_id:
            raise TermsError("The file holds the terms of another round than --round names.")
        secret = _confirming_secret(office, terms.coordinating_office, secret_file)
        sign_terms(client, office, terms, secret)
    say(f"Signed the terms of round {round_id} for {office}.")


@click.command(name="upload")
@click.argument("encoded", metavar="X.tqe", type=INPUT_FILE)
@round_option
@json_option
@server_options
def upload_command(
    server: str,
    keys: Path,
    ca_file: Path | None,
    round_id: str,
    encoded: Path,
    as_json: bool,
) -> None:
    """Send your encoded file.

    First checks here that the file fits the terms.  Where the connection breaks, it goes on by
    itself; if it cannot, the same command goes on later.  A second upload replaces the first one
    until the operator closes the uploads.

    Example:

    \b
        tongqiao office upload --round 2026-h2 my-office.tqe --server URL \\
            --keys my-office.private.json
    """
    from api.client.upload import upload_file
    from api.office.round_terms import check_upload
    from api.office.signing_terms import fetch_round
    from linkage.tqe import read_manifest

    with failing("read the encoded file"):
        client, office = open_office(server, keys, ca_file)
        manifest = read_manifest(encoded)
        check_upload(fetch_round(client, round_id), office, manifest)
        with progress_bar("sending") as advance:
            receipt = upload_file(
                client,
                f"/v1/rounds/{round_id}/uploads/{office}",
                encoded,
                on_progress=advance,
                on_pause=lambda pause: remark(
                    f"The connection broke. The server has {pause.offset:,} of {pause.n_bytes:,} "
                    f"bytes; going on in {pause.pause_s:g} s."
                ),
            )
        if receipt.get("n_records") != manifest.n_records:
            raise ApiError(
                "bad-answer",
                200,
                "The server counts other records than your file holds. Withdraw the upload with "
                "'tongqiao office withdraw', and tell the operator.",
            )
    if as_json:
        show_json(receipt)
        return
    say(f"The server has your {manifest.n_records:,} records.")
    say(f"SHA-256: {receipt.get('sha256')}")


@click.command(name="withdraw")
@round_option
@server_options
def withdraw_command(server: str, keys: Path, ca_file: Path | None, round_id: str) -> None:
    """Take your upload back.

    That is possible until the operator closes the uploads.

    Example:

    \b
        tongqiao office withdraw --round 2026-h2 --server URL --keys my-office.private.json
    """
    with failing("use the key file"):
        client, office = open_office(server, keys, ca_file)
        client.delete(f"/v1/rounds/{round_id}/uploads/{office}")
    say("Your upload is withdrawn and deleted on the server.")


@click.command(name="results")
@round_option
@click.option("--out", type=OUTPUT_FILE, required=True, help="File for your links (.csv).")
@overwrite_option
@server_options
def results_command(
    server: str, keys: Path, ca_file: Path | None, round_id: str, out: Path, overwrite: bool
) -> None:
    """Fetch the links of your own records, after the release.

    Join them to your own list with 'tongqiao office join'.

    Example:

    \b
        tongqiao office results --round 2026-h2 --out links.csv --server URL \\
            --keys my-office.private.json
    """
    from api.office.results import write_links
    from api.office.signing_terms import fetch_round

    with failing("write the links"):
        client, office = open_office(server, keys, ca_file)
        terms = fetch_round(client, round_id).terms
        with progress_bar("fetching links", unit="steps") as advance:
            counts = write_links(
                client,
                round_id,
                office,
                terms,
                out,
                overwrite=overwrite,
                on_progress=lambda done: advance(done, done),
            )
    say(f"{counts.n_links:,} links of your records:")
    for counterpart, n_links in sorted(counts.by_counterpart.items()):
        say(f"    {n_links:,} with {counterpart}")
    if counts.n_withdrawn:
        say(f"{counts.n_withdrawn:,} links are withdrawn: their offices have left the round.")
    if not counts.acknowledged:
        remark("The server could not be told that you have them. Fetch them again some time.")


@click.command(name="leave")
@round_option
@click.option("--yes", is_flag=True, help="Do not ask: leave.")
@server_options
def leave_command(server: str, keys: Path, ca_file: Path | None, round_id: str, yes: bool) -> None:
    """Withdraw your office from a round that is released.

    Your encodings and links are deleted on the server, and the other offices are told that their
    links with yours are withdrawn.  That cannot be undone.

    Example:

    \b
        tongqiao office leave --round 2026-h2 --server URL --keys my-office.private.json
    """
    with failing("use the key file"):
        client, office = open_office(server, keys, ca_file)
        if not yes:
            click.confirm(
                f"Withdraw {office} from round {round_id}, for good?", abort=True, err=True
            )
        answer = client.put_json(f"/v1/rounds/{round_id}/withdrawals/{office}", {})
    say(f"{office} has left round {round_id}. Links taken back: {int(answer['n_links']):,}.")


def _confirming_secret(
    office: str, coordinating_office: str, secret_file: Path | None
) -> "LinkageSecret | None":
    """The secret of the coordinating office, which alone confirms the key of the round with it."""
    if office != coordinating_office:
        if secret_file is not None:
            raise click.UsageError(
                "Only the coordinating office gives --secret-file. Leave it out."
            )
        return None
    if secret_file is None:
        raise click.UsageError(
            "Your office coordinates this round: give --secret-file, to confirm the key."
        )
    from keys.linkage_secret import load_linkage_secret

    return load_linkage_secret(secret_file, ask_passphrase)
