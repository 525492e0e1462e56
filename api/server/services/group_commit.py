"""Writers that wait for each other share one transaction: the disk is waited for once for all.

Writers stand in a row anyway, since all append to the one access log. Each does its work in a
savepoint of its own, passes the transaction on to whoever waits, and is told that its work is done
only when all of it is committed. One that fails takes back its own work alone. Without anybody
waiting, a transaction is committed as ever.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import RootTransaction
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

MAX_MEMBERS: Final = 64
"""So many writers share a transaction at most: the first of them waits for all others."""


DURABLE: Final = "tongqiao_durable"
"""Execution option: whether a commit waits for the disk."""


class WriterBusyError(OperationalError):
    """The writer before did not come to an end in time; nothing was done."""

    def __init__(self) -> None:
        super().__init__("waiting for the writer before", None, TimeoutError())


class _Group:
    """A transaction that several writers share."""

    def __init__(self, connection: Connection, *, is_shared: bool) -> None:
        self.connection = connection
        self.is_shared = is_shared
        self.transaction: RootTransaction = connection.begin()
        self.n_members = 0
        self.n_kept = 0
        self.done = threading.Event()
        self.error: BaseException | None = None

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

    def _end(self) -> None:
        if not self.n_kept:
            self.transaction.rollback()
            return
        if self.n_kept < self.n_members:
            self._check_open()
        self.transaction.commit()

    def _check_open(self) -> None:
        """After a failure: whether the work of the others is still there to be committed.

        A database may have rolled back by itself (SQLite with a full disk, PostgreSQL after an
        error); a commit of nothing would then seem to succeed.

        Raises:
            OperationalError: it is not.
        """
        raw = self.connection.connection.dbapi_connection
        if getattr(raw, "in_transaction", True) is False:
            raise OperationalError("COMMIT", None, RuntimeError("the transaction was lost"))
        self.connection.exec_driver_sql("SELECT 1")


class GroupCommit:
    """The row of writers of one database in one process.

    Args:
        engine: begins writing transactions.
        timeout_s: how long a writer waits for its turn.
    """

    def __init__(self, engine: Engine, timeout_s: float) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._is_taken = False
        self._group: _Group | None = None

    @contextlib.contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Session]:
        """A session whose work is committed when the block is left, or rolled back on error.

        Args:
            durable: whether it must be on the disk then. What is not will be there no later than
                the next work that must be.

        Raises:
            WriterBusyError: the turn did not come in time.
        """
        self._wait_for_turn()
        try:
            group = self._join(durable)
        except BaseException:
            self._pass_turn(None)
            raise
        try:
            with (
                Session(
                    group.connection,
                    expire_on_commit=False,
                    join_transaction_mode="create_savepoint",
                ) as session,
                session.begin(),
            ):
                yield session
            group.n_kept += 1
        except BaseException:
            with contextlib.suppress(Exception):
                self._leave(group)
            raise
        self._leave(group)

    def _wait_for_turn(self) -> None:
        with self._mutex:
            if not self._is_taken:
                self._is_taken = True
                return
            ticket = threading.Event()
            self._waiting.append(ticket)
        if not ticket.wait(self._timeout_s):
            with self._mutex:
                # Perhaps the turn came this very moment: then it must be taken.
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
                    raise WriterBusyError

    def _join(self, durable: bool) -> _Group:
        if self._group is None:
            engine = self._engine.execution_options(**{DURABLE: durable})
            connection = engine.connect()
            try:
                self._group = _Group(connection, is_shared=durable)
            except BaseException:
                connection.close()
                raise
        self._group.n_members += 1
        return self._group

    def _leave(self, group: _Group) -> None:
        """Pass the transaction on to the next, or commit it for all; return when it is done.

        Raises:
            Exception: the commit failed, and with it everybody's work.
        """
        if group.is_shared and group.n_members < MAX_MEMBERS and self._pass_turn(group):
            group.done.wait()
            if group.error is not None:
                raise group.error
            return
        self._group = None
        try:
            group.finish()
        finally:
            self._pass_turn(None)

    def _pass_turn(self, group: _Group | None) -> bool:
        """Let the next writer go on; whether there is one.

        Args:
            group: what it joins; without, the turn is given back if nobody waits.
        """
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()
                return True
            if group is None:
                self._is_taken = False
            return False
