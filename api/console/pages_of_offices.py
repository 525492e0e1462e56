"""Offices: approved after their fingerprint was compared by telephone, and revoked."""

from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from api.audit.events import Action
from api.console.asking import trying
from api.server.auth import caller, installation, may_use
from api.server.round_states import Actor
from api.server.services import members as service

offices = Blueprint("offices_console", __name__, url_prefix="/console/offices")

_MAX_REASON_CHARACTERS = 500
_WORDS: Final = {
    "second-person": _l(
        "Who revoked an office's key does not approve its next one. Another operator has to."
    ),
}


@offices.get("/")
@may_use(Actor.OPERATOR, Actor.AUDITOR, action=Action.MEMBER_LIST, page=True)
def list_offices() -> ResponseReturnValue:
    """All offices, those that wait for approval first."""
    return _page("")


@offices.post("/<id:member_id>/approval")
@may_use(Actor.OPERATOR, action=Action.MEMBER_APPROVE, page=True)
def approve(member_id: str) -> ResponseReturnValue:
    """Approve an office by the fingerprint that it read out."""
    fingerprint = "-".join(request.form.get("fingerprint", "").replace("-", " ").split())
    _, trouble = trying(
        lambda: service.approve(installation(), caller(), member_id, fingerprint), _WORDS
    )
    return _page(trouble) if trouble else redirect(url_for(".list_offices"), 303)


@offices.post("/<id:member_id>/revocation")
@may_use(Actor.OPERATOR, action=Action.MEMBER_REVOKE, page=True)
def revoke(member_id: str) -> ResponseReturnValue:
    """Refuse all further requests of an office."""
    reason = " ".join(request.form.get("reason", "").split())
    if not 0 < len(reason) <= _MAX_REASON_CHARACTERS:
        return _page(gettext("Say in a few words why; it goes into the access log."))
    _, trouble = trying(lambda: service.revoke(installation(), caller(), member_id, reason))
    return _page(trouble) if trouble else redirect(url_for(".list_offices"), 303)


def _page(trouble: str) -> ResponseReturnValue:
    found = service.list_members(installation(), caller())
    entries = [member for member in found if member["kind"] == "office"]
    entries.sort(key=lambda member: (member["state"] != "pending", member["id"]))
    page = render_template("console/offices.html", offices=entries, trouble=trouble)
    return page, 422 if trouble else 200
