"""Taking an office out of a round or a project, and ending a released round early.

What is released takes two operators: the page shows what one has asked for, and to the others the
button to agree.
"""

from typing import Any, Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from api.audit.events import Action
from api.console.asking import trying
from api.console.pages_of_projects import project_page, projects
from api.console.pages_of_rounds import round_page, rounds
from api.server.auth import caller, installation, may_use
from api.server.round_states import Actor
from api.server.services import exclusions as service
from api.server.services import projects as project_service

exclusion_pages: Final[Blueprint] = rounds

_WORDS: Final = {
    "wrong-state": _l(
        "Fewer than two lists would be left to match, or the round went on meanwhile. Look at its "
        "state; where too few lists would be left, cancel the round instead."
    ),
    "invalid": _l(
        "The coordinating office cannot be taken out: it confirms the key. Cancel the round, or "
        "create another project."
    ),
    "conflict": _l(
        "The office still takes part in a round that is not over. Take it out of that round "
        "first, amend its terms, or cancel it."
    ),
    "not-found": _l(
        "There is nothing like this any more: somebody was quicker. Load the page again."
    ),
}


@rounds.post("/<id:round_id>/exclusions")
@may_use(Actor.OPERATOR, action=Action.ROUND_EXCLUDE, page=True)
def exclude(round_id: str) -> ResponseReturnValue:
    """Take an office out, or ask for it, or agree to what another operator asked for."""
    office, trouble = _office()
    if not trouble:
        _, trouble = trying(
            lambda: service.exclude_office(installation(), caller(), round_id, office), _WORDS
        )
    return round_page(round_id, trouble) if trouble else _to_round(round_id)


@rounds.post("/<id:round_id>/exclusions/recall")
@may_use(Actor.OPERATOR, action=Action.ROUND_RECALL, page=True)
def recall_exclusion(round_id: str) -> ResponseReturnValue:
    """Take a request to take an office out back."""
    office = request.form.get("office", "")
    _, trouble = trying(
        lambda: service.recall_exclusion(installation(), caller(), round_id, office), _WORDS
    )
    return round_page(round_id, trouble) if trouble else _to_round(round_id)


@rounds.post("/<id:round_id>/expiry")
@may_use(Actor.OPERATOR, action=Action.ROUND_EXPIRE, page=True)
def expire(round_id: str) -> ResponseReturnValue:
    """End a released round now, ask for it, or agree to what another operator asked for."""
    trouble = _unsure()
    if not trouble:
        _, trouble = trying(
            lambda: service.expire_early(installation(), caller(), round_id), _WORDS
        )
    return round_page(round_id, trouble) if trouble else _to_round(round_id)


@rounds.post("/<id:round_id>/expiry/recall")
@may_use(Actor.OPERATOR, action=Action.ROUND_RECALL, page=True)
def recall_expiry(round_id: str) -> ResponseReturnValue:
    """Take a request to end a round early back."""
    _, trouble = trying(lambda: service.recall_expiry(installation(), caller(), round_id), _WORDS)
    return round_page(round_id, trouble) if trouble else _to_round(round_id)


@projects.post("/<id:project_id>/exclusions")
@may_use(Actor.OPERATOR, action=Action.PROJECT_EXCLUDE, page=True)
def exclude_from_project(project_id: str) -> ResponseReturnValue:
    """Take an office out of a project: no later round has it."""
    office, trouble = _office()
    if not trouble:
        _, trouble = trying(
            lambda: project_service.exclude_office(installation(), caller(), project_id, office),
            _WORDS,
        )
    if trouble:
        return project_page(project_id, trouble, part="exclude")
    return redirect(url_for("projects_console.show", project_id=project_id), 303)


def _office() -> tuple[str, str]:
    office = request.form.get("office", "")
    trouble = "" if office else gettext("Choose an office.")
    return office, str(trouble or _unsure())


def _unsure() -> Any:
    if request.form.get("sure") == "yes":
        return ""
    return gettext("Tick that you are sure, then press the button.")


def _to_round(round_id: str) -> ResponseReturnValue:
    return redirect(url_for("rounds_console.show", round_id=round_id), 303)
