"""Flows between places as ribbons, drawn on the server as SVG: from the left to the right.

A ribbon's width is its number; labels stand beside both ends, so colour tells nothing alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup, escape

from api.pages.charts import opening, shortened

_MOST_RIBBONS = 40
_ENDS = (200, 520)
_NODE_WIDTH = 10
_LEAST_NODE = 18
_GAP = 6
_SCALED_HEIGHT = 360
_WIDEST_RIBBON = 90
_TEXT_HEIGHT = 13


class Flow(NamedTuple):
    """One ribbon: the labels of its two ends, and how many go along it."""

    origin: str
    destination: str
    n: int


@dataclass(slots=True)
class _Node:
    """One place: where it begins, how tall it is, and where its next ribbon begins."""

    top: float
    height: float
    next: float

    def take(self, width: float) -> float:
        """Where the next ribbon, of this width, begins."""
        begins = self.next
        self.next += width
        return begins


def flow_chart(flows: Sequence[Flow], *, title: str) -> Markup:
    """Ribbons from origins to destinations; the largest where there are too many to tell apart.

    Args:
        title: read out by screen readers.
    """
    drawn = sorted(flows, key=lambda flow: -flow.n)[:_MOST_RIBBONS]
    scale = min(
        _SCALED_HEIGHT / max(sum(flow.n for flow in drawn), 1),
        _WIDEST_RIBBON / max([flow.n for flow in drawn] + [1]),
    )
    left = _column([flow.origin for flow in drawn], [flow.n for flow in drawn], scale)
    right = _column([flow.destination for flow in drawn], [flow.n for flow in drawn], scale)
    height = max([node.top + node.height for node in (*left.values(), *right.values())] + [20]) + 8
    parts = [opening(round(height), title)]
    # At each place the ribbons lie in the order of their other ends, so that few cross.
    starts = {
        flow: left[flow.origin].take(flow.n * scale)
        for flow in sorted(drawn, key=lambda flow: right[flow.destination].top)
    }
    ends = {
        flow: right[flow.destination].take(flow.n * scale)
        for flow in sorted(drawn, key=lambda flow: left[flow.origin].top)
    }
    parts += [_ribbon(flow, starts[flow], ends[flow], flow.n * scale) for flow in drawn]
    parts += [_label(name, node, _ENDS[0] - _NODE_WIDTH, "end") for name, node in left.items()]
    parts += [_label(name, node, _ENDS[1], "start") for name, node in right.items()]
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - every text in it is escaped above


def _column(names: Sequence[str], counts: Sequence[int], scale: float) -> dict[str, _Node]:
    """Places from top to bottom, largest first, tall enough for their labels."""
    totals: dict[str, int] = {}
    for name, count in zip(names, counts, strict=True):
        totals[name] = totals.get(name, 0) + count
    nodes: dict[str, _Node] = {}
    top = 8.0
    for name, total in sorted(totals.items(), key=lambda item: (-item[1], item[0])):
        height = max(total * scale, _LEAST_NODE)
        nodes[name] = _Node(top, height, top + (height - total * scale) / 2)
        top += height + _GAP
    return nodes


def _ribbon(flow: Flow, y0: float, y1: float, width: float) -> str:
    (x0, x1), middle = _ENDS, sum(_ENDS) / 2
    number = (
        f'<text class="chart-tick" x="{x0 + 6}" y="{y0 + width / 2 + 4:.1f}">{flow.n:,}</text>'
        if width >= _TEXT_HEIGHT
        else ""
    )
    return (
        f'<path class="chart-flow" d="M{x0},{y0:.1f} C{middle},{y0:.1f} {middle},{y1:.1f} '
        f"{x1},{y1:.1f} V{y1 + width:.1f} C{middle},{y1 + width:.1f} {middle},{y0 + width:.1f} "
        f'{x0},{y0 + width:.1f} Z"><title>{escape(flow.origin)} → {escape(flow.destination)}: '
        f"{flow.n:,}</title></path>{number}"
    )


def _label(name: str, node: _Node, x: float, anchor: str) -> str:
    away = x - 6 if anchor == "end" else x + _NODE_WIDTH + 6
    return (
        f'<rect class="chart-bar chart-main" x="{x}" y="{node.top:.1f}" width="{_NODE_WIDTH}" '
        f'height="{node.height:.1f}"/><text class="chart-label" x="{away}" '
        f'y="{node.top + node.height / 2 + 5:.1f}" text-anchor="{anchor}">'
        f"{escape(shortened(name))}</text>"
    )
