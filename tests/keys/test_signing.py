import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import labels
from keys.errors import SignatureError
from keys.signing import is_weak_signing_key, sign_document, verify_bytes, verify_document

_PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC = _PRIVATE.public_key().public_bytes_raw()

# The curve of RFC 8032, section 5.1.
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_Point = tuple[int, int]


def _add(first: _Point, second: _Point) -> _Point:
    (x1, y1), (x2, y2) = first, second
    k = _D * x1 * x2 * y1 * y2 % _P
    x = (x1 * y2 + x2 * y1) * pow(1 + k, -1, _P) % _P
    y = (y1 * y2 + x1 * x2) * pow(1 - k, -1, _P) % _P
    return x, y


def _multiply(factor: int, point: _Point) -> _Point:
    result = (0, 1)
    while factor:
        if factor & 1:
            result = _add(result, point)
        point = _add(point, point)
        factor >>= 1
    return result


def _point_at(y: int) -> _Point | None:
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    return None if (x * x - square) % _P else (x, y)


def _small_order_points() -> set[_Point]:
    found: set[_Point] = set()
    for y in range(2, 20):
        point = _point_at(y)
        if point is not None:
            torsion = _multiply(_L, point)
            found |= {_multiply(n, torsion) for n in range(8)}
    return found


def _encodings() -> list[bytes]:
    """Every 32 bytes that name a point of small order, not in their usual form too."""
    numbers = {n for _, y in _small_order_points() for n in (y, y + _P) if n < 2**255}
    return sorted((n | sign << 255).to_bytes(32, "little") for n in numbers for sign in (0, 1))


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_what_was_signed_verifies(document: bytes) -> None:
    signature = sign_document(_PRIVATE, labels.TERMS, document)
    verify_document(_PUBLIC, labels.TERMS, document, signature)


def test_a_signature_for_one_purpose_is_none_for_another() -> None:
    signature = sign_document(_PRIVATE, labels.TERMS, b"document")
    with pytest.raises(SignatureError, match="does not fit"):
        verify_document(_PUBLIC, labels.IDENTITY, b"document", signature)
    # Nor is a signature over the bare bytes, as another protocol would make it.
    with pytest.raises(SignatureError, match="does not fit"):
        verify_document(_PUBLIC, labels.TERMS, b"document", _PRIVATE.sign(b"document"))


def test_bytes_of_another_protocol_verify_as_they_are() -> None:
    verify_bytes(_PUBLIC, b"note\n", _PRIVATE.sign(b"note\n"))
    for message, signature in (
        (b"note", _PRIVATE.sign(b"note\n")),
        (b"note\n", sign_document(_PRIVATE, labels.TERMS, b"note\n")),
    ):
        with pytest.raises(SignatureError, match="does not fit"):
            verify_bytes(_PUBLIC, message, signature)
    with pytest.raises(SignatureError, match="no usable"):
        verify_bytes((1).to_bytes(32, "little"), b"note\n", (1).to_bytes(32, "little") + bytes(32))


def test_an_altered_document_key_or_signature_is_refused() -> None:
    signature = sign_document(_PRIVATE, labels.TERMS, b"document")
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    for key, document, tried in (
        (_PUBLIC, b"documenu", signature),
        (other, b"document", signature),
        (_PUBLIC, b"document", bytes([signature[0] ^ 1]) + signature[1:]),
        (_PUBLIC, b"document", signature[:32] + b"\xff" * 32),
        (b"\xff" * 32, b"document", signature),
    ):
        with pytest.raises(SignatureError, match="does not fit"):
            verify_document(key, labels.TERMS, document, tried)


@pytest.mark.parametrize("signature", [b"", b"\x00" * 63, b"\x00" * 65])
def test_a_signature_of_the_wrong_size_is_refused(signature: bytes) -> None:
    with pytest.raises(SignatureError, match="64 bytes"):
        verify_document(_PUBLIC, labels.TERMS, b"document", signature)


@pytest.mark.parametrize("key", [b"", b"\x01" * 31, b"\x01" * 33])
def test_a_key_of_the_wrong_size_is_refused(key: bytes) -> None:
    with pytest.raises(SignatureError, match="no usable"):
        verify_document(key, labels.TERMS, b"document", bytes(64))


def test_the_library_alone_would_take_one_signature_for_every_document() -> None:
    """Why weak keys are refused: without a private key, 0 * B = identity + h * identity."""
    identity = (1).to_bytes(32, "little")
    forged = identity + bytes(32)
    for document in (b"terms A", b"terms B"):
        message = labels.TERMS + b"\x00" + document
        Ed25519PublicKey.from_public_bytes(identity).verify(forged, message)
        with pytest.raises(SignatureError, match="no usable"):
            verify_document(identity, labels.TERMS, document, forged)


def test_every_point_of_small_order_is_known_as_weak() -> None:
    assert len(_small_order_points()) == 8
    encodings = _encodings()
    assert len(encodings) == 14
    assert all(is_weak_signing_key(encoding) for encoding in encodings)


@settings(max_examples=30)
@given(st.binary(min_size=32, max_size=32))
def test_no_real_key_is_weak(seed: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert not is_weak_signing_key(key)


@pytest.mark.parametrize("label", [b"", b"terms", b"tongqiao/v1/", b"tongqiao/v1/a\x00b"])
def test_only_labels_are_labels(label: bytes) -> None:
    with pytest.raises(ValueError, match="labels"):
        sign_document(_PRIVATE, label, b"document")
    with pytest.raises(ValueError, match="labels"):
        verify_document(_PUBLIC, label, b"document", bytes(64))
