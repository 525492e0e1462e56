"""Rounds that many tests begin with, and everybody who has a part in them.

Playing a scene takes many requests; so once it was played, the next new server gets the database
that the first was left with.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.server.services.installation import Installation
from tests import databases, factories, postgresql
from tests.factories import COORDINATOR, ROLES, ROUND, SECRET
from tests.simulator.answers import granted
from tests.simulator.office import Office
from tests.simulator.operators import Auditor, Operator

if TYPE_CHECKING:
    from tests.simulator.server import SimulatedServer

_SCENES: dict[tuple[str, str], tuple[Any, datetime]] = {}
"""Databases after scenes that were played (a SQLite file's bytes, the name of a PostgreSQL
database), and when that was; keys of people stay the same."""


@dataclass
class OpenRound:
    """A round with everybody who has a part in it.

    Attributes:
        files: office -> its encoded file.
    """

    coordinator: Office
    offices: Sequence[Office]
    files: Mapping[str, factories.EncodedTestFile]
    first: Operator
    second: Operator
    auditor: Auditor

    def office(self, office: str) -> Office:
        """One of the offices that bring records."""
        return next(entry for entry in self.offices if entry.id == office)

    def everybody_uploads(self) -> None:
        """Each office uploads its file."""
        for office in self.offices:
            granted(office.uploads(ROUND, self.files[office.id].data))

    def is_matched(self) -> None:
        """Everybody uploads; the first operator freezes and runs; the worker matches."""
        self.everybody_uploads()
        granted(self.first.takes_step(ROUND, "freeze"))
        granted(self.first.takes_step(ROUND, "run"))
        assert self.first.server.worker().work_once()

    def is_released(self) -> None:
        """All the way to the release by the second operator."""
        self.is_matched()
        granted(self.second.takes_step(ROUND, "release"))


def draft_round(server: "SimulatedServer", terms: Mapping[str, Any]) -> OpenRound:
    """A project of approved offices, and a round that is not open yet."""
    return _played(server, f"draft {terms}", lambda: _play_draft(server, terms))


def open_round(server: "SimulatedServer", terms: Mapping[str, Any]) -> OpenRound:
    """A round that everybody has signed, ready for uploads."""
    return _played(server, f"open {terms}", lambda: _play_open(server, terms))


def _play_draft(server: "SimulatedServer", terms: Mapping[str, Any]) -> OpenRound:
    first, second, auditor = server.operator("chen"), server.operator("luo"), server.auditor("he")
    coordinator = server.enrolled_office(COORDINATOR)
    offices = [server.enrolled_office(office) for office in ROLES]
    granted(first.creates_project())
    granted(first.creates_round(**terms), 201)
    files = encoded_files(server.directory.parent)
    return OpenRound(coordinator, offices, files, first, second, auditor)


def _play_open(server: "SimulatedServer", terms: Mapping[str, Any]) -> OpenRound:
    round_ = _play_draft(server, terms)
    granted(round_.first.takes_step(ROUND, "open"))
    granted(round_.coordinator.signs(ROUND, secret=SECRET))
    for office in round_.offices:
        granted(office.signs(ROUND))
    return round_


def _played(server: "SimulatedServer", scene: str, play: Callable[[], OpenRound]) -> OpenRound:
    """Play a scene on a new server; once played, the next new server gets its database."""
    if server.log_size() > 1:
        return play()
    key = (databases.kind(), scene)
    if key not in _SCENES:
        round_ = play()
        _SCENES[key] = (_copy_database(server.installation), server.clock.now)
        return round_
    database, server.clock.now = _SCENES[key]
    _restore_database(server.installation, database)
    return OpenRound(
        server.office(COORDINATOR),
        [server.office(office) for office in ROLES],
        encoded_files(server.directory.parent),
        server.party(Operator, "chen", "operator"),
        server.party(Operator, "luo", "operator"),
        server.party(Auditor, "he", "auditor"),
    )


def _copy_database(installation: Installation) -> Any:
    config = installation.config
    if config.database == "sqlite":
        # All of it is in the one file when the log before it is emptied.
        assert installation.database.scrub(["members"], patience_s=5)
        return config.database_file.read_bytes()
    installation.close()
    return postgresql.new_database(template=str(config.database_url.database))


def _restore_database(installation: Installation, copy: Any) -> None:
    config = installation.config
    installation.close()
    if config.database == "sqlite":
        config.database_file.write_bytes(copy)
    else:
        name = str(config.database_url.database)
        postgresql.drop_database(name)
        postgresql.new_database(template=copy, name=name)


def encoded_files(folder: Path) -> dict[str, factories.EncodedTestFile]:
    """An encoded file of each office; any two know some of the same 60 children."""
    target = folder / "encoded"
    target.mkdir(exist_ok=True)
    files = {}
    for office, (data, number_of) in _encoded_shares().items():
        path = target / f"{office}.tqe"
        path.write_bytes(data)
        files[office] = factories.EncodedTestFile(path, number_of)
    return files


@cache
def _encoded_shares() -> dict[str, tuple[bytes, Mapping[str, str]]]:
    known = factories.children(60)
    shares = zip(ROLES, (known[:45], known[15:], known[20:40]), strict=True)
    with tempfile.TemporaryDirectory() as folder:
        made = {
            office: factories.encoded_file(Path(folder) / f"{office}.tqe", share)
            for office, share in shares
        }
        return {office: (file.data, file.number_of) for office, file in made.items()}
