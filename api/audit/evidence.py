"""What a fetched folder says was signed and verified: key, checkpoints, the last verification.

Only the standard library and ``keys.signing``.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from api.audit.cosignature import WitnessKey, find_cosignatures
from api.audit.directory import (
    CHECKPOINT,
    CHECKPOINTS,
    KEY,
    STATE,
    WITNESSES,
    VerifiedState,
    checkpoint_name,
    note_digest,
    read_checkpoints,
    read_small_file,
)
from api.audit.errors import DirectoryError, NoteError, NoteKeyError, NoteSignatureError
from api.audit.findings import Finding, Kind
from api.audit.note import (
    Checkpoint,
    VerifierKey,
    open_checkpoint,
    parse_note,
)

_NAME = re.compile(r"[0-9]{12}-[0-9a-f]{16}")
"""A name that a fetch gave; who adds a checkpoint by hand may give any other."""


@dataclass(slots=True)
class Evidence:
    """What entries are held against.

    Attributes:
        state: what the last fetch verified, ``None`` if it is missing or damaged.
        key: the pinned key, ``None`` likewise.
        signed: every checkpoint with a good signature, the latest among them.
        latest: the checkpoint of the last fetch, if its signature is good.
        witnesses: keys of the witnesses that are known here.
        witnessed: the largest size that each of them signed, and when (seconds since 1970).
        findings: what is wrong with these themselves.
    """

    state: VerifiedState | None = None
    key: VerifierKey | None = None
    signed: list[Checkpoint] = field(default_factory=list)
    latest: Checkpoint | None = None
    witnesses: list[WitnessKey] = field(default_factory=list)
    witnessed: dict[str, tuple[int, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def newest_size(self) -> int:
        """How many entries the largest checkpoint is over."""
        return max((one.size for one in self.signed), default=0)

    def note(self, kind: Kind, message: str, index: int | None = None) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, message, index))


def load_evidence(directory: Path) -> Evidence:
    """Read and check everything in the folder but the entries.

    Raises:
        OSError: something cannot be read.
    """
    evidence = Evidence()
    _load_state(directory, evidence)
    _load_key(directory, evidence)
    _load_witnesses(directory, evidence)
    digests = _load_checkpoints(directory, evidence)
    _load_latest(directory, evidence)
    if evidence.state is not None:
        n_missing = len(set(evidence.state.checkpoints) - digests)
        if n_missing:
            evidence.note(
                Kind.CHECKPOINT_MISSING,
                f"{n_missing} of the checkpoints that were seen before are missing or changed.",
            )
    return evidence


def _load_state(directory: Path, evidence: Evidence) -> None:
    try:
        data = read_small_file(directory / STATE)
        if data is not None:
            evidence.state = VerifiedState.parse(data)
            return
    except DirectoryError:
        evidence.note(Kind.STATE_CHANGED, "verified.json, what the last fetch noted, was changed.")
        return
    evidence.note(
        Kind.STATE_MISSING,
        "verified.json is missing: whether the end of the log was cut off together with its "
        "checkpoint cannot be told.",
    )


def _load_key(directory: Path, evidence: Evidence) -> None:
    try:
        data = read_small_file(directory / KEY)
        if data is None:
            evidence.note(
                Kind.KEY_MISSING, "log.vkey, the key that checkpoints must fit, is missing."
            )
            return
        evidence.key = parse_key_file(data)
    except (DirectoryError, NoteError):
        evidence.note(Kind.CHECKPOINT_KEY_CHANGED, "log.vkey was changed: it is no key.")
        return
    if evidence.state is not None and evidence.state.log_key != evidence.key.to_text():
        evidence.note(
            Kind.CHECKPOINT_KEY_CHANGED,
            "log.vkey is not the key that the log was verified with before.",
        )


def _load_witnesses(directory: Path, evidence: Evidence) -> None:
    try:
        data = read_small_file(directory / WITNESSES) or b""
        for line in data.decode("ascii").split("\n")[:-1]:
            evidence.witnesses.append(WitnessKey.parse(line))
        if data and not data.endswith(b"\n"):
            raise NoteError("the last line has no end")
    except (DirectoryError, NoteError, UnicodeDecodeError):
        evidence.note(
            Kind.COSIGNATURE, "The file 'witnesses' was changed: a line in it is no witness's key."
        )


def parse_key_file(data: bytes) -> VerifierKey:
    """Read ``log.vkey``: the key and a newline.

    Raises:
        NoteError: it is no key.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise NoteError("the log's key is not ASCII text") from error
    if not text.endswith("\n"):
        raise NoteError("the log's key has no newline at its end")
    return VerifierKey.parse(text[:-1])


def _load_checkpoints(directory: Path, evidence: Evidence) -> set[str]:
    """Open every checkpoint ever seen; returns the SHA-256 of each file, hex."""
    try:
        files = read_checkpoints(directory)
    except DirectoryError as error:
        evidence.note(Kind.CHECKPOINT_MALFORMED, f"In checkpoints/, {error}.")
        return set()
    for name, data in files:
        # The name is from a folder that may have been tampered with.
        shown = f"{CHECKPOINTS}/{name}" if name.isascii() and name.isprintable() else CHECKPOINTS
        checkpoint = _open(data, shown, evidence)
        if checkpoint is not None:
            evidence.signed.append(checkpoint)
            if _NAME.fullmatch(name) and name != checkpoint_name(checkpoint.size, data):
                evidence.note(
                    Kind.CHECKPOINT_CHANGED, f"The checkpoint in {shown} bears another's name."
                )
    return {note_digest(data) for _, data in files}


def _load_latest(directory: Path, evidence: Evidence) -> None:
    try:
        data = read_small_file(directory / CHECKPOINT)
    except DirectoryError as error:
        evidence.note(Kind.CHECKPOINT_MALFORMED, f"In the folder, {error}.")
        return
    if data is None:
        evidence.note(Kind.CHECKPOINT_MISSING, "The latest checkpoint is missing.")
        return
    latest = _open(data, CHECKPOINT, evidence)
    if latest is None:
        return
    state = evidence.state
    newest_size = max(evidence.newest_size, 0 if state is None else state.size)
    if latest.size < newest_size:
        evidence.note(
            Kind.CHECKPOINT_REPLAYED,
            f"The latest checkpoint is an old one, over {latest.size} entries: one over "
            f"{newest_size} was seen before.",
            latest.size,
        )
    elif state is not None and note_digest(data) not in state.checkpoints:
        evidence.note(
            Kind.CHECKPOINT_CHANGED, "The latest checkpoint is not the one last verified."
        )
    evidence.signed.append(latest)
    evidence.latest = latest


def _open(data: bytes, name: str, evidence: Evidence) -> Checkpoint | None:
    if evidence.key is None:
        return None
    try:
        checkpoint = open_checkpoint(data, evidence.key)
        _note_cosignatures(data, checkpoint, name, evidence)
        return checkpoint
    except NoteSignatureError:
        kind, text = Kind.CHECKPOINT_SIGNATURE, "has a signature that does not fit its text"
    except NoteKeyError:
        kind, text = Kind.CHECKPOINT_KEY_CHANGED, "is not signed by the key in log.vkey"
    except NoteError:
        kind, text = Kind.CHECKPOINT_MALFORMED, "is malformed"
    evidence.note(kind, f"The checkpoint in {name} {text}.")
    return None


def _note_cosignatures(data: bytes, checkpoint: Checkpoint, name: str, evidence: Evidence) -> None:
    try:
        found = find_cosignatures(parse_note(data), evidence.witnesses)
    except NoteSignatureError:
        evidence.note(
            Kind.COSIGNATURE,
            f"The checkpoint in {name} bears the name of a witness whose signature does not fit.",
        )
        return
    for one in found:
        newest = evidence.witnessed.get(one.witness.name, (-1, 0))
        evidence.witnessed[one.witness.name] = max(newest, (checkpoint.size, one.time))
