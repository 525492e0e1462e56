import hashlib
import json
from typing import Any

import pytest

from api.client.terms import TermsError, parse_terms
from keys.canonical import canonical_json
from tests.api.terms_example import PROFILE_SHA256, example_terms


def test_terms_are_read_whole() -> None:
    terms = parse_terms(example_terms())
    assert terms.context == "sichuan-children/2026-h2"
    assert terms.coordinating_office == "province-coordination"
    assert terms.role_of("chengdu-education") == "education"
    assert terms.role_of("province-coordination") is None
    assert (terms.profile_name, terms.profile_sha256) == ("cn-child-v1", PROFILE_SHA256)
    assert terms.threshold is None
    assert terms.visibility is None
    assert terms.sha256 == hashlib.sha256(canonical_json(example_terms())).hexdigest()


def test_order_and_spacing_of_the_file_do_not_change_the_hash() -> None:
    backwards = json.dumps(dict(reversed(example_terms().items())), indent=3).encode()
    assert parse_terms(backwards).sha256 == parse_terms(example_terms()).sha256


def test_every_value_changes_the_hash() -> None:
    hashes = {parse_terms(example_terms()).sha256}
    for changes in (
        {"purpose": "Something else."},
        {"retention_days": 181},
        {"threshold": 0.9},
        {"visibility": [["education", "origin-civil-affairs"]]},
        {"members": example_terms()["members"][:2]},
    ):
        hashes.add(parse_terms(example_terms(**changes)).sha256)
    assert len(hashes) == 6


def test_who_sees_links_with_whom() -> None:
    everybody = parse_terms(example_terms())
    assert [m.office for m in everybody.counterparts_of("jinjiang-civil")] == [
        "zhongjiang-civil",
        "chengdu-education",
    ]
    some = parse_terms(
        example_terms(visibility=[["origin-civil-affairs", "residence-civil-affairs"]])
    )
    assert [m.office for m in some.counterparts_of("jinjiang-civil")] == ["zhongjiang-civil"]
    assert [m.office for m in some.counterparts_of("zhongjiang-civil")] == ["jinjiang-civil"]
    assert some.counterparts_of("chengdu-education") == ()
    assert some.visibility == {
        "residence-civil-affairs": ("origin-civil-affairs",),
        "origin-civil-affairs": ("residence-civil-affairs",),
        "education": (),
    }
    one_way = parse_terms(example_terms(visibility={"education": ["residence-civil-affairs"]}))
    assert [m.office for m in one_way.counterparts_of("chengdu-education")] == ["jinjiang-civil"]
    assert one_way.counterparts_of("jinjiang-civil") == ()
    assert some.counterparts_of("province-coordination") == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "tongqiao-terms-v1"},
        {"format": "tongqiao-terms-v3"},
        {"project": "Sichuan"},
        {"round": "../2026"},
        {"round": "2026-h2\n"},
        {"purpose": ""},
        {"purpose": "   "},
        {"purpose": 7},
        {"purpose": "Care.\u202eesaeler"},
        {"purpose": "x" * 2001},
        {"coordinating_office": None},
        {"secret_epoch": 0},
        {"secret_epoch": True},
        {"members": []},
        {"members": [{"office": "a"}]},
        {"members": [{"office": "a", "role": "b", "also": "c"}]},
        {"members": [{"office": "a", "role": "b"}, {"office": "a", "role": "c"}]},
        {"members": "all"},
        {"profile": "cn-child-v1"},
        {"profile": {"name": "cn-child-v1", "sha256": "AB" * 32}},
        {"visibility": "none"},
        {"visibility": [["education"]]},
        {"visibility": [["education", "health"]]},
        {"visibility": [["education", 1]]},
        {"visibility": {}},
        {"visibility": {"education": []}},
        {"visibility": {"education": "origin-civil-affairs"}},
        {"visibility": {"education": ["health"]}},
        {"visibility": {"health": ["education"]}},
        {"visibility": {"education": ["education", "education"]}},
        {"solve": "best"},
        {"threshold": 0},
        {"threshold": 1.5},
        {"threshold": "0.9"},
        {"threshold": True},
        {"retention_days": 0},
        {"retention_days": 10**6},
        {"retention_days": 7.5},
        {"max_records": -1},
        {"something_new": 1},
    ],
)
def test_what_is_not_understood_is_not_accepted(changes: dict[str, Any]) -> None:
    with pytest.raises(TermsError):
        parse_terms(example_terms(**changes))


@pytest.mark.parametrize("key", sorted(example_terms()))
def test_no_key_may_be_missing(key: str) -> None:
    terms = example_terms()
    del terms[key]
    with pytest.raises(TermsError, match=key):
        parse_terms(terms)


def test_a_key_that_stands_twice_is_refused() -> None:
    text = json.dumps(example_terms())
    twice = text[:-1] + ', "retention_days": 1}'
    with pytest.raises(TermsError, match="JSON"):
        parse_terms(twice.encode())


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{", b"[" * 100_000, b" " * 2_000_000])
def test_what_is_no_terms_file(data: bytes) -> None:
    with pytest.raises(TermsError):
        parse_terms(data)


def test_terms_of_the_first_form_say_nothing_of_witnesses() -> None:
    old = example_terms(format="tongqiao-terms-v1")
    with pytest.raises(TermsError, match="min_witnesses"):
        parse_terms(old)
    del old["min_witnesses"]
    assert parse_terms(old).min_witnesses is None
    assert parse_terms(example_terms(min_witnesses=2)).min_witnesses == 2
    new = example_terms()
    del new["min_witnesses"]
    with pytest.raises(TermsError, match="min_witnesses"):
        parse_terms(new)
