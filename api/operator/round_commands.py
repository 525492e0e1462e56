"""``tongqiao round``: from the terms to the release."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.terminal import (
    ID,
    INPUT_FILE,
    failing,
    json_option,
    open_client,
    remark,
    say,
    server_options,
    show_json,
)

if TYPE_CHECKING:
    from api.client.http import ServerClient
    from api.client.round_view import RoundView
    from api.client.terms import Terms


@click.group(name="round")
def round_group() -> None:
    """Run a round, as a linkage operator.

    In order: create, open, freeze, run, review; then another operator's release.

    Example:

    \b
        tongqiao round status 2026-h2 --server https://linkage.example.org \\
            --keys operator.private.json
    """


@round_group.command(name="create")
@click.argument("definition", metavar="TERMS.toml", type=INPUT_FILE)
@click.option(
    "--profile",
    metavar="NAME_OR_FILE",
    help="Encoding profile, in place of the one that the file names.",
)
@server_options
def round_create_command(
    server: str, keys: Path, ca_file: Path | None, definition: Path, profile: str | None
) -> None:
    """Create a round from a file.

    What the file leaves out comes from the project, or is as shown here.

    \b
    TERMS.toml:
        project = "sichuan-children"
        round = "2026-h2"
        purpose = "Second half of 2026."     # default: the project's
        profile = "cn-child-v1"              # or a .toml file
        visibility = "all"                   # or a matrix, role = roles whose links it sees:
        # visibility = { education = ["public-security"], public-security = ["education"] }
        solve = "groups"                     # or "pairs", or "one-to-one" where no
                                             # register holds a child twice
        threshold = "auto"                   # or a number from 0 to 1
        secret_epoch = 1
        retention_days = 180
        max_records = 2000000
        coordinating_office = "..."          # default: the project's
        [[members]]                          # default: the project's
        office = "jinjiang-civil"
        role = "residence-civil-affairs"

    Example:

    \b
        tongqiao round create TERMS.toml --server URL --keys operator.private.json
    """
    with failing("read the terms"):
        client, terms, source = _complete(server, keys, ca_file, definition, profile)
        client.post_json("/v1/rounds", {"terms": dict(terms.document), "profile": source})
    say(f"Round {terms.round} is created, for {len(terms.members)} offices.")
    say(f"SHA-256 of its terms: {terms.sha256}")
    remark("Next: tongqiao round open.")


@round_group.command(name="amend")
@click.argument("definition", metavar="TERMS.toml", type=INPUT_FILE)
@click.option(
    "--profile",
    metavar="NAME_OR_FILE",
    help="Encoding profile, in place of the one that the file names.",
)
@server_options
def round_amend_command(
    server: str, keys: Path, ca_file: Path | None, definition: Path, profile: str | None
) -> None:
    """Change the terms of a round before its freeze.

    TERMS.toml is as for 'round create', whole, with the same project and round.  Every office has
    to sign again, and what was uploaded under the old terms is deleted.

    Example:

    \b
        tongqiao round amend TERMS.toml --server URL --keys operator.private.json
    """
    with failing("read the terms"):
        client, terms, source = _complete(server, keys, ca_file, definition, profile)
        body = {"terms": dict(terms.document), "profile": source}
        client.put_json(f"/v1/rounds/{terms.round}/terms", body)
    say(f"The terms of round {terms.round} are changed.")
    say(f"SHA-256 of its terms: {terms.sha256}")
    remark("Tell the offices: each has to read and sign them again, then to upload.")


def _complete(
    server: str, keys: Path, ca_file: Path | None, definition: Path, profile: str | None
) -> "tuple[ServerClient, Terms, str]":
    """A client, the terms that a file defines, and the text of their profile."""
    from api.operator.definitions import (
        complete_terms,
        load_definition,
        load_terms_profile,
        project_to_ask_for,
    )

    body = load_definition(definition, "terms")
    chosen = load_terms_profile(body, definition, profile)
    client = open_client(server, keys, ca_file)
    wanted = project_to_ask_for(body)
    project = None if wanted is None else client.get_json(f"/v1/projects/{wanted}")
    return client, complete_terms(body, chosen, project), chosen.source


@round_group.command(name="open")
@click.argument("round_id", metavar="ID", type=ID)
@server_options
def round_open_command(server: str, keys: Path, ca_file: Path | None, round_id: str) -> None:
    """Let the offices sign and upload.

    Example:

    \b
        tongqiao round open 2026-h2 --server URL --keys operator.private.json
    """
    _transition(server, keys, ca_file, round_id, "open")


@round_group.command(name="freeze")
@click.argument("round_id", metavar="ID", type=ID)
@server_options
def round_freeze_command(server: str, keys: Path, ca_file: Path | None, round_id: str) -> None:
    """Close the uploads.

    Example:

    \b
        tongqiao round freeze 2026-h2 --server URL --keys operator.private.json
    """
    _transition(server, keys, ca_file, round_id, "freeze")


@round_group.command(name="run")
@click.argument("round_id", metavar="ID", type=ID)
@click.option("--wait", is_flag=True, help="Stay until it has ended, and show how far it is.")
@server_options
def round_run_command(
    server: str, keys: Path, ca_file: Path | None, round_id: str, wait: bool
) -> None:
    """Start the matching.

    Example:

    \b
        tongqiao round run 2026-h2 --wait --server URL --keys operator.private.json
    """
    view = _transition(server, keys, ca_file, round_id, "run")
    if not wait:
        remark("See how far it is with 'tongqiao round status'.")
        return
    from api.operator.match_progress import showing_figures
    from api.operator.waiting import wait_for_review

    with failing("use the key file"):
        client = open_client(server, keys, ca_file)
        with showing_figures() as show:
            view = wait_for_review(client, round_id, lambda now: show(now.matching))
    say(f"Round {round_id} is matched; state: {view.state}")


@round_group.command(name="review")
@click.argument("round_id", metavar="ID", type=ID)
@json_option
@server_options
def round_review_command(
    server: str, keys: Path, ca_file: Path | None, round_id: str, as_json: bool
) -> None:
    """Show what came out, in figures: no record, no link.

    Example:

    \b
        tongqiao round review 2026-h2 --server URL --keys operator.private.json
    """
    from api.operator.review import show_review

    with failing("use the key file"):
        answer = open_client(server, keys, ca_file).get_json(f"/v1/rounds/{round_id}/review")
        if as_json:
            show_json(answer)
        else:
            show_review(answer)


@round_group.command(name="release")
@click.argument("round_id", metavar="ID", type=ID)
@server_options
def round_release_command(server: str, keys: Path, ca_file: Path | None, round_id: str) -> None:
    """Let the offices fetch their links.

    Another operator than the one who ran the round must do that, after a look at 'tongqiao round
    review'.

    Example:

    \b
        tongqiao round release 2026-h2 --server URL --keys second-operator.private.json
    """
    _transition(server, keys, ca_file, round_id, "release")


@round_group.command(name="cancel")
@click.argument("round_id", metavar="ID", type=ID)
@click.confirmation_option(
    "--yes",
    prompt="A cancelled round cannot be taken up again. Cancel it?",
    help="Do not ask.",
)
@server_options
def round_cancel_command(server: str, keys: Path, ca_file: Path | None, round_id: str) -> None:
    """Stop a round for good.

    That is possible until its release.  The server deletes the round's encodings.

    Example:

    \b
        tongqiao round cancel 2026-h2 --yes --server URL --keys operator.private.json
    """
    _transition(server, keys, ca_file, round_id, "cancel")


@round_group.command(name="status")
@click.argument("round_id", metavar="[ID]", type=ID, required=False)
@json_option
@server_options
def round_status_command(
    server: str, keys: Path, ca_file: Path | None, round_id: str | None, as_json: bool
) -> None:
    """Show all rounds, or one round and who has to do what.

    Example:

    \b
        tongqiao round status 2026-h2 --server URL --keys operator.private.json
    """
    from api.client.round_status import fetch_status, show_status

    with failing("use the key file"):
        status = fetch_status(open_client(server, keys, ca_file), round_id)
    show_status(status, as_json=as_json)


def _transition(
    server: str, keys: Path, ca_file: Path | None, round_id: str, action: str
) -> "RoundView":
    from api.client.round_view import parse_round

    with failing("use the key file"):
        client = open_client(server, keys, ca_file)
        answer = client.post_json(f"/v1/rounds/{round_id}/transitions", {"action": action})
        view = parse_round(answer, round_id)
    say(f"Round {round_id} is now: {view.state}")
    return view
