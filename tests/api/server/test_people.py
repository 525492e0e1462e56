"""People: invited, enrolled once, disabled; attacks on the way in."""

import json
import re

import pytest

from api.audit.events import Action
from api.server.services.work import own_caller
from tests.simulator import SimulatedServer, granted, refused


def enrol_body(server: SimulatedServer, person: str = "wu") -> dict[str, str]:
    return {"person": person, "invitation": server.invitation(person)}


class TestEnrolment:
    def test_a_person_enrols_and_logs_in(self, server: SimulatedServer) -> None:
        wu = server.person("wu", "auditor")
        browser = server.browser()
        answer = granted(browser.logs_in(wu), 201)
        assert (answer["person"], answer["role"]) == ("wu", "auditor")
        granted(browser.gets("/v1/log/entries"))
        assert len(set(wu.recovery_codes)) == 10
        assert all(re.fullmatch(r"([A-Z2-7]{4}-){3}[A-Z2-7]{4}", c) for c in wu.recovery_codes)

    def test_an_invitation_is_good_once(self, server: SimulatedServer) -> None:
        body = enrol_body(server)
        browser = server.browser()
        secret = granted(browser.posts("/v1/enrolments", body))["secret"]
        from tests.simulator import Person

        device = Person(server, "wu", "", secret, ())
        whole = body | {"password": "correct horse battery", "code": device.code()}
        granted(browser.posts("/v1/enrolments/completion", whole), 201)
        refused(browser.posts("/v1/enrolments", body), "bad-login")
        refused(
            browser.posts("/v1/enrolments/completion", whole | {"code": device.code(60)}),
            "bad-login",
        )

    def test_an_invitation_ends(self, server: SimulatedServer) -> None:
        body = enrol_body(server)
        server.clock.advance(days=3, seconds=1)
        refused(server.browser().posts("/v1/enrolments", body), "bad-login")

    def test_an_invitation_is_for_one_person(self, server: SimulatedServer) -> None:
        body = enrol_body(server)
        server.invitation("zhao", "administrator")
        refused(server.browser().posts("/v1/enrolments", body | {"person": "zhao"}), "bad-login")
        refused(server.browser().posts("/v1/enrolments", body | {"person": "nobody"}), "bad-login")

    @pytest.mark.parametrize("invitation", ["0" * 32, "é", "x"])
    def test_a_guessed_invitation(self, server: SimulatedServer, invitation: str) -> None:
        body = enrol_body(server) | {"invitation": invitation}
        refused(server.browser().posts("/v1/enrolments", body), "bad-login")

    def test_with_a_wrong_code(self, server: SimulatedServer) -> None:
        body = enrol_body(server)
        granted(server.browser().posts("/v1/enrolments", body))
        whole = body | {"password": "correct horse battery", "code": "000000"}
        refused(server.browser().posts("/v1/enrolments/completion", whole), "bad-login")

    def test_before_there_is_a_code(self, server: SimulatedServer) -> None:
        whole = enrol_body(server) | {"password": "correct horse battery", "code": "000000"}
        refused(server.browser().posts("/v1/enrolments/completion", whole), "bad-login")

    def test_guessing_codes_comes_to_an_end(self, server: SimulatedServer) -> None:
        body = enrol_body(server)
        granted(server.browser().posts("/v1/enrolments", body))
        whole = body | {"password": "correct horse battery", "code": "000000"}
        slugs = [server.browser().posts("/v1/enrolments/completion", whole).slug for _ in range(11)]
        assert slugs == ["bad-login"] * 10 + ["too-many"]

    def test_the_server_keeps_no_secret_in_the_clear(self, server: SimulatedServer) -> None:
        wu = server.person()
        browser = server.browser()
        granted(browser.logs_in(wu), 201)
        cookie = browser.client.get_cookie("__Host-tongqiao", "linkage.example", "/")
        assert cookie is not None
        secrets = [wu.password, wu.secret, cookie.value, *wu.recovery_codes]
        server.installation.database.scrub(["people", "sessions"], patience_s=5)
        stored = b"".join(path.read_bytes() for path in server.database_files())
        log = json.dumps(server.log())
        for secret in secrets:
            assert secret.encode() not in stored
            assert secret.replace("-", "").encode() not in stored
            assert secret not in log

    def test_a_factor_of_another_person_opens_nothing(self, server: SimulatedServer) -> None:
        """Who can write the database gives a person's row another's factor: it does not open."""
        from api.server.models import Person as Row

        wu, zhao = server.person("wu"), server.person("zhao")
        with server.installation.work(own_caller("server")) as work:
            work.record(Action.SERVER_START)
            work.session.get_one(Row, "zhao").factor = work.session.get_one(Row, "wu").factor
        answer = server.browser().logs_in(zhao, code=wu.code())
        assert answer.status >= 400


class TestAdministration:
    def test_an_administrator_invites_and_disables(self, server: SimulatedServer) -> None:
        browser = server.logged_in("wu", "administrator")
        body = {"id": "zhao", "name": "赵", "role": "operator"}
        answer = granted(browser.posts("/v1/people", body), 201)
        assert answer["state"] == "invited"
        assert re.fullmatch(r"[0-9a-f]{32}", answer["invitation"])
        refused(browser.posts("/v1/people", body), "conflict")
        people = granted(browser.gets("/v1/people"))["people"]
        assert [(p["id"], p["state"]) for p in people] == [("wu", "active"), ("zhao", "invited")]
        assert "invitation" not in people[1]
        granted(browser.posts("/v1/people/zhao/disablement", {"reason": "left"}))
        with_it = {"person": "zhao", "invitation": answer["invitation"]}
        refused(server.browser().posts("/v1/enrolments", with_it), "bad-login")

    def test_who_is_disabled_is_out_at_once(self, server: SimulatedServer) -> None:
        zhao = server.person("zhao")
        browser = server.browser()
        granted(browser.logs_in(zhao), 201)
        granted(browser.gets("/v1/rounds"))
        admin = server.logged_in("wu", "administrator")
        granted(admin.posts("/v1/people/zhao/disablement", {"reason": "left"}))
        refused(browser.gets("/v1/rounds"), "no-session")
        server.clock.advance(seconds=60)
        refused(server.browser().logs_in(zhao), "bad-login")

    def test_a_new_invitation_voids_everything_before(self, server: SimulatedServer) -> None:
        zhao = server.person("zhao")
        browser = server.browser()
        granted(browser.logs_in(zhao), 201)
        admin = server.logged_in("wu", "administrator")
        granted(admin.posts("/v1/people/zhao/invitation"), 201)
        refused(browser.gets("/v1/rounds"), "no-session")
        server.clock.advance(seconds=60)
        refused(server.browser().logs_in(zhao), "bad-login")
        refused(server.browser().logs_in(zhao, code=zhao.recovery_codes[0]), "bad-login")

    def test_nobody_disables_the_last_administrator(self, server: SimulatedServer) -> None:
        browser = server.logged_in("wu", "administrator")
        refused(browser.posts("/v1/people/wu/disablement", {"reason": "x"}), "forbidden")
        refused(browser.posts("/v1/people/wu/invitation"), "forbidden")
        refused(browser.posts("/v1/people/nobody/invitation"), "not-found")

    def test_one_id_is_one_human_being_in_one_role(self, server: SimulatedServer) -> None:
        server.operator("chen")
        server.enrolled_office("jinjiang-civil")
        browser = server.logged_in("wu", "administrator")
        for person, role in (("chen", "auditor"), ("jinjiang-civil", "operator")):
            body = {"id": person, "name": "x", "role": role}
            refused(browser.posts("/v1/people", body), "conflict")
        granted(browser.posts("/v1/people", {"id": "chen", "name": "陈", "role": "operator"}), 201)

    @pytest.mark.parametrize("person", ["13800000000", "administrator", "a" * 64, "Wu", "../wu"])
    def test_an_id_that_may_not_stand_in_the_log(
        self, server: SimulatedServer, person: str
    ) -> None:
        browser = server.logged_in("wu", "administrator")
        body = {"id": person, "name": "x", "role": "operator"}
        refused(browser.posts("/v1/people", body), "invalid")

    def test_an_office_cannot_take_a_persons_id(self, server: SimulatedServer) -> None:
        server.person("wu")
        refused(server.office("wu").enrols(), "conflict")


class TestOwnAccount:
    def test_a_new_password(self, server: SimulatedServer) -> None:
        wu = server.person()
        browser, elsewhere = server.browser(), server.browser()
        granted(browser.logs_in(wu), 201)
        granted(elsewhere.logs_in(wu, code=wu.recovery_codes[0]), 201)
        server.clock.advance(seconds=31)
        body = {"password": wu.password, "code": wu.code(), "new_password": "quite another thing"}
        refused(browser.posts("/v1/account/password", body | {"password": "wrong"}), "bad-login")
        refused(browser.posts("/v1/account/password", body | {"code": "000000"}), "bad-login")
        refused(browser.posts("/v1/account/password", body | {"new_password": "x"}), "invalid")
        granted(browser.posts("/v1/account/password", body))
        for window in (browser, elsewhere):
            refused(window.gets("/v1/rounds"), "no-session")
        server.clock.advance(seconds=31)
        refused(browser.logs_in(wu), "bad-login")
        granted(browser.logs_in(wu, password="quite another thing"), 201)

    def test_recovery_codes_are_good_once(self, server: SimulatedServer) -> None:
        wu = server.person()
        code = wu.recovery_codes[3]
        granted(server.browser().logs_in(wu, code=code.lower()), 201)
        refused(server.browser().logs_in(wu, code=code), "bad-login")
        granted(server.browser().logs_in(wu, code=wu.recovery_codes[4].replace("-", "")), 201)

    def test_new_recovery_codes(self, server: SimulatedServer) -> None:
        wu = server.person()
        browser = server.browser()
        granted(browser.logs_in(wu), 201)
        server.clock.advance(seconds=31)
        proof = {"password": wu.password, "code": wu.code()}
        answer = granted(browser.posts("/v1/account/recovery-codes", proof), 201)
        assert not set(answer["recovery_codes"]) & set(wu.recovery_codes)
        refused(server.browser().logs_in(wu, code=wu.recovery_codes[0]), "bad-login")
        granted(server.browser().logs_in(wu, code=answer["recovery_codes"][0]), 201)


def test_everything_is_in_the_access_log(server: SimulatedServer) -> None:
    admin = server.logged_in("wu", "administrator")
    granted(admin.posts("/v1/people", {"id": "zhao", "name": "赵", "role": "operator"}), 201)
    granted(admin.sends("DELETE", "/v1/session"))
    said = [
        (entry["action"], entry["actor"], entry["details"].get("person")) for entry in server.log(1)
    ]
    assert said == [
        ("person:add", None, "wu"),
        ("person:enrol", None, "wu"),
        ("person:enrol", None, "wu"),
        ("session:begin", "wu", "wu"),
        ("person:add", "wu", "zhao"),
        ("session:end", "wu", "wu"),
    ]
