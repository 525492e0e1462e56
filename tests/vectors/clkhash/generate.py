"""Writes vectors.json, by clkhash alone: ``python -m tests.vectors.clkhash.generate``."""

import copy
import json
from pathlib import Path
from typing import Any

from clkhash.clk import generate_clks
from clkhash.schema import from_json_dict
from clkhash.serialization import serialize_bitarray

FILE = Path(__file__).with_name("vectors.json")
SECRET = "an example 例子, known to everybody"

ROWS = [
    ["0", "曾令仪", "zeng lingyi", "2016-02-29", "F", "11010520160229002X", "131"],
    ["1", "扎西·卓玛", "zhaxi zhuoma", "2015-03-07", "F", "513333201503070047", "118"],
    ["2", "", "o'neill", "2009-12-31", "M", "", "160"],
    ["3", "𠮷野", "yoshino", "2000-01-01", "M", "510104200001010011", " +99"],
]


def _feature(name: str, form: dict[str, Any], hashing: dict[str, Any]) -> dict[str, Any]:
    return {"identifier": name, "format": form, "hashing": hashing}


def _text(**limits: Any) -> dict[str, Any]:
    return {"type": "string", "encoding": "utf-8", **limits}


def third_version(
    token_hash: dict[str, Any], strategy: str, config: dict[str, Any]
) -> dict[str, Any]:
    """Every comparison and format of version 3."""

    def hashing(comparison: dict[str, Any], bits: int, **others: Any) -> dict[str, Any]:
        shares = {"comparison": comparison, "strategy": {strategy: bits}, "hash": token_hash}
        return shares | others

    def ngram(n: int, positional: bool) -> dict[str, Any]:
        return {"type": "ngram", "n": n, "positional": positional}

    return {
        "version": 3,
        "clkConfig": {"kdf": {"type": "HKDF"}, **config},
        "features": [
            {"identifier": "row", "ignored": True},
            _feature(
                "name",
                {"type": "string", "encoding": "utf-16"},
                hashing(ngram(1, True), 40, missingValue={"sentinel": "", "replaceWith": "无名"}),
            ),
            _feature("latin name", _text(case="lower", minLength=2), hashing(ngram(2, False), 33)),
            _feature(
                "birth date", {"type": "date", "format": "%Y-%m-%d"}, hashing(ngram(1, True), 12)
            ),
            _feature("sex", {"type": "enum", "values": ["F", "M"]}, hashing({"type": "exact"}, 7)),
            _feature(
                "number",
                _text(pattern="[0-9]{17}[0-9X]"),
                hashing(ngram(3, True), 20, missingValue={"sentinel": ""}),
            ),
            _feature(
                "height",
                {"type": "integer", "minimum": 30, "maximum": 220},
                hashing({"type": "numeric", "thresholdDistance": 5, "resolution": 4}, 9),
            ),
        ],
    }


def earlier_version(version: int, token_hash: dict[str, Any]) -> dict[str, Any]:
    """The schema of a project of the time of version 1 or 2."""

    def hashing(n: int, weight: float, bits: dict[str, Any], **others: Any) -> dict[str, Any]:
        shares = {"ngram": n, **others}
        if version == 1:
            return shares | {"weight": weight}
        return shares | {"strategy": bits, "hash": token_hash}

    config: dict[str, Any] = {"l": 1024, "kdf": {"type": "HKDF", "keySize": 32}}
    return {
        "version": version,
        "clkConfig": config | ({"k": 21, "hash": token_hash} if version == 1 else {}),
        "features": [
            {"identifier": "row", "ignored": True},
            _feature("name", _text(), hashing(1, 1.5, {"numBits": 90})),
            _feature("latin name", _text(), hashing(2, 0.7, {"k": 15})),
            _feature(
                "birth date",
                {"type": "date", "format": "%Y-%m-%d"},
                hashing(1, 0.5, {"k": 8}, positional=True),
            ),
            _feature("sex", {"type": "enum", "values": ["F", "M"]}, hashing(1, 2, {"k": 9})),
            {"identifier": "number", "ignored": True},
            _feature("height", {"type": "integer"}, hashing(2, 0.1, {"numBits": 20})),
        ],
    }


_BLAKE = {"type": "blakeHash"}
_DOUBLE = {"type": "doubleHash"}
_NON_SINGULAR = {"type": "doubleHash", "prevent_singularity": True}
_HKDF_512 = {
    "type": "HKDF",
    "hash": "SHA512",
    "salt": "c2FsdA==",
    "info": "aW5mbw==",
    "keySize": 48,
}

SCHEMAS = {
    "v3 blake, bits a token": third_version(_BLAKE, "bitsPerToken", {"l": 1024}),
    "v3 blake, bits a feature": third_version(_BLAKE, "bitsPerFeature", {"l": 512}),
    "v3 blake, folded twice": third_version(_BLAKE, "bitsPerFeature", {"l": 256, "xor_folds": 2}),
    "v3 blake, HKDF by SHA-512": third_version(
        _BLAKE, "bitsPerToken", {"l": 2048, "kdf": _HKDF_512}
    ),
    "v3 double, odd length": third_version(_DOUBLE, "bitsPerToken", {"l": 1001}),
    "v3 double, odd length folded": third_version(
        _DOUBLE, "bitsPerFeature", {"l": 333, "xor_folds": 1}
    ),
    "v3 double, singular": third_version(_DOUBLE, "bitsPerToken", {"l": 8}),
    "v3 double, not singular": third_version(_NON_SINGULAR, "bitsPerToken", {"l": 8}),
    "v2 blake": earlier_version(2, _BLAKE),
    "v2 double": earlier_version(2, _NON_SINGULAR),
    "v1 blake": earlier_version(1, _BLAKE),
    "v1 double": earlier_version(1, _DOUBLE),
    "legacy key derivation": third_version(
        _BLAKE, "bitsPerToken", {"l": 1024, "kdf": {"type": "legacy"}}
    ),
}


def vectors() -> dict[str, Any]:
    """What clkhash makes of the rows by each schema."""
    cases = []
    for name, schema in SCHEMAS.items():
        valid = schema["clkConfig"]["kdf"]["type"] != "legacy"
        parsed = from_json_dict(copy.deepcopy(schema), validate=valid)
        clks = generate_clks(ROWS, parsed, SECRET, max_workers=1)
        cases.append(
            {"name": name, "schema": schema, "clks": [serialize_bitarray(clk) for clk in clks]}
        )
    return {"secret": SECRET, "rows": ROWS, "cases": cases}


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
