"""The demo as a person runs it: every role in its own process, everything kept and looked at.

The heart of it is the search of the server's whole folder, database, files and logs, for every raw
value of the demo's data.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pytest

from keys.linkage_secret import load_linkage_secret
from linkage.quality.synthetic import generate, raw_values

pytestmark = pytest.mark.process

CHILDREN, SEED = 400, 7
OFFICES = {
    "jinjiang-civil",
    "zhongjiang-civil",
    "chengdu-education",
    "chengdu-police",
    "chengdu-health",
}


@dataclass(frozen=True)
class Demo:
    folder: Path
    stdout: str

    @property
    def summary(self) -> dict[str, object]:
        loaded = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        assert isinstance(loaded, dict)
        return loaded


def tongqiao(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = tongqiao(
        "demo", "--children", str(CHILDREN), "--seed", str(SEED), "--dir", folder, "--keep"
    )
    assert done.returncode == 0, done.stderr
    return Demo(folder, done.stdout)


def test_every_joined_list_is_right(demo: Demo) -> None:
    summary = demo.summary
    lists, overall = summary["lists"], summary["overall"]
    assert isinstance(lists, dict)
    assert isinstance(overall, dict)
    assert set(lists) == OFFICES
    assert all(figures["f1"] >= 0.95 for figures in lists.values()), lists
    assert overall["f1"] >= 0.95


def test_the_tables_show_what_the_summary_holds(demo: Demo) -> None:
    summary = demo.summary
    pairs, steps, log = summary["pairs"], summary["steps"], summary["log"]
    assert isinstance(pairs, dict)
    assert isinstance(steps, list)
    assert isinstance(log, dict)
    assert len(pairs) == 10
    for names, figures in pairs.items():
        first, _, second = names.partition(" - ")
        assert first in demo.stdout
        assert second in demo.stdout
        assert f"{figures['precision']:.4f}" in demo.stdout
    assert {step["step"] for step in steps} >= {"encode", "upload", "match", "fetch results"}
    assert all(step["seconds"] > 0 for step in steps)
    assert log["ok"] is True
    assert log["verdict"] in demo.stdout


def test_each_office_has_a_joined_workbook_with_its_own_rows(demo: Demo) -> None:
    for office in OFFICES:
        folder = demo.folder / "offices" / office
        workbook = openpyxl.load_workbook(folder / "joined.xlsx", read_only=True)
        rows = list(workbook.worksheets[0].iter_rows(values_only=True))
        with (folder / "links.csv").open(encoding="utf-8") as file:
            n_links = sum(1 for _ in file) - 1
        assert n_links > 0
        assert len(rows) >= n_links
        text = {str(cell) for row in rows for cell in row if cell is not None}
        assert OFFICES & text >= OFFICES - {office}
        workbook.close()


def server_files(folder: Path) -> Iterator[Path]:
    for place in (folder / "server", folder / "logs"):
        yield from (path for path in sorted(place.rglob("*")) if path.is_file())


_HAN_RUN = re.compile(rb"(?:[\xe4-\xe9][\x80-\xbf][\x80-\xbf]|\xc2\xb7){2,}")
_DIGIT_RUN = re.compile(rb"[0-9][0-9Xx-]{8,}")


def raw_values_in(data: bytes, values: frozenset[str]) -> set[str]:
    """Values that occur in the data as UTF-8 or ASCII, alone or inside other text."""
    found: set[str] = set()
    for run in _HAN_RUN.findall(data):
        text = run.decode("utf-8", "ignore")
        pieces = (text[i:j] for i in range(len(text)) for j in range(i + 2, i + 21))
        found.update(piece for piece in pieces if piece in values)
    for run in _DIGIT_RUN.findall(data):
        text = run.decode("ascii")
        pieces = (text[i:j] for i in range(len(text)) for j in range(i + 10, i + 20))
        found.update(piece for piece in pieces if piece in values)
    return found


def test_no_raw_value_is_on_the_server(demo: Demo) -> None:
    values = raw_values(generate(CHILDREN, SEED))
    assert len(values) > 2000
    files = list(server_files(demo.folder))
    assert any(path.suffix == ".db" for path in files)
    assert sum("encodings" in path.parts for path in files) >= len(OFFICES)
    for path in files:
        assert not raw_values_in(path.read_bytes(), values), path.name
    long_names = [value for value in values if value.isalpha() and len(value) >= 4]
    for encoding in ("gb18030", "utf-16-le"):
        needles = [value.encode(encoding) for value in long_names]
        for path in files:
            data = path.read_bytes()
            assert not any(needle in data for needle in needles), path.name


def test_the_search_finds_what_it_looks_for(demo: Demo) -> None:
    values = raw_values(generate(CHILDREN, SEED))
    name = min(value for value in values if value.isalpha() and not value.isascii())
    number = min(value for value in values if value.isdigit() and len(value) == 18)
    phone = min(value for value in values if value.isdigit() and len(value) == 11)
    data = f"\x00\x01{name}\x7fid={number};{phone}99".encode() + bytes(range(256))
    assert {name, number, phone} <= raw_values_in(data, values)
    office_file = demo.folder / "offices" / "chengdu-education"
    register = next(path for path in office_file.glob("*.csv") if "map" not in path.name)
    assert raw_values_in(register.read_bytes(), values)


def test_the_secret_is_not_on_the_server(demo: Demo) -> None:
    import base64

    secrets = {path: load_linkage_secret(path) for path in demo.folder.rglob("linkage.secret")}
    assert len(secrets) == len(OFFICES) + 1
    contexts = ("sichuan-children/2026-h2", "offline")
    for path, secret in secrets.items():
        text = path.read_text(encoding="ascii").strip()
        keys = [secret.round_key(context) for context in contexts]
        needles = [text.encode(), *(part.encode() for part in re.findall(r"[\w+/=-]{24,}", text))]
        for key in keys:
            needles += [key, key.hex().encode(), base64.b64encode(key)]
        for file in server_files(demo.folder):
            data = file.read_bytes()
            assert not any(needle in data for needle in needles), file.name


def test_secret_files_are_their_owners_alone(demo: Demo) -> None:
    private = [
        *demo.folder.rglob("*.private.json"),
        *demo.folder.rglob("linkage.secret"),
        *demo.folder.rglob("*.map.csv"),
        *demo.folder.rglob("joined.xlsx"),
    ]
    assert len(private) >= 9 + 6 + 5 + 5
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_the_auditors_copy_verifies_and_any_change_is_found(demo: Demo, tmp_path: Path) -> None:
    copy = tmp_path / "log"
    shutil.copytree(demo.folder / "auditor" / "log", copy)
    assert tongqiao("audit", "verify", copy).returncode == 0
    entries = copy / "entries.jsonl"
    data = entries.read_bytes()
    entries.write_bytes(data.replace(b'"granted"', b'"refused"', 1))
    changed = tongqiao("audit", "verify", copy)
    assert changed.returncode == 1
    assert "Traceback" not in changed.stderr


def test_the_log_tells_who_did_what(demo: Demo) -> None:
    lines = (demo.folder / "auditor" / "log" / "entries.jsonl").read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    actions = {entry["action"] for entry in entries}
    assert actions >= {
        "member:enrol",
        "member:approve",
        "project:create",
        "secret:put",
        "secret:get",
        "round:create",
        "round:open",
        "terms:sign",
        "upload:put",
        "round:freeze",
        "round:run",
        "job:start",
        "job:finish",
        "review:read",
        "round:release",
        "results:read",
    }


def test_the_folder_must_be_empty(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("do not touch")
    done = tongqiao("demo", "--children", "60", "--dir", tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (tmp_path / "mine.txt").exists()


def test_no_process_is_left_behind(demo: Demo) -> None:
    if not Path("/proc").is_dir():
        pytest.skip("needs /proc")
    folder = os.fsencode(demo.folder)
    left = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes()
        except OSError:
            continue
        if folder in command:
            left.append(place.parent.name)
    assert not left
