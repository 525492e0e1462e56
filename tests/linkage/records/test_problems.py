"""Codes, advice, and masks that give nothing away."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage import records
from linkage.records.advice_zh import ADVICE_ZH
from linkage.records.problems import ADVICE, make_problem, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("", ""),
        ("王", "*"),
        ("王伟", "王*"),
        ("王小明", "王**"),
        ("欧阳娜娜", "欧***"),
        ("1234567", "1*****7"),
        ("17361028473", "17*******73"),
        ("11010519491231002X", "11**************2X"),
        ("李四(17361028473)", "李************3)"),
        ("17361028473(李四)", "17************)"),
        ("四川省成都市武侯区", "四*******区"),
        ("x" * 99, "xx" + "*" * 20 + "xx"),
    ],
)
def test_masks(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(st.text(min_size=1, max_size=60))
def test_a_mask_shows_four_characters_at_most(text: str) -> None:
    shown = [c for c, given_c in zip(mask(text), text[:24], strict=False) if c != "*"]
    assert len(shown) <= 4
    assert len(mask(text)) <= 24


def test_codes_are_kebab_case_and_advice_is_one_sentence() -> None:
    for code, advice in ADVICE.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert advice[0].isupper()
        assert advice.endswith(".")
        assert ". " not in advice


def test_every_advice_is_there_in_chinese_and_is_one_sentence() -> None:
    assert list(ADVICE_ZH) == list(ADVICE)
    for advice in ADVICE_ZH.values():
        assert advice.endswith("。")
        assert advice.count("。") == 1


def test_every_code_of_the_source_has_advice_and_every_advice_a_use() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in Path(records.__file__).parent.glob("*.py")
        if path.name not in ("problems.py", "advice_zh.py")
    )
    quoted = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    assert set(ADVICE) <= quoted
    prefixes = ("id-", "date-", "name-", "phone-", "sex-", "division-", "record-id-")
    used = {code for code in quoted if code.startswith((*prefixes, "placeholder-", "not-a-"))}
    assert used <= set(ADVICE)


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        make_problem(1, "name", "no-such-code", "王伟")
