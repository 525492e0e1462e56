"""The worker: matches rounds that wait, ends those whose retention is over, serves auditors."""

import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy.exc import OperationalError

from api.audit.events import Action
from api.server.priority import UrgentThreads
from api.server.services.access import forget_nonces
from api.server.services.audit_tasks import sweep_files
from api.server.services.audit_work import work_on_task
from api.server.services.chunks import sweep_chunks
from api.server.services.data_keys import data_key_of, encoding_context
from api.server.services.database import is_busy
from api.server.services.encodings import StorageAwayError
from api.server.services.exclusions import lapse_requests
from api.server.services.incoming import decrypt_file
from api.server.services.installation import Installation
from api.server.services.jobs import (
    Job,
    JobProgress,
    LeaseLostError,
    claim_job,
    extend_lease,
    fail_job,
    finish_job,
    release_lease,
)
from api.server.services.log_keeping import seal_all
from api.server.services.retention import expire_rounds, sweep
from api.server.services.traces import scrub_traces
from api.server.services.work import own_caller
from keys.errors import AtRestError
from linkage.errors import LinkageError
from linkage.matching.engines import Engine
from linkage.pipeline import Resources, match_datasets
from linkage.progress import MatchProgress, Pace
from linkage.tqe import open_tqe
from linkage.types import EncodedDataset

_HOUSEKEEPING_S = 60.0
_NAP_S = 0.2
_LOG = logging.getLogger("tongqiao.worker")


class StopRequestedError(Exception):
    """The worker was told to stop in the middle of a round."""


class Worker:
    """Works on the rounds of one server until it is told to stop.

    Any number of workers may run at the same time, on this machine.

    Args:
        engine: computes the chunks of a match; all cores of this machine if ``None``.
        kernel: variant of ``linkage.matching.tile`` for views without tags; the fastest if
            ``None``.
        urgent: where what holds a lock of the database runs; started before the process stepped
            back, if it has.
    """

    def __init__(
        self,
        installation: Installation,
        engine: Engine | None = None,
        kernel: str | None = None,
        *,
        urgent: UrgentThreads | None = None,
    ) -> None:
        self._installation = installation
        self._engine = engine
        self._kernel = kernel
        self._urgent = urgent or UrgentThreads()
        self._caller = own_caller("worker")
        self._sealing_at = 0.0
        self._stopping = False

    def stop(self) -> None:
        """Stop soon; a round in work is given back for another worker to take up.

        May be called by a signal handler: it takes no lock.
        """
        self._stopping = True

    def run(self, *, once: bool = False) -> None:
        """Work until :meth:`stop`, or with ``once`` until nothing is left to do."""
        housekeeping_at = 0.0
        has_started = False
        try:
            while not self._stopping:
                try:
                    if not has_started:
                        self._record(Action.WORKER_START)
                        has_started = True
                    if time.monotonic() >= housekeeping_at:
                        self._keep_house()
                        housekeeping_at = time.monotonic() + _HOUSEKEEPING_S
                    worked = self.work_once()
                except OperationalError as error:
                    # A database that is away comes back; the round's lease sees to the rest.
                    if once or not is_busy(error):
                        raise
                    _LOG.warning("the database is not available; trying again")
                    worked = False
                except StorageAwayError:
                    if once:
                        raise
                    _LOG.warning("the storage of encodings is not available; trying again")
                    worked = False
                if once and not worked:
                    break
                if not worked:
                    self._idle()
        finally:
            if has_started:
                self._record(Action.WORKER_STOP)

    def work_once(self) -> bool:
        """Match a round, or if none waits do what an auditor asked for; whether there was one."""
        job = self._urgent.run(claim_job, self._installation, self._caller)
        if job is None:
            return work_on_task(self._installation, self._caller, lambda: self._stopping)
        _LOG.info("matching starts", extra={"round": job.round_id})
        try:
            n_links = self._match(job)
        except LeaseLostError:
            _LOG.warning("the round was cancelled or taken over", extra={"round": job.round_id})
        except StopRequestedError:
            self._urgent.run(release_lease, self._installation, self._caller, job)
            _LOG.info("matching given back", extra={"round": job.round_id})
        except Exception as error:
            self._fail(job, error)
        else:
            self._installation.chunks.delete(job.round_id)
            _LOG.info("matching is done", extra={"round": job.round_id, "n_links": n_links})
        return True

    def _match(self, job: Job) -> int:
        with (
            # In the clear only here, only now: gone with this block, or swept if the process dies.
            self._installation.workspace.folder() as folder,
            _lease_kept(self._installation, job, self._urgent) as lease,
        ):

            def on_progress(now: MatchProgress) -> None:
                lease.check()
                if self._stopping:
                    raise StopRequestedError
                lease.progress = now

            on_progress(MatchProgress("reading", 0, len(job.files)))
            datasets = []
            for number, (office, sha256) in enumerate(sorted(job.files.items()), 1):
                datasets.append(self._open(job, office, sha256, folder))
                on_progress(MatchProgress("reading", number, len(job.files)))
            link_set = match_datasets(
                datasets,
                solve=job.terms.solve,
                threshold=job.terms.threshold,
                resources=Resources(
                    engine=self._engine,
                    work_dir=self._installation.chunks.folder(job.round_id),
                    files={dataset.name: _plain_file(folder, dataset.name) for dataset in datasets},
                    tile=self._kernel,
                ),
                on_progress=on_progress,
            )
            matched = lease.progress or MatchProgress("writing", 0, 1)
            on_progress(replace(matched, stage="writing", done=0, total=1, n_resumed=0))
            return finish_job(
                *(self._installation, self._caller, job, datasets, link_set),
                n_pairs=matched.n_pairs,
                n_candidates=matched.n_candidates,
                urgent=self._urgent,
            )

    def _open(self, job: Job, office: str, sha256: str, folder: Path) -> EncodedDataset:
        plain = _plain_file(folder, office)
        try:
            with self._installation.encodings.open(job.round_id, sha256) as stored:
                found = decrypt_file(
                    stored,
                    plain,
                    data_key=data_key_of(self._installation, job.round_id),
                    context=encoding_context(job.round_id, sha256),
                )
        except (FileNotFoundError, AtRestError):
            found = ""
        if found != sha256:
            raise AlteredFileError(
                f"The stored file of '{office}' is gone or was altered on the server. "
                "Look into the access log, then cancel the round and make a new one."
            )
        return open_tqe(plain, name=office)

    def _fail(self, job: Job, error: Exception) -> None:
        # Frames only: the text of an error that nobody expected may hold anything.
        frames = [
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        _LOG.error(
            "matching failed",
            extra={"round": job.round_id, "error": type(error).__name__, "frames": frames},
        )
        if isinstance(error, OperationalError) and is_busy(error):
            raise error
        message, slug = _explain(error)
        with contextlib.suppress(LeaseLostError):
            self._urgent.run(fail_job, self._installation, self._caller, job, message, slug)
            self._installation.chunks.delete(job.round_id)

    def _keep_house(self) -> None:
        expired = expire_rounds(self._installation, self._caller)
        # What nobody could scrub as it was deleted: a reader was in the way, or the power went.
        scrub_traces(self._installation)
        lapse_requests(self._installation, self._caller)
        forget_nonces(self._installation)
        swept = sweep(self._installation, self._caller) + sweep_chunks(
            self._installation, self._caller
        )
        swept += sweep_files(self._installation, self._caller)
        every_s = 86_400.0 * self._installation.config.log_seal_every_days
        if every_s and time.monotonic() >= self._sealing_at:
            n_archives = seal_all(self._installation, self._caller)
            self._sealing_at = time.monotonic() + every_s
            _LOG.info("the access log was looked through", extra={"n_archives": n_archives})
        if expired or swept:
            _LOG.info("retention", extra={"n_rounds": expired, "n_files": swept})

    def _idle(self) -> None:
        until = time.monotonic() + self._installation.config.poll_s
        while not self._stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _NAP_S))

    def _record(self, action: Action) -> None:
        with self._installation.work(self._caller) as work:
            work.record(action)


def _plain_file(folder: Path, office: str) -> Path:
    """Where an office's encodings are in the clear while they are matched."""
    return folder / f"{office}.tqe"


class AlteredFileError(LinkageError):
    """An encoded file on the server is not what the office uploaded."""


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, AlteredFileError):
        return str(error), "altered-file"
    if isinstance(error, LinkageError):
        return str(error), "matching-error"
    if isinstance(error, MemoryError):
        message = "The machine has too little memory for this round. Give it more, then run again."
        return message, "out-of-memory"
    if isinstance(error, StorageAwayError):
        message = (
            "The storage of encodings did not answer. When it is back, run the round again; "
            "nothing is lost."
        )
        return message, "storage-away"
    if isinstance(error, OSError):
        message = (
            f"An encoded file could not be read ({error.strerror or 'unknown reason'}). "
            "Look at the server's disk, then run the round again."
        )
        return message, "read-error"
    message = (
        f"The program failed ({type(error).__name__}). Run the round again; if it fails again, "
        "send the worker's log to who maintains the program."
    )
    return message, "internal"


class _Lease:
    """A lease that a thread keeps extending.

    Attributes:
        progress: what is written with the next extension.
    """

    def __init__(self, installation: Installation, job: Job, urgent: UrgentThreads) -> None:
        self._installation = installation
        self._urgent = urgent
        self._job = job
        self._done = threading.Event()
        self._lost = False
        self.progress: MatchProgress | None = None

    def check(self) -> None:
        """Raises: LeaseLostError: the round is not this worker's any more."""
        if self._lost:
            raise LeaseLostError("the round is not this worker's any more")

    def keep(self) -> None:
        """Extend until :meth:`end`; writes progress when it has changed, every ``progress_s``."""
        config = self._installation.config
        pace = Pace()
        written: MatchProgress | None = None
        extended = time.monotonic()
        while not self._done.wait(min(config.progress_s, config.lease_s / 4)):
            progress = self.progress
            if progress is not None:
                pace.note(progress)
            due = time.monotonic() - extended >= config.lease_s / 3
            if progress == written and not due:
                continue
            try:
                row = _as_row(progress, pace)
                self._urgent.run(extend_lease, self._installation, self._job, row)
            except LeaseLostError:
                self._lost = True
                return
            except OperationalError:
                # Tried again in a moment; the lease lasts three times as long as needed.
                continue
            written, extended = progress, time.monotonic()

    def end(self) -> None:
        """Stop extending."""
        self._done.set()


def _as_row(now: MatchProgress | None, pace: Pace) -> JobProgress | None:
    if now is None:
        return None
    return JobProgress(
        stage=now.stage,
        done=now.done,
        total=now.total,
        n_pairs=now.n_pairs,
        n_candidates=now.n_candidates,
        pairs_per_s=_rounded(pace.pairs_per_s(), 0),
        seconds_left=_rounded(pace.seconds_left(), 1),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


@contextlib.contextmanager
def _lease_kept(installation: Installation, job: Job, urgent: UrgentThreads) -> Iterator[_Lease]:
    lease = _Lease(installation, job, urgent)
    keeper = threading.Thread(target=lease.keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        lease.end()
        keeper.join()
