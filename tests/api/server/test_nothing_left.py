"""When a round ends, nothing of it is left: a search of disk and database, and of the log."""

from pathlib import Path

import pytest

from api.server.services.data_keys import data_key_of, encoding_context
from keys.at_rest import decrypt_stream
from keys.errors import AtRestError
from tests.factories import ROUND
from tests.simulator import OpenRound, SimulatedServer, granted


def everything(server: SimulatedServer) -> bytes:
    """Every byte below the server's folder, and of the database wherever it lies."""
    files = {path for path in server.directory.rglob("*") if path.is_file()}
    stored = [path.read_bytes() for path in sorted(files | set(server.database_files()))]
    return b"".join([*stored, server.statistics()])


def samples(data: bytes) -> list[bytes]:
    """Pieces of a file that are found nowhere by chance."""
    pieces = [data[at : at + 32] for at in range(0, len(data) - 32, 331)]
    return [piece for piece in pieces if len(set(piece)) > 16]


@pytest.mark.parametrize("end", ["expired", "cancelled"])
@pytest.mark.usefixtures("patient")
def test_nothing_is_left_but_hashes_in_the_log(
    server: SimulatedServer, tmp_path: Path, end: str
) -> None:
    party: OpenRound = server.open_round()
    party.everybody_uploads()
    granted(party.offices[0].begins(ROUND, b"x" * 70_000))
    (wrapped,) = (row["wrapped"] for row in server.rows("round_keys"))
    stored = {file.sha256: server.stored_bytes(ROUND, file.sha256) for file in party.files.values()}
    traces = [wrapped] + [piece for data in stored.values() for piece in samples(data)]
    traces += [piece for file in party.files.values() for piece in samples(file.data)]
    granted(party.first.takes_step(ROUND, "freeze"))
    granted(party.first.takes_step(ROUND, "run"))
    assert server.worker().work_once()
    if end == "expired":
        granted(party.second.takes_step(ROUND, "release"))
        sides = ("record_a", "link_a", "record_b", "link_b")
        traces += [row[side].encode() for row in server.rows("links") for side in sides]
    server.gathers_statistics()
    assert any(trace in everything(server) for trace in traces)

    if end == "expired":
        server.clock.advance(days=181)
        server.worker().run(once=True)
    else:
        granted(party.first.takes_step(ROUND, "cancel"))

    for table in ("uploads", "upload_parts", "links", "retracted_links", "round_keys"):
        assert server.rows(table) == []
    assert server.files() == {}
    left = everything(server)
    assert [trace.hex() for trace in traces if trace in left] == []
    # The log says what went, by its hash.
    deleted = [e["details"] for e in server.log() if e["action"] == "data:delete"]
    assert {d["sha256"] for d in deleted if "sha256" in d} == set(stored)
    assert len([d for d in deleted if "data_key" in d]) == 1
    # A copy of the encrypted files from before is worth nothing: their key is gone for ever.
    with pytest.raises(AtRestError, match="destroyed"):
        data_key_of(server.installation, ROUND)
    for sha256, data in stored.items():
        copy = tmp_path / sha256
        copy.write_bytes(data)
        with copy.open("rb") as file, pytest.raises(AtRestError):
            list(decrypt_stream(file, data_key=bytes(32), context=encoding_context(ROUND, sha256)))
