"""The field's habit: one CLK a record (clkhash), anonlink's solvers, best threshold."""

from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.quality_corpus import Column, Corpus
from benchmarks.quality_figures import Judge
from benchmarks.quality_methods import Result
from benchmarks.quality_solving import ScoredPairs, greedy_one_to_one
from linkage.encoding.pinyin import name_syllables
from linkage.types import I64

CLK_BITS = 1024
_DICE_STEP = 0.01
_LEAST_DICE = {"name": 0.6, "given_name": 0.52}
"""From where thresholds are tried, by the first field.  Lower ones cost much memory."""
_SECRET = "benchmark"  # noqa: S105 - a benchmark has nothing to hide
_READING = "name reading"

FieldHashing = tuple[str, int, bool, int]
"""Field, n of its n-grams, whether they are positional, bits of a token."""

CHILD_FIELDS: Sequence[FieldHashing] = (
    ("name", 2, False, 15),
    (_READING, 2, False, 8),
    ("birth_date", 1, True, 8),
    ("sex", 1, False, 12),
    ("id_number", 2, True, 6),
    ("guardian_name", 2, False, 8),
    ("guardian_phone", 2, True, 4),
    ("hukou_division", 2, True, 4),
    ("residence_division", 2, True, 4),
)
FEBRL_FIELDS: Sequence[FieldHashing] = (
    ("given_name", 2, False, 12),
    ("surname", 2, False, 12),
    ("birth_date", 1, True, 12),
    ("soc_sec_id", 1, True, 8),
    ("street_number", 1, True, 6),
    ("address_1", 2, False, 4),
    ("suburb", 2, False, 4),
    ("postcode", 1, True, 8),
)


def link_by_clkhash(corpus: Corpus, judge: Judge) -> list[Result]:
    """One CLK a record; anonlink's greedy groups, and greedy one-to-one for each two datasets."""
    import anonlink

    start = perf_counter()
    least_dice = _LEAST_DICE[_fields(corpus)[0][0]]
    candidates = anonlink.candidate_generation.find_candidate_pairs(
        list(_clks(corpus)), anonlink.similarities.dice_coefficient, least_dice
    )
    similarity = np.asarray(candidates[0], dtype=np.float64)
    pairs = _numbered(corpus, candidates, similarity)
    linking_s = perf_counter() - start
    thresholds = np.arange(least_dice, 1.0, _DICE_STEP)
    grouped = [(_groups(corpus, judge, candidates, similarity, t), t) for t in thresholds]
    paired = [(judge.keys(*greedy_one_to_one(corpus, pairs, t)), t) for t in thresholds]
    results = []
    for method, found in (("clkhash groups", grouped), ("clkhash one-to-one", paired)):
        keys, threshold = max(found, key=lambda each: judge.f1(each[0]))
        at_edge = threshold in (thresholds[0], thresholds[-1])  # then a better one may lie beyond
        notes = {"threshold_dice": round(float(threshold), 2), "at_edge": at_edge}
        results.append(Result(method, keys, linking_s, notes))
    return results


def _clks(corpus: Corpus) -> Iterator[Sequence[Any]]:
    from clkhash.clk import generate_clks
    from clkhash.schema import from_json_dict

    known = {**corpus.columns, **_readings(corpus)}
    fields = _fields(corpus)
    schema = from_json_dict(clk_schema(fields))
    for start, stop in zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True):
        columns = [[value or "" for value in known[name][start:stop]] for name, *_ in fields]
        rows = list(zip(*columns, strict=True))
        yield generate_clks(rows, schema, _SECRET, validate=False, max_workers=1)


def _fields(corpus: Corpus) -> Sequence[FieldHashing]:
    wanted = CHILD_FIELDS if "name" in corpus.columns else FEBRL_FIELDS
    return [field for field in wanted if field[0] in (*corpus.columns, _READING)]


def _readings(corpus: Corpus) -> Mapping[str, Column]:
    if "name" not in corpus.columns:
        return {}
    names = corpus.columns["name"]
    return {_READING: tuple("".join(name_syllables(name)) if name else None for name in names)}


def clk_schema(fields: Sequence[FieldHashing]) -> dict[str, Any]:
    """A linkage schema of :data:`CLK_BITS` bits that hashes these fields."""
    return {
        "version": 3,
        "clkConfig": {
            "l": CLK_BITS,
            "kdf": {"type": "HKDF", "hash": "SHA256", "keySize": 64},
        },
        "features": [
            {
                "identifier": name,
                "format": {"type": "string", "encoding": "utf-8"},
                "hashing": {
                    "comparison": {"type": "ngram", "n": n, "positional": positional},
                    "strategy": {"bitsPerToken": bits},
                    "hash": {"type": "blakeHash"},
                },
            }
            for name, n, positional, bits in fields
        ],
    }


def _numbered(corpus: Corpus, candidates: Any, similarity: Any) -> ScoredPairs:
    (dataset_a, dataset_b), (row_a, row_b) = candidates[1], candidates[2]
    a = corpus.offsets[np.asarray(dataset_a)] + np.asarray(row_a, dtype=np.int64)
    b = corpus.offsets[np.asarray(dataset_b)] + np.asarray(row_b, dtype=np.int64)
    return ScoredPairs(np.minimum(a, b), np.maximum(a, b), similarity)


def _groups(
    corpus: Corpus, judge: Judge, candidates: Any, similarity: Any, threshold: float
) -> I64:
    import anonlink

    _, dataset, row = candidates
    n = int((similarity >= threshold).sum())  # candidates come best first
    kept = (
        candidates[0][:n],
        tuple(each[:n] for each in dataset),
        tuple(each[:n] for each in row),
    )
    left: list[int] = []
    right: list[int] = []
    for group in anonlink.solving.greedy_solve(kept):
        rows = [int(corpus.offsets[index]) + number for index, number in group]
        for place, first in enumerate(rows):
            for second in rows[place + 1 :]:
                left.append(first)
                right.append(second)
    return judge.keys(np.array(left, dtype=np.int64), np.array(right, dtype=np.int64))
