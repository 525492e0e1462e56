"""Those who run rounds, and those who look at what was done: operators and auditors."""

from datetime import datetime
from typing import Any

from tests import factories
from tests.factories import COORDINATOR, PROJECT, ROLES
from tests.simulator.answers import Answer
from tests.simulator.office import Office
from tests.simulator.party import Party


class Operator(Party):
    """A linkage operator: approves offices, runs rounds, sees aggregates."""

    def approves(self, office: Office, fingerprint: str | None = None) -> Answer:
        """Approve an office, with the fingerprint that it read out."""
        assert office.identity is not None
        heard = fingerprint or office.identity.public.fingerprint
        return self.posts(f"/v1/members/{office.id}/approval", {"fingerprint": heard})

    def revokes(self, member: Party, *, compromised_since: datetime | None = None) -> Answer:
        """Revoke a member."""
        body = {"reason": "its key was lost"}
        if compromised_since is not None:
            body["compromised_since"] = compromised_since.isoformat()
        return self.posts(f"/v1/members/{member.id}/revocation", body)

    def creates_project(self, **changes: Any) -> Answer:
        """Create the project of the factories, with changes."""
        project = {
            "id": PROJECT,
            "name": "流动儿童和留守儿童（测试）",
            "purpose": "Find children that two offices know.",
            "coordinating_office": COORDINATOR,
            "members": [{"office": office, "role": role} for office, role in ROLES.items()],
        }
        return self.posts("/v1/projects", project | changes)

    def creates_round(self, *, profile: str = factories.PROFILE_TEXT, **changes: Any) -> Answer:
        """Create a round with the terms of the factories, with changes."""
        return self.posts("/v1/rounds", {"terms": factories.terms(**changes), "profile": profile})

    def amends(
        self, round_id: str, *, profile: str = factories.PROFILE_TEXT, **changes: Any
    ) -> Answer:
        """Change the terms of a round to those of the factories, with changes."""
        body = {"terms": factories.terms(**changes), "profile": profile}
        return self.puts(f"/v1/rounds/{round_id}/terms", body)

    def takes_step(self, round_id: str, action: str) -> Answer:
        """Open, freeze, run, release or cancel a round."""
        if action == "release":
            # Nobody releases what he has not read; what is refused then is refused below as well.
            self.reads_review(round_id)
        return self.takes_blind_step(round_id, action)

    def takes_blind_step(self, round_id: str, action: str) -> Answer:
        """As :meth:`takes_step`, without reading the review before a release."""
        return self.posts(f"/v1/rounds/{round_id}/transitions", {"action": action})

    def excludes(self, round_id: str, office: str) -> Answer:
        """Ask to take an office out of a round."""
        return self.sends("PUT", f"/v1/rounds/{round_id}/exclusions/{office}")

    def recalls(self, round_id: str, office: str = next(iter(ROLES))) -> Answer:
        """Take back a request to take an office out."""
        return self.sends("DELETE", f"/v1/rounds/{round_id}/exclusions/{office}")

    def expires(self, round_id: str) -> Answer:
        """Ask to end a released round early."""
        return self.sends("PUT", f"/v1/rounds/{round_id}/expiry")

    def recalls_expiry(self, round_id: str) -> Answer:
        """Take back a request to end a round early."""
        return self.sends("DELETE", f"/v1/rounds/{round_id}/expiry")

    def excludes_from_project(self, office: str) -> Answer:
        """Take an office out of the project."""
        return self.sends("PUT", f"/v1/projects/{PROJECT}/exclusions/{office}")

    def reads_review(self, round_id: str) -> Answer:
        """Read the aggregates of a matched round."""
        return self.gets(f"/v1/rounds/{round_id}/review")


class Auditor(Party):
    """An auditor: reads the access log."""

    def reads_log(self, start: int = 0, limit: int = 1000) -> Answer:
        """Read entries."""
        return self.gets(f"/v1/log/entries?start={start}&limit={limit}")

    def marks_finding(self, finding: str, *, entry: int = 0, verdict: str = "explained") -> Answer:
        """Note that a finding of a report was looked at."""
        mark = {"finding": finding, "kind": "night", "verdict": verdict, "entry": entry}
        return self.posts("/v1/log/findings", mark)

    def reads_checkpoint(self) -> Answer:
        """Read a signed checkpoint."""
        return self.gets("/v1/log/checkpoint")
