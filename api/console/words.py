"""States, steps and refusals in the reader's language."""

from collections.abc import Mapping
from typing import Any

from flask_babel import format_decimal, gettext
from flask_babel import lazy_gettext as _l

from api.console.log_words import reason_words
from api.pages.languages import current_language
from api.server.refusals import RefusalError
from linkage.division_table import full_name

_STATES = {
    "draft": _l("Draft"),
    "open": _l("Open for signing and sending"),
    "frozen": _l("Uploads closed"),
    "matching": _l("Being matched"),
    "review": _l("Waiting for release"),
    "released": _l("Released"),
    "expired": _l("Expired"),
    "cancelled": _l("Cancelled"),
}

_SIDES = {
    "origin": _l("Origin: children come from there"),
    "residence": _l("Residence: children live there now"),
}

_SOLVE_MODES = {
    "groups": _l("Groups of all offices' records that are one child"),
    "one-to-one": _l("Pairs, each record at most once for each other office"),
    "pairs": _l("All pairs above the threshold"),
}

_STAGES = {
    "queued": _l("Waiting for a worker"),
    "starting": _l("Starting"),
    "reading": _l("Reading encodings"),
    "candidates": _l("Learning from a sample"),
    "compare": _l("Comparing records"),
    "score": _l("Scoring pairs"),
    "solve": _l("Choosing links"),
    "writing": _l("Writing links"),
    "done": _l("Done"),
}

_ADVICE = {
    "forbidden": _l("Your role may not do this."),
    "not-found": _l("There is no such thing here. Perhaps the address is old."),
    "second-person": _l("Who ran the round may not release it. Another operator has to."),
    "forged": _l("This was not sent by a page of this server. Open the page again and repeat."),
    "too-many": _l("Too many attempts. Wait some minutes, then try again."),
    "bad-login": _l(
        "Id, password and code do not belong together. A code is good once and for a minute."
    ),
    "bad-return": _l(
        "This way back belongs to no login that was begun in this browser, or it took too long. "
        "Begin again."
    ),
    "not-invited": _l(
        "With this account nobody may log in here. If you were invited, enrol with your invitation "
        "first; otherwise ask an administrator."
    ),
    "provider-away": _l(
        "The other log-in service does not answer. Log in with id and password, or try again later."
    ),
    "unavailable": _l("The server cannot do this now. Nothing was changed; try again in a minute."),
    "internal": _l(
        "The server failed. Nothing was changed; give the number below to the technician."
    ),
    "method-not-allowed": _l("This address cannot be used this way. Use the button on the page."),
}

_IN_SHORT = {
    "unsigned": _l("The request is not signed."),
    "bad-signature": _l("The signature does not fit."),
    "expired-signature": _l("The signature is too old, or a clock is wrong."),
    "replayed": _l("The request was seen before."),
    "no-session": _l("Log in first."),
    "wrong-state": _l("The round's state does not allow this. Load the page again."),
    "conflict": _l("There is one with this id already, or it was changed. Choose another id."),
    "not-signed": _l("The terms are not signed yet."),
    "not-reviewed": _l("Read the review of this result first: the round was matched anew since."),
    "not-witnessed": _l(
        "Too few witnesses have signed the access log since the matching. Ask auditors and "
        "offices to run 'tongqiao audit witness', then release again."
    ),
    "no-confirmation": _l("The coordinating office has not confirmed the key yet."),
    "wrong-offset": _l("The sending stands somewhere else."),
    "digest-mismatch": _l("What arrived is not what was signed. Send it again."),
    "cut-off": _l("The connection broke. Send it again."),
    "too-large": _l("That is too large. Send less."),
    "invalid": _l("Something in the form is missing or wrong."),
    "wrong-secret": _l("It was encoded with another secret."),
    "wrong-profile": _l("The profile is not the one that the terms name."),
    "bad-upload": _l("That is no valid encoded file."),
}
"""Refusals whose own message says more; pages in English show that instead."""


def state_name(state: str) -> str:
    """The state of a round."""
    return str(_STATES.get(state, state))


def county_name(code: str) -> str:
    """A county with its city or province, as the national table names it; else its code."""
    return full_name(code) or code


def side_name(side: str) -> str:
    """On which side of a move an office stands."""
    return str(_SIDES.get(side, side))


def solve_name(mode: str) -> str:
    """How links are made."""
    return str(_SOLVE_MODES.get(mode, mode))


def solve_choices() -> list[tuple[str, str]]:
    """Every way to make links, and what it is called."""
    return [(mode, str(words)) for mode, words in _SOLVE_MODES.items()]


def stage_name(stage: str | None) -> str:
    """The stage of a matching."""
    return str(_STAGES.get(stage or "queued", stage))


def time_left(seconds: float | None) -> str:
    """How long a stage will take, no more exact than an estimate is; empty if nobody knows."""
    if seconds is None:
        return ""
    if seconds < 60:
        return str(gettext("about %(n)s s left", n=max(1, round(seconds))))
    minutes = round(seconds / 60)
    if minutes < 60:
        return str(gettext("about %(n)s min left", n=minutes))
    hours, minutes = divmod(minutes, 60)
    return str(gettext("about %(h)s h %(n)s min left", h=hours, n=minutes))


def figures_of(progress: Mapping[str, Any]) -> list[str]:
    """Pairs compared and kept so far, and the rate: what is known of them."""
    compared, rate, kept = (
        None if progress[name] is None else format_decimal(progress[name])
        for name in ("n_pairs", "pairs_per_s", "n_candidates")
    )
    texts = (
        compared and gettext("%(n)s pairs compared", n=compared),
        rate and gettext("%(n)s pairs a second", n=rate),
        kept and gettext("%(n)s pairs kept", n=kept),
    )
    return [str(text) for text in texts if text]


def refusal_advice(refusal: RefusalError) -> str:
    """What was refused and what to do, in the reader's language, by the kind of refusal.

    In English the refusal's own message is more exact; it is never translated.
    """
    words = _ADVICE.get(refusal.slug)
    if words is not None:
        return str(words)
    if current_language() == "en":
        return refusal.detail
    told = str(_IN_SHORT.get(refusal.slug, _ADVICE["internal"]))
    if refusal.slug == "invalid" and refusal.errors:
        fields = "、".join(sorted(map(str, refusal.errors)))
        return str(gettext("Correct these fields: %(fields)s.", fields=fields))
    return told


def failure_words(reason: str | None) -> str:
    """Why a matching failed, by the reason in the log."""
    return reason_words(reason) or str(_ADVICE["internal"])


def to_do_of_member(round_: dict[str, object], member: dict[str, object]) -> str:
    """What an office of a round still has to do."""
    if round_["state"] != "open" or member["withdrawn"]:
        return ""
    if not member["signed"]:
        return str(gettext("Sign the terms"))
    if not round_["key_confirmed"]:
        return str(gettext("Wait for the coordinating office"))
    return "" if member["uploaded"] else str(gettext("Send the list"))
