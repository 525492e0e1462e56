"""From cleaned records to a ``.tqe`` file, in memory that does not grow with the file.

    batches -> StreamEncoder -> RowShuffle -> preflight -> TqeWriter -> file

Nothing is written but temporary, nameless encodings until the preflight has passed.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from linkage.encoded_rows import PSEUDONYM_WORDS, RowLayout
from linkage.encoding.encode import Engine, StreamEncoder
from linkage.encoding.preflight import (
    Measured,
    PreflightReport,
    largest_run,
    n_repeated,
    preflight,
    row_digests,
)
from linkage.errors import EncodingError
from linkage.profile import Profile
from linkage.shuffle import RowShuffle
from linkage.tqe_writer import TqeWriter
from linkage.types import U8, U64, KeyedHashName, Manifest, RecordBatch

_PART_VALUES = 1 << 18

OnRecords = Callable[[U8, Sequence[str]], None]
"""Gets pseudonyms ``(n, 16) uint8`` and the office's own ids of some records, in their order."""


class RiskyFileError(EncodingError):
    """The preflight refused a file; ``report`` says why."""

    def __init__(self, report: PreflightReport) -> None:
        refused = report.of("refused")
        reasons = " ".join(dict.fromkeys(f"{finding.text} {finding.advice}" for finding in refused))
        super().__init__(f"The file was not written, because it would be risky to send. {reasons}")
        self.report = report


@dataclass(frozen=True, slots=True)
class EncodedTqe:
    """What was written.

    Attributes:
        manifest: of the file, but for its content hash.
        sha256: of the whole file, hex.
        preflight: what was found before it was written.
        engine: the encoder that was used, ``plain`` or ``compiled``.
    """

    manifest: Manifest
    sha256: str
    preflight: PreflightReport
    engine: str


def encode_to_tqe(
    batches: Iterable[RecordBatch],
    profile: Profile,
    round_key: bytes,
    path: Path,
    *,
    context: str,
    key_confirmation: str,
    encoder_version: str,
    created_at: str | None = None,
    accepted_risk: str | None = None,
    max_records: int | None = None,
    on_records: OnRecords | None = None,
    on_stage: Callable[[str], None] | None = None,
    keyed_hash: KeyedHashName = "blake2b",
    engine: Engine = "auto",
    workers: int | None = None,
) -> EncodedTqe:
    """Encode cleaned records and write them.

    Args:
        batches, profile, round_key, keyed_hash, engine, workers: as :class:`StreamEncoder` has
            them.
        path: an empty file to write to, which the caller puts in place or removes.
        context, key_confirmation, encoder_version, created_at: as ``StreamEncoder.manifest`` has
            them.
        accepted_risk: why the file is needed although the preflight refuses it; written into the
            manifest if, and only if, it does.
        max_records: more are refused.
        on_records: told of all records as they are encoded.
        on_stage: told when the records are all encoded and the file begins to be written.

    Raises:
        RiskyFileError: the preflight refuses the file, and no risk was accepted.
        EncodingError: a record is not what the profile says, there is none, or there are too many.
        OSError: the disk is full.
    """
    encoder = StreamEncoder(
        profile, round_key, keyed_hash=keyed_hash, engine=engine, workers=workers
    )
    layout = encoder.layout
    with ExitStack() as stack:
        shuffle = stack.enter_context(RowShuffle(layout, path.parent))
        witness = stack.enter_context(_Witness.beside(layout, path.parent))
        for block in encoder.blocks(batches):
            if on_records is not None:
                on_records(layout.pseudonyms(block.rows), block.record_ids)
            witness.add(block.rows)
            shuffle.add(block.rows)
            # Half a register is no smaller a mistake: stop as soon as it is too large.
            _check_count(encoder.n_records, max_records)
        if encoder.n_records == 0:
            raise EncodingError("The file holds no records. Nothing was written.")
        if on_stage is not None:
            on_stage("writing")
        statistics = encoder.statistics()
        counts = encoder.valid_counts()
        fill = {
            place: value
            for place, value in statistics["fill"].items()
            if counts[place.replace("/", ".")]
        }
        report = preflight(
            profile, witness.measured(encoder.n_records, fill, statistics["missing"])
        )
        if report.is_refused and not accepted_risk:
            raise RiskyFileError(report)
        manifest = encoder.manifest(
            context=context,
            key_confirmation=key_confirmation,
            encoder_version=encoder_version,
            created_at=created_at,
            accepted_risk=accepted_risk if report.is_refused else None,
        )
        writer = TqeWriter(path, manifest, counts)
        stack.callback(writer.close)
        for rows in shuffle.in_order():
            writer.add(rows)
        sha256 = writer.finish()
    return EncodedTqe(manifest, sha256, report, encoder.engine_used)


def _check_count(n_records: int, max_records: int | None) -> None:
    if max_records is not None and n_records > max_records:
        raise EncodingError(
            f"The file holds more records than the terms allow ({max_records:,}). Nothing was "
            "written. Encode only the records that belong to this round."
        )


class _Witness:
    """Keeps on disk, 8 bytes a record, what the preflight must count over the whole file."""

    def __init__(self, layout: RowLayout, files: Sequence[IO[bytes]]) -> None:
        self._layout = layout
        self._views = [view for view in layout.views if view.tagged]
        self._tags = files[: len(self._views)]
        self._digests = files[-1]
        self._first = PSEUDONYM_WORDS
        self._n_without_views = 0

    @classmethod
    @contextmanager
    def beside(cls, layout: RowLayout, folder: Path) -> "Iterator[_Witness]":
        with ExitStack() as stack:
            n_files = 1 + sum(view.tagged for view in layout.views)
            files = [
                stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(n_files)
            ]
            yield cls(layout, files)

    def add(self, rows: U64) -> None:
        for view, file in zip(self._views, self._tags, strict=True):
            presence = self._layout.presence(view)
            there = self._layout.validity(rows, presence)
            file.write(rows[there, presence.first_word].tobytes())
        self._digests.write(row_digests(rows, self._first).tobytes())
        validity = rows[:, self._first : self._first + self._layout.validity_words]
        self._n_without_views += int(np.count_nonzero(~validity.any(axis=1)))

    def measured(self, n_records: int, fill: dict[str, float], missing: dict[str, int]) -> Measured:
        largest = {view.name: n_records - missing[view.name] for view in self._layout.views}
        for view, file in zip(self._views, self._tags, strict=True):
            largest[view.name] = max(map(largest_run, _parts_of(file)), default=0)
        return Measured(
            n_records=n_records,
            fill=fill,
            missing=missing,
            largest_group=largest,
            n_without_views=self._n_without_views,
            n_duplicates=sum(map(n_repeated, _parts_of(self._digests))),
        )


def _parts_of(file: IO[bytes]) -> Iterator[U64]:
    """The values of a file of ``uint64``, equal ones in one part; parts of bounded size.

    The file is read once for each part: that costs little, and the memory stays the same.
    """
    n_parts = -(-file.seek(0, 2) // (8 * _PART_VALUES))
    for part in range(n_parts):
        kept = []
        file.seek(0)
        while data := file.read(8 * _PART_VALUES):
            values = np.frombuffer(data, dtype=np.uint64)
            kept.append(values[(values >> np.uint64(32)) % np.uint64(n_parts) == part])
        yield np.concatenate(kept)
