"""Cleaned records in, an encoded dataset out: profile -> tokens -> filters -> diffusion.

Everything is done in blocks of records, one view and group at a time.  ENCODING.md says what the
bytes are; the slow reference in the tests says it again in plain Python.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from linkage.encoding.pinyin import verify_readings
from linkage.encoding.subkeys import KeySchedule
from linkage.encoding.values import BlockValues, TokenTables, token_tables
from linkage.encoding.views import EncodedBlock, ViewEncoder
from linkage.errors import EncodingError
from linkage.profile import Profile
from linkage.types import (
    I64,
    U8,
    EncodedDataset,
    EncodedView,
    Manifest,
    RecordBatch,
)

PSEUDONYM_BYTES = 16
_BLOCK_RECORDS = 2048
_FILL_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """What leaves the office, and beside it what never does.

    Attributes:
        dataset: rows in ascending order of their pseudonyms.
        record_ids: the office's own id of each row.
    """

    dataset: EncodedDataset
    record_ids: tuple[str, ...] = field(repr=False)


def _random_pseudonym() -> bytes:
    return secrets.token_bytes(PSEUDONYM_BYTES)


def encode_records(
    batches: Iterable[RecordBatch],
    profile: Profile,
    round_key: bytes,
    *,
    name: str,
    context: str,
    key_confirmation: str,
    encoder_version: str,
    created_at: str | None = None,
    new_pseudonym: Callable[[], bytes] = _random_pseudonym,
    accepted_risk: str | None = None,
) -> EncodedFile:
    """Encode cleaned records after ENCODING.md.

    Args:
        batches: in any number; every batch has all fields of the profile.
        profile: what to encode, and how.
        round_key: 32 bytes, from the linkage secret and the context.
        name: of the dataset, e.g. the file's stem.
        context: ``project/round`` or ``offline``; only written down.
        key_confirmation: 32 hex characters; only written down.
        encoder_version: version of the program; only written down.
        created_at: RFC 3339 UTC, whole seconds; now if ``None``.
        new_pseudonym: gives 16 fresh bytes; random unless a test says otherwise.
        accepted_risk: reason for a file that the preflight would have refused.

    Raises:
        EncodingError: a value or a batch is not what the profile says, or the pinyin table of this
            machine is not the one that all offices use.
    """
    verify_readings()
    keys = KeySchedule(round_key, profile.sha256)
    encoders = [ViewEncoder(profile, view, keys) for view in profile.views]
    tables = token_tables(profile)
    blocks: list[list[EncodedBlock]] = [[] for _ in encoders]
    record_ids: list[str] = []
    problems: Counter[str] = Counter()
    for batch in batches:
        problems.update(problem.code for problem in batch.problems)
        record_ids.extend(batch.record_ids)
        for values in _blocks_of(batch, profile, tables):
            for encoder, done in zip(encoders, blocks, strict=True):
                done.append(encoder.encode(values))
    pseudonyms, order = _pseudonyms(len(record_ids), new_pseudonym)
    views = tuple(
        encoder.assemble(done, order) for encoder, done in zip(encoders, blocks, strict=True)
    )
    manifest = Manifest(
        profile_name=profile.name,
        profile_sha256=profile.sha256,
        cleaning_version=profile.cleaning,
        encoder_version=encoder_version,
        context=context,
        key_confirmation=key_confirmation,
        created_at=created_at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        n_records=len(record_ids),
        diffusion=profile.diffusion,
        views=profile.layout(),
        statistics=_statistics(encoders, views, problems),
        evidence=profile.evidence,
        accepted_risk=accepted_risk,
    )
    return EncodedFile(
        dataset=EncodedDataset(name, pseudonyms, manifest, views),
        record_ids=tuple(record_ids[row] for row in order.tolist()),
    )


def _blocks_of(batch: RecordBatch, profile: Profile, tables: TokenTables) -> Iterator[BlockValues]:
    missing = [spec.name for spec in profile.fields if spec.name not in batch.columns]
    if missing:
        raise EncodingError(f"The records lack fields of the profile: {', '.join(missing)}.")
    for spec in profile.fields:
        if len(batch.columns[spec.name]) != len(batch):
            raise EncodingError(f"Field '{spec.name}' has not one value for each record.")
    for start in range(0, len(batch), _BLOCK_RECORDS):
        stop = min(start + _BLOCK_RECORDS, len(batch))
        yield BlockValues(
            {spec.name: batch.columns[spec.name][start:stop] for spec in profile.fields},
            stop - start,
            tables,
            profile.fields,
        )


def _pseudonyms(n_records: int, new_pseudonym: Callable[[], bytes]) -> tuple[U8, I64]:
    """Fresh pseudonyms in ascending order, and the record that each is of."""
    drawn = [new_pseudonym() for _ in range(n_records)]
    if any(len(pseudonym) != PSEUDONYM_BYTES for pseudonym in drawn):
        raise EncodingError(f"A pseudonym must have {PSEUDONYM_BYTES} bytes.")
    if len(set(drawn)) != n_records:
        raise EncodingError("The source of pseudonyms repeats itself. Try again.")
    order = sorted(range(n_records), key=drawn.__getitem__)
    raw = b"".join(drawn[record] for record in order)
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(n_records, PSEUDONYM_BYTES)
    return rows, np.array(order, dtype=np.int64)


def _statistics(
    encoders: Sequence[ViewEncoder], views: Sequence[EncodedView], problems: Mapping[str, int]
) -> dict[str, Any]:
    """Aggregates for the manifest: mean fill before diffusion, absent views, problem counts."""
    fill = {
        f"{view.layout.name}/{group}": round(mean, _FILL_DECIMALS)
        for encoder, view in zip(encoders, views, strict=True)
        for group, mean in encoder.mean_fill().items()
    }
    missing = {
        view.layout.name: int(len(view.present) - np.count_nonzero(view.present)) for view in views
    }
    return {"fill": fill, "missing": missing, "problems": dict(sorted(problems.items()))}
