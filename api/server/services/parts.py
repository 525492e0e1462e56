"""Uploads that go on where a connection broke.

The shape is that of the IETF's resumable uploads (draft-ietf-httpbis-resumable-upload): begin, ask
for the offset, append at the offset, complete.  What differs: the offset is in the address, since
that is signed; and the hash of the whole file is known from the beginning.

A part is an encrypted file of whole chunks.  What arrived stays even if its request was cut off,
before anything proved that it is what was signed: the hash of the whole decides at the end.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from api.audit.events import Action
from api.server.models import Round, UploadPart
from api.server.refusals import RefusalError
from api.server.services.data_keys import data_key_of, encoding_context
from api.server.services.incoming import (
    IncomingFile,
    incoming_offset,
    new_incoming_file,
    open_incoming_file,
)
from api.server.services.installation import Installation, format_time
from api.server.services.retention import Leftovers, delete_leftovers
from api.server.services.upload_checks import admit, admitted, check_admission
from api.server.services.uploads import (
    BodyBrokenError,
    ByteSource,
    check_digest,
    check_size,
    keep_upload,
    outline,
    receive,
)
from api.server.services.work import Caller, Work
from keys.errors import AtRestError

_FAULTS_OF_THE_FILE = frozenset(
    {"bad-upload", "wrong-profile", "wrong-secret", "digest-mismatch", "too-large", "conflict"}
)
"""Refusals that the same bytes would meet again: such a part is of no use any more."""


def begin_part(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    *,
    sha256: str,
    n_bytes: int,
) -> tuple[dict[str, Any], bool]:
    """Begin an upload, or find the one of the same file that was begun before.

    An upload of another file that was begun before is dropped; what the office uploaded whole
    stays until this one is complete.

    Returns:
        Where it stands, and whether it is new.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, ``wrong-state``, ``not-signed``,
            ``no-confirmation`` or ``too-large``.
    """
    check_size(installation, n_bytes)
    admission = admit(installation, caller, round_id, office)
    # Made and synced before the write lock is taken: nobody waits for the disk but this office.
    path: Path = installation.incoming.new_path()
    context = encoding_context(round_id, sha256)
    with new_incoming_file(
        path,
        suite=admission.suite,
        data_key=admission.data_key,
        n_bytes=n_bytes,
        context=context,
    ) as incoming:
        incoming.sync()
    unused = Leftovers(incoming=[path.name])
    try:
        with installation.work(caller) as work:
            entry = admitted(work, round_id, office)
            check_admission(installation, work, entry, office, admission)
            part = work.session.get(UploadPart, (round_id, office))
            is_new = part is None or not _goes_on(installation, part, sha256, n_bytes)
            if part is not None and is_new:
                unused.incoming.append(part.file)
                work.session.delete(part)
                work.session.flush()
            if part is None or is_new:
                part = _new_part(work, round_id, office, path.name, sha256, n_bytes)
            status = _outline(installation, part)
            _record(work, entry, Action.UPLOAD_BEGIN, part, offset=status["offset"])
        if is_new:
            unused.incoming.remove(path.name)
    except BaseException:
        unused.incoming[1:] = []
        raise
    finally:
        delete_leftovers(installation, unused)
    return status, is_new


def _goes_on(installation: Installation, part: UploadPart, sha256: str, n_bytes: int) -> bool:
    """Whether an upload that was begun is of this very file, and what arrived is there."""
    same = (part.sha256, part.n_bytes) == (sha256, n_bytes)
    return same and _offset(installation, part) is not None


def read_part(
    installation: Installation, caller: Caller, round_id: str, office: str
) -> dict[str, Any]:
    """Where an upload stands.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, ``wrong-state``, ``not-signed`` or
            ``no-confirmation``.
    """
    with installation.work(caller) as work:
        entry = admitted(work, round_id, office)
        part = _part(work, office, entry)
        status = _outline(installation, part)
        _record(work, entry, Action.UPLOAD_READ, part, offset=status["offset"])
        return status


def append_part(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    offset: int,
    body: ByteSource,
    signed_sha256: bytes,
) -> dict[str, Any]:
    """Append a piece at the offset where the upload stands, in constant memory.

    Of a piece that is cut off, what arrived stays, in whole chunks; of one that was changed on its
    way, nothing.  A request that appends ends the one before it, which may still hang.

    Returns:
        Where the upload stands now; less than was sent where the piece ended within a chunk.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, ``wrong-state``, ``not-signed``,
            ``no-confirmation``, ``wrong-offset``, ``digest-mismatch`` or ``cut-off``.
    """
    with installation.work(caller) as work:
        entry = admitted(work, round_id, office)
        part = _part(work, office, entry)
        _check_offset(_outline(installation, part)["offset"], offset)
        part.turn += 1
        turn, n_bytes = part.turn, part.n_bytes
        _record(work, entry, Action.UPLOAD_APPEND, part, offset=offset)
    with _opened(installation, round_id, part) as incoming:

        def append(data: bytearray) -> int:
            with incoming.locked():
                _check_turn(installation, round_id, office, part.file, turn)
                return incoming.append(data)

        try:
            with incoming.locked():
                _check_offset(incoming.offset, offset)
            with installation.transfers.set_aside():
                found = receive(
                    body, append, n_bytes - offset, taking_in=installation.transfers.taking_in
                )
            check_digest(found, signed_sha256)
        except BodyBrokenError as error:
            raise RefusalError(
                "cut-off",
                "The connection broke. What arrived is kept: go on with the same command.",
                details={"office": office, "n_bytes": incoming.offset},
            ) from error
        except RefusalError as refusal:
            if refusal.slug == "digest-mismatch":
                with incoming.locked():
                    _check_turn(installation, round_id, office, part.file, turn)
                    incoming.take_back(offset)
            raise
        finally:
            with installation.transfers.set_aside():
                incoming.sync()
    return _outline(installation, part)


def complete_part(
    installation: Installation, caller: Caller, round_id: str, office: str, sha256: str
) -> tuple[dict[str, Any], bool]:
    """Check an upload of which everything is there, and put it into place.

    Completing again what is complete changes nothing, so an answer that was lost can be had.

    Returns:
        The upload's status, and whether the office had none before.

    Raises:
        RefusalError: ``wrong-offset`` where something is missing, ``unavailable`` while it is
            being checked already, and as ``keep_upload``; after a
            refusal that the same bytes would meet again, the part is gone.
    """
    admission = admit(installation, caller, round_id, office)
    with installation.database.reading() as session:
        work = Work(session, installation.clock(), caller)
        entry = admitted(work, round_id, office)
        part = session.get(UploadPart, (round_id, office))
        upload = entry.upload_of(office)
        is_done = part is None and upload is not None and upload.sha256 == sha256
        if part is not None:
            session.expunge(part)
    if is_done:
        return _completed_before(installation, caller, round_id, office)
    if part is None or part.sha256 != sha256:
        raise _no_part()
    offset = _offset(installation, part)
    if offset is None:
        raise _no_part()
    if offset != part.n_bytes:
        raise RefusalError(
            "wrong-offset",
            f"Only {offset} of {part.n_bytes} bytes have arrived. Send the rest first.",
            errors={"offset": [offset]},
        )
    path = installation.incoming.path(part.file)
    try:
        with _alone(path):
            return keep_upload(
                installation, caller, round_id, office, path, sha256, part.n_bytes, admission
            )
    except RefusalError as refusal:
        if refusal.slug in _FAULTS_OF_THE_FILE and _is_there(installation, part):
            _drop(installation, caller, round_id, office)
        raise


def _is_there(installation: Installation, part: UploadPart) -> bool:
    """Whether this very part is still under way, and not dropped, or another one begun."""
    query = select(UploadPart.file).where(UploadPart.file == part.file)
    with installation.database.reading() as session:
        return session.scalar(query) is not None


def drop_part(
    installation: Installation, caller: Caller, round_id: str, office: str
) -> dict[str, Any]:
    """Delete an upload that is not complete; returns where it stood.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, ``wrong-state``, ``not-signed`` or
            ``no-confirmation``.
    """
    with installation.database.reading() as session:
        work = Work(session, installation.clock(), caller)
        status = _outline(installation, _part(work, office, admitted(work, round_id, office)))
    _drop(installation, caller, round_id, office)
    return status


def _drop(installation: Installation, caller: Caller, round_id: str, office: str) -> None:
    with installation.work(caller) as work:
        part = work.session.get(UploadPart, (round_id, office))
        if part is None:
            raise _no_part()
        _record(work, work.session.get_one(Round, round_id), Action.UPLOAD_DROP, part)
        work.session.delete(part)
    delete_leftovers(installation, Leftovers(incoming=[part.file]))


def _completed_before(
    installation: Installation, caller: Caller, round_id: str, office: str
) -> tuple[dict[str, Any], bool]:
    with installation.work(caller) as work:
        entry = admitted(work, round_id, office)
        upload = entry.upload_of(office)
        if upload is None:
            raise _no_part()
        work.record(
            Action.UPLOAD_READ,
            project=entry.project_id,
            round_id=entry.id,
            details={"office": office, "sha256": upload.sha256},
        )
        return outline(upload), False


def _new_part(
    work: Work, round_id: str, office: str, file: str, sha256: str, n_bytes: int
) -> UploadPart:
    started_at: datetime = work.now
    part = UploadPart(
        round_id=round_id,
        office_id=office,
        file=file,
        sha256=sha256,
        n_bytes=n_bytes,
        turn=0,
        started_at=started_at,
    )
    work.session.add(part)
    work.session.flush()
    return part


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep a sender that asks again, because the check takes long, from starting another one."""
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise _no_part() from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusalError(
                "unavailable", "This upload is being checked. Ask again in a moment."
            ) from error
        yield


@contextlib.contextmanager
def _opened(installation: Installation, round_id: str, part: UploadPart) -> Iterator[IncomingFile]:
    path = installation.incoming.path(part.file)
    context = encoding_context(round_id, part.sha256)
    try:
        data_key = data_key_of(installation, round_id)
        with open_incoming_file(path, data_key=data_key, context=context) as incoming:
            yield incoming
    except (FileNotFoundError, AtRestError) as error:
        raise _no_part() from error


def _check_turn(
    installation: Installation, round_id: str, office: str, file: str, turn: int
) -> None:
    with installation.database.reading() as session:
        query = select(UploadPart.turn).where(
            UploadPart.round_id == round_id,
            UploadPart.office_id == office,
            UploadPart.file == file,
        )
        latest = session.scalar(query)
    if latest != turn:
        raise RefusalError(
            "wrong-offset",
            "Another request goes on with this upload, or it was closed. Ask where it stands.",
        )


def _check_offset(found: int, wanted: int) -> None:
    if found != wanted:
        raise RefusalError(
            "wrong-offset",
            f"The upload stands at {found} bytes. Go on from there.",
            errors={"offset": [found]},
        )


def _part(work: Work, office: str, entry: Round) -> UploadPart:
    part = work.session.get(UploadPart, (entry.id, office))
    if part is None:
        raise _no_part()
    return part


def _no_part() -> RefusalError:
    return RefusalError(
        "not-found", "No upload is under way here. Begin one with `tongqiao office upload`."
    )


def _offset(installation: Installation, part: UploadPart) -> int | None:
    """Where a part stands; ``None`` if its file is gone."""
    try:
        return incoming_offset(installation.incoming.path(part.file), part.n_bytes)
    except FileNotFoundError:
        return None


def _outline(installation: Installation, part: UploadPart) -> dict[str, Any]:
    offset = _offset(installation, part)
    if offset is None:
        raise _no_part()
    return {
        "sha256": part.sha256,
        "n_bytes": part.n_bytes,
        "offset": offset,
        "started_at": format_time(part.started_at),
    }


def _record(
    work: Work, entry: Round, action: Action, part: UploadPart, *, offset: int | None = None
) -> None:
    details: dict[str, str | int | None] = {
        "office": part.office_id,
        "sha256": part.sha256,
        "n_bytes": part.n_bytes,
    }
    if offset is not None:
        details["offset_bytes"] = offset
    work.record(action, project=entry.project_id, round_id=entry.id, details=details)
