"""A round as it is shown: to operators and auditors all of it, to an office what concerns it."""

import json
from typing import Any

from api.server.models import Round
from api.server.round_states import Actor
from api.server.services.installation import format_time
from api.server.services.reviews import suppressed
from api.server.services.work import Caller


def outline(entry: Round, caller: Caller) -> dict[str, Any]:
    """A round as the caller may see it: an office, how many records it sent itself only."""
    everything = caller.actor is not Actor.OFFICE
    signed = {signature.office_id for signature in entry.signatures}
    uploads = {upload.office_id: upload for upload in entry.uploads}
    # Whether operators took it out, of each office that is out.
    withdrawn = {withdrawal.office_id: bool(withdrawal.by) for withdrawal in entry.withdrawals}
    fetched = {receipt.office_id for receipt in entry.receipts}
    members = []
    for office in entry.offices:
        upload = uploads.get(office.office_id)
        shown = upload is not None and (everything or office.office_id == caller.member)
        members.append(
            {
                "office": office.office_id,
                "role": office.role,
                "signed": office.office_id in signed,
                "uploaded": upload is not None,
                "n_records": upload.n_records if upload is not None and shown else None,
                "withdrawn": office.office_id in withdrawn,
                "excluded": withdrawn.get(office.office_id, False),
                "fetched": office.office_id in fetched,
            }
        )
    return {
        "id": entry.id,
        "project": entry.project_id,
        "state": str(entry.state),
        "terms": json.loads(entry.terms),
        "terms_sha256": entry.terms_sha256,
        "key_confirmed": entry.is_key_confirmed,
        "members": members,
        "progress": progress(entry, everything),
        "history": [
            {"state": change.state, "at": format_time(change.at), "by": change.by}
            for change in entry.history
        ],
        "failure": entry.failure,
        "requests": [
            {
                "what": request.what,
                "office": request.office_id or None,
                "by": request.by,
                "at": format_time(request.at),
                "until": format_time(request.until),
            }
            for request in entry.requests
            if everything or request.office_id in ("", caller.member)
        ],
        "retained_until": (
            None if entry.retained_until is None else format_time(entry.retained_until)
        ),
    }


def progress(entry: Round, everything: bool) -> dict[str, Any]:
    """How far the matching is; how much alike the registers are is not for offices to know."""
    return {
        "stage": entry.stage,
        "done": entry.done,
        "total": entry.total,
        "n_pairs": entry.n_pairs if everything else None,
        "n_candidates": suppressed(entry.n_candidates) if everything else None,
        "pairs_per_s": entry.pairs_per_s if everything else None,
        "seconds_left": entry.seconds_left,
    }
