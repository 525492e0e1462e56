"""Fields, problems, states and services in the reader's language."""

from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from api.pages.languages import current_language
from linkage.records.advice_zh import ADVICE_ZH
from linkage.records.problems import ADVICE

_FIELDS = {
    "record_id": _l("Number of the record"),
    "name": _l("Child's name"),
    "sex": _l("Sex"),
    "birth_date": _l("Birth date"),
    "id_number": _l("Child's ID number"),
    "guardian_name": _l("Guardian's name"),
    "guardian_phone": _l("Guardian's telephone"),
    "hukou_division": _l("Division of the hukou (code)"),
    "residence_division": _l("Division of residence (code)"),
    "row": _l("Whole row"),
    "given_name": _l("Given name"),
    "surname": _l("Surname"),
}

_STATES = {
    "draft": _l("Being prepared by the operator"),
    "open": _l("Open: sign and send"),
    "frozen": _l("Closed for sending"),
    "matching": _l("Being matched"),
    "review": _l("Being reviewed"),
    "released": _l("Released: fetch your links"),
    "expired": _l("Expired: all was deleted on the server"),
    "cancelled": _l("Cancelled"),
}


_CHECKS = {
    "diffusion": _l("How well bits are hidden (t x fill)"),
    "salt-group": _l("Most records that share one value"),
    "view-missing": _l("Records that lack this part"),
    "records-without-views": _l("Records that cannot be linked at all"),
    "duplicates": _l("Records that repeat another"),
}
_CHECK_ADVICE = {
    "diffusion": _l(
        "Too few values are filled in for this part. Fill in what is missing, or ask the operator "
        "for another profile."
    ),
    "salt-group": _l(
        "Look for one value that stands in many records in place of the real one, such as the "
        "school's telephone, and empty those cells."
    ),
    "view-missing": _l("Check that the right column was chosen, and that it is filled in."),
    "records-without-views": _l("Check the columns and the problems; these records are lost."),
    "duplicates": _l(
        "Look whether the list was put together from files that overlap, and remove the copies."
    ),
}


def check_name(check: str) -> str:
    """What the check before sending looked at."""
    return str(_CHECKS.get(check, check))


def check_advice(check: str) -> str:
    """What to do where a check has found something."""
    return str(_CHECK_ADVICE.get(check, ""))


def field_name(name: str) -> str:
    """A canonical field, as a clerk calls it."""
    return str(_FIELDS.get(name, name))


def advice_for(code: str) -> str:
    """What to do about a problem."""
    if current_language() == "zh":
        return ADVICE_ZH.get(code, code)
    return ADVICE.get(code, code)


def state_name(state: str) -> str:
    """The state of a round."""
    return str(_STATES.get(state, state))


def to_do_name(step: str) -> str:
    """What an office has to do next."""
    names = {
        "sign": gettext("Read and sign the terms"),
        "wait-key": gettext("Wait for the coordinating office to sign"),
        "send": gettext("Encode and send"),
        "sent": gettext("Nothing: everything was sent"),
        "fetch": gettext("Fetch the links"),
        "nothing": gettext("Nothing"),
    }
    return str(names[step])


def list_word(text: str) -> str:
    """A word of the joined list, which has both languages side by side: ``新增 new``."""
    chinese, _, english = text.partition(" ")
    return chinese if current_language() == "zh" or not english else english
