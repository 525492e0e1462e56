"""The first page: what the office has, and what is to be done next."""

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api.client.errors import ApiError
from api.client.round_view import RoundSummary
from api.office.workbench.desk import desk
from api.office.workbench.error_words import Told, tell
from api.office.workbench.words import state_name, to_do_name

overview = Blueprint("overview", __name__)

_SHOWN_ROUNDS = 10


@overview.get("/")
def show() -> ResponseReturnValue:
    """The overview."""
    bench = desk()
    rounds: tuple[RoundSummary, ...] = ()
    trouble: Told | None = None
    if bench.rounds is not None:
        try:
            rounds = bench.rounds.rounds()
        except ApiError as error:
            trouble = tell(error)
    return render_template(
        "workbench/overview.html",
        about=bench.register.about,
        inspection=bench.register.inspection,
        rounds=rounds[:_SHOWN_ROUNDS],
        n_rounds=len(rounds),
        trouble=trouble,
        connected=bench.rounds is not None,
        state_name=state_name,
        to_do_name=to_do_name,
    )


@overview.get("/jobs/<job_id>")
def job(job_id: str) -> ResponseReturnValue:
    """How far a job is, for the page's script."""
    found = desk().jobs.find(job_id)
    if found is None:
        return jsonify(state="gone", stage=gettext("There is no such job."), share=None, figures="")
    return jsonify(found.view())
