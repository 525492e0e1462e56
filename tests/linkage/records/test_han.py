"""Han characters folded to one form, the same on every machine."""

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.records import han
from linkage.records.han import UNKNOWN_CHARACTER, fold_han, is_han, is_private

# Changes only together with the cleaning version: who upgrades OpenCC must not change names.
FOLDING_SHA256 = "41d752361b732c0b7d040c5d4c72e77b5b277bbe076fa7339b05ac7d39fdc410"

HAN = st.characters(min_codepoint=0x3400, max_codepoint=0x9FFF)


def test_the_folding_of_every_character_is_that_of_the_cleaning_version() -> None:
    digest = hashlib.sha256()
    for start, stop in ((0x2E80, 0x9FFF), (0xE000, 0xFAFF), (0x20000, 0x2FA1F)):
        for code in range(start, stop + 1):
            digest.update(fold_han(chr(code)).encode("utf-8", "surrogatepass"))
    assert digest.hexdigest() == FOLDING_SHA256


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("張偉", "张伟"),
        ("陳曉東", "陈晓东"),
        ("劉備", "刘备"),
        ("髙峯", "高峰"),
        ("呉淸", "吴清"),
        ("⻢⻰", "马龙"),
        ("李○", "李〇"),
        ("张伟", "张伟"),
        ("Ab·c", "Ab·c"),
    ],
)
def test_traditional_and_variant_characters(written: str, folded: str) -> None:
    assert fold_han(written) == folded


def test_a_character_does_not_depend_on_its_neighbours() -> None:
    # Phrase tables keep 乾 in 乾隆 and simplify it in 乾燥; names have no phrases.
    for name in ("乾隆", "李乾", "乾燥", "张乾坤"):
        assert "乾" in fold_han(name)


def test_private_code_points_of_gbk_become_the_standard_ones() -> None:
    # GBK 0xFE50.. at U+E815..; the last fourteen moved with GB 18030-2022.
    assert fold_han("\ue863") == "\u4dae"
    assert fold_han("\ue81e") == "\u9fb4"
    assert fold_han("\ue816") == chr(0x20087)
    assert b"\xfe\x59".decode("gb18030") in ("\ue81e", "\u9fb4")
    assert fold_han(b"\xfe\x59".decode("gb18030")) == "\u9fb4"


def test_other_private_code_points_and_lost_characters_become_the_geta_mark() -> None:
    assert fold_han("李\ue123\U000f1234\ufffd") == "李" + UNKNOWN_CHARACTER * 3


@given(st.text(HAN, max_size=6))
def test_folding_twice_changes_nothing(text: str) -> None:
    folded = fold_han(unicodedata.normalize("NFKC", text))
    assert fold_han(folded) == folded


def test_every_variant_leads_to_a_character_that_stays() -> None:
    for table in (han._VARIANTS, han._RADICALS):
        for source, target in zip(table[::2], table[1::2], strict=True):
            assert fold_han(source) == fold_han(target) == target, source


def test_what_han_and_private_are() -> None:
    assert is_han("张")
    assert is_han("〇")
    assert is_han("\U00030000")
    assert not is_han("a")
    assert not is_han("·")
    assert is_private("\ue000")
    assert not is_private("张")


def test_another_opencc_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    han.verify_folding()
    monkeypatch.setattr(han, "_opencc_sha256", lambda: "0" * 64)
    with pytest.raises(RecordsError, match="opencc"):
        han.verify_folding()
