"""How values go wrong, and the tables behind it checked by independent programs."""

import tomllib
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import opencc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypinyin import Style, pinyin

from linkage.quality import synthetic_slips as slips
from linkage.quality.synthetic_draws import Draws, Weighted, risk_level
from linkage.quality.synthetic_names import data_text

TABLES = tomllib.loads(data_text("slips.toml"))


def lines(table: str) -> list[list[str]]:
    return [line.split() for line in TABLES[table].strip().split("\n")]


def draws(seed: int = 1) -> Draws:
    return Draws(np.random.SeedSequence(seed))


def syllables(character: str) -> set[str]:
    return set(pinyin(character, style=Style.NORMAL, heteronym=True)[0])


def accent(syllable: str) -> str:
    """What Sichuan does not tell apart made equal: n/l, f/h, zh/z, ng/n."""
    for heard, said in (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("f", "h")):
        if syllable.startswith(heard):
            syllable = said + syllable.removeprefix(heard)
    syllable = syllable.replace("uang", "ang") if syllable.startswith("h") else syllable
    return syllable.removesuffix("g")


@pytest.mark.parametrize("group", lines("homophones"), ids=lambda group: group[0])
def test_homophones_have_a_syllable_in_common_but_for_in_and_ing(group: list[str]) -> None:
    plain = [{syllable.removesuffix("g") for syllable in syllables(c)} for c in group]

    assert set.intersection(*plain)
    assert len(set(group)) == len(group) > 1


def test_most_accents_are_those_of_sichuan() -> None:
    good = [
        bool(set.intersection(*({accent(s) for s in syllables(c)} for c in group)))
        for group in lines("accents")
    ]

    assert np.mean(good) > 0.8


def test_traditional_forms_go_back_to_the_simplified_ones() -> None:
    convert = opencc.OpenCC("t2s").convert

    good = [convert(form) == simple for simple, form in lines("traditional")]

    assert np.mean(good) > 0.95


@pytest.mark.parametrize("table", ["similar", "traditional", "transliterations", "accents"])
def test_no_line_repeats_itself(table: str) -> None:
    for group in lines(table):
        assert len(set(group)) == len(group) > 1


@pytest.mark.parametrize(
    ("day", "lunar"),
    [
        (date(2024, 2, 10), (2024, 1, 1)),  # Spring Festival
        (date(2024, 2, 9), (2023, 12, 30)),  # its eve
        (date(2023, 9, 29), (2023, 8, 15)),  # Mid-Autumn
        (date(2020, 6, 25), (2020, 5, 5)),  # Dragon Boat, after the leap fourth month
        (date(2020, 5, 23), (2020, 4, 1)),  # first day of that leap month
        (date(2014, 10, 24), (2014, 9, 1)),  # leap ninth month
        (date(2008, 1, 1), (2007, 11, 23)),
    ],
)
def test_lunar_dates_are_those_of_the_calendar(day: date, lunar: tuple[int, int, int]) -> None:
    assert slips.lunar_date(day) == lunar


def test_lunar_months_have_29_or_30_days() -> None:
    days = [line.split(",")[0] for line in data_text("lunar.csv").split()[1:]]

    lengths = {(date.fromisoformat(b) - date.fromisoformat(a)).days for a, b in pairwise(days)}

    assert lengths == {29, 30}


days = st.dates(date(2008, 1, 1), date(2025, 11, 29))
seeds = st.integers(0, 2**32)


@settings(max_examples=200)
@given(seeds, days)
def test_a_wrong_date_differs_and_has_the_parts_of_a_date(seed: int, day: date) -> None:
    _, (year, month, number) = slips.wrong_date(draws(seed), day)

    assert (year, month, number) != (day.year, day.month, day.day)
    assert 1998 <= year <= 2025
    assert 1 <= month <= 12
    assert 1 <= number <= 31


@settings(max_examples=200)
@given(seeds, st.from_regex(r"\A51[0-9]{15}[0-9X]\Z"))
def test_a_slip_of_a_digit_changes_one_or_two_and_keeps_the_length(seed: int, number: str) -> None:
    slipped = slips.digit_slip(draws(seed), number)

    assert len(slipped) == 18
    assert 1 <= sum(a != b for a, b in zip(number, slipped, strict=True)) <= 2
    assert len(slips.lost_digit(draws(seed), number)) == 17


def test_a_telephone_slips_behind_its_prefix() -> None:
    stream = draws()

    assert all(slips.digit_slip(stream, "13812345678", 3)[:3] == "138" for _ in range(200))


@settings(max_examples=50)
@given(seeds)
def test_a_spreadsheet_leaves_fifteen_digits_at_most(seed: int) -> None:
    written = slips.destroyed_by_excel(draws(seed), "510623201204089094")

    assert written in {"510623201204089000", "5.10623E+17", "5.1062320120409E+17"}
    assert slips.destroyed_by_excel(draws(seed), "51062320141209855X") is None


def test_slips_of_names() -> None:
    stream = draws()

    assert slips.swapped_characters(stream, "李梓涵") == "李涵梓"
    assert slips.swapped_characters(stream, "李涵") is None
    assert slips.swapped_characters(stream, "李依依") is None
    assert slips.dropped_character(stream, "李梓涵") in {"李梓", "李涵"}
    assert slips.doubled_character(stream, "李涵") == "李涵涵"
    assert slips.traditional(stream, "张泽") == "張澤"
    assert slips.traditional(stream, "李一") is None
    assert slips.dotted(stream, "李涵") is None
    assert "·" not in (slips.dotted(stream, "吉克·阿依") or "·")
    assert slips.transliterated(stream, "李涵") is None
    assert slips.transliterated(stream, "次仁多吉") not in {None, "次仁多吉"}
    assert slips.unreadable_character(stream, "李祎") != "李祎"
    assert slips.unreadable_character(stream, "李涵") is None
    assert slips.baby_name(stream, "王丽", "张伟", "f")[-1] == "女"


@settings(max_examples=100)
@given(seeds, st.sampled_from(["张梓涵", "王浩宇", "刘欣怡", "杨俊杰", "陈静"]))
def test_characters_that_sound_or_look_alike_replace_just_one(seed: int, name: str) -> None:
    for slip in (slips.sounds_alike, slips.looks_alike):
        slipped = slip(draws(seed), name)
        assert slipped is None or sum(a != b for a, b in zip(name, slipped, strict=True)) == 1


# Draws


@settings(max_examples=20)
@given(st.floats(0.01, 0.9))
def test_a_fault_is_as_frequent_as_its_rate_over_all_risks(rate: float) -> None:
    stream, level = draws(3), risk_level(rate)

    share = np.mean([stream.happens(level, stream.risk()) for _ in range(4_000)])

    assert share == pytest.approx(rate, abs=0.04)


def test_weights_are_kept() -> None:
    stream, table = draws(), Weighted("abc", [1, 0, 3])
    drawn = [stream.weighted(table) for _ in range(4_000)]

    assert drawn.count("b") == 0
    assert drawn.count("c") / 4_000 == pytest.approx(0.75, abs=0.03)
    assert table.at(0.999999999) == "c"


def test_whole_numbers_cover_their_range_and_shuffling_keeps_all() -> None:
    stream = draws()
    items = list(range(100))
    stream.shuffle(items)

    assert {stream.between(3, 5) for _ in range(100)} == {3, 4, 5}
    assert sorted(items) == list(range(100)) != items


def test_lunar_dates_exist_for_every_day_that_a_child_can_be_born() -> None:
    day, last = date(2008, 1, 1), date(2025, 11, 30)
    while day <= last:
        year, month, number = slips.lunar_date(day)
        assert 0 <= day.year - year <= 1
        assert 1 <= month <= 12
        assert 1 <= number <= 30
        day += timedelta(days=1)
