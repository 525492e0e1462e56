"""The file being prepared: taken in, its columns mapped, its problems listed."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from flask_babel import lazy_gettext

from api.client.private_files import replacing_privately, write_privately
from api.office.workbench.error_words import ToldError
from api.office.workbench.folder import OfficeFolder, find_source, read_json, write_json
from api.office.workbench.jobs import Job
from linkage.profile import Profile
from linkage.records import (
    NO_TABLE,
    ColumnMapping,
    Inspection,
    RecordsError,
    inspect_file,
    load_mapping,
    mapping_to_toml,
    read_table,
    sheet_names,
    write_problem_report,
)
from linkage.records.cells import cell_text
from linkage.records.heading_rows import heading_key
from linkage.records.mapping import RECORD_ID
from linkage.records.problems import mask
from linkage.records.proposal import SAMPLE_ROWS
from linkage.records.rows import NoRecords
from linkage.types import Problem

SUFFIXES = (".csv", ".txt", ".xlsx", ".xls")
PAGE_PROBLEMS = 50
_PREVIEW_ROWS = 5
_PROBLEMS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class About:
    """What is known of the file before it is read: its own name, bytes, and when it came.

    Attributes:
        sheet: of a workbook, from 1, where somebody has chosen one.
        sheets: names of a workbook's sheets.
    """

    name: str
    n_bytes: int
    received_at: str
    sheet: int | None = None
    sheets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """Headings and first rows, every cell masked."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def samples(self, heading: str) -> tuple[str, ...]:
        """Masked first cells below a heading, empty ones left out, at most three."""
        if heading not in self.headings:
            return ()
        index = self.headings.index(heading)
        return tuple(row[index] for row in self.rows if row[index])[:3]


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """One page of problems, and how many there are.

    Each is ``(row, field, code, masked, other_row)``.
    """

    rows: tuple[tuple[int, str, str, str, int | None], ...]
    n_problems: int
    page: int

    @property
    def n_pages(self) -> int:
        """Pages in all, at least one."""
        return max(1, -(-self.n_problems // PAGE_PROBLEMS))


class Register:
    """The one file that is being prepared, for a profile."""

    def __init__(self, folder: OfficeFolder, profile: Profile) -> None:
        self._folder = folder.register
        self.profile = profile
        self._inspection: Inspection | None = None
        self._preview: Preview | None = None

    @property
    def source(self) -> Path | None:
        """The copy of the file, if there is one."""
        return find_source(self._folder)

    @property
    def columns_file(self) -> Path:
        """The mapping's file, which may not be there yet."""
        return self._folder / "columns.toml"

    @property
    def about(self) -> About | None:
        """Name and size of the file, if there is one."""
        known = read_json(self._folder / "about.json")
        if self.source is None or not known:
            return None
        return About(
            str(known.get("name", "")),
            int(known.get("n_bytes", 0)),
            str(known.get("received_at", "")),
            known.get("sheet") if isinstance(known.get("sheet"), int) else None,
            tuple(map(str, known.get("sheets", ()))),
        )

    @property
    def inspection(self) -> Inspection | None:
        """What the last look at the file with its present mapping found."""
        return self._inspection

    def take_in(self, received: Path, name: str) -> None:
        """Make a file that was received the one being prepared; the one before goes.

        Raises:
            RecordsError: it is no table that can be read; the one before stays.
            OSError: it cannot be kept.
        """
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise ToldError(
                lazy_gettext(
                    "Only .xlsx, .xls, .csv and .txt files can be read. Save the list as one."
                )
            )
        sheets = sheet_names(received)
        _check_is_table(received, len(sheets))
        self.clear()
        n_bytes = received.stat().st_size
        received.replace(self._folder / f"source{suffix}")
        write_json(
            self._folder / "about.json",
            {
                "name": name,
                "n_bytes": n_bytes,
                "received_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "sheets": list(sheets),
            },
        )

    def choose_sheet(self, number: int) -> None:
        """Take another sheet of the workbook; what was chosen and found for the one before goes.

        Raises:
            RecordsError: the workbook has no such sheet.
        """
        about = self.about
        if about is None or not 1 <= number <= len(about.sheets):
            raise ToldError(lazy_gettext("The file has no such sheet. Load the page again."))
        known = read_json(self._folder / "about.json")
        write_json(self._folder / "about.json", {**known, "sheet": number})
        self._inspection = self._preview = None
        self.columns_file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete the file and all that was made from it."""
        self._inspection = self._preview = None
        for path in self._folder.iterdir():
            if path.is_file():
                path.unlink()

    def mapping(self) -> ColumnMapping | None:
        """The mapping as it stands, confirmed or corrected.

        Raises:
            RecordsError: somebody edited the file and broke it.
        """
        return load_mapping(self.columns_file) if self.columns_file.exists() else None

    def preview(self) -> Preview:
        """Headings and masked first rows.

        Raises:
            RecordsError: there is no file, or it cannot be read.
        """
        if self._preview is None:
            mapping = self._inspection.mapping if self._inspection else ColumnMapping({})
            table = read_table(self._required(), mapping.encoding, mapping.sheet)
            width = len(table.headings)
            is_record = NoRecords(table.above).is_record
            sample = islice(table.rows, SAMPLE_ROWS)
            rows = list(islice((row for row in sample if is_record(row)), _PREVIEW_ROWS))
            self._preview = Preview(
                tuple(heading for heading in table.headings),
                tuple(
                    tuple(mask(cell_text(cell)) for cell in row[:width])
                    + ("",) * (width - len(row))
                    for row in rows
                ),
            )
        return self._preview

    def inspect(self, job: Job) -> Inspection:
        """Read the whole file with its mapping, or propose one; keep the problems.

        Raises:
            RecordsError: the file cannot be read.
            OSError: the problems cannot be kept.
        """
        job.enter(lazy_gettext("Reading the file"))
        source, mapping, about = self._required(), self.mapping(), self.about
        with self._writing_problems() as add:
            inspection = inspect_file(
                source,
                self.profile.fields,
                mapping=mapping,
                cleaning=self.profile.cleaning,
                sheet=None if about is None else about.sheet,
                on_problem=add,
                on_progress=job.advance,
            )
        self._inspection = inspection
        return inspection

    def choose_columns(self, chosen: Mapping[str, str]) -> None:
        """Keep a mapping: field -> heading, empty for a field that the file lacks.

        Raises:
            RecordsError: no column identifies a record, one serves two fields, or a heading is
                not in the file.
        """
        headings = {heading_key(heading): heading for heading in self.preview().headings if heading}
        columns: dict[str, str] = {}
        taken: dict[str, str] = {}
        for field in (RECORD_ID, *(spec.name for spec in self.profile.fields)):
            heading = chosen.get(field, "")
            if not heading:
                continue
            key = heading_key(heading)
            if key not in headings:
                raise ToldError(lazy_gettext("The file has no such heading. Load the page again."))
            if field != RECORD_ID and taken.setdefault(key, field) != field:
                raise ToldError(
                    lazy_gettext(
                        "The column “%(heading)s” was chosen twice. Choose another one.",
                        heading=heading,
                    )
                )
            columns[field] = headings[key]
        if RECORD_ID not in columns:
            raise ToldError(
                lazy_gettext("Choose the column that identifies each record, such as a number.")
            )
        if len(columns) == 1:
            raise ToldError(lazy_gettext("Choose at least one more column."))
        before = self._inspection.mapping if self._inspection else ColumnMapping({})
        text = mapping_to_toml(ColumnMapping(columns, before.values, before.encoding, before.sheet))
        write_privately(self.columns_file, text.encode(), overwrite=True)
        self._inspection = None

    def problems(self, *, code: str = "", field: str = "", page: int = 1) -> ProblemPage:
        """One page of the problems, in the order of rows, all or those of a code or field."""
        where, values = _where(code, field)
        with self._problems() as database:
            (count,) = database.execute(f"SELECT count(*) FROM problem{where}", values).fetchone()  # noqa: S608
            page = min(max(page, 1), max(1, -(-count // PAGE_PROBLEMS)))
            rows = database.execute(
                f"SELECT row, field, code, masked, other_row FROM problem{where} ORDER BY rowid "  # noqa: S608
                "LIMIT ? OFFSET ?",
                (*values, PAGE_PROBLEMS, (page - 1) * PAGE_PROBLEMS),
            ).fetchall()
        return ProblemPage(tuple(rows), count, page)

    def problem_report(self) -> Path:
        """Write all problems as a workbook, and say where it is.

        Raises:
            OSError: it cannot be written.
        """
        headings = self._inspection.mapping.columns if self._inspection else {}
        path = self._folder / "problems.xlsx"
        with self._problems() as database, replacing_privately(path, overwrite=True) as draft:
            rows = database.execute(
                "SELECT row, field, code, masked, advice, other_row FROM problem"
            )
            write_problem_report(draft, (Problem(*row) for row in rows), headings)
        return path

    def _required(self) -> Path:
        source = self.source
        if source is None:
            raise ToldError(lazy_gettext("There is no file yet. Choose one first."))
        return source

    @contextmanager
    def _writing_problems(self) -> "Iterator[_Collector]":
        path = self._folder / "problems.sqlite"
        with (
            replacing_privately(path, overwrite=True) as draft,
            closing(sqlite3.connect(draft)) as database,
            database,
        ):
            database.execute(
                "CREATE TABLE problem (row INTEGER, field TEXT, code TEXT, masked TEXT, "
                "advice TEXT, other_row INTEGER)"
            )
            collector = _Collector(database)
            yield collector
            collector.flush()
            database.execute("CREATE INDEX by_code ON problem (code, field)")

    @contextmanager
    def _problems(self) -> Iterator[sqlite3.Connection]:
        path = self._folder / "problems.sqlite"
        if not path.exists():
            raise ToldError(lazy_gettext("The file has not been read yet. Read it first."))
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            yield database


def _check_is_table(path: Path, n_sheets: int) -> None:
    """Some sheet of it is a table.  Raises: RecordsError."""
    refusal: RecordsError | None = None
    for number in range(1, max(n_sheets, 1) + 1):
        try:
            read_table(path, sheet=number)
        except RecordsError as error:
            if error.code not in NO_TABLE:
                raise
            refusal = refusal or error
        else:
            return
    if refusal is not None:
        raise refusal


class _Collector:
    """Puts problems into the database in batches."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._waiting: list[tuple[int, str, str, str, str, int | None]] = []

    def __call__(self, problem: Problem) -> None:
        self._waiting.append(
            (
                problem.row,
                problem.field,
                problem.code,
                problem.masked,
                problem.advice,
                problem.other_row,
            )
        )
        if len(self._waiting) >= _PROBLEMS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        self._database.executemany("INSERT INTO problem VALUES (?, ?, ?, ?, ?, ?)", self._waiting)
        self._waiting.clear()


def _where(code: str, field: str) -> tuple[str, Sequence[str]]:
    wanted = (("code", code), ("field", field))
    conditions = [(f"{name} = ?", value) for name, value in wanted if value]
    if not conditions:
        return "", ()
    return " WHERE " + " AND ".join(text for text, _ in conditions), [v for _, v in conditions]
