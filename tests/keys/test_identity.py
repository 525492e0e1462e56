import base64
import copy
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import labels
from keys.canonical import canonical_json
from keys.errors import KeyFileError
from keys.identity import (
    MAX_IDENTITY_BYTES,
    Kind,
    PrivateIdentity,
    new_identity,
    parse_private_identity,
    parse_public_identity,
)
from keys.signing import sign_document
from keys.suites import CLASSICAL, HYBRID

_Document = dict[str, Any]


@pytest.fixture(scope="module")
def office() -> PrivateIdentity:
    return new_identity("jinjiang-civil", "office", "锦江区民政局", "2026-03-01T08:00:00Z")


def _resigned(identity: PrivateIdentity, **changes: Any) -> _Document:
    """A document with other content, rightly signed by its own key: as an attacker can make it."""
    document = {**identity.public.to_document(), **changes}
    unsigned = {key: value for key, value in document.items() if key != "signature"}
    signature = sign_document(identity.signing_private, labels.IDENTITY, canonical_json(unsigned))
    return {**unsigned, "signature": base64.b64encode(signature).decode()}


def test_public_identities_travel_as_json(office: PrivateIdentity) -> None:
    public = office.public
    assert parse_public_identity(public.to_json()) == public
    assert parse_public_identity(public.to_document()) == public
    # Whoever reformats the file breaks nothing.
    assert parse_public_identity(json.dumps(public.to_document(), indent=4).encode()) == public


def test_private_identities_travel_as_json(office: PrivateIdentity) -> None:
    again = parse_private_identity(office.to_json())
    assert again.public == office.public
    assert again.to_json() == office.to_json()


def test_new_identities_differ_and_are_post_quantum() -> None:
    first, second = new_identity("a", "auditor").public, new_identity("a", "auditor").public
    assert first.name == "a"
    assert first.suite is HYBRID
    assert first.signing_key != second.signing_key
    assert first.sealing_key != second.sealing_key
    assert first.fingerprint != second.fingerprint
    assert first.key_id != second.key_id


def test_the_classical_suite_can_be_chosen() -> None:
    identity = new_identity("a", "office", suite=CLASSICAL)
    assert parse_private_identity(identity.to_json()).public.sealing_suite == "x25519"


@pytest.mark.parametrize(
    "changes",
    [
        {"holder": "other"},
        {"kind": "operator"},
        {"name": "另"},
        {"created_at": "2026-03-01T08:00:01Z"},
    ],
    ids=["holder", "kind", "name", "time"],
)
def test_the_fingerprint_covers_every_field(
    office: PrivateIdentity, changes: dict[str, str]
) -> None:
    other = parse_public_identity(_resigned(office, **changes))
    assert other.key_id == office.public.key_id
    assert other.fingerprint != office.public.fingerprint


def test_the_fingerprint_covers_the_sealing_key(office: PrivateIdentity) -> None:
    sealing_key = base64.b64encode(new_identity("x", "office").public.sealing_key).decode()
    other = parse_public_identity(_resigned(office, sealing_key=sealing_key))
    assert other.fingerprint != office.public.fingerprint


@pytest.mark.parametrize(
    "field",
    ["holder", "kind", "name", "created_at", "signing_key", "sealing_key", "sealing_suite"],
)
def test_another_identitys_field_is_refused(office: PrivateIdentity, field: str) -> None:
    """The attack: my sealing key under your name, so that your mail is for me."""
    kind: Kind = "operator"
    mallory = new_identity("mallory", kind, created_at="2026-03-02T08:00:00Z", suite=CLASSICAL)
    document = office.public.to_document()
    assert document[field] != mallory.public.to_document()[field]
    document[field] = mallory.public.to_document()[field]
    with pytest.raises(KeyFileError):
        parse_public_identity(document)


def test_another_sealing_key_of_the_same_suite_is_refused(office: PrivateIdentity) -> None:
    mallory = new_identity("mallory", "office")
    document = office.public.to_document() | {
        "sealing_key": mallory.public.to_document()["sealing_key"]
    }
    with pytest.raises(KeyFileError, match="not signed by its own key"):
        parse_public_identity(document)


def _without(field: str) -> Callable[[_Document], _Document]:
    return lambda document: {key: value for key, value in document.items() if key != field}


def _with(**changes: Any) -> Callable[[_Document], _Document]:
    return lambda document: {**document, **changes}


@pytest.mark.parametrize(
    "change",
    [
        _without("signature"),
        _without("name"),
        _without("format"),
        _with(more="x"),
        _with(format="tongqiao-public-identity-v2"),
        _with(format=["tongqiao-public-identity-v1"]),
        _with(name=7),
        _with(signature=""),
        _with(signature="A" * 88),
        _with(sealing_suite="rot13"),
        _with(sealing_suite=None),
    ],
)
def test_another_form_is_refused(
    office: PrivateIdentity, change: Callable[[_Document], _Document]
) -> None:
    with pytest.raises(KeyFileError):
        parse_public_identity(change(office.public.to_document()))


@pytest.mark.parametrize(
    "changes",
    [
        {"holder": ""},
        {"holder": "Jinjiang"},
        {"holder": "-jinjiang"},
        {"holder": "a" * 64},
        {"holder": "a\n"},
        {"holder": "../a"},
        {"holder": "锦江"},
        {"kind": "admin"},
        {"name": ""},
        {"name": " a"},
        {"name": "a" * 201},
        {"name": "a\x1b[2J"},
        {"name": "a\u202eb"},
        {"name": "a\u200bb"},
        {"created_at": "2026-03-01"},
        {"created_at": "2026-02-30T08:00:00Z"},
        {"created_at": "2026-03-01T08:00:00+08:00"},
        {"created_at": "٢٠٢٦-03-01T08:00:00Z"},
        {"signing_key": base64.b64encode(bytes(31)).decode()},
        {"sealing_key": base64.b64encode(b"\xff" * 1216).decode()},
        {"sealing_key": base64.b64encode(bytes(32)).decode()},
    ],
    ids=lambda changes: ascii(changes)[:40],
)
def test_bad_fields_are_refused_though_signed(
    office: PrivateIdentity, changes: dict[str, str]
) -> None:
    with pytest.raises(KeyFileError):
        parse_public_identity(_resigned(office, **changes))


def test_a_signing_key_that_proves_nothing_is_refused(office: PrivateIdentity) -> None:
    """The attack: a key under which everybody's signature fits, so that none binds its holder."""
    weak = (1).to_bytes(32, "little")
    document = office.public.to_document() | {
        "signing_key": base64.b64encode(weak).decode(),
        "signature": base64.b64encode(weak + bytes(32)).decode(),
    }
    with pytest.raises(KeyFileError, match="not usable"):
        parse_public_identity(document)


def test_one_spelling_of_base64_only(office: PrivateIdentity) -> None:
    document = office.public.to_document()
    key = document["signing_key"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    same_bytes = key[:-2] + alphabet[alphabet.index(key[-2]) ^ 1] + "="
    assert base64.b64decode(same_bytes) == base64.b64decode(key)
    for spelling in (same_bytes, key + "\n", " " + key, key.rstrip("=")):
        with pytest.raises(KeyFileError, match="no key file"):
            parse_public_identity({**document, "signing_key": spelling})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"format":1e999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b" " * (MAX_IDENTITY_BYTES + 1),
    ],
    ids=["empty", "null", "list", "UTF-16", "deep", "infinite", "long number", "large"],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    for parse in (parse_public_identity, parse_private_identity):
        with pytest.raises(KeyFileError):
            parse(data)


def test_a_field_there_twice_is_refused(office: PrivateIdentity) -> None:
    data = office.public.to_json().replace(b'"holder"', b'"holder":"other","holder"', 1)
    with pytest.raises(KeyFileError, match="no key file"):
        parse_public_identity(data)


@settings(max_examples=100)
@given(st.binary(max_size=100))
def test_any_bytes_give_the_one_error(data: bytes) -> None:
    for parse in (parse_public_identity, parse_private_identity):
        with pytest.raises(KeyFileError):
            parse(data)


@settings(max_examples=60)
@given(st.data())
def test_altered_bytes_give_the_one_error_or_the_same_identity(data: st.DataObject) -> None:
    original = _FIXED.public.to_json()
    at = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255))
    altered = original[:at] + bytes([byte]) + original[at + 1 :]
    try:
        parsed = parse_public_identity(altered)
    except KeyFileError:
        return
    assert parsed == _FIXED.public


_FIXED = new_identity("fixed", "office", "Fixed 名", "2026-03-01T08:00:00Z", suite=CLASSICAL)


def test_public_and_private_files_are_not_taken_for_each_other(office: PrivateIdentity) -> None:
    with pytest.raises(KeyFileError, match="private key file, which nobody else may see"):
        parse_public_identity(office.to_json())
    with pytest.raises(KeyFileError, match="That is a public identity"):
        parse_private_identity(office.public.to_json())


def test_private_keys_of_another_identity_are_refused(office: PrivateIdentity) -> None:
    document = json.loads(office.to_json())
    other = json.loads(new_identity("other", "office").to_json())
    for field in ("signing_private", "sealing_private", "public"):
        with pytest.raises(KeyFileError, match="do not fit"):
            parse_private_identity(json.dumps({**document, field: other[field]}).encode())
    for value in (None, "", "AAAA", 7):
        with pytest.raises(KeyFileError):
            parse_private_identity(json.dumps({**document, "signing_private": value}).encode())
        with pytest.raises(KeyFileError):
            parse_private_identity(json.dumps({**document, "public": value}).encode())


def test_private_keys_are_neither_shown_nor_copied(office: PrivateIdentity) -> None:
    document = json.loads(office.to_json())
    for shown in (repr(office), str(office), f"{office!s:>10}", repr([office])):
        assert document["signing_private"] not in shown
        assert document["sealing_private"] not in shown
        assert office.public.name not in shown
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied"):
            attempt(office)


def test_an_error_about_a_private_file_holds_nothing_of_it(office: PrivateIdentity) -> None:
    secret = json.loads(office.to_json())["signing_private"]
    for broken in (office.to_json()[:-1], office.to_json() + b"\xff", b"[" + office.to_json()):
        try:
            parse_private_identity(broken)
        except KeyFileError as error:
            chain: BaseException | None = error
            while chain is not None:
                assert secret not in "".join(traceback.format_exception_only(chain))
                assert secret not in repr(vars(chain))
                assert secret not in str(getattr(chain, "doc", ""))
                chain = chain.__cause__
        else:
            pytest.fail("it was taken")


@pytest.mark.parametrize(
    ("holder", "kind", "name"),
    [("A", "office", "a"), ("a", "admin", "a"), ("a", "office", ""), ("a", "office", "\ud800")],
)
def test_new_identities_are_checked(holder: str, kind: Any, name: str) -> None:
    with pytest.raises(KeyFileError):
        new_identity(holder, kind, name)
