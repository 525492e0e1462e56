"""Signed requests: what verifies, when, by whose key; and no rubbish brings it down."""

import base64
import datetime as dt
import hashlib
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import RequestSignatureError
from keys.request_signing import (
    MAX_CLOCK_SKEW_S,
    VerifiedRequest,
    content_digest,
    content_digest_of_sha256,
    sign_request,
    verify_request,
)
from tests.keys.signed_requests import (
    BODY,
    DIGEST,
    KEYS,
    NONCE,
    NOW,
    OFFICE,
    URL,
    Headers,
    refused,
    sign,
    signed_otherwise,
    verify,
)


def test_a_signed_request_verifies() -> None:
    verified = verify(sign())
    assert verified == VerifiedRequest(
        OFFICE.public.key_id, NONCE, NOW, hashlib.sha256(BODY).digest()
    )


def test_time_and_nonce_are_its_own_by_default() -> None:
    before = int(dt.datetime.now(dt.UTC).timestamp())
    first, second = (
        verify_request("GET", URL, sign_request(OFFICE, "GET", URL, DIGEST), KEYS.get, before + 1)
        for _ in range(2)
    )
    assert abs(first.created - before) <= 5
    assert re.fullmatch(r"[0-9a-f]{32}", first.nonce)
    assert first.nonce != second.nonce


def test_the_names_of_headers_and_other_headers_do_not_count() -> None:
    headers = {name.upper(): value for name, value in sign().items()}
    assert verify(headers | {"Accept": "*/*", "X-Name": "锦江"}).nonce == NONCE


def test_a_body_is_hashed_also_when_it_is_empty() -> None:
    assert content_digest(b"") == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    assert content_digest_of_sha256(hashlib.sha256(BODY).digest()) == DIGEST
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
    assert verify(sign(signed), url=received).nonce == NONCE


def test_parameters_may_come_in_another_order() -> None:
    """RFC 9421 leaves their order to the signer; another program may choose another one."""
    parameters = (
        '("@method" "@authority" "@path" "@query" "content-digest");tag="tongqiao-v1"'
        f';nonce="{NONCE}";alg="ed25519";keyid="{OFFICE.public.key_id}";created={NOW}'
    )
    base = (
        '"@method": GET\n"@authority": example.org\n"@path": /v1/rounds\n"@query": ?\n'
        f'"content-digest": {DIGEST}\n"@signature-params": {parameters}'
    )
    signature = base64.b64encode(OFFICE.signing_private.sign(base.encode())).decode()
    headers = {
        "Content-Digest": DIGEST,
        "Signature-Input": f"tq={parameters}",
        "Signature": f"tq=:{signature}:",
    }
    assert verify(headers, method="GET", url="https://example.org/v1/rounds").nonce == NONCE


@pytest.mark.parametrize("skew_s", [-MAX_CLOCK_SKEW_S, -1, 0, 0.5, MAX_CLOCK_SKEW_S])
def test_clocks_may_differ_a_little(skew_s: float) -> None:
    assert verify(sign(), now=NOW + skew_s).created == NOW


@pytest.mark.parametrize("skew_s", [-86400, -MAX_CLOCK_SKEW_S - 1, MAX_CLOCK_SKEW_S + 0.01, 1e9])
def test_an_old_or_a_future_request_is_refused(skew_s: float) -> None:
    assert "clock" in refused("expired-signature", sign(), now=NOW + skew_s)


def test_the_key_is_looked_up_only_for_what_is_in_form_and_time() -> None:
    """Nobody makes the server search its database by sending rubbish."""
    asked: list[str] = []

    def resolve(key_id: str) -> bytes | None:
        asked.append(key_id)
        return None

    for headers in (
        {},
        sign() | {"Content-Digest": "x"},
        sign() | {"Signature": "tq=:AAAA:"},
        signed_otherwise(["@method"]),
        sign(created=NOW - 1000),
    ):
        with pytest.raises(RequestSignatureError):
            verify(headers, resolve_key=resolve)
    assert asked == []
    refused("bad-signature", sign(), resolve_key=resolve)
    assert asked == [OFFICE.public.key_id]


def test_a_failing_look_up_is_not_taken_for_a_bad_signature() -> None:
    def resolve(key_id: str) -> bytes | None:
        raise ConnectionError("the database is away")

    with pytest.raises(ConnectionError, match="away"):
        verify(sign(), resolve_key=resolve)


def test_the_answer_repeats_nothing_of_the_request() -> None:
    for headers, changes in (
        (sign(), {"url": "https://evil.example.org/<script>"}),
        (sign() | {"Signature-Input": "tq=<script>"}, {}),
        (sign() | {"Content-Digest": "<script>"}, {}),
    ):
        assert "script" not in refused("bad-signature", headers, **changes)


@pytest.mark.parametrize(
    ("method", "url", "nonce"),
    [
        ("put", URL, None),
        ("PUT", "/v1/rounds", None),
        ("PUT", "https://example.org/a b", None),
        ("PUT", "https://例.org/", None),
        ("PUT", URL, "short"),
        ("PUT", URL, "A" * 32),
    ],
)
def test_what_would_be_refused_is_not_signed(method: str, url: str, nonce: str | None) -> None:
    with pytest.raises(RequestSignatureError):
        sign_request(OFFICE, method, url, DIGEST, nonce=nonce)


_ODD_TEXT = st.text(max_size=60) | st.text(string.printable, max_size=60)
_FIELD_TEXT = st.text('tq=():;,"@ab-1? \\', max_size=60)


@settings(max_examples=150)
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
    headers: Headers, method: str, url: str
) -> None:
    with pytest.raises(RequestSignatureError):
        verify(headers, method=method, url=url)


@settings(max_examples=300)
@given(
    st.sampled_from(["Signature", "Signature-Input", "Content-Digest"]),
    st.integers(0, 300),
    st.integers(0, 20),
    _FIELD_TEXT | _ODD_TEXT,
)
def test_spoilt_headers_are_refused_and_nothing_else_happens(
    name: str, at: int, n_cut: int, inserted: str
) -> None:
    headers = sign()
    good = headers[name]
    headers[name] = good[:at] + inserted + good[at + n_cut :]
    try:
        verified = verify(headers)
    except RequestSignatureError:
        return
    # White space around a value is no part of it (RFC 9110, section 5.5).
    assert headers[name].strip(" \t") == good
    assert verified.nonce == NONCE


@settings(max_examples=150)
@given(_ODD_TEXT | st.text("htp:/?#[]@%2eE7abc.1", max_size=40), _ODD_TEXT)
def test_odd_addresses_are_refused_and_nothing_else_happens(url: str, method: str) -> None:
    with pytest.raises(RequestSignatureError):
        verify(sign(), url=url)
    with pytest.raises(RequestSignatureError):
        verify(sign(), url=URL + "x" + url)
    with pytest.raises(RequestSignatureError):
        verify(sign(), method=method)
