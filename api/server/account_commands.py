"""``tongqiao server``: who is added, invited and shut out on the machine itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from api.client.terminal import remark, say
from api.server.commands import (
    PUBLIC_FILE,
    add_identity,
    directory_argument,
    failing_server,
    opened_server,
    server_group,
)

__all__ = ["server_group"]


@server_group.command(name="add-member")
@directory_argument
@click.argument("public", metavar="PUB.json", type=PUBLIC_FILE)
def add_member_command(directory: Path, public: Path) -> None:
    """Add an operator, an auditor or an office as approved.

    Compare the fingerprint with its holder first (tongqiao keys show).

    Example:

        tongqiao server add-member /srv/tongqiao luo.public.json
    """
    from keys.storage import load_public_identity

    with failing_server("read the identity"):
        identity = load_public_identity(public)
        with opened_server(directory) as installation:
            add_identity(installation, identity)


@server_group.command(name="revoke-member")
@directory_argument
@click.argument("member", metavar="ID")
@click.option("--reason", required=True, help="Why, in a few words.")
def revoke_member_command(directory: Path, member: str, reason: str) -> None:
    """Refuse all further requests of a member's key: it was lost, or someone left.

    Who logs in with a browser too is disabled besides (tongqiao server disable-person).

    Example:

        tongqiao server revoke-member /srv/tongqiao luo --reason "left the office"
    """
    from api.server.services.members import revoke
    from api.server.services.people import may_log_in
    from api.server.services.work import own_caller

    with failing_server("open the server's folder"), opened_server(directory) as installation:
        revoke(installation, own_caller("administrator"), member, reason)
        comes_in = may_log_in(installation, member)
    say(f"{member} is revoked.")
    if comes_in:
        remark(
            f"{member} may log in with a browser still. Who has left: tongqiao server "
            f"disable-person {directory} {member} --reason ..."
        )


@server_group.command(name="add-person")
@directory_argument
@click.argument("person", metavar="ID")
@click.option("--name", required=True, help="What people call the person.")
@click.option(
    "--role",
    required=True,
    type=click.Choice(["operator", "auditor", "administrator"]),
    help="What the person may do; administrators invite the others.",
)
@click.option("--subject", metavar="SUB", help="The person's `sub` at the OpenID provider.")
def add_person_command(
    directory: Path, person: str, name: str, role: str, subject: str | None
) -> None:
    """Invite a person who will log in with a browser.

    Give the invitation to that person by hand: who has it can enrol once, within a few days. Who
    signs requests with a key too keeps the key's id here.

    Example:

        tongqiao server add-person /srv/tongqiao wu --name "Wu Yun" --role administrator
    """
    from api.server.services.people import add_person
    from api.server.services.work import own_caller

    with failing_server("open the server's folder"), opened_server(directory) as installation:
        added = add_person(
            installation, own_caller("administrator"), person, name=name, role=role, subject=subject
        )
    _show_invitation(added)


@server_group.command(name="invite-person")
@directory_argument
@click.argument("person", metavar="ID")
def invite_person_command(directory: Path, person: str) -> None:
    """Void a person's password, device and sessions, and invite the person anew.

    For who lost the device and the recovery codes, or forgot the password.

    Example:

        tongqiao server invite-person /srv/tongqiao wu
    """
    from api.server.services.people import invite_again
    from api.server.services.work import own_caller

    with failing_server("open the server's folder"), opened_server(directory) as installation:
        invited = invite_again(installation, own_caller("administrator"), person)
    _show_invitation(invited)


@server_group.command(name="disable-person")
@directory_argument
@click.argument("person", metavar="ID")
@click.option("--reason", required=True, help="Why, in a few words.")
def disable_person_command(directory: Path, person: str, reason: str) -> None:
    """End all sessions of a person and refuse further logins.

    Example:

        tongqiao server disable-person /srv/tongqiao wu --reason "left the office"
    """
    from api.server.services.people import disable, may_sign
    from api.server.services.work import own_caller

    with failing_server("open the server's folder"), opened_server(directory) as installation:
        disable(installation, own_caller("administrator"), person, reason)
        signs = may_sign(installation, person)
    say(f"{person} is disabled.")
    if signs:
        remark(
            f"{person} may sign requests with a key still. Who has left: tongqiao server "
            f"revoke-member {directory} {person} --reason ..."
        )


def _show_invitation(person: "Mapping[str, Any]") -> None:
    say(f"Invited the {person['role']} {person['id']}: {person['invitation']}")
    remark(f"Good for one enrolment, until {person['invitation_ends_at']}. It is not shown again.")
