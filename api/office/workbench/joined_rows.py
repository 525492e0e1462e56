"""The joined list as pages: a small database beside the .xlsx, so that any page is quick."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import python_calamine

from api.client.private_files import replacing_privately
from api.office import list_layout as layout
from api.office.workbook import raw_text

PAGE_ROWS = 50
_ROWS_AT_ONCE = 5000

Kind = Literal["linked", "missing", "ended"]
KINDS: tuple[Kind, ...] = ("linked", "missing", "ended")

_SHEETS: dict[Kind, tuple[str, Sequence[str]]] = {
    "linked": (layout.SHEET_LINKS, layout.LINK_HEADINGS),
    "missing": (layout.SHEET_NOT_FOUND, (layout.HEADING_STATE,)),
    "ended": (layout.SHEET_ENDED, layout.ENDED_HEADINGS),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader wants to see; empty text means everything."""

    kind: Kind = "linked"
    counterpart: str = ""
    change: str = ""
    band: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class JoinedPage:
    """One page of the list.

    Attributes:
        headings: of the office's own columns.
        rows: own cells, then what the list adds, by the heading's English word.
        counts: rows of each kind in the whole list.
        counterparts: offices to choose from.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], dict[str, str]], ...]
    n_rows: int
    page: int
    counts: dict[Kind, int]
    counterparts: tuple[str, ...]

    @property
    def n_pages(self) -> int:
        """Pages in all, at least one."""
        return max(1, -(-self.n_rows // PAGE_ROWS))


def write_joined_rows(list_file: Path, database_file: Path) -> None:
    """Make the database from a joined list.

    Raises:
        OSError: it cannot be written.
    """
    with python_calamine.load_workbook(list_file) as workbook:
        sheets = [_lines(workbook, kind, title, added) for kind, (title, added) in _SHEETS.items()]
        own = [next(lines, None) for lines in sheets]
        headings = next((each for each in own if each), ())
        store_lines(database_file, headings, chain.from_iterable(sheets))


def store_lines(
    database_file: Path, headings: Sequence[str], lines: Iterable[tuple[str, ...]]
) -> None:
    """Make the database from lines: kind, counterpart, change, band, searched text, own, added.

    Raises:
        OSError: it cannot be written.
    """
    with (
        replacing_privately(database_file, overwrite=True) as draft,
        closing(sqlite3.connect(draft)) as database,
        database,
    ):
        database.executescript(
            "CREATE TABLE line (kind TEXT, counterpart TEXT, change TEXT, band TEXT, search TEXT,"
            " own TEXT, added TEXT);"
            "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT);"
        )
        database.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)", lines)
        database.executescript(
            # Rows of equal key stand in an index in the order of the list.
            "CREATE INDEX by_kind ON line (kind);"
            "CREATE INDEX by_counterpart ON line (kind, counterpart);"
            "CREATE INDEX by_change ON line (kind, change);"
            "CREATE INDEX by_band ON line (kind, band);"
            "CREATE INDEX by_text ON line (kind, search);"
        )
        counts = dict(database.execute("SELECT kind, count(*) FROM line GROUP BY kind"))
        counterparts = database.execute(
            "SELECT DISTINCT counterpart FROM line WHERE counterpart != '' ORDER BY 1"
        )
        for name, value in (
            ("headings", list(headings)),
            ("counts", counts),
            ("counterparts", [row[0] for row in counterparts]),
        ):
            database.execute("INSERT INTO fact VALUES (?, ?)", (name, json.dumps(value)))


def joined_page(database_file: Path, choice: Choice, page: int) -> JoinedPage | None:
    """One page of the list in the order of the office's file; ``None`` if there is no list yet."""
    if not database_file.exists():
        return None
    where, values = _where(choice)
    with closing(sqlite3.connect(f"file:{database_file}?mode=ro", uri=True)) as database:
        facts = {name: json.loads(value) for name, value in database.execute("SELECT * FROM fact")}
        counts = {kind: int(facts["counts"].get(kind, 0)) for kind in KINDS}
        if choice == Choice(kind=choice.kind):
            n_rows = counts[choice.kind]
        else:
            (n_rows,) = database.execute(f"SELECT count(*) FROM line{where}", values).fetchone()  # noqa: S608
        page = min(max(page, 1), max(1, -(-n_rows // PAGE_ROWS)))
        found = database.execute(
            # What comes before the page is passed over in the index, without its cells.
            f"SELECT own, added FROM line WHERE rowid IN (SELECT rowid FROM line{where} "  # noqa: S608
            "ORDER BY rowid LIMIT ? OFFSET ?) ORDER BY rowid",
            (*values, PAGE_ROWS, (page - 1) * PAGE_ROWS),
        ).fetchall()
    rows = tuple((tuple(json.loads(own)), json.loads(added)) for own, added in found)
    return JoinedPage(
        tuple(facts["headings"]), rows, n_rows, page, counts, tuple(facts["counterparts"])
    )


def _lines(
    workbook: python_calamine.CalamineWorkbook, kind: Kind, title: str, added: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    """First the office's own headings, then the rows of all sheets of a kind."""
    for number, name in enumerate(n for n in workbook.sheet_names if n.startswith(title)):
        rows = iter(workbook.get_sheet_by_name(name).iter_rows())
        headings = [raw_text(cell) for cell in next(rows, [])]
        places = {heading.split()[-1]: headings.index(heading) for heading in added}
        n_own = len(headings) - len(added)
        if number == 0:
            yield tuple(headings[:n_own])
        for row in rows:
            texts = [raw_text(cell) for cell in row] + [""] * (len(headings) - len(row))
            extra = {word: texts[place] for word, place in places.items()}
            own = texts[:n_own]
            yield (
                kind,
                extra.get("counterpart", ""),
                extra.get("change", "").rpartition(" ")[2],
                extra.get("band", "").rpartition(" ")[2],
                "\t".join(own).casefold(),
                json.dumps(own, ensure_ascii=False),
                json.dumps(extra, ensure_ascii=False),
            )


def _where(choice: Choice) -> tuple[str, list[str]]:
    conditions, values = ["kind = ?"], [str(choice.kind)]
    for column in ("counterpart", "change", "band"):
        wanted = getattr(choice, column)
        if wanted:
            conditions.append(f"{column} = ?")
            values.append(wanted)
    if choice.text:
        conditions.append("instr(search, ?) > 0")
        values.append(choice.text.casefold())
    return " WHERE " + " AND ".join(conditions), values
