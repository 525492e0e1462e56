"""Exports verify alone; whatever is changed in one, or in its manifest, is found."""

import csv
import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from api.audit.directory import STATE
from api.audit.entry_filter import EntryFilter
from api.audit.errors import AuditError, DirectoryError, ExportError
from api.audit.export_check import ExportCheck, verify_export
from api.audit.export_manifest import ExportManifest, manifest_path
from api.audit.export_rows import read_rows
from api.audit.fetch import fetch_log
from api.audit.folder_export import export_folder
from tests.api.audit.simulated_log import KEY, OTHER_KEY, SimulatedLog

FORMS = ("csv", "jsonl", "xlsx")
REFUSED = EntryFilter(outcome="refused")
SPAN = EntryFilter(since="2026-09-01T08:00:05.000Z", until="2026-09-01T08:00:25.000Z")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fetched") / "log"
    fetch_log(SimulatedLog(40), directory)
    return directory


def exported(
    log: Path, tmp_path: Path, form: str, wanted: EntryFilter = SPAN, last: int | None = None
) -> Path:
    path = tmp_path / f"export.{form}"
    export_folder(log, wanted, last, path, form)
    return path


def check(path: Path, log: Path | None = None, manifest: Path | None = None) -> ExportCheck:
    return verify_export(path, manifest or manifest_path(path), KEY.verifier_key, log)


def is_found(path: Path, log: Path | None = None, manifest: Path | None = None) -> bool:
    """Whether the command would say NOT INTACT."""
    try:
        found = check(path, log, manifest)
    except AuditError:
        return True
    return bool(found.faults) or not found.is_same_file or found.completeness is None


def rewritten(path: Path, **changes: object) -> None:
    """The manifest, changed by somebody who knows its form."""
    beside = manifest_path(path)
    manifest = ExportManifest.parse(beside.read_bytes())
    beside.write_bytes(replace(manifest, **changes).to_bytes())  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("wanted", "last", "n_rows"),
    [
        (EntryFilter(), None, 40),
        (SPAN, None, 20),
        (EntryFilter(), 7, 7),
        (EntryFilter(since="2027-01-01T00:00:00.000Z"), None, 0),
        (EntryFilter(until="2026-01-01T00:00:00.000Z"), None, 0),
    ],
)
def test_a_span_of_time_is_complete_by_itself(
    log: Path, tmp_path: Path, form: str, wanted: EntryFilter, last: int | None, n_rows: int
) -> None:
    found = check(exported(log, tmp_path, form, wanted, last))
    assert (found.faults, found.n_rows, found.completeness) == ((), n_rows, "times")
    assert found.is_same_file
    assert found.checkpoint.size == 40


@pytest.mark.parametrize("last", [None, 2])
def test_what_a_filter_left_out_is_told_from_the_log(
    log: Path, tmp_path: Path, last: int | None
) -> None:
    path = exported(log, tmp_path, "csv", REFUSED, last)
    assert check(path).completeness is None
    found = check(path, log)
    assert (found.faults, found.completeness) == ((), "log")


def test_a_log_that_was_changed_is_not_exported(log: Path, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "log"
    shutil.copytree(log, other)
    entries = other / "entries.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b'"n_records":9,', b'"n_records":8,'))
    with pytest.raises(DirectoryError):
        export_folder(other, EntryFilter(), None, tmp_path / "export.csv", "csv")
    assert not (tmp_path / "export.csv").exists()
    (other / STATE).unlink()
    with pytest.raises(DirectoryError):
        export_folder(other, EntryFilter(), None, tmp_path / "export.csv", "csv")


def test_files_that_are_there_are_never_replaced(log: Path, tmp_path: Path) -> None:
    path = exported(log, tmp_path, "csv")
    with pytest.raises(FileExistsError):
        export_folder(log, SPAN, None, path, "csv")
    assert check(path).faults == ()


def edit_csv(path: Path, change: Callable[[list[list[str]]], object]) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(rows)


def edit_jsonl(path: Path, change: Callable[[list[list[str]]], object]) -> None:
    heading = ["index", "time", "action", "outcome", "actor", "role", "project"]
    values = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    rows = [heading, *([str(value[name]) for name in heading] for value in values)]
    by_index = {value["index"]: value for value in values}
    change(rows)
    lines = []
    for row in rows[1:]:
        value = by_index.get(int(row[0]), values[0])
        value = {**value, **dict(zip(heading, row, strict=True)), "index": int(row[0])}
        lines.append(json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n")
    path.write_text("".join(lines), encoding="ascii")


def edit_xlsx(path: Path, change: Callable[[list[list[str]]], object]) -> None:
    book = load_workbook(path)
    sheet = book["log"]
    rows: list[list[Any]] = [list(row) for row in sheet.iter_rows(values_only=True)]
    change(rows)
    sheet.delete_rows(1, sheet.max_row)
    for row in rows:
        sheet.append(row)
    book.save(path)


EDITORS = {"csv": edit_csv, "jsonl": edit_jsonl, "xlsx": edit_xlsx}


def change_cell(rows: list[list[str]]) -> None:
    rows[4][4] = "somebody-else"


def change_number(rows: list[list[str]]) -> None:
    rows[4][0] = type(rows[4][0])(38)


def change_time(rows: list[list[str]]) -> None:
    rows[4][1] = "2026-09-01T08:00:08.001Z"


EDITS: dict[str, tuple[Callable[[list[list[str]]], object], str]] = {
    "cell": (change_cell, "Row 4 was changed: entry 8 reads otherwise."),
    "number": (change_number, "Row 4 was put in: entry 38 was not exported."),
    "time": (change_time, "Row 4 was changed: entry 8 reads otherwise."),
    "removed": (lambda rows: rows.pop(4), "Entry 8 is missing"),
    "swapped": (lambda rows: rows.insert(4, rows.pop(5)), "Row 5 was moved: entry 8"),
    "twice": (lambda rows: rows.insert(4, rows[4]), "Row 5 was put in: entry 8 is there twice."),
    "cut off": (lambda rows: rows.pop(), "Entry 24 is missing"),
    "emptied": (lambda rows: rows.__delitem__(slice(1, None)), "Entry 5 is missing"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("edit", EDITS)
def test_each_edit_has_its_own_message(log: Path, tmp_path: Path, form: str, edit: str) -> None:
    path = exported(log, tmp_path, form)
    change, message = EDITS[edit]
    EDITORS[form](path, change)
    faults = check(path).faults
    assert any(fault.startswith(message) for fault in faults), faults


def test_a_workbook_that_was_only_saved_anew_keeps_its_rows(log: Path, tmp_path: Path) -> None:
    path = exported(log, tmp_path, "xlsx")
    edit_xlsx(path, lambda rows: None)
    found = check(path)
    assert (found.faults, found.n_rows, found.is_same_file) == ((), 20, False)


def test_a_workbook_with_another_sheet_or_column_is_told(log: Path, tmp_path: Path) -> None:
    path = exported(log, tmp_path, "xlsx")
    book = load_workbook(path)
    book.create_sheet("more")
    book.save(path)
    assert "other sheets" in check(path).faults[0]
    del book["more"]
    book["log"].cell(4, 20, "a remark")
    book.save(path)
    assert check(path).faults


@pytest.mark.parametrize("form", FORMS)
def test_any_bit_any_cut_any_swap_is_found(log: Path, tmp_path: Path, form: str) -> None:
    chance = random.Random(f"{form}, 26 November")
    path = exported(log, tmp_path, form)
    beside = manifest_path(path)
    for target in (path, beside):
        whole = target.read_bytes()
        for _ in range(40):
            data = bytearray(whole)
            kind = chance.choice(("flip", "cut", "delete", "swap", "insert"))
            at = chance.randrange(len(data))
            if kind == "flip":
                data[at] ^= 1 << chance.randrange(8)
            elif kind == "cut":
                del data[at:]
            elif kind == "delete":
                del data[at : at + chance.randrange(1, 50)]
            elif kind == "swap":
                other = chance.randrange(len(data))
                data[at], data[other] = data[other], data[at]
            else:
                data.insert(at, chance.randrange(256))
            if data == whole:
                continue
            target.write_bytes(data)
            assert is_found(path), (kind, at)
        target.write_bytes(whole)
    assert not is_found(path)


def test_the_manifest_of_another_export_does_not_fit(log: Path, tmp_path: Path) -> None:
    path = exported(log, tmp_path, "csv")
    other = tmp_path / "other.csv"
    export_folder(log, EntryFilter(until="2026-09-01T08:00:20.000Z"), None, other, "csv")
    found = check(path, manifest=manifest_path(other))
    assert any("was not exported" in fault for fault in found.faults)
    assert any("missing" in fault for fault in found.faults)


def test_a_manifest_that_leaves_a_row_out_does_not_prove_itself_complete(
    log: Path, tmp_path: Path
) -> None:
    """A row taken out of file and manifest alike, by somebody who makes a proof that fits."""
    whole = exported(log, tmp_path, "csv", REFUSED)
    manifest = ExportManifest.parse(manifest_path(whole).read_bytes())
    assert manifest.indexes == (3, 10, 17, 24, 31, 38)
    path = tmp_path / "less.csv"
    export_folder(log, replace(REFUSED, until="2026-09-01T08:00:30.000Z"), None, path, "csv")
    rewritten(path, wanted=REFUSED, stop=40, after=None)
    with pytest.raises(ExportError, match="manifest was changed"):
        check(path)
    # The proof made anew for what is left.
    from api.audit.subset_proof import LeavesFile, prove_subset
    from api.audit.tiles import TileTree

    tree = TileTree(LeavesFile(log / "verified.leaves"), 40)
    proof = tuple(prove_subset(tree, manifest.indexes[:4]))
    rewritten(path, wanted=REFUSED, stop=40, after=None, proof=proof)
    found = check(path)
    assert (found.faults, found.completeness) == ((), None)
    assert check(path, log).faults == (
        "Entry 31 fits the filter and is missing from the export.",
        "Entry 38 fits the filter and is missing from the export.",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"start": 6}, {"stop": 24}, {"before": None}, {"after": None}, {"last": 3},
        {"wanted": EntryFilter(since="2026-09-01T08:00:04.000Z", until=SPAN.until)},
        {"wanted": EntryFilter(since=SPAN.since)},
        {"wanted": EntryFilter(actor="xuyong-civil")},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_that_claims_more_than_it_proves_is_found(
    log: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    path = exported(log, tmp_path, "jsonl")
    rewritten(path, **changes)
    assert is_found(path)


def test_a_manifest_with_a_leaf_too_few_or_too_many_is_damaged(log: Path, tmp_path: Path) -> None:
    path = exported(log, tmp_path, "csv")
    leaves = ExportManifest.parse(manifest_path(path).read_bytes()).leaves
    for wrong in (leaves[:-1], (*leaves, leaves[0]), ()):
        rewritten(path, leaves=wrong)
        assert is_found(path)


def test_another_logs_key_and_another_logs_folder_are_refused(log: Path, tmp_path: Path) -> None:
    path = exported(log, tmp_path, "csv")
    with pytest.raises(ExportError, match="another log"):
        verify_export(path, manifest_path(path), OTHER_KEY.verifier_key)
    shorter = tmp_path / "shorter"
    fetch_log(SimulatedLog(30), shorter)
    with pytest.raises(DirectoryError, match="older"):
        check(path, shorter)


def test_a_signature_vouches_for_what_a_filter_left_out(log: Path, tmp_path: Path) -> None:
    path = exported(log, tmp_path, "csv", REFUSED)
    manifest = ExportManifest.parse(manifest_path(path).read_bytes())
    signature = KEY.sign_export(manifest.signed_bytes())
    rewritten(path, signature=signature)
    assert check(path).completeness == "signature"
    rewritten(path, wanted=EntryFilter(outcome="refused", action="upload"))
    with pytest.raises(ExportError, match="signature"):
        check(path)
    rewritten(path, wanted=REFUSED, signature=OTHER_KEY.sign_export(manifest.signed_bytes()))
    with pytest.raises(ExportError, match="signature"):
        check(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed on Linux")
def test_a_damaged_workbook_is_not_left_open(log: Path, tmp_path: Path) -> None:
    path = exported(log, tmp_path, "xlsx")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part[: len(part) // 2] if "sheet1" in name else part)
    # The error is kept, and with it all that its frames hold.
    with pytest.raises(ExportError, match="damaged") as kept:
        list(read_rows(path, "xlsx"))
    opened = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert path not in opened, kept.value
