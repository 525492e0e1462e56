"""Which key counts when: the rules as tables, and what must not pass."""

import datetime as dt
import json
from typing import Any

import pytest

from keys.epochs import (
    KeyHistory,
    begin_history,
    parse_rotation,
    rotate_identity,
    verify_rotation,
)
from keys.errors import KeyFileError
from keys.identity import PrivateIdentity, new_identity

FIRST, SECOND, THIRD = (new_identity("jinjiang-civil", "office") for _ in range(3))
STRANGER = new_identity("zhongjiang-civil", "office")


def day(number: int) -> dt.datetime:
    return dt.datetime(2026, 8, number, tzinfo=dt.UTC)


def test_a_rotation_is_followed_without_a_telephone() -> None:
    rotation = parse_rotation(rotate_identity(FIRST, SECOND).to_json())
    verify_rotation(rotation, FIRST.public)
    assert rotation.new == SECOND.public


@pytest.mark.parametrize("signer", [SECOND, THIRD, STRANGER], ids=["new", "third", "stranger"])
def test_another_key_names_no_successor(signer: PrivateIdentity) -> None:
    document = json.loads(rotate_identity(FIRST, SECOND).to_json())
    from keys import labels
    from keys.canonical import canonical_json
    from keys.documents import to_base64
    from keys.signing import sign_document

    unsigned = {key: value for key, value in document.items() if key != "signature"}
    forged = sign_document(signer.signing_private, labels.KEY_ROTATION, canonical_json(unsigned))
    with pytest.raises(KeyFileError, match="not named"):
        verify_rotation(parse_rotation({**document, "signature": to_base64(forged)}), FIRST.public)


def _broken() -> list[Any]:
    document = json.loads(rotate_identity(FIRST, SECOND).to_json())
    other = json.loads(rotate_identity(FIRST, THIRD).to_json())
    return [
        {**document, "new": other["new"]},
        {**document, "old_key": SECOND.public.key_id},
        {**document, "signature": other["signature"]},
        {**document, "more": "1"},
        {**document, "new": "text"},
        {**document, "old_key": 5},
        {key: value for key, value in document.items() if key != "old_key"},
    ]


@pytest.mark.parametrize("document", _broken())
def test_a_changed_rotation_is_refused(document: Any) -> None:
    with pytest.raises(KeyFileError):
        verify_rotation(parse_rotation(json.dumps(document).encode()), FIRST.public)


def test_nobody_rotates_to_another_holder_or_to_the_same_key() -> None:
    with pytest.raises(KeyFileError, match="another holder"):
        rotate_identity(FIRST, STRANGER)
    with pytest.raises(KeyFileError, match="the old one"):
        rotate_identity(FIRST, FIRST)
    with pytest.raises(KeyFileError, match="another holder"):
        rotate_identity(FIRST, new_identity("jinjiang-civil", "operator"))


# Enrolled on day 1, rotated on day 5, compromised since day 8 (found on day 10), renewed on 12.
TIMELINE = """
day   1       2       4       5        7        8     9     11    12      20
key   first   first   first   second   second   none  none  none  third   third
"""


def _history() -> KeyHistory:
    return (
        begin_history(FIRST.public, day(1))
        .rotate(rotate_identity(FIRST, SECOND), day(5))
        .revoke(day(10), compromised_since=day(8))
        .renew(THIRD.public, day(12))
    )


def test_which_key_counts_when() -> None:
    names = {"first": FIRST.public, "second": SECOND.public, "third": THIRD.public}
    days, keys = (line.split()[1:] for line in TIMELINE.strip().splitlines())
    history = _history()
    for number, name in zip(days, keys, strict=True):
        epoch = history.key_at(day(int(number)))
        assert (epoch.identity if epoch else None) == names.get(name), number
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3]
    assert [epoch.end for epoch in history.epochs] == ["rotated", "compromised", None]
    assert history.key_at(day(1) - dt.timedelta(seconds=1)) is None


def test_a_revoked_key_names_no_successor() -> None:
    history = begin_history(FIRST.public, day(1)).revoke(day(2))
    assert history.current is None
    with pytest.raises(KeyFileError, match="revoked"):
        history.rotate(rotate_identity(FIRST, SECOND), day(3))
    with pytest.raises(KeyFileError, match="already"):
        history.revoke(day(3))


def test_no_key_comes_back() -> None:
    history = _history().revoke(day(21))
    for identity in (FIRST, SECOND, THIRD):
        with pytest.raises(KeyFileError, match="used before"):
            history.renew(identity.public, day(22))
    current = begin_history(FIRST.public, day(1)).rotate(rotate_identity(FIRST, SECOND), day(2))
    with pytest.raises(KeyFileError, match="used before"):
        current.rotate(rotate_identity(SECOND, FIRST), day(3))


def test_a_valid_key_is_rotated_not_renewed() -> None:
    with pytest.raises(KeyFileError, match="still valid"):
        begin_history(FIRST.public, day(1)).renew(SECOND.public, day(2))


def test_another_holders_key_renews_nothing() -> None:
    with pytest.raises(KeyFileError, match="another holder"):
        begin_history(FIRST.public, day(1)).revoke(day(2)).renew(STRANGER.public, day(3))


def test_compromised_before_it_was_valid_means_never_valid() -> None:
    history = begin_history(FIRST.public, day(5)).revoke(day(9), compromised_since=day(1))
    assert history.key_at(day(6)) is None
