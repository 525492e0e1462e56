"""Reading an upload: here or in a process of its own, the same; and whatever happens to that."""

import hashlib
import json
import os
import secrets
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from api.server.services import inspection
from api.server.services.incoming import encrypt_file
from api.server.services.inspection import (
    Inspection,
    InspectionBrokenError,
    OtherContentError,
    StoredUpload,
    inspect_file,
)
from keys.cipher_suites import DEFAULT
from keys.errors import AtRestError
from linkage.errors import TqeFormatError
from linkage.tqe import read_manifest
from tests.factories import children, encoded_file

CONTEXT = "round/upload"
APART, HERE = 0, 2**30


@pytest.fixture(params=[HERE, APART], ids=["here", "apart"])
def reading(request: pytest.FixtureRequest) -> Inspection:
    return Inspection(1, small_bytes=request.param)


def stored(folder: Path, data: bytes) -> StoredUpload:
    clear, path, key = folder / "clear", folder / "stored", secrets.token_bytes(32)
    clear.write_bytes(data)
    encrypt_file(clear, path, suite=DEFAULT, data_key=key, context=CONTEXT)
    return StoredUpload(path, key, CONTEXT, hashlib.sha256(data).hexdigest(), len(data))


class TestBothWays:
    def test_a_good_file(self, reading: Inspection, tmp_path: Path) -> None:
        file = encoded_file(tmp_path / "x.tqe", children(30))
        found = reading.inspect(stored(tmp_path, file.data), tmp_path / "plain")
        assert found == read_manifest(file.path)

    def test_what_was_not_signed_is_not_parsed(self, reading: Inspection, tmp_path: Path) -> None:
        upload = replace(stored(tmp_path, b"no .tqe file"), sha256="0" * 64)
        with pytest.raises(OtherContentError) as caught:
            reading.inspect(upload, tmp_path / "plain")
        assert caught.value.sha256 == hashlib.sha256(b"no .tqe file").hexdigest()

    def test_a_bad_file(self, reading: Inspection, tmp_path: Path) -> None:
        with pytest.raises(TqeFormatError, match=r"not a \.tqe file") as caught:
            reading.inspect(stored(tmp_path, b"ARROW1\0\0" + bytes(500)), tmp_path / "plain")
        assert str(tmp_path) not in str(caught.value)

    def test_a_file_that_was_altered_where_it_lies(
        self, reading: Inspection, tmp_path: Path
    ) -> None:
        upload = stored(tmp_path, encoded_file(tmp_path / "x.tqe", children(9)).data)
        data = bytearray(upload.path.read_bytes())
        data[-1] ^= 1
        upload.path.write_bytes(data)
        with pytest.raises(AtRestError, match="altered"):
            reading.inspect(upload, tmp_path / "plain")

    def test_a_file_that_is_gone(self, reading: Inspection, tmp_path: Path) -> None:
        upload = stored(tmp_path, b"x")
        upload.path.unlink()
        with pytest.raises(FileNotFoundError):
            reading.inspect(upload, tmp_path / "plain")


def test_a_file_that_kills_its_reader_kills_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\nkill -SEGV $$\n")
    dying.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(InspectionBrokenError):
        Inspection(1, small_bytes=APART).inspect(stored(tmp_path, b"x"), tmp_path / "plain")


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"sha256": "x", "manifest": "{}"}', b"\xff"]
)
def test_an_answer_that_is_none(answer: bytes) -> None:
    with pytest.raises(InspectionBrokenError):
        inspection._parse_answer(answer)


def test_a_reader_does_not_outlive_the_server(tmp_path: Path) -> None:
    """Its input ends when the server dies; here, while it waits for a file that never comes."""
    upload = stored(tmp_path, b"x")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    task = {
        "path": str(pipe),
        "plain": str(tmp_path / "plain"),
        "data_key": upload.data_key.hex(),
        "context": CONTEXT,
        "sha256": upload.sha256,
        "n_bytes": 1,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "api.server.services.inspection"],
        input=json.dumps(task).encode() + b"\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, b"")


def test_so_many_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = stored(tmp_path, encoded_file(tmp_path / "x.tqe", children(9)).data)
    running, most, lock = 0, 0, threading.Lock()

    def slow(task: StoredUpload, plain: Path) -> object:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.05)
        with lock:
            running -= 1
        return inspect_file(task, plain)

    monkeypatch.setattr(inspection, "inspect_file", slow)
    reading = Inspection(2)
    threads = [
        threading.Thread(target=reading.inspect, args=(upload, tmp_path / f"plain-{number}"))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
