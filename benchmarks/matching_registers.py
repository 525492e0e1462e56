"""Large encoded datasets for the matching benchmark: invented children, encoded for real.

Drawing a million families one by one takes minutes, so records are drawn as whole columns here:
names by the published frequencies of surnames and the given-name characters of
``linkage/quality/data``, birth dates over sixteen years, counties of residence mostly in Sichuan,
siblings who share a household.  What a matcher's speed depends on is as in a province: how large
groups of equal salts are, how many values are missing, how many pairs agree by chance.  The errors
are simpler than those of ``linkage.quality.synthetic``, which quality is measured on.
"""

import csv
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.encoding.encode import StreamEncoder
from linkage.profile import load_profile
from linkage.shuffle import RowShuffle
from linkage.tqe_writer import TqeWriter
from linkage.types import F64, I64, Bools, RecordBatch

Strings = Any
"""``(n,)`` array of Python strings; NumPy's types say nothing useful of those."""

_DATA = Path(__file__).parents[1] / "linkage" / "quality" / "data"
_FIRST_DAY = np.datetime64("2010-09-01")
_N_DAYS = 16 * 365
_SIBLINGS = 0.25
_BATCH_ROWS = 8192
_RECORDS_OF_A_PART = 500_000

CHILDREN_PER_RECORD = 1.5

_ID_WEIGHTS: I64 = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHECK_CHARACTERS = np.array(list("10X98765432"))

MISSING = {"id_number": 0.15, "guardian_name": 0.08, "guardian_phone": 0.12}
"""Share of records without a value."""

WRONG = {
    "name": 0.03,
    "birth_date": 0.015,
    "id_number": 0.01,
    "guardian_name": 0.15,
    "guardian_phone": 0.2,
    "residence_division": 0.1,
}
"""Share of records with another value than the child's own."""


@dataclass(frozen=True, slots=True)
class Population:
    """Children, as columns of cleaned values ``(n,)``."""

    columns: dict[str, Strings]

    def __len__(self) -> int:
        return len(self.columns["name"])


def draw_population(n_children: int, seed: int) -> Population:
    """Invent children; about a quarter of them have a sibling among the others."""
    rng = np.random.default_rng(seed)
    home = np.arange(n_children)
    follows = rng.random(n_children) < _SIBLINGS
    follows[:1] = False
    home[follows] -= 1
    female = rng.random(n_children) < 0.47
    surname = _draw_surnames(rng, n_children)[home]
    days = _FIRST_DAY + rng.integers(0, _N_DAYS, n_children)
    county = _draw_counties(rng, n_children)[home]
    residence = np.where(rng.random(n_children) < 0.7, county, _draw_counties(rng, n_children))
    dates = np.datetime_as_string(days, unit="D").astype(object)
    return Population(
        {
            "name": surname + _draw_given_names(rng, n_children, "child", female),
            "sex": np.where(female, "F", "M").astype(object),
            "birth_date": dates,
            "id_number": _id_numbers(rng, county, days, female),
            "guardian_name": (
                _draw_surnames(rng, n_children)
                + _draw_given_names(rng, n_children, "parent", rng.random(n_children) < 0.6)
            )[home],
            "guardian_phone": _phones(rng, n_children)[home],
            "hukou_division": county,
            "residence_division": residence[home],
        }
    )


def records_of(population: Population, chosen: I64, seed: int) -> Iterator[RecordBatch]:
    """Records of some children as an office has them: with values missing and values wrong."""
    rng = np.random.default_rng(seed)
    columns = {field: values[chosen] for field, values in population.columns.items()}
    n = len(chosen)
    for field, share in WRONG.items():
        wrong = rng.random(n) < share
        columns[field][wrong] = _other_values(rng, field, columns[field][wrong])
    for field, share in MISSING.items():
        columns[field][rng.random(n) < share] = None
    for start in range(0, n, _BATCH_ROWS):
        part = slice(start, start + _BATCH_ROWS)
        yield RecordBatch(
            first_row=start + 1,
            record_ids=tuple(map(str, chosen[part].tolist())),
            columns={field: tuple(values[part].tolist()) for field, values in columns.items()},
        )


def _other_values(rng: np.random.Generator, field: str, values: Strings) -> Strings:
    n = len(values)
    if field == "name":
        other = _draw_given_names(rng, n, "child", rng.random(n) < 0.5)
        return np.array([a[:-1] + b[-1] for a, b in zip(values, other, strict=True)], object)
    if field == "birth_date":
        born = values.astype("datetime64[D]") + rng.integers(1, 28, n)
        return np.array(np.datetime_as_string(born, unit="D")).astype(object)
    if field == "guardian_name":
        return _draw_surnames(rng, n) + _draw_given_names(rng, n, "parent", rng.random(n) < 0.4)
    if field == "guardian_phone":
        return _phones(rng, n)
    if field == "id_number":
        # A sibling's or a guardian's number: valid, and not the child's.
        days = _FIRST_DAY + rng.integers(-9000, _N_DAYS, n)
        return _id_numbers(rng, _draw_counties(rng, n), days, rng.random(n) < 0.5)
    return _draw_counties(rng, n)


def _weighted(rng: np.random.Generator, items: Strings, weights: F64, n: int) -> Strings:
    edges = np.cumsum(weights / weights.sum())
    return items[np.searchsorted(edges, rng.random(n), side="right").clip(max=len(items) - 1)]


@cache
def _surnames() -> tuple[Strings, F64]:
    with (_DATA / "surnames.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    shares = [float(row["share"]) * float(row["sichuan"] or 1) for row in rows]
    return np.array([row["surname"] for row in rows], dtype=object), np.array(shares)


def _draw_surnames(rng: np.random.Generator, n: int) -> Strings:
    return _weighted(rng, *_surnames(), n)


@cache
def _given_names() -> dict[str, dict[str, dict[str, str]]]:
    names: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
        (_DATA / "names.toml").read_text(encoding="utf-8")
    )
    return names


def _draw_given_names(rng: np.random.Generator, n: int, age: str, female: Bools) -> Strings:
    found = np.empty(n, dtype=object)
    for sex, mask in (("f", female), ("m", ~female)):
        m = int(mask.sum())
        table = _given_names()[age][sex]
        first, second, single = (_by_rank(rng, table[k], m) for k in ("first", "second", "single"))
        found[mask] = np.where(rng.random(m) < 0.1, single, first + second)
    return found


def _by_rank(rng: np.random.Generator, characters: str, n: int) -> Strings:
    weights: F64 = 1.0 / np.arange(7.0, 7.0 + len(characters))
    return _weighted(rng, np.array(list(characters), dtype=object), weights, n)


@cache
def _counties() -> tuple[Strings, F64]:
    with (_DATA / "counties.csv").open(encoding="utf-8", newline="") as file:
        codes = [next(iter(row.values())) for row in csv.DictReader(file)]
    weights = np.array([4.0 if code.startswith("51") else 0.3 for code in codes])
    return np.array(codes, dtype=object), weights


def _draw_counties(rng: np.random.Generator, n: int) -> Strings:
    return _weighted(rng, *_counties(), n)


def _phones(rng: np.random.Generator, n: int) -> Strings:
    # 100 to 109 begin no real mobile number.
    return (10_000_000_000 + rng.integers(0, 10**9, n)).astype(str).astype(object)


def _id_numbers(
    rng: np.random.Generator, county: Strings, days: npt.NDArray[np.datetime64], female: Bools
) -> Strings:
    """GB 11643: division, birth date, a sequence number odd for boys, and a check character."""
    dates = np.char.replace(np.datetime_as_string(days, unit="D"), "-", "")
    sequence = rng.integers(0, 500, len(days)) * 2 + ~female
    body = county + dates.astype(object) + np.char.zfill(sequence.astype(str), 3).astype(object)
    digits = np.array(body.tolist(), dtype="U17").view("U1").reshape(len(days), 17).astype(np.int64)
    return body + _CHECK_CHARACTERS[digits @ _ID_WEIGHTS % 11].astype(object)


@dataclass(frozen=True, slots=True)
class BenchmarkDataset:
    """A written dataset and what is true of it.

    Attributes:
        path: of the ``.tqe`` file.
        child_of: ``(n,) int64``: the child of each record, in the order of the file.
    """

    path: Path
    child_of: I64


def write_datasets(
    folder: Path, n_datasets: int, n_records: int, seed: int = 1
) -> list[BenchmarkDataset]:
    """Write datasets of so many records each; two of them share two thirds of their children."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _write_dataset(folder / f"office-{d}.tqe", n_records, seed, d) for d in range(n_datasets)
    ]


def _write_dataset(path: Path, n_records: int, seed: int, index: int) -> BenchmarkDataset:
    encoder = StreamEncoder(load_profile("cn-child-v1"), bytes(32), engine="compiled")
    with RowShuffle(encoder.layout, path.parent) as shuffle:
        pseudonyms, children = [], []
        for block in encoder.blocks(_all_records(n_records, seed, index)):
            shuffle.add(block.rows)
            pseudonyms.append(encoder.layout.pseudonyms(block.rows).copy())
            children.append(np.array(block.record_ids, dtype=object).astype(np.int64))
        manifest = encoder.manifest(
            context="offline", key_confirmation="0" * 32, encoder_version="benchmark"
        )
        path.touch(mode=0o600)
        with closing(TqeWriter(path, manifest, encoder.valid_counts())) as writer:
            for rows in shuffle.in_order():
                writer.add(rows)
            writer.finish()
    high, low = np.concatenate(pseudonyms).view(">u8").T
    return BenchmarkDataset(path, np.concatenate(children)[np.lexsort((low, high))])


def _all_records(n_records: int, seed: int, index: int) -> Iterator[RecordBatch]:
    """Records drawn part by part, so that a population of any size fits memory."""
    for first in range(0, n_records, _RECORDS_OF_A_PART):
        n = min(_RECORDS_OF_A_PART, n_records - first)
        population = draw_population(int(n * CHILDREN_PER_RECORD), seed + first)
        own = np.random.default_rng((seed, first, index))
        chosen = own.choice(len(population), n, replace=False).astype(np.int64)
        offset = int(first * CHILDREN_PER_RECORD)
        for batch in records_of(population, chosen, seed + 1000 * (index + 1) + first):
            ids = tuple(str(int(each) + offset) for each in batch.record_ids)
            yield replace(batch, record_ids=ids)
