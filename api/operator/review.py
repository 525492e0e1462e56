"""The review of a round on the screen: aggregates, small cells left out by the server."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from api.client.errors import ApiError
from api.client.terminal import say, show_table
from linkage.division_table import full_name

_BAR_WIDTH = 40
_SUPPRESSED = "<5"


def show_review(review: Mapping[str, Any]) -> None:
    """Print the answer of ``GET /v1/rounds/{id}/review``.

    Raises:
        ApiError: ``bad-answer``; it is not as ``docs/http-api.md`` says.
    """
    try:
        pairs = [_pair_row(pair) for pair in review["pairs"]]
        histogram = [_histogram_row(cell, review["histogram"]) for cell in review["histogram"]]
        duplicates = [[d["office"], _count(d["n_groups"])] for d in review["duplicates"]]
        threshold = float(review["threshold"])
        flows = [_flow_row(flow) for flow in review["flows"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ApiError(
            "bad-answer", 200, "The server's review is not what this program expects. Update it."
        ) from error
    show_table(
        ["office A", "office B", "records A", "records B", "links", "precision", "recall"],
        pairs,
        title="Links between each two offices (precision and recall are estimates)",
        numeric=["records A", "records B", "links", "precision", "recall"],
    )
    show_table(["score", "links", ""], histogram, title="How sure the links are", numeric=["links"])
    if duplicates:
        show_table(
            ["office", "groups"],
            duplicates,
            title="Records of one office that seem to be one child",
            numeric=["groups"],
        )
    if flows:
        show_table(
            ["from", "to", "children"],
            flows,
            title="Flows across county lines (rounded down to fives; under 5 left out)",
            numeric=["children"],
        )
    click.echo()
    say(f"A pair is a link from score {threshold:.3f} on. {_SUPPRESSED}: too few to be shown.")


def _pair_row(pair: Mapping[str, Any]) -> list[object]:
    return [
        pair["office_a"],
        pair["office_b"],
        _count(pair["n_records_a"]),
        _count(pair["n_records_b"]),
        _count(pair["n_links"]),
        _share(pair["estimated_precision"]),
        _share(pair["estimated_recall"]),
    ]


def _flow_row(flow: Mapping[str, Any]) -> list[object]:
    return [_county(flow["origin"]), _county(flow["residence"]), f"{int(flow['n_children']):,}"]


def _county(code: str) -> str:
    name = full_name(code)
    return f"{code} {name}" if name else code


def _histogram_row(cell: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> list[object]:
    most = max((other["n"] or 0 for other in cells), default=0)
    n_links = cell["n"] or 0
    bar = "█" * round(_BAR_WIDTH * n_links / most) if most else ""
    return [f"{cell['from']:.2f} - {cell['to']:.2f}", _count(cell["n"]), bar]


def _count(value: int | None) -> str:
    return _SUPPRESSED if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
