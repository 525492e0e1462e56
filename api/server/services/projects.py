"""Projects, and the sealed linkage secrets of their offices."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from api.audit.events import Action
from api.server.models import Member, Project, ProjectOffice, Round, SealedSecret
from api.server.places import Place, Side
from api.server.refusals import RefusalError
from api.server.round_states import Actor, State
from api.server.services.installation import Installation, format_time
from api.server.services.members import check_loggable
from api.server.services.work import Caller, Work


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project as an operator asks for it; ``members`` are offices and their roles.

    Attributes:
        places: of those offices that have one in flows between counties.
        min_witnesses: members who must have witnessed the access log before a release.
    """

    id: str
    name: str
    purpose: str
    coordinating_office: str
    members: Sequence[tuple[str, str]]
    min_witnesses: int = 0
    places: Mapping[str, Place] = field(default_factory=dict)


def create_project(
    installation: Installation, caller: Caller, wanted: NewProject
) -> tuple[dict[str, Any], bool]:
    """Create a project; repeating it with the same content changes nothing.

    Returns:
        The project, and whether it is new.

    Raises:
        RefusalError: ``conflict`` or ``invalid``.
    """
    check_loggable(wanted.id, "id")
    with installation.work(caller) as work:
        known = work.session.get(Project, wanted.id)
        if known is not None and _content(known) != _wanted_content(wanted):
            raise RefusalError(
                "conflict",
                f"There is a project '{wanted.id}' already, with other content. Choose another id.",
                project=wanted.id,
            )
        if known is None:
            offices = [wanted.coordinating_office, *(office for office, _ in wanted.members)]
            check_approved_offices(work.session, offices)
            known = Project(
                id=wanted.id,
                name=wanted.name,
                purpose=wanted.purpose,
                coordinating_office=wanted.coordinating_office,
                min_witnesses=wanted.min_witnesses,
                created_at=work.now,
                created_by=caller.person,
            )
            known.offices = [
                ProjectOffice(office_id=office, role=role)
                for office, role in sorted(wanted.members)
            ]
            _put_places(known, wanted.places)
            work.session.add(known)
            created = True
        else:
            created = False
        work.record(
            Action.PROJECT_CREATE,
            project=known.id,
            details={"n_offices": len(known.offices), "created": int(created)},
        )
        return _outline(known), created


def list_projects(installation: Installation, caller: Caller) -> list[dict[str, Any]]:
    """Projects that the caller may know of, by id."""
    with installation.look(caller) as work:
        query = select(Project).order_by(Project.id)
        if caller.actor is Actor.OFFICE:
            own = select(ProjectOffice.project_id).where(
                ProjectOffice.office_id == caller.member, ProjectOffice.excluded_at.is_(None)
            )
            query = query.where(
                or_(Project.coordinating_office == caller.member, Project.id.in_(own))
            )
        projects = work.session.scalars(query).all()
        work.record(Action.PROJECT_LIST, details={"n_projects": len(projects)})
        return [_outline(project) for project in projects]


def read_project(installation: Installation, caller: Caller, project_id: str) -> dict[str, Any]:
    """One project.  Raises: RefusalError: ``not-found``."""
    with installation.look(caller) as work:
        project = visible_project(work, project_id)
        work.record(Action.PROJECT_READ, project=project.id)
        return _outline(project)


def put_places(
    installation: Installation, caller: Caller, project_id: str, places: Mapping[str, Place]
) -> dict[str, Any]:
    """Say where the project's offices stand; rounds that are matched from now on show flows by it.

    Args:
        places: all of them; an office that is not named has none.

    Raises:
        RefusalError: ``not-found``, or ``invalid`` for an office that has no records to bring.
    """
    with installation.work(caller) as work:
        project = visible_project(work, project_id)
        strangers = sorted(places.keys() - {entry.office_id for entry in project.offices})
        if strangers:
            raise RefusalError(
                "invalid",
                f"Not in the project: {', '.join(strangers)}.",
                errors={"places": strangers},
            )
        _put_places(project, places)
        work.record(Action.PROJECT_PLACE, project=project.id, details={"n_places": len(places)})
        return _outline(project)


def set_witnesses(
    installation: Installation, caller: Caller, project_id: str, min_witnesses: int
) -> dict[str, Any]:
    """Ask for so many witnesses of the access log before a release, from now on.

    Raises:
        RefusalError: ``not-found``, or ``invalid`` for more than there are members to witness.
    """
    with installation.work(caller) as work:
        project = visible_project(work, project_id)
        most = len(project.offices) + 1
        if not 0 <= min_witnesses <= most:
            raise RefusalError(
                "invalid",
                f"At most {most}: the project's offices, its coordinating office among them.",
                errors={"min_witnesses": [f"at most {most}"]},
            )
        before = project.min_witnesses
        project.min_witnesses = min_witnesses
        work.record(
            Action.PROJECT_WITNESS,
            project=project.id,
            details={"n_witnesses": min_witnesses, "n_witnesses_before": before},
        )
        return _outline(project)


def exclude_office(
    installation: Installation, caller: Caller, project_id: str, office: str
) -> dict[str, Any]:
    """Take an office out of a project: no new round may name it, and its sealed secrets go.

    It knows the linkage secret still; a round after this one should be keyed by a new epoch's.
    Doing so again changes nothing.

    Raises:
        RefusalError: ``not-found``, ``invalid`` for the coordinating office, or ``conflict`` while
            it takes part in a round that is not over.
    """
    with installation.work(caller) as work:
        project = visible_project(work, project_id)
        entry = next((entry for entry in project.offices if entry.office_id == office), None)
        if office == project.coordinating_office:
            raise RefusalError(
                "invalid",
                "A project cannot be without its coordinating office. Create another project with "
                "another one.",
                errors={"office": ["is the coordinating office"]},
            )
        if entry is None:
            raise RefusalError(
                "not-found", f"The office '{office}' is not in this project.", project=project.id
            )
        held = _rounds_that_hold(work.session, project_id, office)
        if held:
            raise RefusalError(
                "conflict",
                f"The office still takes part in: {', '.join(held)}. Take it out of these rounds "
                "first (`tongqiao round exclude`), amend their terms, or cancel them.",
                project=project.id,
                details={"office": office, "n_rounds": len(held)},
            )
        secrets = delete(SealedSecret).where(
            SealedSecret.project_id == project.id, SealedSecret.office_id == office
        )
        n_secrets = work.session.execute(secrets.returning(SealedSecret.epoch)).all()
        entry.excluded_at = entry.excluded_at or work.now
        work.record(
            Action.PROJECT_EXCLUDE,
            project=project.id,
            details={"office": office, "n_secrets": len(n_secrets)},
        )
        return _outline(project)


def _rounds_that_hold(session: Session, project_id: str, office: str) -> list[str]:
    """Rounds of a project that an office takes part in and that are not over."""
    over = (State.CANCELLED, State.EXPIRED)
    rounds = session.scalars(
        select(Round).where(Round.project_id == project_id, Round.state.not_in(over))
    )
    return sorted(
        entry.id for entry in rounds if entry.has_records_of(office) and not entry.has_left(office)
    )


def places_of(session: Session, project_id: str) -> dict[str, Place]:
    """The places of a project's offices."""
    return _places(session.get_one(Project, project_id))


def _places(project: Project) -> dict[str, Place]:
    return {
        entry.office_id: Place(entry.division, Side(entry.side))
        for entry in project.offices
        if entry.division is not None and entry.side is not None
    }


def _put_places(project: Project, places: Mapping[str, Place]) -> None:
    for entry in project.offices:
        place = places.get(entry.office_id)
        entry.division = None if place is None else place.division
        entry.side = None if place is None else str(place.side)


def send_secret(
    installation: Installation,
    caller: Caller,
    project_id: str,
    epoch: int,
    office: str,
    blob: bytes,
) -> tuple[dict[str, Any], bool]:
    """Keep a sealed secret for an office to fetch; a later one replaces it.

    Sealing again after an office lost its keys gives another blob with the same secret inside, so
    replacing is the coordinating office's right; the log holds both hashes.

    Returns:
        What was stored, and whether nothing was there before.

    Raises:
        RefusalError: ``not-found``, ``forbidden`` or ``invalid``.
    """
    with installation.work(caller) as work:
        project = visible_project(work, project_id)
        if caller.member != project.coordinating_office:
            raise RefusalError("forbidden", "Only the project's coordinating office sends secrets.")
        if not project.has_office(office):
            raise RefusalError(
                "not-found", f"The office '{office}' is not in this project.", project=project.id
            )
        if not blob:
            raise RefusalError("invalid", "The sealed secret is empty. Seal it again and send it.")
        known = work.session.get(SealedSecret, (project.id, epoch, office))
        replaced = None if known is None else known.sha256
        stored = known or SealedSecret(project_id=project.id, epoch=epoch, office_id=office)
        stored.blob = blob
        stored.sha256 = hashlib.sha256(blob).hexdigest()
        stored.stored_at = work.now
        work.session.add(stored)
        work.record(
            Action.SECRET_PUT,
            project=project.id,
            details={
                "office": office,
                "epoch": epoch,
                "sha256": stored.sha256,
                "replaced": replaced,
            },
        )
        return _secret_outline(stored), known is None


def fetch_secret(
    installation: Installation, caller: Caller, project_id: str, epoch: int, office: str
) -> bytes:
    """The sealed secret of the calling office.

    Raises:
        RefusalError: ``not-found`` or ``forbidden``.
    """
    with installation.work(caller) as work:
        project = visible_project(work, project_id)
        if caller.member != office:
            raise RefusalError("forbidden", "An office fetches its own sealed secret only.")
        stored = work.session.get(SealedSecret, (project.id, epoch, office))
        if stored is None:
            raise RefusalError(
                "not-found",
                f"No secret of epoch {epoch} was sent to this office yet. "
                "Ask the coordinating office to send it.",
            )
        work.record(
            Action.SECRET_GET,
            project=project.id,
            details={"office": office, "epoch": epoch, "sha256": stored.sha256},
        )
        return stored.blob


def visible_project(work: Work, project_id: str) -> Project:
    """A project that the caller may know of.  Raises: RefusalError: ``not-found``."""
    project = work.session.get(Project, project_id)
    caller = work.caller
    if project is None or (caller.actor is Actor.OFFICE and not project.has_office(caller.person)):
        raise RefusalError(
            "not-found",
            f"There is no project '{project_id}' that you take part in. "
            "Check the id with `tongqiao project list`, or ask the linkage operator.",
        )
    return project


def check_approved_offices(session: Session, offices: Sequence[str]) -> None:
    """All are approved offices.  Raises: RefusalError: ``invalid``, naming those that are not."""
    approved = set(
        session.scalars(
            select(Member.id).where(
                Member.id.in_(offices), Member.kind == "office", Member.state == "approved"
            )
        )
    )
    missing = sorted(set(offices) - approved)
    if missing:
        raise RefusalError(
            "invalid",
            f"Not approved as an office here: {', '.join(missing)}. "
            "Each must enrol and be approved first.",
            errors={"members": missing},
        )


def _content(project: Project) -> tuple[object, ...]:
    members = sorted((entry.office_id, entry.role) for entry in project.offices)
    return (
        project.name, project.purpose, project.coordinating_office, members,
        project.min_witnesses, _places(project),
    )  # fmt: skip


def _wanted_content(wanted: NewProject) -> tuple[object, ...]:
    members = sorted(wanted.members)
    return (
        wanted.name, wanted.purpose, wanted.coordinating_office, members, wanted.min_witnesses,
        dict(wanted.places),
    )  # fmt: skip


def _outline(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "purpose": project.purpose,
        "coordinating_office": project.coordinating_office,
        "members": [
            {
                "office": entry.office_id,
                "role": entry.role,
                "division": entry.division,
                "side": entry.side,
                "excluded_at": (
                    None if entry.excluded_at is None else format_time(entry.excluded_at)
                ),
            }
            for entry in project.offices
        ],
        "min_witnesses": project.min_witnesses,
        "created_at": format_time(project.created_at),
    }


def _secret_outline(stored: SealedSecret) -> dict[str, Any]:
    return {
        "office": stored.office_id,
        "epoch": stored.epoch,
        "sha256": stored.sha256,
        "stored_at": format_time(stored.stored_at),
    }
