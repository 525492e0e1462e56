"""Who acts, and the transaction in which it is recorded: what is not logged did not happen."""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from api.audit.events import Action, AuditEvent, Outcome
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.services.database import Database
from api.server.services.group_commit import TimedEvent, Writer

Details = Mapping[str, str | int | None]


@dataclass(slots=True)
class Trace:
    """What one request left in the access log.

    Attributes:
        n_entries: entries that are committed.
        is_own_progress: whether all that is told is how far something is that this very person
            asked for: the entry about the asking stands for it (``AUDIT_LOG.md``).
    """

    n_entries: int = 0
    is_own_progress: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for something, and how the request is called.

    Attributes:
        member: id of the member; ``None`` before the signature is verified, and for what the
            program does by itself.
        role: one of ``api.audit.events.ROLES``; ``None`` before the signature is verified.
        request_id: random, in the answer and in the log.
        origin: IP address that the request came from; ``None`` for this machine's own commands.
        trace: counts the entries that acting under this name left.
    """

    member: str | None
    role: str | None
    request_id: str
    origin: str | None = None
    trace: Trace = field(default_factory=Trace, compare=False, repr=False)

    @property
    def actor(self) -> Actor | None:
        """The role in which a member acts in rounds."""
        return Actor(self.role) if self.role in tuple(Actor) else None

    @property
    def person(self) -> str:
        """The member's id, where only a member comes so far."""
        if self.member is None:
            raise RefusalError("forbidden", "Sign the request.")
        return self.member

    @property
    def signs_as(self) -> str:
        """What a history shows: the member's id, or the role of what the program did itself."""
        return self.member or self.role or "nobody"


def own_caller(role: str) -> Caller:
    """The program itself as who acts: ``server``, ``worker`` or ``administrator``."""
    return Caller(member=None, role=role, request_id=new_request_id())


def new_request_id() -> str:
    """A name for a request: 16 random hex characters."""
    return secrets.token_hex(8)


class UnloggedWorkError(Exception):
    """A transaction was about to end without an entry in the access log: a fault of the program."""


class Work:
    """One transaction, and what it adds to the access log.

    Entries are appended together at the end, so that others wait for the log as short as can be.

    Args:
        session: for reading only; or who takes the writers' turn at the first use, and the clock
            that is read then, so that times in the log never run backwards.
    """

    def __init__(
        self, session: Session | Writer, now: datetime | Callable[[], datetime], caller: Caller
    ) -> None:
        self.caller = caller
        self.n_entries = 0
        self._source = session
        self._clock = now
        self._now = now if isinstance(now, datetime) else None
        self._pending: list[AuditEvent] = []

    @property
    def session(self) -> Session:
        """The transaction's session.  Raises: OperationalError: the turn did not come in time."""
        return self._source if isinstance(self._source, Session) else self._source.session

    @property
    def now(self) -> datetime:
        """When this happens, read while nobody else writes."""
        if self._now is None:
            if isinstance(self._source, Writer):
                self._source.begin()
            self._now = self._clock() if callable(self._clock) else self._clock
        return self._now

    def record(
        self,
        action: Action,
        *,
        project: str | None = None,
        round_id: str | None = None,
        outcome: Outcome = Outcome.GRANTED,
        reason: str | None = None,
        details: Details | None = None,
    ) -> None:
        """An entry for the access log, in this transaction."""
        caller = self.caller
        event = AuditEvent(
            action=action,
            outcome=outcome,
            actor=caller.member,
            role=caller.role,
            project=project,
            round=round_id,
            details=dict(details or {}),
            reason=reason,
            request_id=caller.request_id,
            origin=caller.origin,
        )
        self._pending.append(event)
        self.n_entries += 1

    def recorded(self) -> list[TimedEvent]:
        """What was recorded so far, with its time; it is somebody else's to append now."""
        events, self._pending = self._pending, []
        moment = self._now or (self._clock() if callable(self._clock) else self._clock)
        return [(event, moment) for event in events]

    def append_recorded(self) -> None:
        """Append what was recorded so far; who reads the log afterwards finds it there."""
        events, self._pending = self._pending, []
        if isinstance(self._source, Writer):
            self._source.append_now([(event, self.now) for event in events])

    def hand_over(self) -> None:
        """Have what was recorded appended when the transaction ends."""
        # Who asked for nothing but entries took no turn, and waits for none.
        events = self.recorded()
        if isinstance(self._source, Writer) and events:
            self._source.append(events)


@contextlib.contextmanager
def begin_look(database: Database, clock: Callable[[], datetime], caller: Caller) -> Iterator[Work]:
    """Reading that leaves an entry: on one state of the database, without the writers' turn.

    The entry is committed before the block is left, so before anybody is told what was read.

    Raises:
        UnloggedWorkError: nothing was recorded.
    """
    with database.reading() as session:
        work = Work(session, clock, caller)
        yield work
        events = work.recorded()
    if not events:
        raise UnloggedWorkError("nothing was recorded in the access log")
    database.append(events)
    caller.trace.n_entries += len(events)


@contextlib.contextmanager
def begin_work(database: Database, clock: Callable[[], datetime], caller: Caller) -> Iterator[Work]:
    """A writing transaction that cannot be committed without an entry in the access log.

    Raises:
        UnloggedWorkError: nothing was recorded; the transaction is rolled back.
    """
    with database.writer() as writer:
        work = Work(writer, clock, caller)
        yield work
        if work.n_entries == 0:
            raise UnloggedWorkError("nothing was recorded in the access log")
        work.hand_over()
    caller.trace.n_entries += work.n_entries
