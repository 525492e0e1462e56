"""Plaintext linkage with Splink 5: trained by EM, best threshold in hindsight.

The model sees the same cleaned records as Tongqiao, with the readings of names as further columns,
and pairs inside a register too (``link_and_dedupe``), since clusters need them.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import numpy as np
import pyarrow as pa

from benchmarks.quality_corpus import Column, Corpus
from benchmarks.quality_figures import Judge
from benchmarks.quality_methods import Result
from benchmarks.quality_solving import (
    ScoredPairs,
    Solver,
    all_pairs,
    best_links,
    connected_components,
    greedy_one_to_one,
    guarded_components,
)
from linkage.encoding.pinyin import fold_syllable, given_syllables, name_syllables

_SEED = 1
_SAMPLED_PAIRS = 2e6
_LEAST_WEIGHT = -10.0


@dataclass(frozen=True, slots=True)
class Model:
    """A Splink configuration.

    Attributes:
        columns: input columns, each ``(n,)``.
        comparisons: for each comparison its levels from strongest to weakest, without the null
            level and the rest: SQL, and the column whose frequencies adjust it.
        null_if: the column whose absence makes the comparison say nothing.
        blocking, training: columns of the blocking rules of the prediction and of the EM sessions.
        sure: rules that give the prior, with the recall that they are taken to have.
    """

    columns: Mapping[str, Column]
    comparisons: Mapping[str, Sequence[tuple[str, str | None]]]
    null_if: Mapping[str, str]
    blocking: Sequence[tuple[str, ...]]
    training: Sequence[tuple[str, ...]]
    sure: Sequence[tuple[str, ...]]
    sure_recall: float


def children_model(corpus: Corpus) -> Model:
    """Comparisons and blocking for the children's registers."""
    given = corpus.columns
    columns = {
        **given,
        "name_reading": _readings(given["name"]),
        "given_reading": _readings(given["name"], of_given=True),
        "guardian_reading": _readings(given["guardian_name"]),
        "birth_year": _slices(given["birth_date"], 0, 4),
        "birth_day": _slices(given["birth_date"], 5, 10),
        "birth_month": _slices(given["birth_date"], 0, 7),
    }
    return Model(
        columns=columns,
        comparisons={
            "id_number": [
                ("id_number_l = id_number_r", None),
                ("damerau_levenshtein(id_number_l, id_number_r) <= 1", None),
                ("substr(id_number_l, 1, 14) = substr(id_number_r, 1, 14)", None),
            ],
            "name": [
                ("name_l = name_r", "name"),
                ("name_reading_l = name_reading_r", "name_reading"),
                (
                    (
                        "levenshtein(name_l, name_r) = 1 and greatest(length(name_l), "
                        "length(name_r)) >= 3"
                    ),
                    None,
                ),
                ("given_reading_l = given_reading_r", None),
                ("jaro_winkler_similarity(name_reading_l, name_reading_r) >= 0.88", None),
                ("jaro_winkler_similarity(name_l, name_r) >= 0.6", None),
                ("substr(name_l, 1, 1) = substr(name_r, 1, 1)", None),
            ],
            "birth_date": [
                ("birth_date_l = birth_date_r", None),
                ("damerau_levenshtein(birth_date_l, birth_date_r) <= 1", None),
                ("birth_day_l = birth_day_r", None),
                ("birth_month_l = birth_month_r", None),
                ("abs(date_diff('day', birth_date_l::date, birth_date_r::date)) <= 60", None),
                ("birth_year_l = birth_year_r", None),
            ],
            "sex": [("sex_l = sex_r", None)],
            "guardian_name": [
                ("guardian_name_l = guardian_name_r", "guardian_name"),
                ("guardian_reading_l = guardian_reading_r", "guardian_reading"),
                ("levenshtein(guardian_name_l, guardian_name_r) = 1", None),
                ("substr(guardian_name_l, 1, 1) = substr(guardian_name_r, 1, 1)", None),
            ],
            "guardian_phone": [
                ("guardian_phone_l = guardian_phone_r", None),
                ("damerau_levenshtein(guardian_phone_l, guardian_phone_r) <= 1", None),
            ],
            "hukou_division": _division_levels("hukou_division"),
            "residence_division": _division_levels("residence_division"),
        },
        null_if={name: name for name in corpus.columns},
        blocking=[
            ("id_number",),
            ("birth_date",),
            ("name_reading",),
            ("guardian_phone",),
            ("guardian_reading", "given_reading"),
            ("guardian_reading", "birth_year"),
            ("given_reading", "birth_year"),
            ("birth_month", "hukou_division"),
        ],
        training=[
            ("id_number",),
            ("name", "birth_date"),
            ("guardian_phone", "birth_date"),
            ("guardian_phone", "name_reading"),
        ],
        sure=[("id_number", "name"), ("id_number", "birth_date"), ("name", "birth_date")],
        sure_recall=0.9,
    )


def febrl_model(corpus: Corpus) -> Model:
    """Comparisons and blocking for FEBRL 4, by whatever of its fields the corpus has.

    One pair in twenty has given name and surname in each other's field, so each of the two has
    levels for that.
    """
    given = corpus.columns
    columns = {
        **given,
        "birth_year": _slices(given["birth_date"], 0, 4),
        "birth_month": _slices(given["birth_date"], 5, 7),
        "birth_day": _slices(given["birth_date"], 8, 10),
    }

    def text(field: str) -> list[tuple[str, str | None]]:
        return [
            (f"{field}_l = {field}_r", field),
            *(
                (f"jaro_winkler_similarity({field}_l, {field}_r) >= {least}", None)
                for least in (0.92, 0.8)
            ),
        ]

    def name(field: str) -> list[tuple[str, str | None]]:
        exact, *similar = text(field)
        crossed = (("given_name", "surname"), ("surname", "given_name"))
        exchanged = " and ".join(f"{one}_l = {other}_r" for one, other in crossed)
        nearly = " and ".join(
            f"jaro_winkler_similarity({one}_l, {other}_r) >= 0.8" for one, other in crossed
        )
        return [exact, (exchanged, None), *similar, (nearly, None)]

    def digits(field: str) -> list[tuple[str, str | None]]:
        return [
            (f"{field}_l = {field}_r", None),
            (f"damerau_levenshtein({field}_l, {field}_r) <= 1", None),
            (f"damerau_levenshtein({field}_l, {field}_r) <= 2", None),
        ]

    kinds = {spec.name: spec.kind for spec in corpus.profile.fields}
    levels = {"latin-name": name, "text": text, "identifier": digits, "date": digits}
    blocking = [
        ("soc_sec_id",),
        ("birth_date",),
        ("given_name", "surname"),
        ("given_name", "birth_year"),
        ("surname", "birth_year"),
        ("surname", "postcode"),
        ("address_1",),
        ("birth_year", "birth_month"),
        ("birth_year", "birth_day"),
        ("birth_month", "birth_day"),
        *((("given_name",), ("surname",)) if "soc_sec_id" not in given else ()),
    ]
    training = [("birth_date",), ("given_name", "surname"), ("soc_sec_id",)]
    return Model(
        columns=columns,
        comparisons={field: levels[kinds[field]](field) for field in given},
        null_if={field: field for field in given},
        blocking=[rule for rule in blocking if set(rule) <= columns.keys()],
        training=[rule for rule in training if set(rule) <= columns.keys()],
        sure=corpus.rule,
        sure_recall=0.6,
    )


def _division_levels(field: str) -> list[tuple[str, str | None]]:
    return [
        (f"{field}_l = {field}_r", field),
        (f"substr({field}_l, 1, 4) = substr({field}_r, 1, 4)", None),
    ]


def _readings(names: Column, *, of_given: bool = False) -> Column:
    syllables = given_syllables if of_given else name_syllables
    return tuple(
        " ".join(map(fold_syllable, syllables(name))) if name is not None else None
        for name in names
    )


def _slices(dates: Column, start: int, stop: int) -> Column:
    return tuple(date[start:stop] if date is not None else None for date in dates)


_SOLVERS: Mapping[str, Solver] = {
    "splink pairs": all_pairs,
    "splink one-to-one": greedy_one_to_one,
    "splink clusters": connected_components,
    "splink guarded clusters": guarded_components,
}


def link_by_splink(corpus: Corpus, judge: Judge) -> list[Result]:
    """Pairs, one-to-one and clusters, each at its own best threshold in hindsight."""
    start = perf_counter()
    is_children = "name" in corpus.columns
    pairs = predict(corpus, children_model(corpus) if is_children else febrl_model(corpus))
    predicting_s = perf_counter() - start
    results = []
    for method, solve in _SOLVERS.items():
        if solve is guarded_components and not is_children:
            continue  # the guard needs ID numbers that are checked
        keys, threshold = best_links(corpus, judge, pairs, solve)
        start = perf_counter()
        solve(corpus, pairs, threshold)
        seconds = predicting_s + perf_counter() - start
        results.append(Result(method, keys, seconds, {"threshold_log2": threshold}))
    return results


def predict(corpus: Corpus, model: Model) -> ScoredPairs:
    """Train by EM on all datasets together and score all blocked pairs, inside datasets too."""
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    api = DuckDBAPI()
    tables = [
        api.register(_table(corpus, model, index), dataset_display_name=f"d{index}")
        for index in range(len(corpus.dataset_names))
    ]
    linker = Linker(
        tables,
        SettingsCreator(
            link_type="link_and_dedupe",
            comparisons=list(_comparisons(model)),
            blocking_rules_to_generate_predictions=[block_on(*rule) for rule in model.blocking],
            retain_matching_columns=False,
        ),
        log_level=logging.ERROR,
    )
    linker.training.estimate_probability_two_random_records_match(
        [block_on(*rule) for rule in model.sure], recall=model.sure_recall
    )
    linker.training.estimate_u_using_random_sampling(
        max_pairs=_SAMPLED_PAIRS, seed=_SEED, min_count_per_level=None
    )
    for rule in model.training:
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(*rule))
    predictions = linker.inference.predict(threshold_match_weight=_LEAST_WEIGHT)
    table = cast("Any", predictions).as_pyarrow_table()
    a, b = (np.asarray(table[f"unique_id_{side}"], dtype=np.int64) for side in "lr")
    weight = np.asarray(table["match_weight"], dtype=np.float64)
    return ScoredPairs(np.minimum(a, b), np.maximum(a, b), weight)


def _table(corpus: Corpus, model: Model, index: int) -> pa.Table:
    start, stop = corpus.offsets[index], corpus.offsets[index + 1]
    return pa.table(
        {
            "unique_id": pa.array(np.arange(start, stop)),
            **{
                name: pa.array(column[start:stop], type=pa.string())
                for name, column in model.columns.items()
            },
        }
    )


def _comparisons(model: Model) -> Iterator[Any]:
    from splink import comparison_level_library as levels
    from splink import comparison_library as comparisons

    for name, conditions in model.comparisons.items():
        made: list[Any] = [levels.NullLevel(model.null_if[name])]
        for sql, frequent in conditions:
            level: Any = levels.CustomLevel(sql)
            if frequent is not None:
                level = level.configure(
                    tf_adjustment_column=frequent, disable_tf_exact_match_detection=False
                )
            made.append(level)
        made.append(levels.ElseLevel())
        yield comparisons.CustomComparison(made, output_column_name=name)
