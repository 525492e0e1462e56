import base64
import datetime as dt
import hashlib
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.algorithms import ED25519
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import RequestSignatureError
from keys.identity import PrivateIdentity, identity_from_keys
from keys.request_signing import (
    COVERED_COMPONENTS,
    MAX_CLOCK_SKEW_S,
    VerifiedRequest,
    content_digest,
    content_digest_of_sha256,
    sign_request,
    verify_request,
)
from keys.suites import CLASSICAL, SealingPrivateKey

_NOW = 1_772_352_000


def _office(holder: str, seed: bytes) -> PrivateIdentity:
    """Always the same keys: key ids are parts of test names."""
    return identity_from_keys(
        holder,
        "office",
        holder,
        "2026-03-01T08:00:00Z",
        Ed25519PrivateKey.from_private_bytes(seed * 32),
        SealingPrivateKey(CLASSICAL, seed * 32),
    )


_OFFICE = _office("jinjiang-civil", b"1")
_OTHER = _office("zigong-health", b"2")
_KEYS = {identity.public.key_id: identity.public.signing_key for identity in (_OFFICE, _OTHER)}
_METHOD = "PUT"
_URL = "https://linkage.example.org/v1/rounds/2026-h2/uploads/a%20b?part=1&of=%E7%AB%A5"
_BODY = b"encodings"
_DIGEST = content_digest(_BODY)
_NONCE = "0123456789abcdef0123456789abcdef"

_Headers = dict[str, str]


def _sign(url: str = _URL, signer: PrivateIdentity = _OFFICE, created: int = _NOW) -> _Headers:
    return sign_request(signer, _METHOD, url, _DIGEST, created=created, nonce=_NONCE)


def _verify(
    headers: Mapping[str, str],
    method: str = _METHOD,
    url: str = _URL,
    now: float = _NOW,
    resolve_key: Callable[[str], bytes | None] = _KEYS.get,
) -> VerifiedRequest:
    return verify_request(method, url, headers, resolve_key, now)


def _refused(slug: str, headers: Mapping[str, str], **changes: Any) -> str:
    with pytest.raises(RequestSignatureError) as caught:
        _verify(headers, **changes)
    assert caught.value.slug == slug, caught.value.detail
    assert str(caught.value) == caught.value.detail
    return caught.value.detail


# What is good.


def test_a_signed_request_verifies() -> None:
    verified = _verify(_sign())
    assert verified == VerifiedRequest(
        _OFFICE.public.key_id, _NONCE, _NOW, hashlib.sha256(_BODY).digest()
    )


def test_time_and_nonce_are_its_own_by_default() -> None:
    before = int(dt.datetime.now(dt.UTC).timestamp())
    first, second = (
        verify_request(
            "GET", _URL, sign_request(_OFFICE, "GET", _URL, _DIGEST), _KEYS.get, before + 1
        )
        for _ in range(2)
    )
    assert abs(first.created - before) <= 5
    assert re.fullmatch(r"[0-9a-f]{32}", first.nonce)
    assert first.nonce != second.nonce


def test_the_names_of_headers_and_other_headers_do_not_count() -> None:
    headers = {name.upper(): value for name, value in _sign().items()}
    assert _verify(headers | {"Accept": "*/*", "X-Name": "锦江"}).nonce == _NONCE


def test_a_body_is_hashed_also_when_it_is_empty() -> None:
    assert content_digest(b"") == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    assert content_digest_of_sha256(hashlib.sha256(_BODY).digest()) == _DIGEST
    with pytest.raises(ValueError, match="32 bytes"):
        content_digest_of_sha256(b"short")


@pytest.mark.parametrize(
    ("signed", "received"),
    [
        ("http://127.0.0.1:8470/v1/a", "http://127.0.0.1:8470/v1/a"),
        ("https://example.org:443/v1/a", "https://example.org/v1/a"),
        ("https://EXAMPLE.org/v1/a", "https://example.org/v1/a"),
        ("http://[::1]:8470/", "http://[::1]:8470/"),
        ("https://example.org", "https://example.org/"),
        ("https://example.org/?", "https://example.org/"),
    ],
)
def test_the_same_address_in_other_words_verifies(signed: str, received: str) -> None:
    assert _verify(_sign(signed), url=received).nonce == _NONCE


def test_parameters_may_come_in_another_order() -> None:
    """RFC 9421 leaves their order to the signer; another program may choose another one."""
    parameters = (
        '("@method" "@authority" "@path" "@query" "content-digest");tag="tongqiao-v1"'
        f';nonce="{_NONCE}";alg="ed25519";keyid="{_OFFICE.public.key_id}";created={_NOW}'
    )
    base = (
        '"@method": GET\n"@authority": example.org\n"@path": /v1/rounds\n"@query": ?\n'
        f'"content-digest": {_DIGEST}\n"@signature-params": {parameters}'
    )
    signature = base64.b64encode(_OFFICE.signing_private.sign(base.encode())).decode()
    headers = {
        "Content-Digest": _DIGEST,
        "Signature-Input": f"tq={parameters}",
        "Signature": f"tq=:{signature}:",
    }
    assert _verify(headers, method="GET", url="https://example.org/v1/rounds").nonce == _NONCE


# What is not: each is an attack.


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"method": "DELETE"},
        {"url": _URL.replace("linkage.", "other.")},
        {"url": _URL.replace("example.org", "example.org:8443")},
        {"url": _URL.replace("uploads", "results")},
        {"url": _URL.replace("part=1", "part=2")},
        {"url": _URL.partition("?")[0]},
        {"url": _URL + "&"},
        {"url": _URL.replace("%20", "%2520")},
        {"url": _URL.replace("/rounds", "//rounds")},
        {"url": _URL.replace("/rounds", "/./rounds")},
        {"url": _URL.replace("%E7", "%e7")},
        {"method": "put"},
        {"method": ""},
        {"url": ""},
        {"url": "/v1/rounds"},
        {"url": _URL.replace("%E7%AB%A5", "童")},
        {"url": _URL.replace("linkage.example.org", "")},
    ],
    ids=lambda changes: ascii(changes)[-40:],
)
def test_a_changed_request_is_refused(changes: dict[str, str]) -> None:
    detail = _refused("bad-signature", _sign(), **changes)
    assert "does not fit" in detail


@pytest.mark.parametrize("header", ["Content-Digest", "Signature-Input", "Signature"])
def test_a_missing_header_is_no_signature(header: str) -> None:
    headers = _sign()
    del headers[header]
    assert "not signed" in _refused("unsigned", headers)
    assert "not signed" in _refused("unsigned", {})


def test_another_bodys_digest_is_refused() -> None:
    _refused("bad-signature", _sign() | {"Content-Digest": content_digest(b"other")})


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha-256",
        "sha-256=::",
        _DIGEST[:-1],
        _DIGEST.replace("sha-256", "sha-512"),
        _DIGEST.replace("sha-256", "SHA-256"),
        f"{_DIGEST}, sha-256=:{'A' * 43}=:",
        f"{_DIGEST};x=1",
        f"sha-512=:AAAA:, {_DIGEST}",
        "sha-256=:" + "A" * 42 + "B=:",
        "sha-256=:" + "A" * 43 + ":",
        "sha-256=:" + "A" * 44 + ":",
    ],
)
def test_another_form_of_digest_is_refused(digest: str) -> None:
    assert "Content-Digest" in _refused("bad-signature", _sign() | {"Content-Digest": digest})
    with pytest.raises(RequestSignatureError, match="Content-Digest"):
        sign_request(_OFFICE, _METHOD, _URL, digest)


@pytest.mark.parametrize(
    ("pattern", "replacement", "slug"),
    [
        (r"created=\d+", f"created={_NOW + 1}", "bad-signature"),
        (r'nonce="\w+"', f'nonce="{"0" * 32}"', "bad-signature"),
        (r'nonce="\w+"', 'nonce="0"', "bad-signature"),
        (r'nonce="\w+"', "nonce=7", "bad-signature"),
        (r'nonce="\w+"', f'nonce="{"0" * 31}\u0661"', "bad-signature"),
        (r'keyid="\w+"', f'keyid="{_OTHER.public.key_id}"', "bad-signature"),
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
    headers = _sign()
    changed = re.sub(pattern, replacement, headers["Signature-Input"], count=1)
    assert changed != headers["Signature-Input"]
    _refused(slug, headers | {"Signature-Input": changed})


@dataclass
class _Request:
    method: str = _METHOD
    url: str = _URL
    headers: _Headers = field(default_factory=lambda: {"Content-Digest": _DIGEST})


def _signed_otherwise(
    components: Sequence[str] = COVERED_COMPONENTS,
    **changes: Any,
) -> _Headers:
    """A client that gets it wrong, with a signature that is good in itself."""
    request = _Request()
    key_id = _OFFICE.public.key_id
    signer = HTTPMessageSigner(
        signature_algorithm=ED25519,
        key_resolver=MappingKeyResolver(
            public_keys={}, private_keys={key_id: _OFFICE.signing_private}
        ),
    )
    options: dict[str, Any] = {
        "key_id": key_id,
        "created": dt.datetime.fromtimestamp(_NOW, tz=dt.UTC),
        "nonce": _NONCE,
        "label": "tq",
        "tag": "tongqiao-v1",
        "covered_component_ids": components,
        "use_existing_digest": True,
    }
    signer.sign(request, **(options | changes))
    return request.headers


def test_the_other_signer_is_good_when_it_does_as_it_should() -> None:
    assert _verify(_signed_otherwise()).nonce == _NONCE


@pytest.mark.parametrize("left_out", COVERED_COMPONENTS)
def test_a_good_signature_that_leaves_something_out_is_refused(left_out: str) -> None:
    """The attack: what is not signed can be changed on the way."""
    components = [name for name in COVERED_COMPONENTS if name != left_out]
    assert "must cover" in _refused("unsigned", _signed_otherwise(components))


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
    assert "must cover" in _refused("unsigned", _signed_otherwise(components))


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
    _refused(slug, _signed_otherwise(**changes))


def test_two_signatures_are_refused_even_if_both_are_good() -> None:
    """The attack: a proxy adds its own, and the two ends each look at another one."""
    first, second = _sign(), _sign(signer=_OTHER)
    for other_label in ("tq", "other"):
        both = {
            name: f"{first[name]}, {re.sub('^tq', other_label, second[name])}"
            for name in ("Signature-Input", "Signature")
        }
        _refused("bad-signature", first | both)
        _refused("bad-signature", first | {"Signature-Input": both["Signature-Input"]})
        _refused("bad-signature", first | {"Signature": both["Signature"]})
    for name in first:
        _refused("bad-signature", first | {name.upper(): first[name]})


def test_another_offices_key_is_refused() -> None:
    headers = _sign(signer=_OTHER)
    theirs = f'keyid="{_OTHER.public.key_id}"'
    ours = f'keyid="{_OFFICE.public.key_id}"'
    claimed = headers["Signature-Input"].replace(theirs, ours)
    assert claimed != headers["Signature-Input"]
    _refused("bad-signature", headers | {"Signature-Input": claimed})


def test_an_unknown_key_is_refused() -> None:
    detail = _refused("bad-signature", _sign(), resolve_key=lambda key_id: None)
    assert "Ask the operator" in detail


@pytest.mark.parametrize(
    "key",
    [b"", bytes(31), bytes(33), (1).to_bytes(32, "little"), _OTHER.public.signing_key],
    ids=["empty", "short", "long", "weak", "of another id"],
)
def test_a_key_that_is_not_that_of_its_id_is_refused(key: bytes) -> None:
    detail = _refused("bad-signature", _sign(), resolve_key=lambda key_id: key)
    assert "not usable" in detail


@pytest.mark.parametrize("skew_s", [-MAX_CLOCK_SKEW_S, -1, 0, 0.5, MAX_CLOCK_SKEW_S])
def test_clocks_may_differ_a_little(skew_s: float) -> None:
    assert _verify(_sign(), now=_NOW + skew_s).created == _NOW


@pytest.mark.parametrize("skew_s", [-86400, -MAX_CLOCK_SKEW_S - 1, MAX_CLOCK_SKEW_S + 0.01, 1e9])
def test_an_old_or_a_future_request_is_refused(skew_s: float) -> None:
    assert "clock" in _refused("expired-signature", _sign(), now=_NOW + skew_s)


def test_the_key_is_looked_up_only_for_what_is_in_form_and_time() -> None:
    """Nobody makes the server search its database by sending rubbish."""
    asked: list[str] = []

    def resolve(key_id: str) -> bytes | None:
        asked.append(key_id)
        return None

    for headers in (
        {},
        _sign() | {"Content-Digest": "x"},
        _sign() | {"Signature": "tq=:AAAA:"},
        _signed_otherwise(["@method"]),
        _sign(created=_NOW - 1000),
    ):
        with pytest.raises(RequestSignatureError):
            _verify(headers, resolve_key=resolve)
    assert asked == []
    _refused("bad-signature", _sign(), resolve_key=resolve)
    assert asked == [_OFFICE.public.key_id]


def test_a_failing_look_up_is_not_taken_for_a_bad_signature() -> None:
    def resolve(key_id: str) -> bytes | None:
        raise ConnectionError("the database is away")

    with pytest.raises(ConnectionError, match="away"):
        _verify(_sign(), resolve_key=resolve)


def test_the_answer_repeats_nothing_of_the_request() -> None:
    for headers, changes in (
        (_sign(), {"url": "https://evil.example.org/<script>"}),
        (_sign() | {"Signature-Input": "tq=<script>"}, {}),
        (_sign() | {"Content-Digest": "<script>"}, {}),
    ):
        assert "script" not in _refused("bad-signature", headers, **changes)


@pytest.mark.parametrize(
    ("method", "url", "nonce"),
    [
        ("put", _URL, None),
        ("PUT", "/v1/rounds", None),
        ("PUT", "https://example.org/a b", None),
        ("PUT", "https://例.org/", None),
        ("PUT", _URL, "short"),
        ("PUT", _URL, "A" * 32),
    ],
)
def test_what_would_be_refused_is_not_signed(method: str, url: str, nonce: str | None) -> None:
    with pytest.raises(RequestSignatureError):
        sign_request(_OFFICE, method, url, _DIGEST, nonce=nonce)


# Rubbish.

_ODD_TEXT = st.text(max_size=60) | st.text(string.printable, max_size=60)
_FIELD_TEXT = st.text('tq=():;,"@ab-1? \\', max_size=60)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["Signature", "Signature-Input", "Content-Digest", "signature"])
        | _ODD_TEXT,
        _ODD_TEXT | _FIELD_TEXT,
        max_size=5,
    ),
    _ODD_TEXT,
    _ODD_TEXT,
)
def test_rubbish_is_refused_and_nothing_else_happens(
    headers: _Headers, method: str, url: str
) -> None:
    with pytest.raises(RequestSignatureError):
        _verify(headers, method=method, url=url)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["Signature", "Signature-Input", "Content-Digest"]),
    st.integers(0, 300),
    st.integers(0, 20),
    _FIELD_TEXT | _ODD_TEXT,
)
def test_spoilt_headers_are_refused_and_nothing_else_happens(
    name: str, at: int, n_cut: int, inserted: str
) -> None:
    headers = _sign()
    good = headers[name]
    headers[name] = good[:at] + inserted + good[at + n_cut :]
    try:
        verified = _verify(headers)
    except RequestSignatureError:
        return
    # White space around a value is no part of it (RFC 9110, section 5.5).
    assert headers[name].strip(" \t") == good
    assert verified.nonce == _NONCE


@settings(max_examples=150, deadline=None)
@given(_ODD_TEXT | st.text("htp:/?#[]@%2eE7abc.1", max_size=40), _ODD_TEXT)
def test_odd_addresses_are_refused_and_nothing_else_happens(url: str, method: str) -> None:
    with pytest.raises(RequestSignatureError):
        _verify(_sign(), url=url)
    with pytest.raises(RequestSignatureError):
        _verify(_sign(), url=_URL + "x" + url)
    with pytest.raises(RequestSignatureError):
        _verify(_sign(), method=method)
