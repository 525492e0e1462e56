"""Waits for a round's matching to end, and shows how far it is."""

import time
from collections.abc import Callable

from api.client.http import ServerClient
from api.client.round_view import RoundView, parse_round
from linkage.errors import LinkageError

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.2, 5.0


class RoundFailedError(LinkageError):
    """The matching of a round ended without links."""


def wait_for_review(
    client: ServerClient,
    round_id: str,
    on_progress: Callable[[RoundView], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> RoundView:
    """Ask for the state of the round, ever less often, until its matching has ended.

    Raises:
        RoundFailedError: the matching failed, or someone cancelled the round.
        ApiError: the server cannot be asked any more; the matching goes on there.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        view = parse_round(client.get_json(f"/v1/rounds/{round_id}"), round_id)
        on_progress(view)
        if view.state in ("review", "released"):
            return view
        if view.state != "matching":
            raise RoundFailedError(_why(view))
        sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LAST_PAUSE_S)


def _why(view: RoundView) -> str:
    if view.failure is None:
        return f"The round is {view.state}; it is no longer being matched."
    return f"The matching failed: {view.failure} Start it again with 'tongqiao round run'."
