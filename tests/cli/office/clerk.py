"""What a clerk types and reads, and the addresses at the server that it leads to."""

import stat
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result

from api.cli import cli
from tests.api.loopback_server import Answer, Request
from tests.api.played_round import OFFICE, ROUND

Routes = dict[tuple[str, str], Answer | Callable[[Request], Answer]]

ROUND_PATH = f"/v1/rounds/{ROUND}"
OPEN = ("GET", ROUND_PATH)
PROFILE_ROUTE = ("GET", f"{ROUND_PATH}/profile")
SIGNATURE = ("PUT", f"{ROUND_PATH}/signatures/{OFFICE}")
UPLOAD = f"{ROUND_PATH}/uploads/{OFFICE}"
PART = f"{UPLOAD}/part"
COMPLETION = ("POST", f"{PART}/completion")


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def failed(result: Result, code: int = 1) -> str:
    """What the clerk reads of a failure: on stderr, and never a traceback."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert not result.stdout
    return " ".join(result.stderr.split())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
