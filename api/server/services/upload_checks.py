"""What an upload must be before it is in a round: the office's right to it, and the file."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from api.server.models import Member, Round, Upload
from api.server.refusals import RefusalError
from api.server.round_states import Actor, Deed, State, check_deed
from api.server.services.data_keys import ensure_data_key, is_data_key
from api.server.services.installation import Installation
from api.server.services.steps import (
    check_kept,
    check_taking_part,
    suite_of,
    terms_of,
    visible_round,
)
from api.server.services.work import Caller, Work
from keys.cipher_suites import CipherSuite
from linkage.profile import parse_profile
from linkage.types import Manifest

Details = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Admission:
    """By what right an upload began; hours may lie between its first byte and its last.

    Attributes:
        enrolled_at: when the office came here with keys that an operator compared by voice: what
            keys began that were revoked meanwhile does not count, though the office be back.
        suite: the terms' cipher suite.
        data_key: encrypts what arrives, 32 bytes; amended terms have another one.
    """

    enrolled_at: datetime
    suite: CipherSuite
    data_key: bytes

    def __repr__(self) -> str:
        return "Admission(key hidden)"


def admit(installation: Installation, caller: Caller, round_id: str, office: str) -> Admission:
    """Let an upload begin.

    Raises:
        RefusalError: as :func:`admitted`.
        AtRestError: the round's data key was wrapped by another installation key.
    """
    with installation.database.reading() as session:
        entry = admitted(Work(session, installation.clock(), caller), round_id, office)
        suite = suite_of(entry)
        enrolled_at = session.get_one(Member, office).enrolled_at
    return Admission(enrolled_at, suite, ensure_data_key(installation, caller, round_id))


def check_admission(
    installation: Installation, work: Work, entry: Round, office: str, admission: Admission
) -> None:
    """Whether the right by which an upload began still holds.  Raises: RefusalError: ``conflict``.

    What else it needs is :func:`admitted`'s to ask.
    """
    if work.session.get_one(Member, office).enrolled_at != admission.enrolled_at or not is_data_key(
        installation, work.session, entry.id, admission.data_key
    ):
        raise RefusalError(
            "conflict",
            "While the file was on its way, the terms of the round were changed or your office "
            "got other keys. Nothing was stored. Upload the file again.",
            details={"office": office},
        )


def admitted(work: Work, round_id: str, office: str) -> Round:
    """The round, if the office may upload to it now.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, ``wrong-state``, ``not-signed`` or
            ``no-confirmation``.
    """
    entry = visible_round(work, round_id)
    if work.caller.member != office:
        raise RefusalError("forbidden", "An office uploads for itself only.")
    if not entry.has_records_of(office):
        raise RefusalError(
            "forbidden", "By the terms of this round, the coordinating office brings no records."
        )
    check_deed(Deed.UPLOAD, State(entry.state), Actor.OFFICE)
    check_kept(work, entry)
    check_taking_part(entry, office)
    if not entry.is_signed_by(office):
        raise RefusalError(
            "not-signed",
            "Sign the terms of the round first: read them with `tongqiao office terms`, then "
            "`tongqiao office sign`.",
        )
    if not entry.is_key_confirmed:
        raise RefusalError(
            "no-confirmation",
            "The coordinating office has not confirmed the key of this round yet. "
            f"Ask '{entry.coordinating_office}' to sign the terms, then upload again.",
        )
    return entry


def check_against_terms(
    entry: Round, manifest: Manifest, max_records: int, details: Details
) -> None:
    """Whether a file was made for this round, by its profile and with its secret.

    Raises:
        RefusalError: ``wrong-profile``, ``wrong-secret``, ``bad-upload`` or ``too-large``.
    """
    terms = terms_of(entry)
    profile = parse_profile(entry.profile)
    wanted = {
        "round": (manifest.context, terms.context),
        "encoding profile": (manifest.profile_sha256, profile.sha256),
        "cleaning version": (manifest.cleaning_version, terms.cleaning),
        "cipher suite": (manifest.keyed_hash, suite_of(entry).keyed_hash),
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
    if not manifest.n_records:
        raise RefusalError("bad-upload", "The file holds no records. Encode the right file.")
    most = min(terms.max_records, max_records)
    if manifest.n_records > most:
        raise RefusalError(
            "too-large",
            f"The file holds more than the {most} records that the terms allow. "
            "Encode only the records that belong to this round.",
            details=details,
        )


def check_own(work: Work, entry: Round, office: str, sha256: str, details: Details) -> None:
    """Whether no other office uploaded the very same file.  Raises: RefusalError: ``conflict``."""
    same = select(Upload.office_id).where(
        Upload.round_id == entry.id, Upload.sha256 == sha256, Upload.office_id != office
    )
    if work.session.scalar(same) is not None:
        raise RefusalError(
            "conflict",
            "Another office uploaded this very file. Upload the encodings of your own records.",
            details=details,
        )


def missing_uploads(
    installation: Installation, round_id: str | None = None
) -> list[tuple[str, str]]:
    """Round and office of every upload whose file is not in the storage, of all rounds or of one.

    Raises:
        StorageAwayError: the storage does not answer.
    """
    query = select(Upload.round_id, Upload.office_id, Upload.sha256)
    if round_id is not None:
        query = query.where(Upload.round_id == round_id)
    with installation.database.reading() as session:
        uploads = session.execute(query.order_by(Upload.round_id, Upload.office_id)).all()
    return [
        (upload.round_id, upload.office_id)
        for upload in uploads
        if not installation.encodings.is_stored(upload.round_id, upload.sha256)
    ]


def check_stored(installation: Installation, round_id: str) -> None:
    """Whether a round's files are all there, while their offices can still send them again.

    Raises:
        RefusalError: ``conflict``, with the offices.
        StorageAwayError: the storage does not answer.
    """
    offices = [office for _, office in missing_uploads(installation, round_id)]
    if offices:
        raise RefusalError(
            "conflict",
            f"The files of these offices are gone from the server: {', '.join(offices)}. Ask them "
            "to send them again, then freeze the round.",
            round_id=round_id,
            details={"office": offices[0], "n_files": len(offices)},
        )
