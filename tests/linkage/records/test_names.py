"""Names of persons: one spelling for each, and what is no name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.records.han import is_han
from linkage.records.names import MIDDLE_DOT, clean_chinese_name, clean_latin_name

HAN = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("王小明", "王小明"),
        (" 王　小明 ", "王小明"),
        ("王\u200b小\ufeff明", "王小明"),
        ("王\u3164明", "王明"),
        ("張曉東", "张晓东"),
        ("Ｔｏｍ　Ｌｅｅ", "tom lee"),
        ("欧阳娜娜", "欧阳娜娜"),
        ("王子轩", "王子轩"),
        ("李女贞", "李女贞"),
        ("毛毛雨", "毛毛雨"),
        ("新月", "新月"),
        ("\u2f29明", "小明"),  # a Kangxi radical for the character
    ],
)
def test_names_are_brought_to_one_spelling(written: str, name: str) -> None:
    assert clean_chinese_name(written) == (name, ())


@pytest.mark.parametrize("dot", "·•‧∙⋅●・･．.。ᐧ᛫-—")
@pytest.mark.parametrize("around", ["", " ", "　"])
def test_the_middle_dot_has_one_spelling(dot: str, around: str) -> None:
    written = f"阿衣{around}{dot}{around}木呷"
    assert clean_chinese_name(written) == (f"阿衣{MIDDLE_DOT}木呷", ())


def test_dots_at_the_ends_go_and_repeated_ones_are_one() -> None:
    assert clean_chinese_name("·阿衣··木呷.") == (f"阿衣{MIDDLE_DOT}木呷", ())


@pytest.mark.parametrize(
    "written",
    [
        "无名氏", "未知", "不详", "无名", "王某之女", "王某某", "王某", "李芳之子", "李芳之长女",
        "李芳之二女", "李芳小女", "李芳之女（双胞胎）", "王之女大", "婴儿", "王婴儿", "张芳女婴",
        "弃婴", "未取名", "宝宝", "王BB", "王baby", "测试", "無名氏", "unknown", "Baby Girl",
    ],
)  # fmt: skip
def test_placeholders_are_no_names(written: str) -> None:
    value, codes = clean_chinese_name(written)
    assert value is None
    assert "placeholder-name" in codes


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("王小明（男）", "王小明"),
        ("王小明(曾用名:王大明)", "王小明"),
        ("王小明（大", "王小明"),
        ("王小明2", "王小明"),
        ("王小明#", "王小明"),
        ("王小明【孤儿】", "王小明"),
    ],
)
def test_notes_are_left_out_and_reported(written: str, name: str) -> None:
    assert clean_chinese_name(written) == (name, ("name-with-note",))


@pytest.mark.parametrize("written", ["王芳、李强", "王芳,李强", "王芳/李强", "王芳；李强"])
def test_of_several_names_the_first_counts(written: str) -> None:
    assert clean_chinese_name(written) == ("王芳", ("several-names",))


@pytest.mark.parametrize("lost", ["?", "？", "□", "\ue123", "\ufffd", "\U000f0001"])
def test_a_lost_character_is_marked_and_the_rest_kept(lost: str) -> None:
    assert clean_chinese_name(f"王{lost}明") == ("王〓明", ("name-with-unknown-character",))
    assert clean_chinese_name(f"王{lost}") == (None, ("name-with-unknown-character",))


@pytest.mark.parametrize("written", ["王*明", "王＊", "王**", "王xx", "王X", "王×明"])
def test_masked_names_are_not_used(written: str) -> None:
    assert clean_chinese_name(written) == (None, ("masked-value",))


@pytest.mark.parametrize("written", ["锟斤拷", "烫烫烫", "ÍõÐ¡Ã÷"])
def test_names_destroyed_by_a_wrong_encoding_are_found(written: str) -> None:
    assert clean_chinese_name(written) == (None, ("garbled-name",))


def test_what_else_is_odd_is_said() -> None:
    assert clean_chinese_name("王") == ("王", ("name-of-one-character",))
    assert clean_chinese_name("12345") == (None, ("name-with-note", "not-a-name"))
    assert clean_chinese_name("王" * 41) == (None, ("name-too-long",))
    assert clean_chinese_name(20150307.0)[0] is None


@pytest.mark.parametrize("cell", ["", None, "-", "N/A", "  "])
def test_empty_cells_are_no_problem(cell: str | None) -> None:
    value, codes = clean_chinese_name(cell)
    assert (value, codes) == (None, ())


@given(st.text(HAN, min_size=2, max_size=4), st.integers(1, 3))
def test_blanks_inside_han_names_do_not_matter(name: str, at: int) -> None:
    spaced = name[:at] + " 　" + name[at:]
    assert clean_chinese_name(spaced)[0] == clean_chinese_name(name)[0]


@given(st.text(max_size=12))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    value, _ = clean_chinese_name(text)
    if value is not None:
        assert clean_chinese_name(value)[0] == value
        assert not any(is_han(c) for c in value) or " " not in value
    latin, _ = clean_latin_name(text)
    if latin is not None:
        assert clean_latin_name(latin) == (latin, ())


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (" Michaela ", "michaela"),
        ("O'Brien", "obrien"),
        ("O’Brien", "obrien"),
        ("José", "jose"),
        ("Anna-Lena", "anna lena"),
        ("anna  lena", "anna lena"),
        ("ANNA–LENA", "anna lena"),
        ("smith2", "smith"),
        ("Ｓｍｉｔｈ", "smith"),
    ],
)
def test_latin_names(written: str, name: str) -> None:
    assert clean_latin_name(written) == (name, ())


@pytest.mark.parametrize(
    ("written", "code"),
    [("123", "not-a-name"), ("unknown", "placeholder-name"), ("Sm**h", "masked-value"),
     ("a" * 81, "name-too-long")],
)  # fmt: skip
def test_what_is_no_latin_name(written: str, code: str) -> None:
    assert clean_latin_name(written) == (None, (code,))
