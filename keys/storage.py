"""The only file access of ``keys``: private files for their owner alone, whole or not there.

On systems without POSIX permissions (Windows) the folder's access list protects private files;
the mode is neither set nor checked there.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from keys.errors import KeyFileError
from keys.identity import (
    PrivateIdentity,
    PublicIdentity,
    parse_private_identity,
    parse_public_identity,
)
from keys.passphrase import PassphraseSource, is_protected, protect, unprotect

MAX_KEY_FILE_BYTES: Final = 64 * 1024

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_HAS_MODES: Final = os.name == "posix"
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)


def write_private_file(path: Path, data: bytes, overwrite: bool = False) -> None:
    """Write a file that only its owner can read, at once or not at all; makes missing folders.

    Raises:
        KeyFileError: the file exists and ``overwrite`` is false.
        OSError: the folder cannot be written.
    """
    _write(path, data, 0o600, overwrite=overwrite)


def write_public_file(path: Path, data: bytes, overwrite: bool = False) -> None:
    """Write a file that others may read, at once or not at all; makes missing folders.

    Raises:
        KeyFileError: the file exists and ``overwrite`` is false.
        OSError: the folder cannot be written.
    """
    _write(path, data, 0o644, overwrite=overwrite)


def read_private_file(path: Path, passphrase: PassphraseSource | None = None) -> bytes:
    """Read a small private file, in the clear.

    Args:
        path: of the file.
        passphrase: asked if the file is protected by one.

    Raises:
        KeyFileError: others may read or change it, it is no regular file, or too large, or it is
            protected and the passphrase is missing or another.
        OSError: it cannot be read.
    """
    data = _read(path, private=True)
    if not is_protected(data):
        return data
    if passphrase is None:
        raise KeyFileError(
            "The file is protected by a passphrase, which cannot be asked for here. Take the "
            "protection away with 'tongqiao keys unprotect', or give the passphrase."
        )
    return unprotect(data, passphrase())


def protect_private_file(path: Path, passphrase: str) -> None:
    """Encrypt a private file under a passphrase, in its place.

    The bytes in the clear are replaced, not overwritten: a copy may remain on the disk.

    Raises:
        KeyFileError: others may read it, it is protected already, or the passphrase is too short.
        OSError: it cannot be read or written.
    """
    # Not a link to the file: that would be replaced, and the file itself stay as it is.
    path = path.resolve()
    data = _read(path, private=True)
    if is_protected(data):
        raise KeyFileError("The file is protected already. Take that away first, to change it.")
    _write(path, protect(data, passphrase), 0o600, overwrite=True)


def unprotect_private_file(path: Path, passphrase: str) -> None:
    """Take the protection of a private file away, in its place.

    Raises:
        KeyFileError: others may read it, it is not protected, or the passphrase is another.
        OSError: it cannot be read or written.
    """
    path = path.resolve()
    data = _read(path, private=True)
    if not is_protected(data):
        raise KeyFileError("The file is not protected by a passphrase.")
    _write(path, unprotect(data, passphrase), 0o600, overwrite=True)


def read_public_file(path: Path) -> bytes:
    """Read a small file that is no secret: a public identity or a sealed blob.

    Raises:
        KeyFileError: it is no regular file, or too large.
        OSError: it cannot be read.
    """
    return _read(path, private=False)


def save_identity(identity: PrivateIdentity, directory: Path) -> tuple[Path, Path]:
    """Write ``HOLDER.private.json`` and ``HOLDER.public.json``; returns the two paths.

    Raises:
        KeyFileError: one of them exists; nothing is written then.
        OSError: the folder cannot be written.
    """
    private_path = directory / f"{identity.public.holder}.private.json"
    public_path = directory / f"{identity.public.holder}.public.json"
    for path in (private_path, public_path):
        _refuse_existing(path)
    write_private_file(private_path, identity.to_json() + b"\n")
    try:
        write_public_file(public_path, identity.public.to_json() + b"\n")
    except BaseException:
        # Half a pair would stop the next attempt.
        private_path.unlink(missing_ok=True)
        raise
    return private_path, public_path


def load_private_identity(
    path: Path, passphrase: PassphraseSource | None = None
) -> PrivateIdentity:
    """Load a private key file; ``passphrase`` is asked if it is protected by one.

    Raises:
        KeyFileError: others may read it, it is no private key file, or the passphrase is another.
        OSError: it cannot be read.
    """
    try:
        data = read_private_file(path, passphrase)
    except KeyFileError:
        # Advice to close a file would mislead who took the public one by mistake.
        if _is_public_identity(path):
            raise KeyFileError(
                "That is a public identity. Give the private key file of your own."
            ) from None
        raise
    return parse_private_identity(data)


def load_public_identity(path: Path) -> PublicIdentity:
    """Load a public identity and verify its signature.

    Raises:
        KeyFileError: it is no public identity, or was altered.
        OSError: it cannot be read.
    """
    return parse_public_identity(read_public_file(path))


def _is_public_identity(path: Path) -> bool:
    try:
        load_public_identity(path)
    except KeyFileError:
        return False
    return True


def _read(path: Path, *, private: bool) -> bytes:
    # Not blocking: a named pipe would otherwise wait for a writer for ever.
    descriptor = os.open(path, os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        # The open file is asked, not the path, which may meanwhile name another one.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError("That is no regular file. Check which file it is.")
        if private and _HAS_MODES and status.st_mode & _OTHERS:
            raise KeyFileError(
                "Others on this machine may read or change the private file. Take their rights "
                "away ('chmod 600 FILE'). If others may have read it already, make new keys or a "
                "new secret."
            )
        data = file.read(MAX_KEY_FILE_BYTES + 1)
    if len(data) > MAX_KEY_FILE_BYTES:
        raise KeyFileError("The file is too large for a key file. Check which file it is.")
    return data


def _write(path: Path, data: bytes, mode: int, *, overwrite: bool) -> None:
    if not overwrite:
        _refuse_existing(path)
    _make_folder(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if overwrite:
            draft.replace(path)
        else:
            _publish_new(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _publish_new(draft: Path, path: Path) -> None:
    try:
        # Unlike a rename, a link never replaces what another process wrote meanwhile.
        os.link(draft, path)
    except FileExistsError as error:
        raise _exists() from error
    except OSError:
        # File systems of memory sticks and some shares know no links.
        _refuse_existing(path)
        draft.replace(path)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, open to the owner alone."""
    for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    """Let the new name survive a power cut, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise _exists()


def _exists() -> KeyFileError:
    return KeyFileError(
        "A file of that name exists already, and keys are never written over. Choose another "
        "name or folder."
    )
