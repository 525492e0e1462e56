"""Uploads: received beside, checked against the terms, put into place whole, or nothing changed.

Whatever goes wrong, what the office uploaded before stays as it was.  What arrives is encrypted
before it touches the disk; it is in the clear only in the workspace, while it is checked.
"""

import contextlib
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from api.audit.events import Action
from api.server.models import Round, Upload, UploadPart
from api.server.refusals import RefusalError
from api.server.round_states import Actor, Deed, State, check_deed
from api.server.services.data_keys import encoding_context
from api.server.services.incoming import new_incoming_file
from api.server.services.inspection import InspectionBrokenError, OtherContentError, StoredUpload
from api.server.services.installation import Installation, format_time
from api.server.services.retention import Leftovers, delete_leftovers
from api.server.services.steps import visible_round
from api.server.services.traces import leave_traces
from api.server.services.upload_checks import (
    Admission,
    Details,
    admit,
    admitted,
    check_admission,
    check_against_terms,
    check_own,
)
from api.server.services.work import Caller, Work
from keys.errors import AtRestError
from linkage.errors import TqeFormatError
from linkage.types import Manifest

_READ_BYTES = 256 * 1024
_FLUSH_BYTES = 1024 * 1024


class ByteSource(Protocol):
    """Where a body is read from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end.  Raises: BodyBrokenError."""


class BodyBrokenError(Exception):
    """The connection ended, or fell silent, before the whole body was there."""


def receive_upload(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    body: ByteSource,
    n_bytes: int | None,
    signed_sha256: bytes,
) -> tuple[dict[str, Any], bool]:
    """Receive an encoded file in one request, check it and put it into place.

    Args:
        body: the request's body, read once, in constant memory.
        n_bytes: what ``Content-Length`` says; ``None`` if nothing.
        signed_sha256: hash that the sender signed, 32 bytes.

    Returns:
        The upload's status, and whether the office had none before.

    Raises:
        RefusalError: as :func:`keep_upload`, and ``invalid``, ``digest-mismatch``, ``cut-off``.
    """
    # Asked before the body is read, and again when it is there.
    admission = admit(installation, caller, round_id, office)
    if n_bytes is None:
        raise RefusalError("invalid", "Send the size of the file as `Content-Length`.")
    check_size(installation, n_bytes)
    if n_bytes == 0:
        check_digest(hashlib.sha256().digest(), signed_sha256)
        raise RefusalError("bad-upload", "The file is empty. Nothing was stored.")
    sha256 = signed_sha256.hex()
    path = installation.incoming.new_path()
    try:
        with (
            new_incoming_file(
                path,
                suite=admission.suite,
                data_key=admission.data_key,
                n_bytes=n_bytes,
                context=encoding_context(round_id, sha256),
            ) as incoming,
            installation.transfers.set_aside(),
        ):
            found = receive(
                body, incoming.append, n_bytes, taking_in=installation.transfers.taking_in
            )
            check_digest(found, signed_sha256)
            incoming.sync()
        return keep_upload(installation, caller, round_id, office, path, sha256, n_bytes, admission)
    except BodyBrokenError as error:
        raise RefusalError(
            "cut-off", "The connection broke. Nothing was stored. Upload the file again."
        ) from error
    finally:
        path.unlink(missing_ok=True)


def receive(
    body: ByteSource,
    append: Callable[[bytearray], int],
    most: int,
    *,
    taking_in: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> bytes:
    """Read a body to its end and append it piece by piece; returns its SHA-256, 32 bytes.

    Args:
        append: takes what it can from the start of the bytes and says how many those were.
        most: bytes that the body may have.
        taking_in: entered for each piece; lets others go first.

    Raises:
        BodyBrokenError: the body is not whole; what arrived was appended.
        RefusalError: ``digest-mismatch``: more bytes came than were announced.
    """
    digest, buffer, n_bytes = hashlib.sha256(), bytearray(), 0
    try:
        while chunk := body.read(_READ_BYTES):
            n_bytes += len(chunk)
            if n_bytes > most:
                raise RefusalError(
                    "digest-mismatch", "More bytes arrived than were announced. Send it again."
                )
            with taking_in():
                digest.update(chunk)
                buffer += chunk
                if len(buffer) >= _FLUSH_BYTES:
                    del buffer[: append(buffer)]
    except BodyBrokenError:
        append(buffer)
        raise
    append(buffer)
    return digest.digest()


def check_size(installation: Installation, n_bytes: int) -> None:
    """Whether the server takes a file of this size.  Raises: RefusalError: ``too-large``."""
    most = installation.config.max_upload_bytes
    if n_bytes > most:
        raise RefusalError(
            "too-large",
            f"The file is larger than the {most} bytes that this server takes. "
            "Ask the linkage operator.",
            details={"max_bytes": most},
        )


def check_digest(found: bytes, signed: bytes) -> None:
    """Whether what arrived is what was signed.  Raises: RefusalError: ``digest-mismatch``."""
    if not hmac.compare_digest(found, signed):
        raise _other_content(found.hex())


def _other_content(sha256: str) -> RefusalError:
    return RefusalError(
        "digest-mismatch",
        "What arrived is not what was signed: the file was changed or cut off on its way. "
        "Nothing was stored. Upload it again.",
        details={"sha256": sha256},
    )


def keep_upload(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    path: Path,
    sha256: str,
    n_bytes: int,
    admission: Admission,
) -> tuple[dict[str, Any], bool]:
    """Check a file that has arrived whole, and put it into place; replaces an earlier one.

    Args:
        path: of the encrypted file; moved when it is good.
        admission: by what right it began to arrive.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, ``wrong-state``, ``not-signed``,
            ``no-confirmation``, ``too-large``, ``digest-mismatch``, ``bad-upload``,
            ``wrong-profile``, ``wrong-secret`` or ``conflict``.
    """
    details: Details = {"office": office, "sha256": sha256, "n_bytes": n_bytes}
    context = encoding_context(round_id, sha256)
    upload = StoredUpload(path, admission.data_key, context, sha256, n_bytes)
    manifest = _inspected(installation, upload, details)
    details["n_records"] = manifest.n_records
    # What will be refused anyway need not be brought anywhere.
    with installation.database.reading() as session:
        work = Work(session, installation.clock(), caller)
        _check(installation, work, round_id, office, manifest, details, admission)
    try:
        installation.encodings.bring(path, round_id, sha256)
        return _keep(installation, caller, round_id, office, path, manifest, details, admission)
    except BaseException:
        # Perhaps the file is in its place and no row is: the database says what is true.
        with contextlib.suppress(Exception):
            delete_leftovers(installation, Leftovers(files=[(round_id, sha256)]))
        raise


def _inspected(installation: Installation, upload: StoredUpload, details: Details) -> Manifest:
    try:
        with installation.transfers.set_aside(), installation.workspace.folder() as folder:
            return installation.inspection.inspect(upload, folder / "upload.tqe")
    except AtRestError as error:
        raise RefusalError("digest-mismatch", _BROKEN, details=details) from error
    except OtherContentError as error:
        raise _other_content(error.sha256) from error
    except TqeFormatError as error:
        raise RefusalError("bad-upload", f"{error} Nothing was stored.", details=details) from error
    except InspectionBrokenError as error:
        raise RefusalError("bad-upload", _UNREADABLE, details=details) from error


_BROKEN = (
    "What was stored so far is damaged. Nothing of it was kept. Begin again with "
    "`tongqiao office upload`."
)

_UNREADABLE = (
    "The server could not read this file to its end, so nothing was stored. Encode the records "
    "again, then upload. If that fails too, tell the linkage operator: perhaps the server has too "
    "little memory."
)


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
        return outline(upload)


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
        status = outline(upload)
        work.session.delete(upload)
        leave_traces(work, Upload)
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
    gone = Leftovers(files=[(round_id, status["sha256"])], has_traces=True)
    delete_leftovers(installation, gone)
    return status


def _keep(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    path: Path,
    manifest: Manifest,
    details: Details,
    admission: Admission,
) -> tuple[dict[str, Any], bool]:
    sha256 = str(details["sha256"])
    leftovers = Leftovers()
    with installation.work(caller) as work:
        entry = _check(installation, work, round_id, office, manifest, details, admission)
        known = entry.upload_of(office)
        replaced = None if known is None else known.sha256
        upload = known or Upload(round_id=entry.id, office_id=office)
        upload.sha256, upload.n_bytes = sha256, int(details["n_bytes"] or 0)
        upload.n_records, upload.received_at = manifest.n_records, work.now
        work.session.add(upload)
        part = work.session.get(UploadPart, (entry.id, office))
        if replaced is not None:
            leave_traces(work, Upload)
        if part is not None:
            # Either this very file, or one that this file makes out of date.
            leftovers.incoming.append(part.file)
            work.session.delete(part)
        work.session.flush()
        work.record(
            Action.UPLOAD_PUT,
            project=entry.project_id,
            round_id=entry.id,
            details={**details, "replaced": replaced},
        )
        # Before the commit: a row must never point to a file that is not there.
        installation.encodings.place(path, entry.id, sha256)
        status = outline(upload)
    if replaced not in (None, sha256):
        leftovers.files.append((round_id, str(replaced)))
    delete_leftovers(installation, leftovers)
    return status, known is None


def _check(
    installation: Installation,
    work: Work,
    round_id: str,
    office: str,
    manifest: Manifest,
    details: Details,
    admission: Admission,
) -> Round:
    """Whether the round takes this file now; returns the round."""
    entry = admitted(work, round_id, office)
    check_admission(installation, work, entry, office, admission)
    check_against_terms(entry, manifest, installation.config.max_records, details)
    check_own(work, entry, office, str(details["sha256"]), details)
    return entry


def _own_upload(work: Work, entry: Round, office: str) -> Upload:
    if work.caller.member != office:
        raise RefusalError("forbidden", "An office sees and withdraws its own upload only.")
    upload = entry.upload_of(office)
    if upload is None:
        raise RefusalError("not-found", "This office has uploaded nothing in this round.")
    return upload


def outline(upload: Upload) -> dict[str, Any]:
    """An upload as its office sees it."""
    return {
        "sha256": upload.sha256,
        "n_records": upload.n_records,
        "n_bytes": upload.n_bytes,
        "received_at": format_time(upload.received_at),
    }
