"""Cleaned records in, packed rows out, in blocks, on all cores; and whole datasets in memory.

Two encoders give the same bits (a contract suite compares them).  The *plain* one is NumPy only
and starts at once.  The *compiled* one is some fifty times as fast and starts within a second, or
within half a minute where its kernels were never compiled before; so it is for files of some size.
ENCODING.md says what the bits are.
"""

import logging
import os
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from queue import SimpleQueue
from typing import Any, Literal, Protocol

import numpy as np

from linkage.encoded_rows import RowLayout, ascending
from linkage.encoding.keyed_hash import KEYED_HASHES
from linkage.encoding.pinyin import verify_readings
from linkage.encoding.plain_rows import PlainRowEncoder
from linkage.encoding.subkeys import KeySchedule
from linkage.encoding.tokens import verify_salt_kind
from linkage.errors import EncodingError
from linkage.profile import Profile
from linkage.types import U64, EncodedDataset, KeyedHashName, Manifest, RecordBatch

Engine = Literal["auto", "plain", "compiled"]

PSEUDONYM_BYTES = 16
COMPILED_FROM_RECORDS = 20_000
"""From so many records on, ``auto`` means the compiled encoder."""

_BLOCK_RECORDS = 4096
_PLAIN_BLOCK_RECORDS = 2048
_FILL_DECIMALS = 4
_IN_FLIGHT = 2

_log = logging.getLogger(__name__)

Columns = Mapping[str, Sequence[str | None]]


class BlockEncoder(Protocol):
    """What both encoders are."""

    def encode(self, columns: Columns, n_records: int) -> U64:
        """Rows of a block, without pseudonyms."""

    def fill_counts(self) -> dict[str, tuple[int, int]]:
        """For each ``view/group``: bits set before diffusion, and filters that are present."""


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """What leaves the office, and beside it what never does.

    Attributes:
        dataset: rows in ascending order of their pseudonyms.
        record_ids: the office's own id of each row.
    """

    dataset: EncodedDataset
    record_ids: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """Some consecutive records, encoded.

    Attributes:
        record_ids: of the records.
        rows: packed, with their pseudonyms.
    """

    record_ids: Sequence[str] = field(repr=False)
    rows: U64


class StreamEncoder:
    """Encodes batches of records one after the other; memory does not grow with their number.

    Args:
        profile: what to encode, and how.
        round_key: 32 bytes, from the linkage secret and the context.
        keyed_hash: what keys hash with; the terms of a round say it.
        engine: which encoder.
        workers: threads of the compiled encoder; all cores if ``None``.
        new_pseudonym: gives 16 fresh bytes; random if ``None``.

    Raises:
        EncodingError: a salt cannot be made, the key is not 32 bytes, or the pinyin table of this
            machine is not the one that all offices use.
    """

    def __init__(
        self,
        profile: Profile,
        round_key: bytes,
        *,
        keyed_hash: KeyedHashName = "blake2b",
        engine: Engine = "auto",
        workers: int | None = None,
        new_pseudonym: Callable[[], bytes] | None = None,
    ) -> None:
        verify_readings()
        self.layout = RowLayout(profile.layout())
        self.n_records = 0
        self.engine_used: Literal["plain", "compiled"] = "plain"
        self._profile = profile
        self._keys = KeySchedule(round_key, profile.sha256, KEYED_HASHES[keyed_hash])
        self._engine = engine
        self._workers = workers or available_cores()
        self._new_pseudonym = new_pseudonym
        self._problems: Counter[str] = Counter()
        self._missing = dict.fromkeys((view.name for view in profile.views), 0)
        self._encoders: list[BlockEncoder] = []
        for view in profile.views:
            for part in view.salt:
                verify_salt_kind(view.name, part.kind)

    def blocks(self, batches: Iterable[RecordBatch]) -> Iterator[EncodedBlock]:
        """Encode batches, each of which has all fields of the profile; in their order.

        Raises:
            EncodingError: a value or a batch is not what the profile says.
        """
        batches = self._choose(iter(batches))
        pieces = chain.from_iterable(map(self._cut, batches))
        for record_ids, rows in self._encoded(pieces):
            self._set_pseudonyms(rows)
            self.n_records += len(rows)
            for view in self.layout.views:
                there = self.layout.validity(rows, self.layout.presence(view))
                self._missing[view.name] += len(rows) - int(np.count_nonzero(there))
            yield EncodedBlock(record_ids, rows)

    def statistics(self) -> dict[str, Any]:
        """Aggregates for the manifest: mean fill before diffusion, absent views, problem counts."""
        fill = {
            f"{view.name}/{group.name}": 0.0 for view in self.layout.views for group in view.groups
        }
        bits = {
            f"{view.name}/{group.name}": group.filter_bits
            for view in self.layout.views
            for group in view.groups
        }
        for name, (n_bits, n_filters) in self._fill_counts().items():
            if n_filters:
                fill[name] = round(n_bits / (n_filters * bits[name]), _FILL_DECIMALS)
        return {
            "fill": fill,
            "missing": dict(self._missing),
            "problems": dict(sorted(self._problems.items())),
        }

    def valid_counts(self) -> dict[str, int]:
        """For each column of the file but the pseudonym, how many records have a value."""
        counts = {
            self.layout.presence(view).name: self.n_records - self._missing[view.name]
            for view in self.layout.views
        }
        for name, (_, n_filters) in self._fill_counts().items():
            counts[name.replace("/", ".")] = n_filters
        return counts

    def manifest(
        self,
        *,
        context: str,
        key_confirmation: str,
        encoder_version: str,
        created_at: str | None = None,
        accepted_risk: str | None = None,
    ) -> Manifest:
        """The manifest of what was encoded so far, without content hash.

        Args:
            context: ``project/round`` or ``offline``; only written down, as all that follows.
            key_confirmation: 32 hex characters.
            encoder_version: version of the program.
            created_at: RFC 3339 UTC, whole seconds; now if ``None``.
            accepted_risk: reason for a file that the preflight would have refused.
        """
        profile = self._profile
        return Manifest(
            profile_name=profile.name,
            profile_sha256=profile.sha256,
            cleaning_version=profile.cleaning,
            encoder_version=encoder_version,
            context=context,
            key_confirmation=key_confirmation,
            created_at=created_at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            n_records=self.n_records,
            diffusion=profile.diffusion,
            views=self.layout.views,
            statistics=self.statistics(),
            evidence=profile.evidence,
            accepted_risk=accepted_risk,
            keyed_hash=self._keys.hash.name,
        )

    # --- inside -------------------------------------------------------------------------------

    def _choose(self, batches: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
        """Decide which encoder to use, by the first records where that is left open."""
        held: list[RecordBatch] = []
        compiled = self._engine == "compiled"
        if self._engine == "auto":
            n_records = 0
            for batch in batches:
                held.append(batch)
                n_records += len(batch)
                if n_records >= COMPILED_FROM_RECORDS:
                    compiled = True
                    break
        if compiled:
            from linkage.encoding.row_encoder import RowEncoder

            self.engine_used = "compiled"
            self._encoders = [RowEncoder(self._profile, self._keys) for _ in range(self._workers)]
        else:
            self._encoders = [PlainRowEncoder(self._profile, self._keys)]
        _log.info("Encoding with the %s encoder.", self.engine_used)
        return chain(held, batches)

    def _cut(self, batch: RecordBatch) -> Iterator[tuple[Sequence[str], Columns]]:
        self._problems.update(problem.code for problem in batch.problems)
        _verify_batch(batch, self._profile)
        names = [spec.name for spec in self._profile.fields]
        step = _PLAIN_BLOCK_RECORDS if self.engine_used == "plain" else _BLOCK_RECORDS
        for start in range(0, len(batch), step):
            part = slice(start, start + step)
            yield batch.record_ids[part], {name: batch.columns[name][part] for name in names}

    def _encoded(
        self, pieces: Iterator[tuple[Sequence[str], Columns]]
    ) -> Iterator[tuple[Sequence[str], U64]]:
        if len(self._encoders) == 1:
            for record_ids, columns in pieces:
                yield record_ids, self._encoders[0].encode(columns, len(record_ids))
            return
        idle: SimpleQueue[BlockEncoder] = SimpleQueue()
        for encoder in self._encoders:
            idle.put(encoder)

        def work(columns: Columns, n_records: int) -> U64:
            encoder = idle.get()
            try:
                return encoder.encode(columns, n_records)
            finally:
                idle.put(encoder)

        waiting: deque[tuple[Sequence[str], Future[U64]]] = deque()
        with ThreadPoolExecutor(len(self._encoders), "encoder") as pool:
            try:
                for record_ids, columns in pieces:
                    waiting.append((record_ids, pool.submit(work, columns, len(record_ids))))
                    if len(waiting) > _IN_FLIGHT * len(self._encoders):
                        done, future = waiting.popleft()
                        yield done, future.result()
                while waiting:
                    done, future = waiting.popleft()
                    yield done, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()

    def _fill_counts(self) -> dict[str, tuple[int, int]]:
        total: dict[str, tuple[int, int]] = {}
        for encoder in self._encoders:
            for name, (n_bits, n_filters) in encoder.fill_counts().items():
                bits, filters = total.get(name, (0, 0))
                total[name] = (bits + n_bits, filters + n_filters)
        return total

    def _set_pseudonyms(self, rows: U64) -> None:
        if self._new_pseudonym is None:
            self.layout.set_pseudonyms(rows, secrets.token_bytes(PSEUDONYM_BYTES * len(rows)))
            return
        drawn = [self._new_pseudonym() for _ in range(len(rows))]
        if any(len(pseudonym) != PSEUDONYM_BYTES for pseudonym in drawn):
            raise EncodingError(f"A pseudonym must have {PSEUDONYM_BYTES} bytes.")
        self.layout.set_pseudonyms(rows, b"".join(drawn))


def available_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


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
    new_pseudonym: Callable[[], bytes] | None = None,
    accepted_risk: str | None = None,
    keyed_hash: KeyedHashName = "blake2b",
    engine: Engine = "auto",
    workers: int | None = None,
) -> EncodedFile:
    """Encode cleaned records after ENCODING.md into a dataset in memory.

    For files of any size see :func:`linkage.encoding.encode_file.encode_to_file`.

    Args:
        batches: in any number; every batch has all fields of the profile.
        profile, round_key, new_pseudonym, keyed_hash, engine, workers: as :class:`StreamEncoder`
            has them.
        name: of the dataset, e.g. the file's stem.
        context, key_confirmation, encoder_version, created_at, accepted_risk: as
            :meth:`StreamEncoder.manifest` has them.

    Raises:
        EncodingError: as :class:`StreamEncoder` and its ``blocks``.
    """
    encoder = StreamEncoder(
        profile,
        round_key,
        keyed_hash=keyed_hash,
        engine=engine,
        workers=workers,
        new_pseudonym=new_pseudonym,
    )
    blocks = list(encoder.blocks(batches))
    record_ids = [record_id for block in blocks for record_id in block.record_ids]
    rows = np.concatenate([encoder.layout.empty_rows(0), *(block.rows for block in blocks)])
    order = ascending(rows)
    rows = rows[order]
    pseudonyms = encoder.layout.pseudonyms(rows)
    if (rows[1:, :2] == rows[:-1, :2]).all(axis=1).any():
        raise EncodingError("The source of pseudonyms repeats itself. Try again.")
    manifest = encoder.manifest(
        context=context,
        key_confirmation=key_confirmation,
        encoder_version=encoder_version,
        created_at=created_at,
        accepted_risk=accepted_risk,
    )
    return EncodedFile(
        dataset=EncodedDataset(name, pseudonyms, manifest, tuple(encoder.layout.unpacked(rows))),
        record_ids=tuple(record_ids[row] for row in order.tolist()),
    )


def _verify_batch(batch: RecordBatch, profile: Profile) -> None:
    missing = [spec.name for spec in profile.fields if spec.name not in batch.columns]
    if missing:
        raise EncodingError(f"The records lack fields of the profile: {', '.join(missing)}.")
    for spec in profile.fields:
        if len(batch.columns[spec.name]) != len(batch):
            raise EncodingError(f"Field '{spec.name}' has not one value for each record.")
