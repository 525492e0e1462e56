"""Profiles: what is parsed, what the hash covers, what is refused."""

import hashlib
import tomllib
from pathlib import Path
from typing import get_args

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.encoding.tokens import SALT_KINDS
from linkage.errors import LinkageError, ProfileError
from linkage.profile import builtin_profile_names, load_profile, parse_profile
from linkage.types import FieldKind

GOOD = """
format = "tongqiao-profile-v1"
name = "small"
cleaning = "cn-2"
diffusion = 5

[fields]
name = "chinese-name"
born = "date"
number = "resident-id"

[groups.name]
filter_bits = 128
tokens = [{ field = "name", kind = "character", hashes = 4 }]

[groups.birth]
filter_bits = 64
tokens = [{ field = "born", kind = "year", hashes = 3 }]

[[views]]
name = "number"
salt = [{ field = "number", kind = "whole" }]
groups = ["name", "birth"]
implies = ["number"]
refutes = ["number"]

[[views]]
name = "all"
salt = []
groups = ["name"]
"""


def test_a_profile_is_read() -> None:
    profile = parse_profile(GOOD)
    assert (profile.name, profile.cleaning, profile.diffusion) == ("small", "cn-2", 5)
    assert [(spec.name, spec.kind) for spec in profile.fields] == [
        ("name", "chinese-name"),
        ("born", "date"),
        ("number", "resident-id"),
    ]
    assert profile.groups["name"].tokens[0].hashes == 4
    tagged, untagged = profile.layout()
    assert (tagged.name, tagged.tagged, tagged.implies) == ("number", True, ("number",))
    assert [(group.name, group.filter_bits) for group in tagged.groups] == [
        ("name", 128),
        ("birth", 64),
    ]
    assert (untagged.tagged, untagged.refutes) == (False, ())


def test_tokens_are_hashed_as_their_field_or_as_the_profile_says() -> None:
    text = GOOD.replace("hashes = 4 }]", 'hashes = 4, as = "names" }]')
    groups = parse_profile(text).groups
    assert groups["name"].tokens[0].hashed_as == "names"
    assert groups["birth"].tokens[0].hashed_as == "born"


def test_rarity_is_of_tagged_views_that_imply_something() -> None:
    assert parse_profile(GOOD).evidence.rarity == ()
    rare = GOOD + '\n[evidence]\nrarity = ["number"]\n'
    assert parse_profile(rare).evidence.rarity == ("number",)
    implies = 'implies = ["number"]\n'
    assert implies in rare
    for wrong in (
        rare.replace(implies, ""),
        rare.replace('rarity = ["number"]', 'rarity = ["all"]'),
    ):
        with pytest.raises(ProfileError, match="evidence rarity"):
            parse_profile(wrong)


def test_several_groups_may_speak_of_one_feature() -> None:
    text = GOOD.replace("[groups.birth]\n", '[groups.birth]\nfeature = "person"\n', 1)
    group = {group.name: group for group in parse_profile(text).layout()[0].groups}
    assert (group["birth"].speaks_of, group["name"].speaks_of) == ("person", "name")
    # What evidence names is features, and a group that speaks of another is none.
    with pytest.raises(ProfileError, match="must name features"):
        parse_profile(text + '\n[evidence]\nhousehold = ["birth"]\n')
    parse_profile(text + '\n[evidence]\nhousehold = ["person"]\n')
    with pytest.raises(ProfileError, match="the feature of group"):
        parse_profile(text.replace('"person"', '"Person!"'))


def test_the_hash_is_over_the_canonical_form() -> None:
    canonical = rfc8785.dumps(tomllib.loads(GOOD))
    assert parse_profile(GOOD).sha256 == hashlib.sha256(canonical).hexdigest()


def test_comments_order_and_spacing_do_not_change_the_hash() -> None:
    reordered = "# a comment\n" + GOOD.replace('name = "small"\n', "").replace(
        "diffusion = 5", 'diffusion  =  5   # t\nname = "small"'
    )
    assert parse_profile(reordered).sha256 == parse_profile(GOOD).sha256


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("diffusion = 5", "diffusion = 6"),
        ("hashes = 4", "hashes = 5"),
        ("hashes = 4", "hashes = 4, frequent = 3"),
        ("hashes = 4", 'hashes = 4, as = "names"'),
        ("filter_bits = 128", "filter_bits = 192"),
        ('implies = ["number"]\n', ""),
        ('cleaning = "cn-2"', 'cleaning = "cn-9"'),
        ('groups = ["name", "birth"]', 'groups = ["birth", "name"]'),
        ("salt = []", "salt = []\ntagged = false"),
    ],
)
def test_everything_else_changes_the_hash(old: str, new: str) -> None:
    assert old in GOOD
    assert parse_profile(GOOD.replace(old, new)).sha256 != parse_profile(GOOD).sha256


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tongqiao-profile-v1", "tongqiao-profile-v2"),
        ('name = "small"', 'name = "Small"'),
        ('name = "small"', 'name = ""'),
        ('cleaning = "cn-2"\n', ""),
        ("diffusion = 5", "diffusion = -1"),
        ("diffusion = 5", "diffusion = 65"),
        ("diffusion = 5", "diffusion = true"),
        ("diffusion = 5", "diffusion = 2.5"),
        ("diffusion = 5", 'diffusion = 5\nsecret = "x"'),
        ('born = "date"', 'born = "time"'),
        ('born = "date"', "born = 1"),
        ("filter_bits = 128", "filter_bits = 100"),
        ("filter_bits = 128", "filter_bits = 16384"),
        ("hashes = 4", "hashes = 0"),
        ("hashes = 4", "hashes = 1025"),
        ("hashes = 4 }]", "hashes = 4, weight = 2 }]"),
        ("hashes = 4 }]", "hashes = 4, frequent = 5 }]"),
        ("hashes = 4 }]", "hashes = 4, frequent = 0 }]"),
        ("hashes = 4 }]", 'hashes = 4, as = "born" }]'),
        ("hashes = 4 }]", 'hashes = 4, as = "Names!" }]'),
        ("hashes = 3 }]", "hashes = 3, frequent = 2 }]"),
        ('kind = "character"', 'kind = "soundex"'),
        ('kind = "character"', 'kind = "year"'),
        ('field = "born"', 'field = "died"'),
        ('tokens = [{ field = "born", kind = "year", hashes = 3 }]', "tokens = []"),
        ('groups = ["name", "birth"]', 'groups = ["name", "place"]'),
        ('groups = ["name", "birth"]', 'groups = ["name", "name"]'),
        ('groups = ["name", "birth"]', 'groups = "name"'),
        ('name = "all"', 'name = "number"'),
        ("salt = []", "salt = []\ntagged = true"),
        ('groups = ["name"]', "groups = []"),
        ('kind = "whole" }]', 'kind = "month" }]'),
        ("[[views]]", "[[outlooks]]"),
        ("[groups.name]", "[groups.1]"),
        ("[fields]", "[fields"),
    ],
)
def test_what_is_wrong_is_refused(old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(ProfileError):
        parse_profile(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("kind", "applies_to"),
    [
        ("sign", {"latin-name", "text", "identifier", "phone", "date"}),
        ("sign-place", {"latin-name", "text", "identifier"}),
    ],
)
@pytest.mark.parametrize("field_kind", get_args(FieldKind))
def test_signs_are_taken_of_fields_that_are_written_in_letters_or_digits(
    kind: str, applies_to: set[str], field_kind: FieldKind
) -> None:
    text = GOOD.replace('name = "chinese-name"', f'name = "{field_kind}"')
    text = text.replace('kind = "character"', f'kind = "{kind}"')
    if field_kind in applies_to:
        assert parse_profile(text).groups["name"].tokens[0].kind == kind
        return
    with pytest.raises(ProfileError, match="token kind does not apply to field 'name'"):
        parse_profile(text)


@settings(max_examples=60)
@given(text=st.text() | st.text(alphabet='[]{}="abc.1\n', max_size=60))
def test_any_text_is_a_profile_error(text: str) -> None:
    with pytest.raises(LinkageError):
        parse_profile(text)


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_profile_is_read_or_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    new = data.draw(st.text(max_size=4))
    try:
        profile = parse_profile(GOOD[:at] + new + GOOD[at + data.draw(st.integers(0, 9)) :])
    except ProfileError:
        return
    assert profile.views


@pytest.mark.parametrize("name", builtin_profile_names())
def test_built_in_profiles_are_read_by_their_names(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert all(part.kind in SALT_KINDS for view in profile.views for part in view.salt)


@pytest.mark.parametrize("name", builtin_profile_names())
def test_no_built_in_tag_comes_from_a_division_a_sex_or_a_part_of_a_name(name: str) -> None:
    """Tags of these opened whole registers to graph matching; beside others they may salt."""
    profile = load_profile(name)
    kinds = {spec.name: spec.kind for spec in profile.fields}
    for view in profile.views:
        if view.tagged and len(view.salt) == 1:
            (part,) = view.salt
            assert kinds[part.field] not in ("division", "sex", "text")
            assert part.kind in ("whole", "pinyin")


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert load_profile(str(path)).sha256 == parse_profile(GOOD).sha256
    path.write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(ProfileError, match="UTF-8"):
        load_profile(str(path))


def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(ProfileError, match="cn-child-v1"):
        load_profile("cn-child-v99")
