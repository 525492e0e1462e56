from pathlib import Path
from typing import Any

import pytest

from api.client.terms import TermsError
from api.operator.definitions import (
    DefinitionError,
    check_project,
    complete_terms,
    load_definition,
    load_terms_profile,
    project_to_ask_for,
)
from linkage.errors import ProfileError
from linkage.profile import load_profile

PROFILE = load_profile("cn-child-v1")
MEMBERS = [{"office": "a", "role": "education"}, {"office": "b", "role": "health"}]
PROJECT: dict[str, Any] = {
    "id": "p",
    "name": "流动儿童",
    "purpose": "Care.",
    "coordinating_office": "c",
    "members": MEMBERS,
    "min_witnesses": 1,
}


def test_what_terms_leave_out_comes_from_project_profile_and_defaults() -> None:
    terms = complete_terms({"project": "p", "round": "r"}, PROFILE, PROJECT)
    assert (terms.purpose, terms.coordinating_office) == ("Care.", "c")
    assert [member.office for member in terms.members] == ["a", "b"]
    assert (terms.profile_name, terms.profile_sha256) == (PROFILE.name, PROFILE.sha256)
    assert terms.cleaning == PROFILE.cleaning
    assert (terms.solve, terms.threshold, terms.visibility) == ("groups", None, None)
    assert (terms.retention_days, terms.secret_epoch, terms.max_records) == (180, 1, 2_000_000)
    assert terms.min_witnesses == 1


def test_what_terms_say_themselves_counts() -> None:
    said = {
        "project": "p",
        "round": "r",
        "purpose": "Winter.\n",
        "coordinating_office": "d",
        "members": list(reversed(MEMBERS)),
        "visibility": {"health": ["education"]},
        "solve": "one-to-one",
        "threshold": 0.95,
        "secret_epoch": 2,
        "retention_days": 30,
        "max_records": 5,
        "min_witnesses": 3,
    }
    assert project_to_ask_for(said) is None
    terms = complete_terms(said, PROFILE, None)
    assert (terms.purpose, terms.coordinating_office) == ("Winter.", "d")
    assert [member.office for member in terms.members] == ["b", "a"]
    assert terms.visibility == {"education": (), "health": ("education",)}
    assert (terms.solve, terms.threshold) == ("one-to-one", 0.95)
    assert (terms.secret_epoch, terms.retention_days, terms.max_records) == (2, 30, 5)
    assert terms.min_witnesses == 3


def test_the_project_is_asked_only_when_needed() -> None:
    assert project_to_ask_for({"project": "p", "round": "r"}) == "p"
    for wrong in ({}, {"project": "../p"}, {"project": 7}):
        with pytest.raises(DefinitionError):
            project_to_ask_for(wrong)


@pytest.mark.parametrize(
    "changes",
    [
        {"retention": 30},
        {"profile_sha256": "ab"},
        {"cleaning": "cn-0"},
        {"format": "tongqiao-terms-v1"},
    ],
)
def test_misspelt_keys_are_not_ignored(changes: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="unknown keys"):
        complete_terms({"project": "p", "round": "r", **changes}, PROFILE, PROJECT)


def test_a_round_needs_two_offices() -> None:
    with pytest.raises(TermsError, match="two"):
        complete_terms({"project": "p", "round": "r", "members": MEMBERS[:1]}, PROFILE, PROJECT)


def test_terms_without_a_round_are_none() -> None:
    with pytest.raises(DefinitionError, match="lacks: round"):
        complete_terms({"project": "p"}, PROFILE, PROJECT)


def test_a_project_is_checked() -> None:
    assert check_project({**PROJECT, "purpose": "Care.\n"}) == PROJECT


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "P"},
        {"id": 7},
        {"name": " "},
        {"purpose": None},
        {"coordinating_office": ""},
        {"members": []},
        {"members": ["a"]},
        {"members": [{"office": "a"}]},
        {"members": [{"office": "a", "role": "R"}]},
        {"members": [MEMBERS[0], MEMBERS[0]]},
        {"owner": "x"},
    ],
)
def test_what_is_no_project(changes: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        check_project({**PROJECT, **changes})


def test_files_are_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "project.toml"
    path.write_text('name = "儿童"\n', encoding="utf-8-sig")
    assert load_definition(path, "project") == {"name": "儿童"}


@pytest.mark.parametrize("data", [b"name = ", b"\xff\xfe", b"name = 1\n" * 200_000])
def test_what_is_no_toml(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "project.toml"
    path.write_bytes(data)
    with pytest.raises(DefinitionError):
        load_definition(path, "project")


def test_a_profile_is_found_by_name_or_beside_the_terms(tmp_path: Path) -> None:
    terms_file = tmp_path / "terms.toml"
    (tmp_path / "own.toml").write_text(PROFILE.source, encoding="utf-8")
    assert load_terms_profile({"profile": "febrl4"}, terms_file, None).name == "febrl4"
    assert load_terms_profile({"profile": "own.toml"}, terms_file, None) == PROFILE
    assert load_terms_profile({"profile": "own.toml"}, terms_file, "febrl4").name == "febrl4"
    with pytest.raises(DefinitionError, match="name no profile"):
        load_terms_profile({}, terms_file, None)
    with pytest.raises(ProfileError):
        load_terms_profile({"profile": "missing.toml"}, terms_file, None)
