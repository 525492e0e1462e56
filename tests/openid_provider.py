"""An OpenID provider in a process of its own, over real HTTP; it can be told to lie.

What it must never do, it does when a test tells it to (:class:`Lies`); the application itself is
``tests/openid_provider_app.py``.
"""

import contextlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[1]
CLIENT_ID, CLIENT_SECRET = "linkage-server", "between the two of us"
START_TIMEOUT_S = 120.0


@dataclass
class Lies:
    """What the provider does wrong, until it is told otherwise.

    Attributes:
        claims: in ID tokens, instead of the right ones; ``None`` leaves one out.
        sign: how ID tokens are signed: rightly (empty), ``none``, ``public-key-as-secret``,
            ``client-secret``, ``other-key`` (under the right key's id), ``unknown-key``,
            ``cut-off``.
        metadata: instead of the right entries.
        status: of every answer but to people; 0: as it should be. A redirect leads to what would
            have been right.
        body: instead of every answer but to people, where not empty.
        silent_s: pause before every answer but to people.
        issuer: ``iss`` beside the code, instead of the right one; ``-``: none.
        id_token: whether there is one.
    """

    claims: dict[str, Any] = field(default_factory=dict)
    sign: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    status: int = 0
    body: str = ""
    silent_s: float = 0
    issuer: str = ""
    id_token: bool = True


@dataclass
class RunningProvider:
    """The process, seen from a test."""

    process: subprocess.Popen[bytes]
    port: int
    host: str = "127.0.0.1"
    certificate: Path | None = None

    @property
    def issuer(self) -> str:
        """Its name."""
        return f"http{'' if self.certificate is None else 's'}://{self.host}:{self.port}"

    def lies(self, **how: Any) -> None:
        """From now on: rightly, but for this."""
        self._tells("/test/lies", asdict(Lies(**how)))

    def says_of(self, subject: str, **claims: Any) -> None:
        """Claims about somebody, in every ID token from now on."""
        self._tells(f"/test/people/{subject}", claims)

    def logs_in(self, url: str, subject: str) -> str:
        """What a person does there who was sent with this address; returns where it leads back."""
        answer = requests.post(
            url,
            data={"subject": subject},
            allow_redirects=False,
            timeout=START_TIMEOUT_S,
            verify=self._trusted,
        )
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    @property
    def _trusted(self) -> str | bool:
        return True if self.certificate is None else str(self.certificate)

    def _tells(self, path: str, value: Any) -> None:
        answer = requests.put(
            self.issuer + path, json=value, timeout=START_TIMEOUT_S, verify=self._trusted
        )
        answer.raise_for_status()

    def stop(self) -> None:
        """Away."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(START_TIMEOUT_S)


@contextlib.contextmanager
def running_provider(
    folder: Path, host: str = "127.0.0.1", *, tls: tuple[Path, Path] | None = None
) -> Iterator[RunningProvider]:
    """Start the provider, with TLS where a certificate and its key are given."""
    port_file = folder / f"provider-{secrets.token_hex(4)}"
    with (folder / "provider.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.openid_provider_app", host, str(port_file)]
            + [str(file) for file in tls or ()],
            cwd=ROOT,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not port_file.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline, "the provider did not start"
            time.sleep(0.02)
        yield RunningProvider(
            process, int(port_file.read_text()), host, None if tls is None else tls[0]
        )
    finally:
        process.kill()
        process.wait()
