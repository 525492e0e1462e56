"""The review of a round: aggregates for people who may not see a record, small cells suppressed."""

from collections.abc import Mapping
from typing import Any

from api.server.places import Place
from api.server.services.flows import count_flows
from linkage.types import LinkSet

MIN_CELL = 5
"""A count under this could point to single children."""


def build_review(
    link_set: LinkSet, n_records: Mapping[str, int], places: Mapping[str, Place]
) -> dict[str, Any]:
    """Aggregates of a finished matching.

    Args:
        link_set: with the figures that ``linkage.pipeline`` makes.
        n_records: records of each office.
        places: of those offices that have one.
    """
    figures = link_set.figures
    return {
        "pairs": [_pair(pair, n_records) for pair in figures.get("pairs", ())],
        "histogram": [
            {"from": float(bin_["from"]), "to": float(bin_["to"]), "n": suppressed(bin_["n"])}
            for bin_ in figures.get("histogram", ())
        ],
        "duplicates": [
            {"office": office, "n_groups": suppressed(len(link_set.duplicates.get(office, ())))}
            for office in sorted(n_records)
        ],
        "threshold": round(float(link_set.threshold), 6),
        "flows": count_flows(link_set, places),
    }


def suppressed(count: int) -> int | None:
    """A count, or ``None`` where it is under :data:`MIN_CELL` (nought too)."""
    return int(count) if count >= MIN_CELL else None


def _pair(pair: Mapping[str, Any], n_records: Mapping[str, int]) -> dict[str, Any]:
    office_a, office_b = str(pair["dataset_a"]), str(pair["dataset_b"])
    n_links = suppressed(pair["n_links"])
    hidden = n_links is None
    return {
        "office_a": office_a,
        "office_b": office_b,
        "n_records_a": suppressed(n_records[office_a]),
        "n_records_b": suppressed(n_records[office_b]),
        "n_links": n_links,
        # An estimate over a handful of links would give their number away.
        "estimated_precision": None if hidden else _share(pair["estimated_precision"]),
        "estimated_recall": None if hidden else _share(pair["estimated_recall"]),
    }


def _share(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
