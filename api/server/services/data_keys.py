"""The key that a round's stored encodings are encrypted with: made, unwrapped, destroyed."""

import hashlib
import hmac

from sqlalchemy.orm import Session

from api.audit.events import Action
from api.server.models import Round, RoundKey
from api.server.round_states import Actor, Deed, State, check_deed
from api.server.services.installation import Installation
from api.server.services.steps import suite_of
from api.server.services.traces import leave_traces
from api.server.services.work import Caller, Work
from keys.errors import AtRestError
from keys.installation_key import new_data_key


def data_key_of(installation: Installation, round_id: str) -> bytes:
    """A round's data key, 32 bytes.

    Raises:
        AtRestError: there is none (any more), or it was wrapped by another installation key.
    """
    with installation.database.reading() as session:
        return _unwrapped(installation, session, round_id)


def ensure_data_key(installation: Installation, caller: Caller, round_id: str) -> bytes:
    """A round's data key; made, where the round was opened before encodings were encrypted.

    Raises:
        RefusalError: ``wrong-state``: the round takes no uploads (any more).
        AtRestError: it was wrapped by another installation key.
    """
    with installation.database.reading() as session:
        if session.get(RoundKey, round_id) is not None:
            return _unwrapped(installation, session, round_id)
    with installation.work(caller) as work:
        entry = work.session.get_one(Round, round_id)
        # A key made after the round has ended would be destroyed by nobody.
        check_deed(Deed.UPLOAD, State(entry.state), Actor.OFFICE)
        make_data_key(installation, work, entry)
        return _unwrapped(installation, work.session, round_id)


def is_data_key(
    installation: Installation, session: Session, round_id: str, data_key: bytes
) -> bool:
    """Whether this is a round's data key still: amended terms have another one."""
    if session.get(RoundKey, round_id) is None:
        return False
    return hmac.compare_digest(_unwrapped(installation, session, round_id), data_key)


def make_data_key(installation: Installation, work: Work, entry: Round) -> None:
    """Give a round its data key, if it has none yet, with an entry in the log."""
    if work.session.get(RoundKey, entry.id) is None:
        wrapped = installation.data_key.wrap(
            new_data_key(), suite=suite_of(entry), context=entry.id
        )
        work.session.add(RoundKey(round_id=entry.id, wrapped=wrapped, created_at=work.now))
        work.session.flush()
    work.record(
        Action.DATA_KEY,
        project=entry.project_id,
        round_id=entry.id,
        details={"cipher_suite": suite_of(entry).name},
    )


def destroy_data_key(work: Work, entry: Round) -> None:
    """Delete a round's data key, with an entry in the log; what it encrypted is lost for ever."""
    key = work.session.get(RoundKey, entry.id)
    if key is None:
        return
    work.session.delete(key)
    leave_traces(work, RoundKey)
    work.record(
        Action.DATA_DELETE,
        project=entry.project_id,
        round_id=entry.id,
        # Of the wrapped key, which tells nothing of the key itself.
        details={"data_key": hashlib.sha256(key.wrapped).hexdigest()},
    )


def encoding_context(round_id: str, sha256: str) -> str:
    """What a stored file is bound to (``keys/AT_REST.md``)."""
    return f"{round_id}/{sha256}"


def _unwrapped(installation: Installation, session: Session, round_id: str) -> bytes:
    key = session.get(RoundKey, round_id)
    if key is None:
        raise AtRestError(
            "The key of this round's encodings was destroyed; they cannot be read any more."
        )
    return installation.data_key.unwrap(key.wrapped, context=round_id)
