"""The trust boundary at run time: what a server process loads cannot read or encode plaintext."""

import subprocess
import sys

import pytest

FORBIDDEN = (
    "linkage.records",
    "linkage.encoding",
    "linkage.quality.synthetic",
    "keys.linkage_secret",
    "api.office",
    "api.demo",
)

SERVER = "import api.server.serving, api.server.app, api.server.routes"
WORKER = "import api.server.worker"
COMMANDS = "import api.server.commands"


@pytest.mark.process
@pytest.mark.parametrize("imports", [SERVER, WORKER, COMMANDS])
def test_a_server_process_has_not_what_encodes(imports: str) -> None:
    program = (
        f"{imports}\nimport sys\nprint([m for m in sys.modules if m.startswith({FORBIDDEN!r})])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
