"""Rounds on the screen: all of them, or one and what each of its offices still has to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.client.http import ServerClient
from api.client.round_view import RoundSummary, RoundView, parse_round, parse_rounds
from api.client.terminal import say, show_json, show_table

_WHAT_STATES_MEAN = {
    "draft": "being prepared; the operator opens it next",
    "open": "offices sign the terms and upload",
    "frozen": "uploads are closed; the operator runs the matching next",
    "matching": "the server is matching",
    "review": "matched; another operator than the one who ran it releases it next",
    "released": "each office can fetch its links",
    "expired": "encodings and links have been deleted",
    "cancelled": "stopped; nothing more happens",
}


@dataclass(frozen=True, slots=True)
class RoundStatus:
    """What the server says of all rounds, or of one; checked.

    Attributes:
        answer: the server's own words, for other programs.
        view: the one round that was asked for; ``None`` where all were.
        rounds: all of them, newest first; empty where one was asked for.
    """

    answer: Mapping[str, Any]
    view: RoundView | None
    rounds: Sequence[RoundSummary] = ()


def fetch_status(client: ServerClient, round_id: str | None) -> RoundStatus:
    """Ask the server for one round, or for all where ``round_id`` is ``None``.

    Raises:
        ApiError: the server refuses, or its answer is not as ``docs/http-api.md`` says.
        TermsError: the terms of the round are not well formed.
    """
    if round_id is None:
        answer = client.get_json("/v1/rounds")
        return RoundStatus(answer, None, parse_rounds(answer))
    answer = client.get_json(f"/v1/rounds/{round_id}")
    return RoundStatus(answer, parse_round(answer, round_id))


def show_status(status: RoundStatus, *, as_json: bool) -> None:
    """Print it: for other programs as the server said it, else in words and tables."""
    if as_json:
        show_json(status.answer)
    elif status.view is not None:
        _show_round(status.view)
    else:
        _show_rounds(status.rounds)


def _show_round(view: RoundView) -> None:
    say(f"Round {view.id} of project {view.terms.project}: {view.state}")
    meaning = _WHAT_STATES_MEAN.get(view.state)
    if meaning is not None:
        say(f"That is: {meaning}.")
    if view.state in ("draft", "open"):
        coordinator = view.terms.coordinating_office
        if view.key_confirmed:
            say(f"The key of the round is confirmed by {coordinator}.")
        else:
            say(f"The key of the round is not confirmed yet: {coordinator} still has to sign.")
    if view.state == "matching" and view.matching.stage is not None:
        say(f"{view.matching.sentence()}.")
    if view.failure is not None:
        say(f"The last run failed: {view.failure}")
    for request in view.requests:
        say(f"{request.sentence()}.")
    show_table(
        ["office", "role", "signed", "uploaded", "records", "still to do"],
        [
            [
                member.office,
                member.role,
                "yes" if member.signed else "no",
                "yes" if member.uploaded else "no",
                member.n_records,
                view.to_do(member.office),
            ]
            for member in view.members
        ],
        numeric=["records"],
    )


def _show_rounds(rounds: Sequence[RoundSummary]) -> None:
    if not rounds:
        say("There are no rounds yet.")
        return
    rows = [[each.id, each.project, each.state, each.created_at] for each in rounds]
    show_table(["round", "project", "state", "created at"], rows)
