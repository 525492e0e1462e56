"""Sending a large file in pieces, going on by itself where a connection broke.

The server's word on where the upload stands counts (``docs/http-api.md``), never this side's: so a
program that was stopped, or a machine that lost its power, goes on as well when it starts again.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from api.client.errors import ApiError
from api.client.http import ProgressCallback, ServerClient

PIECE_BYTES: Final = 8 * 1024 * 1024
"""Bytes of one request: little enough to be sent anew, enough that requests cost nothing."""

_READ_BYTES: Final = 1024 * 1024
_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 60.0, 60.0)
"""Between tries that brought nothing; some progress, and it begins anew."""

_PASSING_SLUGS: Final = frozenset({"unreachable", "timeout", "cut-off", "wrong-offset"})
_PASSING_STATUSES: Final = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait after a break, for the person at the screen.

    Attributes:
        offset: bytes that the server has.
        n_bytes: bytes in all.
    """

    offset: int
    n_bytes: int
    pause_s: float


PauseCallback = Callable[[Pause], None]


def upload_file(
    client: ServerClient,
    path: str,
    file: Path,
    *,
    on_progress: ProgressCallback | None = None,
    on_pause: PauseCallback | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Upload a file to an address of a round's uploads, in constant memory.

    Args:
        path: ``/v1/rounds/ROUND/uploads/OFFICE``.
        on_progress: told bytes that the server has, and bytes in all.
        on_pause: told before each wait after a break.

    Returns:
        The server's receipt.

    Raises:
        ApiError: the server refused, or did not answer through all tries; what it has is kept,
            and the same call goes on with it.
        OSError: the file cannot be read.
    """
    with file.open("rb") as source:
        upload = _Upload(client, path, source, on_progress, on_pause, sleep)
        return upload.run()


class _Upload:
    """One upload, from its beginning or from where it stopped."""

    def __init__(
        self,
        client: ServerClient,
        path: str,
        source: BinaryIO,
        on_progress: ProgressCallback | None,
        on_pause: PauseCallback | None,
        sleep: Callable[[float], None],
    ) -> None:
        self._client = client
        self._path = path
        self._source = source
        self._on_progress = on_progress
        self._on_pause = on_pause
        self._sleep = sleep
        self._sha256, self._n_bytes = _hashed(source)
        self._offset = 0
        self._n_failures = 0

    def run(self) -> dict[str, Any]:
        self._trying(self._begin)
        while self._offset < self._n_bytes:
            before = self._offset
            self._trying(self._send_piece)
            if self._offset > before:
                self._n_failures = 0
        receipt: dict[str, Any] = self._trying(self._complete)
        if receipt.get("sha256") != self._sha256:
            raise ApiError(
                "bad-answer",
                200,
                "The server stored another file than yours. Withdraw the upload with 'tongqiao "
                "office withdraw', and tell the operator.",
            )
        return receipt

    def _begin(self) -> None:
        body = {"sha256": self._sha256, "n_bytes": self._n_bytes}
        self._stands_at(self._client.post_json(f"{self._path}/part", body))

    def _send_piece(self) -> None:
        self._source.seek(self._offset)
        piece = self._source.read(PIECE_BYTES)
        if not piece:
            raise ApiError(
                "bad-answer",
                0,
                "The file became shorter while it was being sent. Wait until it is complete, and "
                "send it again.",
            )
        answer = self._client.patch_bytes(f"{self._path}/part", piece, offset=self._offset)
        self._stands_at(answer)

    def _complete(self) -> dict[str, Any]:
        return self._client.post_json(
            f"{self._path}/part/completion", {"sha256": self._sha256}, is_slow=True
        )

    def _stands_at(self, answer: dict[str, Any]) -> None:
        offset = answer.get("offset")
        if not isinstance(offset, int) or not 0 <= offset <= self._n_bytes:
            raise ApiError("bad-answer", 200, "The server's answer makes no sense. Try again.")
        self._offset = offset
        if self._on_progress is not None:
            self._on_progress(offset, self._n_bytes)

    def _trying(self, step: Callable[[], Any]) -> Any:
        """Take a step; after a break, wait, ask the server where the upload stands, and go on."""
        try:
            return step()
        except ApiError as error:
            if not _is_passing(error):
                raise
            last = error
        while self._n_failures < len(_PAUSES_S):
            pause_s = _PAUSES_S[self._n_failures]
            self._n_failures += 1
            if self._on_pause is not None:
                self._on_pause(Pause(self._offset, self._n_bytes, pause_s))
            self._sleep(pause_s)
            try:
                if step == self._send_piece:
                    # Begun again rather than asked: after a long break, it may have been swept.
                    self._begin()
                    return None
                return step()
            except ApiError as error:
                if not _is_passing(error):
                    raise
                last = error
        raise ApiError(
            last.slug,
            last.status,
            f"{last.detail} The server keeps the {self._offset:,} of {self._n_bytes:,} bytes that "
            "it has: the same command goes on with them.",
        )


def _hashed(source: BinaryIO) -> tuple[str, int]:
    digest, n_bytes = hashlib.sha256(), 0
    while chunk := source.read(_READ_BYTES):
        digest.update(chunk)
        n_bytes += len(chunk)
    return digest.hexdigest(), n_bytes


def _is_passing(error: ApiError) -> bool:
    """Whether waiting may help: the connection or the server failed, nothing was refused."""
    return error.slug in _PASSING_SLUGS or error.status in _PASSING_STATUSES
