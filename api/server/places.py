"""Where offices stand in flows of children between counties."""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """On which side of a move an office stands."""

    ORIGIN = "origin"
    RESIDENCE = "residence"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an office stands.

    Attributes:
        division: six-digit county code (GB/T 2260).
    """

    division: str
    side: Side
