"""Charts drawn on the server as SVG: no script, no style attribute, readable in print.

Bars differ by length and label, never by colour alone; each chart comes with its numbers as a table
(the template macro ``chart`` puts both together).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import east_asian_width

from flask import Flask
from markupsafe import Markup, escape

_WIDTH = 720
_ROW = 30
_LABEL_WIDTH = 220
_VALUE_WIDTH = 110


class Bar(NamedTuple):
    """One bar: label, length, and the text behind it; ``tone`` names a CSS class."""

    label: str
    value: float
    shown: str
    tone: str = "main"


def bar_chart(bars: Sequence[Bar], *, title: str, limit: float | None = None) -> Markup:
    """Horizontal bars with labels.

    Args:
        title: read out by screen readers.
        limit: drawn as a dashed line, such as a limit that was set.
    """
    top = max([bar.value for bar in bars] + [limit or 0.0]) or 1.0
    room = _WIDTH - _LABEL_WIDTH - _VALUE_WIDTH
    height = _ROW * len(bars) + 8
    parts = [
        opening(height, title),
    ]
    for index, bar in enumerate(bars):
        y = _ROW * index + 6
        length = max(1.0, room * bar.value / top) if bar.value > 0 else 0.0
        parts.append(
            f'<text class="chart-label" x="{_LABEL_WIDTH - 10}" y="{y + 15}" '
            f'text-anchor="end">{escape(shortened(bar.label))}</text>'
            f'<rect class="chart-bar chart-{escape(bar.tone)}" x="{_LABEL_WIDTH}" y="{y}" '
            f'width="{length:.1f}" height="20"/>'
            f'<text class="chart-value" x="{_LABEL_WIDTH + length + 8:.1f}" y="{y + 15}">'
            f"{escape(bar.shown)}</text>"
        )
    if limit is not None:
        x = _LABEL_WIDTH + room * limit / top
        parts.append(f'<line class="chart-limit" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - every text in it is escaped above


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a histogram: its bounds and its count."""

    low: float
    high: float
    count: int


def histogram(bins: Sequence[Bin], *, title: str, threshold: float | None = None) -> Markup:
    """Columns over a number line, with the threshold drawn in; heights are square roots.

    Counts of links span orders of magnitude; square roots keep the small columns visible.
    """
    width, height, base = _WIDTH, 220, 190
    low = min((each.low for each in bins), default=0.0)
    high = max((each.high for each in bins), default=1.0)
    span = (high - low) or 1.0
    top = max((each.count for each in bins), default=0) ** 0.5 or 1.0

    def place(value: float) -> float:
        return 40 + (width - 60) * (value - low) / span

    parts = [
        opening(height, title),
        f'<line class="chart-axis" x1="40" x2="{width - 20}" y1="{base}" y2="{base}"/>',
    ]
    for each in bins:
        tall = 160 * each.count**0.5 / top
        x, w = place(each.low), place(each.high) - place(each.low)
        parts.append(
            f'<rect class="chart-bar chart-main" x="{x + 1:.1f}" y="{base - tall:.1f}" '
            f'width="{max(w - 2, 1):.1f}" height="{tall:.1f}">'
            f"<title>{each.low:g}–{each.high:g}: {each.count:,}</title></rect>"
        )
    for tick in range(5):
        value = low + span * tick / 4
        parts.append(
            f'<text class="chart-tick" x="{place(value):.1f}" y="{base + 18}" '
            f'text-anchor="middle">{value:g}</text>'
        )
    if threshold is not None:
        x = place(threshold)
        parts.append(f'<line class="chart-limit" x1="{x:.1f}" x2="{x:.1f}" y1="14" y2="{base}"/>')
        parts.append(
            f'<text class="chart-value" x="{x:.1f}" y="11" text-anchor="middle">{threshold:.2f}'
            "</text>"
        )
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - every text in it is escaped above


def add_charts(app: Flask) -> None:
    """Make the charts known to templates."""
    app.jinja_env.globals.update(bar_chart=bar_chart, histogram=histogram, Bar=Bar, Bin=Bin)


def opening(height: int, title: str) -> str:
    """The beginning of a picture as wide as all charts; ``title`` is read out."""
    size = f"0 0 {_WIDTH} {height}"
    return f'<svg class="chart" role="img" viewBox="{size}" aria-label="{escape(title)}">'


def shortened(label: str, room: int = 28) -> str:
    """The label cut to a width; Han characters are twice as wide as Latin ones."""
    used = 0
    for index, character in enumerate(label):
        used += 2 if east_asian_width(character) in "WF" else 1
        if used > room:
            return label[: max(index - 1, 1)] + "…"
    return label
