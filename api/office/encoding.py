"""Cleaned records become two files: encodings that are sent, and their map that never is."""

import contextlib
import csv
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

from api.client.private_files import replacing_privately
from keys.linkage_secret import LinkageSecret
from linkage.encoding import EncodedFile, encode_records
from linkage.errors import EncodingError
from linkage.profile import Profile
from linkage.tqe import write_tqe
from linkage.types import Manifest, RecordBatch

MAP_HEADINGS = ("pseudonym", "record_id")


def encode_to_files(
    batches: Iterable[RecordBatch],
    profile: Profile,
    secret: LinkageSecret,
    *,
    context: str,
    out: Path,
    map_file: Path,
    max_records: int | None = None,
    overwrite: bool = False,
) -> tuple[Manifest, str]:
    """Encode records and write both files, or neither; readable by their owner only.

    Args:
        context: ``project/round``, or ``offline``.
        out: the ``.tqe`` file.
        map_file: CSV of pseudonym and the office's own record id.
        max_records: more are refused.

    Returns:
        The manifest, and the SHA-256 of the ``.tqe`` file, hex.

    Raises:
        EncodingError: a record is not what the profile says, there is none, or there are too many.
        FileExistsError: a file exists and ``overwrite`` is false.
        OSError: a file cannot be written.
    """
    encoded = encode_records(
        batches,
        profile,
        secret.round_key(context),
        name=out.stem,
        context=context,
        key_confirmation=secret.key_confirmation(context),
        encoder_version=importlib.metadata.version("tongqiao"),
    )
    _check_count(encoded.dataset.n_records, max_records)
    sha256 = _write(encoded, out, map_file, overwrite=overwrite)
    return encoded.dataset.manifest, sha256


def _check_count(n_records: int, max_records: int | None) -> None:
    if n_records == 0:
        raise EncodingError("The file holds no records. Nothing was written.")
    if max_records is not None and n_records > max_records:
        raise EncodingError(
            f"The file holds {n_records:,} records, and the terms allow {max_records:,}. "
            "Nothing was written. Encode only the records that belong to this round."
        )


def _write(encoded: EncodedFile, out: Path, map_file: Path, *, overwrite: bool) -> str:
    """Write both files, or neither; returns the SHA-256 of the ``.tqe`` file."""
    with contextlib.ExitStack() as undo:
        # The map is put in place last: an older one is kept until all else is done.
        with replacing_privately(map_file, overwrite=overwrite) as map_draft:
            _write_map(map_draft, encoded)
            with replacing_privately(out, overwrite=overwrite) as tqe_draft:
                sha256 = write_tqe(tqe_draft, encoded.dataset)
            # Encodings without their map are of no use.
            undo.callback(out.unlink, missing_ok=True)
        undo.pop_all()
    return sha256


def _write_map(path: Path, encoded: EncodedFile) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(MAP_HEADINGS)
        for row, record_id in enumerate(encoded.record_ids):
            writer.writerow((encoded.dataset.pseudonym(row), record_id))
