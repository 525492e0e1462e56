"""What can be wrong with the log where it lies, each with its message.

A kind is the same for ever: pages say it in the reader's language, commands in these words.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FaultKind(StrEnum):
    """Kinds of faults of a stored log."""

    HEAD = "head"
    TILES = "tiles"
    ENTRY_MISSING = "entry-missing"
    ENTRY_CHANGED = "entry-changed"
    ENTRY_MALFORMED = "entry-malformed"
    ENTRY_NUMBER = "entry-number"
    ENTRY_COLUMNS = "entry-columns"
    TIME_BACKWARDS = "time-backwards"
    ROOT = "root"
    HEAD_TIME = "head-time"
    SUBTREES = "subtrees"
    CHECKPOINT_UNUSABLE = "checkpoint-unusable"
    CHECKPOINT_CHANGED = "checkpoint-changed"
    CHECKPOINT_FORKED = "checkpoint-forked"
    COSIGNATURE = "cosignature"


_MESSAGES: Final = {
    FaultKind.HEAD: "The head of the log cannot be used: {cause}",
    FaultKind.TILES: "Tiles of sealed entries are missing or damaged: {cause}.",
    FaultKind.ENTRY_MISSING: "Entry {place} is missing.",
    FaultKind.ENTRY_CHANGED: "Entry {place} is not what was hashed when it was logged.",
    FaultKind.ENTRY_MALFORMED: "Entry {place} is none: {cause}.",
    FaultKind.ENTRY_NUMBER: "Entry {place} bears another number.",
    FaultKind.ENTRY_COLUMNS: "The columns to search entry {place} by are not what it says.",
    FaultKind.TIME_BACKWARDS: "The time of entry {place} is before that of the one before it.",
    FaultKind.ROOT: "The entries do not lead to the head of the log.",
    FaultKind.HEAD_TIME: "The head's time is not that of the last entry.",
    FaultKind.SUBTREES: "The stored subtrees are not those of the entries.",
    FaultKind.CHECKPOINT_UNUSABLE: (
        "The checkpoint over {place} entries cannot be used: {cause}."
    ),
    FaultKind.CHECKPOINT_CHANGED: "The checkpoint over {place} entries was changed.",
    FaultKind.CHECKPOINT_FORKED: "The checkpoint over {place} entries is of another history.",
    FaultKind.COSIGNATURE: (
        "A cosignature of the checkpoint over {place} entries was changed."
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredFault:
    """One thing that is wrong.

    Attributes:
        place: index of the entry, or size of the checkpoint; ``None`` where it is the whole log.
        cause: more, in English; not a value of the log.
    """

    kind: FaultKind
    place: int | None = None
    cause: str = ""

    def __str__(self) -> str:
        return _MESSAGES[self.kind].format(place=self.place, cause=self.cause)
