"""Make ``vectors.json`` anew: ``python tests/vectors/keys/generate.py`` (``PROVENANCE.md``).

Everything but the sealed blobs comes out the same each time; HPKE draws random numbers.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys import labels
from keys.canonical import canonical_json
from keys.identity import Kind, PrivateIdentity, identity_from_keys
from keys.linkage_secret import (
    LinkageSecret,
    seal_linkage_secret,
    serialise_linkage_secret,
)
from keys.request_signing import content_digest, sign_request
from keys.sealing import linkage_secret_context, seal
from keys.signing import sign_document
from keys.suites import CLASSICAL, HYBRID, SealingPrivateKey, Suite

_CREATED_AT = "2026-03-01T08:00:00Z"
_PROJECT = "sichuan-children"


def _seed(name: str) -> bytes:
    """A private key that everybody knows: for tests alone."""
    return hashlib.sha256(f"tongqiao test vector: {name}".encode()).digest()


def _identity(holder: str, kind: Kind, name: str, suite: Suite) -> PrivateIdentity:
    return identity_from_keys(
        holder,
        kind,
        name,
        _CREATED_AT,
        Ed25519PrivateKey.from_private_bytes(_seed(f"{holder} signing")),
        SealingPrivateKey(suite, _seed(f"{holder} sealing")),
    )


def _identities() -> dict[str, PrivateIdentity]:
    return {
        "province": _identity("province", "office", "省级协调办公室", HYBRID),
        "jinjiang-civil": _identity("jinjiang-civil", "office", "锦江区民政局", HYBRID),
        "zigong-health": _identity("zigong-health", "office", "Zigong health", CLASSICAL),
        "wang-li": _identity("wang-li", "operator", "王丽", HYBRID),
    }


def _documents(signer: PrivateIdentity) -> list[dict[str, str]]:
    rows = []
    for label in (labels.TERMS, labels.IDENTITY, labels.SEALED):
        for document in (b"", canonical_json({"b": 1, "a": "童桥"})):
            signature = sign_document(signer.signing_private, label, document)
            rows.append(
                {
                    "label": label.decode(),
                    "document": document.hex(),
                    "signature": signature.hex(),
                }
            )
    return rows


def _secrets() -> list[dict[str, Any]]:
    rows = []
    for name in ("secret 1", "secret 2"):
        secret = LinkageSecret(_seed(name))
        rows.append(
            {
                "file": serialise_linkage_secret(secret).decode(),
                "fingerprint": secret.fingerprint,
                "contexts": [
                    {
                        "context": context,
                        "round_key": secret.round_key(context).hex(),
                        "key_confirmation": secret.key_confirmation(context),
                    }
                    for context in (
                        "sichuan-children/2026-h2",
                        "sichuan-children/2027-h1",
                        "offline",
                    )
                ],
            }
        )
    return rows


def _row(blob: bytes, sender: str, recipient: str, context: dict[str, str], **more: str) -> Any:
    return {
        "sender": sender,
        "recipient": recipient,
        "purpose": more.pop("purpose", "linkage-secret"),
        "context": context,
        **more,
        "blob": base64.b64encode(blob).decode(),
    }


def _sealed(people: dict[str, PrivateIdentity]) -> list[Any]:
    sender = people["province"]
    rows = []
    for holder in ("jinjiang-civil", "zigong-health"):
        secret = LinkageSecret(_seed("secret 1"))
        blob = seal_linkage_secret(
            secret, recipient=people[holder].public, sender=sender, project=_PROJECT, epoch=2
        )
        context = linkage_secret_context(_PROJECT, 2, holder)
        plaintext = serialise_linkage_secret(secret).hex()
        rows.append(_row(blob, "province", holder, context, plaintext=plaintext))
        blob = seal(
            b"",
            recipient=people[holder].public,
            sender=sender,
            purpose="note",
            context={"说": "明"},
        )
        row = _row(blob, "province", holder, {"说": "明"}, plaintext="", purpose="note")
        rows.append(row)
    return rows


def _changed(blob: bytes, at: int, new: bytes) -> bytes:
    return blob[:at] + new + blob[at + len(new) :]


def _taken_over(
    blob: bytes, thief: PrivateIdentity, recipient: PrivateIdentity, context: dict[str, str]
) -> bytes:
    """The blob with its sender replaced and rightly signed by the new one."""
    signed = _changed(blob[:-64], 13, bytes.fromhex(thief.public.key_id))
    info = (
        labels.SEALING_INFO
        + b"\x00"
        + canonical_json(
            {
                "context": context,
                "purpose": "linkage-secret",
                "recipient": recipient.public.key_id,
                "sender": thief.public.key_id,
                "suite": recipient.public.sealing_suite,
            }
        )
    )
    document = len(info).to_bytes(4, "big") + info + signed
    return signed + sign_document(thief.signing_private, labels.SEALED, document)


def _refused(people: dict[str, PrivateIdentity]) -> list[Any]:
    """One way of going wrong each, and the beginning of what the program says to it."""
    holder = "zigong-health"
    context = linkage_secret_context(_PROJECT, 1, holder)

    def sealed_by(sender: str, recipient: str = holder) -> bytes:
        return seal(
            b"not the secret",
            recipient=people[recipient].public,
            sender=people[sender],
            purpose="linkage-secret",
            context=context,
        )

    good = sealed_by("province")
    planted = sealed_by("wang-li")
    own_key_id = good[13:29]
    claimed = _changed(planted, 13, own_key_id)
    taken_over = _taken_over(good, people["wang-li"], people[holder], context)
    damaged = "The sealed file is damaged"
    other_signer = "It was sealed with another key"
    unfit = "The sender's signature does not fit"
    cases: list[tuple[str, bytes, dict[str, str], str]] = [
        ("empty", b"", context, "That is nothing that this program sealed"),
        ("another magic", _changed(good, 0, b"TQSEAM"), context, "That is nothing"),
        ("version 2", _changed(good, 6, b"\x02"), context, "It was sealed by another version"),
        ("unknown suite", _changed(good, 7, b"\x00\x10"), context, "It was sealed with a suite"),
        ("header alone", good[:49], context, damaged),
        ("one byte too few", good[:-1], context, damaged),
        ("one byte too many", good + b"\x00", context, damaged),
        ("length beyond the limit", _changed(good, 45, b"\xff" * 4), context, damaged),
        ("length less than enc and tag", _changed(good, 45, b"\x00" * 4), context, damaged),
        ("another sender", planted, context, other_signer),
        ("another sender under the expected key id", claimed, context, unfit),
        ("to another office", sealed_by("province", "jinjiang-civil"), context, "It was sealed to"),
        ("another epoch", good, context | {"epoch": "2"}, unfit),
        ("another project", good, context | {"project": "other"}, unfit),
        ("a context less", good, {"project": _PROJECT, "epoch": "1"}, unfit),
        ("enc altered", _changed(good, 49, bytes([good[49] ^ 1])), context, unfit),
        ("tag altered", _changed(good, len(good) - 65, bytes([good[-65] ^ 1])), context, unfit),
        ("signature altered", _changed(good, len(good) - 1, bytes([good[-1] ^ 1])), context, unfit),
    ]
    rows = [
        _row(blob, "province", holder, given, name=name, says=says)
        for name, blob, given, says in cases
    ]
    name, says = "ciphertext taken over by another sender", "It cannot be opened with this key"
    return [*rows, _row(taken_over, "wang-li", holder, context, name=name, says=says)]


def _requests(signer: PrivateIdentity) -> list[dict[str, Any]]:
    rows = []
    for number, (method, url, body) in enumerate(
        (
            ("GET", "https://linkage.example.org/v1/rounds", b""),
            ("GET", "https://linkage.example.org/v1/log/entries?start=0&limit=%31", b""),
            ("PUT", "http://127.0.0.1:8470/v1/a%20b/%E7%AB%A5?", b"\x00\x01"),
        )
    ):
        digest = content_digest(body)
        nonce = f"{number:032x}"
        rows.append(
            {
                "method": method,
                "url": url,
                "created": 1_772_352_000 + number,
                "nonce": nonce,
                "headers": sign_request(
                    signer, method, url, digest, created=1_772_352_000 + number, nonce=nonce
                ),
            }
        )
    return rows


def make_vectors() -> dict[str, Any]:
    """Every vector, as ``vectors.json`` holds them."""
    people = _identities()
    return {
        "identities": {
            holder: {
                "private_file": identity.to_json().decode(),
                "public_file": identity.public.to_json().decode(),
                "key_id": identity.public.key_id,
                "fingerprint": identity.public.fingerprint,
            }
            for holder, identity in people.items()
        },
        "documents": {"signer": "province", "signed": _documents(people["province"])},
        "linkage_secrets": _secrets(),
        "requests": {"signer": "jinjiang-civil", "signed": _requests(people["jinjiang-civil"])},
        "sealed": _sealed(people),
        "refused": _refused(people),
    }


if __name__ == "__main__":
    Path(__file__).with_name("vectors.json").write_text(
        json.dumps(make_vectors(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
