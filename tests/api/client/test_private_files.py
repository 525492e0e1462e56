import os
import stat
from pathlib import Path

import pytest

from api.client.private_files import replacing_privately, write_privately


def test_only_the_owner_can_read_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    before = os.umask(0)
    try:
        write_privately(path, b"link\n")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"link\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_privately(path, b"new")
    assert path.read_bytes() == b"old"
    write_privately(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"

    def write_too_late() -> None:
        with replacing_privately(path) as draft:
            draft.write_bytes(b"mine")
            path.write_bytes(b"of another program")

    with pytest.raises(FileExistsError):
        write_too_late()
    assert path.read_bytes() == b"of another program"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dangling_link_counts_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_privately(path, b"new")
    assert not (tmp_path / "elsewhere").exists()


def test_after_an_error_nothing_is_left_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    path.write_bytes(b"old")

    def break_off() -> None:
        with replacing_privately(path, overwrite=True) as draft:
            draft.write_bytes(b"half of the")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_without_links_a_file_is_moved_into_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "links.csv"
    write_privately(path, b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(FileExistsError):
        write_privately(path, b"newer")
    assert list(tmp_path.iterdir()) == [path]
