"""clkhash itself, asked for the same thing; and schemas and rows to ask for."""

import base64
import copy
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

SECRET = "共同的秘密 shared by all offices"

Json = dict[str, Any]
Rows = Sequence[Sequence[str]]


class RefusedError(Exception):
    """clkhash fails, in whichever way."""


def clkhash_clks(
    schema: Json, rows: Rows, secret: str = SECRET, *, check: bool = True, valid: bool = True
) -> list[bytes]:
    """What clkhash makes of rows.

    Args:
        schema: as read from JSON.
        rows: cells of each record.
        secret: clkhash's own, a text.
        check: whether clkhash checks values against formats.
        valid: whether clkhash checks the schema; without, it takes the KDF ``legacy``.

    Raises:
        RefusedError: it raises anything.
    """
    from clkhash.clk import generate_clks
    from clkhash.schema import from_json_dict

    try:
        parsed = from_json_dict(copy.deepcopy(schema), validate=valid)
        clks = generate_clks(rows, parsed, secret, validate=check, max_workers=1)
    except Exception as error:  # clkhash lets any error through
        raise RefusedError from error
    return [clk.tobytes() for clk in clks]


# --- schemas and rows ---------------------------------------------------------------------------

_LETTERS = st.sampled_from("abzABZ 09'-éßÀ王某曾令仪扎西·卓玛𠮷👧\u3000İ")
_TEXTS = st.text(_LETTERS, max_size=9)
_DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%d/%m/%y", "%Y年%m月%d日", "%d %b %Y")
_HASHES = ("blakeHash", "doubleHash")

Column = tuple[Json, st.SearchStrategy[str]]


@st.composite
def _text_columns(draw: st.DrawFn) -> Column:
    form: Json = {"type": "string"}
    values = _TEXTS
    encoding = draw(st.sampled_from([None, "ascii", "utf-8", "utf-16", "utf-32"]))
    if encoding:
        form["encoding"] = encoding
    if encoding == "ascii":
        values = st.text("abcXYZ 019'", max_size=12)
    match draw(st.sampled_from(["plain", "pattern", "upper", "lower", "bounds"])):
        case "pattern":
            pattern = draw(st.sampled_from(["[0-9]{17}[0-9X]", r"[0-9]{1,9}", "[^x]{0,9}"]))
            form["pattern"] = pattern
            values = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
        case "upper":
            form["case"] = "upper"
            values = values.map(str.upper)
        case "lower":
            form["case"] = "lower"
            values = values.map(str.lower)
        case "bounds":
            form |= {"case": "mixed", "minLength": draw(st.integers(0, 2))}
            form["maxLength"] = draw(st.integers(5, 12))
    return form, values


@st.composite
def _integer_columns(draw: st.DrawFn) -> Column:
    form: Json = {"type": "integer", "description": "a number"}
    if draw(st.booleans()):
        form["minimum"] = draw(st.integers(-9, 0))
    if draw(st.booleans()):
        form["maximum"] = draw(st.integers(500, 10**9))
    shapes = st.sampled_from(["{}", " {} ", "+{}", "00{}", "{}"])
    written = st.builds(str.format, shapes, st.integers(0, 500))
    return form, st.one_of(written, st.sampled_from(["１２", "1_000", "-3"]))


@st.composite
def _date_columns(draw: st.DrawFn) -> Column:
    directives = draw(st.sampled_from(_DATE_FORMATS))
    values = st.dates().map(lambda day: day.strftime(directives))
    return {"type": "date", "format": directives}, values


@st.composite
def _enum_columns(draw: st.DrawFn) -> Column:
    values = draw(st.lists(_TEXTS, min_size=1, max_size=3))
    return {"type": "enum", "values": values}, st.sampled_from(values)


_COLUMNS = st.one_of(_text_columns(), _integer_columns(), _date_columns(), _enum_columns())
_NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(-1e9, 1e9).map(repr),
    st.sampled_from(["1e3", " 7 ", "2.5", "-0.5", "٣", ""]),
)


@st.composite
def _numeric_features(draw: st.DrawFn) -> tuple[Json, Json, st.SearchStrategy[str]]:
    precision = draw(st.sampled_from([0, 0, 1, 3]))
    comparison = {
        "type": "numeric",
        "thresholdDistance": draw(st.sampled_from([1, 2.5, 10, 7, 1000])),
        "resolution": draw(st.integers(1, 6)),
        "fractional_precision": precision,
    }
    if not precision and draw(st.booleans()):
        del comparison["fractional_precision"]
    form, values = draw(st.sampled_from([({"type": "string"}, _NUMBERS)]) | _integer_columns())
    return comparison, form, values


@st.composite
def _features(draw: st.DrawFn, version: int, number: int) -> tuple[Json, st.SearchStrategy[str]]:
    identifier = draw(st.sampled_from(["name", "姓名", "n"])) + str(number)
    if draw(st.integers(0, 7)) == 0:
        return {"identifier": identifier, "ignored": True}, _TEXTS
    hashing: Json = {}
    if version == 3:
        kind = draw(st.sampled_from(["ngram", "ngram", "exact", "numeric"]))
        if kind == "numeric":
            hashing["comparison"], form, values = draw(_numeric_features())
        else:
            form, values = draw(_COLUMNS)
            hashing["comparison"] = {"type": kind}
            if kind == "ngram":
                hashing["comparison"] |= draw(_ngrams("n"))
        bits = draw(st.sampled_from(["bitsPerToken", "bitsPerFeature"]))
    else:
        form, values = draw(_COLUMNS)
        hashing |= draw(_ngrams("ngram"))
        bits = draw(st.sampled_from(["k", "numBits"]))
    if version > 1:
        hashing["strategy"] = {bits: draw(st.integers(1, 70))}
        if draw(st.booleans()):
            hashing["hash"] = draw(_token_hashes())
    elif draw(st.booleans()):
        hashing["weight"] = draw(st.sampled_from([0, 0.5, 1, 1.25, 2.5]))
    if draw(st.booleans()):
        sentinel = draw(st.sampled_from(["", "N/A", "无"]))
        hashing["missingValue"] = {"sentinel": sentinel}
        if draw(st.booleans()):
            hashing["missingValue"]["replaceWith"] = draw(st.sampled_from(["", "7", "缺"]))
        values = values | st.just(sentinel)
    return {"identifier": identifier, "format": form, "hashing": hashing}, values


@st.composite
def _ngrams(draw: st.DrawFn, name: str) -> Json:
    ngrams: Json = {name: draw(st.sampled_from([1, 2, 2, 3, 4]))}
    if draw(st.booleans()):
        ngrams["positional"] = draw(st.booleans())
    return ngrams


@st.composite
def _token_hashes(draw: st.DrawFn) -> Json:
    token_hash: Json = {"type": draw(st.sampled_from(_HASHES))}
    if token_hash["type"] == "doubleHash" and draw(st.booleans()):
        token_hash["prevent_singularity"] = draw(st.booleans())
    return token_hash


@st.composite
def schemas_and_rows(draw: st.DrawFn) -> tuple[Json, list[list[str]]]:
    """A linkage schema of any version, and rows that fit it, most of them."""
    version = draw(st.sampled_from([1, 2, 3, 3]))
    columns = [draw(_features(version, number)) for number in range(draw(st.integers(1, 4)))]
    features = [feature for feature, _ in columns]
    config: Json = {"kdf": draw(_derivations())}
    if version == 1:
        config |= {"k": draw(st.integers(1, 40)), "hash": draw(_token_hashes())}
    if draw(st.booleans()):
        config["xor_folds"] = draw(st.integers(0, 3))
    # Small filters make singular tokens and collisions likely.
    powers = [8, 16, 64, 256, 1024]
    only_double = version == 1 and config["hash"]["type"] == "doubleHash"
    config["l"] = draw(st.sampled_from([2, 3, 100, 1000, *powers] if only_double else powers))
    schema = {"version": version, "clkConfig": config, "features": features}
    rows = draw(st.lists(st.tuples(*(values for _, values in columns)), min_size=1, max_size=5))
    return schema, [list(row) for row in rows]


@st.composite
def _derivations(draw: st.DrawFn) -> Json:
    derivation: Json = {"type": "HKDF"}
    if draw(st.booleans()):
        derivation["hash"] = draw(st.sampled_from(["SHA256", "SHA512"]))
    for name in ("salt", "info"):
        if draw(st.booleans()):
            derivation[name] = base64.b64encode(draw(st.binary(max_size=40))).decode("ascii")
    if draw(st.booleans()):
        derivation["keySize"] = draw(st.sampled_from([1, 16, 32, 64]))
    return derivation
