"""Shapes of characters, and which tokens are frequent."""

import tomllib
from collections.abc import Iterator
from importlib import resources

import pytest

from linkage.encoding import shapes
from linkage.encoding.frequency import FREQUENT_CHARACTERS, is_frequent
from linkage.encoding.shapes import SHAPES_SHA256, SIDES, unit_side
from linkage.encoding.tokens import token_parts
from linkage.errors import EncodingError
from linkage.profile import FREQUENCY_KINDS, TOKEN_KINDS
from tests.linkage.encoding import reference


def sides(character: str) -> dict[str, str]:
    return {side: unit_side(character, side) for side in SIDES}


def test_the_sides_of_a_character() -> None:
    # 李 is 4040 in every printed table of the four-corner method.
    assert sides("李") == {"top": "40", "bottom": "40", "left": "44", "right": "00"}
    assert sides("门") == {"top": "37", "bottom": "00", "left": "30", "right": "70"}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("己", "已", {"top", "bottom", "left", "right"}),
        ("未", "末", {"top", "bottom", "left", "right"}),
        ("晴", "睛", {"top", "bottom", "left", "right"}),
        ("昊", "吴", {"top"}),
        ("婷", "停", {"right"}),
        ("伟", "纬", {"top", "right"}),
        ("怡", "恰", {"bottom", "left"}),
        ("王", "睿", set()),
    ],
)
def test_characters_that_look_alike_share_sides(one: str, other: str, alike: set[str]) -> None:
    ours, theirs = sides(one), sides(other)
    assert {side for side in SIDES if ours[side] == theirs[side]} == alike


@pytest.mark.parametrize("unit", ["li", "A", "祎", "𠮷", "1"])
def test_a_unit_without_a_code_is_its_own_side(unit: str) -> None:
    assert set(sides(unit).values()) == {unit}


def test_tokens_of_shape_have_positions_and_no_lost_characters() -> None:
    assert token_parts("shape-left", "李〓己") == [("0", "44"), ("2", "17")]
    assert token_parts("shape-top", "李·李") == [("0", "40"), ("1", "40")]


def test_every_character_has_the_sides_that_the_reference_reads() -> None:
    assert shapes._corners() == reference.CORNERS
    for character in reference.CORNERS:
        assert sides(character) == {side: reference.side(character, side) for side in SIDES}


@pytest.fixture
def read_anew() -> Iterator[None]:
    shapes._corners.cache_clear()
    yield
    shapes._corners.cache_clear()


@pytest.mark.usefixtures("read_anew")
def test_another_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "SHAPES_SHA256", "0" * 64)
    with pytest.raises(EncodingError, match="four_corners"):
        unit_side("李", "top")


def test_the_specification_has_the_hash_and_the_frequent_characters() -> None:
    assert SHAPES_SHA256 in reference.SPECIFICATION.read_text(encoding="utf-8")
    assert reference.FREQUENT == FREQUENT_CHARACTERS


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("character", "李", True),
        ("character-position", "梓", True),
        ("character", "曾", False),
        ("pinyin-position", "li", True),
        ("pinyin-position", "lin", True),
        ("pinyin-position", "ceng", False),
        ("pinyin-folded", "zan", True),
        ("pinyin-position", "zan", False),
        ("shape-top", "40", False),
        ("whole", "李", False),
        ("bigram", "李", False),
    ],
)
def test_frequent_tokens(kind: str, text: str, expected: bool) -> None:
    assert is_frequent(kind, text) is expected
    assert reference.is_frequent(kind, text) is expected


def test_only_kinds_that_may_be_frequent_ever_are() -> None:
    for kind in TOKEN_KINDS.keys() - FREQUENCY_KINDS:
        assert not any(is_frequent(kind, text) for text in (*FREQUENT_CHARACTERS, "li", "zan"))


def test_what_forgives_shapes_is_not_what_makes_them_wrong() -> None:
    """The generator's look-alikes are its own: by far not all of them share a code here."""
    text = resources.files("linkage.quality").joinpath("data", "slips.toml").read_text("utf-8")
    pairs = [line.split() for line in tomllib.loads(text)["similar"].strip().splitlines()]
    shares = [
        sum(unit_side(one, side) == unit_side(other, side) for side in SIDES) / len(SIDES)
        for one, *others in pairs
        for other in others
    ]
    assert min(shares) == 0.0
    assert sum(share == 1.0 for share in shares) < len(shares) / 2
