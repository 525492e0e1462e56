"""Cleaned records become two files: encodings that are sent, and their map that never is."""

import contextlib
import csv
import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TextIO

from api.client.private_files import replacing_privately
from keys.cipher_suites import DEFAULT, CipherSuite
from keys.linkage_secret import LinkageSecret
from linkage.encoding.encode import Engine
from linkage.encoding.encode_file import EncodedTqe, OnRecords, encode_to_tqe
from linkage.profile import Profile
from linkage.types import U8, RecordBatch

MAP_HEADINGS = ("pseudonym", "record_id")


def encode_to_files(
    batches: Iterable[RecordBatch],
    profile: Profile,
    secret: LinkageSecret,
    *,
    context: str,
    out: Path,
    map_file: Path,
    suite: CipherSuite = DEFAULT,
    max_records: int | None = None,
    overwrite: bool = False,
    accepted_risk: str | None = None,
    engine: Engine = "auto",
    on_stage: Callable[[str], None] | None = None,
) -> EncodedTqe:
    """Encode records and write both files, or neither; readable by their owner only.

    Args:
        context: ``project/round``, or ``offline``.
        out: the ``.tqe`` file.
        map_file: CSV of pseudonym and the office's own record id, in the order of the records.
        suite: the one that the terms name; it derives the round's key and hashes under it.
        max_records: more are refused.
        accepted_risk: why the file is needed although the preflight refuses it.
        engine, on_stage: as :func:`linkage.encoding.encode_file.encode_to_tqe` has them.

    Raises:
        RiskyFileError: the preflight refuses the file, and no risk was accepted.
        EncodingError: a record is not what the profile says, there is none, or there are too many.
        FileExistsError: a file exists and ``overwrite`` is false.
        OSError: a file cannot be written.
    """
    with contextlib.ExitStack() as undo:
        # The map is put in place last: an older one is kept until all else is done.
        with replacing_privately(map_file, overwrite=overwrite) as map_draft:
            with (
                map_draft.open("w", encoding="utf-8", newline="") as stream,
                replacing_privately(out, overwrite=overwrite) as tqe_draft,
            ):
                encoded = encode_to_tqe(
                    batches,
                    profile,
                    secret.round_key(context, suite),
                    tqe_draft,
                    keyed_hash=suite.keyed_hash,
                    context=context,
                    key_confirmation=secret.key_confirmation(context, suite),
                    encoder_version=importlib.metadata.version("tongqiao"),
                    accepted_risk=accepted_risk,
                    max_records=max_records,
                    on_records=_map_writer(stream),
                    on_stage=on_stage,
                    engine=engine,
                )
                stream.flush()
            # Encodings without their map are of no use.
            undo.callback(out.unlink, missing_ok=True)
        undo.pop_all()
    return encoded


def _map_writer(stream: TextIO) -> OnRecords:
    """Writes the headings, and then what it is told of."""
    # Before Python 3.13 a cell is quoted for a carriage return only if lines end with one.
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(MAP_HEADINGS)

    def write(pseudonyms: U8, record_ids: Sequence[str]) -> None:
        text = pseudonyms.tobytes().hex()
        step = 2 * pseudonyms.shape[1]
        shown = (text[at : at + step] for at in range(0, len(text), step))
        writer.writerows(zip(shown, record_ids, strict=True))

    return write
