"""What a release asks for besides a second operator: somebody read this review, and witnesses."""

from sqlalchemy import func, select

from api.audit.events import Action, Outcome
from api.audit.witnessing import witnesses_over
from api.server.models import LOG_TABLES, Member, Project, Round
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.services.steps import terms_of
from api.server.services.work import Work


def check_reviewed(work: Work, entry: Round) -> None:
    """Whether who releases has read the review of this very result.

    Another operator may have had the round matched anew since, without an office even; the second
    person then would release what only the first one has seen.

    Raises:
        RefusalError: ``not-reviewed``.
    """
    matched = _last_entry(work, entry, Action.JOB_FINISH)
    read = _last_entry(work, entry, Action.REVIEW_READ, actor=work.caller.person)
    if matched is None or read is None or read < matched:
        raise RefusalError(
            "not-reviewed",
            "Read the review first (`tongqiao round review`), since the links that you release "
            "cannot be called back. If you have read it, the round was matched again since.",
        )


def check_witnessed(work: Work, entry: Round) -> None:
    """Whether as many members as the terms ask for have witnessed a round's matching.

    Terms of the first form say nothing of it: there the project's word holds, as when they were
    signed.
    Auditors count, whom the server's administrator adds, and the round's offices, whose names all
    of them signed: a single operator approves offices, and could make up as many as are asked for.
    They count if they cosigned a checkpoint over the entry that ended it: then nobody can show
    them a history without this matching any more.

    Raises:
        RefusalError: ``not-witnessed``.
    """
    wanted = terms_of(entry).min_witnesses
    if wanted is None:
        wanted = work.session.get_one(Project, entry.project_id).min_witnesses
    if not wanted:
        return
    matched = _last_entry(work, entry, Action.JOB_FINISH)
    n_witnesses = 0
    if matched is not None:
        cosigned = select(Member).where(
            Member.id.in_(witnesses_over(work.session, LOG_TABLES, matched)),
            Member.state == "approved",
        )
        n_witnesses = sum(
            member.kind == Actor.AUDITOR or entry.has_office(member.id)
            for member in work.session.scalars(cosigned)
        )
    if n_witnesses < wanted:
        raise RefusalError(
            "not-witnessed",
            f"This round asks for {wanted} witnesses of the access log before a "
            f"release; {n_witnesses} have signed it since the matching. Ask auditors and the "
            "round's offices to run `tongqiao audit witness`, then release again.",
        )


def _last_entry(work: Work, entry: Round, action: Action, actor: str | None = None) -> int | None:
    """Number of the log's last entry about a round of what was done, and not refused."""
    entries = LOG_TABLES.entries
    query = select(func.max(entries.c.entry_index)).where(
        entries.c.project == entry.project_id,
        entries.c.round == entry.id,
        entries.c.action == str(action),
        entries.c.outcome == str(Outcome.GRANTED),
    )
    if actor is not None:
        query = query.where(entries.c.actor == actor)
    last: int | None = work.session.scalar(query)
    return last
