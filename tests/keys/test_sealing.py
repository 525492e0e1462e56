import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import SealingError
from keys.identity import PrivateIdentity, PublicIdentity, new_identity
from keys.sealing import MAX_PLAINTEXT_BYTES, open_sealed, parse_sealed, seal, verify_sealed
from keys.suites import CLASSICAL, HYBRID

_CONTEXT = {"project": "children", "epoch": "1", "recipient": "jinjiang-civil"}
_SENDER = new_identity("province", "office", suite=CLASSICAL)
_RECIPIENT = new_identity("jinjiang-civil", "office", suite=CLASSICAL)
_HYBRID_RECIPIENT = new_identity("jinjiang-civil", "office", suite=HYBRID)
_OTHER = new_identity("zigong-health", "office", suite=CLASSICAL)
_BOTH = pytest.mark.parametrize(
    "recipient", [_RECIPIENT, _HYBRID_RECIPIENT], ids=["x25519", "hybrid"]
)


def _seal(
    plaintext: bytes = b"the secret",
    recipient: PrivateIdentity = _RECIPIENT,
    sender: PrivateIdentity = _SENDER,
) -> bytes:
    return seal(
        plaintext,
        recipient=recipient.public,
        sender=sender,
        purpose="linkage-secret",
        context=_CONTEXT,
    )


def _open(
    blob: bytes,
    recipient: PrivateIdentity = _RECIPIENT,
    sender: PublicIdentity = _SENDER.public,
    purpose: str = "linkage-secret",
    context: dict[str, str] = _CONTEXT,
) -> bytes:
    return open_sealed(blob, recipient=recipient, sender=sender, purpose=purpose, context=context)


@_BOTH
@pytest.mark.parametrize("n_bytes", [0, 1, 32, 70_000])
def test_the_recipient_opens_it(recipient: PrivateIdentity, n_bytes: int) -> None:
    plaintext = bytes(n_bytes)
    assert _open(_seal(plaintext, recipient), recipient) == plaintext


def test_the_same_plaintext_never_looks_the_same() -> None:
    first, second = parse_sealed(_seal()), parse_sealed(_seal())
    assert first.enc_and_ciphertext[:32] != second.enc_and_ciphertext[:32]
    assert first.enc_and_ciphertext[32:] != second.enc_and_ciphertext[32:]


def test_the_limit_of_size() -> None:
    assert len(_open(_seal(bytes(MAX_PLAINTEXT_BYTES)))) == MAX_PLAINTEXT_BYTES
    with pytest.raises(SealingError, match="1 MiB"):
        _seal(bytes(MAX_PLAINTEXT_BYTES + 1))


def test_every_bit_counts() -> None:
    blob = _seal()
    for at in range(len(blob)):
        altered = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        with pytest.raises(SealingError):
            _open(altered)


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 255))
def test_every_byte_of_a_hybrid_blob_counts(at: int, flip: int) -> None:
    blob = _HYBRID_BLOB
    at %= len(blob)
    with pytest.raises(SealingError):
        _open(blob[:at] + bytes([blob[at] ^ flip]) + blob[at + 1 :], _HYBRID_RECIPIENT)


_HYBRID_BLOB = _seal(recipient=_HYBRID_RECIPIENT)


def test_no_part_of_it_opens_and_nothing_more() -> None:
    blob = _seal()
    for n_bytes in range(len(blob)):
        with pytest.raises(SealingError):
            _open(blob[:n_bytes])
    for more in (b"\x00", b"\x00" * 64, blob):
        with pytest.raises(SealingError, match="damaged"):
            _open(blob + more)


@settings(max_examples=100)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_the_one_error(data: bytes, with_magic: bool) -> None:
    with pytest.raises(SealingError):
        parse_sealed(b"TQSEAL\x01" + data if with_magic else data)


@_BOTH
def test_another_purpose_or_context_does_not_open_it(recipient: PrivateIdentity) -> None:
    blob = _seal(recipient=recipient)
    with pytest.raises(SealingError, match="does not fit"):
        _open(blob, recipient, purpose="case-message")
    for context in (
        {},
        _CONTEXT | {"epoch": "2"},
        _CONTEXT | {"project": "other"},
        _CONTEXT | {"more": ""},
        # The same text, cut differently.
        {"project": "children1", "epoch": "", "recipient": "jinjiang-civil"},
    ):
        with pytest.raises(SealingError, match="does not fit"):
            _open(blob, recipient, context=context)


def test_the_order_of_the_context_does_not_count() -> None:
    assert _open(_seal(), context=dict(reversed(_CONTEXT.items()))) == b"the secret"


def test_another_office_does_not_open_it() -> None:
    with pytest.raises(SealingError, match="sealed to another key"):
        _open(_seal(), recipient=_OTHER)


def test_a_new_sealing_key_of_the_same_office_needs_a_new_blob() -> None:
    with pytest.raises(SealingError, match="sealed to another key"):
        _open(_seal(), recipient=_HYBRID_RECIPIENT)


def test_the_server_cannot_plant_a_secret_of_its_own() -> None:
    """The attack: it knows every public key, and writes whom it likes into the header."""
    server = new_identity("province", "office", suite=CLASSICAL)
    planted = _seal(b"a secret that the server knows", sender=server)
    with pytest.raises(SealingError, match="another key than the given sender's"):
        _open(planted)
    key_id = bytes.fromhex(_SENDER.public.key_id)
    with pytest.raises(SealingError, match="does not fit"):
        _open(planted[:13] + key_id + planted[29:])
    # Nor under a signature that the sender made for another blob.
    with pytest.raises(SealingError, match="does not fit"):
        _open(planted[:13] + key_id + planted[29:-64] + _seal()[-64:])


def test_the_server_cannot_pass_it_to_another_office() -> None:
    blob = _seal()
    redirected = blob[:29] + bytes.fromhex(_OTHER.public.key_id) + blob[45:]
    with pytest.raises(SealingError, match="does not fit"):
        _open(redirected, recipient=_OTHER)


def test_another_suite_in_the_header_is_refused() -> None:
    blob = _seal(bytes(2000))
    downgraded = blob[:7] + HYBRID.identifier + blob[13:]
    with pytest.raises(SealingError, match="another suite"):
        _open(downgraded)


def test_who_passes_it_on_can_verify_it_without_opening() -> None:
    blob = _seal()
    for recipient, sender, context, message in (
        (_OTHER, _SENDER, _CONTEXT, "another key than this one"),
        (_RECIPIENT, _OTHER, _CONTEXT, "another key than the given sender's"),
        (_RECIPIENT, _SENDER, _CONTEXT | {"epoch": "2"}, "does not fit"),
    ):
        with pytest.raises(SealingError, match=message):
            verify_sealed(
                blob,
                recipient=recipient.public,
                sender=sender.public,
                purpose="linkage-secret",
                context=context,
            )
    verify_sealed(
        blob,
        recipient=_RECIPIENT.public,
        sender=_SENDER.public,
        purpose="linkage-secret",
        context=_CONTEXT,
    )


def test_what_is_shown_to_anyone_is_no_plaintext() -> None:
    blob = _seal(b"the secret itself")
    assert b"the secret itself" not in blob
    parsed = parse_sealed(blob)
    assert parsed.sender_key_id == _SENDER.public.key_id
    assert parsed.recipient_key_id == _RECIPIENT.public.key_id
    assert parsed.suite is CLASSICAL


@pytest.mark.parametrize("purpose", ["", "Linkage", "a b", "a" * 64, "a\n"])
def test_a_purpose_is_a_word(purpose: str) -> None:
    with pytest.raises(SealingError, match="purpose"):
        seal(b"", recipient=_RECIPIENT.public, sender=_SENDER, purpose=purpose, context={})


@pytest.mark.parametrize("context", [{"a": "\ud800"}, {"\udfff": "a"}, {"a": 1}, {1: "a"}])
def test_a_context_is_text(context: dict[str, str]) -> None:
    with pytest.raises(SealingError, match="text only"):
        seal(b"", recipient=_RECIPIENT.public, sender=_SENDER, purpose="note", context=context)
