"""A person with a browser and a device that shows one-time codes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyotp
from flask.testing import FlaskClient

from tests.simulator.answers import Answer

if TYPE_CHECKING:
    from tests.simulator.server import SimulatedServer


@dataclass
class Browser:
    """Somebody's browser: it keeps a cookie, and sends what pages of the server tell it to.

    Attributes:
        csrf_token: what the server's pages know since the login.
    """

    server: "SimulatedServer"
    client: FlaskClient
    origin: str = "192.0.2.7"
    csrf_token: str | None = None

    def sends(
        self,
        method: str,
        path: str,
        value: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, with JSON where there is a value."""
        own = {} if self.csrf_token is None else {"X-CSRF-Token": self.csrf_token}
        own |= {} if value is None else {"Content-Type": "application/json"}
        return self.server.ask(
            method,
            path,
            b"" if value is None else json.dumps(value).encode(),
            own | dict(headers or {}),
            {"REMOTE_ADDR": self.origin},
            self.client,
        )

    def gets(self, path: str) -> Answer:
        """GET."""
        return self.sends("GET", path)

    def posts(self, path: str, value: Any = None) -> Answer:
        """POST JSON."""
        return self.sends("POST", path, value)

    def logs_in(self, person: "Person", **changes: str) -> Answer:
        """Log in as a person, with changes to what the person would type."""
        typed = {"person": person.id, "password": person.password, "code": person.code()}
        answer = self.posts("/v1/session", typed | changes)
        if answer.status == 201:
            self.csrf_token = answer["csrf_token"]
        return answer


@dataclass
class Person:
    """Somebody who was invited and enrolled, with a device that shows one-time codes."""

    server: "SimulatedServer"
    id: str
    password: str
    secret: str
    recovery_codes: Sequence[str]

    def code(self, later_s: float = 0) -> str:
        """What the device shows."""
        return pyotp.TOTP(self.secret).at(int(self.server.clock().timestamp() + later_s))
