"""``round exclude``, ``round expire``, ``project exclude``: what takes away, some of it by two."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.terminal import ID, failing, open_client, remark, say, server_options

if TYPE_CHECKING:
    from api.client.http import ServerClient
    from api.client.round_view import RoundView

_recall_option = click.option(
    "--recall", is_flag=True, help="Take back what was asked for, before a second operator joins."
)
_yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command(name="exclude")
@click.argument("round_id", metavar="ID", type=ID)
@click.argument("office", metavar="OFFICE", type=ID)
@_recall_option
@_yes_option
@server_options
def round_exclude_command(
    server: str,
    keys: Path,
    ca_file: Path | None,
    round_id: str,
    office: str,
    recall: bool,
    yes: bool,
) -> None:
    """Take an office out of a round.

    Before the freeze its upload is deleted and it can send nothing more.  After the matching, the
    result is dropped too: the round is frozen again, to be run without it.  After the release its
    links are taken back; two operators must ask for that, each with this command.

    Example:

    \b
        tongqiao round exclude 2026-h2 jinjiang-civil \\
            --server URL --keys operator.private.json
    """
    _ask_first(
        recall or yes, f"The records of {office} in round {round_id} are deleted. Take it out?"
    )
    path = f"/v1/rounds/{round_id}/exclusions/{office}"
    with failing("use the key file"):
        view = _ask_or_recall(open_client(server, keys, ca_file), path, recall, round_id)
    if recall:
        say(f"Nobody asks any more to take {office} out of round {round_id}.")
    elif any(request.office == office for request in view.requests):
        _say_waits(f"{office} is taken out of round {round_id}", "round exclude")
    else:
        say(f"{office} is out of round {round_id}, which is now: {view.state}")
        remark(
            "It still knows the linkage secret. Before the next round, let the coordinating office "
            "make a new one, and take the office out of the project (tongqiao project exclude)."
        )


@click.command(name="expire")
@click.argument("round_id", metavar="ID", type=ID)
@_recall_option
@_yes_option
@server_options
def round_expire_command(
    server: str, keys: Path, ca_file: Path | None, round_id: str, recall: bool, yes: bool
) -> None:
    """End a released round before its time, and delete all of its data.

    Two operators must ask for that, each with this command.  What offices have not fetched by then
    is lost; 'tongqiao round status' shows who has.

    Example:

    \b
        tongqiao round expire 2026-h2 --server URL --keys operator.private.json
    """
    _ask_first(recall or yes, f"All data of round {round_id} is deleted. End it now?")
    with failing("use the key file"):
        client = open_client(server, keys, ca_file)
        view = _ask_or_recall(client, f"/v1/rounds/{round_id}/expiry", recall, round_id)
    if recall:
        say(f"Nobody asks any more to end round {round_id} early.")
    elif any(request.office is None for request in view.requests):
        _say_waits(f"round {round_id} ends", "round expire")
    else:
        say(f"Round {round_id} is now: {view.state}")


@click.command(name="exclude")
@click.argument("project", metavar="PROJECT", type=ID)
@click.argument("office", metavar="OFFICE", type=ID)
@server_options
def project_exclude_command(
    server: str, keys: Path, ca_file: Path | None, project: str, office: str
) -> None:
    """Take an office out of a project: no new round may name it.

    First take it out of the rounds that still hold its data (tongqiao round exclude).

    Example:

    \b
        tongqiao project exclude sichuan-children jinjiang-civil \\
            --server URL --keys operator.private.json
    """
    with failing("change the project"):
        client = open_client(server, keys, ca_file)
        client.put_json(f"/v1/projects/{project}/exclusions/{office}", {})
    say(f"{office} is out of project {project}; the secrets that were sealed to it are deleted.")
    remark(
        "It still knows the linkage secret. Let the coordinating office make a new one (next "
        "epoch) before the next round."
    )


def _ask_or_recall(client: "ServerClient", path: str, recall: bool, round_id: str) -> "RoundView":
    from api.client.round_view import parse_round

    return parse_round(client.delete(path) if recall else client.put_json(path, {}), round_id)


def _ask_first(is_sure: bool, question: str) -> None:
    if not is_sure:
        click.confirm(question, abort=True)


def _say_waits(what: str, command: str) -> None:
    say("You have asked for it; nothing is deleted yet.")
    remark(f"When another operator gives the same command (tongqiao {command}), {what}.")
