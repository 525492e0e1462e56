"""Joins an office's links to its own rows, on its own machine, into one .xlsx for its clerks."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from openpyxl import Workbook

from api.office import list_layout as layout
from api.office.links import Link
from api.office.previous_list import Changes, PreviousList, compare
from api.office.workbook import ListSheet, RawCell, raw_text, streamed_workbook
from linkage.errors import RecordsError
from linkage.records.record_ids import is_made_id

_SAMPLE_ROWS = 200
_PROGRESS_ROWS = 1000

_TextRow = tuple[str, list[str]]
"""Record id, and the cells of its row as text."""


@dataclass(frozen=True, slots=True)
class OwnRecords:
    """The office's own file: headings, and each record's unique id with its row as it stands."""

    headings: Sequence[str]
    rows: Iterable[tuple[str, Sequence[RawCell]]]


@dataclass(slots=True)
class JoinCounts:
    """What the joined list holds; the counts of its summary sheet."""

    n_records: int = 0
    n_linked: int = 0
    n_not_found: int = 0
    n_not_sent: int = 0
    n_links: int = 0
    n_new: int = 0
    n_unchanged: int = 0
    n_ended: int = 0
    n_withdrawn: int = 0
    by_band: Counter[str] = field(default_factory=Counter)
    by_counterpart: Counter[str] = field(default_factory=Counter)
    records_by_counterpart: Counter[str] = field(default_factory=Counter)


def write_joined_list(
    path: Path,
    own: OwnRecords,
    links: Sequence[Link],
    record_ids: Mapping[str, str],
    previous: PreviousList | None = None,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
) -> JoinCounts:
    """Write the joined list: own rows with their links, own rows without, ended links, summary.

    A record with several links has several rows, the surest first; a record with none is on the
    sheet of those not found.  Links with an office that has left the round since stay, marked as
    withdrawn, so that a clerk sees which ones count no more.  Rows keep the order of the office's
    file.

    Args:
        path: an existing file that its owner alone may read.
        record_ids: own pseudonym -> own record id, for every record that was encoded.
        on_progress: called now and then with the number of own records so far.

    Raises:
        RecordsError: links, map and records do not belong together.
        OSError: the file cannot be written.
    """
    unknown = sum(link.record not in record_ids for link in links)
    if unknown:
        raise RecordsError(
            f"The map does not know the records of {unknown:,} of {len(links):,} links. Give the "
            "map that 'encode' wrote together with the file that was uploaded to this round."
        )
    with streamed_workbook(path) as workbook:
        return _Joining(workbook, own, links, record_ids, previous).run(on_progress)


class _Joining:
    """The sheets of one list while they are written."""

    def __init__(
        self,
        workbook: Workbook,
        own: OwnRecords,
        links: Sequence[Link],
        record_ids: Mapping[str, str],
        previous: PreviousList | None,
    ) -> None:
        self._workbook = workbook
        self._own = own
        self._links_of = _by_record(links, record_ids)
        self._sent = frozenset(record_ids.values())
        self._previous = previous
        self._changes = (
            Changes({}, ()) if previous is None else compare(links, record_ids, previous)
        )
        self._counts = JoinCounts()

    def run(self, on_progress: Callable[[int], None]) -> JoinCounts:
        """Write all sheets, in the order that a reader wants them."""
        sample, rows = _sampled(self._texts())
        headings = list(self._own.headings)
        listed = ListSheet(
            self._workbook,
            layout.SHEET_LINKS,
            [*headings, *layout.LINK_HEADINGS],
            [[*row, *_LINK_SAMPLE] for _, row in sample],
        )
        missing = ListSheet(
            self._workbook,
            layout.SHEET_NOT_FOUND,
            [*headings, layout.HEADING_STATE],
            [[*row, layout.STATE_NOT_FOUND] for _, row in sample],
        )
        held = self._write_rows(rows, listed, missing, on_progress)
        absent = len(self._links_of.keys() - held)
        if absent:
            raise RecordsError(
                f"The file of records lacks {absent:,} records that have links. Give the file "
                "that was encoded for this round, and its --columns."
            )
        if any(map(is_made_id, self._sent ^ held)):
            raise RecordsError(
                "Rows without an id of their own are not where they were when the file was "
                "encoded, so links could stand beside other children. Give the very file that was "
                "encoded."
            )
        listed.finish()
        missing.finish()
        if self._previous is not None:
            self._write_ended(self._previous, held)
        self._write_summary()
        return self._counts

    def _texts(self) -> Iterator[_TextRow]:
        n_columns = len(self._own.headings)
        for record_id, row in self._own.rows:
            texts = [raw_text(value) for value in row[:n_columns]]
            yield record_id, texts + [""] * (n_columns - len(texts))

    def _write_rows(
        self,
        rows: Iterable[_TextRow],
        listed: ListSheet,
        missing: ListSheet,
        on_progress: Callable[[int], None],
    ) -> set[str]:
        counts = self._counts
        held: set[str] = set()
        for record_id, texts in rows:
            held.add(record_id)
            counts.n_records += 1
            if counts.n_records % _PROGRESS_ROWS == 0:
                on_progress(counts.n_records)
            links = self._links_of.get(record_id, ())
            standing = {link.counterpart for link in links if link.band != "withdrawn"}
            if standing:
                counts.n_linked += 1
                counts.records_by_counterpart.update(standing)
            elif links:
                # Only with offices that have left: on the list, marked, and counted as no link.
                pass
            elif record_id in self._sent:
                counts.n_not_found += 1
                missing.append([*texts, layout.STATE_NOT_FOUND])
            else:
                counts.n_not_sent += 1
                missing.append([*texts, layout.STATE_NOT_SENT])
            for link in links:
                listed.append([*texts, *self._link_cells(link, record_id)])
        on_progress(counts.n_records)
        return held

    def _link_cells(self, link: Link, record_id: str) -> list[str | float]:
        counts = self._counts
        if link.band == "withdrawn":
            counts.n_withdrawn += 1
            band = layout.BAND_NAMES[link.band]
            change = layout.CHANGE_WITHDRAWN
            return [link.counterpart, link.score, band, change, link.link, record_id]
        change = self._changes.by_link.get(link.link, "")
        counts.n_links += 1
        counts.n_new += change == layout.CHANGE_NEW
        counts.n_unchanged += change == layout.CHANGE_UNCHANGED
        counts.by_band[link.band] += 1
        counts.by_counterpart[link.counterpart] += 1
        band = layout.BAND_NAMES[link.band]
        return [link.counterpart, link.score, band, change, link.link, record_id]

    def _write_ended(self, previous: PreviousList, held: set[str]) -> None:
        ended = self._changes.ended
        sheet = ListSheet(
            self._workbook,
            layout.SHEET_ENDED,
            [*previous.headings, *layout.ENDED_HEADINGS],
            [[*old.values, old.counterpart, "", "", ""] for old in ended[:_SAMPLE_ROWS]],
        )
        for old in ended:
            reason = layout.ENDED_LINK if old.record_id in held else layout.ENDED_RECORD
            sheet.append([*old.values, old.counterpart, old.score, reason, old.record_id])
        sheet.finish()
        self._counts.n_ended = len(ended)

    def _write_summary(self) -> None:
        counts = self._counts
        rows: list[tuple[str, int]] = [
            ("本单位记录 own records", counts.n_records),
            ("有匹配的记录 records with links", counts.n_linked),
            ("未找到的记录 records not found", counts.n_not_found),
            ("未参加本轮的记录 records not sent", counts.n_not_sent),
            ("匹配 links", counts.n_links),
        ]
        rows += [
            ("匹配，{} links, {}".format(*name.split()), counts.by_band[band])
            for band, name in layout.BAND_NAMES.items()
            if band != "withdrawn"
        ]
        if counts.n_withdrawn:
            rows.append(("对方已撤回的匹配 links withdrawn", counts.n_withdrawn))
        if self._previous is not None:
            rows += [
                ("新增的匹配 new links", counts.n_new),
                ("不变的匹配 unchanged links", counts.n_unchanged),
                ("已终止的匹配 ended links", counts.n_ended),
            ]
        for office in sorted(counts.by_counterpart):
            rows.append((f"与 {office} 的匹配 links with it", counts.by_counterpart[office]))
            rows.append(
                (
                    f"在 {office} 找到的记录 records found there",
                    counts.records_by_counterpart[office],
                )
            )
        sheet = ListSheet(
            self._workbook,
            layout.SHEET_SUMMARY,
            ["项目 item", "数量 number"],
            [[r[0]] for r in rows],
        )
        for row in rows:
            sheet.append(row)
        sheet.finish()


_LINK_SAMPLE = ("", "", layout.BAND_NAMES["probable"], layout.CHANGE_UNCHANGED, "", "")


def _by_record(links: Iterable[Link], record_ids: Mapping[str, str]) -> dict[str, list[Link]]:
    by_record: dict[str, list[Link]] = defaultdict(list)
    for link in sorted(links, key=lambda link: (-link.score, link.counterpart, link.link)):
        by_record[record_ids[link.record]].append(link)
    return dict(by_record)


def _sampled(rows: Iterator[_TextRow]) -> tuple[list[_TextRow], Iterable[_TextRow]]:
    sample = list(islice(rows, _SAMPLE_ROWS))
    return sample, chain(sample, rows)
