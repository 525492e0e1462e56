"""The server's side of witnesses: keeping cosignatures, and handing out cosigned checkpoints."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, insert, select
from sqlalchemy.orm import Session

from api.audit.cosignature import WitnessKey, verify_cosignature
from api.audit.errors import NoteError
from api.audit.note import NoteSignature, SignedNote, parse_note, parse_signature_line
from api.audit.tables import LogTables

MAX_COSIGNED: Final = 100
"""So many cosigned checkpoints are read at once at most."""


def keep_cosignature(
    session: Session | Connection,
    tables: LogTables,
    size: int,
    member: str,
    key: WitnessKey,
    line: str,
) -> bool:
    """Keep a member's cosignature of the checkpoint over ``size`` entries.

    Args:
        line: the signature line, without a newline.

    Returns:
        Whether this member had not cosigned it before; a second signature is not kept.

    Raises:
        NoteError: this log never signed a checkpoint of that size, or the line is malformed.
        NoteKeyError: the line is not by this witness.
        NoteSignatureError: it does not fit the checkpoint.
    """
    note = _signed_notes(session, tables, [size]).get(size)
    if note is None:
        raise NoteError("this log has signed no checkpoint of that size")
    signature = parse_signature_line(line)
    cosignature = verify_cosignature(note.text, signature, key)
    table = tables.cosignatures
    known = select(table.c.size).where(table.c.size == size, table.c.witness == member)
    if session.execute(known).first() is not None:
        return False
    session.execute(
        insert(table).values(size=size, witness=member, line=line, signed_at=cosignature.time)
    )
    return True


def cosigned_notes(
    session: Session | Connection, tables: LogTables, after: int, limit: int = MAX_COSIGNED
) -> list[str]:
    """Checkpoints over more than ``after`` entries, each with all its cosignatures, in order."""
    table = tables.cosignatures
    query = (
        select(table.c.size)
        .where(table.c.size > after)
        .group_by(table.c.size)
        .order_by(table.c.size)
        .limit(max(0, min(limit, MAX_COSIGNED)))
    )
    return _with_cosignatures(session, tables, list(session.execute(query).scalars()))


def newest_cosigned(session: Session | Connection, tables: LogTables, over: int) -> str | None:
    """The newest cosigned checkpoint that is over more than ``over`` entries."""
    table = tables.cosignatures
    query = select(table.c.size).where(table.c.size > over).order_by(table.c.size.desc()).limit(1)
    size = session.execute(query).scalar_one_or_none()
    return None if size is None else _with_cosignatures(session, tables, [size])[0]


def signed_note(session: Session | Connection, tables: LogTables, size: int) -> str | None:
    """The checkpoint over ``size`` entries with its cosignatures; ``None`` if none was signed."""
    if size not in _signed_notes(session, tables, [size]):
        return None
    return _with_cosignatures(session, tables, [size])[0]


def witnesses_over(session: Session | Connection, tables: LogTables, over: int) -> set[str]:
    """Members who cosigned a checkpoint that is over more than ``over`` entries."""
    table = tables.cosignatures
    query = select(table.c.witness).where(table.c.size > over).distinct()
    return set(session.execute(query).scalars())


def _with_cosignatures(
    session: Session | Connection, tables: LogTables, sizes: Sequence[int]
) -> list[str]:
    table = tables.cosignatures
    query = (
        select(table.c.size, table.c.line)
        .where(table.c.size.in_(sizes))
        .order_by(table.c.size, table.c.witness)
    )
    lines: dict[int, list[NoteSignature]] = {size: [] for size in sizes}
    for row in session.execute(query):
        lines[row.size].append(parse_signature_line(row.line))
    notes = _signed_notes(session, tables, sizes)
    return [
        SignedNote(notes[size].text, (*notes[size].signatures, *lines[size])).to_bytes().decode()
        for size in sizes
    ]


def _signed_notes(
    session: Session | Connection, tables: LogTables, sizes: Sequence[int]
) -> dict[int, SignedNote]:
    table = tables.checkpoints
    query = select(table.c.size, table.c.note).where(table.c.size.in_(sizes))
    return {row.size: parse_note(row.note.encode()) for row in session.execute(query)}
