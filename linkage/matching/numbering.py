"""The records of all datasets, numbered through, with their columns left where they are.

Datasets come in the order of their names and records in the order of their pseudonyms, so a
record's number does not depend on the order in which anything was given.  Tags are held in memory
(8 bytes a view and record); filters, a hundred times as large, stay in the mapped files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from linkage.errors import MatchingError
from linkage.matching.compare import ViewColumns
from linkage.matching.rarity import rarity_of_tags
from linkage.types import F64, I64, U64, EncodedDataset, ViewLayout

MAX_RECORDS = 2**32 - 1
"""A pair is kept as two numbers of four bytes."""


class StackedRows:
    """Rows of several arrays, one below the other, without copying them.

    Args:
        parts: ``(n_i, ...)`` arrays of one dtype, read-only or memory-mapped.
    """

    def __init__(self, parts: Sequence[npt.NDArray[np.generic]]) -> None:
        self.parts = tuple(parts)
        self.offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
        self.shape = (int(self.offsets[-1]), *parts[0].shape[1:])

    def __getitem__(self, numbers: I64) -> npt.NDArray[np.generic]:
        """The rows of these numbers, ``(k, ...)``, in the order asked for."""
        found = np.empty((len(numbers), *self.shape[1:]), dtype=self.parts[0].dtype)
        part_of = np.searchsorted(self.offsets, numbers, side="right") - 1
        for index, part in enumerate(self.parts):
            mine = np.flatnonzero(part_of == index)
            if len(mine):
                found[mine] = part[numbers[mine] - self.offsets[index]]
        return found


class SomeRows:
    """Rows of some numbers, in memory, asked for by these numbers.

    Args:
        numbers: ``(k,)``, ascending.
        rows: ``(k, ...)``.
    """

    def __init__(self, numbers: I64, rows: npt.NDArray[np.generic]) -> None:
        self._numbers, self._rows = numbers, rows
        self.shape = rows.shape

    def __getitem__(self, numbers: I64) -> npt.NDArray[np.generic]:
        """The rows of these numbers, all of which are there."""
        return self._rows[np.searchsorted(self._numbers, numbers)]


@dataclass(frozen=True)
class NumberedRecords:
    """All records: record ``i`` of dataset ``d`` has the number ``offsets[d] + i``.

    Attributes:
        datasets: by ascending name.
        offsets: ``(n_datasets + 1,) int64``.
    """

    datasets: tuple[EncodedDataset, ...]
    offsets: I64

    @property
    def n_records(self) -> int:
        """Records in all datasets together."""
        return int(self.offsets[-1])

    @property
    def layouts(self) -> tuple[ViewLayout, ...]:
        """Layouts of the views, the same in every dataset."""
        return self.datasets[0].manifest.views

    def dataset_of(self, numbers: npt.NDArray[np.integer]) -> I64:
        """Which dataset each record belongs to."""
        found = np.searchsorted(self.offsets, numbers, side="right") - 1
        return found.astype(np.int64)

    @cached_property
    def tags(self) -> tuple[U64 | None, ...]:
        """For each view ``(n_records,) uint64``, 0 where absent; ``None`` for untagged views."""
        stacked: list[U64 | None] = []
        for number, layout in enumerate(self.layouts):
            parts = [dataset.views[number].tags for dataset in self.datasets]
            stacked.append(
                np.concatenate([part for part in parts if part is not None])
                if layout.tagged
                else None
            )
        return tuple(stacked)

    def tags_of(self, view: int) -> U64:
        """Tags of a tagged view, ``(n_records,) uint64``.

        Raises:
            MatchingError: the view has no tags.
        """
        tags = self.tags[view]
        if tags is None:
            raise MatchingError(f"View '{self.layouts[view].name}' has no tags to join on.")
        return tags

    def pseudonyms_hashed(self, numbers: I64) -> U64:
        """A number drawn evenly from 64 bits for each record, always the same for it."""
        rows = StackedRows([dataset.pseudonyms for dataset in self.datasets])[numbers]
        halves = np.ascontiguousarray(rows).view("<u8").astype(np.uint64)
        return mixed(halves[:, 0] ^ mixed(halves[:, 1]))

    @cached_property
    def rarity(self) -> Mapping[int, F64]:
        """For each view whose equal tags are weighed by their rarity the weights, ``(n,)``."""
        weighed = self.datasets[0].manifest.evidence.rarity
        return {
            number: rarity_of_tags(self.tags_of(number))
            for number, layout in enumerate(self.layouts)
            if layout.name in weighed
        }

    @cached_property
    def views(self) -> tuple[ViewColumns, ...]:
        """Columns of every view; filters are read from the files when they are asked for."""
        return tuple(self._view(number, layout) for number, layout in enumerate(self.layouts))

    def _view(self, number: int, layout: ViewLayout) -> ViewColumns:
        parts = [dataset.views[number] for dataset in self.datasets]
        names = [group.name for group in layout.groups]
        return ViewColumns(
            layout=layout,
            tags=self.tags[number],
            present=np.concatenate([part.present for part in parts]),
            filters={name: StackedRows([part.filters[name] for part in parts]) for name in names},
            filter_present={
                name: StackedRows([part.filter_present[name] for part in parts]) for name in names
            },
        )

    def loaded(self, left: I64, right: I64, agreeing: I64) -> tuple[ViewColumns, ...]:
        """Columns with only those filters in memory that measuring some pairs asks for.

        Files are read from front to back, which matters where they do not fit memory.

        Args:
            left, right: ``(m,)`` pairs.
            agreeing: ``(m,)``, bit v set where a pair is comparable in view v.
        """
        views = []
        for number, view in enumerate(self.views):
            mine = agreeing >> number & 1 == 1
            numbers = np.unique(np.concatenate((left[mine], right[mine])))
            filters = {
                name: SomeRows(numbers, rows[numbers]) for name, rows in view.filters.items()
            }
            views.append(replace(view, filters=filters))
        return tuple(views)


def number_through(datasets: Sequence[EncodedDataset]) -> NumberedRecords:
    """Number the records of all datasets through.

    Raises:
        MatchingError: there are more records than pairs can be written for.
    """
    ordered = tuple(sorted(datasets, key=lambda dataset: dataset.name))
    offsets = np.concatenate(([0], np.cumsum([dataset.n_records for dataset in ordered])))
    if offsets[-1] > MAX_RECORDS:
        raise MatchingError(
            f"More than {MAX_RECORDS} records in all. Match fewer datasets at a time."
        )
    return NumberedRecords(ordered, offsets.astype(np.int64))


def mixed(values: U64) -> U64:
    """Well-mixed 64-bit numbers (the finaliser of SplitMix64; Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
