"""Encoding whole batches: equal to the reference, whatever the cut, and nothing plain in it."""

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.encoding import EncodedFile
from linkage.errors import EncodingError
from linkage.profile import Profile, builtin_profile_names, load_profile, parse_profile
from linkage.types import KeyedHashName, Problem, RecordBatch
from tests.linkage.encoding.records import (
    EVERY_KIND,
    NAMES,
    ROUND_KEY,
    Record,
    batch_of,
    encode,
    invented_record,
)
from tests.linkage.encoding.reference import ReferenceEncoder

PROFILE = parse_profile(EVERY_KIND)
UNDIFFUSED = parse_profile(EVERY_KIND.replace("diffusion = 3", "diffusion = 0"))
CHILD = load_profile("cn-child-v1")


def assert_equals_reference(
    encoded: EncodedFile, records: list[Record], profile: Profile, round_key: bytes = ROUND_KEY
) -> None:
    reference = ReferenceEncoder(profile, round_key, encoded.dataset.manifest.keyed_hash)
    shares: dict[str, list[float]] = {}
    for row, record in enumerate(records):
        expected = reference.encode(record)
        for view in encoded.dataset.views:
            wanted = expected[view.layout.name]
            assert bool(view.present[row]) == wanted.present
            if view.tags is not None:
                assert int(view.tags[row]) == wanted.tag
            for group in view.layout.groups:
                got = view.filters[group.name][row].astype("<u8").tobytes()
                assert bool(view.filter_present[group.name][row]) == (group.name in wanted.filters)
                assert got == wanted.filters.get(group.name, bytes(group.filter_bits // 8))
                if group.name in wanted.filters:
                    share = wanted.bits_before_diffusion[group.name] / group.filter_bits
                    shares.setdefault(f"{view.layout.name}/{group.name}", []).append(share)
    fill = encoded.dataset.manifest.statistics["fill"]
    for place, mean in fill.items():
        of_place = shares.get(place, [0.0])
        assert mean == pytest.approx(sum(of_place) / len(of_place), abs=1e-4)


@pytest.mark.parametrize("keyed_hash", ["blake2b", "hmac-sm3"])
@pytest.mark.parametrize("profile", [PROFILE, UNDIFFUSED], ids=["diffused", "undiffused"])
def test_every_kind_of_token_equals_the_reference(
    profile: Profile, keyed_hash: KeyedHashName
) -> None:
    draw = random.Random(4)
    records = [invented_record(draw) for _ in range(70)]
    for record, name in zip(records, NAMES, strict=False):
        record["name"] = name
    encoded = encode([batch_of(records, profile)], profile, keyed_hash=keyed_hash)
    assert encoded.dataset.manifest.keyed_hash == keyed_hash
    assert_equals_reference(encoded, records, profile)


CHILDREN: list[Record] = [
    {
        "name": "曾令仪",
        "sex": "F",
        "birth_date": "2016-02-29",
        "id_number": "510104201602290021",
        "guardian_name": "曾国强",
        "guardian_phone": "13800000001",
        "hukou_division": "513333",
        "residence_division": "510104",
    },
    {
        "name": "扎西·卓玛",
        "sex": None,
        "birth_date": None,
        "id_number": None,
        "guardian_name": "格桑",
        "guardian_phone": None,
        "hukou_division": None,
        "residence_division": "510104",
    },
    dict.fromkeys(
        (
            "name",
            "sex",
            "birth_date",
            "id_number",
            "guardian_name",
            "guardian_phone",
            "hukou_division",
            "residence_division",
        )
    ),
]


def test_the_child_profile_equals_the_reference() -> None:
    assert_equals_reference(encode([batch_of(CHILDREN, CHILD)], CHILD), CHILDREN, CHILD)


def test_the_febrl_profile_equals_the_reference() -> None:
    profile = load_profile("febrl4")
    records: list[Record] = [
        {
            "given_name": "michaela",
            "surname": "o neill",
            "street_number": "8",
            "address_1": "stanley street",
            "suburb": "winston hills",
            "postcode": "4223",
            "birth_date": "1915-11-11",
            "soc_sec_id": "5304218",
        },
        {
            "given_name": None,
            "surname": "x",
            "street_number": None,
            "address_1": None,
            "suburb": None,
            "postcode": None,
            "birth_date": None,
            "soc_sec_id": None,
        },
    ]
    assert_equals_reference(encode([batch_of(records, profile)], profile), records, profile)


@settings(max_examples=12)
@given(
    names=st.lists(st.text(min_size=1, max_size=7), min_size=1, max_size=4),
    note=st.text(max_size=9),
    key=st.binary(min_size=32, max_size=32),
)
def test_any_text_equals_the_reference(names: list[str], note: str, key: bytes) -> None:
    draw = random.Random(note)
    records = [invented_record(draw) | {"name": name, "note": note} for name in names]
    encoded = encode([batch_of(records, PROFILE)], PROFILE, round_key=key)
    assert_equals_reference(encoded, records, PROFILE, key)


def test_the_cut_into_batches_changes_nothing() -> None:
    draw = random.Random(9)
    records = [invented_record(draw) for _ in range(150)]
    whole = encode([batch_of(records, PROFILE)], PROFILE)
    cut = encode(
        [
            batch_of(records[:1], PROFILE),
            batch_of([], PROFILE, 2),
            batch_of(records[1:66], PROFILE, 2),
            batch_of(records[66:], PROFILE, 67),
        ],
        PROFILE,
    )
    assert whole.record_ids == cut.record_ids
    assert_same_views(whole, cut)
    assert whole.dataset.manifest == cut.dataset.manifest


def test_bounded_memory_of_values_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(10)
    batches = [
        batch_of([invented_record(draw) for _ in range(40)], PROFILE, 1 + 40 * i) for i in range(4)
    ]
    remembered = encode(batches, PROFILE)
    monkeypatch.setattr("linkage.encoding.values._MEMO_VALUES", 3)
    monkeypatch.setattr("linkage.encoding.views._MEMO_SALTS", 3)
    assert_same_views(remembered, encode(batches, PROFILE))


def assert_same_views(one: EncodedFile, other: EncodedFile) -> None:
    for a, b in zip(one.dataset.views, other.dataset.views, strict=True):
        assert np.array_equal(a.present, b.present)
        assert (a.tags is None and b.tags is None) or np.array_equal(a.tags, b.tags)  # type: ignore[arg-type]
        for group in a.filters:
            assert np.array_equal(a.filters[group], b.filters[group])
            assert np.array_equal(a.filter_present[group], b.filter_present[group])


def test_no_records_at_all() -> None:
    encoded = encode([], CHILD)
    assert encoded.record_ids == ()
    assert encoded.dataset.n_records == 0
    assert encoded.dataset.views[0].filters["name"].shape == (0, 4)
    assert encoded.dataset.views[0].tags is not None
    assert encoded.dataset.views[0].tags.dtype == np.uint64


def test_rows_are_in_the_order_of_random_pseudonyms() -> None:
    draw = random.Random(5)
    records = [invented_record(draw) for _ in range(64)]
    shuffled = random.Random(6)
    encoded = encode(
        [batch_of(records, PROFILE)], PROFILE, new_pseudonym=lambda: shuffled.randbytes(16)
    )
    pseudonyms = [encoded.dataset.pseudonym(row) for row in range(64)]
    assert pseudonyms == sorted(set(pseudonyms))
    numbers = [int(record_id.removeprefix("id-")) - 1 for record_id in encoded.record_ids]
    assert sorted(numbers) == list(range(64))
    assert numbers != list(range(64))
    assert_equals_reference(encoded, [records[number] for number in numbers], PROFILE)


def test_pseudonyms_are_new_each_time() -> None:
    from secrets import token_bytes

    batch = batch_of(CHILDREN, CHILD)
    first = encode([batch], CHILD, new_pseudonym=lambda: token_bytes(16))
    second = encode([batch], CHILD, new_pseudonym=lambda: token_bytes(16))
    assert not set(map(bytes, first.dataset.pseudonyms)) & set(
        map(bytes, second.dataset.pseudonyms)
    )


def test_a_source_of_pseudonyms_that_repeats_or_is_short_is_refused() -> None:
    with pytest.raises(EncodingError, match="repeats"):
        encode([batch_of(CHILDREN, CHILD)], CHILD, new_pseudonym=lambda: bytes(16))
    with pytest.raises(EncodingError, match="16 bytes"):
        encode([batch_of(CHILDREN, CHILD)], CHILD, new_pseudonym=lambda: bytes(15))


def test_equal_records_stay_two_and_are_encoded_alike() -> None:
    encoded = encode([batch_of([CHILDREN[0], CHILDREN[0]], CHILD)], CHILD)
    assert encoded.dataset.n_records == 2
    for view in encoded.dataset.views:
        for filters in view.filters.values():
            assert np.array_equal(filters[0], filters[1])


def test_a_record_without_anything_has_no_views() -> None:
    encoded = encode([batch_of(CHILDREN, CHILD)], CHILD)
    for view in encoded.dataset.views:
        assert not view.present[2]
        assert view.tags is not None
        assert view.tags[2] == 0
        assert not any(filters[2].any() for filters in view.filters.values())


def test_dots_lost_from_a_name_change_nothing() -> None:
    with_dot = dict(CHILDREN[0], name="扎西·卓玛")
    without = dict(CHILDREN[0], name="扎西卓玛")
    encoded = encode([batch_of([with_dot, without], CHILD)], CHILD)
    for view in encoded.dataset.views:
        assert view.tags is not None
        assert view.tags[0] == view.tags[1]
        for filters in view.filters.values():
            assert np.array_equal(filters[0], filters[1])


def dice(a: np.ndarray, b: np.ndarray) -> float:
    both = int(np.bitwise_count(a & b).sum())
    return 2 * both / int(np.bitwise_count(a).sum() + np.bitwise_count(b).sum())


def test_exchanged_letters_survive_diffusion_as_signs_and_not_as_bigrams() -> None:
    text = """
    format = "tongqiao-profile-v1"
    name = "exchanged-letters"
    cleaning = "latin-1"
    diffusion = 5
    [fields]
    name = "latin-name"
    [groups.sign]
    filter_bits = 2048
    tokens = [{ field = "name", kind = "sign", hashes = 150 }]
    [groups.bigram]
    filter_bits = 2048
    tokens = [{ field = "name", kind = "bigram", hashes = 150 }]
    [[views]]
    name = "all"
    salt = []
    groups = ["sign", "bigram"]
    """
    profile = parse_profile(text)
    people: list[Record] = [{"name": name} for name in ("peter", "petre", "pater")]
    (view,) = encode([batch_of(people, profile)], profile).dataset.views
    letters, bigrams = view.filters["sign"], view.filters["bigram"]
    assert dice(letters[0], letters[1]) == 1.0
    assert dice(bigrams[0], bigrams[1]) < 0.65
    assert dice(letters[0], letters[2]) > dice(bigrams[0], bigrams[2]) + 0.05


def test_records_that_differ_in_their_salt_only_share_nothing_in_that_view() -> None:
    """The attack that salts answer: comparing the filters of equal names everywhere."""
    twin = dict(CHILDREN[0], birth_date="2016-03-01", id_number="510104201603010022")
    views = {
        view.layout.name: view.filters["name"]
        for view in encode([batch_of([CHILDREN[0], twin], CHILD)], CHILD).dataset.views
    }
    assert dice(*views["name"]) == 1.0
    assert dice(*views["phone"]) == 1.0
    assert dice(*views["birth"]) < 0.65
    assert dice(*views["identity"]) < 0.65


@pytest.mark.parametrize("other", ["key", "profile"])
def test_another_key_or_profile_shares_nothing(other: str) -> None:
    batch = batch_of(CHILDREN[:1], CHILD)
    one = encode([batch], CHILD)
    if other == "key":
        two = encode([batch], CHILD, round_key=bytes(32))
    else:
        renamed = parse_profile(CHILD.source.replace('"cn-child-v1"', '"cn-child-v2"'))
        two = encode([batch], renamed)
    for a, b in zip(one.dataset.views, two.dataset.views, strict=True):
        assert a.tags is not None
        assert b.tags is not None
        assert a.tags[0] != b.tags[0]
        for group in a.filters:
            assert dice(a.filters[group][0], b.filters[group][0]) < 0.7


def test_the_views_of_a_record_share_nothing() -> None:
    """Else a server could chain views of different records together."""
    views = encode([batch_of(CHILDREN[:1], CHILD)], CHILD).dataset.views
    tags = [int(view.tags[0]) for view in views if view.tags is not None]
    assert len(set(tags)) == len(views)
    names = [view.filters["name"][0] for view in views]
    assert all(dice(names[0], other) < 0.65 for other in names[1:])


def test_statistics_are_aggregates() -> None:
    problems = (Problem(1, "name", "placeholder-name", "王**女", "Ask."),) * 2
    batch = batch_of(CHILDREN, CHILD)
    encoded = encode([RecordBatch(1, batch.record_ids, batch.columns, problems)], CHILD)
    statistics = encoded.dataset.manifest.statistics
    assert statistics["problems"] == {"placeholder-name": 2}
    assert statistics["missing"] == {
        "identity": 2,
        "birth": 2,
        "name": 1,
        "phone": 2,
        "guardian": 2,
    }
    assert set(statistics["fill"]) == {
        f"{view.name}/{group}" for view in CHILD.views for group in view.groups
    }
    assert 0.2 < statistics["fill"]["identity/name"] < 0.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("birth_date", "2016/02/29"),
        ("birth_date", "2016-02-29 "),
        ("hukou_division", "5133"),
        ("guardian_phone", "028-1234"),
        ("sex", "男"),
        ("id_number", "51010420160229002x"),
        ("id_number", "５１０１０４２０１６０２２９００２１"),
    ],
)
def test_values_that_were_not_cleaned_are_refused_without_being_shown(
    field: str, value: str
) -> None:
    records = [dict(CHILDREN[0], **{field: value})]
    with pytest.raises(EncodingError, match=f"Field '{field}'") as caught:
        encode([batch_of(records, CHILD)], CHILD)
    assert value not in str(caught.value)


def test_batches_that_do_not_fit_the_profile_are_refused() -> None:
    batch = batch_of(CHILDREN, CHILD)
    without = {name: column for name, column in batch.columns.items() if name != "sex"}
    with pytest.raises(EncodingError, match="sex"):
        encode([RecordBatch(1, batch.record_ids, without)], CHILD)
    short = {**batch.columns, "sex": ("M",)}
    with pytest.raises(EncodingError, match="sex"):
        encode([RecordBatch(1, batch.record_ids, short)], CHILD)


@pytest.mark.parametrize(
    ("field", "kind"), [("name", "character"), ("latin", "sign"), ("latin", "sign-place")]
)
def test_a_salt_of_many_strings_is_refused(field: str, kind: str) -> None:
    several = EVERY_KIND.replace(
        'salt = [{ field = "number", kind = "whole" }]',
        f'salt = [{{ field = "{field}", kind = "{kind}" }}]',
    )
    with pytest.raises(EncodingError, match=f"salt cannot be made of '{kind}'"):
        encode([], parse_profile(several))


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_round_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(EncodingError, match="32 bytes"):
        encode([], CHILD, round_key=key)


def test_nothing_plain_is_shown_or_kept_in_the_dataset() -> None:
    encoded = encode([batch_of(CHILDREN[:1], CHILD)], CHILD)
    shown = repr(encoded) + str(encoded)
    everything = shown.encode() + b"".join(
        filters.tobytes() for view in encoded.dataset.views for filters in view.filters.values()
    )
    for value in (*CHILDREN[0].values(), "id-1"):
        assert value is not None
        if len(value) > 1:
            assert value.encode() not in everything
    assert not re.search(ROUND_KEY.hex(), shown)


@pytest.mark.parametrize("name", builtin_profile_names())
def test_no_built_in_profile_ships_undiffused_filters(name: str) -> None:
    assert load_profile(name).diffusion > 0
