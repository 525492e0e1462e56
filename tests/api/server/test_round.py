"""A whole round, as it should go."""

from pathlib import Path

from tests.factories import ROUND
from tests.simulator import granted, simulated_server


def test_a_round_from_draft_to_results(tmp_path: Path) -> None:
    with simulated_server(tmp_path) as server:
        party = server.open_round()
        party.is_matched()

        review = granted(party.second.reads_review(ROUND))
        assert [pair["n_links"] for pair in review["pairs"]] == [20, 20, 30]
        granted(party.second.takes_step(ROUND, "release"))

        for office in party.offices:
            page = granted(office.reads_results(ROUND))
            assert page["next"] is None
            own = party.files[office.id].number_of
            assert {link["record"] for link in page["links"]} <= set(own)
            assert {link["band"] for link in page["links"]} == {"certain"}
