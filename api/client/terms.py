"""The terms of a round as offices and operators read them (``docs/http-api.md``, "Terms").

Whoever signs must understand all of it, so nothing unknown is accepted.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from api.client.errors import printable
from keys.canonical import canonical_json
from keys.cipher_suites import CIPHER_SUITES, DEFAULT, CipherSuite
from linkage.errors import LinkageError

TERMS_FORMAT = "tongqiao-terms-v2"
FIRST_FORMAT = "tongqiao-terms-v1"
"""Terms of older rounds, which say nothing of witnesses."""

MAX_TERMS_BYTES = 1024 * 1024

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_TEXT_CHARACTERS = 2000
_MAX_MEMBERS = 1000
_MAX_RETENTION_DAYS = 3650
_MAX_RECORDS = 1_000_000_000
_SOLVE_MODES = ("groups", "one-to-one", "pairs")


class TermsError(LinkageError):
    """The terms of a round are not well formed, or not the ones that were read."""


@dataclass(frozen=True, slots=True)
class TermsMember:
    """An office that takes part, and its role in the project."""

    office: str
    role: str


@dataclass(frozen=True, slots=True)
class Terms:
    """Checked terms.

    Attributes:
        visibility: ``None`` where all members see their links with all others, else a matrix: of
            every role, the roles whose links with it an office of that role is given.
        threshold: ``None`` where it is chosen automatically, else the least score of a link.
        min_witnesses: how many members must have witnessed the access log before links are
            released; ``None`` in terms of the first form, where the project says so.
        sha256: hex hash of the canonical form, which is what offices sign.
        document: the terms as JSON values.
    """

    project: str
    round: str
    purpose: str
    coordinating_office: str
    secret_epoch: int
    members: tuple[TermsMember, ...]
    profile_name: str
    profile_sha256: str
    cleaning: str
    visibility: Mapping[str, tuple[str, ...]] | None
    solve: Literal["groups", "one-to-one", "pairs"]
    threshold: float | None
    retention_days: int
    max_records: int
    min_witnesses: int | None
    suite: CipherSuite
    sha256: str
    document: Mapping[str, Any]

    @property
    def context(self) -> str:
        """Context that the keys of the round are derived for."""
        return f"{self.project}/{self.round}"

    def role_of(self, office: str) -> str | None:
        """Role of a member; ``None`` where the office is no member."""
        return next((member.role for member in self.members if member.office == office), None)

    def counterparts_of(self, office: str) -> tuple[TermsMember, ...]:
        """The members whose links with ``office`` that office gets to see, in order."""
        role = self.role_of(office)
        if role is None:
            return ()
        return tuple(
            member
            for member in self.members
            if member.office != office
            and (self.visibility is None or member.role in self.visibility[role])
        )


def terms_sha256(document: Mapping[str, Any]) -> str:
    """Hex SHA-256 over the RFC 8785 form of the terms."""
    return hashlib.sha256(canonical_json(document)).hexdigest()


def parse_terms(source: bytes | Mapping[str, Any]) -> Terms:
    """Parse terms from JSON text, or from a JSON object already read.

    Raises:
        TermsError: with the key that is wrong and what is expected.
    """
    body = _read_json(source) if isinstance(source, bytes) else source
    _expect_keys(
        body,
        "The terms",
        "format project round purpose coordinating_office secret_epoch members profile cleaning "
        "visibility solve threshold retention_days max_records",
        optional="cipher_suite min_witnesses",
    )
    if body["format"] not in (TERMS_FORMAT, FIRST_FORMAT):
        raise TermsError(f"The terms' format is not {TERMS_FORMAT}. Update the program.")
    members = _parse_members(body["members"])
    profile = _table(body["profile"], "profile")
    _expect_keys(profile, "The profile in the terms", "name sha256")
    if body["solve"] not in _SOLVE_MODES:
        raise TermsError(f"solve in the terms must be one of: {', '.join(_SOLVE_MODES)}.")
    return Terms(
        project=_id(body["project"], "project"),
        round=_id(body["round"], "round"),
        purpose=_text(body["purpose"], "purpose"),
        coordinating_office=_id(body["coordinating_office"], "coordinating_office"),
        secret_epoch=_whole(body["secret_epoch"], "secret_epoch", 1, 1_000_000),
        members=members,
        profile_name=_text(profile["name"], "profile.name"),
        profile_sha256=_sha256(profile["sha256"]),
        cleaning=_text(body["cleaning"], "cleaning"),
        visibility=_parse_visibility(
            body["visibility"], list(dict.fromkeys(member.role for member in members))
        ),
        solve=body["solve"],
        threshold=_parse_threshold(body["threshold"]),
        retention_days=_whole(body["retention_days"], "retention_days", 1, _MAX_RETENTION_DAYS),
        max_records=_whole(body["max_records"], "max_records", 1, _MAX_RECORDS),
        min_witnesses=_parse_witnesses(body),
        suite=_parse_suite(body.get("cipher_suite", DEFAULT.name)),
        sha256=terms_sha256(body),
        document=body,
    )


def _read_json(data: bytes) -> Mapping[str, Any]:
    if len(data) > MAX_TERMS_BYTES:
        raise TermsError("The file is too large for terms. Give the file of 'office terms'.")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise TermsError(
            "The file holds no terms (it is not proper JSON). Download them with 'office terms'."
        ) from error
    return _table(value, "the whole file")


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        # Two readers might each take another one of the two values.
        raise ValueError("a key appears twice")
    return table


def _parse_members(value: Any) -> tuple[TermsMember, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_MEMBERS:
        raise TermsError("members in the terms must be a list of offices with their roles.")
    members = []
    for entry in value:
        entry = _table(entry, "a member")
        _expect_keys(entry, "A member in the terms", "office role")
        members.append(TermsMember(_id(entry["office"], "office"), _id(entry["role"], "role")))
    if len({member.office for member in members}) != len(members):
        raise TermsError("members in the terms names an office twice.")
    return tuple(members)


def _parse_visibility(value: Any, roles: Sequence[str]) -> Mapping[str, tuple[str, ...]] | None:
    """The matrix, with a row for every role.

    Older terms have pairs of roles that see links with each other: the same, in another form.
    """
    if value == "all":
        return None
    if isinstance(value, list):
        pairs = [_roles_of(pair) for pair in value]
        if not all(len(pair) == 2 for pair in pairs):
            raise _no_visibility()
        rows = {role: {b for a, b in pairs if a == role} for role in roles}
        for a, b in pairs:
            rows.setdefault(b, set()).add(a)
        named = {role for pair in pairs for role in pair}
    elif isinstance(value, dict):
        rows = {role: set(_roles_of(row)) for role, row in value.items()}
        if any(len(rows[role]) != len(row) for role, row in value.items()):
            raise TermsError("visibility in the terms names a role twice in a row.")
        named = rows.keys() | {role for row in rows.values() for role in row}
    else:
        raise _no_visibility()
    if not named <= set(roles):
        raise TermsError("visibility in the terms names a role that no member has.")
    if not any(rows.values()):
        raise TermsError("visibility in the terms shows links to nobody.")
    return {role: tuple(r for r in roles if r in rows.get(role, ())) for role in roles}


def _roles_of(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise _no_visibility()
    return [_id(role, "visibility") for role in value]


def _no_visibility() -> TermsError:
    return TermsError(
        'visibility in the terms must be "all" or a matrix: of each role, the roles whose links '
        "it sees."
    )


def _parse_threshold(value: Any) -> float | None:
    if value == "auto":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise TermsError('threshold in the terms must be "auto" or a number from 0 to 1.')
    return float(value)


def _parse_witnesses(body: Mapping[str, Any]) -> int | None:
    if ("min_witnesses" in body) is (body["format"] == FIRST_FORMAT):
        raise TermsError(f"min_witnesses goes with terms of {TERMS_FORMAT}, and must be there.")
    if body["format"] == FIRST_FORMAT:
        return None
    return _whole(body["min_witnesses"], "min_witnesses", 0, _MAX_MEMBERS)


def _parse_suite(value: Any) -> CipherSuite:
    suite = CIPHER_SUITES.get(value) if isinstance(value, str) else None
    if suite is None:
        raise TermsError(
            f"cipher_suite in the terms must be one of: {', '.join(CIPHER_SUITES)}. Update the "
            "program if the operator names another."
        )
    return suite


def _expect_keys(body: Mapping[str, Any], where: str, keys: str, *, optional: str = "") -> None:
    expected = set(keys.split())
    missing, unknown = expected - body.keys(), body.keys() - expected - set(optional.split())
    if missing:
        raise TermsError(f"{where}: these keys are missing: {', '.join(sorted(missing))}.")
    if unknown:
        raise TermsError(
            f"{where}: {len(unknown)} key(s) are not known to this program. Update it."
        )


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TermsError(f"The terms: {where} must be an object.")
    return value


def _id(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise TermsError(
            f"{where} in the terms must be an id: small letters, digits and hyphens, at most 63."
        )
    return value


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise TermsError("profile.sha256 in the terms must be 64 hexadecimal characters.")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _MAX_TEXT_CHARACTERS:
        raise TermsError(
            f"{where} in the terms must be a text, not empty, not over 2000 characters."
        )
    # Invisible characters could make the text read otherwise on the screen of who signs it.
    if printable(value, _MAX_TEXT_CHARACTERS) != " ".join(value.split()):
        raise TermsError(f"{where} in the terms holds characters that cannot be shown.")
    return value


def _whole(value: Any, where: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise TermsError(f"{where} in the terms must be a whole number from {low} to {high}.")
    return value
