"""Make ``log.json`` anew: ``python tests/vectors/audit/generate.py`` (``PROVENANCE.md``).

Written after ``api/audit/AUDIT_LOG.md`` with nothing of ``api.audit``: a second implementation.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "vectors.example/log"
SIZES = (0, 1, 2, 3, 5)
COSIGNED_AT = 1_772_352_060
PROVED, ARCHIVED_FROM = 3, 3


def _entry(index: int, second: int, **fields: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("actor", "origin", "project", "reason", "request", "role", "round"))
    return {
        **empty,
        "details": {},
        "index": index,
        "outcome": "granted",
        "time": f"2026-03-01T08:00:{second:02d}.250Z",
        "v": 1,
        **fields,
    }


ENTRIES: list[dict[str, Any]] = [
    _entry(0, 0, action="server:init", role="administrator"),
    _entry(1, 7, action="request:refused", outcome="refused", reason="unsigned",
           request="0f3a9c0d51b2e764", origin="192.0.2.7"),
    _entry(2, 7, action="member:approve", actor="operator-li", role="operator",
           request="51b2e7640f3a9c0d", origin="2001:db8::1",
           details={"member": "jinjiang-civil", "n_waiting": 0}),
    _entry(3, 30, action="upload:put", actor="jinjiang-civil", role="office",
           project="sichuan-children", round="2026-h2", request="e7640f3a9c0d51b2",
           origin="192.0.2.9",
           details={"n_bytes": 1048576, "n_records": 5000, "replaced": None,
                    "sha256": hashlib.sha256(b"").hexdigest()}),
    _entry(4, 59, action="job:fail", outcome="failed", role="worker", reason="worker-lost",
           project="sichuan-children", round="2026-h2"),
]  # fmt: skip


def _root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + _root(leaves[:k]) + _root(leaves[k:])).digest()


def _typed(key: bytes) -> str:
    return base64.b64encode(b"\x01" + key).decode()


def _path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    if len(leaves) <= 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if index < k:
        return [*_path(leaves[:k], index), _root(leaves[k:])]
    return [*_path(leaves[k:], index - k), _root(leaves[:k])]


def _witnessed(note: str) -> dict[str, str]:
    """A witness's key and the note with its cosignature."""
    private = Ed25519PrivateKey.from_private_bytes(
        hashlib.sha256(b"tongqiao test vector: witness key").digest()
    )
    public = private.public_key().public_bytes_raw()
    name = f"{ORIGIN}/witness/he"
    key_id = hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    text = note[: note.index("\n\n") + 1]
    signature = private.sign(f"cosignature/v1\ntime {COSIGNED_AT}\n{text}".encode())
    line = base64.b64encode(key_id + COSIGNED_AT.to_bytes(8, "big") + signature).decode()
    key = base64.b64encode(b"\x04" + public).decode()
    return {
        "witness_key": f"{name}+{key_id.hex()}+{key}",
        "note": f"{note}\u2014 {name} {line}\n",
    }


def _proof(lines: Sequence[bytes], leaves: Sequence[bytes], index: int, note: str) -> str:
    hashes = [base64.b64encode(value).decode() for value in _path(leaves, index)]
    extra = base64.b64encode(lines[index]).decode()
    head = ["c2sp.org/tlog-proof@v1", f"extra {extra}", f"index {index}", *hashes]
    return "\n".join(head) + "\n\n" + note


def _archive(lines: Sequence[bytes], leaves: Sequence[bytes], start: int, note: str) -> str:
    sizes = [1 << bit for bit in range(start.bit_length() - 1, -1, -1) if start >> bit & 1]
    head, at = ["tongqiao-log-archive-v1", f"entries {start} {len(lines)}"], 0
    for size in sizes:
        head.append(base64.b64encode(_root(leaves[at : at + size])).decode())
        at += size
    entries = "".join(f"{line.decode()}\n" for line in lines[start:])
    return "\n".join(head) + "\n\n" + note + "\n" + entries


def _export(lines: Sequence[bytes], private: Ed25519PrivateKey, note: str) -> dict[str, str]:
    """The refused entries as JSON Lines, and a manifest signed by the log's key."""
    leaves = [hashlib.sha256(b"\x00" + line).digest() for line in lines]
    chosen = [at for at, line in enumerate(lines) if b'"outcome":"refused"' in line]
    file = b"".join(lines[at] + b"\n" for at in chosen)
    manifest: dict[str, Any] = {
        "after": None,
        "before": None,
        "checkpoint": note,
        "file_sha256": hashlib.sha256(file).hexdigest(),
        "filter": {"outcome": "refused"},
        "form": "jsonl",
        "format": "tongqiao-log-export-v1",
        "indexes": chosen,
        "last": None,
        "leaves": base64.b64encode(b"".join(leaves[at] for at in chosen)).decode(),
        "proof": base64.b64encode(b"".join(_subset(leaves, 0, set(chosen)))).decode(),
        "signature": None,
        "start": 0,
        "stop": len(lines),
    }
    signed = b"tongqiao/v1/log-export\x00" + rfc8785.dumps(manifest) + b"\n"
    manifest["signature"] = base64.b64encode(private.sign(signed)).decode()
    return {"file": file.decode(), "manifest": rfc8785.dumps(manifest).decode() + "\n"}


def _subset(leaves: Sequence[bytes], first: int, wanted: set[int]) -> list[bytes]:
    if not any(first <= index < first + len(leaves) for index in wanted):
        return [_root(leaves)]
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return _subset(leaves[:k], first, wanted) + _subset(leaves[k:], first + k, wanted)


def vectors() -> dict[str, Any]:
    """Everything in ``log.json``; the same each time."""
    private = Ed25519PrivateKey.from_private_bytes(
        hashlib.sha256(b"tongqiao test vector: log key").digest()
    )
    public = private.public_key().public_bytes_raw()
    key_id = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + public).digest()[:4]
    lines = [rfc8785.dumps(entry) for entry in ENTRIES]
    leaves = [hashlib.sha256(b"\x00" + line).digest() for line in lines]
    checkpoints = []
    for size in SIZES:
        root = _root(leaves[:size])
        text = f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(key_id + private.sign(text.encode())).decode()
        note = f"{text}\n\u2014 {ORIGIN} {signature}\n"
        checkpoints.append({"size": size, "root": root.hex(), "note": note})
    cosigned = _witnessed(str(checkpoints[-1]["note"]))
    return {
        "cosigned": cosigned,
        "proof": _proof(lines, leaves, PROVED, cosigned["note"]),
        "archive": _archive(lines, leaves, ARCHIVED_FROM, str(checkpoints[-1]["note"])),
        "export": _export(lines, private, str(checkpoints[-1]["note"])),
        "log_key": f"{ORIGIN}+{key_id.hex()}+{_typed(public)}",
        "private_key": f"PRIVATE+KEY+{ORIGIN}+{key_id.hex()}+{_typed(private.private_bytes_raw())}",
        "entries": [
            {"line": line.decode(), "leaf_hash": leaf.hex()}
            for line, leaf in zip(lines, leaves, strict=True)
        ],
        "checkpoints": checkpoints,
    }


if __name__ == "__main__":
    Path(__file__).with_name("log.json").write_text(
        json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
