"""An encrypted file that grows as an upload arrives: always whole chunks, so always readable.

What arrives is never on the disk in the clear.  The file's size alone says how much has arrived,
so nothing has to be kept in step with it.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from keys.at_rest import (
    CHUNK_BYTES,
    HEADER_BYTES,
    SEALED_CHUNK_BYTES,
    ByteStream,
    ChunkCipher,
    decrypt_stream,
    encrypt_stream,
    new_header,
    parse_header,
)
from keys.cipher_suites import CipherSuite

_FILE_MODE: Final = 0o600


class IncomingFile:
    """A file that is arriving, open to be appended to.

    Attributes:
        n_bytes: size of the plaintext when everything is there.
    """

    def __init__(self, path: Path, file: BinaryIO, data_key: bytes, context: str) -> None:
        file.seek(0)
        header = parse_header(file.read(HEADER_BYTES))
        self._path = path
        self._file = file
        self._data_key = data_key
        self._context = context
        self._cipher = ChunkCipher(data_key, header, context)
        self.n_bytes = header.n_bytes

    @property
    def offset(self) -> int:
        """Plaintext bytes that are there: whole chunks only."""
        return _offset_of(os.fstat(self._file.fileno()).st_size, self.n_bytes)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other requests from appending.

        Raises:
            FileNotFoundError: the file is gone, or another is in its place, since it was opened.
        """
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            if not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat()):
                raise FileNotFoundError
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def append(self, data: bytes | bytearray) -> int:
        """Append the whole chunks at the start of ``data``; returns how many bytes of it they are.

        The last chunk is whole when it ends the file.
        """
        offset = self.offset
        # A crash may have left half a chunk behind the last whole one.
        self.take_back(offset)
        self._file.seek(_stored_bytes(offset))
        taken = 0
        view = memoryview(data)
        while offset + taken < self.n_bytes:
            index = (offset + taken) // CHUNK_BYTES
            size = self._cipher.header.chunk_bytes(index)
            if len(data) - taken < size:
                break
            self._file.write(self._cipher.encrypt(index, bytes(view[taken : taken + size])))
            taken += size
        self._file.flush()
        return taken

    def take_back(self, offset: int) -> None:
        """Take back what is on the disk after ``offset``; without such, nothing is done.

        What comes in its place would be encrypted with the nonces that it was encrypted with, so
        what stays is written anew under another salt, which is another key.

        Raises:
            AtRestError: what stays was altered on the disk.
            OSError: there is no room for it; the file stays as it was.
        """
        if os.fstat(self._file.fileno()).st_size == _stored_bytes(offset):
            return
        header = new_header(self._cipher.header.suite, self.n_bytes)
        cipher = ChunkCipher(self._data_key, header, self._context)
        path = self._path.with_name(f"{secrets.token_hex(16)}{self._path.suffix}")
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _FILE_MODE)
        try:
            # Whoever waits for the present file then finds another in its place.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with open(descriptor, "wb", closefd=False) as renewed:
                renewed.write(header.to_bytes())
                for index in range(-(-offset // CHUNK_BYTES)):
                    renewed.write(cipher.encrypt(index, self._chunk(index)))
            os.fsync(descriptor)
            path.replace(self._path)
            os.dup2(descriptor, self._file.fileno())
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)
        self._cipher = cipher

    def _chunk(self, index: int) -> bytes:
        size = self._cipher.header.chunk_bytes(index) + SEALED_CHUNK_BYTES - CHUNK_BYTES
        at = HEADER_BYTES + index * SEALED_CHUNK_BYTES
        return self._cipher.decrypt(index, os.pread(self._file.fileno(), size, at))

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


@contextlib.contextmanager
def new_incoming_file(
    path: Path, *, suite: CipherSuite, data_key: bytes, n_bytes: int, context: str
) -> Iterator[IncomingFile]:
    """Make a file to receive into, for the server's account only.

    Raises:
        FileExistsError: there is one.
        OSError: it cannot be written.
    """
    header = new_header(suite, n_bytes)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _FILE_MODE)
    with os.fdopen(descriptor, "r+b") as file:
        file.write(header.to_bytes())
        file.flush()
        yield IncomingFile(path, file, data_key, context)


@contextlib.contextmanager
def open_incoming_file(path: Path, *, data_key: bytes, context: str) -> Iterator[IncomingFile]:
    """Open a file to go on with.

    Raises:
        FileNotFoundError: it is gone.
        AtRestError: its header is damaged.
    """
    with path.open("r+b") as file:
        yield IncomingFile(path, file, data_key, context)


def incoming_offset(path: Path, n_bytes: int) -> int:
    """Plaintext bytes that have arrived.  Raises: FileNotFoundError."""
    return _offset_of(path.stat().st_size, n_bytes)


def encrypt_file(
    source: Path, target: Path, *, suite: CipherSuite, data_key: bytes, context: str
) -> None:
    """Write a file that lies in the clear as a stored one, for the server's account only.

    Raises:
        OSError: the source is gone, or the target cannot be written.
    """
    header = new_header(suite, source.stat().st_size)
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE)
    with os.fdopen(descriptor, "wb") as output, source.open("rb") as clear:
        encrypt_stream(clear, output, data_key=data_key, header=header, context=context)


def decrypt_file(stored: ByteStream, target: Path, *, data_key: bytes, context: str) -> str:
    """Write a stored file in the clear, for the server's account only; returns its SHA-256, hex.

    Raises:
        AtRestError: it was altered, or is not complete.
        OSError: it is gone, or the target cannot be written.
    """
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE)
    with os.fdopen(descriptor, "wb") as output:
        for chunk in decrypt_stream(stored, data_key=data_key, context=context):
            digest.update(chunk)
            output.write(chunk)
    return digest.hexdigest()


def _stored_bytes(offset: int) -> int:
    """Where in the encrypted file the chunk after ``offset`` plaintext bytes begins."""
    tags = -(-offset // CHUNK_BYTES)
    return HEADER_BYTES + offset + tags * (SEALED_CHUNK_BYTES - CHUNK_BYTES)


def _offset_of(stored_bytes: int, n_bytes: int) -> int:
    n_chunks, rest = divmod(max(0, stored_bytes - HEADER_BYTES), SEALED_CHUNK_BYTES)
    whole = n_chunks * CHUNK_BYTES
    last = n_bytes - whole
    if 0 < last < CHUNK_BYTES and rest >= last + (SEALED_CHUNK_BYTES - CHUNK_BYTES):
        return n_bytes
    return min(whole, n_bytes)
