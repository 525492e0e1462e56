"""Logging in, and enrolling, at an OpenID provider: away, back, and the code where it is owed.

People are sent away by a page of ours that leads on, not by the answer to a form: the policy of all
pages lets forms lead to this server only (``form-action``).
"""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from api.audit.events import Action
from api.console.asking import trying
from api.console.pages_of_session import address_after
from api.server.auth import (
    anyone_may,
    caller,
    forget_provider_login,
    installation,
    keep_provider_login,
    keep_session,
    provider_login_token,
)
from api.server.services import provider_logins
from api.server.services.openid import Return
from api.server.services.provider_logins import PENDING_S, Arrival

provider_pages = Blueprint("provider_console", __name__, url_prefix="/console/login")

_MAX_CHARACTERS = 4096


@provider_pages.post("/provider")
@anyone_may(Action.LOGIN_BEGIN, page=True)
def leave() -> ResponseReturnValue:
    """To the provider: to log in, or to enrol with an invitation."""
    given = {name: request.form.get(name, "").strip() for name in ("after", "person", "invitation")}
    away, trouble = trying(
        lambda: provider_logins.begin_provider_login(
            installation(),
            caller(),
            after=given["after"],
            person_id=given["person"],
            invitation=given["invitation"],
        )
    )
    if away is None:
        return _login_page(trouble, given["after"])
    answer = make_response(render_template("console/away.html", url=away.url))
    keep_provider_login(answer, away.browser, PENDING_S)
    return answer


@provider_pages.get("/return")
@anyone_may(Action.SESSION_BEGIN, page=True)
def come_back() -> ResponseReturnValue:
    """Back from the provider; answers by leading on, so that no page is shown at this address."""
    back = Return(
        state=_only(request.args, "state"),
        code=_only(request.args, "code"),
        issuer=_only(request.args, "iss"),
        error=_only(request.args, "error"),
    )
    arrival, trouble = trying(
        lambda: provider_logins.come_back(installation(), caller(), provider_login_token(), back)
    )
    return _login_page(trouble) if arrival is None else _lead_on(arrival)


@provider_pages.get("/code")
def show_code() -> ResponseReturnValue:
    """The form for the code of the app, where the provider saw no second factor."""
    provider_logins.provider_of(installation())
    return render_template("console/login_code.html", trouble="")


@provider_pages.post("/code")
@anyone_may(Action.SESSION_BEGIN, page=True)
def complete() -> ResponseReturnValue:
    """Log in with the code."""
    code = request.form.get("code", "").strip()
    arrival, trouble = trying(
        lambda: provider_logins.complete_with_code(
            installation(), caller(), provider_login_token(), code
        )
    )
    if arrival is None:
        return render_template("console/login_code.html", trouble=trouble), 401
    return _lead_on(arrival)


def _lead_on(arrival: Arrival) -> Response:
    if arrival.session is None:
        answer = make_response(redirect(url_for(".show_code"), 303))
        keep_provider_login(answer, arrival.browser or "", PENDING_S)
        return answer
    if arrival.recovery_codes:
        answer = make_response(
            render_template(
                "console/enrol.html", step="done", trouble="", given={},
                codes=arrival.recovery_codes, session_begun=True,
            )
        )  # fmt: skip
    else:
        answer = make_response(redirect(address_after(arrival.after), 303))
    keep_session(answer, arrival.session[0])
    forget_provider_login(answer)
    return answer


def _login_page(trouble: str, after: str = "") -> Response:
    answer = make_response(render_template("console/login.html", trouble=trouble, after=after), 401)
    forget_provider_login(answer)
    return answer


def _only(arguments: MultiDict[str, str], name: str) -> str | None:
    values = arguments.getlist(name)
    return values[0] if len(values) == 1 and len(values[0]) <= _MAX_CHARACTERS else None
