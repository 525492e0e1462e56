"""Encoding profiles: what an encoding consists of, read from TOML, hashed canonically.

A profile is public: offices, operators and the server all hold it, and the terms of a round bind
its hash.  It names fields (what is cleaned, and how), groups (tokens that share one small Bloom
filter) and views (a salt, and the groups whose filters are keyed with it).

The hash is SHA-256 over the RFC 8785 form of the parsed TOML, so that comments, order and spacing
do not matter and everything else does.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import rfc8785

from linkage.errors import ProfileError
from linkage.types import Evidence, FieldKind, FieldSpec, GroupLayout, ViewLayout

PROFILE_FORMAT = "tongqiao-profile-v1"

TOKEN_KINDS: Mapping[str, frozenset[str]] = {
    "whole": frozenset(get_args(FieldKind)),
    "character": frozenset({"chinese-name"}),
    "character-position": frozenset({"chinese-name"}),
    "pinyin": frozenset({"chinese-name"}),
    "given-pinyin": frozenset({"chinese-name"}),
    "pinyin-position": frozenset({"chinese-name"}),
    "pinyin-folded": frozenset({"chinese-name"}),
    "shape-top": frozenset({"chinese-name"}),
    "shape-bottom": frozenset({"chinese-name"}),
    "shape-left": frozenset({"chinese-name"}),
    "shape-right": frozenset({"chinese-name"}),
    "bigram": frozenset({"latin-name", "text", "identifier", "chinese-name"}),
    "sign": frozenset({"latin-name", "text", "identifier", "phone", "date"}),
    "sign-place": frozenset({"latin-name", "text", "identifier"}),
    "bigram-position": frozenset({"phone", "identifier", "resident-id"}),
    "digit-position": frozenset({"date", "phone", "identifier", "resident-id"}),
    "year": frozenset({"date"}),
    "month": frozenset({"date"}),
    "day": frozenset({"date"}),
    "prefix-2": frozenset({"division"}),
    "prefix-4": frozenset({"division"}),
    "prefix-6": frozenset({"division"}),
}
"""Token kinds, and the field kinds that each applies to."""

FREQUENCY_KINDS = frozenset({"character", "character-position", "pinyin-position", "pinyin-folded"})
"""Token kinds whose frequent tokens may set fewer bits."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MIN_FILTER_BITS, _MAX_FILTER_BITS = 64, 8192
_MAX_DIFFUSION = 64
_MAX_HASHES = 1024


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """Tokens of one kind from one field.

    Attributes:
        hashes: bits that each token sets, and so its weight.
        frequent: bits that a token sets which very many people have; not more than ``hashes``.
        hashed_as: the name in the token's bytes: the field's, or that of the profile's ``as``.
            Fields whose tokens are hashed as one name set equal bits for equal tokens, so that a
            given name and a surname that stand in each other's place are found.
    """

    field: str
    kind: str
    hashes: int
    frequent: int
    hashed_as: str


@dataclass(frozen=True, slots=True)
class SaltPart:
    """One component of a view's salt; a salt exists only where every part does."""

    field: str
    kind: str


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """Tokens that share a filter of ``filter_bits`` bits; ``feature`` as in ``GroupLayout``."""

    name: str
    filter_bits: int
    tokens: tuple[TokenSpec, ...]
    feature: str = ""


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """A salt and the groups that are keyed with it; see :class:`linkage.types.ViewLayout`."""

    name: str
    salt: tuple[SaltPart, ...]
    groups: tuple[str, ...]
    implies: tuple[str, ...]
    refutes: tuple[str, ...]
    tagged: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """A parsed, checked profile.

    Attributes:
        sha256: hex hash of the canonical form.
        source: the TOML text that it was read from.
    """

    name: str
    cleaning: str
    diffusion: int
    fields: tuple[FieldSpec, ...]
    groups: Mapping[str, GroupSpec]
    views: tuple[ViewSpec, ...]
    evidence: Evidence
    sha256: str
    source: str

    def layout(self) -> tuple[ViewLayout, ...]:
        """Layout of the views as a matcher sees it."""
        return tuple(
            ViewLayout(
                name=view.name,
                tagged=view.tagged,
                groups=tuple(
                    GroupLayout(name, self.groups[name].filter_bits, self.groups[name].feature)
                    for name in view.groups
                ),
                implies=view.implies,
                refutes=view.refutes,
            )
            for view in self.views
        )


def builtin_profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with the program, sorted."""
    folder = resources.files("linkage") / "profiles"
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in folder.iterdir()
            if entry.name.endswith(".toml")
        )
    )


def load_profile(name_or_file: str) -> Profile:
    """Load a profile that comes with the program by name, or any profile from a ``.toml`` file.

    Raises:
        ProfileError: there is no such profile, or it is not well formed.
    """
    if name_or_file in builtin_profile_names():
        entry = resources.files("linkage") / "profiles" / f"{name_or_file}.toml"
        return parse_profile(entry.read_text(encoding="utf-8"))
    path = Path(name_or_file)
    if not path.is_file():
        known = ", ".join(builtin_profile_names())
        raise ProfileError(
            "There is no such profile. Name one that comes with the program "
            f"({known}) or the .toml file of your own."
        )
    try:
        return parse_profile(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ProfileError("The profile is not UTF-8 text. Save it as UTF-8.") from error


def parse_profile(text: str) -> Profile:
    """Parse a profile from TOML text.

    Raises:
        ProfileError: with the place and what is expected there.
    """
    try:
        document = tomllib.loads(text)
        canonical = rfc8785.dumps(document)
    except (tomllib.TOMLDecodeError, rfc8785.CanonicalizationError, RecursionError) as error:
        raise ProfileError(f"The profile is not valid TOML of plain values: {error}.") from error
    _expect_keys(
        document,
        "the profile",
        {"format", "name", "cleaning", "diffusion", "fields", "groups", "views"},
        {"evidence"},
    )
    if document["format"] != PROFILE_FORMAT:
        raise ProfileError(
            f"The profile's format is not {PROFILE_FORMAT}. Update the program, or the profile."
        )
    fields = _parse_fields(document["fields"])
    kinds: dict[str, str] = {spec.name: spec.kind for spec in fields}
    groups = {
        _name(name, "a group"): _parse_group(name, body, kinds)
        for name, body in _table(document["groups"], "groups").items()
    }
    views = tuple(_parse_view(body, kinds, groups) for body in _list(document["views"], "views"))
    if not views:
        raise ProfileError("The profile has no views. Add at least one [[views]].")
    if len({view.name for view in views}) != len(views):
        raise ProfileError("Two views of the profile have the same name. Rename one.")
    return Profile(
        name=_name(document["name"], "the profile"),
        cleaning=_name(document["cleaning"], "the cleaning version"),
        diffusion=_int(document["diffusion"], "diffusion", 0, _MAX_DIFFUSION),
        fields=fields,
        groups=groups,
        views=views,
        evidence=_parse_evidence(document.get("evidence", {}), groups, views),
        sha256=hashlib.sha256(canonical).hexdigest(),
        source=text,
    )


def _parse_evidence(
    value: Any, groups: Mapping[str, GroupSpec], views: tuple[ViewSpec, ...]
) -> Evidence:
    body = _table(value, "evidence")
    _expect_keys(body, "evidence", set(), {"household", "twins", "rarity"})
    household = _names(body.get("household", []), "evidence household")
    twins = _names(body.get("twins", []), "evidence twins")
    spoken_of = {group.feature or group.name for group in groups.values()}
    known = {*spoken_of, *(name for view in views for name in (*view.implies, *view.refutes))}
    if not {*household, *twins} <= known or set(household) & set(twins):
        raise ProfileError(
            "evidence must name features of the profile, each under household or twins, not both."
        )
    rarity = _names(body.get("rarity", []), "evidence rarity")
    if not set(rarity) <= {view.name for view in views if view.tagged and view.implies}:
        raise ProfileError(
            "evidence rarity must name views of the profile that are tagged and imply a feature."
        )
    return Evidence(household, twins, rarity)


def _parse_fields(value: Any) -> tuple[FieldSpec, ...]:
    fields = []
    for name, kind in _table(value, "fields").items():
        if kind not in get_args(FieldKind):
            raise ProfileError(
                f"Field '{name}' has no known kind. Kinds are: {', '.join(get_args(FieldKind))}."
            )
        fields.append(FieldSpec(_name(name, "a field"), kind))
    return tuple(fields)


def _parse_group(name: str, value: Any, kinds: Mapping[str, str]) -> GroupSpec:
    where = f"group '{name}'"
    body = _table(value, where)
    _expect_keys(body, where, {"filter_bits", "tokens"}, {"feature"})
    filter_bits = _int(
        body["filter_bits"], f"{where} filter_bits", _MIN_FILTER_BITS, _MAX_FILTER_BITS
    )
    if filter_bits % 64:
        raise ProfileError(f"{where}: filter_bits must be a multiple of 64.")
    tokens = [
        _parse_token(_table(entry, f"a token of {where}"), where, kinds)
        for entry in _list(body["tokens"], f"{where} tokens")
    ]
    if not tokens:
        raise ProfileError(f"{where} has no tokens. Add some, or drop the group.")
    feature = _name(body["feature"], f"the feature of {where}") if "feature" in body else ""
    return GroupSpec(name, filter_bits, tuple(tokens), feature)


def _parse_token(body: Mapping[str, Any], where: str, kinds: Mapping[str, str]) -> TokenSpec:
    _expect_keys(body, f"a token of {where}", {"field", "kind", "hashes"}, {"frequent", "as"})
    _check_kind(body, where, kinds)
    hashes = _int(body["hashes"], f"hashes of {where}", 1, _MAX_HASHES)
    if "frequent" in body and body["kind"] not in FREQUENCY_KINDS:
        raise ProfileError(f"{where}: frequent tokens are not known for that token kind.")
    frequent = _int(body.get("frequent", hashes), f"frequent of {where}", 1, hashes)
    hashed_as = _name(body["as"], f"'as' of {where}") if "as" in body else body["field"]
    if hashed_as != body["field"] and hashed_as in kinds:
        raise ProfileError(f"{where}: 'as' must be a name that no field has.")
    return TokenSpec(body["field"], body["kind"], hashes, frequent, hashed_as)


def _parse_view(value: Any, kinds: Mapping[str, str], groups: Mapping[str, GroupSpec]) -> ViewSpec:
    body = _table(value, "a view")
    _expect_keys(body, "a view", {"name", "salt", "groups"}, {"implies", "refutes", "tagged"})
    name = _name(body["name"], "a view")
    where = f"view '{name}'"
    salt = []
    for entry in _list(body["salt"], f"{where} salt"):
        entry = _table(entry, f"the salt of {where}")
        _expect_keys(entry, f"the salt of {where}", {"field", "kind"})
        _check_kind(entry, where, kinds)
        salt.append(SaltPart(entry["field"], entry["kind"]))
    tagged = body.get("tagged", bool(salt))
    if not isinstance(tagged, bool) or (tagged and not salt):
        raise ProfileError(f"{where}: only a view with a salt can be tagged.")
    listed = _names(body["groups"], f"{where} groups")
    unknown = [group for group in listed if group not in groups]
    if unknown or not (listed or tagged):
        raise ProfileError(f"{where} must list groups that the profile defines.")
    return ViewSpec(
        name=name,
        salt=tuple(salt),
        groups=listed,
        implies=_names(body.get("implies", []), f"{where} implies"),
        refutes=_names(body.get("refutes", []), f"{where} refutes"),
        tagged=tagged,
    )


def _check_kind(entry: Mapping[str, Any], where: str, kinds: Mapping[str, str]) -> None:
    field, kind = entry["field"], entry["kind"]
    if not isinstance(field, str) or field not in kinds:
        raise ProfileError(f"{where} uses a field that the profile does not define.")
    if not isinstance(kind, str) or kinds[field] not in TOKEN_KINDS.get(kind, frozenset()):
        raise ProfileError(f"{where}: that token kind does not apply to field '{field}'.")


def _expect_keys(
    table: Mapping[str, Any], where: str, required: set[str], optional: set[str] | None = None
) -> None:
    missing = required - table.keys()
    unknown = table.keys() - required - (optional or set())
    if missing:
        raise ProfileError(f"{where} lacks: {', '.join(sorted(missing))}.")
    if unknown:
        raise ProfileError(f"{where} has unknown keys: {', '.join(sorted(unknown))}.")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ProfileError(f"{where} must be a table.")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ProfileError(f"{where} must be a list.")
    return value


def _int(value: Any, where: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProfileError(f"{where} must be a whole number from {low} to {high}.")
    return value


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ProfileError(f"The name of {where} must match {_NAME.pattern}.")
    return value


def _names(value: Any, where: str) -> tuple[str, ...]:
    names = tuple(_name(entry, where) for entry in _list(value, where))
    if len(set(names)) != len(names):
        raise ProfileError(f"{where} names something twice.")
    return names
