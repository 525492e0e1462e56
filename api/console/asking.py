"""Calls a service for a page: a refusal is logged as ever, and shown on the page that asked."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from api.console.words import refusal_advice
from api.pages.languages import current_language
from api.server.problems import record_refused
from api.server.refusals import RefusalError

_Answer = TypeVar("_Answer")


def trying(
    ask: Callable[[], _Answer], words: Mapping[str, object] | None = None
) -> tuple[_Answer | None, str]:
    """What the service gave, or why it refused.

    Args:
        words: for kinds of refusals that mean something more exact here than elsewhere.
    """
    try:
        return ask(), ""
    except RefusalError as refusal:
        record_refused(refusal)
        exact = (words or {}).get(refusal.slug)
        # In English, the refusal's own message is more exact still.
        if exact is None or current_language() == "en":
            return None, refusal_advice(refusal)
        return None, str(exact)
