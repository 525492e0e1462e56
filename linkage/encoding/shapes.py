"""Shapes of characters by the strokes at their four corners: look-alikes have something alike.

The four-corner method (Wang Yunwu, 1925) gives each corner of a character a digit for the kind of
stroke there.  A character with another radical keeps the digits of the other side, and one with a
stroke more or less mostly keeps three.
"""

import csv
import functools
import hashlib
from collections.abc import Mapping
from importlib import resources

from linkage.encoding import labels
from linkage.encoding.subkeys import frame
from linkage.errors import EncodingError

SHAPES_SHA256 = "638db4635ade7a556edd937e543de5373406210742ed9616e54d79903d5e1f1c"
"""Hash of the corners of every character that has them; see ENCODING.md."""

SIDES: Mapping[str, tuple[int, int]] = {
    "top": (0, 1),
    "bottom": (2, 3),
    "left": (0, 2),
    "right": (1, 3),
}
"""Which two digits of a code each side is made of: upper left, upper right, lower left, right."""


def unit_side(unit: str, side: str) -> str:
    """Two digits for one side of a unit of a name; the unit itself where it has no code."""
    corners = _corners().get(unit)
    if corners is None:
        return unit
    first, second = SIDES[side]
    return corners[first] + corners[second]


@functools.cache
def _corners() -> dict[str, str]:
    """Four digits of every character in the table.

    Raises:
        EncodingError: the table is not the one that every office encodes with.
    """
    file = resources.files("linkage.encoding") / "data" / "four_corners.csv"
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    corners = {character: row["code"] for row in rows for character in row["characters"]}
    digest = hashlib.sha256(labels.SHAPES)
    for character, code in sorted(corners.items()):
        digest.update(frame((character.encode(), code.encode())))
    if digest.hexdigest() != SHAPES_SHA256:
        raise EncodingError(
            "The table of shapes (four_corners.csv) was altered, so names would not match those of "
            "other offices. Install the program again."
        )
    return corners
