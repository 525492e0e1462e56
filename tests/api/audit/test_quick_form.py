"""The quick look at an entry beside the reference: it may pass, never accept what is wrong."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.audit.errors import EntryError
from api.audit.events import entry_bytes, parse_entry
from api.audit.quick_form import QuickForm
from tests.api.audit.simulated_log import changed, example_event

TIME = "2026-09-01T08:00:00.123Z"
LINES = [entry_bytes(example_event(number), number, TIME) for number in range(40)]
PIECES = [
    b'"', b"{", b"}", b",", b":", b" ", b"null", b"0", b"13812345678", b"110101201501010000",
    b"\\u0061", b"1e3", b"-1", b"\n", b"\xff", b'"v":1', b"granted", b"2026-02-30", b"999.1.1.1",
]  # fmt: skip


def reference(line: bytes) -> tuple[int, str] | None:
    try:
        entry = parse_entry(line)
    except EntryError:
        return None
    return entry.index, entry.time


def test_usual_entries_are_told_at_a_glance() -> None:
    form = QuickForm()
    assert [form.look(line) for line in LINES] == [(number, TIME) for number in range(40)]


@settings(max_examples=400)
@given(st.sampled_from(LINES), st.data())
def test_what_is_accepted_is_what_the_reference_accepts(line: bytes, data: st.DataObject) -> None:
    form = QuickForm()
    for good in LINES[:3]:
        form.look(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(line) - 1))
        stop = data.draw(st.integers(at, min(len(line), at + 30)))
        piece = data.draw(st.sampled_from(PIECES) | st.binary(max_size=3))
        line = line[:at] + piece + line[stop:]
        if not line:
            return
    found = form.look(line)
    assert found is None or found == reference(line)


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "13812345678"}, {"round": "110101201501010000"}, {"origin": "300.1.1.1"},
        {"time": "2026-02-30T08:00:00.000Z"}, {"v": 2}, {"index": -1}, {"role": "king"},
        {"details": {"b": 1, "a": {}}}, {"details": {"n": 10**10}}, {"details": {"a": 1.5}},
        {"details": {"phone": "13812345678"}}, {"details": {f"d{n}": n for n in range(17)}},
        {"outcome": "maybe"}, {"action": "a"}, {"extra": 1},
    ],
)  # fmt: skip
def test_what_the_reference_refuses_is_never_accepted(change: dict[str, object]) -> None:
    form = QuickForm()
    form.look(LINES[0])
    line = changed(LINES[0], lambda value: value.update(change))
    assert reference(line) is None
    assert form.look(line) is None


@pytest.mark.parametrize("name", ["actor", "project", "round", "reason"])
def test_a_number_within_an_id_that_looks_like_a_digest_is_a_number(name: str) -> None:
    form = QuickForm()
    form.look(LINES[0])
    disguised = {name: "a13812345678" + "b" * 20}
    line = changed(LINES[0], lambda value: value.update(disguised))
    assert reference(line) is None
    assert form.look(line) is None


def test_names_in_another_order_or_twice_are_not_canonical() -> None:
    form = QuickForm()
    for line in LINES:
        form.look(line)
    value = json.loads(LINES[0])
    details = value["details"]
    turned = LINES[0].replace(
        json.dumps(details, separators=(",", ":")).encode(),
        json.dumps(dict(reversed(details.items())), separators=(",", ":")).encode(),
    )
    assert turned != LINES[0]
    assert form.look(turned) is None
    assert form.look(LINES[0].replace(b'"sha256"', b'"n_records"')) is None


def test_digests_may_hold_any_digits_and_other_texts_may_not() -> None:
    form = QuickForm()
    digest = dataclasses.replace(example_event(1), details={"sha256": "13812345678" + "a" * 53})
    line = entry_bytes(digest, 1, TIME)
    assert form.look(line) == reference(line) == (1, TIME)
    text = line.replace(b"a" * 53, b"a" * 52)
    assert form.look(text) is None
    assert reference(text) is None or reference(text) == (1, TIME)
