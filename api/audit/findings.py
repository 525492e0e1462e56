"""What verification can find, and telling one kind of tampering from another.

Only the standard library. An entry holds its own index, so a careless change shows by itself. A
careful one (an entry removed, and all after it numbered anew) is told from the leaf hashes of an
earlier verification: numbered back, an untouched entry gives its old leaf hash again.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from api.audit.events import renumbered
from api.audit.merkle import leaf_hash

_WINDOW: Final = 64
"""So far from its expected place an entry that was numbered anew is looked for."""

_MAX_SEARCHES: Final = 2000
"""After so many entries not found, the window is not searched any more: nearly all is changed."""


class Kind(StrEnum):
    """Kinds of findings; each has a message of its own."""

    ENTRY_MALFORMED = "entry-malformed"
    ENTRY_CHANGED = "entry-changed"
    ENTRY_REMOVED = "entry-removed"
    ENTRY_INSERTED = "entry-inserted"
    ENTRY_REORDERED = "entry-reordered"
    TAIL_CUT = "tail-cut"
    TIME_BACKWARDS = "time-backwards"
    HISTORY_FORKED = "history-forked"
    CHECKPOINT_MISSING = "checkpoint-missing"
    CHECKPOINT_MALFORMED = "checkpoint-malformed"
    CHECKPOINT_CHANGED = "checkpoint-changed"
    CHECKPOINT_REPLAYED = "checkpoint-replayed"
    CHECKPOINT_SIGNATURE = "checkpoint-signature"
    CHECKPOINT_KEY_CHANGED = "checkpoint-key-changed"
    COSIGNATURE = "cosignature"
    KEY_MISSING = "key-missing"
    STATE_MISSING = "state-missing"
    STATE_CHANGED = "state-changed"
    FETCH_INTERRUPTED = "fetch-interrupted"
    FETCH_REFUSED = "fetch-refused"


SERVERS_FAULTS: Final = frozenset({Kind.ENTRY_MALFORMED, Kind.TIME_BACKWARDS})
"""What a server can have signed so: the folder is as it was fetched, and can be fetched on."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        message: plain words, without values of the log.
        index: of the first entry concerned, if there is one.
    """

    kind: Kind
    message: str
    index: int | None = None


def compare_with_verified(
    lines: Sequence[bytes],
    verified: Sequence[bytes],
    *,
    first: int = 0,
    newer_follow: bool = False,
    older_follow: bool = False,
) -> list[Finding]:
    """What happened to entries since they were verified.

    Args:
        lines: the entries as they are now, without newlines, from place ``first`` on.
        verified: leaf hashes (32 bytes) of the entries as they were, from index ``first`` on.
        newer_follow: whether entries after the last verified one are expected.
        older_follow: whether both go on beyond what is given, so that their ends say nothing.
    """
    origins = _find_origins(lines, verified, first)
    used = {origin for origin in origins if origin is not None}
    places = [place for place, origin in enumerate(origins) if origin is not None]
    matched = [origin for origin in origins if origin is not None]
    kept = _longest_rising(matched)
    kept_set = set(kept)
    moved = [origin for at, origin in enumerate(matched) if at not in kept_set]

    changed: list[int] = []
    removed: list[int] = []
    inserted: list[int] = []
    anchors = [(places[at], matched[at]) for at in kept]
    place, origin = -1, -1
    for next_place, next_origin in [*anchors, (len(lines), len(verified))]:
        new = [p for p in range(place + 1, next_place) if origins[p] is None]
        gone = [i for i in range(origin + 1, next_origin) if i not in used]
        both = min(len(new), len(gone))
        changed += gone[:both]
        if next_place == len(lines) and len(gone) > both:
            cut = [] if older_follow else gone[both:]
        else:
            removed += gone[both:]
            cut = []
        if not ((newer_follow or older_follow) and next_place == len(lines)):
            inserted += new[both:]
        place, origin = next_place, next_origin
    changed, removed, inserted, moved, cut = (
        [first + at for at in places] for places in (changed, removed, inserted, moved, cut)
    )
    return [
        *_about(Kind.ENTRY_CHANGED, changed, "{was} changed after the log had been verified"),
        *_about(Kind.ENTRY_REMOVED, removed, "{was} removed after the log had been verified"),
        *_about(
            Kind.ENTRY_INSERTED, inserted, "{was} inserted after the log had been verified", "line"
        ),
        *_about(Kind.ENTRY_REORDERED, sorted(moved), "{was} moved to another place"),
        *_about(Kind.TAIL_CUT, cut, "{was} cut off the end of the log"),
    ]


def classify_by_index(indexes: Sequence[int | None]) -> list[Finding]:
    """What the entries' own numbers show, where nothing was verified before.

    Args:
        indexes: the index in each line; ``None`` for one that cannot be read.
    """
    known = [index for index in indexes if index is not None]
    present = set(known)
    unreadable = {place for place, index in enumerate(indexes) if index is None}
    stop = max(known, default=-1) + 1
    # A few wild numbers must not make a list of billions of missing ones.
    missing = [
        index
        for index in range(min(stop, 2 * len(indexes) + 1))
        if index not in present and index not in unreadable
    ]
    first: list[int] = []
    repeated: list[int] = []
    seen: set[int] = set()
    for index in known:
        (repeated if index in seen else first).append(index)
        seen.add(index)
    kept = set(_longest_rising(first))
    moved = [index for at, index in enumerate(first) if at not in kept]
    return [
        *_about(Kind.ENTRY_REMOVED, missing, "{was} removed: others before and after are here"),
        *_about(
            Kind.ENTRY_INSERTED,
            sorted(set(repeated)),
            "{was} inserted: the same number is here more than once",
        ),
        *_about(Kind.ENTRY_REORDERED, sorted(moved), "{was} moved to another place"),
    ]


def _find_origins(
    lines: Sequence[bytes], verified: Sequence[bytes], first: int
) -> list[int | None]:
    """For each line the place in ``verified`` of what it was; each place is given once."""
    where = {leaf: index for index, leaf in enumerate(verified)}
    taken: set[int] = set()
    origins: list[int | None] = []
    shift = searches = 0
    for place, line in enumerate(lines):
        origin = where.get(leaf_hash(line))
        if origin is None:
            window = _WINDOW if searches < _MAX_SEARCHES else 0
            origin = _find_renumbered(line, verified, first, place + shift, window)
            searches += origin is None
        if origin is None or origin in taken:
            origins.append(None)
            continue
        taken.add(origin)
        origins.append(origin)
        shift = origin - place
    return origins


def _find_renumbered(
    line: bytes, verified: Sequence[bytes], first: int, expected: int, window: int
) -> int | None:
    for distance in range(window + 1):
        for index in {expected - distance, expected + distance}:
            if 0 <= index < len(verified):
                body = renumbered(line, first + index)
                if body is None:
                    return None
                if leaf_hash(body) == verified[index]:
                    return index
    return None


def _longest_rising(values: Sequence[int]) -> list[int]:
    """Positions of a longest strictly rising subsequence, in order."""
    tails: list[int] = []
    tail_at: list[int] = []
    before: list[int] = []
    for at, value in enumerate(values):
        length = bisect_left(tails, value)
        before.append(tail_at[length - 1] if length else -1)
        if length == len(tails):
            tails.append(value)
            tail_at.append(at)
        else:
            tails[length] = value
            tail_at[length] = at
    result = []
    at = tail_at[-1] if tail_at else -1
    while at >= 0:
        result.append(at)
        at = before[at]
    return result[::-1]


def _about(kind: Kind, indexes: Sequence[int], what: str, noun: str = "entry") -> list[Finding]:
    """One finding for each run of neighbours; lines are counted from 1, as editors do."""
    findings = []
    offset = 1 if noun == "line" else 0
    plural = "Lines" if noun == "line" else "Entries"
    for start, stop in _runs(indexes):
        which = (
            f"{noun.capitalize()} {start + offset}"
            if start == stop
            else f"{plural} {start + offset} to {stop + offset}"
        )
        was = "was" if start == stop else "were"
        findings.append(Finding(kind, f"{which} {what.format(was=was)}.", start))
    return findings


def _runs(indexes: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for index in indexes:
        if runs and index == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs
