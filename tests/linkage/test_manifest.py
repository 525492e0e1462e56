"""Manifests: what is written comes back, and nothing else is one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import TqeFormatError
from linkage.manifest import MAX_MANIFEST_BYTES, manifest_to_json, parse_manifest
from tests.linkage.tqe_examples import example_manifest
from tests.linkage.tqe_forgeries import refused, rewritten


def test_a_manifest_comes_back() -> None:
    manifest = example_manifest(
        3, accepted_risk="只有 3 条记录, 已批准", content_sha256="ef" * 32, context="offline"
    )
    assert parse_manifest(manifest_to_json(manifest)) == manifest


def document(**changes: Any) -> dict[str, Any]:
    manifest = example_manifest(21, content_sha256="00" * 32)
    read: dict[str, Any] = json.loads(manifest_to_json(manifest))
    return {**read, **changes}


WRONG_MANIFESTS: Mapping[str, dict[str, Any]] = {
    "another format": document(format="tongqiao-tqe-v2"),
    "unknown key": document(note="hello"),
    "a terminal's escape": document(encoder_version="\x1b[2J"),
    "markup": document(profile_name="<script>"),
    "long name": document(profile_name="x" * 33),
    "upper-case hex": document(profile_sha256="AB" * 32),
    "short confirmation": document(key_confirmation="ab"),
    "context of three": document(context="a/b/c"),
    "time with a zone": document(created_at="2026-01-01T00:00:00+08:00"),
    "negative count": document(n_records=-1),
    "huge count": document(n_records=2**31),
    "count as a fraction": document(n_records=1.5),
    "count as a truth": document(n_records=True),
    "diffusion out of range": document(diffusion=65),
    "no views": document(views=[]),
    "too many views": document(views=[{"name": f"v{i}"} for i in range(17)]),
    "views as a table": document(views={}),
    "a view twice": document(views=document()["views"] + document()["views"][:1]),
    "odd filter length": document(
        views=[
            {
                "name": "a",
                "tagged": True,
                "groups": [{"name": "b", "filter_bits": 100}],
                "implies": [],
                "refutes": [],
            }
        ]
    ),
    "statistics left out": document(statistics={}),
    "fill above one": document(
        statistics={
            **document()["statistics"],
            "fill": {"number/name": 1.5, "number/birth": 0, "open/name": 0},
        }
    ),
    "missing more than there are": document(
        statistics={**document()["statistics"], "missing": {"number": 22, "open": 0, "phone": 0}}
    ),
    "a person in the problems": document(
        statistics={**document()["statistics"], "problems": {"王小明": 1}}
    ),
    "many problems": document(
        statistics={**document()["statistics"], "problems": {f"p{i}": 1 for i in range(300)}}
    ),
    "no evidence": {key: value for key, value in document().items() if key != "evidence"},
    "unknown evidence": document(evidence={"household": [], "twins": [], "siblings": []}),
    "rarity of nothing": document(evidence={"household": [], "twins": [], "rarity": []}),
    "rarity of no view": document(evidence={"household": [], "twins": [], "rarity": ["x"]}),
    "evidence without a name": document(evidence={"household": [""], "twins": []}),
    "evidence without end": document(evidence={"household": ["a"] * 17, "twins": []}),
    "a long reason": document(accepted_risk="x" * 501),
    "a reason of two lines": document(accepted_risk="a\nb"),
    "an empty reason": document(accepted_risk=""),
    "the usual hash, said": document(keyed_hash="blake2b"),
    "an unknown hash": document(keyed_hash="md5"),
}


@pytest.mark.parametrize("wrong", sorted(WRONG_MANIFESTS))
def test_wrong_manifests_are_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(TqeFormatError):
        parse_manifest(rfc8785.dumps(WRONG_MANIFESTS[wrong]))
    refused(tmp_path, rewritten(manifest=lambda _: WRONG_MANIFESTS[wrong]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"a":NaN}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"1" * 5000,
        b'"\xff"',
        b'"' + b"x" * MAX_MANIFEST_BYTES + b'"',
        rfc8785.dumps(document()) + b"\n",
        json.dumps(document()).encode(),
        rfc8785.dumps(document()).replace(b'{"accepted_risk"', b'{"format":"x","accepted_risk"'),
    ],
    ids=range(13),
)
def test_texts_that_are_not_canonical_are_refused(text: bytes) -> None:
    with pytest.raises(TqeFormatError) as caught:
        parse_manifest(text)
    assert len(str(caught.value)) < 200


def test_the_manifest_of_the_tests_is_right() -> None:
    """Else the refusals above could have any reason."""
    assert parse_manifest(rfc8785.dumps(document())).n_records == 21


@settings(max_examples=100)
@given(
    key=st.sampled_from(sorted(document())),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=6,
    ),
)
def test_any_value_anywhere_is_taken_or_refused(key: str, value: Any) -> None:
    text = json.dumps({**document(), key: value}, sort_keys=True, separators=(",", ":"))
    try:
        manifest = parse_manifest(text.encode("utf-8", "surrogatepass"))
    except TqeFormatError:
        return
    assert manifest_to_json(manifest) == text.encode()
