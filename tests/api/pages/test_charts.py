"""Charts: what is drawn is what was given, and nothing that was given is taken for markup."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.charts import Bar, Bin, bar_chart, histogram

_PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)


def _widths(picture: str) -> list[float]:
    return [float(found) for found in re.findall(r'<rect [^>]*?width="([0-9.]+)"', picture)]


def test_bars_are_as_long_as_their_values() -> None:
    picture = bar_chart([Bar("a", 1, "1"), Bar("b", 2, "2"), Bar("c", 0, "0")], title="t")
    short, long, none = _widths(picture)
    assert long == pytest.approx(2 * short, abs=0.2)
    assert none == 0


def test_a_limit_is_drawn_where_it_belongs() -> None:
    picture = bar_chart([Bar("a", 1, "1")], title="t", limit=2)
    (width,) = _widths(picture)
    (limit,) = re.findall(r'chart-limit" x1="([0-9.]+)"', picture)
    assert float(limit) == pytest.approx(220 + 2 * width, abs=0.2)


@given(
    st.lists(st.tuples(_PRINTABLE, st.floats(0, 1e9), _PRINTABLE), max_size=8),
    _PRINTABLE,
)
def test_any_text_gives_well_formed_markup(bars: list[tuple[str, float, str]], title: str) -> None:
    picture = bar_chart([Bar(*bar) for bar in bars], title=title)
    root = ElementTree.fromstring(picture)
    assert root.attrib["aria-label"] == title
    # The policy on styles would refuse it; in what somebody named, the word is no attribute.
    assert not any("style" in element.attrib for element in root.iter())


def test_a_histogram_shows_every_bin_and_the_threshold() -> None:
    bins = [Bin(i / 10, (i + 1) / 10, i * i) for i in range(10)]
    picture = histogram(bins, title="scores", threshold=0.35)
    assert picture.count("<rect") == 10
    assert "0.35" in picture
    assert "<title>0.9–1: 81</title>" in picture
    ElementTree.fromstring(picture)


def test_nothing_to_draw_is_no_error() -> None:
    ElementTree.fromstring(bar_chart([], title="t"))
    ElementTree.fromstring(histogram([], title="t"))
