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
