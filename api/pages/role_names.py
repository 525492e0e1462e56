"""What the roles of offices are called: an id in the terms, words on a page.

Operators choose the ids of roles. Those that the examples and the demo use have words; any other is
shown as it is.
"""

from collections.abc import Mapping
from typing import Final

from flask_babel import LazyString, lazy_gettext

_WORDS: Final[Mapping[str, LazyString]] = {
    "residence-civil-affairs": lazy_gettext("residence-civil-affairs"),
    "origin-civil-affairs": lazy_gettext("origin-civil-affairs"),
    "civil-affairs": lazy_gettext("civil-affairs"),
    "education": lazy_gettext("education"),
    "public-security": lazy_gettext("public-security"),
    "health": lazy_gettext("health"),
    "medical-insurance": lazy_gettext("medical-insurance"),
    "disability-federation": lazy_gettext("disability-federation"),
}


def role_name(role: str) -> str:
    """A role in the reader's language, with the id that is signed: ``教育 education``."""
    words = str(_WORDS.get(role, role))
    return role if words == role else f"{words} {role}"
