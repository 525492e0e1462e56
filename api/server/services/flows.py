"""Flows of children from county to county, out of a round's links; small cells never come out.

An office can have a *place* in its project: its county, and on which side of a move it stands.  A
child counts once in the flow from O to R if records of an origin office of O and of a residence
office of R are in its link group, however many offices of either county hold it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from api.server.places import Place, Side
from linkage.division_table import crosses_county_line
from linkage.types import I64, LinkSet

MIN_FLOW = 5
"""A flow of fewer children could point to single ones."""

FLOW_STEP = 5
"""Flows are rounded down to a multiple of this: two exact counts that share children would tell
by their difference what was suppressed."""


def count_flows(link_set: LinkSet, places: Mapping[str, Place]) -> list[dict[str, Any]]:
    """Flows across county lines, largest first; those under :data:`MIN_FLOW` are left out.

    A move between the districts of one city is no flow, as it makes no child a migrant.

    Returns:
        ``{"origin", "residence", "n_children"}`` each, with county codes.
    """
    origins = _children_by_county(link_set, places, Side.ORIGIN)
    residences = _children_by_county(link_set, places, Side.RESIDENCE)
    flows = []
    for origin, there in origins.items():
        for residence, here in residences.items():
            n_children = len(np.intersect1d(there, here, assume_unique=True))
            if n_children >= MIN_FLOW and crosses_county_line(origin, residence) is not False:
                shown = n_children // FLOW_STEP * FLOW_STEP
                flows.append({"origin": origin, "residence": residence, "n_children": shown})
    return sorted(
        flows, key=lambda flow: (-int(flow["n_children"]), flow["origin"], flow["residence"])
    )


def _children_by_county(
    link_set: LinkSet, places: Mapping[str, Place], side: Side
) -> dict[str, I64]:
    """County -> numbers of the link groups in which its offices of one side have a record."""
    groups: dict[str, list[I64]] = {}
    for number, name in enumerate(link_set.dataset_names):
        place = places.get(name)
        if place is None or place.side is not side:
            continue
        held: Sequence[I64] = [
            link_set.group[link_set.dataset_a == number],
            link_set.group[link_set.dataset_b == number],
        ]
        groups.setdefault(place.division, []).extend(held)
    return {county: np.unique(np.concatenate(parts)) for county, parts in groups.items()}
