"""What can happen, and the exact bytes in which the log says so (``AUDIT_LOG.md``).

Only the standard library: the server that writes entries and the auditor who verifies them
offline share this module.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from api.audit.errors import AuditEventError, EntryError

ENTRY_VERSION: Final = 1
MAX_ENTRY_BYTES: Final = 8192
MAX_DETAILS: Final = 16

DetailValue = str | int | None


class Action(StrEnum):
    """Everything that leaves an entry, as ``subject:verb``; nothing else can be logged."""

    CHECKPOINT_COSIGN = "checkpoint:cosign"
    CHECKPOINT_READ = "checkpoint:read"
    DATA_DELETE = "data:delete"
    DATA_ENCRYPT = "data:encrypt"
    DATA_KEY = "data:key"
    DATA_SWEEP = "data:sweep"
    DATABASE_MIGRATE = "database:migrate"
    FINDING_MARK = "finding:mark"
    JOB_FAIL = "job:fail"
    JOB_FINISH = "job:finish"
    JOB_RELEASE = "job:release"
    JOB_RESUME = "job:resume"
    JOB_START = "job:start"
    LOG_CHECK = "log:check"
    LOG_EXPORT = "log:export"
    LOG_PROVE = "log:prove"
    LOG_READ = "log:read"
    LOG_REPORT = "log:report"
    LOG_SEAL = "log:seal"
    LOG_TASK = "log:task"
    LOGIN_BEGIN = "login:begin"
    MEMBER_ADD = "member:add"
    MEMBER_APPROVE = "member:approve"
    MEMBER_ENROL = "member:enrol"
    MEMBER_LIST = "member:list"
    MEMBER_READ = "member:read"
    MEMBER_REVOKE = "member:revoke"
    MEMBER_ROTATE = "member:rotate"
    PERSON_ADD = "person:add"
    PERSON_DISABLE = "person:disable"
    PERSON_ENROL = "person:enrol"
    PERSON_INVITE = "person:invite"
    PERSON_LIST = "person:list"
    PERSON_PASSWORD = "person:password"  # noqa: S105
    PERSON_RECOVERY = "person:recovery"
    PROFILE_READ = "profile:read"
    PROJECT_CREATE = "project:create"
    PROJECT_EXCLUDE = "project:exclude"
    PROJECT_LIST = "project:list"
    PROJECT_PLACE = "project:place"
    PROJECT_READ = "project:read"
    PROJECT_WITNESS = "project:witness"
    REQUEST_FAIL = "request:fail"
    REQUEST_REFUSED = "request:refused"
    RESULTS_ACKNOWLEDGE = "results:acknowledge"
    RESULTS_READ = "results:read"
    REVIEW_READ = "review:read"
    ROUND_AMEND = "round:amend"
    ROUND_ASK = "round:ask"
    ROUND_CANCEL = "round:cancel"
    ROUND_CREATE = "round:create"
    ROUND_EXCLUDE = "round:exclude"
    ROUND_EXPIRE = "round:expire"
    ROUND_FREEZE = "round:freeze"
    ROUND_LIST = "round:list"
    ROUND_OPEN = "round:open"
    ROUND_READ = "round:read"
    ROUND_RECALL = "round:recall"
    ROUND_RELEASE = "round:release"
    ROUND_REVIEW = "round:review"
    ROUND_RUN = "round:run"
    ROUND_UNDO = "round:undo"
    ROUND_WITHDRAW = "round:withdraw"
    SECRET_GET = "secret:get"  # noqa: S105
    SECRET_PUT = "secret:put"  # noqa: S105
    SERVER_BACKUP = "server:backup"
    SERVER_INIT = "server:init"
    SERVER_RESTORE = "server:restore"
    SERVER_START = "server:start"
    SERVER_STOP = "server:stop"
    SESSION_BEGIN = "session:begin"
    SESSION_END = "session:end"
    SESSION_READ = "session:read"
    TERMS_SIGN = "terms:sign"
    TILE_READ = "tile:read"
    UPLOAD_APPEND = "upload:append"
    UPLOAD_BEGIN = "upload:begin"
    UPLOAD_DROP = "upload:drop"
    UPLOAD_PUT = "upload:put"
    UPLOAD_READ = "upload:read"
    UPLOAD_WITHDRAW = "upload:withdraw"
    WORKER_START = "worker:start"
    WORKER_STOP = "worker:stop"


class Outcome(StrEnum):
    """How it ended."""

    GRANTED = "granted"
    REFUSED = "refused"
    FAILED = "failed"


ROLES: Final = frozenset({"office", "operator", "auditor", "administrator", "server", "worker"})
"""Roles of actors: the three of members, ``administrator`` for commands given on the server's own
machine, and ``server`` and ``worker`` for what the program does by itself."""

# A closing \Z, because $ also matches before a newline at the end.
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_ACTION = re.compile(r"[a-z][a-z-]{0,30}:[a-z][a-z-]{0,30}\Z")
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}\Z")
_DETAIL_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_DETAIL_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,89}\Z")
_DIGEST = re.compile(r"(?:sha256:)?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})\Z")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z\Z"
)

# A mobile number, with or without 86, and an identity number of 15 or 18 places (GB 11643).
_PERSONAL_NUMBER = re.compile(
    r"(?<![0-9])(?:(?:86)?1[3-9][0-9]{9}|[1-9][0-9]{14}|[1-9][0-9]{16}[0-9Xx])(?![0-9])"
)

_MAX_COUNT: Final = 10**10 - 1
"""Below the smallest mobile number, so that none can pass for a count."""

_MAX_SIZE: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exact (RFC 8785, section 3.2.2.3)."""

# Made once: to make an encoder takes as long as to use it.
_ENCODE: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode

_KEYS: Final = frozenset(
    {
        "action", "actor", "details", "index", "origin", "outcome", "project", "reason",
        "request", "role", "round", "time", "v",
    }
)  # fmt: skip


def subject_of(details: Mapping[str, DetailValue]) -> str | None:
    """The member whose data an event is about, where its details name one."""
    for name in ("office", "member", "person"):
        value = details.get(name)
        if isinstance(value, str):
            return value
    return None


def is_loggable_id(text: str) -> bool:
    """Whether a text from a request may stand in the log as an id; if not, log ``None``."""
    return _ID.match(text) is not None and _PERSONAL_NUMBER.search(text) is None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that happened or was refused; holds ids, hashes and counts only.

    Args:
        actor: id of the member, ``None`` if nobody has proved who they are.
        role: one of :data:`ROLES`, or ``None``.
        details: at most 16 names with ids, hashes (32, 40 or 64 hex characters) or counts.
        reason: why it was refused or failed, as a slug; required unless granted.
        request_id: the request's name, as the caller was told it.
        origin: address of the caller, IPv4 or IPv6.

    Raises:
        AuditEventError: a value could be personal data, or has not the form above.
    """

    action: Action
    outcome: Outcome = Outcome.GRANTED
    actor: str | None = None
    role: str | None = None
    project: str | None = None
    round: str | None = None
    details: Mapping[str, DetailValue] = field(default_factory=dict)
    reason: str | None = None
    request_id: str | None = None
    origin: str | None = None

    def __post_init__(self) -> None:
        # Text that equals a member would be logged as well, but then a typing error could pass.
        if not isinstance(self.action, Action):
            raise AuditEventError("action must be one of Action: add it there if it is missing")
        if not isinstance(self.outcome, Outcome):
            raise AuditEventError("outcome must be one of Outcome")
        if self.outcome is not Outcome.GRANTED and self.reason is None:
            raise AuditEventError("an event that was refused or failed needs a reason")
        object.__setattr__(self, "details", MappingProxyType(dict(self.details)))
        _verify_fields(
            {
                "actor": self.actor,
                "role": self.role,
                "project": self.project,
                "round": self.round,
                "reason": self.reason,
                "request": self.request_id,
                "origin": self.origin,
                "details": self.details,
            }
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as read from a log; ``action`` is text, so that later versions' can be read."""

    index: int
    time: str
    action: str
    outcome: str
    actor: str | None
    role: str | None
    project: str | None
    round: str | None
    details: Mapping[str, DetailValue]
    reason: str | None
    request_id: str | None
    origin: str | None


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, rounded down: ``2026-08-03T09:00:00.123Z``.

    Raises:
        AuditEventError: the time has no time zone.
    """
    if moment.tzinfo is None:
        raise AuditEventError("a time in the log needs a time zone")
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z".rjust(24, "0")


def entry_bytes(event: AuditEvent, index: int, time: str) -> bytes:
    """The bytes that are hashed: RFC 8785 canonical JSON, without a newline.

    Raises:
        AuditEventError: longer than ``MAX_ENTRY_BYTES``.
    """
    data = _canonical(
        {
            "action": str(event.action),
            "actor": event.actor,
            "details": dict(event.details),
            "index": index,
            "origin": event.origin,
            "outcome": str(event.outcome),
            "project": event.project,
            "reason": event.reason,
            "request": event.request_id,
            "role": event.role,
            "round": event.round,
            "time": time,
            "v": ENTRY_VERSION,
        }
    )
    if len(data) > MAX_ENTRY_BYTES:
        raise AuditEventError("the details are too long for one entry")
    return data


def parse_entry(line: bytes) -> Entry:
    """Read an entry that comes from elsewhere; ``line`` is without its newline.

    Raises:
        EntryError: not byte for byte in the form of ``AUDIT_LOG.md``.
    """
    value = _parse_object(line)
    if value.keys() != _KEYS:
        raise EntryError("it has not exactly the fields of an entry")
    if value["v"] != ENTRY_VERSION or type(value["v"]) is not int:
        raise EntryError("it is of another version of the log: use a newer tongqiao")
    index, time = value["index"], value["time"]
    if type(index) is not int or not 0 <= index <= _MAX_SIZE:
        raise EntryError("its index is not a whole number")
    if not isinstance(time, str) or not is_time(time):
        raise EntryError("its time is not one")
    if not isinstance(value["action"], str) or not _ACTION.match(value["action"]):
        raise EntryError("its action is not one")
    if value["outcome"] not in tuple(Outcome):
        raise EntryError("its outcome is not one")
    if not isinstance(value["details"], dict):
        raise EntryError("its details are not an object")
    try:
        _verify_fields(value)
    except AuditEventError as error:
        raise EntryError(str(error)) from error
    # Also refuses repeated names, spaces, other spellings of the same number or character.
    if _canonical(value) != line:
        raise EntryError("it is not in canonical form")
    return Entry(
        index=index,
        time=time,
        action=value["action"],
        outcome=value["outcome"],
        actor=value["actor"],
        role=value["role"],
        project=value["project"],
        round=value["round"],
        details=value["details"],
        reason=value["reason"],
        request_id=value["request"],
        origin=value["origin"],
    )


def renumbered(line: bytes, index: int) -> bytes | None:
    """The same entry with another index; ``None`` if the line cannot be read."""
    try:
        value = _parse_object(line)
    except EntryError:
        return None
    value["index"] = index
    return _canonical(value)


def canonical_line(fields: Mapping[str, Any]) -> bytes:
    """The bytes of an entry with these fields, which may be none; ``v`` is added."""
    return _canonical({**fields, "v": ENTRY_VERSION})


def is_time(text: str) -> bool:
    """Whether this is a time as :func:`format_time` writes it, and one that exists."""
    if not _TIME.match(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _parse_object(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_ENTRY_BYTES:
        raise EntryError("it is longer than an entry can be")
    try:
        value = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise EntryError("it is not JSON in ASCII") from error
    if not isinstance(value, dict):
        raise EntryError("it is not an object")
    return value


def _canonical(value: Mapping[str, Any]) -> bytes:
    # Equal to RFC 8785 for what an entry can hold: ASCII text, whole numbers below 2^53, null.
    return _ENCODE(value).encode()


def _verify_fields(fields: Mapping[str, Any]) -> None:
    for name in ("actor", "project", "round", "reason"):
        _verify_text(name, fields[name], _ID)
    _verify_text("request", fields["request"], _REQUEST_ID)
    role = fields["role"]
    if role is not None and (not isinstance(role, str) or role not in ROLES):
        raise AuditEventError("its role is not one of the log's roles")
    _verify_address(fields["origin"])
    details: Mapping[Any, Any] = fields["details"]
    if len(details) > MAX_DETAILS:
        raise AuditEventError("it has more details than an entry can have")
    for name, value in details.items():
        if not isinstance(name, str) or not _DETAIL_NAME.match(name):
            raise AuditEventError("the name of a detail is not like n_records")
        _verify_detail(name, value)


def _verify_text(name: str, value: object, pattern: re.Pattern[str]) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not pattern.match(value):
        raise AuditEventError(f"its {name} is not an id: small letters, digits and hyphens")
    # A request's id is random hex: some would be taken for a number by chance.
    if name != "request" and _PERSONAL_NUMBER.search(value):
        raise AuditEventError(f"its {name} looks like a phone or identity number")


def _verify_address(value: object) -> None:
    if value is None:
        return
    try:
        if not isinstance(value, str) or not _ADDRESS.match(value):
            raise ValueError
        ipaddress.ip_address(value)
    except ValueError as error:
        raise AuditEventError("its origin is not an IP address") from error


def _verify_detail(name: str, value: object) -> None:
    if value is None:
        return
    if type(value) is int:
        limit = _MAX_SIZE if name.endswith("_bytes") else _MAX_COUNT
        if not 0 <= value <= limit:
            raise AuditEventError(f"its detail {name} is not a count")
    elif isinstance(value, str):
        if _DIGEST.match(value):
            return
        if not _DETAIL_TEXT.match(value):
            raise AuditEventError(f"its detail {name} is no id, hash or count")
        if _PERSONAL_NUMBER.search(value):
            raise AuditEventError(f"its detail {name} looks like a phone or identity number")
    else:
        raise AuditEventError(f"its detail {name} is no id, hash or count")
