"""What may stand in the log, and its exact bytes."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from api.audit.errors import AuditEventError, EntryError
from api.audit.events import (
    MAX_DETAILS,
    MAX_ENTRY_BYTES,
    ROLES,
    Action,
    AuditEvent,
    Outcome,
    entry_bytes,
    format_time,
    is_loggable_id,
    parse_entry,
    renumbered,
)
from tests.api.audit.simulated_log import example_event

TIME = "2026-09-01T08:00:00.000Z"
LINE = entry_bytes(example_event(5), 5, TIME)

ID_NUMBER = "510104201503076513"
PHONE = "13800138000"

ids = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True).filter(is_loggable_id)
details = st.dictionaries(
    st.from_regex(r"[a-z][a-z_]{0,10}", fullmatch=True),
    st.none()
    | st.integers(0, 10**10 - 1)
    | ids
    | st.binary(min_size=32, max_size=32).map(bytes.hex),
    max_size=16,
)
events = st.builds(
    AuditEvent,
    action=st.sampled_from(Action),
    outcome=st.sampled_from(Outcome),
    actor=st.none() | ids,
    role=st.none() | st.sampled_from(sorted(ROLES)),
    project=st.none() | ids,
    round=st.none() | ids,
    details=details,
    reason=ids,
    request_id=st.none() | st.uuids().map(str),
    origin=st.none() | st.ip_addresses().map(str),
)


def test_actions_are_subject_and_verb() -> None:
    for action in Action:
        subject, _, verb = action.partition(":")
        assert subject.isalpha()
        assert verb.isalpha()
        assert action.name == f"{subject}_{verb}".upper()


@pytest.mark.parametrize(
    "value",
    [
        ID_NUMBER,
        ID_NUMBER[:-1] + "x",
        "510104150307651",
        PHONE,
        f"86{PHONE}",
        f"phone-{PHONE}",
        f"id:{ID_NUMBER}/x",
        "王小明",
        "wang xiaoming",
        "a@b.cn",
        "=1+1",
        "a\nb",
        "a\x1b[31m",
        "x" * 91,
        "",
        float(PHONE),
        int(PHONE),
        int(ID_NUMBER),
        -1,
        1.5,
        True,
        b"bytes",
        ["list"],
        {"name": "x"},
    ],
)
def test_no_detail_can_hold_a_persons_data(value: Any) -> None:
    with pytest.raises(AuditEventError) as caught:
        AuditEvent(Action.UPLOAD_PUT, details={"n_records": value})
    if isinstance(value, str) and len(value) > 3:
        assert value not in str(caught.value)


@pytest.mark.parametrize("name", ["actor", "project", "round", "reason"])
@pytest.mark.parametrize(
    "value", [PHONE, ID_NUMBER, "Office", "a b", "王", "", "-a", "a" * 64, "a\n", 5]
)
def test_ids_are_ids(name: str, value: Any) -> None:
    with pytest.raises(AuditEventError):
        AuditEvent(Action.UPLOAD_PUT, **{name: value})
    if isinstance(value, str):
        assert not is_loggable_id(value)


@pytest.mark.parametrize(
    "fields",
    [
        {"role": "root"},
        {"role": ["office"]},
        {"origin": "example.cn"},
        {"origin": "127.0.0.1\n"},
        {"origin": "fe80::1%王"},
        {"request_id": "a b"},
        {"request_id": "x" * 65},
        {"details": {"N": 1}},
        {"details": {"n records": 1}},
        {"details": {1: 1}},
        {"details": {f"n{number}": number for number in range(17)}},
        {"outcome": Outcome.REFUSED},
        {"outcome": Outcome.FAILED},
        {"outcome": "granted"},
    ],
)
def test_other_fields_are_held_to_their_form(fields: dict[str, Any]) -> None:
    with pytest.raises(AuditEventError):
        AuditEvent(Action.UPLOAD_PUT, **fields)


def test_an_action_that_is_not_in_the_set_cannot_be_logged() -> None:
    with pytest.raises(AuditEventError):
        AuditEvent("upload:put")  # type: ignore[arg-type]


def test_hashes_counts_and_large_sizes_can_be_logged() -> None:
    # A run of digits inside a hash is no phone number.
    hashes = {"sha256": f"a{PHONE}b" + "0" * 51, "half": f"a{PHONE}b" + "0" * 19}
    event = AuditEvent(Action.UPLOAD_PUT, details={**hashes, "n_bytes": 13_800_138_000, "to": None})
    assert parse_entry(entry_bytes(event, 0, TIME)).details == dict(event.details)


def test_details_cannot_be_changed_after_they_were_checked() -> None:
    given_details: dict[str, Any] = {"n_records": 1}
    event = AuditEvent(Action.UPLOAD_PUT, details=given_details)
    given_details["n_records"] = "王小明"
    assert event.details["n_records"] == 1
    with pytest.raises(TypeError):
        event.details["name"] = "x"  # type: ignore[index]


@given(events, st.integers(0, 2**53 - 1))
def test_bytes_are_rfc_8785_and_read_back(event: AuditEvent, index: int) -> None:
    data = entry_bytes(event, index, TIME)
    assert rfc8785.dumps(json.loads(data)) == data
    assert len(data) <= MAX_ENTRY_BYTES
    entry = parse_entry(data)
    assert (entry.index, entry.time) == (index, TIME)
    for name in ("action", "outcome", "actor", "role", "project", "round", "reason", "origin"):
        assert getattr(entry, name) == getattr(event, name)
    assert entry.request_id == event.request_id
    assert entry.details == dict(event.details)


def test_the_longest_event_fits_into_an_entry() -> None:
    longest = "a" * 63
    event = AuditEvent(
        Action.UPLOAD_WITHDRAW,
        Outcome.REFUSED,
        actor=longest,
        role="administrator",
        project=longest,
        round=longest,
        details={f"{'d' * 38}_{letter}": "v" * 90 for letter in "abcdefghijklmnop"},
        reason=longest,
        request_id="r" * 64,
        origin="ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
    )
    assert len(entry_bytes(event, 2**53 - 1, TIME)) < MAX_ENTRY_BYTES


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":1.0'),
        (b'"v":1', b'"v":true'),
        (b'"v":1', b'"v":1,"v":1'),
        (b'"v":1', b'"v":1,"x":1'),
        (b',"v":1', b""),
        (b'"index":5', b'"index":05'),
        (b'"index":5', b'"index":-5'),
        (b'"index":5', b'"index":5e0'),
        (b'"index":5', b'"index":true'),
        (b'"index":5', b'"index":9007199254740992'),
        (b'"index":5', b'"index":"5"'),
        (b'"index":5', b'"index": 5'),
        (b'"n_records":5', b'"n_records":5.5'),
        (b'"n_records":5', b'"n_records":NaN'),
        (b'"n_records":5', b'"n_records":[5]'),
        (b'"n_records":5', b'"n_records":13800138000'),
        (b"chengdu-education", b"chengdu\\u002deducation"),
        (b"chengdu-education", "成都".encode()),
        (b"chengdu-education", b"\xff"),
        (b"chengdu-education", b"\\ud800"),
        (b"2026-09-01T", b"2026-02-30T"),
        (b"08:00:00.000Z", b"08:00:00Z"),
        (b"08:00:00.000Z", b"08:00:00.000+08:00"),
        (b"08:00:00.000Z", b"24:00:00.000Z"),
        (b'"granted"', b'"maybe"'),
        (b'"granted"', b'["granted"]'),
        (b'"office"', b'"root"'),
        (b'"round:read"', b'"roundread"'),
        (b'"192.0.2.1"', b'"192.0.2.256"'),
        (b'"192.0.2.1"', b"192"),
    ],
)
def test_only_one_spelling_of_an_entry_is_read(old: bytes, new: bytes) -> None:
    bad = LINE.replace(old, new)
    assert bad != LINE
    with pytest.raises(EntryError):
        parse_entry(bad)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{" * 5000,
        b"[" * 8000,
        b"1" * 8000,
        LINE + b" ",
        LINE + b"\n",
        LINE[:-1],
        LINE.replace(b"null", b"nul"),
        b" " * (MAX_ENTRY_BYTES + 1),
    ],
)
def test_what_is_no_entry_is_refused(line: bytes) -> None:
    with pytest.raises(EntryError):
        parse_entry(line)


def test_an_action_of_a_later_version_can_still_be_read() -> None:
    event = AuditEvent(Action.UPLOAD_PUT)
    line = entry_bytes(event, 0, TIME).replace(b"upload:put", b"case:answer")
    assert parse_entry(line).action == "case:answer"


def test_renumbering_changes_the_number_alone() -> None:
    again = renumbered(LINE, 6)
    assert again == entry_bytes(example_event(5), 6, TIME)
    assert renumbered(LINE, 5) == LINE
    assert renumbered(b"no entry", 5) is None


def test_times_are_utc_with_milliseconds_rounded_down() -> None:
    china = timezone(timedelta(hours=8))
    assert format_time(datetime(2026, 9, 1, 16, 0, 0, 999_999, china)) == "2026-09-01T08:00:00.999Z"
    assert format_time(datetime(2026, 9, 1, tzinfo=UTC)) == "2026-09-01T00:00:00.000Z"
    assert format_time(datetime(999, 9, 1, tzinfo=UTC)) == "0999-09-01T00:00:00.000Z"
    with pytest.raises(AuditEventError):
        format_time(datetime(2026, 9, 1))  # noqa: DTZ001


def test_the_largest_event_there_can_be_fits_into_an_entry() -> None:
    """So no event can keep those from being logged that are added together with it."""
    event = AuditEvent(
        max(Action, key=len),
        Outcome.REFUSED,
        actor="a" * 63,
        role="administrator",
        project="a" * 63,
        round="a" * 63,
        details={f"{'n' * 38}{number:02d}": "a" * 90 for number in range(MAX_DETAILS)},
        reason="a" * 63,
        request_id="a" * 64,
        origin="f" * 4 + ":ffff" * 7,
    )
    assert len(entry_bytes(event, 2**53 - 1, "2026-09-01T08:00:00.000Z")) < MAX_ENTRY_BYTES / 2
