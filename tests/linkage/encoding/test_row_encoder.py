"""The compiled encoder and the plain one give the same bits, whatever comes."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.columns import coded_column, text_column
from linkage.encoding import EncodedFile
from linkage.encoding.encode import Engine
from linkage.encoding.pinyin import COMPOUND_SURNAMES, SURNAME_READINGS
from linkage.errors import EncodingError
from linkage.profile import Profile, load_profile, parse_profile
from linkage.types import KeyedHashName, RecordBatch
from tests.linkage.encoding.records import (
    EVERY_KIND,
    HASHED_AS,
    NAMES,
    SIGNS,
    SIGNS_RECORDS,
    Record,
    batch_of,
    encode,
    invented_record,
    invented_signs,
)
from tests.linkage.encoding.test_encode_records import CHILDREN, assert_equals_reference

PROFILE = parse_profile(EVERY_KIND)
OF_SIGNS = parse_profile(SIGNS)
CHILD = load_profile("cn-child-v1")


def assert_same(one: EncodedFile, other: EncodedFile) -> None:
    assert one.record_ids == other.record_ids
    assert one.dataset.manifest == other.dataset.manifest
    assert np.array_equal(one.dataset.pseudonyms, other.dataset.pseudonyms)
    for a, b in zip(one.dataset.views, other.dataset.views, strict=True):
        assert np.array_equal(a.present, b.present)
        assert (a.tags is None) == (b.tags is None)
        assert a.tags is None or b.tags is None or np.array_equal(a.tags, b.tags)
        for group in a.filters:
            assert np.array_equal(a.filters[group], b.filters[group]), (a.layout.name, group)
            assert np.array_equal(a.filter_present[group], b.filter_present[group])


def assert_engines_agree(
    records: Sequence[Record], profile: Profile, keyed_hash: KeyedHashName = "blake2b"
) -> None:
    batch = batch_of(records, profile)
    plain = encode([batch], profile, engine="plain", keyed_hash=keyed_hash)
    compiled = encode([batch], profile, engine="compiled", workers=1, keyed_hash=keyed_hash)
    assert_same(plain, compiled)


def invented(n: int, seed: int) -> list[Record]:
    draw = random.Random(seed)
    records = [invented_record(draw) for _ in range(n)]
    for record, name in zip(records, NAMES, strict=False):
        record["name"] = name
    return records


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 300])
def test_every_kind_of_token(n: int) -> None:
    assert_engines_agree(invented(n, n), PROFILE)


@pytest.mark.parametrize("n", [0, 1, 65, 300])
def test_every_kind_of_token_under_the_national_hash(n: int) -> None:
    records = invented(n, n)
    for record in records[::7]:
        # Longer than what a kernel takes.
        record["latin"], record["note"] = "o" * 200, "中" * 80
    assert_engines_agree(records, PROFILE, "hmac-sm3")


@pytest.mark.parametrize("keyed_hash", ["blake2b", "hmac-sm3"])
def test_tokens_of_signs(keyed_hash: KeyedHashName) -> None:
    draw = random.Random(7)
    records = [*SIGNS_RECORDS, *(invented_signs(draw) for _ in range(200))]
    assert_engines_agree(records, OF_SIGNS, keyed_hash)
    encoded = encode([batch_of(records[:40], OF_SIGNS)], OF_SIGNS, engine="compiled")
    assert_equals_reference(encoded, records[:40], OF_SIGNS)


@pytest.mark.parametrize("keyed_hash", ["blake2b", "hmac-sm3"])
def test_tokens_hashed_as_another_name(keyed_hash: KeyedHashName) -> None:
    profile = parse_profile(HASHED_AS)
    records = invented(90, 4)
    records[1]["name"] = "〓〓"
    assert_engines_agree(records, profile, keyed_hash)
    encoded = encode([batch_of(records, profile)], profile, keyed_hash=keyed_hash)
    if keyed_hash == "blake2b":
        assert_equals_reference(encoded, records, profile)


def test_equal_tokens_of_fields_hashed_as_one_name_set_equal_bits() -> None:
    text = """
    format = "tongqiao-profile-v1"
    name = "exchanged"
    cleaning = "latin-1"
    diffusion = 3
    [fields]
    given = "latin-name"
    last = "latin-name"
    [groups.own]
    filter_bits = 128
    tokens = [{ field = "given", kind = "bigram", hashes = 7 },
      { field = "last", kind = "bigram", hashes = 7 }]
    [groups.either]
    filter_bits = 128
    tokens = [{ field = "given", kind = "bigram", hashes = 7, as = "names" },
      { field = "last", kind = "bigram", hashes = 7, as = "names" }]
    [[views]]
    name = "all"
    salt = []
    groups = ["own", "either"]
    """
    profile = parse_profile(text)
    people: list[Record] = [
        {"given": "anna", "last": "smith"},
        {"given": "smith", "last": "anna"},
        {"given": "anna", "last": "jones"},
    ]
    for engine in ("plain", "compiled"):
        dataset = encode([batch_of(people, profile)], profile, engine=engine).dataset
        filters = dataset.views[0].filters
        assert len(np.unique(filters["own"], axis=0)) == len(people)
        assert len(np.unique(filters["either"], axis=0)) == len(people) - 1


def test_without_diffusion() -> None:
    undiffused = parse_profile(EVERY_KIND.replace("diffusion = 3", "diffusion = 0"))
    assert_engines_agree(invented(70, 1), undiffused)


def test_the_compiled_encoder_equals_the_slow_reference() -> None:
    records = invented(40, 2)
    encoded = encode([batch_of(records, PROFILE)], PROFILE, engine="compiled")
    assert_equals_reference(encoded, records, PROFILE)
    encoded = encode([batch_of(CHILDREN, CHILD)], CHILD, engine="compiled")
    assert_equals_reference(encoded, CHILDREN, CHILD)


def test_surnames_of_every_kind() -> None:
    names = [surname + given for surname in COMPOUND_SURNAMES for given in ("", "明", "明华")]
    names += [
        surname + given for surname in SURNAME_READINGS for given in ("", "明", "明华", "一二三")
    ]
    names += [
        "万俟",
        "万明",
        "欧·阳明",
        "欧 阳明",
        "阿卜杜拉·买买提",
        "一二三四五六七八",
        "一二三四五六七八九",
        "·",
        " ",
    ]
    assert_engines_agree(
        [dict(CHILDREN[0], name=name, guardian_name=name) for name in names], CHILD
    )


_TEXTS = st.one_of(
    st.text("王丽明欧阳单曾·  〓aZ", max_size=9),
    st.text(max_size=40),
    st.text("王", min_size=60, max_size=130),
)


@settings(max_examples=15)
@given(
    st.lists(st.tuples(_TEXTS, _TEXTS, _TEXTS, st.text("0123456789A-_Ü", max_size=40)), max_size=5)
)
def test_any_text(values: list[tuple[str, str, str, str]]) -> None:
    draw = random.Random(1)
    records = [
        invented_record(draw)
        | {"name": name or None, "latin": latin or None, "note": note or None, "code": code or None}
        for name, latin, note, code in values
    ]
    assert_engines_agree(records, PROFILE)


@settings(max_examples=15)
@given(st.lists(st.tuples(*[st.text(max_size=40)] * 4), min_size=1, max_size=5))
def test_signs_of_any_text(values: list[tuple[str, ...]]) -> None:
    draw = random.Random(1)
    free = ("given", "last", "code", "note")
    records = [
        invented_signs(draw)
        | {field: text or None for field, text in zip(free, texts, strict=True)}
        for texts in values
    ]
    assert_engines_agree(records, OF_SIGNS)
    assert_equals_reference(encode([batch_of(records, OF_SIGNS)], OF_SIGNS), records, OF_SIGNS)


def test_columns_of_the_reader_are_as_good_as_tuples() -> None:
    batch = batch_of(invented(90, 3), PROFILE)
    texts = {name: text_column(values) for name, values in batch.columns.items()}
    coded = {name: coded_column(values) for name, values in batch.columns.items()}
    expected = encode([batch], PROFILE, engine="compiled")
    for columns in (texts, coded):
        given_batch = RecordBatch(1, batch.record_ids, columns)
        for engine in ("plain", "compiled"):
            assert_same(encode([given_batch], PROFILE, engine=engine), expected)


@pytest.mark.parametrize("workers", [2, 5])
def test_the_number_of_workers_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("linkage.encoding.encode._BLOCK_RECORDS", 64)
    records = invented(1000, 4)
    batches = [batch_of(records[:700], PROFILE), batch_of(records[700:], PROFILE, 701)]
    one = encode(batches, PROFILE, engine="compiled", workers=1)
    assert_same(one, encode(batches, PROFILE, engine="compiled", workers=workers))


def test_bounded_memory_of_values_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [batch_of(invented(40, seed), PROFILE, 1 + 40 * seed) for seed in range(4)]
    remembered = encode(batches, PROFILE, engine="compiled", workers=1)
    monkeypatch.setattr("linkage.encoding.token_numbers.MAX_NUMBERS", 3)
    assert_same(remembered, encode(batches, PROFILE, engine="compiled", workers=1))


@pytest.mark.parametrize("engine", ["plain", "compiled"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("birth_date", "2016/02/29"),
        ("hukou_division", "5133"),
        ("guardian_phone", "028-1234"),
        ("guardian_phone", "１３８"),
        ("sex", "男"),
        ("id_number", "51010420160229002x"),
        ("id_number", "5101042016022900211"),
        ("id_number", "5101042016022900X"),
        ("id_number", "1"),
    ],
)
def test_values_that_were_not_cleaned_are_refused(field: str, value: str, engine: Engine) -> None:
    records = [dict(CHILDREN[0], **{field: value})]
    with pytest.raises(EncodingError, match=f"Field '{field}'") as caught:
        encode([batch_of(records, CHILD)], CHILD, engine=engine)
    assert value not in str(caught.value)


def test_a_failing_worker_fails_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkage.encoding.encode._BLOCK_RECORDS", 64)
    records: list[Record] = [dict(CHILDREN[0]) for _ in range(1000)]
    records[500]["sex"] = "男"
    with pytest.raises(EncodingError, match="sex"):
        encode([batch_of(records, CHILD)], CHILD, engine="compiled", workers=3)


def test_small_files_go_the_plain_way(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="linkage.encoding.encode")
    encode([batch_of(CHILDREN, CHILD)], CHILD)
    assert "plain encoder" in caplog.text
