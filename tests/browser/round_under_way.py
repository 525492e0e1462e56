"""A whole round in real processes, up to where a person at a page goes on."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from api.cli import cli
from api.demo.cast import COORDINATOR, OfficeDesk
from api.demo.play import Play
from api.demo.processes import DemoError, Stage
from keys.storage import load_public_identity

OFFICE = "jinjiang-civil"
_CHILDREN = 300
_SEED = 5
_START_TIMEOUT_S = 60.0


@dataclass
class RoundUnderWay:
    """What the others did, and where the workbench of the last office answers."""

    play: Play
    desk: OfficeDesk
    workbench_url: str = ""

    def invite(self, person: str, role: str) -> str:
        """Invite a person on the server itself; the invitation."""
        told = self.play.stage.run(
            "server",
            "add-person",
            self.play.server_folder,
            person,
            "--name",
            "示例",
            "--role",
            role,
        )
        found = re.search(r"\b[0-9a-f]{32}\b", told)
        assert found is not None, told
        return found[0]

    def fingerprint_of_the_coordinator(self) -> str:
        """What the coordinating office reads out by telephone."""
        folder = self.play.coordinator_folder / "keys"
        return load_public_identity(folder / f"{COORDINATOR}.public.json").fingerprint

    def match_and_release(self) -> None:
        """The operators freeze, run, review and release."""
        self.play.match()


class CommandsHere(Stage):
    """Runs commands in this process, one at a time; servers are still processes of their own.

    What is played before a person comes to a page is tested elsewhere in processes: starting one
    for each of some forty commands would take longer than all of them.
    """

    _turn = threading.Lock()

    def run(self, *arguments: str | Path) -> str:
        """Run one ``tongqiao`` command to its end and return what it wrote to stdout."""
        with self._turn:
            done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        if done.exit_code != 0:
            raise DemoError(f"`tongqiao {arguments[0]} ...` ended with {done.exit_code}") from (
                done.exception
            )
        return done.stdout


@contextmanager
def round_under_way(root: Path) -> Iterator[RoundUnderWay]:
    """Play the round up to where the last office has still to sign, and open its workbench."""
    with _secret_shared(root) as play:
        desk = next(desk for desk in play.desks if desk.office == OFFICE)
        play.desks = tuple(other for other in play.desks if other is not desk)
        play.open_round()
        play.encode()
        yield RoundUnderWay(play, desk, _start_workbench(play, desk))


@contextmanager
def round_with_all_lists(root: Path) -> Iterator[RoundUnderWay]:
    """Play the round up to where every office has sent its list."""
    with _secret_shared(root) as play:
        play.open_round()
        play.encode()
        yield RoundUnderWay(play, play.desks[0])


@contextmanager
def _secret_shared(root: Path) -> Iterator[Play]:
    root.mkdir(parents=True)
    stage = CommandsHere(root)
    play = Play(root, stage)
    try:
        play.invent_registers(_CHILDREN, _SEED)
        play.make_keys()
        play.start_server()
        play.enrol()
        play.share_secret()
        yield play
    finally:
        stage.stop_all()


def _start_workbench(play: Play, desk: OfficeDesk) -> str:
    process = play.stage.start(
        "workbench", "office", "workbench", "--dir", play.root / "workbench", "--port", "0",
        "--server", play.server_url, "--keys", desk.keys, "--secret-file", desk.secret,
        "--no-browser",
    )  # fmt: skip
    log = play.root / "logs" / "workbench.log"
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:\d+/\S+", log.read_text(encoding="utf-8"))
        if found:
            return found[0]
        assert process.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.1)
    raise AssertionError("the workbench did not start")
