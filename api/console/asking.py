"""Calls a service for a page: a refusal is logged as ever, and shown on the page that asked."""

from collections.abc import Callable
from typing import TypeVar

from api.console.words import refusal_advice
from api.server.problems import record_refused
from api.server.refusals import RefusalError

_Answer = TypeVar("_Answer")


def trying(ask: Callable[[], _Answer]) -> tuple[_Answer | None, str]:
    """What the service gave, or why it refused."""
    try:
        return ask(), ""
    except RefusalError as refusal:
        record_refused(refusal)
        return None, refusal_advice(refusal)
