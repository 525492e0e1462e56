"""The second factor: one-time codes (RFC 6238), and recovery codes for who lost the device."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final

import pyotp
from sqlalchemy import delete
from sqlalchemy.orm import Session

from api.server.models import Person, RecoveryCode
from api.server.services.installation import Installation
from keys import cipher_suites

N_RECOVERY_CODES: Final = 10
_STEP_S: Final = 30
_DRIFT_STEPS: Final = 1
_KEY_BYTES: Final = 32
_SECRET_BYTES: Final = 20
"""RFC 4226, section 4: 160 bits; longer ones some apps do not take."""
_RECOVERY_BYTES: Final = 10


def new_factor(installation: Installation, person: Person) -> pyotp.TOTP:
    """Give a person a new secret for one-time codes; the one before is void."""
    key = secrets.token_bytes(_KEY_BYTES)
    person.factor = installation.data_key.wrap(
        key, suite=cipher_suites.DEFAULT, context=_context(person)
    )
    person.factor_step = 0
    return _totp(key)


def use_code(
    installation: Installation, session: Session, person: Person, code: str, now: datetime
) -> bool:
    """Whether this is the person's code now; used up by asking.

    Args:
        installation: whose key opens the person's secret.
        session: the transaction that notes the use.
        person: who claims to log in.
        code: six digits of the app, or a recovery code.
        now: the server's clock; one step (30 s) before and after is taken.
    """
    text = code.replace(" ", "").replace("-", "")
    if len(text) == 6 and text.isascii() and text.isdecimal():
        return _use_one_time_code(installation, person, text, now)
    found = session.get(RecoveryCode, (person.id, _recovery_hash(text)))
    if found is None:
        return False
    session.delete(found)
    return True


def new_recovery_codes(session: Session, person: Person) -> list[str]:
    """Ten new recovery codes, ``XXXX-XXXX-XXXX-XXXX``; those before are void.

    Only their hashes are kept: 80 random bits each need no slow hash.
    """
    session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person.id))
    codes = []
    for _ in range(N_RECOVERY_CODES):
        text = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode()
        session.add(RecoveryCode(person_id=person.id, sha256=_recovery_hash(text)))
        codes.append("-".join(text[at : at + 4] for at in range(0, len(text), 4)))
    return codes


def _use_one_time_code(
    installation: Installation, person: Person, code: str, now: datetime
) -> bool:
    if person.factor is None:
        return False
    totp = _totp(installation.data_key.unwrap(person.factor, context=_context(person)))
    step = int(now.timestamp()) // _STEP_S
    for candidate in range(step - _DRIFT_STEPS, step + _DRIFT_STEPS + 1):
        # RFC 6238, section 5.2: a code is taken once.
        if candidate > person.factor_step and hmac.compare_digest(
            totp.generate_otp(candidate), code
        ):
            person.factor_step = candidate
            return True
    return False


def _totp(key: bytes) -> pyotp.TOTP:
    return pyotp.TOTP(base64.b32encode(key[:_SECRET_BYTES]).decode(), interval=_STEP_S)


def _context(person: Person) -> str:
    # No round's id holds a slash, so no round's key can be taken for this.
    return f"person/{person.id}"


def _recovery_hash(text: str) -> str:
    return hashlib.sha256(text.upper().encode()).hexdigest()
