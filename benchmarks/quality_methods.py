"""The methods that need nothing beside the program: the plain rule, and Tongqiao itself."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.quality_corpus import Corpus
from benchmarks.quality_figures import Judge
from linkage.encoding import encode_records
from linkage.pipeline import match_datasets
from linkage.types import I64, EncodedDataset, SolveMode

_ROUND_KEY = bytes(range(32))
_NO_CONFIRMATION = "0" * 32


@dataclass(frozen=True, slots=True)
class Result:
    """Links of one method on one corpus.

    Attributes:
        method: as the table calls it.
        keys: sorted distinct keys of the links, see :meth:`Judge.keys`.
        seconds: wall-clock, from cleaned records to links, without judging.
        notes: threshold and the like.
    """

    method: str
    keys: I64
    seconds: float
    notes: Mapping[str, Any] = field(default_factory=dict)


def link_by_rule(corpus: Corpus, judge: Judge) -> list[Result]:
    """All fields of one of the corpus's rules equal: ID, or name and birth date."""
    start = perf_counter()
    blocks: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
    for fields in corpus.rule:
        rows_of_values = zip(*(corpus.columns[name] for name in fields), strict=True)
        for row, values in enumerate(rows_of_values):
            known = tuple(value for value in values if value is not None)
            if len(known) == len(fields):
                blocks[fields, known].append(row)
    left, right = [], []
    for rows in blocks.values():
        i, j = np.triu_indices(len(rows), 1)
        block = np.array(rows, dtype=np.int64)
        left.append(block[i])
        right.append(block[j])
    keys = judge.keys(np.concatenate(left), np.concatenate(right))
    return [Result("rule", keys, perf_counter() - start)]


def link_by_tongqiao(corpus: Corpus, judge: Judge) -> list[Result]:
    """From encodings alone, the threshold chosen without truth, in all three modes."""
    start = perf_counter()
    datasets: list[EncodedDataset] = []
    places: dict[str, I64] = {}
    for index, name in enumerate(corpus.dataset_names):
        encoded = encode_records(
            corpus.batches[index],
            corpus.profile,
            _ROUND_KEY,
            name=name,
            context="offline",
            key_confirmation=_NO_CONFIRMATION,
            encoder_version="benchmark",
        )
        datasets.append(encoded.dataset)
        rows = {record: row for row, record in enumerate(corpus.record_ids[index])}
        places[name] = np.array([rows[record] for record in encoded.record_ids], dtype=np.int64)
        places[name] += corpus.offsets[index]
    encoding_s = perf_counter() - start
    return [_match(judge, datasets, places, mode, encoding_s) for mode in _MODES]


_MODES: Mapping[SolveMode, str] = {
    "groups": "tongqiao groups",
    "one-to-one": "tongqiao one-to-one",
    "pairs": "tongqiao pairs",
}


def _match(
    judge: Judge,
    datasets: list[EncodedDataset],
    places: Mapping[str, I64],
    mode: SolveMode,
    encoding_s: float,
) -> Result:
    start = perf_counter()
    links = match_datasets(datasets, solve=mode)
    seconds = perf_counter() - start
    where = [places[name] for name in links.dataset_names]
    bounds = np.cumsum([0, *map(len, where)])
    rows = np.concatenate(where)
    keys = judge.keys(
        rows[bounds[links.dataset_a] + links.row_a], rows[bounds[links.dataset_b] + links.row_b]
    )
    notes = {"threshold": links.threshold, "encoding_s": encoding_s}
    return Result(_MODES[mode], keys, encoding_s + seconds, notes)
