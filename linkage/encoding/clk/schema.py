"""What a linkage schema says, whichever version it was written in.

Source: the linkage schema specification, clkhash documentation, "Linkage Schema", versions 1 to 3.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

TextEncoding = Literal["ascii", "utf-8", "utf-16", "utf-32"]
LetterCase = Literal["upper", "lower", "mixed"]


@dataclass(frozen=True, slots=True)
class TextFormat:
    """Any text; ``encoding`` also says how its tokens become bytes."""

    encoding: TextEncoding = "utf-8"
    case: LetterCase = "mixed"
    min_length: int | None = None
    max_length: int | None = None
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class IntegerFormat:
    """A whole number in base 10; both bounds belong to the range."""

    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class DateFormat:
    """A date, written as ``strptime`` directives say; hashed as ``YYYYMMDD``."""

    directives: str


@dataclass(frozen=True, slots=True)
class EnumFormat:
    """One of a few texts."""

    values: frozenset[str]


ValueFormat = TextFormat | IntegerFormat | DateFormat | EnumFormat


@dataclass(frozen=True, slots=True)
class NgramComparison:
    """Tokens are the n-grams of a value, with their place in it if ``positional``."""

    n: int
    positional: bool


@dataclass(frozen=True, slots=True)
class ExactComparison:
    """The one token is the value."""


@dataclass(frozen=True, slots=True)
class NumericComparison:
    """Tokens are the grid points near a number, so that near numbers share some.

    Attributes:
        interval: distance of two grid points: the threshold distance times
            ``10 ** fractional_precision``, a whole number.
        resolution: grid points on either side.
        fractional_precision: digits after the point that count.
    """

    interval: int
    resolution: int
    fractional_precision: int


Comparison = NgramComparison | ExactComparison | NumericComparison


@dataclass(frozen=True, slots=True)
class Strategy:
    """How many positions are set: ``bits`` for each token, or for all of a value's together."""

    per: Literal["token", "feature"]
    bits: int

    def bits_of_tokens(self, n_tokens: int) -> tuple[int, int, int]:
        """``(n_more, more, fewer)``: the first ``n_more`` tokens get ``more``, others ``fewer``."""
        if self.per == "token":
            return 0, self.bits, self.bits
        fewer, n_more = divmod(self.bits, n_tokens)
        return n_more, fewer + 1, fewer


@dataclass(frozen=True, slots=True)
class TokenHash:
    """How a token becomes positions: keyed BLAKE2b, or double hashing with HMAC-SHA1 and -MD5."""

    kind: Literal["blakeHash", "doubleHash"] = "blakeHash"
    prevent_singularity: bool = False


@dataclass(frozen=True, slots=True)
class MissingValue:
    """A value that stands for none: it is not checked, and replaced before hashing."""

    sentinel: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of the file that goes into the CLK."""

    identifier: str
    format: ValueFormat
    comparison: Comparison
    strategy: Strategy
    hash: TokenHash
    missing: MissingValue | None = None


@dataclass(frozen=True, slots=True)
class IgnoredFeature:
    """A column of the file that does not."""

    identifier: str


@dataclass(frozen=True, slots=True)
class KeyDerivation:
    """How each feature gets its two keys from the secret.

    Attributes:
        kind: ``HKDF`` (RFC 5869), or ``legacy``: the secret itself, for every feature.
        hash: of HKDF.
        salt, info: of HKDF, not part of its public face.
        key_bytes: length of each key.
    """

    kind: Literal["HKDF", "legacy"] = "HKDF"
    hash: Literal["SHA256", "SHA512"] = "SHA256"
    salt: bytes | None = None
    info: bytes | None = None
    key_bytes: int = 64


@dataclass(frozen=True, slots=True)
class LinkageSchema:
    """A whole linkage schema.

    Attributes:
        version: that it was written in, 1 to 3.
        clk_bits: length of a CLK, after folding.
        xor_folds: how often the filter is halved by XOR; it begins ``2 ** xor_folds`` as long.
        remarks: what a reader of the schema may take for something else than it is.
    """

    version: int
    clk_bits: int
    xor_folds: int
    key_derivation: KeyDerivation
    features: tuple[Feature | IgnoredFeature, ...]
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @property
    def filter_bits(self) -> int:
        """Length of the filter before folding."""
        return self.clk_bits << self.xor_folds

    @property
    def clk_bytes(self) -> int:
        """Length of a CLK in the file; the last byte is filled up with zero bits."""
        return -(-self.clk_bits // 8)

    @property
    def hashed(self) -> tuple[Feature, ...]:
        """The features that are not ignored."""
        return tuple(feature for feature in self.features if isinstance(feature, Feature))
