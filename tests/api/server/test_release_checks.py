"""Who releases a round has read the review of what is released."""

from tests.factories import ROLES, ROUND
from tests.simulator import SimulatedServer, granted, refused

OFFICE = next(iter(ROLES))


def test_nobody_releases_what_only_the_other_operator_has_seen(server: SimulatedServer) -> None:
    """One shows the other a review, then takes an office out, and has the rest matched."""
    party = server.open_round()
    party.is_matched()
    granted(party.first.reads_review(ROUND))
    refused(party.second.takes_blind_step(ROUND, "release"), "not-reviewed")
    granted(party.second.reads_review(ROUND))
    granted(party.first.excludes(ROUND, OFFICE))
    granted(party.first.takes_step(ROUND, "run"))
    assert server.worker().work_once()
    refused(party.second.takes_blind_step(ROUND, "release"), "not-reviewed")
    review = granted(party.second.reads_review(ROUND))
    assert OFFICE not in {pair["office_a"] for pair in review["pairs"]}
    granted(party.second.takes_blind_step(ROUND, "release"))


def test_a_review_read_in_the_browser_counts_for_the_same_person(server: SimulatedServer) -> None:
    party = server.open_round()
    party.is_matched()
    browser = server.logged_in(party.second.id)
    granted(browser.gets(f"/v1/rounds/{ROUND}/review"))
    granted(party.second.takes_blind_step(ROUND, "release"))
