"""``tongqiao office``: everything that an office says to the linkage server, and the list it makes.

Nothing here reads a raw record but ``join``, and that sends nothing.
"""

import base64
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.client.errors import ApiError
from api.client.terminal import (
    ID,
    INPUT_FILE,
    OUTPUT_FILE,
    failing,
    open_client,
    progress_bar,
    remark,
    say,
    server_options,
    show_json,
)

if TYPE_CHECKING:
    from api.client.http import ServerClient
    from api.client.round_view import RoundView

_MAX_SEALED_BYTES = 64 * 1024
_MAX_PROFILE_BYTES = 1024 * 1024

_round_option = click.option(
    "--round", "round_id", metavar="ID", type=ID, required=True, help="Id of the round."
)
_project_option = click.option(
    "--project", metavar="ID", type=ID, required=True, help="Id of the project."
)
_epoch_option = click.option(
    "--epoch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of the secret: a project's first is 1, its next is 2.",
)
_overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace the file if it exists already."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="For other programs: JSON.")


@click.group(name="office")
def office_group() -> None:
    """Take part in a round, as an office.

    In order: enrol, fetch-secret, terms, sign, upload, results, join.  What comes before an upload
    (keys, secret, inspect, encode) are commands of their own.

    Example:

    \b
        tongqiao office status --server https://linkage.example.org --keys my-office.private.json
    """


@office_group.command(name="enrol")
@server_options
def enrol_command(server: str, keys: Path, ca_file: Path | None) -> None:
    """Make your office known to the server.

    Sends your public keys.  An operator then compares the fingerprint with you by telephone and
    approves your office.

    Example:

    \b
        tongqiao office enrol --server https://linkage.example.org --keys my-office.private.json
    """
    with failing("use the key file"):
        client, office = _open_office(server, keys, ca_file)
        public = client.identity.public
        answer = client.post_json("/v1/members", public.to_document())
        if answer.get("id") != office or answer.get("fingerprint") != public.fingerprint:
            raise ApiError(
                "bad-answer",
                201,
                "The server stored other keys than yours. Send nothing, and tell the operator.",
            )
    say(f"Office {office} is enrolled; state: {answer.get('state')}")
    say(f"Fingerprint: {public.fingerprint}")
    if answer.get("state") == "pending":
        say("Read the fingerprint to the operator by telephone. Then the operator approves you.")


@office_group.command(name="status")
@click.option("--round", "round_id", metavar="ID", type=ID, help="Id of one round.")
@_json_option
@server_options
def status_command(
    server: str, keys: Path, ca_file: Path | None, round_id: str | None, as_json: bool
) -> None:
    """Show your rounds, or one round and who has to do what.

    Example:

    \b
        tongqiao office status --round 2026-h2 --server URL --keys my-office.private.json
    """
    from api.client.round_view import parse_round, show_round, show_rounds

    with failing("use the key file"):
        client, office = _open_office(server, keys, ca_file)
        if round_id is None:
            answer = client.get_json("/v1/rounds")
            if as_json:
                show_json(answer)
            else:
                show_rounds(answer)
            return
        answer = client.get_json(f"/v1/rounds/{round_id}")
        view = parse_round(answer, round_id)
    if as_json:
        show_json(answer)
        return
    show_round(view)
    say(f"Your office still has to do: {view.to_do(office)}.")


@office_group.command(name="identity")
@click.argument("office", type=ID)
@click.option("--out", type=OUTPUT_FILE, required=True, help="Public key file to write.")
@_overwrite_option
@server_options
def identity_command(
    server: str, keys: Path, ca_file: Path | None, office: str, out: Path, overwrite: bool
) -> None:
    """Download another office's public keys.

    They are needed to seal a secret to it, or to open one from it.  Compare the fingerprint with
    that office by telephone: the server could send other keys.

    Example:

    \b
        tongqiao office identity jinjiang-civil --out jinjiang-civil.public.json \\
            --server URL --keys my-office.private.json
    """
    from keys.identity import parse_public_identity
    from keys.storage import write_public_file

    with failing("write the key file"):
        client, _ = _open_office(server, keys, ca_file)
        document = client.get_json(f"/v1/members/{office}").get("identity")
        if not isinstance(document, dict):
            raise ApiError("bad-answer", 200, "The server sent no keys. Tell the operator.")
        identity = parse_public_identity(document)
        if identity.holder != office or identity.kind != "office":
            raise ApiError(
                "bad-answer", 200, "The server sent the keys of someone else. Tell the operator."
            )
        write_public_file(out, identity.to_json(), overwrite)
    say(f"Office {office}, fingerprint: {identity.fingerprint}")
    say("Compare it with that office by telephone before you use the file.")


@office_group.command(name="send-secret")
@click.argument("blob", type=INPUT_FILE)
@click.option("--to", "recipient", metavar="OFFICE", type=ID, required=True, help="Its office.")
@_project_option
@_epoch_option
@server_options
def send_secret_command(
    server: str,
    keys: Path,
    ca_file: Path | None,
    project: str,
    epoch: int,
    recipient: str,
    blob: Path,
) -> None:
    """Leave a sealed secret for another office.

    Only the coordinating office may do that.  BLOB is what 'tongqiao secret seal' wrote for that
    office.  The server cannot open it.

    Example:

    \b
        tongqiao office send-secret --project sichuan-children --to jinjiang-civil \\
            jinjiang-civil.sealed --server URL --keys my-office.private.json
    """
    with failing("read the sealed secret"):
        client, _ = _open_office(server, keys, ca_file)
        if not 0 < blob.stat().st_size <= _MAX_SEALED_BYTES:
            raise click.ClickException(
                "This is no sealed secret. Give the file that 'tongqiao secret seal' wrote."
            )
        client.put_bytes(f"/v1/projects/{project}/secrets/{epoch}/{recipient}", blob.read_bytes())
    say(f"The sealed secret for {recipient} is on the server.")


@office_group.command(name="fetch-secret")
@_project_option
@_epoch_option
@click.option("--out", type=OUTPUT_FILE, required=True, help="File for the sealed secret.")
@_overwrite_option
@server_options
def fetch_secret_command(
    server: str,
    keys: Path,
    ca_file: Path | None,
    project: str,
    epoch: int,
    out: Path,
    overwrite: bool,
) -> None:
    """Fetch the secret that the coordinating office sealed to you.

    Open it with 'tongqiao secret open'.

    Example:

    \b
        tongqiao office fetch-secret --project sichuan-children --out secret.sealed \\
            --server URL --keys my-office.private.json
    """
    from api.client.private_files import write_privately

    with failing("write the sealed secret"):
        client, office = _open_office(server, keys, ca_file)
        blob = client.get_bytes(
            f"/v1/projects/{project}/secrets/{epoch}/{office}", max_bytes=_MAX_SEALED_BYTES
        )
        write_privately(out, blob, overwrite=overwrite)
    say("The sealed secret is fetched. Open it with 'tongqiao secret open'.")


@office_group.command(name="terms")
@_round_option
@click.option("--out", type=OUTPUT_FILE, required=True, help="File for the terms (.json).")
@click.option("--profile-out", type=OUTPUT_FILE, help="File for the encoding profile (.toml).")
@_overwrite_option
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
    from api.office.round_terms import check_profile, plain_words

    with failing("write the terms"):
        client, office = _open_office(server, keys, ca_file)
        terms = _get_round(client, round_id).terms
        profile = check_profile(terms, _get_profile_text(client, round_id))
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


@office_group.command(name="sign")
@_round_option
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
    from api.office.round_terms import check_part, check_profile, check_same_terms
    from keys import labels
    from keys.canonical import canonical_json
    from keys.signing import sign_document

    with failing("read the terms"):
        client, office = _open_office(server, keys, ca_file)
        terms = parse_terms(terms_file.read_bytes())
        if terms.round != round_id:
            raise TermsError("The file holds the terms of another round than --round names.")
        check_part(terms, office)
        confirmation = _key_confirmation(
            office, terms.coordinating_office, terms.context, secret_file
        )
        check_same_terms(terms, _get_round(client, round_id).terms)
        check_profile(terms, _get_profile_text(client, round_id))
        signature = sign_document(
            client.identity.signing_private, labels.TERMS, canonical_json(terms.document)
        )
        body: dict[str, Any] = {
            "terms_sha256": terms.sha256,
            "signature": base64.b64encode(signature).decode("ascii"),
        }
        if confirmation is not None:
            body["key_confirmation"] = confirmation
        client.put_json(f"/v1/rounds/{round_id}/signatures/{office}", body)
    say(f"Signed the terms of round {round_id} for {office}.")


@office_group.command(name="upload")
@click.argument("encoded", metavar="X.tqe", type=INPUT_FILE)
@_round_option
@_json_option
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

    First checks here that the file fits the terms.  A second upload replaces the first one until
    the operator closes the uploads.

    Example:

    \b
        tongqiao office upload --round 2026-h2 my-office.tqe --server URL \\
            --keys my-office.private.json
    """
    from api.office.round_terms import check_upload
    from linkage.tqe import read_manifest

    with failing("read the encoded file"):
        client, office = _open_office(server, keys, ca_file)
        manifest = read_manifest(encoded)
        check_upload(_get_round(client, round_id), office, manifest)
        with progress_bar("sending") as advance:
            receipt = client.put_file(
                f"/v1/rounds/{round_id}/uploads/{office}", encoded, on_progress=advance
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


@office_group.command(name="withdraw")
@_round_option
@server_options
def withdraw_command(server: str, keys: Path, ca_file: Path | None, round_id: str) -> None:
    """Take your upload back.

    That is possible until the operator closes the uploads.

    Example:

    \b
        tongqiao office withdraw --round 2026-h2 --server URL --keys my-office.private.json
    """
    with failing("use the key file"):
        client, office = _open_office(server, keys, ca_file)
        client.delete(f"/v1/rounds/{round_id}/uploads/{office}")
    say("Your upload is withdrawn and deleted on the server.")


@office_group.command(name="results")
@_round_option
@click.option("--out", type=OUTPUT_FILE, required=True, help="File for your links (.csv).")
@_overwrite_option
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

    with failing("write the links"):
        client, office = _open_office(server, keys, ca_file)
        terms = _get_round(client, round_id).terms
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


@office_group.command(name="join")
@click.option("--links", "links_file", type=INPUT_FILE, required=True, help="From office results.")
@click.option("--map", "map_file", type=INPUT_FILE, required=True, help="From encode --map.")
@click.option("--records", type=INPUT_FILE, required=True, help="Your file that was encoded.")
@click.option("--columns", type=INPUT_FILE, required=True, help="Its column mapping (MAP.toml).")
@click.option("--out", type=OUTPUT_FILE, required=True, help="List to write (.xlsx).")
@click.option("--previous", type=INPUT_FILE, help="The list of the round before (.xlsx).")
@_overwrite_option
def join_command(
    links_file: Path,
    map_file: Path,
    records: Path,
    columns: Path,
    out: Path,
    previous: Path | None,
    overwrite: bool,
) -> None:
    """Join the links to your own list, offline.

    Nothing is sent.  Writes an .xlsx that only you can read: your rows with the office that holds
    the same child, your rows that nobody else holds, and with --previous what is new and what has
    ended.

    Example:

    \b
        tongqiao office join --links links.csv --map X.map.csv --records register.csv \\
            --columns MAP.toml --out joined.xlsx --previous joined-last-time.xlsx
    """
    from api.client.private_files import replacing_privately
    from api.office.join import write_joined_list
    from api.office.links import load_links, load_pseudonym_map
    from api.office.own_records import load_own_records
    from api.office.previous_list import load_previous_list

    if out.suffix.lower() != ".xlsx":
        raise click.BadParameter("The name must end in .xlsx.", param_hint="--out")
    with failing("write the joined list"), replacing_privately(out, overwrite=overwrite) as draft:
        links, record_ids = load_links(links_file), load_pseudonym_map(map_file)
        before = None if previous is None else load_previous_list(previous)
        own = load_own_records(records, columns)
        with progress_bar("joining", unit="steps") as advance:
            counts = write_joined_list(
                draft,
                own,
                links,
                record_ids,
                before,
                on_progress=lambda done: advance(done, max(done, len(record_ids))),
            )
    say(f"{counts.n_records:,} own records: {counts.n_linked:,} found at another office,")
    say(f"    {counts.n_not_found:,} not found, {counts.n_not_sent:,} not sent.")
    say(f"{counts.n_links:,} links.")
    if previous is not None:
        say(
            f"Since the previous list: {counts.n_new:,} new, {counts.n_unchanged:,} unchanged, "
            f"{counts.n_ended:,} ended."
        )


def _open_office(server: str, keys: Path, ca_file: Path | None) -> "tuple[ServerClient, str]":
    client = open_client(server, keys, ca_file)
    public = client.identity.public
    if public.kind != "office":
        raise click.ClickException(
            "These are the keys of a person, not of an office. Give your office's file as --keys."
        )
    return client, public.holder


def _get_round(client: "ServerClient", round_id: str) -> "RoundView":
    from api.client.round_view import parse_round

    return parse_round(client.get_json(f"/v1/rounds/{round_id}"), round_id)


def _get_profile_text(client: "ServerClient", round_id: str) -> str:
    data = client.get_bytes(f"/v1/rounds/{round_id}/profile", max_bytes=_MAX_PROFILE_BYTES)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(
            "bad-answer", 200, "The server's profile is no text. Do not sign."
        ) from error


def _key_confirmation(
    office: str, coordinating_office: str, context: str, secret_file: Path | None
) -> str | None:
    """The check value that the coordinating office, and it alone, sends with its signature."""
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

    return load_linkage_secret(secret_file).key_confirmation(context)
