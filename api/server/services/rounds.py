"""Rounds: creation, signatures, and the operator's steps."""

import base64
import binascii
import hashlib
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select

from api.audit.events import Action, parse_entry
from api.server.models import (
    LOG_TABLES,
    Member,
    Project,
    Round,
    RoundOffice,
    Signature,
    StateChange,
    Upload,
    Withdrawal,
)
from api.server.refusals import RefusalError, naming
from api.server.round_states import Actor, Deed, State, Step, check_deed
from api.server.schemas.terms import TERMS_FORMAT, Terms
from api.server.services.data_keys import make_data_key
from api.server.services.installation import Installation, format_time
from api.server.services.members import check_loggable
from api.server.services.projects import check_approved_offices, visible_project
from api.server.services.release_checks import check_reviewed, check_witnessed
from api.server.services.retention import (
    Leftovers,
    delete_leftovers,
    forget_data,
    forget_parts,
)
from api.server.services.round_outline import outline
from api.server.services.steps import (
    STEP_ACTIONS,
    check_taking_part,
    take_step,
    terms_of,
    visible_round,
)
from api.server.services.upload_checks import check_stored
from api.server.services.work import Caller, Work
from keys import labels
from keys.canonical import canonical_json
from keys.errors import KeysError, SignatureError
from keys.signing import verify_document
from linkage.errors import ProfileError
from linkage.profile import Profile, parse_profile


def create_round(
    installation: Installation, caller: Caller, terms: Terms, profile_text: str
) -> tuple[dict[str, Any], bool]:
    """Create a round in state ``draft``; repeating it with the same terms changes nothing.

    Returns:
        The round, and whether it is new.

    Raises:
        RefusalError: ``not-found`` for the project, ``invalid``, ``wrong-profile`` or ``conflict``.
    """
    check_loggable(terms.round, "round")
    profile = _bound_profile(terms, profile_text)
    _check_limits(installation, terms)
    document, sha256 = _canonical(terms)
    with installation.work(caller) as work:
        project = visible_project(work, terms.project)
        known = work.session.get(Round, terms.round)
        if known is None or known.terms_sha256 != sha256:
            # The same terms again change nothing, of whatever form they are.
            _check_current(terms, project)
        _check_offices(work, project, terms)
        if known is not None and (
            known.terms_sha256 != sha256 or parse_profile(known.profile).sha256 != profile.sha256
        ):
            raise RefusalError(
                "conflict",
                f"There is a round '{terms.round}' already, with other terms. Choose another id: "
                "terms never change once a round exists.",
            )
        created = known is None
        entry = known or _new_round(work, terms, document, sha256, profile)
        work.record(
            Action.ROUND_CREATE,
            project=entry.project_id,
            round_id=entry.id,
            details={
                "terms": sha256,
                "profile": profile.sha256,
                "n_members": len(terms.roles),
                "created": int(created),
            },
        )
        return outline(entry, caller), created


def amend_terms(
    installation: Installation, caller: Caller, round_id: str, terms: Terms, profile_text: str
) -> dict[str, Any]:
    """Change the terms of a round that is not frozen: nobody has signed the new ones yet.

    Signatures, the confirmation of the key, and what was uploaded under the old terms go; so does
    the key that encrypted it.  The same terms again change nothing.

    Raises:
        RefusalError: ``not-found``, ``wrong-state``, ``invalid`` or ``wrong-profile``.
    """
    profile = _bound_profile(terms, profile_text)
    _check_limits(installation, terms)
    document, sha256 = _canonical(terms)
    leftovers = Leftovers()
    with installation.work(caller) as work:
        entry = visible_round(work, round_id)
        check_deed(Deed.AMEND, State(entry.state), Actor.OPERATOR)
        if (terms.round, terms.project) != (entry.id, entry.project_id):
            raise RefusalError(
                "invalid", "A round keeps its id and its project. Create another round instead."
            )
        project = visible_project(work, terms.project)
        _check_offices(work, project, terms)
        replaced = entry.terms_sha256
        if sha256 != replaced:
            _check_current(terms, project)
            leftovers = forget_data(work, entry)
            work.session.execute(delete(Signature).where(Signature.round_id == entry.id))
            entry.terms, entry.terms_sha256, entry.profile = document, sha256, profile.source
            entry.coordinating_office, entry.key_confirmation = terms.coordinating_office, None
            _replace_offices(work, entry, terms)
            if entry.state == State.OPEN:
                make_data_key(installation, work, entry)
                # Under the new terms, nobody has signed or sent anything before now.
                entry.retained_until = work.now + timedelta(days=terms.retention_days)
        work.record(
            Action.ROUND_AMEND,
            project=entry.project_id,
            round_id=entry.id,
            details={"terms": sha256, "replaced": replaced, "profile": profile.sha256},
        )
        work.session.flush()
        work.session.expire(entry)
        status = outline(entry, caller)
    delete_leftovers(installation, leftovers)
    return status


def _replace_offices(work: Work, entry: Round, terms: Terms) -> None:
    work.session.execute(delete(RoundOffice).where(RoundOffice.round_id == entry.id))
    # Under other terms, which all have to sign, who was taken out may be in again.
    work.session.execute(delete(Withdrawal).where(Withdrawal.round_id == entry.id))
    work.session.flush()
    work.session.expire(entry, ["offices", "signatures"])
    for office, role in sorted(terms.roles.items()):
        work.session.execute(
            insert(RoundOffice).values(round_id=entry.id, office_id=office, role=role)
        )


def list_rounds(installation: Installation, caller: Caller) -> list[dict[str, Any]]:
    """Rounds that the caller may know of, newest first; an office sees how far it is itself."""
    with installation.look(caller) as work:
        # As `Round.is_key_confirmed`: it confirms the key by signing.
        confirmed = (
            select(Signature.round_id)
            .where(Signature.round_id == Round.id, Signature.office_id == Round.coordinating_office)
            .exists()
        )
        columns = (
            Round.id, Round.project_id, Round.state, Round.created_at, Round.coordinating_office,
            confirmed.label("is_key_confirmed"),
        )  # fmt: skip
        query = select(*columns).order_by(Round.created_at.desc(), Round.id)
        own: dict[str, dict[str, bool]] = {}
        if caller.actor is Actor.OFFICE:
            own = _own_parts(work)
            query = query.where(or_(Round.coordinating_office == caller.member, Round.id.in_(own)))
        rounds = work.session.execute(query).all()
        work.record(Action.ROUND_LIST, details={"n_rounds": len(rounds)})
        return [
            {
                "id": entry.id,
                "project": entry.project_id,
                "state": entry.state,
                "created_at": format_time(entry.created_at),
                "coordinating_office": entry.coordinating_office,
                "key_confirmed": entry.is_key_confirmed,
                "own": own.get(entry.id),
            }
            for entry in rounds
        ]


def _own_parts(work: Work) -> dict[str, dict[str, bool]]:
    """How far the calling office is in each round that it brings records to."""
    office = work.caller.member

    def rounds_of(model: type[RoundOffice | Signature | Upload | Withdrawal]) -> set[str]:
        query = select(model.round_id).where(model.office_id == office)
        return set(work.session.scalars(query))

    signed, uploaded, left = rounds_of(Signature), rounds_of(Upload), rounds_of(Withdrawal)
    return {
        round_id: {
            "signed": round_id in signed,
            "uploaded": round_id in uploaded,
            "withdrawn": round_id in left,
        }
        for round_id in rounds_of(RoundOffice)
    }


def read_round(installation: Installation, caller: Caller, round_id: str) -> dict[str, Any]:
    """One round.  Raises: RefusalError: ``not-found``."""
    with installation.look(caller) as work:
        entry = visible_round(work, round_id)
        work.record(Action.ROUND_READ, project=entry.project_id, round_id=entry.id)
        return outline(entry, caller)


def failure_reason(installation: Installation, round_id: str) -> str | None:
    """Why the last matching of a round failed, as the log says it; who asks has read the round."""
    entries = LOG_TABLES.entries
    query = (
        select(entries.c.body)
        .where(entries.c.round == round_id, entries.c.action == str(Action.JOB_FAIL))
        .order_by(entries.c.entry_index.desc())
        .limit(1)
    )
    with installation.database.reading() as session:
        body: str | None = session.execute(query).scalar_one_or_none()
    return None if body is None else parse_entry(body.encode()).reason


def read_profile(installation: Installation, caller: Caller, round_id: str) -> str:
    """The encoding profile of a round, TOML text.  Raises: RefusalError: ``not-found``."""
    with installation.look(caller) as work:
        entry = visible_round(work, round_id)
        work.record(
            Action.PROFILE_READ,
            project=entry.project_id,
            round_id=entry.id,
            details={"profile": terms_of(entry).profile_sha256},
        )
        return entry.profile


def sign_terms(
    installation: Installation,
    caller: Caller,
    round_id: str,
    office: str,
    *,
    terms_sha256: str,
    signature: str,
    key_confirmation: str | None,
) -> tuple[dict[str, Any], bool]:
    """Keep an office's signature of the terms; the coordinating office's confirms the key too.

    Returns:
        What was stored, and whether the office had not signed before.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, ``wrong-state``, ``conflict`` for other terms or
            another confirmation than uploads were checked against, ``invalid``.
    """
    with installation.work(caller) as work:
        entry = visible_round(work, round_id)
        if caller.member != office:
            raise RefusalError("forbidden", "An office signs for itself only.")
        check_deed(Deed.SIGN, State(entry.state), Actor.OFFICE)
        check_taking_part(entry, office)
        if terms_sha256 != entry.terms_sha256:
            raise RefusalError(
                "conflict",
                "These are not the terms of this round. Download and read them again "
                "(`tongqiao office terms`), then sign those.",
            )
        _check_signature(work, entry, office, signature)
        _confirm_key(entry, office, key_confirmation)
        known = work.session.get(Signature, (entry.id, office))
        stored = known or Signature(round_id=entry.id, office_id=office)
        stored.terms_sha256, stored.signature = terms_sha256, signature
        stored.signed_at = work.now
        work.session.add(stored)
        work.record(
            Action.TERMS_SIGN,
            project=entry.project_id,
            round_id=entry.id,
            details={"terms": terms_sha256, "key_confirmation": key_confirmation},
        )
        receipt = {
            "office": office,
            "terms_sha256": terms_sha256,
            "signed_at": format_time(stored.signed_at),
        }
        return receipt, known is None


def change_state(
    installation: Installation, caller: Caller, round_id: str, step: Step
) -> dict[str, Any]:
    """Take a step that an operator asks for.

    Raises:
        RefusalError: ``not-found``, ``wrong-state``, ``second-person``, ``not-reviewed``,
            ``not-witnessed``, or ``conflict`` where the file of an upload is gone.
    """
    leftovers = Leftovers()
    if step is Step.FREEZE:
        with naming(STEP_ACTIONS[step]):
            check_stored(installation, round_id)
    with naming(STEP_ACTIONS[step]), installation.work(caller) as work:
        entry = visible_round(work, round_id)
        take_step(work, entry, step)
        if step is Step.RELEASE:
            check_reviewed(work, entry)
            check_witnessed(work, entry)
        if step is Step.OPEN:
            make_data_key(installation, work, entry)
        if step is Step.RUN:
            entry.ran_by, entry.failure, entry.attempts = caller.person, None, 0
            entry.enter_stage("queued")
        if step is Step.CANCEL:
            entry.lease_owner = entry.lease_expires_at = None
            leftovers = forget_data(work, entry)
        if step is Step.FREEZE:
            leftovers = forget_parts(work, entry)
        work.session.flush()
        work.session.expire(entry, ["uploads", "history"])
        status = outline(entry, caller)
    delete_leftovers(installation, leftovers)
    return status


def _bound_profile(terms: Terms, text: str) -> Profile:
    try:
        profile = parse_profile(text)
    except ProfileError as error:
        raise RefusalError("invalid", str(error), errors={"profile": [str(error)]}) from error
    bound = terms.document["profile"]
    if (profile.sha256, profile.name, profile.cleaning) != (
        bound["sha256"],
        bound["name"],
        terms.cleaning,
    ):
        raise RefusalError(
            "wrong-profile",
            "The profile's hash, name or cleaning version is not the one in the terms. "
            "Send the profile that the terms name, or correct the terms.",
            details={"profile": profile.sha256},
        )
    return profile


def _check_limits(installation: Installation, terms: Terms) -> None:
    config = installation.config
    limits = {
        "max_records": (terms.max_records, config.max_records),
        "retention_days": (terms.retention_days, config.max_retention_days),
    }
    for name, (asked, most) in limits.items():
        if asked > most:
            raise RefusalError(
                "invalid",
                f"{name} in the terms may be at most {most} on this server.",
                errors={name: [f"at most {most}"]},
            )


def _canonical(terms: Terms) -> tuple[str, str]:
    try:
        data = canonical_json(terms.document)
    except KeysError as error:
        raise RefusalError("invalid", str(error)) from error
    return data.decode(), hashlib.sha256(data).hexdigest()


def _check_current(terms: Terms, project: Project) -> None:
    """New terms say how many witnesses a release needs, and not fewer than the project asks for."""
    if terms.min_witnesses is None:
        raise RefusalError(
            "invalid",
            f"Terms of a new round are of the form {TERMS_FORMAT}, which says how many witnesses a "
            "release needs. Update the program that makes them.",
            errors={"format": [f"must be {TERMS_FORMAT}"]},
        )
    if terms.min_witnesses < project.min_witnesses:
        raise RefusalError(
            "invalid",
            f"The project asks for {project.min_witnesses} witnesses of the access log before a "
            "release. Say so in the terms: they may ask for more, not for fewer.",
            errors={"min_witnesses": [f"at least {project.min_witnesses}"]},
        )


def _check_offices(work: Work, project: Project, terms: Terms) -> None:
    if terms.coordinating_office != project.coordinating_office:
        raise RefusalError(
            "invalid",
            f"The project's coordinating office is '{project.coordinating_office}'. "
            "Name it in the terms.",
            errors={"coordinating_office": ["not the project's"]},
        )
    roles = {entry.office_id: entry.role for entry in project.offices if entry.excluded_at is None}
    strangers = sorted(office for office, role in terms.roles.items() if roles.get(office) != role)
    if strangers:
        raise RefusalError(
            "invalid",
            f"Not in the project, or in another role: {', '.join(strangers)}. "
            "Name offices and roles as the project does (`tongqiao project show`).",
            errors={"members": strangers},
        )
    check_approved_offices(work.session, [terms.coordinating_office, *terms.roles])


def _new_round(work: Work, terms: Terms, document: str, sha256: str, profile: Profile) -> Round:
    entry = Round(
        id=terms.round,
        project_id=terms.project,
        state=State.DRAFT,
        terms=document,
        terms_sha256=sha256,
        profile=profile.source,
        coordinating_office=terms.coordinating_office,
        created_at=work.now,
        created_by=work.caller.person,
        done=0,
        total=0,
        attempts=0,
    )
    entry.offices = [
        RoundOffice(office_id=office, role=role) for office, role in sorted(terms.roles.items())
    ]
    entry.history = [StateChange(state=State.DRAFT, at=work.now, by=work.caller.signs_as)]
    work.session.add(entry)
    work.session.flush()
    return entry


def _check_signature(work: Work, entry: Round, office: str, signature: str) -> None:
    member = work.session.get_one(Member, office)
    try:
        raw = base64.b64decode(signature, validate=True)
        verify_document(member.signing_key, labels.TERMS, entry.terms.encode(), raw)
    except (binascii.Error, ValueError, SignatureError) as error:
        raise RefusalError(
            "invalid",
            "The signature is not this office's over these terms. Sign again with "
            "`tongqiao office sign`.",
            errors={"signature": ["does not fit"]},
        ) from error


def _confirm_key(entry: Round, office: str, key_confirmation: str | None) -> None:
    if office != entry.coordinating_office:
        if key_confirmation is not None:
            raise RefusalError(
                "invalid",
                "Only the coordinating office confirms the key. Sign without --secret-file.",
                errors={"key_confirmation": ["not allowed"]},
            )
        return
    if key_confirmation is None:
        raise RefusalError(
            "invalid",
            "The coordinating office confirms the key as it signs. Sign with --secret-file.",
            errors={"key_confirmation": ["required"]},
        )
    if entry.key_confirmation not in (None, key_confirmation) and entry.uploads:
        raise RefusalError(
            "conflict",
            "Files were uploaded under another secret already. If that one was wrong, those "
            "offices must withdraw first; else sign with the secret that you sent to them.",
        )
    entry.key_confirmation = key_confirmation
