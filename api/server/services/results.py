"""Directed results: an office's own side of its own links."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, literal, select

from api.audit.events import Action
from api.server.models import Link, RetractedLink, Round
from api.server.refusals import RefusalError
from api.server.round_states import Actor, Deed, State, check_deed
from api.server.services.installation import Installation
from api.server.services.steps import check_kept, check_taking_part, terms_of, visible_round
from api.server.services.work import Caller, Work

CERTAIN, PROBABLE = 0.99, 0.9


def read_results(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    *,
    after: str | None,
    limit: int,
) -> dict[str, Any]:
    """A page of an office's links, by its own link id, which is random.

    Args:
        after: link id that the page before ended with.
        limit: most links on the page.

    Raises:
        RefusalError: ``not-found``, ``forbidden`` or ``wrong-state``.
    """
    with installation.work(caller) as work:
        entry = own_part(work, round_id, office)
        check_deed(Deed.READ_RESULTS, State(entry.state), Actor.OFFICE)
        check_kept(work, entry)
        found = own_links(work, entry, office, after=after, limit=limit + 1)
        page = found[:limit]
        work.record(
            Action.RESULTS_READ,
            project=entry.project_id,
            round_id=entry.id,
            details={"office": office, "n_links": len(page), "links": entry.links_sha256},
        )
    return {"links": page, "next": page[-1]["link"] if len(found) > limit else None}


def own_part(work: Work, round_id: str, office: str, *, even_if_withdrawn: bool = False) -> Round:
    """A round in which the caller is this office, with records.

    Raises:
        RefusalError: ``not-found`` or ``forbidden``.
    """
    entry = visible_round(work, round_id)
    if work.caller.member != office:
        raise RefusalError("forbidden", "An office reads its own results only.")
    if not entry.has_records_of(office):
        raise RefusalError("forbidden", "By the terms of this round, this office has no results.")
    if not even_if_withdrawn:
        check_taking_part(entry, office)
    return entry


def own_links(
    work: Work, entry: Round, office: str, *, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """An office's side of the links that it may see, by link id; withdrawn ones are marked.

    Args:
        after: link id that the page before ended with.
        limit: most links.
    """
    sides = _sides(entry.id, office, terms_of(entry).seen_by(office), after, limit)
    rows = sorted(row for side in sides for row in work.session.execute(side).all())
    return [_link(row) for row in rows[:limit]]


def link_line(link: Mapping[str, Any]) -> bytes:
    """A link as a receipt hashes it: the row that ``office results`` writes."""
    return (
        f"{link['link']},{link['record']},{link['counterpart']},{link['score']:.2f},"
        f"{link['band']}\n"
    ).encode()


def _sides(
    round_id: str, office: str, seen: Collection[str], after: str | None, limit: int
) -> Sequence[Select[str, str, str, float, int]]:
    first = select(
        Link.link_a.label("link"),
        Link.record_a.label("record"),
        Link.office_b.label("counterpart"),
        Link.score,
        literal(0).label("withdrawn"),
    ).where(Link.round_id == round_id, Link.office_a == office, Link.office_b.in_(seen))
    second = select(
        Link.link_b.label("link"),
        Link.record_b.label("record"),
        Link.office_a.label("counterpart"),
        Link.score,
        literal(0).label("withdrawn"),
    ).where(Link.round_id == round_id, Link.office_b == office, Link.office_a.in_(seen))
    marks = select(
        RetractedLink.link,
        RetractedLink.record,
        RetractedLink.counterpart,
        RetractedLink.score,
        literal(1).label("withdrawn"),
    ).where(
        RetractedLink.round_id == round_id,
        RetractedLink.office_id == office,
        RetractedLink.counterpart.in_(seen),
    )
    if after is not None:
        first, second = first.where(Link.link_a > after), second.where(Link.link_b > after)
        marks = marks.where(RetractedLink.link > after)
    return (
        first.order_by(Link.link_a).limit(limit),
        second.order_by(Link.link_b).limit(limit),
        marks.order_by(RetractedLink.link).limit(limit),
    )


def _link(row: Row[str, str, str, float, int]) -> dict[str, Any]:
    score = round(row.score, 2)
    return {
        "link": row.link,
        "record": row.record,
        "counterpart": row.counterpart,
        "score": score,
        "band": "withdrawn" if row.withdrawn else _band(score),
    }


def _band(score: float) -> str:
    """Of the rounded score, so that score and band never contradict each other."""
    if score >= CERTAIN:
        return "certain"
    return "probable" if score >= PROBABLE else "possible"


def read_review(installation: Installation, caller: Caller, round_id: str) -> dict[str, Any]:
    """Aggregates of a matched round.  Raises: RefusalError: ``not-found``, ``wrong-state``."""
    with installation.look(caller) as work:
        entry = visible_round(work, round_id)
        check_deed(Deed.READ_REVIEW, State(entry.state), Actor.OPERATOR)
        check_kept(work, entry)
        if entry.review is None:
            raise RefusalError("not-found", "This round has no review.")
        work.record(Action.REVIEW_READ, project=entry.project_id, round_id=entry.id)
        # Reviews from before there were flows have none.
        review: dict[str, Any] = {"flows": [], **json.loads(entry.review)}
        return review
