"""Work that takes a while: one job at a time, in a thread, with progress that pages can show."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _l

from api.client.errors import ApiError
from api.office.workbench.error_words import Told, ToldError, tell
from keys.errors import KeysError
from linkage.errors import LinkageError

_LOG = logging.getLogger("tongqiao.workbench")

State = Literal["running", "done", "failed"]


class BusyError(ToldError):
    """Another job is still at work."""


@dataclass(slots=True)
class Job:
    """One piece of work and how far it is.

    Attributes:
        kind: what it does, in one word; pages ask for the newest of a kind.
        subject: what it is about, such as a round's id.
        stage: what it is doing now, translated when shown.
        done, total: in units of the stage; ``total`` is 0 while it is not known.
        unit: ``records``, ``bytes`` or ``links``.
        error: why it failed.
    """

    kind: str
    subject: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "running"
    stage: object = ""
    done: int = 0
    total: int = 0
    unit: str = "records"
    began: float = field(default_factory=time.monotonic)
    error: BaseException | None = None
    result: Any = None

    def enter(self, stage: object, *, total: int = 0, unit: str = "records") -> None:
        """Begin the next stage."""
        self.stage, self.done, self.total, self.unit = stage, 0, total, unit
        self.began = time.monotonic()

    def advance(self, done: int, total: int | None = None) -> None:
        """Say how far the stage is."""
        self.done = done
        if total is not None:
            self.total = total

    @property
    def share(self) -> float | None:
        """Share done from 0 to 1; ``None`` while it cannot be known."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def told(self) -> Told | None:
        """Why it failed, in the reader's language; ``None`` if it did not."""
        return None if self.error is None else tell(self.error)

    @property
    def figures(self) -> str:
        """How much is done, how fast, and how long it will still take, in the reader's language."""
        elapsed_s = max(time.monotonic() - self.began, 1e-3)
        rate = self.done / elapsed_s
        parts = [self._amount()]
        if self.done and elapsed_s > 1:
            speed = f"{rate / 1e6:.1f} MB" if self.unit == "bytes" else f"{rate:,.0f}"
            parts.append(gettext("%(speed)s a second", speed=speed))
            if self.total > self.done:
                parts.append(_time_left((self.total - self.done) / rate))
        return " · ".join(parts)

    def _amount(self) -> str:
        if self.unit == "bytes":
            done, total = f"{self.done / 1e6:,.1f}", f"{self.total / 1e6:,.1f} MB"
        else:
            done, total = f"{self.done:,}", f"{self.total:,}"
        return f"{done} / {total}" if self.total else done

    def view(self) -> dict[str, Any]:
        """What the page's script asks for."""
        return {
            "state": self.state,
            "stage": str(self.stage),
            "share": self.share,
            "figures": self.figures,
        }


def _time_left(seconds: float) -> str:
    whole = max(1, round(seconds))
    if whole < 90:
        return str(ngettext("%(num)s second left", "%(num)s seconds left", whole))
    return str(ngettext("%(num)s minute left", "%(num)s minutes left", round(whole / 60)))


class Jobs:
    """Runs one job at a time and remembers the newest of each kind and subject."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, Job] = {}
        self._newest: dict[tuple[str, str], Job] = {}
        self._running: Job | None = None
        self._thread: threading.Thread | None = None

    def start(self, kind: str, subject: str, work: Callable[[Job], Any]) -> Job:
        """Start work in a thread.

        Raises:
            BusyError: another job has not ended yet.
        """
        with self._lock:
            if self._running is not None and self._running.state == "running":
                raise BusyError(_l("Something else is still being done. Wait until it ends."))
            job = Job(kind, subject, stage=_l("Beginning"))
            self._running = self._newest[kind, subject] = self._by_id[job.id] = job
            self._thread = threading.Thread(target=self._run, args=(job, work), daemon=True)
            self._thread.start()
        return job

    def newest(self, kind: str, subject: str) -> Job | None:
        """The newest job of a kind about a subject."""
        return self._newest.get((kind, subject))

    def running(self, *kinds: str) -> Job | None:
        """The job that runs now, if it is of one of the kinds."""
        job = self._running
        return job if job is not None and job.state == "running" and job.kind in kinds else None

    def find(self, job_id: str) -> Job | None:
        """A job by its id."""
        return self._by_id.get(job_id)

    def forget(self, kind: str, subject: str) -> None:
        """Forget how the newest of a kind ended."""
        self._newest.pop((kind, subject), None)

    def join(self, timeout_s: float) -> None:
        """Wait until the running job has ended."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _run(self, job: Job, work: Callable[[Job], Any]) -> None:
        try:
            job.result = work(job)
            job.state = "done"
        except (KeysError, LinkageError, ApiError, OSError) as error:
            job.error, job.state = error, "failed"
        except Exception as error:
            _LOG.error("a job failed: %s: %s", job.kind, type(error).__name__)
            job.error, job.state = error, "failed"
