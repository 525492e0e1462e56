"""The published vectors, against the program and against a second implementation.

The second one is written from ``keys/SEALING.md`` alone and imports nothing of ``keys``: pyhpke for
DHKEM, RFC 9180's key schedule written out for the hybrid suite, HKDF from ``hmac``.
"""

import base64
import hashlib
import hmac
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from keys.errors import SealingError
from keys.identity import PrivateIdentity, parse_private_identity, parse_public_identity
from keys.linkage_secret import parse_linkage_secret, serialise_linkage_secret
from keys.request_signing import sign_request, verify_request
from keys.sealing import open_sealed, seal
from keys.signing import sign_document, verify_document
from keys.suites import HYBRID, SealingPrivateKey

_FOLDER = Path(__file__).parents[1] / "vectors" / "keys"
_VECTORS: dict[str, Any] = json.loads((_FOLDER / "vectors.json").read_text(encoding="utf-8"))
_XWING: list[dict[str, str]] = json.loads((_FOLDER / "xwing.json").read_text(encoding="utf-8"))
_HOLDERS = sorted(_VECTORS["identities"])
_DHKEM = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


# The second implementation.


def _canonical(value: dict[str, Any]) -> bytes:
    """Enough of RFC 8785 for objects of text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _digits(digest: bytes) -> str:
    text = f"{int.from_bytes(digest, 'big') % 10**30:030d}"
    return "-".join(text[at : at + 5] for at in range(0, 30, 5))


def _hkdf(secret: bytes, info: bytes, n_bytes: int) -> bytes:
    extracted = hmac.digest(b"tongqiao/v1/linkage-secret", secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")[:n_bytes]


def _labelled_extract(suite: bytes, salt: bytes, label: bytes, data: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + data, "sha256")


def _labelled_expand(suite: bytes, key: bytes, label: bytes, data: bytes, n_bytes: int) -> bytes:
    info = struct.pack(">H", n_bytes) + b"HPKE-v1" + suite + label + data
    return hmac.digest(key, info + b"\x01", "sha256")[:n_bytes]


def _xwing_decapsulate(seed: bytes, enc: bytes) -> bytes:
    expanded = hashlib.shake_256(seed).digest(96)
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
    shared = MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).decapsulate(enc[:1088])
    shared += x25519.exchange(X25519PublicKey.from_public_bytes(enc[1088:]))
    shared += enc[1088:] + x25519.public_key().public_bytes_raw()
    return hashlib.sha3_256(shared + b"\\.//^\\").digest()


def _open_hybrid(seed: bytes, enc: bytes, ciphertext: bytes, info: bytes) -> bytes:
    suite = b"HPKE" + struct.pack(">HHH", 0x647A, 1, 2)
    psk_id_hash = _labelled_extract(suite, b"", b"psk_id_hash", b"")
    info_hash = _labelled_extract(suite, b"", b"info_hash", info)
    context = b"\x00" + psk_id_hash + info_hash
    secret = _labelled_extract(suite, _xwing_decapsulate(seed, enc), b"secret", b"")
    key = _labelled_expand(suite, secret, b"key", context, 32)
    nonce = _labelled_expand(suite, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def _open_x25519(seed: bytes, enc: bytes, ciphertext: bytes, info: bytes) -> bytes:
    key = KEMKey.from_pyca_cryptography_key(X25519PrivateKey.from_private_bytes(seed))
    return _DHKEM.create_recipient_context(enc, key, info=info).open(ciphertext)


def _documents(holder: str) -> tuple[dict[str, str], dict[str, Any]]:
    row = _VECTORS["identities"][holder]
    return json.loads(row["public_file"]), json.loads(row["private_file"])


def _key_id(holder: str) -> str:
    signing_key = base64.b64decode(_documents(holder)[0]["signing_key"])
    return hashlib.sha256(signing_key).hexdigest()[:32]


def _info(row: dict[str, Any], suite: str) -> bytes:
    return b"tongqiao/v1/sealing-info\x00" + _canonical(
        {
            "context": row["context"],
            "purpose": row["purpose"],
            "recipient": _key_id(row["recipient"]),
            "sender": _key_id(row["sender"]),
            "suite": suite,
        }
    )


def _open_from_the_specification(row: dict[str, Any]) -> bytes:
    public, private = _documents(row["recipient"])
    seed = base64.b64decode(private["sealing_private"])
    blob = base64.b64decode(row["blob"])
    n_enc, suite_id, opens = {
        "mlkem768-x25519": (1120, (0x647A, 1, 2), _open_hybrid),
        "x25519": (32, (0x0020, 1, 2), _open_x25519),
    }[public["sealing_suite"]]
    magic, version, *numbers, sender, recipient, n_sealed = struct.unpack_from(
        ">6sBHHH16s16sI", blob
    )
    assert (magic, version, tuple(numbers)) == (b"TQSEAL", 1, suite_id)
    assert sender.hex() == _key_id(row["sender"])
    assert recipient.hex() == _key_id(row["recipient"])
    assert len(blob) == 49 + n_sealed + 64
    info = _info(row, public["sealing_suite"])
    signer = Ed25519PublicKey.from_public_bytes(
        base64.b64decode(_documents(row["sender"])[0]["signing_key"])
    )
    document = struct.pack(">I", len(info)) + info + blob[:-64]
    signer.verify(blob[-64:], b"tongqiao/v1/sealed\x00" + document)
    return opens(seed, blob[49 : 49 + n_enc], blob[49 + n_enc : -64], info)


# Second implementation against the vectors.


@pytest.mark.parametrize("row", _XWING, ids=lambda row: row["sk"][:8])
def test_the_second_implementation_follows_xwing(row: dict[str, str]) -> None:
    shared = _xwing_decapsulate(bytes.fromhex(row["sk"]), bytes.fromhex(row["ct"]))
    assert shared.hex() == row["ss"]


@pytest.mark.parametrize("row", _VECTORS["sealed"], ids=lambda row: row["recipient"])
def test_blobs_open_by_the_specification(row: dict[str, Any]) -> None:
    assert _open_from_the_specification(row).hex() == row["plaintext"]


@pytest.mark.parametrize("holder", _HOLDERS)
def test_identities_are_as_specified(holder: str) -> None:
    row = _VECTORS["identities"][holder]
    public, private = _documents(holder)
    assert row["public_file"].encode() == _canonical(public)
    assert row["private_file"].encode() == _canonical(private)
    assert private["public"] == public
    unsigned = _canonical({key: text for key, text in public.items() if key != "signature"})
    Ed25519PublicKey.from_public_bytes(base64.b64decode(public["signing_key"])).verify(
        base64.b64decode(public["signature"]), b"tongqiao/v1/public-identity\x00" + unsigned
    )
    digest = hashlib.sha256(b"tongqiao/v1/public-identity-fingerprint\x00" + unsigned).digest()
    assert row["fingerprint"] == _digits(digest)
    assert row["key_id"] == _key_id(holder)


@pytest.mark.parametrize("row", _VECTORS["linkage_secrets"], ids=lambda row: row["fingerprint"][:5])
def test_linkage_secrets_are_as_specified(row: dict[str, Any]) -> None:
    marker, secret_hex, checksum = row["file"].removesuffix("\n").split(":")
    secret = bytes.fromhex(secret_hex)
    assert (marker, len(secret)) == ("tongqiao-linkage-secret-v1", 32)
    assert checksum == _hkdf(secret, b"tongqiao/v1/linkage-secret-checksum", 4).hex()
    fingerprint = _hkdf(secret, b"tongqiao/v1/linkage-secret-fingerprint", 32)
    assert row["fingerprint"] == _digits(fingerprint)
    for entry in row["contexts"]:
        context = entry["context"].encode()
        round_key = _hkdf(secret, b"tongqiao/v1/round-key\x00" + context, 32)
        confirmation = _hkdf(secret, b"tongqiao/v1/key-confirmation\x00" + context, 16)
        assert (entry["round_key"], entry["key_confirmation"]) == (
            round_key.hex(),
            confirmation.hex(),
        )


@pytest.mark.parametrize("row", _VECTORS["requests"]["signed"], ids=lambda row: row["method"])
def test_requests_are_signed_as_specified(row: dict[str, Any]) -> None:
    """The signature base of RFC 9421, section 2.5, written out."""
    headers = row["headers"]
    rest = row["url"].partition("://")[2]
    authority, slash, target = rest.partition("/")
    path, _, query = (slash + target).partition("?")
    parameters = (
        '("@method" "@authority" "@path" "@query" "content-digest")'
        f';created={row["created"]};keyid="{_key_id("jinjiang-civil")}";alg="ed25519"'
        f';nonce="{row["nonce"]}";tag="tongqiao-v1"'
    )
    assert headers["Signature-Input"] == f"tq={parameters}"
    base = "\n".join(
        (
            f'"@method": {row["method"]}',
            f'"@authority": {authority}',
            f'"@path": {path}',
            f'"@query": ?{query}',
            f'"content-digest": {headers["Content-Digest"]}',
            f'"@signature-params": {parameters}',
        )
    )
    signature = base64.b64decode(headers["Signature"].removeprefix("tq=:").removesuffix(":"))
    signing_key = base64.b64decode(_documents("jinjiang-civil")[0]["signing_key"])
    Ed25519PublicKey.from_public_bytes(signing_key).verify(signature, base.encode())


# The program against the vectors.


def _private(holder: str) -> PrivateIdentity:
    return parse_private_identity(_VECTORS["identities"][holder]["private_file"].encode())


@pytest.mark.parametrize("row", _XWING, ids=lambda row: row["sk"][:8])
def test_hybrid_keys_are_those_of_xwing(row: dict[str, str]) -> None:
    key = SealingPrivateKey(HYBRID, bytes.fromhex(row["sk"]))
    assert key.public_bytes.hex() == row["pk"]


@pytest.mark.parametrize("holder", _HOLDERS)
def test_identities_are_read_and_written_the_same(holder: str) -> None:
    row = _VECTORS["identities"][holder]
    identity = _private(holder)
    public = parse_public_identity(row["public_file"].encode())
    assert identity.public == public
    assert identity.to_json().decode() == row["private_file"]
    assert public.to_json().decode() == row["public_file"]
    assert (public.key_id, public.fingerprint) == (row["key_id"], row["fingerprint"])


@pytest.mark.parametrize("row", _VECTORS["documents"]["signed"], ids=lambda row: row["label"])
def test_documents_are_signed_the_same(row: dict[str, str]) -> None:
    signer = _private(_VECTORS["documents"]["signer"])
    label, document = row["label"].encode(), bytes.fromhex(row["document"])
    assert sign_document(signer.signing_private, label, document).hex() == row["signature"]
    verify_document(signer.public.signing_key, label, document, bytes.fromhex(row["signature"]))


@pytest.mark.parametrize("row", _VECTORS["linkage_secrets"], ids=lambda row: row["fingerprint"][:5])
def test_linkage_secrets_give_the_same_keys(row: dict[str, Any]) -> None:
    secret = parse_linkage_secret(row["file"].encode())
    assert serialise_linkage_secret(secret).decode() == row["file"]
    assert secret.fingerprint == row["fingerprint"]
    for entry in row["contexts"]:
        assert secret.round_key(entry["context"]).hex() == entry["round_key"]
        assert secret.key_confirmation(entry["context"]) == entry["key_confirmation"]


@pytest.mark.parametrize("row", _VECTORS["requests"]["signed"], ids=lambda row: row["method"])
def test_requests_are_signed_and_verified_the_same(row: dict[str, Any]) -> None:
    signer = _private("jinjiang-civil")
    headers = sign_request(
        signer,
        row["method"],
        row["url"],
        row["headers"]["Content-Digest"],
        created=row["created"],
        nonce=row["nonce"],
    )
    assert headers == row["headers"]
    verified = verify_request(
        row["method"], row["url"], headers, {signer.public.key_id: signer.public.signing_key}.get,
        row["created"],
    )  # fmt: skip
    assert verified.nonce == row["nonce"]


@pytest.mark.parametrize("row", _VECTORS["sealed"], ids=lambda row: row["recipient"])
def test_blobs_open(row: dict[str, Any]) -> None:
    plaintext = open_sealed(
        base64.b64decode(row["blob"]),
        recipient=_private(row["recipient"]),
        sender=_private(row["sender"]).public,
        purpose=row["purpose"],
        context=row["context"],
    )
    assert plaintext.hex() == row["plaintext"]


@pytest.mark.parametrize("row", _VECTORS["refused"], ids=lambda row: row["name"])
def test_wrong_blobs_are_refused_with_the_reason(row: dict[str, Any]) -> None:
    with pytest.raises(SealingError) as caught:
        open_sealed(
            base64.b64decode(row["blob"]),
            recipient=_private(row["recipient"]),
            sender=_private(row["sender"]).public,
            purpose=row["purpose"],
            context=row["context"],
        )
    assert str(caught.value).startswith(row["says"])


@pytest.mark.parametrize("holder", ["jinjiang-civil", "zigong-health"])
def test_new_blobs_open_by_the_specification(holder: str) -> None:
    row = {
        "sender": "province",
        "recipient": holder,
        "purpose": "note",
        "context": {"case": "七", "": "empty"},
    }
    plaintext = "锦江区".encode()
    blob = seal(
        plaintext,
        recipient=_private(holder).public,
        sender=_private("province"),
        purpose="note",
        context={"case": "七", "": "empty"},
    )
    row["blob"] = base64.b64encode(blob).decode()
    assert _open_from_the_specification(row) == plaintext
