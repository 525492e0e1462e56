"""The access log as auditors and offices read it, and what a server says of itself."""

import base64
from importlib.metadata import version
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from api.audit.append import log_size, read_entries
from api.audit.checkpoint import make_checkpoint
from api.audit.errors import ProofError
from api.audit.events import Action
from api.audit.note import parse_checkpoint, parse_note
from api.audit.proof import LogProof
from api.audit.stored_tiles import StoredTiles
from api.audit.tiles import TileTree, parse_tile_path, prove_consistency, prove_inclusion
from api.audit.witnessing import newest_cosigned
from api.server.models import LOG_TABLES, Round, RoundOffice
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.services.installation import Installation
from api.server.services.work import Caller

ROUND_ACTIONS: Final = (
    Action.ROUND_CREATE, Action.ROUND_OPEN, Action.ROUND_FREEZE, Action.ROUND_RUN,
    Action.ROUND_REVIEW, Action.ROUND_RELEASE, Action.ROUND_CANCEL, Action.ROUND_EXPIRE,
    Action.JOB_START, Action.JOB_RESUME, Action.JOB_RELEASE, Action.JOB_FINISH, Action.JOB_FAIL,
    Action.REVIEW_READ, Action.DATA_DELETE, Action.ROUND_ASK, Action.ROUND_RECALL,
    Action.ROUND_UNDO,
)  # fmt: skip
"""What happens to a whole round: about the data of every office that takes part in it."""


def read_checkpoint(installation: Installation, caller: Caller) -> str:
    """A signed checkpoint of the log as it is now, this very reading included."""
    with installation.work(caller) as work:
        work.record(Action.CHECKPOINT_READ)
        work.append_recorded()
        return make_checkpoint(work.session, LOG_TABLES, installation.log_key, work.now)


def read_log(installation: Installation, caller: Caller, start: int, limit: int) -> dict[str, Any]:
    """Entries from ``start`` on, as canonical JSON text, and how many there are in all."""
    with installation.work(caller) as work:
        sealed_size = work.session.scalar(select(LOG_TABLES.head.c.sealed_size)) or 0
        if start < sealed_size:
            raise RefusalError(
                "not-found",
                f"The entries before {sealed_size} are sealed in archives. Ask the administrator "
                "for these files, and name them: `tongqiao audit fetch --archive FILE`.",
                details={"start": start, "sealed_size": sealed_size},
            )
        entries = read_entries(work.session, LOG_TABLES, start, limit)
        work.record(Action.LOG_READ, details={"start": start, "n_entries": len(entries)})
        work.append_recorded()
        return {"entries": entries, "size": log_size(work.session, LOG_TABLES)}


def read_own_entries(
    installation: Installation, caller: Caller, start: int, limit: int
) -> dict[str, Any]:
    """Entries about an office's data, from place ``start`` on, and the place to go on from."""
    with installation.work(caller) as work:
        entries = LOG_TABLES.entries
        query = (
            select(entries.c.entry_index, entries.c.body)
            .where(entries.c.entry_index >= start, _is_about(caller.person))
            .order_by(entries.c.entry_index)
            .limit(limit + 1)
        )
        found = work.session.execute(query).all()
        page = found[:limit]
        work.record(
            Action.LOG_READ,
            details={"office": caller.person, "start": start, "n_entries": len(page)},
        )
        return {
            "entries": [row.body for row in page],
            "next": found[limit].entry_index if len(found) > limit else None,
        }


def prove_entry(installation: Installation, caller: Caller, index: int) -> bytes:
    """A proof that an entry is in the log (C2SP tlog-proof), under a cosigned checkpoint if any.

    Raises:
        RefusalError: ``not-found``: there is none, or it is not about the office's data; or it is
            sealed in an archive.
    """
    with installation.work(caller) as work:
        line = _visible_entry(work.session, caller, index)
        work.record(Action.LOG_PROVE, details={"index": index})
        work.append_recorded()
        note = newest_cosigned(work.session, LOG_TABLES, index) or make_checkpoint(
            work.session, LOG_TABLES, installation.log_key, work.now
        )
        checkpoint = parse_checkpoint(parse_note(note.encode()).text)
        tree = TileTree(StoredTiles(work.session, LOG_TABLES), checkpoint.size)
        hashes = tuple(prove_inclusion(tree, index))
        return LogProof(line.encode(), index, hashes, note.encode()).to_bytes()


def compare_sizes(
    installation: Installation, caller: Caller, old_size: int, new_size: int
) -> dict[str, Any]:
    """A proof that the log of ``new_size`` entries begins with that of ``old_size``.

    Raises:
        RefusalError: ``not-found``: the log is shorter, or the sizes are the wrong way round.
    """
    with installation.work(caller) as work:
        if not old_size <= new_size <= log_size(work.session, LOG_TABLES):
            raise RefusalError(
                "not-found",
                "The log has no such sizes. Ask for those of two of its checkpoints, the older "
                "one first.",
            )
        work.record(Action.LOG_PROVE, details={"old_size": old_size, "new_size": new_size})
        tree = TileTree(StoredTiles(work.session, LOG_TABLES), new_size)
        proof = prove_consistency(tree, old_size)
        return {"proof": [base64.b64encode(value).decode() for value in proof]}


def read_tile(installation: Installation, caller: Caller, path: str) -> bytes:
    """A tile of hashes or a bundle of entries (C2SP tlog-tiles).

    Raises:
        RefusalError: ``not-found``: no name of a tile, not there yet, or sealed.
    """
    tile = parse_tile_path(f"tile/{path}")
    if tile is None:
        raise RefusalError("not-found", "That is no name of a tile. See c2sp.org/tlog-tiles.")
    with installation.work(caller) as work:
        try:
            data = StoredTiles(work.session, LOG_TABLES).read(tile)
        except ProofError as error:
            raise RefusalError(
                "not-found",
                "The log has no such tile: it is not that long yet, or these entries are sealed "
                "in an archive. Ask the administrator for the archive.",
            ) from error
        work.record(Action.TILE_READ, details={"tile": tile.path})
        return data


def mark_finding(
    installation: Installation, caller: Caller, *, finding: str, kind: str, verdict: str, entry: int
) -> dict[str, Any]:
    """Note that an auditor looked at a finding of a report: an entry, and nothing else.

    Raises:
        RefusalError: ``not-found``: the log has no such entry.
    """
    with installation.work(caller) as work:
        if entry >= log_size(work.session, LOG_TABLES):
            raise RefusalError(
                "not-found", "The log has no such entry. Mark findings of a report of this log."
            )
        work.record(
            Action.FINDING_MARK,
            details={"finding": finding, "kind": kind, "verdict": verdict, "entry": entry},
        )
        return {"finding": finding, "verdict": verdict}


def describe_server(installation: Installation) -> dict[str, Any]:
    """What anyone may know: name, version, and the key that signs checkpoints."""
    return {
        "name": installation.config.name,
        "version": version("tongqiao"),
        "log_origin": installation.log_key.origin,
        "log_key": base64.b64encode(installation.log_key.public_key).decode(),
    }


def _visible_entry(session: Session, caller: Caller, index: int) -> str:
    entries = LOG_TABLES.entries
    query = select(entries.c.body).where(entries.c.entry_index == index)
    if caller.actor is Actor.OFFICE:
        query = query.where(_is_about(caller.person))
    line: str | None = session.execute(query).scalar_one_or_none()
    if line is None:
        raise RefusalError(
            "not-found",
            "There is no such entry, it is not about your office's data, or it is sealed in an "
            "archive. `tongqiao audit own` lists those about your data.",
        )
    return line


def _is_about(office: str) -> ColumnElement[bool]:
    """Whether an entry is about an office's data.

    What it did itself, what names it, and what happened to rounds that it takes part in; not what
    other offices did.
    """
    entries = LOG_TABLES.entries
    with_records = select(RoundOffice.round_id).where(RoundOffice.office_id == office)
    coordinated = select(Round.id).where(Round.coordinating_office == office)
    of_its_rounds = and_(
        entries.c.action.in_([str(action) for action in ROUND_ACTIONS]),
        entries.c.subject.is_(None),
        or_(entries.c.round.in_(with_records), entries.c.round.in_(coordinated)),
    )
    return or_(
        entries.c.actor == office,
        entries.c.subject == office,
        of_its_rounds,
    )
