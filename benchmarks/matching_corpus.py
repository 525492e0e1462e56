"""Encodings to compare: clkhash filters of invented children's registers, about half full.

Filters of random bits would flatter every method that stops early: those of records share what all
records share (a century, common surnames, the first digit of phones).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality_clkhash import CLK_BITS, FieldHashing, clk_schema
from benchmarks.quality_corpus import Column, children_corpus
from linkage.encoding.pinyin import name_syllables
from linkage.types import U64

_SEED = 7
_SECRET = "benchmark"  # noqa: S105 - a benchmark has nothing to hide
_READING = "name reading"
_LEFT = ("chengdu-police", "jinjiang-civil")

# Some 47 % of the bits are set.
_FIELDS: Sequence[FieldHashing] = (
    ("name", 2, False, 29),
    (_READING, 2, False, 19),
    ("birth_date", 1, True, 13),
    ("guardian_name", 2, False, 23),
    ("guardian_phone", 2, True, 11),
)


@dataclass(frozen=True)
class Encodings:
    """Filters of two groups of registers about the same children, ``(n, 16) uint64`` each."""

    left: U64
    right: U64

    @property
    def n_pairs(self) -> int:
        """Pairs to compare."""
        return len(self.left) * len(self.right)

    def described(self) -> dict[str, float]:
        """What decides how fast filters are compared."""
        rng = np.random.default_rng(0)
        a = self.left[rng.integers(0, len(self.left), 200_000)]
        b = self.right[rng.integers(0, len(self.right), 200_000)]
        set_a, set_b = (np.bitwise_count(side).sum(axis=1, dtype=np.int64) for side in (a, b))
        dice = 2.0 * np.bitwise_count(a & b).sum(axis=1) / np.maximum(set_a + set_b, 1)
        return {
            "n_left": len(self.left),
            "n_right": len(self.right),
            "filter_bits": CLK_BITS,
            "fill": float(np.concatenate([set_a, set_b]).mean() / CLK_BITS),
            "dice_of_random_pairs_mean": float(dice.mean()),
            "dice_of_random_pairs_deviation": float(dice.std()),
        }


def encodings(n_children: int, kept_in: Path | None) -> Encodings:
    """Encodings of five registers; made once if a file to keep them in is given."""
    if kept_in is not None and kept_in.exists():
        with np.load(kept_in) as kept:
            return Encodings(kept["left"], kept["right"])
    made = _encode(n_children)
    if kept_in is not None:
        np.savez(kept_in, left=made.left, right=made.right)
    return made


def _encode(n_children: int) -> Encodings:
    corpus = children_corpus(n_children, _SEED, 1.0)
    readings = tuple(
        "".join(name_syllables(name)) if name else None for name in corpus.columns["name"]
    )
    columns: dict[str, Column] = {**corpus.columns, _READING: readings}
    left: list[U64] = []
    right: list[U64] = []
    for name, start, stop in zip(
        corpus.dataset_names, corpus.offsets[:-1], corpus.offsets[1:], strict=True
    ):
        filters = _clks([columns[field][start:stop] for field, *_ in _FIELDS])
        (left if name in _LEFT else right).append(filters)
    return Encodings(np.concatenate(left), np.concatenate(right))


def _clks(columns: Sequence[Column]) -> U64:
    from clkhash.clk import generate_clks
    from clkhash.schema import from_json_dict

    rows = list(zip(*[[value or "" for value in column] for column in columns], strict=True))
    schema = from_json_dict(clk_schema(_FIELDS))
    clks = generate_clks(rows, schema, _SECRET, validate=False, max_workers=1)
    packed = np.frombuffer(b"".join(clk.tobytes() for clk in clks), dtype="<u8")
    return packed.astype(np.uint64).reshape(-1, CLK_BITS // 64)
