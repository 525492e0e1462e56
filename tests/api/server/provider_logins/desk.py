"""A server whose people log in at a provider, and what they do in front of it."""

import contextlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from api.server.services.people import add_person
from api.server.services.work import own_caller
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, RunningProvider
from tests.simulator import (
    BASE_URL,
    Answer,
    Browser,
    SimulatedClock,
    SimulatedServer,
    simulated_server,
)

SUBJECT = "a7f3-wu"


def settings_for(provider: RunningProvider, folder: Path, **changes: Any) -> str:
    secret = folder / "secret"
    secret.write_text(CLIENT_SECRET + "\n")
    secret.chmod(0o600)
    lines = {
        "public_url": BASE_URL,
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret_path": str(secret),
    } | changes
    return "".join(
        f"{name} = {value if isinstance(value, list | float) else repr(value)}\n"
        for name, value in lines.items()
    )


@dataclass
class Desk:
    """A server whose people log in at the provider."""

    server: SimulatedServer
    provider: RunningProvider

    def invitation(self, person: str = "wu", *, subject: str | None = None) -> str:
        added = add_person(
            self.server.installation, own_caller("administrator"), person, name="吴",
            role="operator", subject=subject,
        )  # fmt: skip
        return str(added["invitation"])

    def leaves(self, browser: Browser, **form: str) -> str:
        """Where the page leads that the button opens."""
        answer = asks(browser, "POST", "/console/login/provider", form)
        assert answer.status == 200, answer.body.decode()
        assert [entry["action"] for entry in answer.entries] == ["login:begin"]
        found = re.search(r'content="0; url=([^"]+)"', answer.body.decode())
        assert found is not None
        return html.unescape(found[1])

    def comes_back(self, browser: Browser, subject: str = SUBJECT, **form: str) -> Answer:
        """The whole way there and back."""
        back = self.provider.logs_in(self.leaves(browser, **form), subject)
        assert back.startswith(f"{BASE_URL}/console/login/return?")
        return asks(browser, "GET", back.removeprefix(BASE_URL))

    def enrolled(self, subject: str = SUBJECT, person: str = "wu") -> None:
        """An operator whom the provider vouches for with a second factor."""
        answer = self.comes_back(
            self.server.browser(), subject, person=person, invitation=self.invitation(person)
        )
        assert answer.status == 303, answer.body.decode()


@contextlib.contextmanager
def running_desk(folder: Path, provider: RunningProvider, **changes: Any) -> Iterator[Desk]:
    """A server with these settings; its clock begins with the provider's, which is real."""
    clock = SimulatedClock()
    clock.now = datetime.now(UTC)
    settings = settings_for(provider, folder, **changes)
    with simulated_server(folder, settings=settings, clock=clock) as server:
        yield Desk(server, provider)


def asks(browser: Browser, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    return browser.server.ask(
        method, path, urlencode(form or {}).encode(), headers,
        {"REMOTE_ADDR": browser.origin}, browser.client,
    )  # fmt: skip


def shut_out(answer: Answer, slug: str, **details: Any) -> None:
    """Refused on a page, for this reason, with an entry that says so, and no session."""
    assert answer.status == 401, answer.body.decode()
    (entry,) = answer.entries
    assert (entry["outcome"], entry["reason"]) == ("refused", slug)
    for name, value in details.items():
        assert entry["details"].get(name) == value, entry
    assert "__Host-tongqiao=" not in str(answer.headers.get("Set-Cookie", ""))


def is_in(browser: Browser) -> bool:
    return asks(browser, "GET", "/v1/session").status == 200
