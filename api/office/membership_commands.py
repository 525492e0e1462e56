"""An office becomes known to the server, and gets the secret that was sealed to it."""

from pathlib import Path

import click

from api.client.errors import ApiError
from api.client.terminal import (
    ID,
    INPUT_FILE,
    OUTPUT_FILE,
    failing,
    json_option,
    say,
    server_options,
)
from api.office.session import (
    epoch_option,
    open_office,
    overwrite_option,
    project_option,
)

_MAX_SEALED_BYTES = 64 * 1024


@click.command(name="enrol")
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
        client, office = open_office(server, keys, ca_file)
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


@click.command(name="status")
@click.option("--round", "round_id", metavar="ID", type=ID, help="Id of one round.")
@json_option
@server_options
def status_command(
    server: str, keys: Path, ca_file: Path | None, round_id: str | None, as_json: bool
) -> None:
    """Show your rounds, or one round and who has to do what.

    Example:

    \b
        tongqiao office status --round 2026-h2 --server URL --keys my-office.private.json
    """
    from api.client.round_status import fetch_status, show_status

    with failing("use the key file"):
        client, office = open_office(server, keys, ca_file)
        status = fetch_status(client, round_id)
    show_status(status, as_json=as_json)
    if status.view is not None and not as_json:
        say(f"Your office still has to do: {status.view.to_do(office)}.")


@click.command(name="identity")
@click.argument("office", type=ID)
@click.option("--out", type=OUTPUT_FILE, required=True, help="Public key file to write.")
@overwrite_option
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
    from api.office.opening_secret import fetch_identity
    from keys.storage import write_public_file

    with failing("write the key file"):
        client, _ = open_office(server, keys, ca_file)
        identity = fetch_identity(client, office)
        write_public_file(out, identity.to_json(), overwrite)
    say(f"Office {office}, fingerprint: {identity.fingerprint}")
    say("Compare it with that office by telephone before you use the file.")


@click.command(name="send-secret")
@click.argument("blob", type=INPUT_FILE)
@click.option("--to", "recipient", metavar="OFFICE", type=ID, required=True, help="Its office.")
@project_option
@epoch_option
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
        client, _ = open_office(server, keys, ca_file)
        if not 0 < blob.stat().st_size <= _MAX_SEALED_BYTES:
            raise click.ClickException(
                "This is no sealed secret. Give the file that 'tongqiao secret seal' wrote."
            )
        client.put_bytes(f"/v1/projects/{project}/secrets/{epoch}/{recipient}", blob.read_bytes())
    say(f"The sealed secret for {recipient} is on the server.")


@click.command(name="fetch-secret")
@project_option
@epoch_option
@click.option("--out", type=OUTPUT_FILE, required=True, help="File for the sealed secret.")
@overwrite_option
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
        client, office = open_office(server, keys, ca_file)
        blob = client.get_bytes(
            f"/v1/projects/{project}/secrets/{epoch}/{office}", max_bytes=_MAX_SEALED_BYTES
        )
        write_privately(out, blob, overwrite=overwrite)
    say("The sealed secret is fetched. Open it with 'tongqiao secret open'.")
