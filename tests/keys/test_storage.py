import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keys import storage
from keys.errors import KeyFileError
from keys.identity import new_identity
from keys.storage import (
    MAX_KEY_FILE_BYTES,
    load_private_identity,
    load_public_identity,
    read_private_file,
    read_public_file,
    save_identity,
    write_private_file,
    write_public_file,
)

_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The most careless setting that an account can have."""
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@_posix
@pytest.mark.usefixtures("open_umask")
def test_modes_do_not_depend_on_the_account(tmp_path: Path) -> None:
    write_private_file(tmp_path / "a" / "b" / "private", b"secret")
    write_public_file(tmp_path / "a" / "b" / "public", b"known")
    assert _mode(tmp_path / "a" / "b" / "private") == 0o600
    assert _mode(tmp_path / "a" / "b" / "public") == 0o644
    assert _mode(tmp_path / "a") == _mode(tmp_path / "a" / "b") == 0o700


@_posix
@pytest.mark.usefixtures("open_umask")
def test_a_private_file_is_private_from_its_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        modes.extend(_mode(file) for file in tmp_path.iterdir())
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_private_file(tmp_path / "private", b"secret")
    assert modes
    assert set(modes) == {0o600}


@_posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o660, 0o644, 0o777])
def test_a_private_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "private"
    write_private_file(path, b"secret")
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="Others on this machine"):
        read_private_file(path)
    assert read_public_file(path) == b"secret"


@_posix
def test_the_file_behind_a_link_counts(tmp_path: Path) -> None:
    write_public_file(tmp_path / "open", b"secret")
    (tmp_path / "open").chmod(0o644)  # whatever the umask is
    write_private_file(tmp_path / "closed", b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "open")
    with pytest.raises(KeyFileError, match="Others on this machine"):
        read_private_file(tmp_path / "link")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "closed")
    assert read_private_file(tmp_path / "link") == b"secret"


@_posix
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyFileError, match="no regular file"):
        read_private_file(tmp_path / "pipe")


def test_a_folder_or_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r".+"):
        read_private_file(tmp_path / "missing")
    with pytest.raises((OSError, KeyFileError)):
        read_private_file(tmp_path)


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    write_private_file(tmp_path / "fits", bytes(MAX_KEY_FILE_BYTES))
    assert len(read_private_file(tmp_path / "fits")) == MAX_KEY_FILE_BYTES
    write_private_file(tmp_path / "large", bytes(MAX_KEY_FILE_BYTES + 1))
    with pytest.raises(KeyFileError, match="too large"):
        read_private_file(tmp_path / "large")


def test_nothing_is_written_over_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for write in (write_private_file, write_public_file):
        write(path, b"first")
        with pytest.raises(KeyFileError, match="exists already"):
            write(path, b"second")
        assert path.read_bytes() == b"first"
        write(path, b"third", overwrite=True)
        assert path.read_bytes() == b"third"
        path.unlink()
    assert list(tmp_path.iterdir()) == []


@_posix
def test_a_dangling_link_counts_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="exists already"):
        write_private_file(tmp_path / "file", b"secret")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("links_work", [True, False])
def test_of_two_writers_one_wins_and_the_other_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links_work: bool
) -> None:
    if not links_work:

        def no_links(source: Path, target: Path) -> None:
            raise OSError("no links on this memory stick")

        monkeypatch.setattr(os, "link", no_links)
        write_private_file(tmp_path / "file", b"0")
        with pytest.raises(KeyFileError, match="exists already"):
            write_private_file(tmp_path / "file", b"1")
        assert (tmp_path / "file").read_bytes() == b"0"
        return
    barrier = threading.Barrier(8)
    outcomes: list[bytes | None] = []

    def write(number: int) -> None:
        data = bytes([number]) * 1000
        barrier.wait()
        try:
            write_private_file(tmp_path / "file", data)
        except KeyFileError:
            outcomes.append(None)
        else:
            outcomes.append(data)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [data for data in outcomes if data is not None]
    assert len(outcomes) == 8
    assert winners == [(tmp_path / "file").read_bytes()]
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write_private_file(tmp_path / "old", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private_file(tmp_path / "new", b"new")
    with pytest.raises(OSError, match="No space"):
        write_private_file(tmp_path / "old", b"new", overwrite=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"old": b"old"}


def test_identities_are_saved_as_a_pair_and_loaded(tmp_path: Path) -> None:
    identity = new_identity("jinjiang-civil", "office", "锦江区民政局")
    private_path, public_path = save_identity(identity, tmp_path / "keys")
    assert private_path == tmp_path / "keys" / "jinjiang-civil.private.json"
    assert public_path == tmp_path / "keys" / "jinjiang-civil.public.json"
    assert load_private_identity(private_path).public == identity.public
    assert load_public_identity(public_path) == identity.public
    private_seed = identity.sealing_private.seed
    assert private_seed not in public_path.read_bytes()
    if os.name == "posix":
        assert _mode(private_path) == 0o600


@pytest.mark.parametrize("there", ["private", "public"])
def test_half_a_pair_stops_a_new_one(tmp_path: Path, there: str) -> None:
    (tmp_path / f"a.{there}.json").write_bytes(b"precious")
    with pytest.raises(KeyFileError, match="exists already"):
        save_identity(new_identity("a", "office"), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [f"a.{there}.json"]
    assert (tmp_path / f"a.{there}.json").read_bytes() == b"precious"


def test_a_public_file_that_fails_takes_the_private_one_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, data: bytes, overwrite: bool = False) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "write_public_file", fail)
    with pytest.raises(OSError, match="No space"):
        save_identity(new_identity("a", "office"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@_posix
def test_a_private_identity_that_others_may_read_is_not_loaded(tmp_path: Path) -> None:
    private_path, _ = save_identity(new_identity("a", "office"), tmp_path)
    private_path.chmod(0o644)
    with pytest.raises(KeyFileError, match="Others on this machine"):
        load_private_identity(private_path)


def test_errors_name_no_path(tmp_path: Path) -> None:
    path = tmp_path / "wang-xiaoming-records"
    write_public_file(path, b"not a key")
    with pytest.raises(KeyFileError) as caught:
        load_public_identity(path)
    assert "wang" not in str(caught.value)
    with pytest.raises(KeyFileError) as caught:
        write_private_file(path, b"")
    assert "wang" not in str(caught.value)
