"""The program and the reference both give the vectors that are kept beside the tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from linkage.profile import TOKEN_KINDS, parse_profile
from linkage.tqe import open_tqe
from linkage.types import EncodedDataset
from tests.linkage.encoding.records import batch_of, encode
from tests.vectors.encoding.generate import PROFILES, vectors

VECTORS = Path(__file__).parents[2] / "vectors" / "encoding"


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def as_vectors(dataset: EncodedDataset) -> list[dict[str, Any]]:
    return [
        {
            view.layout.name: {
                "present": bool(view.present[row]),
                "filters": {
                    group: words[row].astype("<u8").tobytes().hex()
                    for group, words in view.filters.items()
                    if view.filter_present[group][row]
                },
            }
            | ({"tag": f"{int(view.tags[row]):016x}"} if view.tags is not None else {})
            for view in dataset.views
        }
        for row in range(dataset.n_records)
    ]


def of_file(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The vectors without the tags that an untagged view does not show."""
    tagged = {view.name: view.tagged for view in parse_profile(document["profile"]).views}
    return [
        {
            name: {key: value for key, value in view.items() if key != "tag" or tagged[name]}
            for name, view in record.items()
        }
        for record in document["views"]
    ]


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_program_gives_the_vectors(name: str) -> None:
    document = read(name)
    profile = parse_profile(document["profile"])
    assert profile.sha256 == document["profile_sha256"]
    encoded = encode(
        [batch_of(document["records"], profile)],
        profile,
        round_key=bytes.fromhex(document["round_key"]),
        keyed_hash=document.get("keyed_hash", "blake2b"),
    )
    assert as_vectors(encoded.dataset) == of_file(document)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_reference_gives_the_vectors(name: str) -> None:
    assert vectors(name) == read(name)


def test_every_kind_of_token_has_vectors() -> None:
    groups = [group for text in PROFILES.values() for group in parse_profile(text).groups.values()]
    assert {token.kind for group in groups for token in group.tokens} == TOKEN_KINDS.keys()


def test_a_file_of_an_earlier_version_still_opens() -> None:
    dataset = open_tqe(VECTORS / "every-kind.tqe")
    assert dataset.manifest.profile_sha256 == read("every-kind")["profile_sha256"]
    assert as_vectors(dataset) == of_file(read("every-kind"))
