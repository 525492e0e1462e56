"""An update of the program over a server that stored encodings in the clear."""

from api.server.services.encodings import FileStorage
from api.server.services.upgrade import encrypt_stored
from api.server.services.work import own_caller
from keys.at_rest import is_encrypted
from tests.factories import ROUND
from tests.simulator import SimulatedServer, granted


def test_encodings_in_the_clear_are_encrypted_and_still_match(server: SimulatedServer) -> None:
    party = server.open_round()
    party.everybody_uploads()
    # As the first version kept them.
    storage = server.installation.encodings
    assert isinstance(storage, FileStorage)
    paths = {file.sha256: storage.path(ROUND, file.sha256) for file in party.files.values()}
    for file in party.files.values():
        paths[file.sha256].write_bytes(file.data)
    administrator = own_caller("administrator")
    assert encrypt_stored(server.installation, administrator) == len(paths)
    for file in party.files.values():
        stored = paths[file.sha256].read_bytes()
        assert is_encrypted(stored)
        assert file.data[:64] not in stored
        assert server.plaintext(ROUND, file.sha256) == file.data
    assert encrypt_stored(server.installation, administrator) == 0
    assert [e["action"] for e in server.log()].count("data:encrypt") == len(paths)
    granted(party.first.takes_step(ROUND, "freeze"))
    granted(party.first.takes_step(ROUND, "run"))
    assert server.worker().work_once()
    assert granted(party.first.reads_round(ROUND))["state"] == "review"
