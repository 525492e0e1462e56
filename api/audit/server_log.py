"""The log of a linkage server as fetching, witnessing and listing ask for it."""

import base64
import binascii
import io
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from api.audit.entry_filter import EntryFilter
from api.audit.errors import FetchError, NoteError
from api.audit.export_manifest import SUFFIX as MANIFEST_SUFFIX
from api.audit.note import VerifierKey

if TYPE_CHECKING:
    from api.client.http import ServerClient

PAGE_ENTRIES: Final = 1000

_STRANGE: Final = (
    "The server answers about its log in a form that is not known. Check the address after "
    "--server, and whether this program and the server are of the same version."
)


class ServerLog:
    """Asks a server about its log; every method raises ``ApiError`` where the server refuses."""

    def __init__(self, client: "ServerClient") -> None:
        self._client = client

    def log_key(self) -> VerifierKey:
        """Ask ``GET /v1/server``.  Raises: FetchError: the answer names no key."""
        answer = self._client.get_json("/v1/server")
        origin, key = answer.get("log_origin"), answer.get("log_key")
        if not isinstance(origin, str) or not isinstance(key, str):
            raise FetchError(_STRANGE)
        try:
            return VerifierKey(origin, base64.b64decode(key, validate=True))
        except (NoteError, binascii.Error, ValueError) as error:
            raise FetchError(_STRANGE) from error

    def checkpoint(self) -> bytes:
        """Ask ``GET /v1/log/checkpoint``."""
        return self._client.get_bytes("/v1/log/checkpoint")

    def entries(self, start: int, limit: int) -> list[str]:
        """Ask ``GET /v1/log/entries``.  Raises: FetchError: the answer holds no entries."""
        answer = self._client.get_json("/v1/log/entries", start=start, limit=limit)
        return _texts(answer, "entries")

    def search(self, wanted: EntryFilter, limit: int | None = None) -> Iterator[str]:
        """Ask ``POST /v1/log/search`` for entries that fit, page by page, the oldest first.

        Args:
            limit: only the newest so many, and those the newest first.

        Raises:
            FetchError: the answer holds no entries.
        """
        asked: dict[str, str | int] = dict(wanted.conditions())
        order = "oldest" if limit is None else "newest"
        start: int | None = None
        stop: int | None = None
        left = limit
        while left is None or left > 0:
            n_wanted = PAGE_ENTRIES if left is None else min(left, PAGE_ENTRIES)
            places = (("start", start), ("stop", stop))
            asked |= {name: place for name, place in places if place is not None}
            answer = self._client.post_json(
                "/v1/log/search", {**asked, "order": order, "limit": n_wanted}
            )
            page = _texts(answer, "entries")
            yield from page
            left = None if left is None else left - len(page)
            following, size = answer.get("next"), answer.get("size")
            if following is None:
                return
            forward = start is None or (following > start) == (limit is None)
            if type(following) is not int or type(size) is not int or not forward:
                raise FetchError(_STRANGE)
            # Each reading is an entry: what comes after the first is not waited for.
            start, stop = following, (stop or size) if limit is None else None

    def export(self, wanted: EntryFilter, last: int | None, form: str) -> tuple[bytes, bytes]:
        """Ask ``POST /v1/log/exports`` for a file and its manifest.  Raises: FetchError."""
        body: dict[str, str | int] = {**dict(wanted.conditions()), "form": form}
        if last is not None:
            body["last"] = last
        data = self._client.post_for_bytes("/v1/log/exports", body)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return archive.read(f"log.{form}"), archive.read(f"log.{form}{MANIFEST_SUFFIX}")
        except (zipfile.BadZipFile, KeyError) as error:
            raise FetchError(_STRANGE) from error

    def cosigned(self, after: int) -> list[bytes]:
        """Ask ``GET /v1/log/cosignatures``.  Raises: FetchError."""
        answer = self._client.get_json("/v1/log/cosignatures", after=after)
        return [text.encode(errors="replace") for text in _texts(answer, "checkpoints")]

    def own_entries(self) -> list[str]:
        """All entries about the calling office's data.  Raises: FetchError."""
        found: list[str] = []
        start: int | None = 0
        while start is not None:
            answer = self._client.get_json("/v1/log/own-entries", start=start, limit=1000)
            page = _texts(answer, "entries")
            found += page
            following = answer.get("next")
            if following is not None and (
                type(following) is not int or following <= start or not page
            ):
                raise FetchError(_STRANGE)
            start = following
        return found

    def proof(self, index: int) -> bytes:
        """Ask ``GET /v1/log/entries/{index}/proof``."""
        return self._client.get_bytes(f"/v1/log/entries/{index}/proof")

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """Ask ``GET /v1/log/consistency/{old}/{new}``.  Raises: FetchError."""
        answer = self._client.get_json(f"/v1/log/consistency/{old_size}/{new_size}")
        try:
            return [base64.b64decode(text, validate=True) for text in _texts(answer, "proof")]
        except (binascii.Error, ValueError) as error:
            raise FetchError(_STRANGE) from error

    def cosign(self, size: int, line: str) -> None:
        """Send ``POST /v1/log/cosignatures``."""
        self._client.post_json("/v1/log/cosignatures", {"size": size, "line": line})

    def mark_finding(self, mark: dict[str, Any]) -> None:
        """Send ``POST /v1/log/findings``."""
        self._client.post_json("/v1/log/findings", mark)


def _texts(answer: dict[str, Any], name: str) -> list[str]:
    texts = answer.get(name)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise FetchError(_STRANGE)
    return texts
