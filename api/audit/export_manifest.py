"""The manifest beside an export: what lets the exported file be verified, byte for byte and alone.

It names the entries that the file should hold, with their leaf hashes, and proves them to be in the
log that a signed checkpoint is over. ``AUDIT_LOG.md`` has the form; ``export_check.py`` verifies.

Only the standard library and ``keys.signing``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from api.audit.entry_filter import EntryFilter
from api.audit.errors import EntryError, ExportError, NoteError, ProofError
from api.audit.events import Entry, parse_entry
from api.audit.merkle import HASH_BYTES, leaf_hash
from api.audit.note import decode_base64, encode_base64
from api.audit.subset_proof import prove_subset
from api.audit.tiles import TileTree, split_hashes

FORMAT: Final = "tongqiao-log-export-v1"
SUFFIX: Final = ".manifest"
FORMS: Final = ("csv", "jsonl", "xlsx")
MAX_MANIFEST_BYTES: Final = 512 * 1024 * 1024
_KEYS: Final = frozenset(
    {
        "after", "before", "checkpoint", "file_sha256", "filter", "form", "format", "indexes",
        "last", "leaves", "proof", "signature", "start", "stop",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportManifest:
    """What an export claims; nothing of it is verified.

    Attributes:
        form: one of :data:`FORMS`.
        file_sha256: of the exported file, hex.
        wanted: the filter.
        last: where only the last so many were asked for.
        checkpoint: a signed note; the proof is for the tree that it is over.
        start, stop: the entries that the filter was applied to; those of its times.
        before, after: the entries just before and after these, as text; ``None`` at an end.
        indexes: of the exported entries, rising.
        leaves: their leaf hashes, 32 bytes each.
        proof: that these, ``before`` and ``after`` are in the log (:mod:`subset_proof`).
        signature: the log's, over all else; ``None`` where not the server made the export.
    """

    form: str
    file_sha256: str
    wanted: EntryFilter
    last: int | None
    checkpoint: bytes
    start: int
    stop: int
    before: str | None
    after: str | None
    indexes: tuple[int, ...]
    leaves: tuple[bytes, ...]
    proof: tuple[bytes, ...]
    signature: bytes | None = None

    def signed_bytes(self) -> bytes:
        """What the log's key signs: the manifest without a signature."""
        return replace(self, signature=None).to_bytes()

    def to_bytes(self) -> bytes:
        """The file: RFC 8785 canonical JSON and a newline."""
        value = {
            "after": self.after,
            "before": self.before,
            "checkpoint": self.checkpoint.decode(),
            "file_sha256": self.file_sha256,
            "filter": dict(self.wanted.conditions()),
            "form": self.form,
            "format": FORMAT,
            "indexes": list(self.indexes),
            "last": self.last,
            "leaves": encode_base64(b"".join(self.leaves)),
            "proof": encode_base64(b"".join(self.proof)),
            "signature": None if self.signature is None else encode_base64(self.signature),
            "start": self.start,
            "stop": self.stop,
        }
        # Equal to RFC 8785 here: names and numbers are ASCII, and no other text is escaped by it
        # than by JSON with characters as they are.
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        ) + b"\n"  # fmt: skip

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a manifest.

        Raises:
            ExportError: not byte for byte as :meth:`to_bytes` writes it.
        """
        try:
            value = json.loads(data)
            if not isinstance(value, dict) or value.keys() != _KEYS or value["format"] != FORMAT:
                raise ExportError("The manifest is none of an export of a log, or is damaged.")
            manifest = cls(**_parse_fields(value))
        except (ValueError, TypeError, KeyError, RecursionError, NoteError) as error:
            raise ExportError(_DAMAGED) from error
        if manifest.to_bytes() != data:
            raise ExportError(_DAMAGED)
        return manifest

    def neighbours(self) -> list[tuple[int, Entry, bytes]]:
        """Index, entry and leaf hash of ``before`` and ``after``.  Raises: ExportError."""
        found = []
        for index, text in ((self.start - 1, self.before), (self.stop, self.after)):
            if text is not None:
                line = text.encode(errors="replace")
                try:
                    entry = parse_entry(line)
                except EntryError as error:
                    raise ExportError(_DAMAGED) from error
                if entry.index != index:
                    raise ExportError(_DAMAGED)
                found.append((index, entry, leaf_hash(line)))
        return found

    def proved(self) -> list[tuple[int, bytes]]:
        """Index and leaf hash of everything that the proof is for, in order.

        Raises:
            ExportError: an index is not within ``start`` and ``stop``, or not rising, or there is
                not one leaf hash for each.
        """
        if len(self.indexes) != len(self.leaves):
            raise ExportError(_DAMAGED)
        rows = list(zip(self.indexes, self.leaves, strict=True))
        outside = any(not self.start <= index < self.stop for index in self.indexes)
        if self.last is not None and len(self.indexes) > self.last:
            raise ExportError(_DAMAGED)
        if outside or any(one >= other for one, other in pairwise(self.indexes)):
            raise ExportError(_DAMAGED)
        beside = [(index, leaf) for index, _, leaf in self.neighbours()]
        return sorted([*rows, *beside])


def make_manifest(tree: TileTree, **claims: Any) -> ExportManifest:
    """A manifest with its proof; see :class:`ExportManifest` for what it claims.

    Args:
        tree: what the checkpoint is over.

    Raises:
        ProofError: the tree has not these entries.
    """
    manifest = ExportManifest(proof=(), **claims)
    try:
        indexes = [index for index, _ in manifest.proved()]
    except ExportError as error:
        raise ProofError("what was exported does not follow each other") from error
    return replace(manifest, proof=tuple(prove_subset(tree, indexes)))


def manifest_path(export: Path) -> Path:
    """Where the manifest of an export is: beside it, with ``.manifest`` after its name."""
    return export.with_name(f"{export.name}{SUFFIX}")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file.  Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse_fields(value: Mapping[str, Any]) -> dict[str, Any]:
    conditions = value["filter"]
    numbers = [value["start"], value["stop"], *value["indexes"]]
    if value["last"] is not None:
        numbers.append(value["last"])
    texts = [value["checkpoint"], value["file_sha256"], value["form"], *conditions.values()]
    texts += [text for text in (value["before"], value["after"]) if text is not None]
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ExportError(_DAMAGED)
    if not all(isinstance(text, str) for text in texts) or value["form"] not in FORMS:
        raise ExportError(_DAMAGED)
    signature = value["signature"]
    return {
        "form": value["form"],
        "file_sha256": value["file_sha256"],
        "wanted": EntryFilter(**conditions),
        "last": value["last"],
        "checkpoint": value["checkpoint"].encode(),
        "start": value["start"],
        "stop": value["stop"],
        "before": value["before"],
        "after": value["after"],
        "indexes": tuple(value["indexes"]),
        "leaves": tuple(_hashes(value["leaves"])),
        "proof": tuple(_hashes(value["proof"])),
        "signature": None if signature is None else decode_base64(signature),
    }


def _hashes(text: str) -> Sequence[bytes]:
    data = decode_base64(text)
    if len(data) % HASH_BYTES:
        raise ExportError(_DAMAGED)
    return split_hashes(data)


_DAMAGED: Final = "The manifest is damaged, or was changed. Export the entries again."
