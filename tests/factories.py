"""Makes what tests need: identities, terms, invented records, encoded files.

Everything is invented, small and quick to make.  Offices are named after districts of Chengdu and
what they keep; no record is anyone's.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from keys.cipher_suites import DEFAULT, CipherSuite
from keys.identity import Kind, PrivateIdentity, new_identity
from keys.linkage_secret import LinkageSecret
from linkage.encoding.encode import encode_records
from linkage.profile import Profile, parse_profile
from linkage.tqe import write_tqe
from linkage.types import EncodedDataset, Manifest, RecordBatch

PROJECT = "sichuan-children"
ROUND = "2026-h2"
COORDINATOR = "province-coordination"
ROLES: Mapping[str, str] = {
    "jinjiang-civil": "residence-civil-affairs",
    "zhongjiang-civil": "origin-civil-affairs",
    "chengdu-education": "education",
}
"""Offices that bring records, and their roles."""

SECRET = LinkageSecret(bytes(range(32)))
WRONG_SECRET = LinkageSecret(bytes(range(1, 33)))

PROFILE_TEXT = """
format = "tongqiao-profile-v1"
name = "test-latin"
cleaning = "latin-1"
diffusion = 3

[fields]
given_name = "latin-name"
surname = "latin-name"
birth_date = "date"
number = "identifier"

[groups.name]
filter_bits = 256
tokens = [
  { field = "given_name", kind = "bigram", hashes = 12 },
  { field = "surname", kind = "bigram", hashes = 12 },
]

[groups.birth]
filter_bits = 256
tokens = [{ field = "birth_date", kind = "digit-position", hashes = 10 }]

[[views]]
name = "identity"
salt = [{ field = "number", kind = "whole" }]
groups = ["name", "birth"]
implies = ["identity"]
refutes = ["identity"]

[[views]]
name = "birth"
salt = [{ field = "birth_date", kind = "whole" }]
groups = ["name"]
implies = ["birth"]
refutes = ["birth"]
"""
"""A small profile, quick to encode by."""


@cache
def profile(text: str = PROFILE_TEXT) -> Profile:
    """A profile, parsed once."""
    return parse_profile(text)


def identity(holder: str, kind: Kind = "office", *, key: int = 0) -> PrivateIdentity:
    """Keys of an office or a person, the same ones all through a test run.

    Args:
        key: another number gives other keys under the same name.
    """
    return _identity(holder, kind, key)


@cache
def _identity(holder: str, kind: Kind, key: int) -> PrivateIdentity:
    return new_identity(holder, kind, f"{holder} (example {key})")


def terms(**changes: Any) -> dict[str, Any]:
    """Terms of a round as a server accepts them; ``changes`` replace fields."""
    bound = profile()
    return {
        "format": "tongqiao-terms-v2",
        "project": PROJECT,
        "round": ROUND,
        "purpose": "Find children that two offices know.",
        "coordinating_office": COORDINATOR,
        "secret_epoch": 1,
        "members": [{"office": office, "role": role} for office, role in ROLES.items()],
        "profile": {"name": bound.name, "sha256": bound.sha256},
        "cleaning": bound.cleaning,
        "visibility": "all",
        "solve": "groups",
        "threshold": "auto",
        "retention_days": 180,
        "max_records": 10_000,
        "min_witnesses": 0,
        **changes,
    }


@dataclass(frozen=True)
class Child:
    """An invented child."""

    number: str
    given_name: str
    surname: str
    birth_date: date


def children(n: int, *, seed: int = 1) -> list[Child]:
    """Invented children with made-up syllables for names."""
    source = random.Random(seed)

    def name(n_syllables: int) -> str:
        return "".join(
            source.choice("bcdfghjklmnpqrstwxyz") + source.choice(["a", "e", "i", "o", "u", "ang"])
            for _ in range(n_syllables)
        )

    first_day = date(2010, 1, 1)
    return [
        Child(
            number=f"test-{seed}-{index:05d}",
            given_name=name(3),
            surname=name(2),
            birth_date=first_day + timedelta(days=source.randrange(4000)),
        )
        for index in range(n)
    ]


def encode(
    known: Sequence[Child],
    name: str,
    *,
    secret: LinkageSecret = SECRET,
    context: str = f"{PROJECT}/{ROUND}",
    profile_text: str = PROFILE_TEXT,
    suite: CipherSuite = DEFAULT,
) -> tuple[EncodedDataset, dict[str, str]]:
    """Encode children as an office would.

    Returns:
        The dataset, and for each pseudonym the number of its child.
    """
    by = profile(profile_text)
    batch = RecordBatch(
        1,
        tuple(child.number for child in known),
        {
            "given_name": tuple(child.given_name for child in known),
            "surname": tuple(child.surname for child in known),
            "birth_date": tuple(child.birth_date.isoformat() for child in known),
            "number": tuple(child.number for child in known),
        },
    )
    encoded = encode_records(
        [batch],
        by,
        secret.round_key(context, suite),
        name=name,
        context=context,
        key_confirmation=secret.key_confirmation(context, suite),
        keyed_hash=suite.keyed_hash,
        encoder_version="0",
        created_at="2026-08-01T00:00:00Z",
    )
    dataset = encoded.dataset
    return dataset, {dataset.pseudonym(row): of for row, of in enumerate(encoded.record_ids)}


@dataclass(frozen=True)
class EncodedTestFile:
    """A ``.tqe`` file, and whom its pseudonyms stand for."""

    path: Path
    number_of: Mapping[str, str]

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return self.path.read_bytes()

    @property
    def sha256(self) -> str:
        """Hash of the file, hex."""
        return hashlib.sha256(self.data).hexdigest()


def encoded_file(
    path: Path, known: Sequence[Child], *, manifest: Mapping[str, Any] | None = None, **options: Any
) -> EncodedTestFile:
    """Write a ``.tqe`` file of children; ``manifest`` replaces fields of its manifest."""
    dataset, number_of = encode(known, path.stem, **options)
    if manifest:
        changed: Manifest = replace(dataset.manifest, **manifest)
        dataset = replace(dataset, manifest=changed)
    write_tqe(path, dataset)
    return EncodedTestFile(path, number_of)
