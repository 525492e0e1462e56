"""After the release: an office says that it has its links, or leaves and takes its links back."""

import hashlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, insert, literal, select
from sqlalchemy.orm import Session

from api.audit.events import Action
from api.server.models import Link, Receipt, RetractedLink, Round, Upload, Withdrawal
from api.server.refusals import RefusalError
from api.server.round_states import Actor, Deed, State, check_deed
from api.server.services.installation import Installation, format_time
from api.server.services.results import link_line, own_links, own_part
from api.server.services.retention import (
    Leftovers,
    delete_leftovers,
    forget_parts,
    forget_requests,
)
from api.server.services.steps import check_kept, terms_of
from api.server.services.traces import delete_rows, leave_traces
from api.server.services.work import Caller, Details, Work

_PAGE_LINKS = 10_000


def acknowledge(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    *,
    links_sha256: str,
    n_links: int,
) -> tuple[dict[str, Any], bool]:
    """Keep an office's word that it has all of its links, if that is so.

    Args:
        links_sha256: hash of the lines of all links that it got, in their order.

    Returns:
        The receipt, and whether it is the first.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, ``wrong-state``, or ``conflict`` where it has
            other links than the server.
    """
    # Read and hashed before the write lock is taken: there may be very many.
    with installation.database.reading() as session:
        work = Work(session, installation.clock(), caller)
        entry = own_part(work, round_id, office)
        check_deed(Deed.READ_RESULTS, State(entry.state), Actor.OFFICE)
        digest, count = hashlib.sha256(), 0
        for line in _lines(work, entry, office):
            digest.update(line)
            count += 1
        withdrawn = _withdrawn(session, round_id)
    with installation.work(caller) as work:
        entry = own_part(work, round_id, office)
        check_deed(Deed.READ_RESULTS, State(entry.state), Actor.OFFICE)
        check_kept(work, entry)
        if (
            (digest.hexdigest(), count) != (links_sha256, n_links)
            # Released links change by a withdrawal alone.
            or _withdrawn(work.session, round_id) != withdrawn
        ):
            raise RefusalError(
                "conflict",
                f"Your list has other links than the server's, which has {count}. Perhaps an "
                "office has withdrawn meanwhile. Fetch the results again.",
                details={"office": office, "n_links": n_links},
            )
        known = work.session.get(Receipt, (entry.id, office))
        receipt = known or Receipt(round_id=entry.id, office_id=office)
        receipt.links_sha256, receipt.n_links, receipt.at = links_sha256, n_links, work.now
        work.session.add(receipt)
        work.record(
            Action.RESULTS_ACKNOWLEDGE,
            project=entry.project_id,
            round_id=entry.id,
            details={"office": office, "links": links_sha256, "n_links": n_links},
        )
        status = {
            "office": office,
            "links_sha256": links_sha256,
            "n_links": n_links,
            "at": format_time(work.now),
        }
        return status, known is None


def withdraw_office(
    installation: Installation, caller: Caller, round_id: str, office: str
) -> dict[str, Any]:
    """Take an office out of a released round: its file goes, its links are taken back.

    Of each link, the other office keeps its own side, marked as withdrawn, so that its next list
    says so; the leaving office's side is deleted.  Withdrawing again changes nothing.

    Raises:
        RefusalError: ``not-found``, ``forbidden`` or ``wrong-state``.
    """
    with installation.work(caller) as work:
        entry = own_part(work, round_id, office, even_if_withdrawn=True)
        check_deed(Deed.LEAVE, State(entry.state), Actor.OFFICE)
        known = work.session.get(Withdrawal, (entry.id, office))
        withdrawal = known or Withdrawal(round_id=entry.id, office_id=office, at=work.now)
        work.session.add(withdrawal)
        details, leftovers = take_out(work, entry, office)
        work.record(
            Action.ROUND_WITHDRAW, project=entry.project_id, round_id=entry.id, details=details
        )
        status = {
            "office": office,
            "n_links": details["n_links"],
            "withdrawn_at": format_time(withdrawal.at),
        }
    delete_leftovers(installation, leftovers)
    return status


def take_out(work: Work, entry: Round, office: str) -> tuple[Details, Leftovers]:
    """Delete an office's file, unfinished upload and side of all links; mark the others' sides.

    Returns:
        What went, for the log, and files to delete after the transaction.
    """
    details: dict[str, str | int | None] = {
        "office": office,
        "n_links": _retract(work, entry, office),
    }
    leftovers = forget_parts(work, entry, office)
    upload = entry.upload_of(office)
    if upload is not None:
        leftovers.files.append((entry.id, upload.sha256))
        details |= {"sha256": upload.sha256, "n_records": upload.n_records}
        work.session.delete(upload)
        leave_traces(work, Upload)
    forget_requests(work, entry, office)
    work.session.flush()
    leftovers.has_traces = True
    return details, leftovers


def _retract(work: Work, entry: Round, office: str) -> int:
    """Turn an office's links into marks at the other offices; returns how many it could see.

    An office that the terms do not show a link gets no mark of it either.
    """
    columns = ["round_id", "office_id", "link", "record", "counterpart", "score"]
    terms = terms_of(entry)
    told = [other for other in terms.roles if terms.sees(other, office)]
    n_links = 0
    for own, other, link, record in (
        (Link.office_a, Link.office_b, Link.link_b, Link.record_b),
        (Link.office_b, Link.office_a, Link.link_a, Link.record_a),
    ):
        mine = (Link.round_id == entry.id, own == office)
        sides = select(Link.round_id, other, link, record, literal(office), Link.score)
        work.session.execute(
            insert(RetractedLink).from_select(columns, sides.where(*mine, other.in_(told)))
        )
        shown = select(func.count()).select_from(Link)
        shown = shown.where(*mine, other.in_(terms.seen_by(office)))
        n_links += work.session.scalar(shown) or 0
        delete_rows(work, Link, *mine)
    # Its own marks of offices that left before it go as well.
    own_marks = (RetractedLink.round_id == entry.id, RetractedLink.office_id == office)
    delete_rows(work, RetractedLink, *own_marks)
    return n_links


def _withdrawn(session: Session, round_id: str) -> set[str]:
    """Offices that have left a round."""
    query = select(Withdrawal.office_id).where(Withdrawal.round_id == round_id)
    return set(session.scalars(query))


def _lines(work: Work, entry: Round, office: str) -> Iterator[bytes]:
    after: str | None = None
    while page := own_links(work, entry, office, after=after, limit=_PAGE_LINKS):
        for link in page:
            yield link_line(link)
        after = page[-1]["link"]
