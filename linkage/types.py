"""Data that flows between the stages: frozen, with shapes, dtypes and units stated.

The flow on an office's machine::

    file --records--> RecordBatch ... --encoding--> EncodedDataset --tqe--> X.tqe

and on the server, or offline::

    X.tqe --tqe--> EncodedDataset ... --pipeline--> LinkSet
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

FieldKind = Literal[
    "chinese-name",
    "latin-name",
    "date",
    "resident-id",
    "identifier",
    "phone",
    "division",
    "sex",
    "text",
]
"""How a field is cleaned.  Each kind is one function of ``linkage.records.cleaning``."""

SolveMode = Literal["groups", "one-to-one", "one-to-one-optimal", "pairs"]


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A canonical field that a profile asks for."""

    name: str
    kind: FieldKind


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one cell.

    Attributes:
        row: row of the file as a spreadsheet numbers it: from 1, titles, headings and blank rows
            counted.
        field: canonical field name.
        code: stable, kebab-case, from ``linkage.records.problems``.
        masked: the value with all but its ends replaced, safe to show on the office's own screen.
        advice: what a clerk can do, one sentence.
        other_row: the row that has the same, where there is one.
    """

    row: int
    field: str
    code: str
    masked: str
    advice: str
    other_row: int | None = None


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive cleaned records; plaintext, so it exists on the office's machine only.

    Attributes:
        first_row: row number of the first record, as :class:`Problem` counts.
        record_ids: the office's own ids, one a record, unique in the file.
        columns: for each canonical field of the profile, one cleaned value a record (a tuple, or
            a column of ``linkage.columns``); ``None``
            where it is missing or unusable.
        problems: found while cleaning these records.
    """

    first_row: int
    record_ids: tuple[str, ...]
    columns: Mapping[str, Sequence[str | None]] = field(repr=False)
    problems: tuple[Problem, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.record_ids)


@dataclass(frozen=True, slots=True)
class GroupLayout:
    """A filter of a view as the matcher sees it: a name and a length, no meaning.

    Attributes:
        name: unique in the view.
        filter_bits: its length.
        feature: what its agreement speaks of; several filters may speak of one feature. Empty for
            a feature of the filter's own name.
    """

    name: str
    filter_bits: int
    feature: str = ""

    @property
    def speaks_of(self) -> str:
        """Name of the feature."""
        return self.feature or self.name


@dataclass(frozen=True, slots=True)
class ViewLayout:
    """What a matcher must know of a view.

    Attributes:
        name: unique in the profile.
        tagged: whether records carry a salt tag; if not, all pairs are comparable.
        groups: the filters that the view holds.
        implies: features that are equal for certain when two tags are equal.
        refutes: features that differ for certain when two tags are present and differ.
    """

    name: str
    tagged: bool
    groups: tuple[GroupLayout, ...]
    implies: tuple[str, ...] = ()
    refutes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What features mean, so that siblings and twins are not taken for one child.

    Attributes:
        household: features that people of one home share; all others belong to a person.
        twins: features of a person that twins share.
        rarity: views in which equal tags say the more, the fewer records have them.
    """

    household: tuple[str, ...]
    twins: tuple[str, ...]
    rarity: tuple[str, ...] = ()


KeyedHashName = Literal["blake2b", "hmac-sm3"]
"""The keyed hash of an encoding."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an encoded file says of itself: everything that must agree before matching.

    Attributes:
        profile_name, profile_sha256: the profile and the hash of its canonical form, hex.
        cleaning_version: version of the cleaning rules, e.g. ``cn-2``.
        encoder_version: version of the program that wrote the file.
        context: ``project/round``, or ``offline``; keys were derived for it.
        key_confirmation: 32 hex characters, equal for equal secrets and contexts.
        created_at: RFC 3339 UTC, whole seconds.
        n_records: number of records.
        diffusion: t of the diffusion layer, 0 for none.
        views: layout of each view, in the order of the columns.
        statistics: aggregate figures only: ``{"fill": {"view/group": mean}, "missing":
            {"view": n}, "problems": {code: n}}``.
        evidence: what the features mean.
        accepted_risk: reason given for a file that the preflight would have refused.
        keyed_hash: what hashed everything that a key hashes, see ``linkage/encoding/ENCODING.md``.
        content_sha256: hash of all columns, see ``linkage/TQE.md``.
    """

    profile_name: str
    profile_sha256: str
    cleaning_version: str
    encoder_version: str
    context: str
    key_confirmation: str
    created_at: str
    n_records: int
    diffusion: int
    views: tuple[ViewLayout, ...]
    statistics: Mapping[str, Any]
    evidence: Evidence = field(default_factory=lambda: Evidence((), ()))
    accepted_risk: str | None = None
    keyed_hash: KeyedHashName = "blake2b"
    content_sha256: str = ""


@dataclass(frozen=True, slots=True)
class EncodedView:
    """One view of every record of a dataset.

    Attributes:
        layout: names and lengths.
        tags: ``(n,) uint64``, 0 where the view is absent; ``None`` for an untagged view.
        present: ``(n,) bool``, whether the record has this view at all.
        filters: for each group ``(n, filter_bits // 64) uint64``, C order; bit ``i`` of the filter
            is bit ``i % 64`` of word ``i // 64``; all zero where absent.
        filter_present: for each group ``(n,) bool``.
    """

    layout: ViewLayout
    tags: U64 | None
    present: Bools
    filters: Mapping[str, U64]
    filter_present: Mapping[str, Bools]


@dataclass(frozen=True, slots=True)
class EncodedDataset:
    """A whole ``.tqe`` file in memory (or memory-mapped).

    Attributes:
        name: the file's stem, or the office's id.
        pseudonyms: ``(n, 16) uint8``, unique; records are in ascending order of it.
        manifest: see :class:`Manifest`.
        views: in the order of ``manifest.views``.
    """

    name: str
    pseudonyms: U8
    manifest: Manifest
    views: tuple[EncodedView, ...]

    @property
    def n_records(self) -> int:
        """Number of records."""
        return int(self.pseudonyms.shape[0])

    def pseudonym(self, row: int) -> str:
        """Pseudonym of a row as 32 lower-case hex characters."""
        return bytes(self.pseudonyms[row]).hex()


RecordPair = tuple[tuple[str, int], tuple[str, int]]
"""Two records, each by the name of its dataset and its row there, from 0."""


@dataclass(frozen=True, slots=True)
class LinkSet:
    """Links between datasets, sorted by (dataset_a, row_a, dataset_b, row_b), a before b.

    Attributes:
        dataset_names: names in the order that the indices below refer to.
        dataset_a, row_a, dataset_b, row_b: ``(m,) int64``.
        score: ``(m,) float64`` in [0, 1], the estimated probability that the link is right.
        group: ``(m,) int64``, number of the link group from 0.
        threshold: the one that was applied to ``score``.
    """

    dataset_names: tuple[str, ...]
    dataset_a: I64
    row_a: I64
    dataset_b: I64
    row_b: I64
    score: F64
    group: I64
    threshold: float
    duplicates: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    """For each dataset, groups of rows that seem to be one person."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Aggregates: candidate pairs, score histogram, estimated precision and recall a pair."""

    def __len__(self) -> int:
        return int(self.score.shape[0])
