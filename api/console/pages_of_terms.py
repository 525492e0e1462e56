"""Amending the terms of a round: a form, then what changes and what that does, then the deed."""

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError

from api.audit.events import Action
from api.console.asking import trying
from api.console.pages_of_rounds import explained, rounds
from api.console.visibility import (
    FIELD,
    VisibilityForm,
    form_as_sent,
    form_of_terms,
    same_links,
    visibility_in_words,
)
from api.console.words import solve_name
from api.server.auth import caller, installation, may_use
from api.server.round_states import Actor
from api.server.schemas.terms import TERMS_FORMAT, Terms, TermsSchema
from api.server.services import rounds as service

terms_pages: Final[Blueprint] = rounds

_LABELS: Final = {
    "purpose": _l("Purpose"),
    "solve": _l("How links are made"),
    "threshold": _l("Least score of a link"),
    "retention_days": _l("Days until all is deleted"),
    "max_records": _l("Records of an office, at most"),
    "secret_epoch": _l("Number of the linkage secret"),
    "min_witnesses": _l("Witnesses of the access log before a release"),
}
_WHOLE: Final = ("retention_days", "max_records", "secret_epoch", "min_witnesses")


@rounds.get("/<id:round_id>/terms")
@may_use(Actor.OPERATOR, action=Action.ROUND_READ, page=True)
def show_terms(round_id: str) -> ResponseReturnValue:
    """The form, filled with the terms as they are."""
    round_ = service.read_round(installation(), caller(), round_id)
    return _page(round_, _given(round_["terms"]), "")


@rounds.post("/<id:round_id>/terms")
@may_use(Actor.OPERATOR, action=Action.ROUND_AMEND, page=True)
def amend(round_id: str) -> ResponseReturnValue:
    """Show what changes; with the second press, change it."""
    round_ = service.read_round(installation(), caller(), round_id)
    given = {name: request.form.get(name, "").strip() for name in _LABELS}
    try:
        document = _document(round_["terms"], given)
    except (ValidationError, ValueError) as error:
        return _page(round_, given, explained(error))
    changes = _changes(round_["terms"], document)
    if not changes:
        return _page(round_, given, gettext("Nothing would change."))
    if request.form.get("step") != "amend" or request.form.get("sure") != "yes":
        return _page(round_, given, "", changes)
    profile = service.read_profile(installation(), caller(), round_id)
    _, trouble = trying(
        lambda: service.amend_terms(installation(), caller(), round_id, Terms(document), profile)
    )
    if trouble:
        return _page(round_, given, trouble)
    return redirect(url_for(".show", round_id=round_id), 303)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What differs: its name, how it was, and how it will be."""
    found = [(str(label), _shown(before, n), _shown(after, n)) for n, label in _LABELS.items()]
    members, seen = before["members"], [before["visibility"], after["visibility"]]
    if seen[0] != seen[1]:
        words = [visibility_in_words(members, each) for each in seen]
        found.append((gettext("Who sees links"), words[0], words[1]))
    return [(label, old, new) for label, old, new in found if old != new]


def _page(
    round_: Mapping[str, Any],
    given: Mapping[str, str],
    trouble: str,
    changes: list[tuple[str, str, str]] | None = None,
) -> ResponseReturnValue:
    terms = round_["terms"]
    page = render_template(
        "console/amend.html",
        round=round_,
        visibility=_visibility(terms),
        given=given,
        fields=tuple(_LABELS),
        trouble=trouble,
        changes=changes,
        n_signed=sum(member["signed"] for member in round_["members"]),
        n_uploaded=sum(member["uploaded"] for member in round_["members"]),
    )
    return page, 422 if trouble else 200


def _visibility(terms: Mapping[str, Any]) -> VisibilityForm:
    if FIELD in request.form:
        return form_as_sent(terms["members"], request.form)
    return form_of_terms(terms["members"], terms["visibility"])


def _given(terms: Mapping[str, Any]) -> dict[str, str]:
    # Terms of older rounds say nothing of witnesses: amended, they do.
    given = {name: str(terms.get(name, 0)) for name in _LABELS}
    return given | {"threshold": "" if terms["threshold"] == "auto" else given["threshold"]}


def _document(terms: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    try:
        numbers = {name: int(given[name]) for name in _WHOLE}
        threshold = float(given["threshold"]) if given["threshold"] else "auto"
    except ValueError as error:
        raise ValueError(gettext("Write a whole number where a number is asked for.")) from error
    members, visibility = terms["members"], terms["visibility"]
    chosen = _visibility(terms).value()
    wanted = {
        "purpose": given["purpose"],
        "solve": given["solve"],
        "threshold": threshold,
        # The same in other words is no change that anybody has to sign again.
        "visibility": visibility if same_links(members, chosen, visibility) else chosen,
    }
    document: dict[str, Any] = TermsSchema().load(
        {**terms, "format": TERMS_FORMAT, **wanted, **numbers}
    )
    return document


def _shown(terms: Mapping[str, Any], name: str) -> str:
    value = terms.get(name, 0)
    if name == "solve":
        return solve_name(value)
    return gettext("estimated from the encodings") if value == "auto" else str(value)
