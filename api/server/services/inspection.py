"""An upload is read for the first time: decrypted, hashed, and checked to be a whole ``.tqe`` file.

What an office sends is parsed by a process of its own, which holds nothing but this one file and
its key: it takes no processor time from requests (it is nice, and has its own interpreter), gives
back all of its memory, and if a file should break the parser, it breaks nothing else.  A small
file is read by the server itself, since starting a process takes longer than reading it.

The process gets what to do as JSON on its standard input, answers on its standard output, and ends
when the input ends, so it never outlives the server.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from api.server.priority import step_back
from api.server.services.incoming import decrypt_file
from keys.errors import AtRestError
from linkage.errors import TqeFormatError
from linkage.manifest import manifest_to_json, parse_manifest
from linkage.tqe import read_verified_manifest
from linkage.types import Manifest

SMALL_BYTES: Final = 4 * 1024 * 1024
"""Files up to this size are read by the server itself."""

_MAX_ANSWER_BYTES: Final = 1024 * 1024


class InspectionBrokenError(Exception):
    """The process that read a file died of it, or of want of memory."""


class OtherContentError(Exception):
    """What is in the file is not what its sender signed.

    Attributes:
        sha256: of what is in it, hex.
    """

    def __init__(self, sha256: str) -> None:
        super().__init__("another hash than the signed one")
        self.sha256 = sha256


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """An encrypted file that has arrived whole.

    Attributes:
        path: of the file.
        data_key: of its round, 32 bytes.
        context: what it was encrypted as.
        sha256: hash, hex, that the sender signed; nothing else is parsed.
        n_bytes: size of what is in it.
    """

    path: Path
    data_key: bytes
    context: str
    sha256: str
    n_bytes: int

    def __repr__(self) -> str:
        return "StoredUpload(key hidden)"


class Inspection:
    """Reads uploads, so many at a time.

    Args:
        n_at_once: files that are read at the same time; further ones wait.
        small_bytes: see :data:`SMALL_BYTES`.
        nice: how far the process of a file steps back; requests go first.
    """

    def __init__(self, n_at_once: int, *, small_bytes: int = SMALL_BYTES, nice: int = 10) -> None:
        self._turns = threading.BoundedSemaphore(n_at_once)
        self._nice = nice
        self._small_bytes = small_bytes

    def inspect(self, upload: StoredUpload, plain: Path) -> Manifest:
        """Decrypt a file to ``plain``, which the caller deletes, and check all of it.

        Returns:
            What it says of itself, which is true of its columns.

        Raises:
            AtRestError: it was altered where it was stored, or is not complete.
            OtherContentError: it is not what was signed.
            TqeFormatError: what is in it is not a good ``.tqe`` file.
            InspectionBrokenError: reading it ended abruptly.
            OSError: it is gone, or there is no room.
        """
        with self._turns:
            if upload.n_bytes <= self._small_bytes:
                return inspect_file(upload, plain)
            return _inspect_apart(upload, plain, self._nice)


def inspect_file(upload: StoredUpload, plain: Path) -> Manifest:
    """As :meth:`Inspection.inspect`, in this process."""
    with upload.path.open("rb") as stored:
        sha256 = decrypt_file(stored, plain, data_key=upload.data_key, context=upload.context)
    if sha256 != upload.sha256:
        raise OtherContentError(sha256)
    return read_verified_manifest(plain)


def _inspect_apart(upload: StoredUpload, plain: Path, nice: int) -> Manifest:
    task = {
        "path": str(upload.path.resolve()),
        "plain": str(plain.resolve()),
        "data_key": upload.data_key.hex(),
        "context": upload.context,
        "sha256": upload.sha256,
        "n_bytes": upload.n_bytes,
        "nice": nice,
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "api.server.services.inspection"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process, _killed_at_last(process):
        asking, answering = cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
        with contextlib.suppress(BrokenPipeError):
            asking.write(json.dumps(task).encode() + b"\n")
            asking.flush()
        # The input stays open meanwhile: at its end, the process ends.
        answer = answering.read(_MAX_ANSWER_BYTES)
        with contextlib.suppress(BrokenPipeError):
            asking.close()
    return _parse_answer(answer)


@contextlib.contextmanager
def _killed_at_last(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()


def _parse_answer(answer: bytes) -> Manifest:
    """Take apart what the process says, which has read bytes that are not to be trusted."""
    try:
        found = json.loads(answer)
        failure, message = found.get("failure"), str(found.get("message", ""))
        if failure is None:
            return parse_manifest(found["manifest"].encode())
        number = int(found.get("errno") or 0)
    except (ValueError, KeyError, AttributeError, TqeFormatError) as error:
        raise InspectionBrokenError("reading the file ended abruptly") from error
    match failure:
        case "content":
            raise OtherContentError(message)
        case "at-rest":
            raise AtRestError(message)
        case "format":
            raise TqeFormatError(message)
        case "system":
            raise OSError(number, os.strerror(number))
        case _:
            raise InspectionBrokenError("reading the file ended abruptly")


def _answer(task: Mapping[str, Any]) -> dict[str, Any]:
    upload = StoredUpload(
        path=Path(task["path"]),
        data_key=bytes.fromhex(task["data_key"]),
        context=task["context"],
        sha256=task["sha256"],
        n_bytes=task["n_bytes"],
    )
    try:
        manifest = inspect_file(upload, Path(task["plain"]))
    except OtherContentError as error:
        return {"failure": "content", "message": error.sha256}
    except AtRestError as error:
        return {"failure": "at-rest", "message": str(error)}
    except TqeFormatError as error:
        return {"failure": "format", "message": str(error)}
    except OSError as error:
        return {"failure": "system", "errno": error.errno}
    return {"manifest": manifest_to_json(manifest).decode()}


def _end_with_the_server() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _main() -> None:
    task = json.loads(sys.stdin.buffer.readline())
    step_back(task["nice"])
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    sys.stdout.buffer.write(json.dumps(_answer(task)).encode())
    sys.stdout.flush()
    # Not by the interpreter's orderly way, which would wait for the thread that reads.
    os._exit(0)


if __name__ == "__main__":
    _main()
