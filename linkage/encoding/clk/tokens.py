"""What a text is cut into before hashing, for each kind of comparison."""

from linkage.encoding.clk.schema import (
    Comparison,
    ExactComparison,
    NgramComparison,
    NumericComparison,
)

PAD = " "
"""Stands before and after a text, so that its first and last characters are in n n-grams too."""


class NotANumberError(ValueError):
    """A numeric comparison is asked of what is no number."""


def compared_number(comparison: NumericComparison, text: str) -> str:
    """The grid point of a number, which is what tokens are made of; an empty text stays one.

    Raises:
        NotANumberError: the text is no number that can be compared.
    """
    if not text:
        return text
    try:
        point = _grid_point(text, comparison)
        # Its furthest token must be writable too: Python writes no number of 4,300 digits.
        str(abs(point) + comparison.resolution * comparison.interval)
        return str(point)
    except (ValueError, OverflowError):
        raise NotANumberError from None


def count_tokens(comparison: Comparison, text: str) -> int:
    """How many tokens a compared text has."""
    if not text:
        return 0
    if isinstance(comparison, ExactComparison):
        return 1
    if isinstance(comparison, NgramComparison):
        return len(text) + comparison.n - 1
    return 2 * comparison.resolution + 1


def tokens_of(comparison: Comparison, text: str) -> list[str]:
    """Tokens of a compared text, in its order and with repetitions; none of an empty text."""
    if not text:
        return []
    if isinstance(comparison, ExactComparison):
        return [text]
    if isinstance(comparison, NgramComparison):
        return _ngrams(text, comparison)
    point = int(text)
    steps = range(-comparison.resolution, comparison.resolution + 1)
    return [str(point + step * comparison.interval) for step in steps]


def _ngrams(text: str, comparison: NgramComparison) -> list[str]:
    n = comparison.n
    padding = PAD * (n - 1)
    padded = padding + text + padding
    starts = range(len(padded) - n + 1)
    if comparison.positional:
        return [f"{start + 1} {padded[start : start + n]}" for start in starts]
    return [padded[start : start + n] for start in starts]


def _grid_point(text: str, comparison: NumericComparison) -> int:
    """The grid point nearest to a number, all in units of which ``interval`` is one grid step.

    Vatsalan and Christen (2015), with the values rather than the interval scaled: a value counts
    ``2 * resolution`` times, so no division is needed.
    """
    interval = comparison.interval
    number = _scaled_integer(text, comparison.fractional_precision)
    scaled = number * 2 * comparison.resolution
    below = scaled % interval
    # Halves as floats, as clkhash has them: for intervals above 2**53 that decides differently.
    return scaled - below if below == 0 or below < interval / 2 else scaled - below + interval


def _scaled_integer(text: str, precision: int) -> int:
    try:
        whole = int(text, 10)
    except ValueError:
        number = float(text)
    else:
        scale: int = 10**precision
        return whole * scale
    # Without digits after the point clkhash cuts off; with them it rounds.
    scaled: int = round(number * 10**precision) if precision else int(number)
    return scaled
