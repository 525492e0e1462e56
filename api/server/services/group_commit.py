"""Writers that wait for each other share one transaction: the disk is waited for once for all.

Writers stand in a row anyway, since all append to the one access log. Each does its work in a
savepoint of its own, passes the transaction on to whoever waits, and is told that its work is done
only when all of it is committed. One that fails takes back its own work alone. Without anybody
waiting, a transaction is committed as ever.

What they add to the log is added once, for all of them together, as the last thing before the
commit: numbering and hashing entries one writer after the other would take longer than their work.
It is the same transaction still; if the log cannot be written, nobody's work is kept. Who only adds
to the log, and asks the database nothing, waits for no turn: whoever commits next takes it along.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import RootTransaction
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from api.audit.events import AuditEvent

MAX_MEMBERS: Final = 64
"""So many writers share a transaction at most: the first of them waits for all others."""


PATIENCE_S: Final = 2.0
"""A writer that takes longer than this is stuck, and a long row behind it grows no further."""

DURABLE: Final = "tongqiao_durable"
"""Execution option: whether a commit waits for the disk."""

TimedEvent = tuple[AuditEvent, datetime]
"""An event for the log, and when it happened."""

Append = Callable[[Connection, Sequence[TimedEvent]], None]
"""Adds events to the log, in the transaction of the connection."""


class WriterBusyError(OperationalError):
    """The writer before did not come to an end in time; nothing was done."""

    def __init__(self) -> None:
        super().__init__("waiting for the writer before", None, TimeoutError())


@dataclass(eq=False, slots=True)
class _Ticket:
    """A place in the row.

    Attributes:
        events: for the log, of who asks for nothing else; ``None`` for who asks for the turn.
        woken: set when the turn has come, or ``group`` has ended.
        group: what took the events along, without a turn.
    """

    events: Sequence[TimedEvent] | None = None
    woken: threading.Event = field(default_factory=threading.Event)
    group: "_Group | None" = None


class _Group:
    """A transaction that several writers share."""

    def __init__(self, connection: Connection, append: Append, *, is_shared: bool) -> None:
        self.connection = connection
        self.is_shared = is_shared
        self.transaction: RootTransaction = connection.begin()
        self.n_members = 0
        self.n_kept = 0
        self.events: list[TimedEvent] = []
        self.taken_along: list[_Ticket] = []
        self.done = threading.Event()
        self.error: BaseException | None = None
        self._append = append

    @property
    def is_lost(self) -> bool:
        """Whether the database has rolled back by itself: SQLite does so when the disk is full.

        A savepoint that is released then would be committed alone, without its entry in the log.
        """
        if self.connection.invalidated:
            return True
        raw = self.connection.connection.dbapi_connection
        return getattr(raw, "in_transaction", True) is False

    def take_along(self, ticket: _Ticket, events: Sequence[TimedEvent]) -> None:
        """Add what somebody has for the log who does not need the turn."""
        ticket.group = self
        self.taken_along.append(ticket)
        self.events += events

    def append_now(self, connection: Connection) -> None:
        """Add to the log what there is for it so far."""
        events, self.events = self.events, []
        if events:
            self._append(connection, events)

    def finish(self) -> None:
        """Commit, or roll back if nobody's work is in it; then everybody may go on."""
        try:
            with self.connection:
                try:
                    self._end()
                except BaseException:
                    # Whatever state it is in, nobody shall go on in it.
                    self.connection.invalidate()
                    raise
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.done.set()
            for ticket in self.taken_along:
                ticket.woken.set()

    def _end(self) -> None:
        if not self.n_kept and not self.taken_along:
            self.transaction.rollback()
            return
        if self.n_kept < self.n_members:
            self._check_open()
        self.append_now(self.connection)
        self.transaction.commit()

    def _check_open(self) -> None:
        """After a failure: whether the work of the others is still there to be committed.

        A database may have rolled back by itself (PostgreSQL after an error, too); a commit of
        nothing would then seem to succeed.

        Raises:
            OperationalError: it is not.
        """
        if self.is_lost:
            raise OperationalError("COMMIT", None, RuntimeError("the transaction was lost"))
        self.connection.exec_driver_sql("SELECT 1")


class Writer:
    """One writer's part in a transaction; it takes its turn when it first asks for the session."""

    def __init__(self, commits: "GroupCommit", *, durable: bool) -> None:
        self._commits = commits
        self._durable = durable
        self._session: Session | None = None
        self._group: _Group | None = None
        self._events: list[TimedEvent] = []
        self._events_before: list[TimedEvent] = []

    @property
    def session(self) -> Session:
        """The session; from the first call on, nobody else writes.

        Raises:
            WriterBusyError: the turn did not come in time.
        """
        return self.begin()

    def begin(self) -> Session:
        """Take the turn, if it is not taken yet; as :attr:`session`."""
        if self._session is None:
            self._group = self._commits.take_turn(self._durable)
            self._events_before = list(self._group.events)
            self._session = Session(
                self._group.connection,
                expire_on_commit=False,
                join_transaction_mode="create_savepoint",
            )
            self._session.begin()
        return self._session

    def append(self, events: Sequence[TimedEvent]) -> None:
        """Add events to the log when the transaction ends."""
        self._events += events

    def append_now(self, events: Sequence[TimedEvent]) -> None:
        """Add events to the log now, after those of who shares the transaction."""
        connection = self.session.connection()
        if self._group is not None:
            # If this writer fails, so does what it added with its own: see `give_up`.
            self._group.events += [*self._events, *events]
            self._events = []
            self._group.append_now(connection)

    def keep(self) -> None:
        """End well: return when the work is committed.

        Raises:
            Exception: it is not; nor is that of who shared the transaction.
        """
        if self._session is None or self._group is None:
            self._commits.append(self._events, durable=self._durable)
            return
        try:
            with self._session:
                self._session.commit()
        except BaseException:
            self.give_up()
            raise
        self._group.n_kept += 1
        self._group.events += self._events
        self._commits.leave(self._group)

    def give_up(self) -> None:
        """End badly: this writer's work is taken back, and nobody else's."""
        if self._session is None or self._group is None:
            return
        with contextlib.suppress(Exception):
            try:
                with self._session:
                    self._session.rollback()
            finally:
                # What others had for the log, and this one had added with its own, is to be added.
                self._group.events = self._events_before
                self._commits.leave(self._group)


class GroupCommit:
    """The row of writers of one database in one process.

    Args:
        engine: begins writing transactions.
        timeout_s: how long a writer waits for its turn.
        append: adds to the log.
        most_waiting: writers that wait while one is stuck; further ones are told so at once. Each
            keeps a thread that others need, to be told that the server is alive.
    """

    def __init__(
        self, engine: Engine, timeout_s: float, append: Append, *, most_waiting: int
    ) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._append = append
        self._most_waiting = most_waiting
        self._turn_began = 0.0
        self._mutex = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        self._is_taken = False
        self._group: _Group | None = None

    @contextlib.contextmanager
    def writer(self, *, durable: bool = True) -> Iterator[Writer]:
        """A part in a transaction, committed when the block is left, or taken back on error.

        Args:
            durable: whether it must be on the disk then. What is not will be there no later than
                the next work that must be.

        Raises:
            WriterBusyError: the turn did not come in time, or will not.
        """
        writer = Writer(self, durable=durable)
        try:
            yield writer
        except BaseException:
            writer.give_up()
            raise
        writer.keep()

    def take_turn(self, durable: bool) -> _Group:
        """Wait until nobody else writes.  Raises: WriterBusyError."""
        self._wait_for_turn(_Ticket())
        return self._join(durable)

    def append(self, events: Sequence[TimedEvent], *, durable: bool = True) -> None:
        """Add events to the log, in the next transaction there is; return when it is committed.

        Raises:
            WriterBusyError: nobody came to an end in time.
            Exception: the commit failed.
        """
        if not events:
            return
        ticket = _Ticket(events)
        self._wait_for_turn(ticket)
        if ticket.group is not None:
            if ticket.group.error is not None:
                raise ticket.group.error
            return
        group = self._join(durable)
        group.n_kept += 1
        group.events += events
        self.leave(group)

    def leave(self, group: _Group) -> None:
        """Pass the transaction on to the next, or commit it for all; return when it is done.

        Raises:
            Exception: the commit failed, and with it everybody's work.
        """
        goes_on = group.is_shared and not group.is_lost
        if goes_on and group.n_members < MAX_MEMBERS and self._pass_turn(group):
            group.done.wait()
            if group.error is not None:
                raise group.error
            return
        if goes_on:
            self._take_along(group)
        self._group = None
        try:
            group.finish()
        finally:
            self._pass_turn(None)

    def _wait_for_turn(self, ticket: _Ticket) -> None:
        """Return when the turn has come, or what the ticket brings was taken along.

        Raises:
            WriterBusyError: it did not come in time, or too many wait behind one that is stuck.
        """
        with self._mutex:
            if not self._is_taken:
                self._is_taken = True
                self._turn_began = time.monotonic()
                return
            if (
                len(self._waiting) >= self._most_waiting
                and time.monotonic() - self._turn_began > PATIENCE_S
            ):
                raise WriterBusyError
            self._waiting.append(ticket)
        if not ticket.woken.wait(self._timeout_s):
            with self._mutex:
                # Perhaps the turn came this very moment: then it must be taken.
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
                    raise WriterBusyError
            ticket.woken.wait()

    def _join(self, durable: bool) -> _Group:
        try:
            if self._group is None:
                engine = self._engine.execution_options(**{DURABLE: durable})
                connection = engine.connect()
                try:
                    self._group = _Group(connection, self._append, is_shared=durable)
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            self._pass_turn(None)
            raise
        self._group.n_members += 1
        return self._group

    def _take_along(self, group: _Group) -> None:
        """Everything that waits to be added to the log, and nothing else."""
        with self._mutex:
            others: deque[_Ticket] = deque()
            for ticket in self._waiting:
                if ticket.events is None:
                    others.append(ticket)
                else:
                    group.take_along(ticket, ticket.events)
            self._waiting = others

    def _pass_turn(self, group: _Group | None) -> bool:
        """Let the next writer go on; whether there is one.

        Args:
            group: what it joins; without, the turn is given back if nobody waits.
        """
        with self._mutex:
            while self._waiting:
                ticket = self._waiting.popleft()
                if group is None or ticket.events is None:
                    self._turn_began = time.monotonic()
                    ticket.woken.set()
                    return True
                group.take_along(ticket, ticket.events)
            if group is None:
                self._is_taken = False
            return False
