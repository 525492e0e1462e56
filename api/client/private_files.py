"""Files that only their owner may read, whole or not there at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing_privately(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a path to write to, readable by its owner only; on success it becomes ``path``.

    On an error in the block nothing of it remains and ``path`` is as it was.

    Raises:
        FileExistsError: ``path`` exists and ``overwrite`` is false; checked before and after.
        OSError: the folder cannot be written.
    """
    if not overwrite and os.path.lexists(path):
        raise FileExistsError
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.close(descriptor)
        yield draft
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        if overwrite:
            draft.replace(path)
        else:
            _publish_new(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _publish_new(draft: Path, path: Path) -> None:
    try:
        # Unlike a rename, a link never replaces what another process wrote meanwhile.
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError as error:
        # File systems of memory sticks and some shares know no links.
        if os.path.lexists(path):
            raise FileExistsError from error
        draft.replace(path)


def write_privately(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Write a small file as :func:`replacing_privately` does."""
    with replacing_privately(path, overwrite=overwrite) as draft:
        draft.write_bytes(data)
