"""A round of the suite ``gm``: keys by SM3, stored files by SM4, the same links."""

from pathlib import Path

from keys.cipher_suites import GM
from tests.factories import ROLES, ROUND, children, encoded_file
from tests.simulator import SimulatedServer, granted, refused


def test_from_the_terms_to_the_links(server: SimulatedServer, tmp_path: Path) -> None:
    party = server.open_round(cipher_suite="gm")
    known = children(30)
    first, second, third = (party.office(office) for office in ROLES)
    # Told before any matching, with the reason.
    answer = refused(first.uploads(ROUND, party.files[first.id].data), "wrong-profile")
    assert "another cipher suite" in answer["detail"]
    shares = ((first, known[:20]), (second, known[10:]), (third, known[5:25]))
    for office, share in shares:
        file = encoded_file(tmp_path / f"{office.id}.tqe", share, suite=GM)
        granted(office.uploads(ROUND, file.data), 201)
        stored = server.stored_bytes(ROUND, file.sha256)
        assert stored[:8] == b"TQREST\x01\x02"
        assert server.plaintext(ROUND, file.sha256) == file.data
    granted(party.first.takes_step(ROUND, "freeze"))
    granted(party.first.takes_step(ROUND, "run"))
    assert server.worker().work_once()
    granted(party.second.takes_step(ROUND, "release"))
    links = granted(first.reads_results(ROUND))["links"]
    assert len([link for link in links if link["counterpart"] == second.id]) == 10


def test_its_hash_under_the_keys_of_the_default_suite_is_refused_too(
    server: SimulatedServer, tmp_path: Path
) -> None:
    party = server.open_round()
    office = party.office(next(iter(ROLES)))
    file = encoded_file(tmp_path / "national.tqe", children(20), suite=GM)
    answer = refused(office.uploads(ROUND, file.data), "wrong-profile")
    assert "another cipher suite" in answer["detail"]


def test_a_suite_that_nobody_knows_is_no_terms(server: SimulatedServer) -> None:
    party = server.draft_round()
    refused(party.first.creates_round(round="second", cipher_suite="rot13"), "invalid")
