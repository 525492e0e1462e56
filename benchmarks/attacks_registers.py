"""What attackers of the leakage benchmark see of a register, and what they hold beside it.

A server sees salt tags and filters.  An attacker who holds plaintext encodes it under a key of his
own: the profile is public, so its tags group records as the server's do, and its filters resemble
each other as the server's do.  Both sides are therefore a :class:`Seen`, and only the key differs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.quality_clkhash import CHILD_FIELDS, CLK_BITS, clk_schema
from benchmarks.quality_corpus import Column, children_corpus
from linkage.encoding import encode_records
from linkage.encoding.clk import ClkEncoder, parse_linkage_schema
from linkage.encoding.pinyin import name_syllables
from linkage.profile import Profile
from linkage.types import I64, U8, Bools, RecordBatch

_ROW_ID = "{:07d}"
_READING = "name reading"


@dataclass(frozen=True, slots=True)
class Plaintext:
    """Cleaned records of one register.

    Attributes:
        columns: for each field of ``cn-child-v1`` one value a record.
        entity: ``(n,) int64``, whose record it is; for judging an attack alone.
    """

    columns: Mapping[str, Column]
    entity: I64

    def __len__(self) -> int:
        return len(self.entity)

    def rows(self, rows: I64) -> "Plaintext":
        """Some of the records, in the order of ``rows``."""
        return Plaintext(
            {
                name: tuple(column[row] for row in rows.tolist())
                for name, column in self.columns.items()
            },
            self.entity[rows],
        )

    def born_on(self, date: str) -> "Plaintext":
        """The same records with one birth date."""
        return Plaintext({**self.columns, "birth_date": (date,) * len(self)}, self.entity)


@dataclass(frozen=True, slots=True)
class Filters:
    """One filter of each record.

    Attributes:
        bits: ``(n, filter_bits) uint8``, 0 or 1.
        present: ``(n,) bool``.
    """

    bits: U8
    present: Bools


@dataclass(frozen=True, slots=True)
class Seen:
    """Encodings of a register, without pseudonyms, in an order that says nothing.

    Attributes:
        entity: ``(n,) int64``, for judging.
        tags: for each view ``(n,) int64``: equal numbers for equal salts, -1 where it is absent.
        filters: for each view and group; views without an entry in ``tags`` have no salt.
    """

    entity: I64
    tags: Mapping[str, I64]
    filters: Mapping[tuple[str, str], Filters]

    def __len__(self) -> int:
        return len(self.entity)

    def rows(self, rows: I64) -> "Seen":
        """Some of the records."""
        return Seen(
            self.entity[rows],
            {view: tags[rows] for view, tags in self.tags.items()},
            {
                key: Filters(each.bits[rows], each.present[rows])
                for key, each in self.filters.items()
            },
        )

    def without_filters(self) -> "Seen":
        """Tags alone."""
        return Seen(self.entity, self.tags, {})


def registers_of(n_children: int, seed: int) -> dict[str, Plaintext]:
    """The synthetic registers, each without a child's second record."""
    corpus = children_corpus(n_children, seed, 1.0)
    found = {}
    for number, name in enumerate(corpus.dataset_names):
        start, stop = int(corpus.offsets[number]), int(corpus.offsets[number + 1])
        register = Plaintext(
            {field: column[start:stop] for field, column in corpus.columns.items()},
            corpus.entity[start:stop],
        )
        found[name] = register.rows(np.sort(np.unique(register.entity, return_index=True)[1]))
    return found


def seen_by_views(plaintext: Plaintext, profile: Profile, key: bytes) -> Seen:
    """Salted views of records, in their order."""
    n = len(plaintext)
    batch = RecordBatch(
        first_row=2,
        record_ids=tuple(map(_ROW_ID.format, range(n))),
        columns=plaintext.columns,
    )
    encoded = encode_records(
        [batch],
        profile,
        key,
        name="register",
        context="offline",
        key_confirmation="0" * 32,
        encoder_version="benchmark",
    )
    order = np.argsort(np.array(encoded.record_ids))
    tags, filters = {}, {}
    for view in encoded.dataset.views:
        if view.tags is not None:
            _, numbers = np.unique(view.tags[order], return_inverse=True)
            tags[view.layout.name] = np.where(view.present[order], numbers, -1).astype(np.int64)
        for group in view.layout.groups:
            words = view.filters[group.name][order]
            bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
            filters[view.layout.name, group.name] = Filters(
                bits, view.filter_present[group.name][order]
            )
    return Seen(plaintext.entity, tags, filters)


def seen_by_clkhash(plaintext: Plaintext, key: bytes) -> Seen:
    """One CLK of each record, as the quality benchmark makes it."""
    known = {
        **plaintext.columns,
        _READING: tuple(
            "".join(name_syllables(name)) if name else None for name in plaintext.columns["name"]
        ),
    }
    columns = [[value or "" for value in known[name]] for name, *_ in CHILD_FIELDS]
    encoder = ClkEncoder(
        parse_linkage_schema(json.dumps(clk_schema(CHILD_FIELDS)).encode()), key, check_values=False
    )
    clks = encoder.encode(list(zip(*columns, strict=True)))
    bits = np.unpackbits(clks, axis=1, count=CLK_BITS)
    present = np.ones(len(plaintext), dtype=np.bool_)
    return Seen(plaintext.entity, {}, {("clk", "clk"): Filters(bits, present)})
