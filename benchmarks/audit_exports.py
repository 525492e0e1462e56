"""Exports of a log to tamper with: CSV, JSON Lines and Excel, each with its manifest."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from openpyxl import load_workbook

from api.audit.entry_filter import EntryFilter
from api.audit.errors import AuditError
from api.audit.export_check import verify_export
from api.audit.export_manifest import FORMS, ExportManifest, manifest_path
from api.audit.folder_export import export_folder
from benchmarks.audit_logs import KEY

WANTED: Final = EntryFilter(action="upload")
_OTHER: Final = EntryFilter(outcome="refused")


def write_exports(log: Path, folder: Path) -> dict[str, Path]:
    """An export in each form, with a manifest signed as a server's; beside it, another one's.

    Args:
        log: a fetched folder.

    Returns:
        Form -> the folder of the export.
    """
    found = {}
    for form in FORMS:
        found[form] = folder / f"export-{form}"
        for wanted, target in ((WANTED, found[form]), (_OTHER, folder / f"other-{form}")):
            target.mkdir()
            path = target / f"log.{form}"
            export_folder(log, wanted, None, path, form)
            manifest = ExportManifest.parse(manifest_path(path).read_bytes())
            signature = KEY.sign_export(manifest.signed_bytes())
            manifest_path(path).write_bytes(replace(manifest, signature=signature).to_bytes())
    return found


def export_is_bad(path: Path) -> bool:
    """Whether ``tongqiao audit verify-export`` would not call it intact."""
    form = path.name.removeprefix("export-")
    export = path / f"log.{form}"
    try:
        found = verify_export(export, manifest_path(export), KEY.verifier_key)
    except (AuditError, OSError):
        return True
    return bool(found.faults) or not found.is_same_file or found.completeness is None


def export_tamperings(
    form: str, other: Path
) -> Mapping[str, Callable[[Path, random.Random], None]]:
    """What can be done to an export's rows by somebody who writes the file anew.

    Args:
        other: folder of another export of the same log.
    """

    def other_manifest(path: Path, _chance: random.Random) -> None:
        name = f"log.{form}.manifest"
        (path / name).write_bytes((other / name).read_bytes())

    return {
        "cell changed": _edit(form, _change_cell),
        "row removed": _edit(form, lambda rows, chance: rows.pop(_row(rows, chance))),
        "rows swapped": _edit(form, _swap_rows),
        "row put in": _edit(
            form, lambda rows, chance: rows.insert(_row(rows, chance), chance.choice(rows[1:]))
        ),
        "rows cut off": _edit(form, lambda rows, chance: rows.__delitem__(_after(rows, chance))),
        "other export's manifest": other_manifest,
    }


_Rows = list[Any]


def _edit(form: str, change: Callable[[_Rows, random.Random], object]) -> Callable[..., None]:
    def edit(path: Path, chance: random.Random) -> None:
        export = path / f"log.{form}"
        if form == "xlsx":
            book = load_workbook(export)
            sheet = book["log"]
            rows: _Rows = [list(row) for row in sheet.iter_rows(values_only=True)]
            change(rows, chance)
            sheet.delete_rows(1, sheet.max_row)
            for row in rows:
                sheet.append(row)
            book.save(export)
            return
        end = b"\r\n" if form == "csv" else b"\n"
        lines = export.read_bytes().split(end)[:-1]
        # As the first row of the other forms, which is their heading.
        rows = lines if form == "csv" else [b"", *lines]
        change(rows, chance)
        kept = rows if form == "csv" else rows[1:]
        export.write_bytes(b"".join(row + end for row in kept))

    return edit


def _row(rows: _Rows, chance: random.Random) -> int:
    return chance.randrange(1, len(rows))


def _after(rows: _Rows, chance: random.Random) -> slice:
    return slice(_row(rows, chance), None)


def _swap_rows(rows: _Rows, chance: random.Random) -> None:
    one, other = _row(rows, chance), _row(rows, chance)
    rows[one], rows[other] = rows[other], rows[one]


def _change_cell(rows: _Rows, chance: random.Random) -> None:
    at = _row(rows, chance)
    if isinstance(rows[at], bytes):
        rows[at] = rows[at].replace(b"office-", b"officer-", 1)
    else:
        cell = chance.randrange(len(rows[at]))
        value = rows[at][cell]
        rows[at][cell] = value + 1 if isinstance(value, int) else f"{value or ''}a"
