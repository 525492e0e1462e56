"""What the hard variant of FEBRL 4 asks of a profile, on invented persons, from encodings alone."""

import csv
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality_corpus import Corpus
from benchmarks.quality_febrl import hard_febrl_corpus
from benchmarks.quality_figures import OVERALL, Judge
from benchmarks.quality_methods import link_by_tongqiao
from linkage.profile import Profile, parse_profile
from linkage.types import I64

N_PERSONS = 1200
HEADINGS = ("rec_id", "given_name", "surname", "date_of_birth")


def invented_names(draw: random.Random, n: int) -> list[str]:
    """Names of which some are frequent and many are not."""
    parts = ["ba", "den", "cor", "fi", "gus", "hal", "jo", "ka", "lim", "mar", "nor", "pe", "ros"]
    known = ["".join(draw.sample(parts, draw.choice((2, 3)))) for _ in range(300)]
    return draw.choices(known, weights=[1 / (rank + 3) for rank in range(300)], k=n)


def persons(draw: random.Random) -> Iterator[tuple[list[str], list[str]]]:
    """A person's row in the one file and in the other: exchanged, misspelt, or as it was."""
    given, surnames = invented_names(draw, N_PERSONS), invented_names(draw, N_PERSONS)
    for i, (one, other) in enumerate(zip(given, surnames, strict=True)):
        born = f"{draw.randint(1920, 1999)}{draw.randint(1, 12):02d}{draw.randint(1, 28):02d}"
        first = [f"rec-{i}-org", one, other, born]
        kind = draw.random()
        if kind < 0.15:
            one, other = other, one
        elif kind < 0.4:
            at = draw.randrange(len(other))
            other = other[:at] + draw.choice("aeiou") + other[at:]
        yield first, [f"rec-{i}-dup-0", one, other, born]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("febrl")
    rows = list(persons(random.Random(5)))
    for side, name in enumerate(("dataset4a.csv", "dataset4b.csv")):
        with Path(folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([HEADINGS, *(pair[side] for pair in rows)])
    return hard_febrl_corpus(folder, 1)


def exchanged(corpus: Corpus, judge: Judge) -> I64:
    """Keys of the true pairs whose names stand in each other's field."""
    given, surname = corpus.columns["given_name"], corpus.columns["surname"]
    keys = judge.true_keys
    return np.array(
        [
            key
            for key, a, b in zip(
                keys.tolist(), *(x.tolist() for x in judge.sides(keys)), strict=True
            )
            if (given[a], surname[a]) == (surname[b], given[b]) and given[a] != given[b]
        ]
    )


def without_exchange(profile: Profile) -> Profile:
    """The profile whose tokens all keep the names of their fields."""
    return parse_profile(profile.source.replace(', as = "names"', ""))


def test_names_in_each_others_field_are_found_with_precision(corpus: Corpus) -> None:
    judge = Judge(corpus)
    swapped = exchanged(corpus, judge)
    assert len(swapped) > 30
    found = link_by_tongqiao(corpus, judge)[0].keys
    figures = judge.figures(found)[OVERALL]
    assert np.isin(swapped, found).mean() > 0.9
    assert figures.precision >= 0.97
    assert figures.f1 > 0.97
    plain = replace(corpus, profile=without_exchange(corpus.profile))
    found = link_by_tongqiao(plain, judge)[0].keys
    assert np.isin(swapped, found).mean() < 0.5
