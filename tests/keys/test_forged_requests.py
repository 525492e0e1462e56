"""Requests that were changed, or signed over less than all: each test is an attack."""

import datetime as dt
import re
from typing import Any

import pytest

from keys.errors import RequestSignatureError
from keys.request_signing import COVERED_COMPONENTS, content_digest, sign_request
from tests.keys.signed_requests import (
    DIGEST,
    METHOD,
    NONCE,
    NOW,
    OFFICE,
    OTHER,
    URL,
    refused,
    sign,
    signed_otherwise,
    verify,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"method": "DELETE"},
        {"url": URL.replace("linkage.", "other.")},
        {"url": URL.replace("example.org", "example.org:8443")},
        {"url": URL.replace("uploads", "results")},
        {"url": URL.replace("part=1", "part=2")},
        {"url": URL.partition("?")[0]},
        {"url": URL + "&"},
        {"url": URL.replace("%20", "%2520")},
        {"url": URL.replace("/rounds", "//rounds")},
        {"url": URL.replace("/rounds", "/./rounds")},
        {"url": URL.replace("%E7", "%e7")},
        {"method": "put"},
        {"method": ""},
        {"url": ""},
        {"url": "/v1/rounds"},
        {"url": URL.replace("%E7%AB%A5", "童")},
        {"url": URL.replace("linkage.example.org", "")},
    ],
    ids=lambda changes: ascii(changes)[-40:],
)
def test_a_changed_request_is_refused(changes: dict[str, str]) -> None:
    detail = refused("bad-signature", sign(), **changes)
    assert "does not fit" in detail


@pytest.mark.parametrize("header", ["Content-Digest", "Signature-Input", "Signature"])
def test_a_missing_header_is_no_signature(header: str) -> None:
    headers = sign()
    del headers[header]
    assert "not signed" in refused("unsigned", headers)
    assert "not signed" in refused("unsigned", {})


def test_another_bodys_digest_is_refused() -> None:
    refused("bad-signature", sign() | {"Content-Digest": content_digest(b"other")})


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha-256",
        "sha-256=::",
        DIGEST[:-1],
        DIGEST.replace("sha-256", "sha-512"),
        DIGEST.replace("sha-256", "SHA-256"),
        f"{DIGEST}, sha-256=:{'A' * 43}=:",
        f"{DIGEST};x=1",
        f"sha-512=:AAAA:, {DIGEST}",
        "sha-256=:" + "A" * 42 + "B=:",
        "sha-256=:" + "A" * 43 + ":",
        "sha-256=:" + "A" * 44 + ":",
    ],
)
def test_another_form_of_digest_is_refused(digest: str) -> None:
    assert "Content-Digest" in refused("bad-signature", sign() | {"Content-Digest": digest})
    with pytest.raises(RequestSignatureError, match="Content-Digest"):
        sign_request(OFFICE, METHOD, URL, digest)


@pytest.mark.parametrize(
    ("pattern", "replacement", "slug"),
    [
        (r"created=\d+", f"created={NOW + 1}", "bad-signature"),
        (r'nonce="\w+"', f'nonce="{"0" * 32}"', "bad-signature"),
        (r'nonce="\w+"', 'nonce="0"', "bad-signature"),
        (r'nonce="\w+"', "nonce=7", "bad-signature"),
        (r'nonce="\w+"', f'nonce="{"0" * 31}\u0661"', "bad-signature"),
        (r'keyid="\w+"', f'keyid="{OTHER.public.key_id}"', "bad-signature"),
        (r'keyid="\w+"', 'keyid="../../etc/passwd"', "bad-signature"),
        (r'alg="ed25519"', 'alg="hmac-sha256"', "bad-signature"),
        (r'tag="tongqiao-v1"', 'tag="tongqiao-v2"', "bad-signature"),
        (r'tag="tongqiao-v1"', 'tag="tongqiao-v1";tag="tongqiao-v1"', "bad-signature"),
        (r"created=(\d+)", r"created=1;created=\1", "bad-signature"),
        (r'"@path"', ' "@path"', "bad-signature"),
        (r"created=\d+", 'created="1772352000"', "bad-signature"),
        (r"created=\d+", "created=1772352000.5", "bad-signature"),
        (r"created=\d+", "created=-1", "expired-signature"),
        (r"created=\d+", "created=999999999999999", "expired-signature"),
        (r"created=\d+", "created=9999999999999999", "bad-signature"),
        (r";created=\d+", "", "unsigned"),
        (r';nonce="\w+"', "", "unsigned"),
        (r';keyid="\w+"', "", "unsigned"),
        (r';alg="ed25519"', "", "unsigned"),
        (r';tag="tongqiao-v1"', "", "unsigned"),
        (r"created=(\d+)", r"created=\1;expires=9999999999", "unsigned"),
        (r"created=(\d+)", r"created=\1;more=1", "unsigned"),
        (r' "@query"', "", "unsigned"),
        (r' "content-digest"', "", "unsigned"),
        (r'"@method" "@authority"', '"@authority" "@method"', "unsigned"),
        (r'"content-digest"', '"content-digest" "date"', "unsigned"),
        (r'"content-digest"', '"content-digest" "content-digest"', "unsigned"),
        (r'"content-digest"', '"content-digest";sf', "unsigned"),
        (r'"@query"', '"@query";req', "unsigned"),
        (r'"@path"', '"@PATH"', "unsigned"),
        (r'"@path"', "path", "unsigned"),
        (r'"@path"', "7", "unsigned"),
        (r"\(.*\)", "()", "unsigned"),
        (r"\(.*\)", "1", "bad-signature"),
        (r"^tq=", "sig1=", "bad-signature"),
        (r"^tq=", "", "bad-signature"),
        (r"$", ', tq2=("@method");created=1', "bad-signature"),
        (r"$", ", tq", "bad-signature"),
    ],
)
def test_changed_parameters_are_refused(pattern: str, replacement: str, slug: str) -> None:
    headers = sign()
    changed = re.sub(pattern, replacement, headers["Signature-Input"], count=1)
    assert changed != headers["Signature-Input"]
    refused(slug, headers | {"Signature-Input": changed})


def test_the_other_signer_is_good_when_it_does_as_it_should() -> None:
    assert verify(signed_otherwise()).nonce == NONCE


@pytest.mark.parametrize("left_out", COVERED_COMPONENTS)
def test_a_good_signature_that_leaves_something_out_is_refused(left_out: str) -> None:
    """The attack: what is not signed can be changed on the way."""
    components = [name for name in COVERED_COMPONENTS if name != left_out]
    assert "must cover" in refused("unsigned", signed_otherwise(components))


@pytest.mark.parametrize(
    "components",
    [
        [*COVERED_COMPONENTS, "@target-uri"],
        list(reversed(COVERED_COMPONENTS)),
        ["@method", "@authority", "@path", '"@query-param";name="part"', "content-digest"],
        ["@method", "@authority", "@path", "@query", '"content-digest";key="sha-256"'],
        ["@method", "@target-uri", "content-digest"],
    ],
    ids=["more", "other order", "one query parameter", "one digest", "target"],
)
def test_a_good_signature_over_something_else_is_refused(components: list[str]) -> None:
    assert "must cover" in refused("unsigned", signed_otherwise(components))


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"tag": "other"}, "bad-signature"),
        ({"tag": None}, "unsigned"),
        ({"nonce": None}, "unsigned"),
        ({"nonce": "A" * 32}, "bad-signature"),
        ({"nonce": "0" * 64}, "bad-signature"),
        ({"include_alg": False}, "unsigned"),
        ({"label": "other"}, "bad-signature"),
        ({"expires": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)}, "unsigned"),
    ],
    ids=str,
)
def test_a_good_signature_with_other_parameters_is_refused(
    changes: dict[str, Any], slug: str
) -> None:
    refused(slug, signed_otherwise(**changes))


def test_two_signatures_are_refused_even_if_both_are_good() -> None:
    """The attack: a proxy adds its own, and the two ends each look at another one."""
    first, second = sign(), sign(signer=OTHER)
    for other_label in ("tq", "other"):
        both = {
            name: f"{first[name]}, {re.sub('^tq', other_label, second[name])}"
            for name in ("Signature-Input", "Signature")
        }
        refused("bad-signature", first | both)
        refused("bad-signature", first | {"Signature-Input": both["Signature-Input"]})
        refused("bad-signature", first | {"Signature": both["Signature"]})
    for name in first:
        refused("bad-signature", first | {name.upper(): first[name]})


def test_another_offices_key_is_refused() -> None:
    headers = sign(signer=OTHER)
    theirs = f'keyid="{OTHER.public.key_id}"'
    ours = f'keyid="{OFFICE.public.key_id}"'
    claimed = headers["Signature-Input"].replace(theirs, ours)
    assert claimed != headers["Signature-Input"]
    refused("bad-signature", headers | {"Signature-Input": claimed})


def test_an_unknown_key_is_refused() -> None:
    detail = refused("bad-signature", sign(), resolve_key=lambda key_id: None)
    assert "Ask the operator" in detail


@pytest.mark.parametrize(
    "key",
    [b"", bytes(31), bytes(33), (1).to_bytes(32, "little"), OTHER.public.signing_key],
    ids=["empty", "short", "long", "weak", "of another id"],
)
def test_a_key_that_is_not_that_of_its_id_is_refused(key: bytes) -> None:
    detail = refused("bad-signature", sign(), resolve_key=lambda key_id: key)
    assert "not usable" in detail
