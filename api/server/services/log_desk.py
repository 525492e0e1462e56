"""The access log as auditors read it in the browser: searched, proved, held against what they kept.

Every reading is an entry itself.  What a server says of its own log is no proof to who distrusts
the server: so pages always name what does not depend on it (witnesses, kept checkpoints, the
offline command).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.audit.checkpoint import make_checkpoint
from api.audit.cosignature import Cosignature, find_cosignatures
from api.audit.errors import NoteError, NoteKeyError, NoteSignatureError, ProofError
from api.audit.events import Action, Entry, parse_entry
from api.audit.merkle import EMPTY_ROOT, verify_consistency
from api.audit.note import Checkpoint, open_checkpoint, parse_checkpoint, parse_note
from api.audit.proof import LogProof, ProvenEntry, verify_proof
from api.audit.stored_search import LogPage, LogQuery, search_page
from api.audit.stored_tiles import StoredTiles
from api.audit.tiles import TileTree, prove_consistency
from api.audit.unusual import Mark, marks_in
from api.audit.witnessing import signed_note
from api.server.models import LOG_TABLES
from api.server.refusals import RefusalError
from api.server.services.installation import Installation
from api.server.services.log import prove_entry
from api.server.services.witnessing import witness_keys
from api.server.services.work import Caller

PAGE_ENTRIES: Final = 50
PAGE_CHECKPOINTS: Final = 50
_MAX_MARKS: Final = 20_000


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page of the log, and its entries, newest first."""

    page: LogPage
    entries: tuple[Entry, ...]


def search_log(
    installation: Installation,
    caller: Caller,
    wanted: LogQuery,
    *,
    below: int | None = None,
    above: int | None = None,
) -> ReadPage:
    """Entries that fit, newest first; see :func:`api.audit.stored_search.search_page`."""
    with installation.work(caller) as work:
        page = search_page(
            work.session, LOG_TABLES, wanted, below=below, above=above, limit=PAGE_ENTRIES
        )
        work.record(
            Action.LOG_READ, details={"n_entries": len(page.bodies), **search_details(wanted)}
        )
        return ReadPage(page, tuple(parse_entry(body.encode()) for body in page.bodies))


def search_details(wanted: LogQuery) -> dict[str, str | int | None]:
    """What was searched for, as the log says it.

    Under names that are no office's: an office is not told which entries an auditor looked for.
    """
    return {f"by_{name}": value for name, value in asdict(wanted).items() if value is not None}


@dataclass(frozen=True, slots=True)
class ReadProof:
    """An entry with its proof, which was verified here.

    Attributes:
        file: the proof as a file (C2SP tlog-proof).
        log_size: entries in the log when it was read.
    """

    proven: ProvenEntry
    proof: LogProof
    file: bytes


def read_proof(installation: Installation, caller: Caller, index: int) -> ReadProof:
    """An entry, and the proof that it is in the log.

    Raises:
        RefusalError: ``not-found``: there is none, or it is sealed in an archive.
        ProofError: the log does not prove its own entry: it was changed.
    """
    file = prove_entry(installation, caller, index)
    with installation.database.reading() as session:
        keys = list(witness_keys(installation, session).values())
    proven = verify_proof(file, installation.log_key.verifier_key, keys)
    return ReadProof(proven, LogProof.parse(file), file)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint that was signed, and who witnessed it (member, seconds since 1970)."""

    size: int
    root: bytes
    created_at: str
    witnesses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CheckpointPage:
    """Checkpoints, largest first; ``older`` is where the next page begins."""

    checkpoints: tuple[SignedCheckpoint, ...]
    older: int | None
    log_key: str


def list_checkpoints(
    installation: Installation, caller: Caller, *, below: int | None, only_witnessed: bool
) -> CheckpointPage:
    """Checkpoints over fewer than ``below`` entries."""
    checkpoints, cosignatures = LOG_TABLES.checkpoints, LOG_TABLES.cosignatures
    query = select(checkpoints).order_by(checkpoints.c.size.desc()).limit(PAGE_CHECKPOINTS + 1)
    if below is not None:
        query = query.where(checkpoints.c.size < below)
    if only_witnessed:
        query = query.where(checkpoints.c.size.in_(select(cosignatures.c.size)))
    with installation.work(caller) as work:
        rows = work.session.execute(query).all()
        page = rows[:PAGE_CHECKPOINTS]
        witnesses: dict[int, list[tuple[str, int]]] = {row.size: [] for row in page}
        found = (
            select(cosignatures.c.size, cosignatures.c.witness, cosignatures.c.signed_at)
            .where(cosignatures.c.size.in_(witnesses))
            .order_by(cosignatures.c.size, cosignatures.c.witness)
        )
        for size, witness, signed_at in work.session.execute(found):
            witnesses[size].append((witness, signed_at))
        work.record(Action.CHECKPOINT_READ, details={"n_checkpoints": len(page)})
        return CheckpointPage(
            tuple(
                SignedCheckpoint(row.size, row.root, row.created_at, tuple(witnesses[row.size]))
                for row in page
            ),
            page[-1].size if len(rows) > PAGE_CHECKPOINTS else None,
            installation.log_key.verifier_key.to_text(),
        )


def read_signed(installation: Installation, caller: Caller, size: int) -> str:
    """A checkpoint that was signed, as a file, with all its cosignatures.

    Raises:
        RefusalError: ``not-found``.
    """
    with installation.work(caller) as work:
        note = signed_note(work.session, LOG_TABLES, size)
        if note is None:
            raise RefusalError("not-found", "No checkpoint of that size was signed.")
        work.record(Action.CHECKPOINT_READ, details={"size": size})
        return note


class Verdict(StrEnum):
    """What comparing with a kept checkpoint found."""

    FITS = "fits"
    OTHER_HISTORY = "other-history"
    LOG_SHORTER = "log-shorter"
    MALFORMED = "malformed"
    OTHER_KEY = "other-key"
    BAD_SIGNATURE = "bad-signature"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found.

    Attributes:
        kept: the auditor's checkpoint, where it could be read.
        now: the log's present one.
        proof: from the one to the other (RFC 9162, section 2.1.4).
        cosignatures: in the kept one, by witnesses that the server knows.
    """

    verdict: Verdict
    kept: Checkpoint | None = None
    now: Checkpoint | None = None
    proof: tuple[bytes, ...] = ()
    cosignatures: tuple[Cosignature, ...] = ()


def compare_with_kept(installation: Installation, caller: Caller, note: bytes) -> Comparison:
    """Hold the log against a checkpoint that somebody kept from earlier."""
    with installation.work(caller) as work:
        found = _compare(installation, work.session, note)
        work.record(
            Action.LOG_PROVE,
            details={
                "verdict": str(found.verdict),
                "old_size": None if found.kept is None else found.kept.size,
                "new_size": None if found.now is None else found.now.size,
            },
        )
        return found


def _compare(installation: Installation, session: Session, note: bytes) -> Comparison:
    try:
        kept = open_checkpoint(note, installation.log_key.verifier_key)
        cosignatures = find_cosignatures(
            parse_note(note), list(witness_keys(installation, session).values())
        )
    except NoteSignatureError:
        return Comparison(Verdict.BAD_SIGNATURE)
    except NoteKeyError:
        return Comparison(Verdict.OTHER_KEY)
    except NoteError:
        return Comparison(Verdict.MALFORMED)
    signed = make_checkpoint(session, LOG_TABLES, installation.log_key, installation.clock())
    now = parse_checkpoint(parse_note(signed.encode()).text)
    witnessed = tuple(cosignatures)
    if kept.size > now.size:
        return Comparison(Verdict.LOG_SHORTER, kept, now, (), witnessed)
    try:
        tree = TileTree(StoredTiles(session, LOG_TABLES), now.size)
        proof = tuple(prove_consistency(tree, kept.size)) if 0 < kept.size < now.size else ()
        old_root = EMPTY_ROOT if kept.size == 0 else kept.root
        verify_consistency(kept.size, now.size, proof, old_root, now.root)
    except ProofError:
        return Comparison(Verdict.OTHER_HISTORY, kept, now, (), witnessed)
    return Comparison(Verdict.FITS, kept, now, proof, witnessed)


def marks_of(session: Session, findings: Sequence[str]) -> dict[str, Mark]:
    """The last mark of each finding that was looked at."""
    entries = LOG_TABLES.entries
    query = (
        select(entries.c.body)
        .where(entries.c.action == str(Action.FINDING_MARK))
        .order_by(entries.c.entry_index.desc())
        .limit(_MAX_MARKS)
    )
    bodies = list(session.execute(query).scalars())
    wanted = set(findings)
    marks = marks_in(parse_entry(body.encode()) for body in reversed(bodies))
    return {finding: mark for finding, mark in marks.items() if finding in wanted}
