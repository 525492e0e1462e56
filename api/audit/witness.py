"""Being a witness: cosign what continues all that was seen before, and keep what does not.

A witness needs no entries: a proof of consistency shows that the longer log begins with the shorter
one that the witness signed last. Its folder holds the log's key and the last checkpoint that it
signed; an auditor's fetched folder does as well, and binds the witness to what was fetched too.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from api.audit.cosignature import WitnessKey, cosign, witness_name
from api.audit.directory import (
    KEY,
    REFUSED,
    STATE,
    VerifiedState,
    checkpoint_name,
    read_small_file,
)
from api.audit.errors import (
    DirectoryError,
    FetchError,
    NoteError,
    NoteKeyError,
    NoteSignatureError,
    ProofError,
)
from api.audit.evidence import parse_key_file
from api.audit.merkle import EMPTY_ROOT, verify_consistency
from api.audit.note import Checkpoint, SignedNote, VerifierKey, open_checkpoint, parse_note

if TYPE_CHECKING:
    from keys.identity import PrivateIdentity

WITNESSED: Final = "witnessed"
"""The last checkpoint that this witness signed, with its own signature."""


class WitnessSource(Protocol):
    """The log that is witnessed."""

    def log_key(self) -> VerifierKey:
        """The key that it says its checkpoints are signed by."""

    def checkpoint(self) -> bytes:
        """Its present checkpoint, a signed note."""

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """A consistency proof, 32 bytes each."""

    def cosign(self, size: int, line: str) -> None:
        """Take a cosignature."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What was cosigned.

    Attributes:
        key: the witness's own, for others to verify with.
        previous_size: entries in what was seen before; 0 the first time.
        pinned: whether the log's key was taken on trust now, for the first time.
    """

    checkpoint: Checkpoint
    key: WitnessKey
    log_key: VerifierKey
    previous_size: int
    pinned: bool


def witness_log(
    source: WitnessSource,
    directory: Path,
    identity: "PrivateIdentity",
    now: int,
    *,
    expected_key: VerifierKey | None = None,
) -> Witnessed:
    """Verify that the log continues what was seen of it, cosign its checkpoint, and send that.

    Args:
        identity: whose signature it is.
        now: seconds since 1970.
        expected_key: the key that the log must have; ``None`` takes that of the folder, or the
            server's the first time.

    Raises:
        FetchError: the log does not continue what was seen, or its checkpoint cannot be used; what
            bears a good signature is kept in ``refused/``, and nothing is cosigned.
        DirectoryError: the folder was changed, or is of another log.
        OSError: the folder cannot be read or written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, pinned = _choose_key(source, directory, expected_key)
    seen = _seen_before(directory, key)
    data = source.checkpoint()
    try:
        latest = open_checkpoint(data, key)
    except NoteSignatureError as error:
        raise FetchError(_UNUSABLE.format("has a signature that does not fit its text")) from error
    except NoteKeyError as error:
        raise FetchError(_UNUSABLE.format("is not signed by the key of its log")) from error
    except NoteError as error:
        raise FetchError(_UNUSABLE.format("is malformed")) from error
    for old in seen:
        _verify_continues(source, directory, old, latest, data)
    name = witness_name(key.name, identity.public.holder)
    note = parse_note(data)
    line = cosign(identity.signing_private, name, note.text, now)
    # Noted before it is sent: a witness must never sign what it does not remember.
    signed = SignedNote(note.text, (*note.signatures, line)).to_bytes()
    _replace(directory / KEY, key.to_text().encode() + b"\n")
    _replace(directory / WITNESSED, signed)
    source.cosign(latest.size, line.to_text())
    return Witnessed(
        checkpoint=latest,
        key=WitnessKey(name, identity.public.signing_key),
        log_key=key,
        previous_size=max((old.size for old in seen), default=0),
        pinned=pinned,
    )


def _choose_key(
    source: WitnessSource, directory: Path, expected: VerifierKey | None
) -> tuple[VerifierKey, bool]:
    data = read_small_file(directory / KEY)
    if data is not None:
        try:
            kept = parse_key_file(data)
        except NoteError as error:
            raise DirectoryError("log.vkey in the folder is damaged. Choose a new one.") from error
        if expected not in (None, kept):
            raise DirectoryError(
                "The key that you gave is not the one in log.vkey. Ask the operator by another "
                "way which one is right."
            )
        expected = kept
    served = source.log_key()
    if expected is not None and served != expected:
        raise FetchError(
            "The server names another key for its log than the one that it should have. Nothing "
            "was cosigned. Ask the operator by another way whether and why it was changed."
        )
    return served, expected is None


def _seen_before(directory: Path, key: VerifierKey) -> Sequence[Checkpoint]:
    """What this folder has seen: the last checkpoint cosigned, and what was fetched."""
    seen = []
    data = read_small_file(directory / WITNESSED)
    if data is not None:
        try:
            seen.append(open_checkpoint(data, key))
        except NoteError as error:
            raise DirectoryError(
                "What this witness signed last ('witnessed' in the folder) was changed. Keep the "
                "folder as it is, and begin a new one."
            ) from error
    state = read_small_file(directory / STATE)
    if state is not None:
        fetched = VerifiedState.parse(state)
        seen.append(Checkpoint(key.name, fetched.size, fetched.root))
    return seen


def _verify_continues(
    source: WitnessSource, directory: Path, old: Checkpoint, latest: Checkpoint, data: bytes
) -> None:
    if latest.size < old.size:
        _keep_evidence(directory, latest, data)
        raise FetchError(
            f"The server's log ends at {latest.size} entries, but {old.size} were seen before: its "
            "end was cut off, or it was set back. Nothing was cosigned; its checkpoint is kept in "
            "refused/ as evidence."
        )
    proof = source.consistency(old.size, latest.size) if 0 < old.size < latest.size else []
    try:
        old_root = EMPTY_ROOT if old.size == 0 else old.root
        verify_consistency(old.size, latest.size, proof, old_root, latest.root)
    except ProofError as error:
        _keep_evidence(directory, latest, data)
        raise FetchError(
            f"The server's log of {latest.size} entries does not begin with the {old.size} that "
            "were seen before: it has another history now. Nothing was cosigned; its checkpoint "
            "is kept in refused/ as evidence. Tell the other auditors."
        ) from error


def _keep_evidence(directory: Path, latest: Checkpoint, data: bytes) -> None:
    folder = directory / REFUSED
    folder.mkdir(mode=0o700, exist_ok=True)
    _replace(folder / checkpoint_name(latest.size, data), data)


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


_UNUSABLE: Final = "The server's checkpoint {}. Nothing was cosigned. Tell the operator."
