"""A server and a workbench full of data, for the pages to be measured on."""

import json
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyotp
from sqlalchemy import insert

from api.audit.events import Action
from api.audit.note import Checkpoint
from api.office.join import OwnRecords, write_joined_list
from api.office.links import Link
from api.office.workbench.joined_rows import write_joined_rows
from api.server.models import LOG_TABLES, Round, RoundOffice, Signature, StateChange, Upload
from api.server.services import log, people
from api.server.services.audit_tasks import TaskKind, ask_for
from api.server.services.installation import Installation, create_installation
from api.server.services.members import add_member
from api.server.services.projects import NewProject, create_project
from api.server.services.work import own_caller
from api.server.worker import Worker
from benchmarks.audit_figures import empty_log
from benchmarks.audit_logs import fill_database
from keys.canonical import canonical_json
from keys.storage import save_identity
from tests import factories

PROJECT: Final = "sichuan-children"
OWN: Final = "office-00"
PASSWORD: Final = "four words that are long"  # noqa: S105 - of an invented person

_BANDS: Final = ((0.995, "certain"), (0.95, "probable"), (0.8, "possible"))
_STATES: Final = ("draft", "open", "frozen", "review", "released", "expired", "cancelled")


@dataclass(frozen=True)
class Sizes:
    """How much there is."""

    n_offices: int
    n_rounds: int
    n_entries: int
    n_rows: int
    n_checkpoints: int


FULL: Final = Sizes(100, 50, 5_000_000, 1_000_000, 10_000)
QUICK: Final = Sizes(12, 7, 20_000, 5_000, 100)


def build(folder: Path, sizes: Sizes) -> None:
    """Build everything into an empty folder."""
    began = time.perf_counter()
    about = build_server(folder, sizes)
    build_workbench(folder, sizes)
    (folder / "about.json").write_text(json.dumps(about))
    print(f"built in {time.perf_counter() - began:.0f} s", flush=True)


def build_server(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """A server's folder with all of it; what its pages are about."""
    installation = create_installation(folder / "server", "Benchmark")
    offices = [f"office-{number:02d}" for number in range(sizes.n_offices)]
    administrator = own_caller("administrator")
    for office in (factories.COORDINATOR, *offices):
        add_member(installation, administrator, factories.identity(office).public)
    chen = replace(own_caller("operator"), member="chen")
    project = NewProject(
        PROJECT, "Children", "To find children.", factories.COORDINATOR,
        [(office, "education") for office in offices],
    )  # fmt: skip
    create_project(installation, chen, project)
    for number in range(sizes.n_rounds):
        _add_round(installation, f"round-{number:02d}", _STATES[number % 7], offices)
    tasks = {kind: _task(installation, kind) for kind in TaskKind}
    codes = {role: _enrol(installation, role) for role in ("operator", "auditor", "administrator")}
    _fill_log(installation, sizes)
    log.read_checkpoint(installation, chen)
    _add_checkpoints(installation, sizes)
    installation.close()
    return {"codes": codes, "tasks": tasks}


def _fill_log(installation: Installation, sizes: Sizes) -> None:
    """Put the long log in the place of the short one that building left."""
    empty_log(installation)
    with installation.database.migrating() as connection:
        for table in (LOG_TABLES.subtrees, LOG_TABLES.checkpoints):
            connection.execute(table.delete())
    fill_database(installation.database, sizes.n_entries)


def _add_checkpoints(installation: Installation, sizes: Sizes) -> None:
    """Many checkpoints, three witnesses each; what they say of the tree is not read here."""
    key = installation.log_key
    # Only in the first half: entries of the second are proved by the one that is genuine.
    step = sizes.n_entries // 2 // (sizes.n_checkpoints + 1)
    notes, lines = [], []
    for size in range(step, step * sizes.n_checkpoints, step):
        root = secrets.token_bytes(32)
        note = key.sign(Checkpoint(key.origin, size, root))
        made = {"size": size, "root": root, "note": note, "created_at": "2026-01-05T00:00:00.000Z"}
        notes.append(made)
        lines += [
            {"size": size, "witness": f"office-{n:02d}", "line": "-", "signed_at": 1_767_571_200}
            for n in range(3)
        ]
    with installation.database.migrating() as connection:
        connection.execute(insert(LOG_TABLES.checkpoints), notes)
        connection.execute(insert(LOG_TABLES.cosignatures), lines)


def _add_round(installation: Installation, round_id: str, state: str, offices: list[str]) -> None:
    members = [{"office": office, "role": "education"} for office in offices]
    terms = canonical_json(factories.terms(project=PROJECT, round=round_id, members=members))
    now = datetime.now(UTC)
    entry = Round(
        id=round_id, project_id=PROJECT, state=state, terms=terms.decode(),
        terms_sha256="0" * 64, profile=factories.PROFILE_TEXT,
        coordinating_office=factories.COORDINATOR, key_confirmation="0" * 32, created_at=now,
        created_by="chen", retained_until=now + timedelta(days=100), done=0, total=0, attempts=0,
    )  # fmt: skip
    entry.offices = [RoundOffice(office_id=office, role="education") for office in offices]
    entry.signatures = [
        Signature(office_id=office, terms_sha256="0" * 64, signature="AA==", signed_at=now)
        for office in offices
    ]
    if state not in ("draft", "open", "cancelled", "expired"):
        entry.uploads = [
            Upload(office_id=office, sha256=secrets.token_hex(32), n_records=10_000,
                   n_bytes=10**7, received_at=now)
            for office in offices
        ]  # fmt: skip
    if state in ("review", "released"):
        entry.review = json.dumps(_review(offices))
    entry.history = [StateChange(state=state, at=now, by="chen")]
    with installation.work(own_caller("server")) as work:
        work.session.add(entry)
        work.record(Action.ROUND_CREATE, project=PROJECT, round_id=round_id)


def _review(offices: list[str]) -> dict[str, Any]:
    pairs = [
        {
            "office_a": a, "office_b": b, "n_records_a": 10_000, "n_records_b": 10_000,
            "n_links": 500, "estimated_precision": 0.99, "estimated_recall": 0.95,
        }
        for number, a in enumerate(offices)
        for b in offices[number + 1 :]
    ]  # fmt: skip
    bins = [{"from": n / 40, "to": (n + 1) / 40, "n": n * n * 10} for n in range(20, 40)]
    duplicates = [{"office": office, "n_groups": 12} for office in offices]
    return {
        "pairs": pairs, "histogram": bins, "duplicates": duplicates, "threshold": 0.8,
        "flows": [],
    }  # fmt: skip


def _task(installation: Installation, kind: TaskKind) -> str:
    """What a worker has made of a verification, a report or an export; its task."""
    he = replace(own_caller("auditor"), member="he")
    period = {"since": "2026-01-01T00:00:00.000Z", "until": "2100-01-01T00:00:00.000Z"}
    parameters: dict[TaskKind, dict[str, Any]] = {
        TaskKind.CHECK: {},
        TaskKind.REPORT: {**period, "first": "2026-01-01", "last": "2099-12-31"},
        TaskKind.EXPORT: {"form": "csv", "query": {}, "given": {}},
    }
    task_id = ask_for(installation, he, kind, parameters[kind], {})
    Worker(installation).work_once()
    return task_id


def _enrol(installation: Installation, role: str) -> list[str]:
    """Invite and enrol ``a-ROLE``; recovery codes."""
    administrator, person = own_caller("administrator"), f"a-{role}"
    invited = people.add_person(installation, administrator, person, name=person, role=role)
    invitation = str(invited["invitation"])
    started = people.begin_enrolment(installation, administrator, person, invitation)
    code = pyotp.TOTP(str(started["secret"])).now()
    return people.complete_enrolment(
        installation, administrator, person, invitation, password=PASSWORD, code=code
    )


def build_workbench(folder: Path, sizes: Sizes) -> None:
    """An office's folder with a list taken in, and the links of a round."""
    released = folder / "bench" / "rounds" / "round-04"
    released.mkdir(parents=True)
    save_identity(factories.identity(OWN), folder)
    join(released, sizes.n_rows)
    (released / "encoded.map.csv").write_text("pseudonym,record\n", encoding="utf-8")
    register = folder / "register.csv"
    with register.open("w", encoding="utf-8") as file:
        file.write("登记编号,儿童姓名,性别,出生日期,身份证号\n")
        for number in range(min(sizes.n_rows, 20_000)):
            file.write(f"R{number},王小{chr(0x4E00 + number % 5000)},男,2015-03-0{number % 9},\n")


def join(folder: Path, n_rows: int) -> None:
    """Join a million own rows with the links of a round, as the workbench does; print the time."""
    headings = ("登记编号", "儿童姓名", "性别", "出生日期", "现居住地", "监护人姓名", "学校")
    rows = (
        (f"R{n:07d}", (f"R{n:07d}", f"王{chr(0x4E00 + n % 20000)}", "男", "2015-03-07",
                       "成都市锦江区", f"李{chr(0x4E00 + n % 9000)}", f"第{n % 300}小学"))
        for n in range(n_rows)
    )  # fmt: skip
    links = [
        Link(f"{n:032x}", f"{n:032x}", f"office-{1 + n % 99:02d}", *_BANDS[n % 3])
        for n in range(n_rows)
        if n % 10
    ]
    record_ids = {f"{n:032x}": f"R{n:07d}" for n in range(n_rows)}
    began = time.perf_counter()
    write_joined_list(folder / "list.xlsx", OwnRecords(headings, rows), links, record_ids)
    joined = time.perf_counter()
    write_joined_rows(folder / "list.xlsx", folder / "list.sqlite")
    print(
        f"{n_rows:,} rows: joined into an .xlsx in {joined - began:.0f} s, made ready for pages "
        f"in {time.perf_counter() - joined:.0f} s",
        flush=True,
    )
