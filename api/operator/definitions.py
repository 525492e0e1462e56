"""Projects and terms as an operator writes them: short TOML, filled up and checked.

A project::

    id = "sichuan-children"
    name = "Children of migrant families, Sichuan"
    purpose = "So that no child is missed by the services."
    coordinating_office = "province-coordination"
    [[members]]
    office = "jinjiang-civil"
    role = "residence-civil-affairs"

Terms; what is left out is taken from the project, from the profile or from the defaults::

    project = "sichuan-children"
    round = "2026-h2"
    purpose = "Second half of 2026."
    profile = "cn-child-v1"        # one that comes with the program, or a .toml file
    visibility = "all"             # or a matrix: role = [roles whose links it sees]
    # visibility = { education = ["public-security"], public-security = ["education"] }
    solve = "groups"               # or one-to-one, pairs
    threshold = "auto"             # or a number from 0 to 1
    secret_epoch = 1
    retention_days = 180
    max_records = 2000000
    min_witnesses = 1              # of the access log, before a release; else as the project says
    cipher_suite = "gm"            # where national algorithms are required; else leave it out
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.client.terms import TERMS_FORMAT, Terms, TermsError, parse_terms
from linkage.division_table import TABLE_DATE, is_current
from linkage.errors import LinkageError
from linkage.profile import Profile, builtin_profile_names, load_profile

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MIN_MEMBERS = 2
_MAX_WITNESSES = 500
_MAX_FILE_BYTES = 1024 * 1024
_FROM_PROJECT = ("purpose", "coordinating_office", "members", "min_witnesses")
_OPTIONAL = ("profile", "cipher_suite")
_DEFAULTS: Mapping[str, Any] = {
    "secret_epoch": 1,
    "visibility": "all",
    "solve": "groups",
    "threshold": "auto",
    "retention_days": 180,
    "max_records": 2_000_000,
}


class DefinitionError(LinkageError):
    """A file that defines a project or a round is not as it must be."""


def load_definition(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file that an operator wrote; ``what`` names it in messages.

    Raises:
        DefinitionError: it is not UTF-8, not TOML, or far too large.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    if len(data) > _MAX_FILE_BYTES:
        raise DefinitionError(f"The file of the {what} is too large to be one.")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        where = f": {error}" if isinstance(error, tomllib.TOMLDecodeError) else ""
        raise DefinitionError(
            f"The file of the {what} is not proper TOML in UTF-8{where}. See --help for an example."
        ) from error


def check_project(body: Mapping[str, Any]) -> dict[str, Any]:
    """A project as ``POST /v1/projects`` takes it.

    Raises:
        DefinitionError: with the key that is wrong and what is expected.
    """
    _expect_keys(
        body,
        "project",
        {"id", "name", "purpose", "coordinating_office", "members"},
        {"min_witnesses"},
    )
    n_witnesses = body.get("min_witnesses", 0)
    if type(n_witnesses) is not int or not 0 <= n_witnesses <= _MAX_WITNESSES:
        raise DefinitionError(
            "min_witnesses of the project must be a whole number from 0 on: how many members must "
            "have witnessed the access log before links are released."
        )
    for key in ("id", "coordinating_office"):
        _expect_id(body[key], key)
    for key in ("name", "purpose"):
        if not isinstance(body[key], str) or not body[key].strip():
            raise DefinitionError(f"{key} of the project must be a text that is not empty.")
    texts = {key: body[key].strip() for key in ("name", "purpose")}
    members = body["members"]
    if not isinstance(members, list) or not members:
        raise DefinitionError("The project needs members: a [[members]] table for each office.")
    for member in members:
        if not isinstance(member, dict):
            raise DefinitionError("Write each member as a [[members]] table.")
        _expect_keys(member, "member", {"office", "role"}, {"division", "side"})
        for key in ("office", "role"):
            _expect_id(member[key], key)
        if "division" in member or "side" in member:
            check_place(member.get("division"), member.get("side"))
    offices = [member["office"] for member in members]
    if len(set(offices)) != len(offices):
        raise DefinitionError("An office is a member twice. Keep one [[members]] table of it.")
    return {**body, **texts}


def check_place(division: object, side: object) -> None:
    """Make sure that a place in flows between counties is whole and right.

    Raises:
        DefinitionError: with what is expected.
    """
    if not isinstance(division, str) or not is_current(division) or len(division) != 6:
        raise DefinitionError(
            "The division of a member must be the six-digit code of a county or district of today "
            f"(GB/T 2260 as of {TABLE_DATE.isoformat()}), in quotation marks."
        )
    if side not in ("origin", "residence"):
        raise DefinitionError(
            'The side of a member must be "origin" or "residence": whether its office stands where '
            "children come from, or where they live now."
        )


def project_to_ask_for(body: Mapping[str, Any]) -> str | None:
    """Id of the project whose word is needed where terms leave something out; else ``None``.

    Raises:
        DefinitionError: the terms name no project.
    """
    if all(key in body for key in _FROM_PROJECT):
        return None
    if "project" not in body:
        raise DefinitionError('The terms name no project. Add a line such as: project = "ID".')
    _expect_id(body["project"], "project")
    return str(body["project"])


def complete_terms(
    body: Mapping[str, Any], profile: Profile, project: Mapping[str, Any] | None
) -> Terms:
    """Terms from what an operator wrote, the profile, and the project as the server holds it.

    Raises:
        DefinitionError: a key is unknown or missing.
        TermsError: a value is not as ``docs/http-api.md`` says.
    """
    _expect_keys(body, "terms", {"project", "round"}, {*_OPTIONAL, *_FROM_PROJECT, *_DEFAULTS})
    given = {key: value for key, value in body.items() if key != "profile"}
    inherited = {key: project[key] for key in _FROM_PROJECT if project and key in project}
    if isinstance(inherited.get("members"), list):
        # Where an office stands is the project's matter, and nothing to sign.
        inherited["members"] = [
            _office_and_role(member) for member in inherited["members"] if not _is_out(member)
        ]
    document = {
        **_DEFAULTS,
        **inherited,
        **given,
        "format": TERMS_FORMAT,
        "profile": {"name": profile.name, "sha256": profile.sha256},
        "cleaning": profile.cleaning,
    }
    if isinstance(document.get("purpose"), str):
        # A text in triple quotation marks ends with a line break.
        document["purpose"] = document["purpose"].strip()
    terms = parse_terms(document)
    if len(terms.members) < _MIN_MEMBERS:
        raise TermsError("A round needs at least two member offices.")
    return terms


def _is_out(member: Any) -> bool:
    """Whether operators took an office out of its project."""
    return isinstance(member, dict) and member.get("excluded_at") is not None


def _office_and_role(member: Any) -> Any:
    if not isinstance(member, dict):
        return member
    return {key: member[key] for key in ("office", "role") if key in member}


def load_terms_profile(body: Mapping[str, Any], terms_file: Path, given: str | None) -> Profile:
    """The profile of a round: ``given`` (``--profile``), else what the definition names.

    A file that the definition names lies relative to the definition.

    Raises:
        DefinitionError: neither names one.
        ProfileError: there is no such profile, or it is not well formed.
    """
    if given is not None:
        return load_profile(given)
    named = body.get("profile")
    if not isinstance(named, str):
        raise DefinitionError(
            "The terms name no profile. Add a line such as: profile = "
            f'"{builtin_profile_names()[0]}", or give --profile.'
        )
    if named in builtin_profile_names():
        return load_profile(named)
    return load_profile(str(terms_file.parent / named))


def _expect_keys(
    body: Mapping[str, Any], what: str, required: set[str], optional: set[str]
) -> None:
    missing = required - body.keys()
    unknown = body.keys() - required - optional
    if missing:
        raise DefinitionError(f"The {what} lacks: {', '.join(sorted(missing))}.")
    if unknown:
        raise DefinitionError(f"The {what} has unknown keys: {', '.join(sorted(unknown))}.")


def _expect_id(value: Any, key: str) -> None:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise DefinitionError(
            f"{key} must be an id: small letters, digits and hyphens, at most 63."
        )
