"""The manifest of an encoded file as canonical JSON (RFC 8785): written, parsed, bounded.

A server shows what a manifest says, so every string in it has a form or a length; TQE.md lists
them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import rfc8785

from linkage.errors import TqeFormatError
from linkage.types import Evidence, GroupLayout, KeyedHashName, Manifest, ViewLayout

TQE_FORMAT = "tongqiao-tqe-v1"
MAX_MANIFEST_BYTES = 256 * 1024
MAX_RECORDS = 2**31 - 1

_MAX_VIEWS = 16
_MAX_GROUPS = 16
_MAX_FEATURES = 16
_MAX_PROBLEM_CODES = 256
_MAX_DIFFUSION = 64
_MIN_FILTER_BITS, _MAX_FILTER_BITS = 64, 8192
_MAX_RISK_CHARACTERS = 500

_KEYED_HASH: Final = "keyed_hash"
_RARITY: Final = "rarity"
_USUAL_HASH: Final = "blake2b"

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY_CONFIRMATION = re.compile(r"[0-9a-f]{32}")
_ENCODER_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_ -]{0,63}")
_CONTEXT = re.compile(r"offline|[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}")
_CREATED_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

_STRINGS: Mapping[str, re.Pattern[str]] = {
    "profile_name": _NAME,
    "profile_sha256": _SHA256,
    "cleaning_version": _NAME,
    "encoder_version": _ENCODER_VERSION,
    "context": _CONTEXT,
    "key_confirmation": _KEY_CONFIRMATION,
    "created_at": _CREATED_AT,
    "content_sha256": _SHA256,
}
_KEYS = {
    *_STRINGS,
    "format",
    "n_records",
    "diffusion",
    "views",
    "statistics",
    "evidence",
    "accepted_risk",
}


def manifest_to_json(manifest: Manifest) -> bytes:
    """The canonical JSON of a manifest.

    Raises:
        TqeFormatError: the manifest holds what :func:`parse_manifest` would refuse.
    """
    data = _canonical(manifest)
    parse_manifest(data)
    return data


def hashed_manifest(manifest: Manifest) -> bytes:
    """What ``content_sha256`` covers of a manifest: its JSON with that hash left empty.

    Raises:
        TqeFormatError: it holds a value that JSON cannot.
    """
    return _canonical(replace(manifest, content_sha256=""))


def parse_manifest(data: bytes) -> Manifest:
    """Parse the JSON of a manifest from an untrusted file.

    Raises:
        TqeFormatError: it is not canonical, or a key or value is not what TQE.md allows.
    """
    document = _document(data)
    _expect_keys(document, _KEYS | (document.keys() & {_KEYED_HASH}), "manifest")
    if document["format"] != TQE_FORMAT:
        raise TqeFormatError(
            f"The file's format is not {TQE_FORMAT}. Encode it again with this version, or update."
        )
    strings = {name: _string(document[name], pattern, name) for name, pattern in _STRINGS.items()}
    n_records = _whole(document["n_records"], 0, MAX_RECORDS, "n_records")
    views = tuple(_parse_view(entry) for entry in _list(document["views"], 1, _MAX_VIEWS, "views"))
    if len({view.name for view in views}) != len(views):
        raise TqeFormatError("Two views of the manifest have the same name.")
    return Manifest(
        n_records=n_records,
        diffusion=_whole(document["diffusion"], 0, _MAX_DIFFUSION, "diffusion"),
        views=views,
        statistics=_parse_statistics(document["statistics"], views, n_records),
        evidence=_parse_evidence(document["evidence"], views),
        accepted_risk=_parse_risk(document["accepted_risk"]),
        keyed_hash=_parse_keyed_hash(document),
        **strings,
    )


def _canonical(manifest: Manifest) -> bytes:
    document: dict[str, Any] = {name: getattr(manifest, name) for name in _STRINGS}
    document |= {
        "format": TQE_FORMAT,
        "n_records": manifest.n_records,
        "diffusion": manifest.diffusion,
        "views": [_view_to_json(view) for view in manifest.views],
        "statistics": {key: dict(table) for key, table in manifest.statistics.items()},
        "evidence": _evidence_to_json(manifest.evidence),
        "accepted_risk": manifest.accepted_risk,
    }
    if manifest.keyed_hash != _USUAL_HASH:
        document[_KEYED_HASH] = manifest.keyed_hash
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise TqeFormatError("The manifest holds a value that JSON cannot.") from error


def _document(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_MANIFEST_BYTES:
        raise TqeFormatError(f"The manifest is larger than {MAX_MANIFEST_BYTES} bytes.")
    try:
        document = json.loads(data.decode("utf-8"))
        canonical = rfc8785.dumps(document)
    except (ValueError, RecursionError, rfc8785.CanonicalizationError) as error:
        raise TqeFormatError("The manifest is not JSON.") from error
    if not isinstance(document, dict) or canonical != data:
        raise TqeFormatError("The manifest is not in canonical form (RFC 8785).")
    return document


def _view_to_json(view: ViewLayout) -> dict[str, Any]:
    return {
        "name": view.name,
        "tagged": view.tagged,
        "groups": [_group_to_json(group) for group in view.groups],
        "implies": list(view.implies),
        "refutes": list(view.refutes),
    }


def _group_to_json(group: GroupLayout) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": group.name, "filter_bits": group.filter_bits}
    return entry | {"feature": group.feature} if group.feature else entry


def _parse_view(value: Any) -> ViewLayout:
    entry = _table(value, "view")
    _expect_keys(entry, {"name", "tagged", "groups", "implies", "refutes"}, "view")
    if not isinstance(entry["tagged"], bool):
        raise TqeFormatError("The manifest does not say whether a view is tagged.")
    groups = tuple(
        _parse_group(group) for group in _list(entry["groups"], 0, _MAX_GROUPS, "groups")
    )
    if len({group.name for group in groups}) != len(groups):
        raise TqeFormatError("Two groups of a view in the manifest have the same name.")
    if not groups and not entry["tagged"]:
        raise TqeFormatError("A view of the manifest holds nothing.")
    return ViewLayout(
        name=_string(entry["name"], _NAME, "view name"),
        tagged=entry["tagged"],
        groups=groups,
        implies=_features(entry["implies"]),
        refutes=_features(entry["refutes"]),
    )


def _parse_group(value: Any) -> GroupLayout:
    entry = _table(value, "group")
    _expect_keys(entry, {"name", "filter_bits"} | ({"feature"} & entry.keys()), "group")
    bits = _whole(entry["filter_bits"], _MIN_FILTER_BITS, _MAX_FILTER_BITS, "filter_bits")
    if bits % 64:
        raise TqeFormatError("A filter length in the manifest is no multiple of 64 bits.")
    feature = _string(entry["feature"], _NAME, "feature") if "feature" in entry else ""
    return GroupLayout(_string(entry["name"], _NAME, "group name"), bits, feature)


def _features(value: Any) -> tuple[str, ...]:
    return tuple(
        _string(name, _NAME, "feature") for name in _list(value, 0, _MAX_FEATURES, "features")
    )


def _evidence_to_json(evidence: Evidence) -> dict[str, list[str]]:
    document = {"household": list(evidence.household), "twins": list(evidence.twins)}
    if evidence.rarity:
        document[_RARITY] = list(evidence.rarity)
    return document


def _parse_evidence(value: Any, views: tuple[ViewLayout, ...]) -> Evidence:
    table = _table(value, "evidence")
    _expect_keys(table, {"household", "twins"} | ({_RARITY} & table.keys()), "evidence")
    rarity = _features(table[_RARITY]) if _RARITY in table else ()
    tagged = {view.name for view in views if view.tagged}
    if not set(rarity) <= tagged or (_RARITY in table and not rarity):
        raise TqeFormatError("The manifest's evidence names no view, or one that has no tags.")
    return Evidence(_features(table["household"]), _features(table["twins"]), rarity)


def _parse_statistics(
    value: Any, views: tuple[ViewLayout, ...], n_records: int
) -> dict[str, dict[str, Any]]:
    statistics = _table(value, "statistics")
    _expect_keys(statistics, {"fill", "missing", "problems"}, "statistics")
    fill = _table(statistics["fill"], "fill")
    _expect_keys(
        fill, {f"{view.name}/{group.name}" for view in views for group in view.groups}, "fill"
    )
    for share in fill.values():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise TqeFormatError("A fill in the manifest is not between 0 and 1.")
    missing = _table(statistics["missing"], "missing")
    _expect_keys(missing, {view.name for view in views}, "missing")
    problems = _table(statistics["problems"], "problems")
    if len(problems) > _MAX_PROBLEM_CODES:
        raise TqeFormatError("The manifest counts too many kinds of problems.")
    for code in problems:
        _string(code, _CODE, "problem code")
    return {
        "fill": dict(fill),
        "missing": {name: _whole(n, 0, n_records, "count") for name, n in missing.items()},
        "problems": {code: _whole(n, 0, 2**53 - 1, "count") for code, n in problems.items()},
    }


def _parse_risk(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_RISK_CHARACTERS:
        raise TqeFormatError(
            f"The reason for an accepted risk must have 1 to {_MAX_RISK_CHARACTERS} characters."
        )
    if not value.isprintable():
        raise TqeFormatError("The reason for an accepted risk must be one printable line.")
    return value


def _parse_keyed_hash(document: Mapping[str, Any]) -> KeyedHashName:
    """The usual one is left out, so that each manifest has one form."""
    if _KEYED_HASH not in document:
        return _USUAL_HASH
    if document[_KEYED_HASH] != "hmac-sm3":
        raise TqeFormatError(
            "The file was encoded with a keyed hash that this version does not know. Update it."
        )
    return "hmac-sm3"


def _expect_keys(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    if table.keys() != keys:
        raise TqeFormatError(f"The manifest has missing or unknown entries ({where}).")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TqeFormatError(f"The manifest has no table where one belongs ({where}).")
    return value


def _list(value: Any, least: int, most: int, where: str) -> list[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise TqeFormatError(f"The manifest must list {least} to {most} entries ({where}).")
    return value


def _string(value: Any, pattern: re.Pattern[str], where: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise TqeFormatError(f"The manifest has a text of the wrong form ({where}).")
    return value


def _whole(value: Any, low: int, high: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise TqeFormatError(f"The manifest has a number out of range ({where}).")
    return value
