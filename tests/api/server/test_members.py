"""Members and projects."""

import pytest

from keys.identity import parse_public_identity
from tests import factories
from tests.factories import COORDINATOR, PROJECT, ROLES
from tests.simulator import Office, SimulatedServer, granted, refused

OFFICE = "jinjiang-civil"


class TestEnrolment:
    def test_waits_for_approval(self, server: SimulatedServer) -> None:
        office, chen = server.office(OFFICE), server.operator()
        assert office.identity is not None
        fingerprint = office.identity.public.fingerprint
        member = granted(office.enrols(), 201).json
        assert member == {
            "id": OFFICE,
            "kind": "office",
            "name": "jinjiang-civil (example 0)",
            "state": "pending",
            "fingerprint": fingerprint,
        }
        granted(office.enrols(), 200)
        assert granted(chen.approves(office))["state"] == "approved"
        assert granted(office.enrols(), 200)["state"] == "approved"

    def test_under_anothers_id(self, server: SimulatedServer) -> None:
        granted(server.office(OFFICE).enrols())
        impostor = Office(server, factories.identity(OFFICE, key=1))
        assert "tell" in refused(impostor.enrols(), "conflict")["detail"]

    def test_of_people(self, server: SimulatedServer) -> None:
        for kind in ("operator", "auditor"):
            person = Office(server, factories.identity(f"new-{kind}", kind))
            refused(person.enrols(), "forbidden")

    def test_after_revocation(self, server: SimulatedServer) -> None:
        office = server.enrolled_office(OFFICE)
        granted(server.operator().revokes(office))
        refused(office.enrols(), "forbidden")

    @pytest.mark.parametrize("holder", ["13812345678", "worker", "administrator"])
    def test_under_an_id_that_is_none(self, server: SimulatedServer, holder: str) -> None:
        refused(server.office(holder).enrols(), "invalid")

    def test_too_many_that_wait(self, server: SimulatedServer) -> None:
        (server.directory / "server.toml").write_text("max_pending_members = 2\n")
        object.__setattr__(server.installation.config, "max_pending_members", 2)
        granted(server.office("office-1").enrols())
        granted(server.office("office-2").enrols())
        refused(server.office("office-3").enrols(), "too-many")
        granted(server.office("office-1").enrols())


class TestApproval:
    def test_with_another_fingerprint(self, server: SimulatedServer) -> None:
        office, chen = server.office(OFFICE), server.operator()
        granted(office.enrols())
        other = factories.identity(OFFICE, key=1).public.fingerprint
        refused(chen.approves(office, other), "invalid")
        refused(office.gets("/v1/members"), "bad-signature")

    def test_of_nobody(self, server: SimulatedServer) -> None:
        refused(server.operator().approves(server.office(OFFICE)), "not-found")

    def test_after_revocation(self, server: SimulatedServer) -> None:
        office, chen = server.enrolled_office(OFFICE), server.operator()
        granted(chen.revokes(office))
        refused(chen.approves(office), "conflict")


class TestRevocation:
    @pytest.mark.parametrize("kind", ["operator", "auditor"])
    def test_an_operator_cannot_shut_out_who_watches(
        self, server: SimulatedServer, kind: str
    ) -> None:
        watcher = server.operator("luo") if kind == "operator" else server.auditor("he")
        refused(server.operator("chen").revokes(watcher), "forbidden")

    def test_takes_effect_at_once_and_stays(self, server: SimulatedServer) -> None:
        office, chen = server.enrolled_office(OFFICE), server.operator()
        granted(chen.revokes(office))
        granted(chen.revokes(office))
        (row,) = (row for row in server.rows("members") if row["id"] == OFFICE)
        assert (row["state"], row["revoked_by"]) == ("revoked", "chen")


class TestReading:
    def test_an_office_sees_approved_members(self, server: SimulatedServer) -> None:
        office, chen = server.enrolled_office(OFFICE), server.operator()
        granted(server.office("waiting-office").enrols())

        def seen(by: Office) -> set[str]:
            return {member["id"] for member in granted(by.gets("/v1/members"))["members"]}

        assert seen(office) == {OFFICE, "chen"}
        assert seen(Office(server, chen.identity)) == {OFFICE, "chen", "waiting-office"}
        refused(office.gets("/v1/members/waiting-office"), "not-found")

    def test_the_identity_is_the_one_that_was_enrolled(self, server: SimulatedServer) -> None:
        office = server.enrolled_office(OFFICE)
        answer = granted(server.enrolled_office("other-office").gets(f"/v1/members/{OFFICE}"))
        assert office.identity is not None
        assert parse_public_identity(answer["identity"]) == office.identity.public


class TestProjects:
    @pytest.fixture(autouse=True)
    def offices(self, server: SimulatedServer) -> None:
        for office in (COORDINATOR, *ROLES):
            server.enrolled_office(office)

    def test_is_created_once(self, server: SimulatedServer) -> None:
        chen = server.operator()
        project = granted(chen.creates_project(), 201).json
        assert granted(chen.creates_project(), 200).json == project
        refused(chen.creates_project(purpose="Something else"), "conflict")
        assert granted(chen.gets(f"/v1/projects/{PROJECT}")).json == project

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "Project"},
            {"id": "110101200001010"},
            {"members": []},
            {"members": [{"office": "unknown-office", "role": "education"}]},
            {"members": [{"office": "chen", "role": "education"}]},
            {"members": [{"office": OFFICE, "role": "a"}, {"office": OFFICE, "role": "b"}]},
            {"coordinating_office": "unknown-office"},
            {"name": " padded "},
            {"unknown": 1},
        ],
    )
    def test_that_is_wrong(self, server: SimulatedServer, changes: dict[str, object]) -> None:
        refused(server.operator().creates_project(**changes), "invalid")

    def test_sealed_secrets(self, server: SimulatedServer) -> None:
        granted(server.operator().creates_project())
        coordinator, office = server.enrolled_office(COORDINATOR), server.enrolled_office(OFFICE)
        path = f"/v1/projects/{PROJECT}/secrets/1/{OFFICE}"
        refused(office.gets(path), "not-found")
        granted(coordinator.puts_bytes(path, b"sealed"), 201)
        answer = granted(office.gets(path))
        assert (answer.body, answer.headers["Content-Type"]) == (
            b"sealed",
            "application/octet-stream",
        )
        again = granted(coordinator.puts_bytes(path, b"sealed anew"), 200)
        assert again.entries[0]["details"]["replaced"] is not None
        assert granted(office.gets(path)).body == b"sealed anew"
        refused(office.gets(path.replace("/1/", "/2/")), "not-found")
        refused(coordinator.puts_bytes(path, b""), "invalid")
        refused(coordinator.puts_bytes(path, b"x" * (64 * 1024 + 1)), "too-large")
        stranger = path.replace(OFFICE, "unknown-office")
        refused(coordinator.puts_bytes(stranger, b"sealed"), "not-found")

    @pytest.mark.parametrize("epoch", ["0", "01", "-1", "1000000", "x"])
    def test_epochs_have_one_spelling(self, server: SimulatedServer, epoch: str) -> None:
        office = server.enrolled_office(OFFICE)
        answer = office.gets(f"/v1/projects/{PROJECT}/secrets/{epoch}/{OFFICE}")
        assert answer.slug == "not-found"
