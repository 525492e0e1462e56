"""A whole round of two offices: every command, as people type it, against a real server."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from api.cli import cli
from api.office import list_layout as layout
from api.server.app import make_app
from api.server.services.installation import Installation, create_installation
from api.server.services.members import add_member
from api.server.services.work import own_caller
from api.server.worker import Worker
from keys.storage import load_public_identity
from linkage.quality.synthetic import generate, write_registers

PROJECT, ROUND = "sichuan-children", "2026-h2"
COORDINATOR = "province-coordination"
OFFICES = ("jinjiang-civil", "chengdu-education")
ROLES = {"jinjiang-civil": "residence-civil-affairs", "chengdu-education": "education"}


@dataclass
class Stage:
    """A running server, and everybody's files below ``root``."""

    root: Path
    url: str
    installation: Installation

    def keys(self, holder: str, kind: str = "private") -> Path:
        return self.root / holder / f"{holder}.{kind}.json"

    def alone(self, *words: str | Path) -> str:
        """A command that needs no server."""
        result = _invoke(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def attempt(self, holder: str, *words: str | Path) -> Result:
        """A command in someone's name."""
        return _invoke(*words, "--server", self.url, "--keys", self.keys(holder))

    def act(self, holder: str, *words: str | Path) -> str:
        """A command in someone's name that must succeed."""
        result = self.attempt(holder, *words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, holder: str, *words: str | Path) -> str:
        """A command in someone's name that must fail; what it says."""
        result = self.attempt(holder, *words)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit)
        return " ".join(result.stderr.split())


def _invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("round")
    installation = create_installation(root / "server", "Test")
    http = make_server("127.0.0.1", 0, make_app(installation), threaded=True)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield Stage(root, f"http://127.0.0.1:{http.server_port}", installation)
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
        installation.close()


def _enrol_everybody(stage: Stage) -> None:
    for operator in ("operator-chen", "operator-luo"):
        stage.alone("keys", "new", "--operator", operator, "--out", stage.root / operator)
        public = load_public_identity(stage.keys(operator, "public"))
        add_member(stage.installation, own_caller("administrator"), public)
    for office in (COORDINATOR, *OFFICES):
        stage.alone("keys", "new", "--office", office, "--out", stage.root / office)
        assert "state: pending" in stage.act(office, "office", "enrol")
        assert "waits for approval" in stage.refused(office, "office", "status")
        fingerprint = load_public_identity(stage.keys(office, "public")).fingerprint
        other = load_public_identity(stage.keys("operator-chen", "public")).fingerprint
        stage.refused("operator-chen", "member", "approve", office, "--fingerprint", other)
        stage.act("operator-chen", "member", "approve", office, "--fingerprint", fingerprint)
    assert "chengdu-education" in stage.act("operator-luo", "member", "list")


def _share_the_secret(stage: Stage) -> None:
    members = "".join(f'[[members]]\noffice="{o}"\nrole="{ROLES[o]}"\n' for o in OFFICES)
    definition = stage.root / "project.toml"
    definition.write_text(
        f'id = "{PROJECT}"\nname = "儿童"\npurpose = "Care."\n'
        f'coordinating_office = "{COORDINATOR}"\n{members}',
        encoding="utf-8",
    )
    stage.act("operator-chen", "project", "create", definition)
    assert "residence-civil-affairs" in stage.act("operator-luo", "project", "show", PROJECT)
    secret = stage.root / COORDINATOR / "linkage.secret"
    stage.alone("secret", "new", "--out", secret)
    for office in OFFICES:
        folder, blob = stage.root / office, stage.root / f"{office}.sealed"
        public = folder / "downloaded.public.json"
        stage.act(COORDINATOR, "office", "identity", office, "--out", public)
        stage.alone(
            "secret", "seal", "--secret-file", secret, "--keys", stage.keys(COORDINATOR),
            "--to", public, "--project", PROJECT, "--out", blob,
        )  # fmt: skip
        stage.refused(office, "office", "send-secret", "--project", PROJECT, "--to", office, blob)
        stage.act(COORDINATOR, "office", "send-secret", "--project", PROJECT, "--to", office, blob)
        fetched, coordinator = folder / "sealed", folder / "coordinator.public.json"
        stage.act(office, "office", "fetch-secret", "--project", PROJECT, "--out", fetched)
        stage.act(office, "office", "identity", COORDINATOR, "--out", coordinator)
        stage.alone(
            "secret", "open", fetched, "--keys", stage.keys(office), "--from", coordinator,
            "--project", PROJECT, "--out", folder / "linkage.secret",
        )  # fmt: skip


def _create_and_sign(stage: Stage) -> None:
    definition = stage.root / "terms.toml"
    definition.write_text(
        f'project = "{PROJECT}"\nround = "{ROUND}"\nprofile = "cn-child-v1"\n', encoding="utf-8"
    )
    stage.act("operator-chen", "round", "create", definition)
    stage.act("operator-chen", "round", "open", ROUND)
    _sign_the_terms(stage)


def _sign_the_terms(stage: Stage) -> None:
    for office in (*OFFICES, COORDINATOR):
        terms = stage.root / office / "terms.json"
        shown = stage.act(office, "office", "terms", "--round", ROUND, "--out", terms)
        assert "Purpose: Care." in shown
        words: list[str | Path] = ["office", "sign", "--round", ROUND, "--terms", terms]
        if office == COORDINATOR:
            words += ["--secret-file", stage.root / COORDINATOR / "linkage.secret"]
        stage.act(office, *words)


def _amend_the_terms(stage: Stage) -> None:
    """The operator changes the terms: the signatures of before count no more."""
    definition = stage.root / "terms.toml"
    definition.write_text(
        f'project = "{PROJECT}"\nround = "{ROUND}"\nprofile = "cn-child-v1"\nretention_days = 90\n',
        encoding="utf-8",
    )
    said = stage.attempt("operator-chen", "round", "amend", definition)
    assert "has to read and sign them again" in said.stderr
    office = OFFICES[0]
    old = stage.root / office / "terms.json"
    words = ("office", "sign", "--round", ROUND, "--terms", old)
    assert "not the ones in your file" in stage.refused(office, *words)
    for office in (*OFFICES, COORDINATOR):
        (stage.root / office / "terms.json").unlink()


def _encode_and_upload(stage: Stage) -> None:
    registers = stage.root / "registers"
    files = write_registers(generate(150, 7), registers)
    for file in files:
        if file.office_id not in OFFICES:
            continue
        folder = stage.root / file.office_id
        register = folder / file.path.name
        register.write_bytes(file.path.read_bytes())
        (folder / "register").symlink_to(register)
        stage.alone("inspect", register, "--out", folder / "map.toml")
        stage.alone(
            "encode", register, "--columns", folder / "map.toml", "--profile", "cn-child-v1",
            "--secret-file", folder / "linkage.secret", "--terms", folder / "terms.json",
            "--out", folder / "x.tqe", "--map", folder / "x.map.csv",
        )  # fmt: skip
        upload = ("office", "upload", "--round", ROUND, folder / "x.tqe")
        stage.act(file.office_id, *upload)
        stage.act(file.office_id, "office", "withdraw", "--round", ROUND)
        stage.act(file.office_id, *upload)


def _match_and_release(stage: Stage) -> None:
    assert "wrong-state" not in stage.refused("operator-chen", "round", "run", ROUND)
    stage.act("operator-chen", "round", "freeze", ROUND)
    folder = stage.root / OFFICES[0]
    late = stage.refused(OFFICES[0], "office", "upload", "--round", ROUND, folder / "x.tqe")
    assert "it is frozen, not open" in late
    worker = Worker(stage.installation)
    matching = threading.Thread(target=worker.run)
    matching.start()
    try:
        shown = stage.act("operator-chen", "round", "run", ROUND, "--wait")
        assert shown.endswith(f"Round {ROUND} is matched; state: review\n")
    finally:
        worker.stop()
        matching.join()
    assert OFFICES[0] in stage.act("operator-luo", "round", "review", ROUND)
    results = ("office", "results", "--round", ROUND, "--out", stage.root / "too-early.csv")
    stage.refused(OFFICES[0], *results)
    assert "another operator" in stage.refused("operator-chen", "round", "release", ROUND).lower()
    stage.act("operator-luo", "round", "release", ROUND)
    assert "released" in stage.act("operator-luo", "round", "status")


def _join(stage: Stage, office: str) -> list[tuple[object, ...]]:
    folder = stage.root / office
    stage.act(
        office, "office", "results", "--round", ROUND, "--out", folder / "links.csv", "--overwrite"
    )
    (folder / "joined.xlsx").unlink(missing_ok=True)
    stage.alone(
        "office", "join", "--links", folder / "links.csv", "--map", folder / "x.map.csv",
        "--records", folder / "register", "--columns", folder / "map.toml",
        "--out", folder / "joined.xlsx",
    )  # fmt: skip
    sheet = openpyxl.load_workbook(folder / "joined.xlsx")[layout.SHEET_LINKS]
    return list(sheet.iter_rows(values_only=True))


def test_a_whole_round(stage: Stage) -> None:
    _enrol_everybody(stage)
    _share_the_secret(stage)
    _create_and_sign(stage)
    _amend_the_terms(stage)
    _sign_the_terms(stage)
    _encode_and_upload(stage)
    _match_and_release(stage)
    lists = {office: _join(stage, office) for office in OFFICES}
    for office, rows in lists.items():
        other = OFFICES[1 - OFFICES.index(office)]
        column = rows[0].index(layout.HEADING_COUNTERPART)
        assert {row[column] for row in rows[1:]} == {other}
    assert len(lists[OFFICES[0]]) == len(lists[OFFICES[1]]) > 20
    _leave(stage, lists[OFFICES[1]])


def _leave(stage: Stage, before: list[tuple[object, ...]]) -> None:
    """One office leaves; the other's next list says so, and nothing of the first is delivered."""
    # Nobody leaves by mistake: without an answer, nothing is done.
    assert stage.attempt(OFFICES[0], "office", "leave", "--round", ROUND).exit_code == 1
    left = stage.act(OFFICES[0], "office", "leave", "--round", ROUND, "--yes")
    assert f"Links taken back: {len(before) - 1:,}" in left
    links = stage.root / "none.csv"
    gone = stage.refused(OFFICES[0], "office", "results", "--round", ROUND, "--out", links)
    assert "is out of this round" in gone
    after = _join(stage, OFFICES[1])
    band, change = (after[0].index(h) for h in (layout.HEADING_BAND, layout.HEADING_CHANGE))
    assert {row[band] for row in after[1:]} == {layout.BAND_NAMES["withdrawn"]}
    assert {row[change] for row in after[1:]} == {layout.CHANGE_WITHDRAWN}
    assert len(after) == len(before)
    _change_keys(stage, OFFICES[1])


def _change_keys(stage: Stage, office: str) -> None:
    """An office changes its keys: the old file is refused from then on, the new one works."""
    new = stage.root / f"{office}-new"
    stage.alone("keys", "rotate", "--keys", stage.keys(office), "--out", new)
    rotation = new / f"{office}.rotation.json"
    wrong = stage.refused(OFFICES[0], "keys", "send-rotation", rotation)
    assert "another holder" in wrong
    said = stage.act(office, "keys", "send-rotation", rotation)
    assert load_public_identity(new / f"{office}.public.json").fingerprint in said
    assert "not known here" in stage.refused(office, "office", "status")
    words = ("office", "status", "--server", stage.url, "--keys", new / f"{office}.private.json")
    assert ROUND in stage.alone(*words)
