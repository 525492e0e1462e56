"""The server's side of checkpoints: the key that signs them, and signing what the log holds."""

import base64
import binascii
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.audit.append import read_head
from api.audit.errors import LogStoreError, NoteError
from api.audit.events import format_time
from api.audit.note import ED25519, Checkpoint, NoteSignature, SignedNote, VerifierKey
from api.audit.tables import LogTables
from keys import labels
from keys.signing import sign_document
from keys.storage import read_private_file, write_private_file

_SEED_BYTES: Final = 32
_PREFIX: Final = "PRIVATE+KEY+"
_ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,126}")


class LogKey:
    """The name of a log and the private key that signs its checkpoints.

    Args:
        origin: unique name of the log, like ``linkage.example.cn/log``: letters, digits, ``._/-``.

    Raises:
        NoteError: the origin is not of that form.
    """

    __slots__ = ("_private", "origin")

    def __init__(self, origin: str, private: Ed25519PrivateKey) -> None:
        if not _ORIGIN.fullmatch(origin):
            raise NoteError(
                "The name of the log may have letters, digits, dots, slashes and hyphens only, "
                "at most 127."
            )
        self.origin = origin
        self._private = private

    def __repr__(self) -> str:
        return f"LogKey(origin={self.origin!r}, private=<hidden>)"

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes: ``log_key`` of ``GET /v1/server``."""
        return self._private.public_key().public_bytes_raw()

    @property
    def verifier_key(self) -> VerifierKey:
        """What auditors verify with."""
        return VerifierKey(self.origin, self.public_key)

    def sign(self, checkpoint: Checkpoint) -> str:
        """The checkpoint as a signed note.

        Raises:
            NoteError: the checkpoint is of another log.
        """
        if checkpoint.origin != self.origin:
            raise NoteError("This key signs checkpoints of its own log only.")
        text = checkpoint.to_text()
        signature = NoteSignature(
            self.origin, self.verifier_key.key_id, self._private.sign(text.encode())
        )
        return SignedNote(text, (signature,)).to_bytes().decode()

    def sign_export(self, document: bytes) -> bytes:
        """Sign the manifest of an export of this log; 64 bytes (``keys/labels.py``)."""
        return sign_document(self._private, labels.LOG_EXPORT, document)

    def serialise(self) -> bytes:
        """``PRIVATE+KEY+NAME+KEYID+SEED`` and a newline, as Go's ``sumdb/note`` writes it."""
        seed = base64.b64encode(ED25519 + self._private.private_bytes_raw()).decode("ascii")
        return f"{_PREFIX}{self.origin}+{self.verifier_key.key_id.hex()}+{seed}\n".encode()


def new_log_key(origin: str) -> LogKey:
    """Make a key for a new log.  Raises: NoteError."""
    return LogKey(origin, Ed25519PrivateKey.generate())


def parse_log_key(data: bytes) -> LogKey:
    """Read what :meth:`LogKey.serialise` wrote.

    Raises:
        NoteError: not in that form, or its parts do not fit each other.
    """
    damaged = "The log's key file is damaged. Restore it from a backup."
    try:
        text = data.decode("ascii").removesuffix("\n")
        origin, key_id, encoded = text.removeprefix(_PREFIX).split("+", 2)
        seed = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        # Not chained: the cause would hold the file's content.
        raise NoteError(damaged) from None
    if not text.startswith(_PREFIX) or len(seed) != 1 + _SEED_BYTES or seed[:1] != ED25519:
        raise NoteError(damaged)
    key = LogKey(origin, Ed25519PrivateKey.from_private_bytes(seed[1:]))
    if key.verifier_key.key_id.hex() != key_id:
        raise NoteError(damaged)
    return key


def save_log_key(key: LogKey, path: Path) -> None:
    """Write a new key file that its owner alone can read.

    Raises:
        KeyFileError: the file exists.
        OSError: it cannot be written.
    """
    write_private_file(path, key.serialise())


def load_log_key(path: Path) -> LogKey:
    """Load a key file.

    Raises:
        KeyFileError: others may read it.
        NoteError: it is no log key.
        OSError: it cannot be read.
    """
    return parse_log_key(read_private_file(path))


def make_checkpoint(
    session: Session | Connection, tables: LogTables, key: LogKey, now: datetime | None = None
) -> str:
    """Sign the log as the transaction sees it, and keep the checkpoint in the same transaction.

    Gives the same bytes again as long as nothing was appended. Never signs what contradicts a
    checkpoint that was signed before (C2SP ``tlog-checkpoint``).

    Raises:
        LogStoreError: entries are missing, or the log is not the one that was signed before.
    """
    head = read_head(session, tables)
    table = tables.checkpoints
    query = select(table.c.root, table.c.note).where(table.c.size == head.size)
    kept = session.execute(query).one_or_none()
    if kept is None:
        note = key.sign(Checkpoint(key.origin, head.size, head.root))
        moment = format_time(datetime.now(UTC) if now is None else now)
        try:
            with session.begin_nested():
                session.execute(
                    insert(table).values(
                        size=head.size, root=head.root, note=note, created_at=moment
                    )
                )
        except IntegrityError:
            # Another process has just signed the same size.
            kept = session.execute(query).one()
        else:
            return note
    if kept.root != head.root:
        raise LogStoreError(
            "The access log is not the one that was signed before. Stop the server, keep its "
            "database as it is, and tell the auditors."
        )
    # Under another key of the same log the signature is made anew; the row stays as it was.
    return key.sign(Checkpoint(key.origin, head.size, head.root))
