"""The joined list as pages: a small database beside the .xlsx, so that any page is quick."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import python_calamine

from api.client.private_files import replacing_privately
from api.office import list_layout as layout
from api.office.workbook import raw_text

if TYPE_CHECKING:
    import numpy.typing as npt

PAGE_ROWS = 50
MOST_FOUND = 10_000
"""So many lines with a text are looked for at most: who sees more writes more of the text."""

_ROWS_AT_ONCE = 5000
_FORMAT = 3
_STRETCH = 1024
_FEW_LINES = 32
_SIGN_BITS = 16
_IDS_OF_A_KIND = 1 << 40

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
        has_more: whether there are, or may be, more rows with the text than were looked for.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], dict[str, str]], ...]
    n_rows: int
    page: int
    counts: dict[Kind, int]
    counterparts: tuple[str, ...]
    has_more: bool = False

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
            # Stretches are long: few large pages are read faster than many small ones.
            f"PRAGMA page_size = 32768; PRAGMA user_version = {_FORMAT};"
            "CREATE TABLE line (id INTEGER PRIMARY KEY, own TEXT, added TEXT);"
            "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT);"
            "CREATE TABLE searched (kind TEXT, number INTEGER, text BLOB, PRIMARY KEY"
            " (kind, number)) WITHOUT ROWID;"
            "CREATE TABLE signed (kind TEXT, number INTEGER, signs BLOB, PRIMARY KEY"
            " (kind, number)) WITHOUT ROWID;"
            "CREATE TABLE sorted (kind TEXT, number INTEGER, sorts BLOB, PRIMARY KEY"
            " (kind, number)) WITHOUT ROWID;"
        )
        writer = _Writer(database)
        for line in lines:
            writer.add(*line)
        writer.finish(headings)


class _Writer:
    """Puts lines into the database, and what they are found by in stretches of a kind.

    A line's *sort* is its counterpart, change and band; there are few sorts, so a line's is two
    bytes, and those of a million lines are read in a moment.  A stretch's *signs* say which three
    bytes in a row its text may hold: what lacks one of those of a wanted text is not read at all.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._waiting: list[tuple[int, str, str]] = []
        self._sorts: dict[tuple[str, str, str], int] = {}
        self._counts = dict.fromkeys(KINDS, 0)
        self._open: dict[str, tuple[list[int], list[str]]] = {kind: ([], []) for kind in KINDS}

    def add(  # one line, as it comes
        self, kind: str, counterpart: str, change: str, band: str, search: str, own: str, added: str
    ) -> None:
        place = KINDS.index(cast("Kind", kind))
        number = self._counts[KINDS[place]]
        self._counts[KINDS[place]] += 1
        self._waiting.append((place * _IDS_OF_A_KIND + number, own, added))
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._flush()
        sorts, texts = self._open[kind]
        sorts.append(self._sorts.setdefault((counterpart, change, band), len(self._sorts)))
        texts.append(search.replace("\n", " "))
        if len(sorts) == _STRETCH:
            self._close(kind)

    def finish(self, headings: Sequence[str]) -> None:
        """Write what waits, and what is known of the whole list."""
        self._flush()
        for kind in KINDS:
            self._close(kind)
        counterparts = sorted({counterpart for counterpart, _, _ in self._sorts if counterpart})
        for name, value in (
            ("headings", list(headings)),
            ("counts", self._counts),
            ("counterparts", counterparts),
            ("sorts", list(self._sorts)),
        ):
            self._database.execute("INSERT INTO fact VALUES (?, ?)", (name, json.dumps(value)))

    def _flush(self) -> None:
        self._database.executemany("INSERT INTO line VALUES (?, ?, ?)", self._waiting)
        self._waiting.clear()

    def _close(self, kind: str) -> None:
        sorts, texts = self._open[kind]
        if not sorts:
            return
        number = (self._counts[cast("Kind", kind)] - 1) // _STRETCH
        packed = np.array(sorts, dtype=np.uint16).tobytes()
        text = ("\n".join(texts) + "\n").encode("utf-8", "replace")
        self._database.execute("INSERT INTO sorted VALUES (?, ?, ?)", (kind, number, packed))
        self._database.execute("INSERT INTO searched VALUES (?, ?, ?)", (kind, number, text))
        signs = np.zeros(1 << _SIGN_BITS, dtype=np.bool_)
        signs[_signs(text)] = True
        self._database.execute(
            "INSERT INTO signed VALUES (?, ?, ?)", (kind, number, np.packbits(signs).tobytes())
        )
        self._open[kind] = ([], [])


def joined_page(database_file: Path, choice: Choice, page: int) -> JoinedPage | None:
    """One page of the list in the order of the office's file; ``None`` if there is no list yet."""
    if not database_file.exists():
        return None
    with closing(sqlite3.connect(f"file:{database_file}?mode=ro", uri=True)) as database:
        if database.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
            return None  # of an older program: it is fetched again
        facts = {name: json.loads(value) for name, value in database.execute("SELECT * FROM fact")}
        counts = {kind: int(facts["counts"][kind]) for kind in KINDS}
        numbers = _numbers(database, choice, facts["sorts"], counts[choice.kind])
        page = min(max(page, 1), max(1, -(-len(numbers) // PAGE_ROWS)))
        first = KINDS.index(choice.kind) * _IDS_OF_A_KIND
        wanted = [first + int(n) for n in numbers[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]]
        found = database.execute(
            "SELECT own, added FROM line WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (json.dumps(wanted),),
        ).fetchall()
    rows = tuple((tuple(json.loads(own)), json.loads(added)) for own, added in found)
    return JoinedPage(
        tuple(facts["headings"]), rows, len(numbers), page, counts, tuple(facts["counterparts"]),
        has_more=bool(choice.text) and len(numbers) >= MOST_FOUND,
    )  # fmt: skip


def _numbers(
    database: sqlite3.Connection, choice: Choice, sorts: Sequence[Sequence[str]], n_rows: int
) -> "Sequence[int] | npt.NDArray[np.int64]":
    """Places, within their kind, of the lines that fit; of those with a text the first ones."""
    if choice == Choice(kind=choice.kind) or not n_rows:
        return range(n_rows)
    asked = (choice.counterpart, choice.change, choice.band)
    fits = np.array(
        [
            all(not want or want == has for want, has in zip(asked, one, strict=True))
            for one in sorts
        ],
        dtype=np.bool_,
    )
    packed = [
        row[0]
        for row in database.execute(
            "SELECT sorts FROM sorted WHERE kind = ? ORDER BY number", (choice.kind,)
        )
    ]
    allowed = fits[np.frombuffer(b"".join(packed), dtype=np.uint16)]
    if not choice.text:
        return np.flatnonzero(allowed)
    needle = choice.text.casefold().encode("utf-8", "replace")
    found: list[int] = []
    # Only stretches that hold a line of a sort that is wanted are read at all.
    wanted = np.logical_or.reduceat(allowed, range(0, n_rows, _STRETCH))
    for number in np.flatnonzero(wanted & _may_hold(database, choice.kind, needle, len(wanted))):
        (text,) = database.execute(
            "SELECT text FROM searched WHERE kind = ? AND number = ?", (choice.kind, int(number))
        ).fetchone()
        start = int(number) * _STRETCH
        found += [start + at for at in _lines_with(needle, text, allowed[start : start + _STRETCH])]
        if len(found) >= MOST_FOUND:
            break
    return found[:MOST_FOUND]


def _signs(text: bytes) -> "npt.NDArray[np.uint32]":
    """A number below ``2 ** _SIGN_BITS`` for each three bytes in a row."""
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.uint32)
    mixed = codes[:-2] * 0x9E3779B1 + codes[1:-1] * 0x85EBCA77 + codes[2:] * 0xC2B2AE3D
    return mixed >> np.uint32(32 - _SIGN_BITS)


def _may_hold(
    database: sqlite3.Connection, kind: Kind, needle: bytes, n_stretches: int
) -> "npt.NDArray[np.bool_]":
    """Which stretches may hold a text, by their signs."""
    if len(needle) < 3:
        return np.ones(n_stretches, dtype=np.bool_)
    query = "SELECT signs FROM signed WHERE kind = ? ORDER BY number"
    packed = b"".join(row[0] for row in database.execute(query, (kind,)))
    bits = np.frombuffer(packed, dtype=np.uint8).reshape(n_stretches, -1)
    signs = _signs(needle)
    masks = (128 >> (signs & 7)).astype(np.uint8)
    return np.asarray((bits[:, signs >> 3] & masks).all(axis=1))


def _lines_with(needle: bytes, text: bytes, allowed: "npt.NDArray[np.bool_]") -> list[int]:
    """Numbers of the lines of a stretch that are allowed and hold a text."""
    if needle not in text:
        return []
    if np.count_nonzero(allowed) <= _FEW_LINES:
        lines = text.split(b"\n")
        return [at for at in np.flatnonzero(allowed).tolist() if needle in lines[at]]
    found, line, at = [], 0, text.find(needle)
    end = 0  # everything before it has been counted
    while at >= 0:
        line += text.count(b"\n", end, at)
        end = text.index(b"\n", at)
        if allowed[line]:
            found.append(line)
        at = text.find(needle, end)
    return found


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
