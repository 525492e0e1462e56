"""Unusual access in a log: rules that look at who, when, where from and how often.

A finding is a question, not an accusation: an auditor looks at it and marks it. Each rule reads the
entries once, in order; what came before the period that is looked at only teaches what is usual.

Only the standard library.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from api.audit.events import Action, Entry

LOCAL_TIME: Final = timezone(timedelta(hours=8), "Asia/Shanghai")
"""The time by which nights are told: China has one, without summer time."""

NIGHT_FROM_HOUR: Final = 22
NIGHT_TO_HOUR: Final = 6
BURST_WINDOW: Final = timedelta(minutes=10)
BURST_DOWNLOADS: Final = 60
BURST_REFUSALS: Final = 10

DOWNLOADS: Final = frozenset(
    {
        str(Action.RESULTS_READ), str(Action.SECRET_GET), str(Action.LOG_READ),
        str(Action.TILE_READ), str(Action.REVIEW_READ),
    }
)  # fmt: skip
"""What takes data out of the server."""

KINDS: Final = {
    "first-address": ("从未用过的地址", "First use of an address"),
    "night": ("夜间访问", "Access at night"),
    "download-burst": ("短时间大量下载", "Burst of downloads"),
    "refusal-burst": ("短时间多次被拒", "Burst of refusals"),
    "two-roles": ("同一人以两种角色操作", "One person in two roles"),
    "one-address": ("须由两人完成的操作来自同一地址", "What takes two people, from one address"),
}
"""Kind -> what it is called in Chinese and in English."""


@dataclass(frozen=True, slots=True)
class UnusualAccess:
    """Something to look at.

    Attributes:
        kind: a key of :data:`KINDS`.
        who: the member, or the address where nobody is known.
        entry: index of the first entry concerned.
        time: of that entry.
        n_entries: entries concerned.
        detail: an address, a round or a count, for people.
    """

    kind: str
    who: str
    entry: int
    time: str
    n_entries: int
    detail: str

    @property
    def id(self) -> str:
        """The same for the same finding in every report: 32 hex characters."""
        text = f"{self.kind}\n{self.who}\n{self.entry}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Mark:
    """That somebody looked at a finding."""

    finding: str
    verdict: str
    by: str
    time: str


def marks_in(entries: Iterable[Entry]) -> dict[str, Mark]:
    """The last mark of each finding, by the finding's id."""
    marks = {}
    for entry in entries:
        finding, verdict = entry.details.get("finding"), entry.details.get("verdict")
        if entry.action == Action.FINDING_MARK and entry.outcome == "granted":
            marks[str(finding)] = Mark(str(finding), str(verdict), entry.actor or "-", entry.time)
    return marks


@dataclass(slots=True)
class _Burst:
    """Entries of one caller within the window, and the burst that goes on, if one does."""

    times: deque[tuple[datetime, Entry]] = field(default_factory=deque)
    first: Entry | None = None
    n_entries: int = 0

    def add(self, moment: datetime, entry: Entry, most: int) -> tuple[Entry, int] | None:
        """The burst that this entry completes or goes on with: its first entry, and how many."""
        self.times.append((moment, entry))
        while moment - self.times[0][0] > BURST_WINDOW:
            self.times.popleft()
        if len(self.times) == 1:
            self.first = None
        if self.first is not None:
            self.n_entries += 1
        elif len(self.times) >= most:
            self.first, self.n_entries = self.times[0][1], len(self.times)
        return None if self.first is None else (self.first, self.n_entries)


def find_unusual(entries: Iterable[Entry], since: str, until: str) -> list[UnusualAccess]:
    """What is unusual in a period, in the order of the log.

    Args:
        entries: the whole log up to the period's end, in order.
        since, until: times as in entries; ``until`` is not in the period any more.
    """
    rules = _Rules()
    found: list[UnusualAccess] = []
    for entry in entries:
        told = list(rules.look(entry))
        if since <= entry.time < until:
            found += told
    return sorted(_merged(found), key=lambda one: (one.entry, one.kind))


def _merged(found: Iterable[UnusualAccess]) -> Iterable[UnusualAccess]:
    """One finding for a person's night, and one for a burst, with how many entries it has."""
    merged: dict[tuple[str, ...], UnusualAccess] = {}
    for one in found:
        key = (one.kind, one.who, one.detail if one.kind == "night" else str(one.entry))
        known = merged.get(key)
        if known is None or one.kind != "night":
            merged[key] = one
        else:
            merged[key] = replace(known, n_entries=known.n_entries + 1)
    return merged.values()


_Deed = tuple[str | None, ...]
"""What takes two people: project, round, what it is, and the office that it is about."""

_SECONDS: Final = {
    str(Action.ROUND_RELEASE): "release",
    str(Action.ROUND_EXCLUDE): "exclude",
    str(Action.ROUND_EXPIRE): "expire",
}
"""What the second person does -> what the first one began."""


class _Rules:
    def __init__(self) -> None:
        self._addresses: dict[str, set[str]] = defaultdict(set)
        self._roles: dict[str, set[str]] = defaultdict(set)
        self._downloads: dict[str, _Burst] = defaultdict(_Burst)
        self._refusals: dict[str, _Burst] = defaultdict(_Burst)
        self._nights: dict[str, UnusualAccess] = {}
        self._firsts: dict[_Deed, tuple[str, str | None]] = {}

    def look(self, entry: Entry) -> Iterator[UnusualAccess]:
        """What is unusual about the next entry."""
        moment = datetime.fromisoformat(entry.time).astimezone(UTC)
        yield from self._look_at_bursts(entry, moment)
        if entry.actor is None:
            return
        who = entry.actor
        if entry.outcome == "granted":
            yield from self._look_at_night(entry, who, moment)
        if entry.origin is not None and entry.origin not in self._addresses[who]:
            if self._addresses[who]:
                yield _unusual("first-address", who, entry, entry.origin)
            self._addresses[who].add(entry.origin)
        if entry.role is not None and entry.role not in self._roles[who]:
            if self._roles[who]:
                yield _unusual("two-roles", who, entry, ", ".join(
                    sorted({*self._roles[who], entry.role})))  # fmt: skip
            self._roles[who].add(entry.role)
        yield from self._look_at_two_people(entry, who)

    def _look_at_bursts(self, entry: Entry, moment: datetime) -> Iterator[UnusualAccess]:
        who = entry.actor or entry.origin
        if who is None:
            return
        for kind, is_meant, bursts, most in (
            ("download-burst", entry.action in DOWNLOADS and entry.outcome == "granted",
             self._downloads, BURST_DOWNLOADS),
            ("refusal-burst", entry.outcome == "refused", self._refusals, BURST_REFUSALS),
        ):  # fmt: skip
            if is_meant:
                burst = bursts[who].add(moment, entry, most)
                if burst is not None:
                    first, n_entries = burst
                    minutes = int(BURST_WINDOW.total_seconds() // 60)
                    yield UnusualAccess(
                        kind, who, first.index, first.time, n_entries, f"≥ {most} / {minutes} min"
                    )

    def _look_at_night(self, entry: Entry, who: str, moment: datetime) -> Iterator[UnusualAccess]:
        local = moment.astimezone(LOCAL_TIME)
        if NIGHT_TO_HOUR <= local.hour < NIGHT_FROM_HOUR:
            return
        # The hours after midnight belong to the evening before.
        evening = (local - timedelta(hours=NIGHT_TO_HOUR)).date().isoformat()
        known = self._nights.get(who)
        if known is None or known.detail != evening:
            known = self._nights[who] = _unusual("night", who, entry, evening)
        yield known

    def _look_at_two_people(self, entry: Entry, who: str) -> Iterator[UnusualAccess]:
        if entry.outcome != "granted":
            return
        office = entry.details.get("office")
        of = entry.project, entry.round
        about = office if isinstance(office, str) else None
        if entry.action == Action.ROUND_RUN:
            self._firsts[(*of, "release", None)] = who, entry.origin
        elif entry.action == Action.ROUND_ASK:
            self._firsts[(*of, str(entry.details.get("what")), about)] = who, entry.origin
        elif entry.action in _SECONDS:
            first = self._firsts.get((*of, _SECONDS[entry.action], about))
            if first is not None and first[0] != who and first[1] == entry.origin is not None:
                yield _unusual("one-address", who, entry, f"{first[0]}, {entry.origin}")


def _unusual(kind: str, who: str, entry: Entry, detail: str) -> UnusualAccess:
    return UnusualAccess(kind, who, entry.index, entry.time, 1, detail)
