"""What a value is cut into before hashing, for each kind of comparison."""

from linkage.encoding.clk.formats import UnfitValueError
from linkage.encoding.clk.schema import (
    Comparison,
    ExactComparison,
    NgramComparison,
    NumericComparison,
)

_PAD = " "


def tokens_of(comparison: Comparison, text: str) -> list[str]:
    """Tokens of a text, in its order and with repetitions; none of an empty text.

    Raises:
        UnfitValueError: a numeric comparison is asked of what is no number.
    """
    if not text:
        return []
    if isinstance(comparison, ExactComparison):
        return [text]
    if isinstance(comparison, NgramComparison):
        return _ngrams(text, comparison.n, comparison.positional)
    grid = _grid_point(text, comparison)
    steps = range(-comparison.resolution, comparison.resolution + 1)
    try:
        return [str(grid + step * comparison.interval) for step in steps]
    except ValueError:  # Python writes no number of more than 4,300 digits
        raise UnfitValueError("it is too long a number") from None


def _ngrams(text: str, n: int, positional: bool) -> list[str]:
    padding = _PAD * (n - 1)
    padded = padding + text + padding
    starts = range(len(padded) - n + 1)
    if positional:
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
        return int(text, 10) * 10**precision
    except ValueError:
        pass
    try:
        number = float(text)
        # Without digits after the point clkhash cuts off; with them it rounds.
        return round(number * 10**precision) if precision else int(number)
    except (ValueError, OverflowError):
        raise UnfitValueError("it is not a number") from None
