"""Ribbons: each as wide as its number, none over another, and no text taken for markup."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.flow_chart import Flow, flow_chart

_PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
_FLOWS = st.lists(st.builds(Flow, _PRINTABLE, _PRINTABLE, st.integers(1, 10**6)), max_size=60)
_PATH = re.compile(r'd="M200,([0-9.]+) .*? 520,([0-9.]+) V([0-9.]+) .*? 200,([0-9.]+) Z"')


def _ribbons(picture: str) -> list[tuple[float, float, float, float]]:
    return [tuple(map(float, found)) for found in _PATH.findall(picture)]  # type: ignore[misc]


def test_a_ribbon_is_as_wide_as_its_number() -> None:
    picture = flow_chart([Flow("a", "x", 300), Flow("a", "y", 100)], title="t")
    wide, narrow = _ribbons(picture)
    assert wide[3] - wide[0] == pytest.approx(3 * (narrow[3] - narrow[0]), abs=0.5)
    assert wide[2] - wide[1] == pytest.approx(wide[3] - wide[0], abs=0.2)
    # Both leave the same place, one below the other.
    assert narrow[0] == pytest.approx(wide[3], abs=0.2)


@given(_FLOWS, _PRINTABLE)
def test_any_flows_give_well_formed_markup(flows: list[Flow], title: str) -> None:
    picture = flow_chart(flows, title=title)
    root = ElementTree.fromstring(picture)
    assert root.attrib["aria-label"] == title
    # The policy on styles would refuse it; in what somebody named, the word is no attribute.
    assert not any("style" in element.attrib for element in root.iter())
    assert picture.count("chart-flow") == min(len(flows), 40)
    height = float(root.attrib["viewBox"].split()[3])
    assert all(max(ribbon) <= height + 1 for ribbon in _ribbons(picture))
