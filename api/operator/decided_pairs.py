"""Lists of pairs that people have decided: known links, and refuted ones."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from linkage.types import U8, EncodedDataset, RecordPair

PAIR_COLUMNS = ("dataset_a", "record_a", "dataset_b", "record_b")


def load_pairs(path: Path | None, datasets: Sequence["EncodedDataset"]) -> "list[RecordPair]":
    """Decided pairs of a CSV file; the columns of links, of which the score may be missing.

    Raises:
        click.ClickException: the file has other columns, or names what the datasets do not have.
        OSError: it cannot be read.
    """
    if path is None:
        return []
    named = {dataset.name: dataset for dataset in datasets}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            if not set(PAIR_COLUMNS) <= set(rows.fieldnames or ()):
                raise click.ClickException(
                    f"A list of pairs needs the columns {', '.join(PAIR_COLUMNS)}."
                )
            return [
                (
                    _record(named, row["dataset_a"], row["record_a"], number),
                    _record(named, row["dataset_b"], row["record_b"], number),
                )
                for number, row in enumerate(rows, 2)
            ]
        except (UnicodeDecodeError, csv.Error) as error:
            raise click.ClickException("A list of pairs is no CSV file in UTF-8.") from error


def _record(
    datasets: "Mapping[str, EncodedDataset]", name: str, pseudonym: str | None, row: int
) -> tuple[str, int]:
    if name not in datasets:
        raise click.ClickException(
            f"Row {row} of a list of pairs names a dataset that is not among the files. "
            "Give all files, or leave the row out."
        )
    found = _row_of(datasets[name].pseudonyms, pseudonym or "")
    if found is None:
        raise click.ClickException(
            f"Row {row} of a list of pairs names a record that '{name}' does not have. Pseudonyms "
            "are new in each file: take them from links of these very files."
        )
    return name, found


def _row_of(pseudonyms: "U8", wanted: str) -> int | None:
    """Row of a pseudonym among ascending ones, by halving."""
    try:
        value = bytes.fromhex(wanted)
    except ValueError:
        return None
    low, high = 0, len(pseudonyms)
    while low < high:
        middle = (low + high) // 2
        if pseudonyms[middle].tobytes() < value:
            low = middle + 1
        else:
            high = middle
    found = low < len(pseudonyms) and pseudonyms[low].tobytes() == value
    return low if found else None
