"""Encoded files in S3-compatible object storage, by obstore; encrypted before they get there.

Objects are named ``PREFIX/ROUND/SHA256``.  An object is there whole or not at all: one that is
large goes up in parts, which become the object at the end.
"""

import contextlib
import secrets
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore, S3Store

from api.server.config import ConfigError, ServerConfig
from api.server.services.encodings import (
    StorageAwayError,
    StoredFile,
    is_name,
    verify_name,
)
from keys.at_rest import ByteStream
from keys.errors import KeyFileError
from keys.storage import read_private_file

if TYPE_CHECKING:
    from obstore import ReadableFile
    from obstore.store import S3Config

_PART_BYTES: Final = 8 * 1024**2
_MAX_PARTS: Final = 9_000
"""S3 takes 10,000."""
_PARTS_AT_A_TIME: Final = 3
_READ_BYTES: Final = 4 * 1024**2
_MAX_RETRIES: Final = 3
_CONNECT_S: Final = 5.0
_QUICK_S: Final = 5.0
_PROBE: Final = "probe"


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """What opens the bucket; it shows nowhere."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)


class ObjectStorage:
    """Encoded files in one bucket, or below a prefix of it.

    Args:
        store: the bucket, as obstore opens it.
        quick: the same bucket, with less patience: for what others wait for.
    """

    def __init__(self, store: ObjectStore, quick: ObjectStore | None = None) -> None:
        self._store = store
        self._quick = quick or store

    def create(self) -> None:
        """Nothing: the bucket is made by who runs the storage."""

    def verify_reachable(self) -> None:
        """Ask for a list that is empty."""
        with _asking():
            for _ in obstore.list(self._quick, prefix=_PROBE):
                break

    def check(self) -> None:
        """Write, read and delete a small object of no meaning."""
        name, data = f"{_PROBE}/{secrets.token_hex(16)}", secrets.token_bytes(32)
        with _asking():
            obstore.put(self._store, name, data, use_multipart=False)
            found = bytes(obstore.get(self._store, name).bytes())
            obstore.delete(self._store, name)
        if found != data:
            raise StorageAwayError("the object storage gave back something else")

    def bring(self, file: Path, round_id: str, sha256: str) -> None:
        """Send the file, part by part, in constant memory."""
        name = _name(round_id, sha256)
        part_bytes = max(_PART_BYTES, -(-file.stat().st_size // _MAX_PARTS))
        with file.open("rb") as source, _asking():
            obstore.put(
                self._store,
                name,
                source,
                chunk_size=part_bytes,
                max_concurrency=_PARTS_AT_A_TIME,
            )

    def place(self, file: Path, round_id: str, sha256: str) -> None:
        """Look whether the object is still there: it may have been deleted as litter."""
        if not self.is_stored(round_id, sha256):
            raise StorageAwayError("the object is gone that was sent just now")

    @contextlib.contextmanager
    def open(self, round_id: str, sha256: str) -> Iterator[ByteStream]:
        """The object, read range by range."""
        with _finding():
            reader = obstore.open_reader(
                self._store, _name(round_id, sha256), buffer_size=_READ_BYTES
            )
        yield _Reader(reader)

    def is_stored(self, round_id: str, sha256: str) -> bool:
        """Whether the object is there."""
        try:
            with _finding():
                obstore.head(self._quick, _name(round_id, sha256))
        except FileNotFoundError:
            return False
        return True

    def delete(self, round_id: str, sha256: str) -> None:
        """Delete the object."""
        with contextlib.suppress(FileNotFoundError), _finding():
            obstore.delete(self._quick, _name(round_id, sha256))

    def stored(self) -> Iterator[StoredFile]:
        """Every object that is named as ours are."""
        with _asking():
            for batch in obstore.list(self._store):
                for entry in batch:
                    round_id, _, sha256 = entry["path"].partition("/")
                    if is_name(round_id, sha256):
                        yield round_id, sha256

    def hold(self, files: Iterable[StoredFile], folder: Path) -> "ObjectStorage":
        """These very objects."""
        folder.mkdir(mode=0o700)
        return self


class _Reader:
    """Bytes of an object; what goes wrong while reading is said as ever."""

    def __init__(self, reader: "ReadableFile") -> None:
        self._reader = reader

    def read(self, size: int, /) -> bytes:
        """As :class:`ByteStream`."""
        data = bytearray()
        with _finding():
            # One read ends where its range does.
            while len(data) < size and (piece := bytes(self._reader.read(size - len(data)))):
                data += piece
        return bytes(data)


def open_object_storage(config: ServerConfig) -> ObjectStorage:
    """The storage that the settings name; asks no other machine yet.

    Raises:
        ConfigError: credentials or certificates cannot be read.
    """
    bucket, _, prefix = config.encodings.removeprefix("s3://").partition("/")
    credentials = _load_credentials(config)
    settings: S3Config = {
        "region": config.s3_region,
        "access_key_id": credentials.access_key_id,
        "secret_access_key": credentials.secret_access_key,
        "virtual_hosted_style_request": config.s3_addressing == "virtual",
    }
    if config.s3_endpoint:
        settings["endpoint"] = config.s3_endpoint
    certificates = _load_certificates(config) if config.s3_ca_path else None

    def opened(timeout_s: float, max_retries: int) -> S3Store:
        options: dict[str, Any] = {
            "timeout": timedelta(seconds=timeout_s),
            "connect_timeout": timedelta(seconds=min(_CONNECT_S, timeout_s)),
            "allow_http": config.s3_endpoint.startswith("http://"),
        }
        if certificates is not None:
            options["root_certificate"] = certificates
        return S3Store(
            bucket,
            prefix=prefix or None,
            client_options=options,  # type: ignore[arg-type]
            retry_config={
                "max_retries": max_retries,
                "retry_timeout": timedelta(seconds=max_retries * timeout_s),
            },
            config=settings,
        )

    return ObjectStorage(
        opened(config.s3_timeout_s, _MAX_RETRIES),
        opened(min(_QUICK_S, config.s3_timeout_s), 1),
    )


def _load_credentials(config: ServerConfig) -> S3Credentials:
    path = config.directory / config.s3_credentials_path
    try:
        table = tomllib.loads(read_private_file(path).decode("utf-8"))
        return S3Credentials(str(table["access_key_id"]), str(table["secret_access_key"]))
    except (OSError, KeyFileError, ValueError, KeyError):
        # Nothing of what was read: it is secret.
        raise ConfigError(
            "The credentials of the object storage (setting s3_credentials_path) cannot be read. "
            'The file holds two lines, access_key_id = "..." and secret_access_key = "...", '
            "and nobody but the server's account may read it (chmod 600)."
        ) from None


def _load_certificates(config: ServerConfig) -> bytes:
    try:
        return (config.directory / config.s3_ca_path).read_bytes()
    except OSError as error:
        raise ConfigError(
            "The file that s3_ca_path in server.toml names cannot be read."
        ) from error


def _name(round_id: str, sha256: str) -> str:
    verify_name(round_id, sha256)
    return f"{round_id}/{sha256}"


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    """Errors of the storage as those of this server; without their text, which may hold anything.

    Raises:
        StorageAwayError: whatever it is.
    """
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise StorageAwayError(f"the object storage says: {type(error).__name__}") from None


@contextlib.contextmanager
def _finding() -> Iterator[None]:
    """As :func:`_asking`, about an object that may not be there.

    Raises:
        FileNotFoundError: there is no such object.
        StorageAwayError: everything else.
    """
    try:
        yield
    except (NotFoundError, FileNotFoundError):
        raise FileNotFoundError("there is no such object") from None
    except BaseError as error:
        raise StorageAwayError(f"the object storage says: {type(error).__name__}") from None
