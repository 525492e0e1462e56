"""Readings, surnames, folding and tokens of names."""

from collections import Counter

import pypinyin
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.encoding import pinyin
from linkage.encoding.pinyin import (
    COMPOUND_SURNAMES,
    READINGS_SHA256,
    SURNAME_READINGS,
    fold_syllable,
    given_syllables,
    name_syllables,
    name_units,
    surname_length,
    verify_readings,
)
from linkage.encoding.tokens import SALT_KINDS, salt_text, token_parts
from linkage.errors import EncodingError
from linkage.profile import TOKEN_KINDS
from tests.linkage.encoding import reference


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("单雄信", "shan xiong xin"),
        ("仇小妹", "qiu xiao mei"),
        ("解缙", "xie jin"),
        ("曾国藩", "zeng guo fan"),
        ("查良镛", "zha liang yong"),
        ("区志强", "ou zhi qiang"),
        ("尉迟恭", "yu chi gong"),
        ("覃小红", "qin xiao hong"),
        ("朴正", "piao zheng"),
        ("盖亚", "ge ya"),
        ("任盈盈", "ren ying ying"),
        ("华佗", "hua tuo"),
        ("乐毅", "yue yi"),
        ("缪昌", "miao chang"),
        ("翟让", "zhai rang"),
        ("黑山", "he shan"),
        ("种师道", "chong shi dao"),
        ("万俟卨", "mo qi xie"),
        ("长孙无忌", "zhang sun wu ji"),
        ("单于夫罗", "chan yu fu luo"),
        ("吕布", "lv bu"),
        ("小单", "xiao dan"),
        ("王曾", "wang ceng"),
        ("黑山老妖", "hei shan lao yao"),
    ],
)
def test_readings(name: str, expected: str) -> None:
    assert " ".join(name_syllables(name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("王小明", "xiao ming"),
        ("王明", "ming"),
        ("明", "ming"),
        ("欧阳修", "xiu"),
        ("欧阳", "yang"),
        ("司马相如", "xiang ru"),
        ("扎西卓玛", "zha xi zhuo ma"),
        ("扎西·卓玛", "zha xi zhuo ma"),
        ("阿依古丽·买买提", "a yi gu li mai mai ti"),
        ("阿卓", "zhuo"),
        ("li ming", "li ming"),
        ("liming", "liming"),
    ],
)
def test_given_names(name: str, expected: str) -> None:
    assert " ".join(given_syllables(name)) == expected


def test_a_name_entered_in_pinyin_meets_the_name_in_characters() -> None:
    assert token_parts("pinyin-position", "li ming") == token_parts("pinyin-position", "李明")
    assert salt_text("pinyin", "li ming") == salt_text("pinyin", "李明")


def test_units_leave_out_dots_and_blanks_only() -> None:
    assert name_units("扎西·卓玛") == ("扎", "西", "卓", "玛")
    assert name_units("𠮷·a b〓-") == ("𠮷", "a", "b", "〓", "-")
    assert surname_length("·") == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ni", "li"),
        ("niu", "liu"),
        ("zhang", "zan"),
        ("shen", "seng"),
        ("cheng", "cen"),
        ("ming", "min"),
        ("fang", "huang"),
        ("fei", "hui"),
        ("fen", "hun"),
        ("fu", "hu"),
        ("feng", "heng"),
        ("nv", "lv"),
    ],
)
def test_sounds_that_are_merged(one: str, other: str) -> None:
    assert fold_syllable(one) == fold_syllable(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("hong", "hon"), ("dong", "dun"), ("ji", "qi"), ("ri", "li"), ("n", "l"), ("wang", "huang")],
)
def test_sounds_that_stay_apart(one: str, other: str) -> None:
    assert fold_syllable(one) != fold_syllable(other)


def test_folding_twice_is_folding_once_for_all_readings() -> None:
    for reading in {pinyin._readings()[c] for c in pinyin._readings()}:
        assert fold_syllable(fold_syllable(reading)) == fold_syllable(reading)
        assert fold_syllable(reading) == reference.folded(reading)


def test_the_specification_lists_the_surnames() -> None:
    assert reference.SURNAMES == SURNAME_READINGS
    assert reference.COMPOUND == COMPOUND_SURNAMES
    assert READINGS_SHA256 in reference.SPECIFICATION.read_text(encoding="utf-8")


def test_surnames_differ_from_their_characters() -> None:
    for surname, reading in SURNAME_READINGS.items():
        plain = [pinyin._readings()[character] for character in surname]
        assert len(reading.split()) == len(surname)
        assert reading.split() != plain


def test_the_table_is_what_pypinyin_says_of_single_characters() -> None:
    for character, reading in pinyin._readings().items():
        assert pypinyin.lazy_pinyin(character, style=pypinyin.Style.NORMAL) == [reading]
        assert reading.isascii()
        assert reading.isalpha()


def test_another_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    verify_readings()
    readings = dict(pinyin._readings())
    readings["重"] = "chong"
    monkeypatch.setattr(pinyin, "_readings", lambda: readings)
    pinyin._readings_sha256.cache_clear()
    try:
        with pytest.raises(EncodingError, match="pinyin table"):
            verify_readings()
    finally:
        monkeypatch.undo()
        pinyin._readings_sha256.cache_clear()


def test_a_lost_character_equals_nothing_and_moves_nothing() -> None:
    assert token_parts("character", "王〓明") == [("", "王"), ("", "明")]
    assert token_parts("character-position", "王〓明") == [("0", "王"), ("2", "明")]
    assert token_parts("pinyin-position", "王〓明") == [("0", "wang"), ("2", "ming")]
    assert salt_text("pinyin", "王〓明") == ""
    assert salt_text("given-pinyin", "王〓明") == ""
    assert salt_text("given-pinyin", "〓小明") == "xiao min"
    assert token_parts("whole", "王〓明") == []
    assert token_parts("sign", "a〓nn") == [("0", "a"), ("0", "n"), ("1", "n")]
    assert token_parts("sign-place", "a〓nn") == [("0", "a"), ("1", "n")]
    assert token_parts("bigram-position", "A〓12") == [("2", "12")]
    assert token_parts("digit-position", "A〓12") == [("0", "A"), ("2", "1"), ("3", "2")]


def test_bigrams() -> None:
    assert [text for _, text in token_parts("bigram", "peter")] == [
        " p",
        "pe",
        "et",
        "te",
        "er",
        "r ",
    ]
    assert token_parts("bigram-position", "1312") == [("0", "13"), ("1", "31"), ("2", "12")]
    assert token_parts("bigram-position", "1") == []


def test_signs_count_how_often_they_came() -> None:
    assert token_parts("sign", "anna") == [("0", "a"), ("0", "n"), ("1", "n"), ("1", "a")]
    assert token_parts("sign", "2015-01-10") == token_parts("sign", "20150110")
    assert set(token_parts("sign", "petre")) == set(token_parts("sign", "peter"))
    assert set(token_parts("sign", "2015-03-12")) == set(token_parts("sign", "2015-12-03"))


def test_signs_by_place_keep_half_of_the_order() -> None:
    assert token_parts("sign-place", "aaron") == [("0", "a"), ("1", "r"), ("1", "o"), ("2", "n")]
    assert token_parts("sign-place", "mary-jane") == token_parts("sign-place", "maryjane")
    peter = set(token_parts("sign-place", "peter"))
    assert peter == set(token_parts("sign-place", "epter"))
    assert peter != set(token_parts("sign-place", "pteer"))


@pytest.mark.parametrize("kind", ["sign", "sign-place", "digit-position"])
def test_a_value_of_hyphens_and_lost_characters_has_no_signs(kind: str) -> None:
    assert token_parts(kind, "-〓--〓") == []


@given(st.text("abA1-〓 é", max_size=12), st.text("abA1-〓 é", max_size=12))
def test_values_have_as_many_signs_in_common_as_characters(one: str, other: str) -> None:
    def characters(value: str) -> Counter[str]:
        return Counter(value.replace("-", "").replace("〓", ""))

    common = set(token_parts("sign", one)) & set(token_parts("sign", other))
    assert len(common) == (characters(one) & characters(other)).total()


@pytest.mark.parametrize("kind", ["sign", "sign-place", "bigram-position", "digit-position"])
@given(value=st.text("abA1-〓 é", max_size=12))
def test_tokens_of_signs_equal_the_reference(kind: str, value: str) -> None:
    expected = reference.tokens("field", kind, value)
    assert {(kind, "field", *part) for part in token_parts(kind, value)} == expected


def test_equal_tokens_count_once() -> None:
    assert token_parts("character", "丽丽") == [("", "丽")]
    assert token_parts("character-position", "丽丽") == [("0", "丽"), ("1", "丽")]


def test_every_kind_of_the_profiles_can_be_made() -> None:
    values = {"date": "2015-01-02", "division": "510104"}
    for kind, fields in TOKEN_KINDS.items():
        for field in fields:
            assert token_parts(kind, values.get(field, "欧阳12"))
    assert set(TOKEN_KINDS) >= SALT_KINDS


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(EncodingError, match="token kind"):
        token_parts("soundex", "x")
    with pytest.raises(EncodingError, match="salt"):
        salt_text("character", "王")
