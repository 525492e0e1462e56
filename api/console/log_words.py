"""What entries of the access log say, in the reader's language."""

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _l

from api.audit.events import Action, Entry
from api.audit.stored_faults import FaultKind
from api.server.services.log_desk import Verdict

_ACTIONS: Final[Mapping[str, object]] = {
    Action.CHECKPOINT_COSIGN: _l("Witnessed the log"),
    Action.CHECKPOINT_READ: _l("Read checkpoints of the log"),
    Action.DATA_DELETE: _l("Deleted encodings or links"),
    Action.DATA_ENCRYPT: _l("Encrypted stored encodings"),
    Action.DATA_KEY: _l("Made or destroyed the key of stored encodings"),
    Action.DATA_SWEEP: _l("Cleared away what interrupted work had left"),
    Action.DATABASE_MIGRATE: _l("Brought the database up to date"),
    Action.FINDING_MARK: _l("Marked a finding as looked at"),
    Action.JOB_FAIL: _l("A matching failed"),
    Action.JOB_FINISH: _l("A matching was done"),
    Action.JOB_RELEASE: _l("A matching was given back"),
    Action.JOB_RESUME: _l("A matching was taken up again"),
    Action.JOB_START: _l("A matching began"),
    Action.LOG_CHECK: _l("Verified the log on the server"),
    Action.LOG_EXPORT: _l("Exported entries of the log"),
    Action.LOG_PROVE: _l("Proved an entry or a checkpoint"),
    Action.LOG_READ: _l("Read entries of the log"),
    Action.LOG_REPORT: _l("Reported on a period of the log"),
    Action.LOG_SEAL: _l("Sealed old entries in an archive"),
    Action.LOG_TASK: _l("Looked after a verification, report or export"),
    Action.LOGIN_BEGIN: _l("Began to log in at the OpenID provider"),
    Action.MEMBER_ADD: _l("Added a member"),
    Action.MEMBER_APPROVE: _l("Approved an office"),
    Action.MEMBER_ENROL: _l("An office enrolled"),
    Action.MEMBER_LIST: _l("Listed the offices"),
    Action.MEMBER_READ: _l("Read about an office"),
    Action.MEMBER_REVOKE: _l("Revoked an office"),
    Action.MEMBER_ROTATE: _l("An office changed its key"),
    Action.PERSON_ADD: _l("Invited a person"),
    Action.PERSON_DISABLE: _l("Disabled a person"),
    Action.PERSON_ENROL: _l("A person enrolled"),
    Action.PERSON_INVITE: _l("Invited a person anew"),
    Action.PERSON_LIST: _l("Listed the people"),
    Action.PERSON_PASSWORD: _l("Changed the password"),
    Action.PERSON_RECOVERY: _l("Made new recovery codes"),
    Action.PROFILE_READ: _l("Read the encoding profile"),
    Action.PROJECT_CREATE: _l("Created a project"),
    Action.PROJECT_EXCLUDE: _l("Took an office out of a project"),
    Action.PROJECT_LIST: _l("Listed the projects"),
    Action.PROJECT_READ: _l("Read a project"),
    Action.PROJECT_PLACE: _l("Said where the offices of a project stand"),
    Action.PROJECT_WITNESS: _l("Set how many witnesses a project asks for"),
    Action.REQUEST_FAIL: _l("A request failed"),
    Action.REQUEST_REFUSED: _l("A request was refused"),
    Action.RESULTS_ACKNOWLEDGE: _l("Confirmed that the links arrived"),
    Action.RESULTS_READ: _l("Fetched links"),
    Action.REVIEW_READ: _l("Read the review of a round"),
    Action.ROUND_AMEND: _l("Amended the terms of a round"),
    Action.ROUND_ASK: _l("Asked for what a second operator must ask for too"),
    Action.ROUND_CANCEL: _l("Cancelled a round"),
    Action.ROUND_CREATE: _l("Created a round"),
    Action.ROUND_EXCLUDE: _l("Took an office out of a round"),
    Action.ROUND_EXPIRE: _l("A round expired"),
    Action.ROUND_FREEZE: _l("Closed the uploads of a round"),
    Action.ROUND_LIST: _l("Listed the rounds"),
    Action.ROUND_OPEN: _l("Opened a round"),
    Action.ROUND_READ: _l("Read a round"),
    Action.ROUND_RECALL: _l("Took back what had been asked for"),
    Action.ROUND_RELEASE: _l("Released the links of a round"),
    Action.ROUND_REVIEW: _l("A round went to its review"),
    Action.ROUND_RUN: _l("Started a matching"),
    Action.ROUND_UNDO: _l("A round went back a step"),
    Action.ROUND_WITHDRAW: _l("An office withdrew from a round"),
    Action.SECRET_GET: _l("Fetched the sealed linkage secret"),
    Action.SECRET_PUT: _l("Handed over a sealed linkage secret"),
    Action.SERVER_BACKUP: _l("Backed the server up"),
    Action.SERVER_INIT: _l("Set the server up"),
    Action.SERVER_RESTORE: _l("Restored the server from a backup"),
    Action.SERVER_START: _l("The server started"),
    Action.SERVER_STOP: _l("The server stopped"),
    Action.SESSION_BEGIN: _l("Logged in"),
    Action.SESSION_END: _l("Logged out"),
    Action.SESSION_READ: _l("Opened the console"),
    Action.TERMS_SIGN: _l("Signed the terms of a round"),
    Action.TILE_READ: _l("Read hashes of the log"),
    Action.UPLOAD_APPEND: _l("Sent a part of a list"),
    Action.UPLOAD_BEGIN: _l("Began to send a list"),
    Action.UPLOAD_DROP: _l("Gave up sending a list"),
    Action.UPLOAD_PUT: _l("Sent a list"),
    Action.UPLOAD_READ: _l("Asked how far a list was sent"),
    Action.UPLOAD_WITHDRAW: _l("Took a list back"),
    Action.WORKER_START: _l("A worker started"),
    Action.WORKER_STOP: _l("A worker stopped"),
}

_OUTCOMES: Final = {
    "granted": _l("granted"),
    "refused": _l("refused"),
    "failed": _l("failed"),
}

_ROLES: Final = {
    "office": _l("office"),
    "operator": _l("operator"),
    "auditor": _l("auditor"),
    "administrator": _l("administrator"),
    "server": _l("the server itself"),
    "worker": _l("the worker"),
}

_REASONS: Final = {
    "unsigned": _l("the request was not signed"),
    "bad-signature": _l("the signature did not fit"),
    "expired-signature": _l("the signature was too old, or a clock is wrong"),
    "replayed": _l("the same request had been sent before"),
    "bad-login": _l("id, password and code did not belong together"),
    "bad-return": _l("the return from the OpenID provider was not trusted"),
    "no-session": _l("nobody was logged in"),
    "forged": _l("the form did not come from this server"),
    "forbidden": _l("the role may not do this"),
    "not-invited": _l("known to the OpenID provider, but not invited here"),
    "second-person": _l("another person has to do that"),
    "not-found": _l("there was no such thing"),
    "method-not-allowed": _l("the address cannot be used this way"),
    "wrong-state": _l("the round's state did not allow it"),
    "conflict": _l("there was something else already"),
    "not-signed": _l("the terms were not signed"),
    "not-reviewed": _l("the review of this result was not read"),
    "not-witnessed": _l("too few witnesses had signed the log"),
    "no-confirmation": _l("the key was not confirmed yet"),
    "wrong-offset": _l("the sending stood somewhere else"),
    "digest-mismatch": _l("what arrived was not what was signed"),
    "cut-off": _l("the connection broke"),
    "too-large": _l("it was too large"),
    "invalid": _l("a field was missing or wrong"),
    "wrong-secret": _l("it was encoded with another secret"),
    "wrong-profile": _l("it was encoded by other rules"),
    "bad-upload": _l("it was no valid encoded file"),
    "too-many": _l("it was too often"),
    "internal": _l("the program failed"),
    "provider-away": _l("the OpenID provider did not answer"),
    "unavailable": _l("the server was not able to, for the moment"),
    "worker-died": _l("the worker ended abruptly, again and again"),
    "altered-file": _l("a stored file was gone or altered"),
    "matching-error": _l("the encodings could not be matched"),
    "out-of-memory": _l("the machine had too little memory"),
    "read-error": _l("a file could not be read"),
    "write-error": _l("a file could not be written"),
    "log-damaged": _l("the access log in the database is damaged"),
    "too-many-rows": _l("a sheet of Excel cannot hold so many entries"),
}

_DETAILS: Final = {
    "action": _l("Action"),
    "after": _l("After entry"),
    "attempt": _l("Attempt"),
    "asked_by": _l("Asked for before by"),
    "by": _l("Asked for by"),
    "by_action": _l("Searched for the action"),
    "by_actor": _l("Searched for the person"),
    "by_office": _l("Searched for the office"),
    "by_outcome": _l("Searched for the outcome"),
    "by_round": _l("Searched for the round"),
    "by_since": _l("Searched from"),
    "by_until": _l("Searched up to"),
    "check": _l("Verification"),
    "cipher_suite": _l("Cipher suite"),
    "created": _l("New (1) or known before (0)"),
    "data_key": _l("Key of stored encodings"),
    "entry": _l("Entry"),
    "epoch": _l("Number of the key or secret"),
    "finding": _l("Finding"),
    "form": _l("Form of the file"),
    "from": _l("From version"),
    "from_state": _l("From state"),
    "held": _l("Still held (1) or lost (0)"),
    "index": _l("Entry"),
    "key": _l("Check value of the key"),
    "key_confirmation": _l("Confirmation of the key"),
    "kind": _l("Kind"),
    "last": _l("Last entry"),
    "links": _l("Check value of the links"),
    "log": _l("Log"),
    "max_bytes": _l("Most bytes allowed"),
    "member": _l("Member"),
    "n_bytes": _l("Bytes"),
    "n_checkpoints": _l("Checkpoints"),
    "n_codes": _l("Codes"),
    "n_cosigned": _l("Witnessed checkpoints"),
    "n_entries": _l("Entries"),
    "n_faults": _l("Faults found"),
    "n_archives": _l("Archives"),
    "n_files": _l("Files"),
    "n_last": _l("Only the last so many"),
    "n_findings": _l("Findings"),
    "n_links": _l("Links"),
    "n_members": _l("Members"),
    "n_offices": _l("Offices"),
    "n_people": _l("People"),
    "n_places": _l("Offices with a place"),
    "n_projects": _l("Projects"),
    "n_records": _l("Records"),
    "n_secrets": _l("Sealed secrets"),
    "n_rounds": _l("Rounds"),
    "n_sessions": _l("Sessions ended"),
    "n_tasks": _l("Tasks"),
    "n_uploads": _l("Lists"),
    "n_witnesses": _l("Witnesses"),
    "n_witnesses_before": _l("Witnesses so far"),
    "new_size": _l("Entries in the newer log"),
    "number": _l("Number"),
    "office": _l("Office"),
    "old_size": _l("Entries in the older log"),
    "person": _l("Person"),
    "profile": _l("Check value of the profile"),
    "replaced": _l("What it replaced"),
    "schema": _l("Version of the database"),
    "sealed_size": _l("Sealed entries"),
    "session": _l("Session"),
    "sha256": _l("Check value of the file"),
    "since": _l("From"),
    "size": _l("Entries in the checkpoint"),
    "start": _l("From entry"),
    "state": _l("State"),
    "step": _l("Step"),
    "stop": _l("Up to entry"),
    "task": _l("Task"),
    "terms": _l("Check value of the terms"),
    "tile": _l("Tile"),
    "to": _l("To version"),
    "to_state": _l("To state"),
    "until": _l("Until"),
    "verdict": _l("What came of it"),
    "via": _l("By way of"),
    "what": _l("What was asked for"),
}

_FAULTS: Final = {
    FaultKind.HEAD: _l("The head of the log is damaged or does not fit the entries."),
    FaultKind.TILES: _l("Hashes of sealed entries are missing or damaged."),
    FaultKind.ENTRY_MISSING: _l("Entry %(place)s is missing."),
    FaultKind.ENTRY_CHANGED: _l("Entry %(place)s was changed after it was logged."),
    FaultKind.ENTRY_MALFORMED: _l("What stands as entry %(place)s is none."),
    FaultKind.ENTRY_NUMBER: _l("Entry %(place)s bears another number."),
    FaultKind.ENTRY_COLUMNS: _l("Entry %(place)s is found under what it does not say."),
    FaultKind.TIME_BACKWARDS: _l("Entry %(place)s has an earlier time than the one before it."),
    FaultKind.ROOT: _l("The entries do not lead to what the server signs."),
    FaultKind.HEAD_TIME: _l("The log's latest time is not that of its last entry."),
    FaultKind.SUBTREES: _l("The stored hashes are not those of the entries."),
    FaultKind.CHECKPOINT_UNUSABLE: _l("The checkpoint over %(place)s entries cannot be used."),
    FaultKind.CHECKPOINT_CHANGED: _l("The checkpoint over %(place)s entries was changed."),
    FaultKind.CHECKPOINT_FORKED: _l("The checkpoint over %(place)s entries tells another history."),
    FaultKind.COSIGNATURE: _l("A witness's signature over %(place)s entries was changed."),
}

_COMPARED: Final = {
    Verdict.FITS: _l("The log continues what you kept: nothing of it was changed or taken out."),
    Verdict.OTHER_HISTORY: _l("The log does NOT continue what you kept: it has another history."),
    Verdict.LOG_SHORTER: _l("The log is SHORTER than what you kept: its end was cut off."),
    Verdict.MALFORMED: _l("This is no checkpoint. Paste the whole file, with its last lines."),
    Verdict.OTHER_KEY: _l("This checkpoint is not signed by the key of this log."),
    Verdict.BAD_SIGNATURE: _l("A signature does not fit: this checkpoint was changed."),
}

_UNUSUAL: Final = {
    "first-address": _l("First use of an address"),
    "night": _l("Access at night"),
    "download-burst": _l("Burst of downloads"),
    "refusal-burst": _l("Burst of refusals"),
    "two-roles": _l("One person in two roles"),
    "one-address": _l("What takes two people, from one address"),
}

_MARKS: Final = {
    "explained": _l("explained"),
    "followed-up": _l("being followed up"),
    "reported": _l("reported"),
}

_UNEXPLAINED: Final = _l("Something that this version of the pages does not know.")


def action_choices() -> list[tuple[str, str]]:
    """Every action and its words, in the order of the words."""
    return sorted(((str(key), str(words)) for key, words in _ACTIONS.items()), key=lambda c: c[1])


def mark_choices() -> list[tuple[str, str]]:
    """What can come of looking at a finding."""
    return [(key, str(words)) for key, words in _MARKS.items()]


def action_words(action: str) -> str:
    """What was done or asked for."""
    return str(_ACTIONS.get(action, action))


def outcome_words(outcome: str) -> str:
    """How it ended."""
    return str(_OUTCOMES.get(outcome, outcome))


def role_words(role: str | None) -> str:
    """In which role."""
    return "" if role is None else str(_ROLES.get(role, role))


def reason_words(reason: str | None) -> str:
    """Why it was refused or failed."""
    return "" if reason is None else str(_REASONS.get(reason, reason))


def who(entry: Entry) -> str:
    """Who did it, in one word."""
    return entry.actor or role_words(entry.role) or "–"


def details_in_words(entry: Entry) -> list[tuple[str, str]]:
    """What else the entry says, one line each."""
    return [
        (str(_DETAILS.get(name, name)), "–" if value is None else str(value))
        for name, value in sorted(entry.details.items())
    ]


def fault_words(kind: str, place: int | None) -> str:
    """What is wrong with the stored log."""
    words = _FAULTS.get(FaultKind(kind)) if kind in tuple(FaultKind) else None
    return str(_UNEXPLAINED if words is None else words) % {"place": place}


def compared_words(verdict: Verdict) -> str:
    """What comparing with a kept checkpoint found."""
    return str(_COMPARED[verdict])


def unusual_words(kind: str) -> str:
    """What is unusual."""
    return str(_UNUSUAL.get(kind, _UNEXPLAINED))


def mark_words(verdict: str) -> str:
    """What came of looking at a finding."""
    return str(_MARKS.get(verdict, verdict))
