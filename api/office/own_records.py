"""The office's own file, read once more as it is, to be shown beside its links."""

from collections.abc import Iterator
from pathlib import Path

from api.office.join import OwnRecords
from api.office.workbook import RawCell
from linkage.records.mapping import load_mapping
from linkage.records.reading import RawBatch, read_raw_records


def load_own_records(path: Path, mapping_file: Path) -> OwnRecords:
    """The rows of the file that was encoded, with the ids that encoding gave them.

    Raises:
        RecordsError: the mapping or the file cannot be used; while rows are read, if the file turns
            out to be damaged.
        OSError: a file cannot be read.
    """
    headings, batches = read_raw_records(path, load_mapping(mapping_file))
    return OwnRecords(headings, _rows(batches))


def _rows(batches: Iterator[RawBatch]) -> Iterator[tuple[str, "list[RawCell]"]]:
    for batch in batches:
        for record_id, cells in zip(batch.record_ids, batch.cells, strict=True):
            yield record_id, list(cells)
