"""Linkage schemas of the versions 1, 2 and 3 from untrusted bytes.

What clkhash accepts is accepted and means the same, its omissions included: clkhash reads
``xor_folds`` where the specification says ``xorFolds``, and passes over the latter.
"""

import base64
import binascii
import re
from typing import NamedTuple, cast

from linkage.encoding.clk.json_node import JsonNode, parse_json
from linkage.encoding.clk.schema import (
    Comparison,
    DateFormat,
    EnumFormat,
    ExactComparison,
    Feature,
    IgnoredFeature,
    IntegerFormat,
    KeyDerivation,
    LetterCase,
    LinkageSchema,
    MissingValue,
    NgramComparison,
    NumericComparison,
    Strategy,
    TextEncoding,
    TextFormat,
    TokenHash,
    ValueFormat,
)
from linkage.errors import LinkageSchemaError

MAX_SCHEMA_BYTES = 1 << 20
MAX_FILTER_BITS = 1 << 20
MAX_TOKEN_BITS = 1 << 16
MAX_NGRAM = 1 << 10
MAX_RESOLUTION = 1 << 12
MAX_FRACTIONAL_PRECISION = 300
MAX_INTERVAL = 10**300
MAX_BLAKE_KEY_BYTES = 64

_FOLDS_PASSED_OVER = (
    "The schema sets 'xorFolds', which clkhash passes over: it reads 'xor_folds'. So does this "
    "program, to give the same CLKs."
)
_KEYS_A_FEATURE = 2
_MAX_HKDF_BLOCKS = 255
_HASH_BYTES = {"SHA256": 32, "SHA512": 64}
_TEXT_ENCODINGS = ("ascii", "utf-8", "utf-16", "utf-32")


class _FirstVersion(NamedTuple):
    """What version 1 says once, for all features."""

    bits: int
    hash: TokenHash

    @classmethod
    def of(cls, config: JsonNode) -> "_FirstVersion":
        bits = config.member("k").integer(1, MAX_TOKEN_BITS)
        return cls(bits, _token_hash(config.member("hash")))


def parse_linkage_schema(data: bytes) -> LinkageSchema:
    """Parse a linkage schema of version 1, 2 or 3.

    Raises:
        LinkageSchemaError: it is not one, or asks for more than this program or clkhash can do;
            the message names the place.
    """
    if len(data) > MAX_SCHEMA_BYTES:
        raise LinkageSchemaError(
            "The file is too large for a linkage schema. Check which file it is."
        )
    root = parse_json(data)
    root.verify_object(required=("version", "clkConfig", "features"))
    version = root.member("version").integer()
    if version not in (1, 2, 3):
        root.member("version").refuse("only the versions 1, 2 and 3 are known.")
    config = root.member("clkConfig")
    config.verify_object(required=("l", "kdf", "k", "hash") if version == 1 else ("l", "kdf"))
    clk_bits = config.member("l").integer(1, MAX_FILTER_BITS)
    xor_folds, remarks = _xor_folds(config, clk_bits)
    first = _FirstVersion.of(config) if version == 1 else _FirstVersion(0, TokenHash())
    schema = LinkageSchema(
        version=version,
        clk_bits=clk_bits,
        xor_folds=xor_folds,
        key_derivation=_key_derivation(config.member("kdf")),
        features=tuple(_feature(node, version, first) for node in root.member("features").items()),
        remarks=remarks,
    )
    _verify_feasible(schema)
    return schema


def _xor_folds(config: JsonNode, clk_bits: int) -> tuple[int, tuple[str, ...]]:
    folds = 0
    if "xor_folds" in config:
        most = (MAX_FILTER_BITS // clk_bits).bit_length() - 1
        folds = config.member("xor_folds").integer(0, most)
    if "xorFolds" in config and config.member("xorFolds").integer(0) != folds:
        return folds, (_FOLDS_PASSED_OVER,)
    return folds, ()


def _key_derivation(node: JsonNode) -> KeyDerivation:
    node.verify_object(required=("type",))
    if node.member("type").choice(("HKDF", "legacy")) == "legacy":
        return KeyDerivation(kind="legacy")
    hash_name = node.member("hash").choice(tuple(_HASH_BYTES)) if "hash" in node else "SHA256"
    return KeyDerivation(
        kind="HKDF",
        hash="SHA512" if hash_name == "SHA512" else "SHA256",
        salt=_bytes(node.member("salt")) if "salt" in node else None,
        info=_bytes(node.member("info")) if "info" in node else None,
        key_bytes=node.member("keySize").integer(1) if "keySize" in node else 64,
    )


def _bytes(node: JsonNode) -> bytes:
    try:
        # Like clkhash, pass over what is no character of base64, such as line breaks.
        return base64.b64decode(node.text())
    except (binascii.Error, ValueError):
        node.refuse("bytes in base64 are expected.")


def _feature(node: JsonNode, version: int, first: _FirstVersion) -> Feature | IgnoredFeature:
    node.verify_object(required=("identifier",))
    identifier = node.member("identifier").text()
    ignored = "ignored" in node and node.member("ignored").flag()
    if "description" in node:
        node.member("description").text()
    if ignored and not ("format" in node and version == 3):
        node.verify_object(allowed=("identifier", "ignored", "description"))
        return IgnoredFeature(identifier)
    node.verify_object(required=("format", "hashing"))
    value_format = _format(node.member("format"))
    hashing = node.member("hashing")
    hashing.verify_object()
    missing = _missing(hashing.member("missingValue")) if "missingValue" in hashing else None
    if version == 1:
        hashed = _hashing_v1(hashing, first)
    else:
        hashed = _hashing_v2(hashing) if version == 2 else _hashing_v3(hashing)
    if ignored or hashed is None:
        return IgnoredFeature(identifier)
    return Feature(identifier, value_format, *hashed, missing)


_Hashing = tuple[Comparison, Strategy, TokenHash]


def _hashing_v1(node: JsonNode, first: _FirstVersion) -> _Hashing | None:
    node.verify_object(required=("ngram",))
    weight = node.member("weight").number() if "weight" in node else 1.0
    if weight < 0:
        node.member("weight").refuse("it must be at least 0.")
    if weight == 0:
        _ngrams_v1(node, least=0)
        return None
    node.verify_object(allowed=("ngram", "positional", "weight", "missingValue"))
    bits = round(weight * first.bits) if weight <= MAX_TOKEN_BITS else MAX_TOKEN_BITS + 1
    if not 1 <= bits <= MAX_TOKEN_BITS:
        node.refuse("weight times k, rounded, must be at least 1 bit a token (or the weight 0).")
    return _ngrams_v1(node), Strategy("token", bits), first.hash


def _hashing_v2(node: JsonNode) -> _Hashing:
    node.verify_object(
        required=("ngram", "strategy"), allowed=("positional", "hash", "missingValue")
    )
    strategy = _strategy(node.member("strategy"), "k", "numBits")
    token_hash = _token_hash(node.member("hash")) if "hash" in node else TokenHash()
    return _ngrams_v1(node), strategy, token_hash


def _hashing_v3(node: JsonNode) -> _Hashing:
    node.verify_object(required=("comparison", "strategy"), allowed=("hash", "missingValue"))
    strategy = _strategy(node.member("strategy"), "bitsPerToken", "bitsPerFeature")
    token_hash = _token_hash(node.member("hash")) if "hash" in node else TokenHash()
    return _comparison(node.member("comparison")), strategy, token_hash


def _ngrams_v1(node: JsonNode, least: int = 1) -> NgramComparison:
    return NgramComparison(
        n=node.member("ngram").integer(least, MAX_NGRAM),
        positional="positional" in node and node.member("positional").flag(),
    )


def _comparison(node: JsonNode) -> Comparison:
    node.verify_object(required=("type",))
    kind = node.member("type").choice(("ngram", "exact", "numeric"))
    if kind == "exact":
        return ExactComparison()
    if kind == "ngram":
        node.verify_object(required=("n",))
        return NgramComparison(
            n=node.member("n").integer(1, MAX_NGRAM),
            positional="positional" in node and node.member("positional").flag(),
        )
    node.verify_object(required=("thresholdDistance", "resolution"))
    precision = 0
    if "fractional_precision" in node:
        precision = node.member("fractional_precision").integer(0, MAX_FRACTIONAL_PRECISION)
    distance = node.member("thresholdDistance")
    if not distance.number() > 0:
        distance.refuse("it must be greater than 0.")
    try:
        interval = round(distance.number() * 10**precision)
    except OverflowError:
        distance.refuse("the number is too large.")
    if interval > MAX_INTERVAL:
        distance.refuse("the number is too large.")
    if interval == 0:
        distance.refuse("it is rounded to 0. Set a greater 'fractional_precision'.")
    return NumericComparison(
        interval, node.member("resolution").integer(1, MAX_RESOLUTION), precision
    )


def _strategy(node: JsonNode, per_token: str, per_feature: str) -> Strategy:
    node.verify_object(allowed=(per_token, per_feature))
    if (per_token in node) == (per_feature in node):
        node.refuse(f"either '{per_token}' or '{per_feature}' is expected.")
    if per_token in node:
        return Strategy("token", node.member(per_token).integer(1, MAX_TOKEN_BITS))
    return Strategy("feature", node.member(per_feature).integer(1, MAX_TOKEN_BITS))


def _token_hash(node: JsonNode) -> TokenHash:
    node.verify_object(required=("type",))
    if node.member("type").choice(("blakeHash", "doubleHash")) == "blakeHash":
        if node.member("prevent_singularity").value is not None:
            node.refuse("'prevent_singularity' belongs to doubleHash only.")
        return TokenHash()
    prevent = "prevent_singularity" in node and node.member("prevent_singularity").flag()
    return TokenHash("doubleHash", prevent_singularity=prevent)


def _missing(node: JsonNode) -> MissingValue:
    node.verify_object(required=("sentinel",))
    sentinel = node.member("sentinel").text()
    replaced = node.member("replaceWith").text() if "replaceWith" in node else sentinel
    return MissingValue(sentinel, replaced)


def _format(node: JsonNode) -> ValueFormat:
    node.verify_object(required=("type",))
    if "description" in node:
        node.member("description").text()
    kind = node.member("type").choice(("string", "integer", "date", "enum"))
    if kind == "integer":
        node.verify_object(allowed=("type", "minimum", "maximum", "description"))
        return IntegerFormat(*(_bound(node, name) for name in ("minimum", "maximum")))
    if kind == "date":
        node.verify_object(required=("format",), allowed=("type", "description"))
        return DateFormat(node.member("format").text())
    if kind == "enum":
        node.verify_object(required=("values",), allowed=("type", "description"))
        return EnumFormat(frozenset(value.text() for value in node.member("values").items()))
    return _text_format(node)


def _text_format(node: JsonNode) -> TextFormat:
    encoding = node.member("encoding").choice(_TEXT_ENCODINGS) if "encoding" in node else "utf-8"
    if "pattern" in node:
        node.verify_object(allowed=("type", "encoding", "pattern", "description"))
        try:
            pattern = re.compile(node.member("pattern").text())
        except (re.error, OverflowError, RecursionError):
            node.member("pattern").refuse("it is not a regular expression of Python.")
        return TextFormat(cast("TextEncoding", encoding), pattern=pattern)
    node.verify_object(
        allowed=("type", "encoding", "case", "minLength", "maxLength", "description")
    )
    case = node.member("case").choice(("upper", "lower", "mixed")) if "case" in node else "mixed"
    return TextFormat(
        encoding=cast("TextEncoding", encoding),
        case=cast("LetterCase", case),
        min_length=node.member("minLength").integer(0) if "minLength" in node else None,
        max_length=node.member("maxLength").integer(1) if "maxLength" in node else None,
    )


def _bound(node: JsonNode, name: str) -> int | None:
    return node.member(name).integer() if name in node else None


def _verify_feasible(schema: LinkageSchema) -> None:
    """What each part allows, all of them together may still forbid: clkhash fails on these too."""
    if not schema.features:
        raise LinkageSchemaError("The linkage schema has no features. Add those of the file.")
    derivation = schema.key_derivation
    if derivation.kind == "HKDF":
        wanted = len(schema.features) * _KEYS_A_FEATURE * derivation.key_bytes
        if wanted > _MAX_HKDF_BLOCKS * _HASH_BYTES[derivation.hash]:
            raise LinkageSchemaError(
                "HKDF cannot give so many key bytes. Use SHA512, a smaller keySize or fewer "
                "features."
            )
    for feature in schema.hashed:
        _verify_hash(feature, schema)


def _verify_hash(feature: Feature, schema: LinkageSchema) -> None:
    bits = schema.filter_bits
    if feature.hash.kind == "blakeHash":
        if bits & (bits - 1):
            raise LinkageSchemaError(
                f"Feature '{feature.identifier}' uses blakeHash, so the filter's length (l times "
                f"2 to the xor_folds) must be a power of two, and it is {bits:,}."
            )
        derivation = schema.key_derivation
        if derivation.kind == "HKDF" and derivation.key_bytes > MAX_BLAKE_KEY_BYTES:
            raise LinkageSchemaError(
                f"Feature '{feature.identifier}' uses blakeHash, whose keys have "
                f"{MAX_BLAKE_KEY_BYTES} bytes at most. Set 'keySize' to {MAX_BLAKE_KEY_BYTES}."
            )
    elif feature.hash.prevent_singularity and bits == 1:
        raise LinkageSchemaError("A filter of one bit is singular. Set a greater 'l'.")
