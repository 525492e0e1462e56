"""``tongqiao member``: who may take part."""

from pathlib import Path

import click

from api.client.errors import ApiError
from api.client.terminal import (
    ID,
    failing,
    json_option,
    open_client,
    say,
    server_options,
    show_json,
    show_table,
)
from api.operator.answers import rows_of


@click.group(name="member")
def member_group() -> None:
    """Approve or revoke offices.

    Example:

    \b
        tongqiao member list --server https://linkage.example.org --keys operator.private.json
    """


@member_group.command(name="list")
@json_option
@server_options
def member_list_command(server: str, keys: Path, ca_file: Path | None, as_json: bool) -> None:
    """Show everybody who is known to the server.

    Example:

    \b
        tongqiao member list --server URL --keys operator.private.json
    """
    with failing("use the key file"):
        answer = open_client(server, keys, ca_file).get_json("/v1/members")
        if as_json:
            show_json(answer)
            return
        columns = ("id", "kind", "name", "state", "fingerprint")
        show_table(columns, rows_of(answer, "members", columns))


@member_group.command(name="approve")
@click.argument("member", metavar="ID", type=ID)
@click.option(
    "--fingerprint",
    metavar="F",
    required=True,
    help="The fingerprint that the office read to you by telephone.",
)
@server_options
def member_approve_command(
    server: str, keys: Path, ca_file: Path | None, member: str, fingerprint: str
) -> None:
    """Approve an office that enrolled.

    First let the office read its fingerprint to you by telephone.  Type what you heard; do not
    copy what the server shows.

    Example:

    \b
        tongqiao member approve jinjiang-civil --fingerprint FINGERPRINT \\
            --server URL --keys operator.private.json
    """
    from keys.fingerprint import parse_fingerprint
    from keys.identity import parse_public_identity

    with failing("use the key file"):
        heard = parse_fingerprint(fingerprint)
        client = open_client(server, keys, ca_file)
        document = client.get_json(f"/v1/members/{member}").get("identity")
        if not isinstance(document, dict):
            raise ApiError("bad-answer", 200, "The server sent no keys of this member.")
        # Computed here: what the server says of a fingerprint is not what was heard.
        identity = parse_public_identity(document)
        if identity.holder != member or identity.fingerprint != heard:
            raise click.ClickException(
                "The keys on the server have another fingerprint. Nothing was approved. Compare "
                "again with the office; if it differs still, someone else's keys were enrolled."
            )
        client.post_json(f"/v1/members/{member}/approval", {"fingerprint": heard})
    say(f"{member} is approved.")


@member_group.command(name="revoke")
@click.argument("member", metavar="ID", type=ID)
@click.option("--reason", metavar="TEXT", required=True, help="Why, in a few words.")
@click.option(
    "--compromised-since",
    metavar="TIME",
    help="Since when others may have had the key, as 2026-08-01T00:00:00Z.",
)
@server_options
def member_revoke_command(
    server: str,
    keys: Path,
    ca_file: Path | None,
    member: str,
    reason: str,
    compromised_since: str | None,
) -> None:
    """Shut a member out: from now on its key is refused.

    In rounds that are open, its signature and upload are undone.  It may enrol again under the same
    id with new keys (docs/key-procedures.md).

    Example:

    \b
        tongqiao member revoke jinjiang-civil --reason "key file lost" \\
            --server URL --keys operator.private.json
    """
    if not reason.strip():
        raise click.BadParameter("Say why.", param_hint="--reason")
    with failing("use the key file"):
        client = open_client(server, keys, ca_file)
        body = {"reason": reason.strip()}
        if compromised_since is not None:
            body["compromised_since"] = compromised_since
        client.post_json(f"/v1/members/{member}/revocation", body)
    say(f"{member} is revoked.")
