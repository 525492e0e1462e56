"""CLKs that clkhash made once, and makes still, are made here."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from linkage.encoding.clk import ClkEncoder, parse_linkage_schema
from tests.vectors.clkhash.generate import vectors

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "vectors/clkhash/vectors.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["name"]))
def test_the_clks_of_the_vectors(case: dict[str, Any]) -> None:
    schema = parse_linkage_schema(json.dumps(case["schema"]).encode("utf-8"))
    clks = ClkEncoder(schema, VECTORS["secret"].encode("utf-8")).encode(VECTORS["rows"])
    assert [base64.b64encode(clk).decode("ascii") for clk in clks] == case["clks"]


def test_clkhash_still_makes_the_vectors() -> None:
    assert vectors() == VECTORS
