"""What the quality benchmark measures on: cleaned records, and what is known to be true of them."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from linkage.profile import Profile, load_profile
from linkage.quality.synthetic import Child, Registers, generate, write_registers
from linkage.records.cleaning import ColumnCleaner, cleaning_version
from linkage.records.mapping import ColumnMapping
from linkage.records.reading import read_records, today_in_china
from linkage.types import I64, Bools, RecordBatch

Column = tuple[str | None, ...]

JUDGED_FIELDS = ("id_number", "name", "birth_date")
"""Fields whose faults define the subsets of pairs."""


@dataclass(frozen=True)
class Corpus:
    """Datasets about the same entities; records are numbered through, dataset after dataset.

    Attributes:
        profile: what the records were cleaned for, and how Tongqiao encodes them.
        dataset_names: in the order of their records.
        batches: the cleaned records of each dataset.
        entity: ``(n,) int64``.
        bad: for each judged field ``(n,) bool``: the cleaned value is missing or not the true one.
        rule: records are one entity, by the plain rule, if all fields of one of these are equal.
        error_rates: for each dataset, the share of records that are wrong in name, birth date or
            ID number, and the share that lack an ID number; where that is known.
    """

    profile: Profile
    dataset_names: tuple[str, ...]
    batches: tuple[tuple[RecordBatch, ...], ...]
    entity: I64
    bad: Mapping[str, Bools]
    rule: tuple[tuple[str, ...], ...] = (("id_number",), ("name", "birth_date"))
    error_rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def n_records(self) -> int:
        """Records of all datasets."""
        return len(self.entity)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Records of each dataset."""
        return tuple(sum(map(len, batches)) for batches in self.batches)

    @cached_property
    def offsets(self) -> I64:
        """Number of the first record of each dataset, and behind them the number of all."""
        return np.concatenate(([0], np.cumsum(self.sizes))).astype(np.int64)

    @cached_property
    def dataset_of(self) -> I64:
        """Index of each record's dataset."""
        return np.repeat(np.arange(len(self.sizes), dtype=np.int64), self.sizes)

    @cached_property
    def record_ids(self) -> tuple[tuple[str, ...], ...]:
        """Ids of the records of each dataset."""
        return tuple(
            tuple(record for batch in batches for record in batch.record_ids)
            for batches in self.batches
        )

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """Cleaned values of all records, for each field."""
        return {
            spec.name: tuple(
                value
                for batches in self.batches
                for batch in batches
                for value in batch.columns[spec.name]
            )
            for spec in self.profile.fields
        }


def children_corpus(n_children: int, seed: int, error_scale: float) -> Corpus:
    """Five synthetic registers, written as the offices write them, then read and cleaned."""
    profile = load_profile("cn-child-v1")
    registers = generate(n_children, seed, error_scale=error_scale)
    batches = []
    with tempfile.TemporaryDirectory() as folder:
        for file in write_registers(registers, Path(folder)):
            mapping = ColumnMapping(columns=dict(registers[file.office_id].mapping))
            batches.append(tuple(read_records(file.path, mapping, profile.fields)))
    names = tuple(register.office.id for register in registers.registers)
    entity_of = {(office, record): entity for office, record, entity in registers.truth()}
    entity = [
        entity_of[name, record]
        for name, parts in zip(names, batches, strict=True)
        for batch in parts
        for record in batch.record_ids
    ]
    corpus = Corpus(profile, names, tuple(batches), np.array(entity, dtype=np.int64), {})
    return replace(
        corpus,
        bad=_faults(corpus, registers),
        error_rates={
            register.office.id: (register.wrong_share(), register.missing_id_share())
            for register in registers.registers
        },
    )


def _faults(corpus: Corpus, registers: Registers) -> dict[str, Bools]:
    true_values = _true_values(corpus.profile, registers.children)
    return {
        name: np.array(
            [
                value is None or value != true_values[name][entity]
                for value, entity in zip(corpus.columns[name], corpus.entity.tolist(), strict=True)
            ],
            dtype=bool,
        )
        for name in JUDGED_FIELDS
    }


def _true_values(profile: Profile, children: tuple[Child, ...]) -> dict[str, list[str | None]]:
    rules = cleaning_version(profile.cleaning, profile.fields)
    names = ColumnCleaner("chinese-name", rules, today_in_china(), {})
    return {
        "id_number": [child.id_number for child in children],
        # A style of writing, such as the dots of a name, is no fault once it is cleaned.
        "name": [value for value, _ in names.clean([child.name for child in children])],
        "birth_date": [child.birth.isoformat() for child in children],
    }
