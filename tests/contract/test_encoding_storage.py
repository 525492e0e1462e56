"""What every storage of encodings does, whatever it is made of: files, objects, a real S3."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from api.server.config import parse_config
from api.server.services import object_storage
from api.server.services.encodings import EncodingStorage, FileStorage
from api.server.services.object_storage import ObjectStorage, open_object_storage
from tests.s3_server import RunningS3, running_s3

ROUND, SHA256, OTHER = "2026-h2", "ab" * 32, "cd" * 32
KINDS = ("files", "memory", "local", "s3")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@dataclass
class Bench:
    """A storage, and files to put there.

    Attributes:
        litter: puts something of a strange name into it.
    """

    storage: EncodingStorage
    folder: Path
    litter: Callable[[str, bytes], object]

    def file(self, data: bytes) -> Path:
        path = self.folder / os.urandom(8).hex()
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    def put(self, data: bytes, round_id: str = ROUND, sha256: str = SHA256) -> None:
        file = self.file(data)
        self.storage.bring(file, round_id, sha256)
        self.storage.place(file, round_id, sha256)

    def read(self, piece: int = 1000, round_id: str = ROUND, sha256: str = SHA256) -> bytes:
        with self.storage.open(round_id, sha256) as stream:
            return b"".join(iter(lambda: stream.read(piece), b""))


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    folder = tmp_path / "stored"
    storage: EncodingStorage
    if request.param == "files":
        storage = FileStorage(folder)

        def write(name: str, data: bytes) -> None:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)

        litter: Callable[[str, bytes], object] = write
    else:
        if request.param == "memory":
            storage = ObjectStorage(MemoryStore())
        elif request.param == "local":
            storage = ObjectStorage(LocalStore(folder, mkdir=True))
        else:
            running: RunningS3 = request.getfixturevalue("s3")
            storage = open_object_storage(parse_config(running.settings(tmp_path), tmp_path))
        litter = storage._store.put
    storage.create()
    (tmp_path / "incoming").mkdir()
    return Bench(storage, tmp_path / "incoming", litter)


def test_what_was_put_is_read(bench: Bench) -> None:
    data = os.urandom(200_000)
    bench.put(data)
    assert bench.read() == data
    assert bench.read(piece=200_001) == data
    assert bench.storage.is_stored(ROUND, SHA256)
    assert list(bench.storage.stored()) == [(ROUND, SHA256)]


def test_reads_are_as_long_as_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decryption asks for whole chunks, wherever the storage cuts what it sends."""
    monkeypatch.setattr(object_storage, "_READ_BYTES", 1000)
    data = os.urandom(10_500)
    bench.put(data)
    with bench.storage.open(ROUND, SHA256) as stream:
        assert [len(stream.read(3000)) for _ in range(5)] == [3000, 3000, 3000, 1500, 0]


def test_a_large_file_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_storage, "_PART_BYTES", 5 * 1024**2)  # the least that S3 takes
    data = os.urandom(11 * 1024**2 + 7)
    bench.put(data)
    assert bench.read(piece=1024**2) == data


def test_nothing_is_there_before_it_was_placed(bench: Bench) -> None:
    assert not bench.storage.is_stored(ROUND, SHA256)
    assert list(bench.storage.stored()) == []
    with (
        pytest.raises(FileNotFoundError),
        bench.storage.open(ROUND, SHA256) as stream,
    ):
        stream.read(1)


def test_putting_again_replaces(bench: Bench) -> None:
    bench.put(b"first" * 1000)
    bench.put(b"second")
    assert bench.read() == b"second"
    assert list(bench.storage.stored()) == [(ROUND, SHA256)]


def test_deleting_is_for_one_file_and_may_be_repeated(bench: Bench) -> None:
    bench.put(b"one")
    bench.put(b"two", sha256=OTHER)
    bench.storage.delete(ROUND, SHA256)
    bench.storage.delete(ROUND, SHA256)
    assert list(bench.storage.stored()) == [(ROUND, OTHER)]
    assert bench.read(sha256=OTHER) == b"two"
    bench.storage.delete(ROUND, OTHER)
    assert list(bench.storage.stored()) == []


def test_what_is_named_otherwise_is_not_ours(bench: Bench) -> None:
    bench.put(b"one")
    for name in (f"{ROUND}/photo.jpg", f"{ROUND}/{SHA256}x", f"UPPER/{SHA256}"):
        bench.litter(name, b"not ours")
    assert list(bench.storage.stored()) == [(ROUND, SHA256)]


@pytest.mark.parametrize(
    ("round_id", "sha256"),
    [("..", SHA256), ("a/b", SHA256), ("", SHA256), (ROUND, ".."), (ROUND, "AB" * 32), ("/", "/")],
)
def test_names_that_lead_elsewhere(bench: Bench, round_id: str, sha256: str) -> None:
    file = bench.file(b"x")
    for ask in (
        lambda: bench.storage.bring(file, round_id, sha256),
        lambda: bench.storage.place(file, round_id, sha256),
        lambda: bench.storage.is_stored(round_id, sha256),
        lambda: bench.storage.delete(round_id, sha256),
        lambda: bench.storage.open(round_id, sha256).__enter__(),
    ):
        with pytest.raises(ValueError, match="not a round and a hash"):
            ask()


def test_what_is_held_can_be_read(bench: Bench, tmp_path: Path) -> None:
    bench.put(b"held")
    held = bench.storage.hold([(ROUND, SHA256)], tmp_path / "held")
    with held.open(ROUND, SHA256) as stream:
        assert stream.read(10) == b"held"
    if isinstance(bench.storage, FileStorage):
        bench.storage.delete(ROUND, SHA256)
        with held.open(ROUND, SHA256) as stream:
            assert stream.read(10) == b"held"


def test_it_answers_and_leaves_nothing_behind(bench: Bench) -> None:
    bench.storage.verify_reachable()
    bench.storage.check()
    assert list(bench.storage.stored()) == []


def test_files_are_for_the_servers_account(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "stored")
    storage.create()
    bench = Bench(storage, tmp_path, lambda name, data: None)
    bench.put(b"x")
    for path in (tmp_path / "stored", *(tmp_path / "stored").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0
