"""Uploads: received beside, checked against the terms, put into place whole, or nothing changed.

Whatever goes wrong, what the office uploaded before stays as it was.
"""

import contextlib
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import select

from api.audit.events import Action
from api.server.models import Round, Upload
from api.server.refusals import RefusalError
from api.server.round_states import Actor, Deed, State, check_deed
from api.server.services.installation import Installation, format_time
from api.server.services.retention import delete_files, sweep
from api.server.services.steps import terms_of, visible_round
from api.server.services.work import Caller, Work
from linkage.errors import TqeFormatError
from linkage.profile import parse_profile
from linkage.tqe import open_tqe
from linkage.types import EncodedDataset

_CHUNK_BYTES = 1024 * 1024
_ABANDONED_AFTER_S = 24 * 3600.0


class ByteSource(Protocol):
    """Where a body is read from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A body that arrived whole and has the hash that was signed."""

    path: Path
    sha256: str
    n_bytes: int


def receive_upload(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    body: ByteSource,
    signed_sha256: bytes,
) -> tuple[dict[str, Any], bool]:
    """Receive an encoded file, check it and put it into place; replaces an earlier one.

    Args:
        body: the request's body, read once, in constant memory.
        signed_sha256: hash that the sender signed, 32 bytes.

    Returns:
        The upload's status, and whether the office had none before.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, ``wrong-state``, ``not-signed``,
            ``no-confirmation``, ``too-large``, ``digest-mismatch``, ``bad-upload``,
            ``wrong-profile``, ``wrong-secret`` or ``conflict``.
    """
    # Asked before the body is read, and again when it is there: hours may lie between.
    with installation.database.reading() as session:
        _admitted(Work(session, installation.clock(), caller), round_id, office)
    with _receiving(installation) as path:
        arrived = _receive(path, body, signed_sha256, installation.config.max_upload_bytes)
        dataset = _open(arrived, office)
        return _keep(installation, caller, round_id, office, arrived, dataset)


def read_upload(
    installation: Installation, caller: Caller, round_id: str, office: str
) -> dict[str, Any]:
    """What the office has uploaded.  Raises: RefusalError: ``not-found`` or ``forbidden``."""
    with installation.work(caller) as work:
        entry = visible_round(work, round_id)
        upload = _own_upload(work, entry, office)
        work.record(
            Action.UPLOAD_READ,
            project=entry.project_id,
            round_id=entry.id,
            details={"office": office, "sha256": upload.sha256},
        )
        return _outline(upload)


def withdraw_upload(
    installation: Installation, caller: Caller, round_id: str, office: str
) -> dict[str, Any]:
    """Delete what the office has uploaded.

    Returns:
        The status that it had.

    Raises:
        RefusalError: ``not-found``, ``forbidden`` or ``wrong-state``.
    """
    with installation.work(caller) as work:
        entry = visible_round(work, round_id)
        upload = _own_upload(work, entry, office)
        check_deed(Deed.WITHDRAW, State(entry.state), Actor.OFFICE)
        outline = _outline(upload)
        work.session.delete(upload)
        work.record(
            Action.UPLOAD_WITHDRAW,
            project=entry.project_id,
            round_id=entry.id,
            details={
                "office": office,
                "sha256": upload.sha256,
                "n_records": upload.n_records,
                "n_bytes": upload.n_bytes,
            },
        )
    delete_files(installation, [(round_id, outline["sha256"])])
    return outline


def _admitted(work: Work, round_id: str, office: str) -> Round:
    """The round, if the office may upload to it now."""
    entry = visible_round(work, round_id)
    if work.caller.member != office:
        raise RefusalError("forbidden", "An office uploads for itself only.")
    if not entry.has_records_of(office):
        raise RefusalError(
            "forbidden", "By the terms of this round, the coordinating office brings no records."
        )
    check_deed(Deed.UPLOAD, State(entry.state), Actor.OFFICE)
    if not entry.is_signed_by(office):
        raise RefusalError(
            "not-signed",
            "Sign the terms of the round first: read them with `tongqiao office terms`, then "
            "`tongqiao office sign`.",
        )
    if entry.key_confirmation is None:
        raise RefusalError(
            "no-confirmation",
            "The coordinating office has not confirmed the key of this round yet. "
            f"Ask '{entry.coordinating_office}' to sign the terms, then upload again.",
        )
    return entry


@contextlib.contextmanager
def _receiving(installation: Installation) -> Iterator[Path]:
    """A file to receive into, gone at the end whatever happens."""
    path = installation.encodings.new_incoming()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _receive(path: Path, body: ByteSource, signed_sha256: bytes, max_bytes: int) -> _Arrived:
    digest = hashlib.sha256()
    n_bytes = 0
    with path.open("wb") as target:
        while chunk := body.read(_CHUNK_BYTES):
            n_bytes += len(chunk)
            if n_bytes > max_bytes:
                raise RefusalError(
                    "too-large",
                    f"The file is larger than the {max_bytes} bytes that this server takes. "
                    "Ask the linkage operator.",
                    details={"max_bytes": max_bytes},
                )
            digest.update(chunk)
            target.write(chunk)
    if not hmac.compare_digest(digest.digest(), signed_sha256):
        raise RefusalError(
            "digest-mismatch",
            "What arrived is not what was signed: the file was changed or cut off on its way. "
            "Nothing was stored. Upload it again.",
            details={"sha256": digest.hexdigest(), "n_bytes": n_bytes},
        )
    return _Arrived(path, digest.hexdigest(), n_bytes)


def _open(arrived: _Arrived, office: str) -> EncodedDataset:
    try:
        return open_tqe(arrived.path, name=office)
    except TqeFormatError as error:
        raise RefusalError(
            "bad-upload",
            f"{error} Nothing was stored.",
            details={"sha256": arrived.sha256, "n_bytes": arrived.n_bytes},
        ) from error


def _check_against_terms(
    entry: Round, dataset: EncodedDataset, max_records: int, details: dict[str, str | int | None]
) -> None:
    terms, manifest = terms_of(entry), dataset.manifest
    profile = parse_profile(entry.profile)
    wanted = {
        "round": (manifest.context, terms.context),
        "encoding profile": (manifest.profile_sha256, profile.sha256),
        "cleaning version": (manifest.cleaning_version, terms.cleaning),
        # By hash alone a file could claim one profile and hold the filters of another.
        "layout of views": (manifest.views, profile.layout()),
        "diffusion": (manifest.diffusion, profile.diffusion),
        "meaning of features": (manifest.evidence, profile.evidence),
    }
    for what, (found, expected) in wanted.items():
        if found != expected:
            raise RefusalError(
                "wrong-profile",
                f"The file was encoded for another {what} than the terms say. "
                "Encode again with `tongqiao encode --terms TERMS.json`, then upload.",
                details=details,
            )
    if manifest.key_confirmation != entry.key_confirmation:
        raise RefusalError(
            "wrong-secret",
            "The file was encoded with another linkage secret than the coordinating office "
            "confirmed. Fetch and open the secret again, compare its fingerprint with the "
            "coordinating office by telephone, encode again, then upload.",
            details=details,
        )
    if not dataset.n_records:
        raise RefusalError("bad-upload", "The file holds no records. Encode the right file.")
    most = min(terms.max_records, max_records)
    if dataset.n_records > most:
        raise RefusalError(
            "too-large",
            f"The file holds more than the {most} records that the terms allow. "
            "Encode only the records that belong to this round.",
            details=details,
        )


def _keep(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    arrived: _Arrived,
    dataset: EncodedDataset,
) -> tuple[dict[str, Any], bool]:
    details: dict[str, str | int | None] = {
        "office": office,
        "sha256": arrived.sha256,
        "n_records": dataset.n_records,
        "n_bytes": arrived.n_bytes,
    }
    replaced: str | None = None
    try:
        with installation.work(caller) as work:
            entry = _admitted(work, round_id, office)
            _check_against_terms(entry, dataset, installation.config.max_records, details)
            _check_own(work, entry, office, arrived.sha256, details)
            known = entry.upload_of(office)
            replaced = None if known is None else known.sha256
            upload = known or Upload(round_id=entry.id, office_id=office)
            upload.sha256, upload.n_bytes = arrived.sha256, arrived.n_bytes
            upload.n_records, upload.received_at = dataset.n_records, work.now
            work.session.add(upload)
            work.session.flush()
            work.record(
                Action.UPLOAD_PUT,
                project=entry.project_id,
                round_id=entry.id,
                details={**details, "replaced": replaced},
            )
            # Before the commit: a row must never point to a file that is not there.
            installation.encodings.put(arrived.path, entry.id, arrived.sha256)
            outline = _outline(upload)
    except RefusalError:
        raise
    except Exception:
        # Perhaps the file is in its place and no row is: ask the database what is true.
        with contextlib.suppress(Exception):
            sweep(installation, incoming_older_than_s=_ABANDONED_AFTER_S)
        raise
    if replaced not in (None, arrived.sha256):
        delete_files(installation, [(round_id, str(replaced))])
    return outline, known is None


def _check_own(
    work: Work, entry: Round, office: str, sha256: str, details: dict[str, str | int | None]
) -> None:
    same = select(Upload.office_id).where(
        Upload.round_id == entry.id, Upload.sha256 == sha256, Upload.office_id != office
    )
    if work.session.scalar(same) is not None:
        raise RefusalError(
            "conflict",
            "Another office uploaded this very file. Upload the encodings of your own records.",
            details=details,
        )


def _own_upload(work: Work, entry: Round, office: str) -> Upload:
    if work.caller.member != office:
        raise RefusalError("forbidden", "An office sees and withdraws its own upload only.")
    upload = entry.upload_of(office)
    if upload is None:
        raise RefusalError("not-found", "This office has uploaded nothing in this round.")
    return upload


def _outline(upload: Upload) -> dict[str, Any]:
    return {
        "sha256": upload.sha256,
        "n_records": upload.n_records,
        "n_bytes": upload.n_bytes,
        "received_at": format_time(upload.received_at),
    }
