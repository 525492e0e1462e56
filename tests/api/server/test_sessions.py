"""Sessions: begun by password and code, ended by time; attempts; forged requests."""

from pathlib import Path

import pytest

from api.server.app import create_app
from api.server.config import load_config
from tests.factories import ROUND
from tests.simulator import Browser, SimulatedServer, granted, refused, simulated_server


class TestLogin:
    @pytest.mark.parametrize(
        "typed",
        [
            {"password": "wrong password"},
            {"code": "000000"},
            {"code": "AAAA-AAAA-AAAA-AAAA"},
            {"person": "nobody"},
            {"person": "Wu"},
            {"password": "é" * 1024},
        ],
    )
    def test_that_does_not_fit(self, server: SimulatedServer, typed: dict[str, str]) -> None:
        wu = server.person()
        right = {"person": wu.id, "password": wu.password, "code": wu.code()}
        answer = refused(server.browser().posts("/v1/session", right | typed), "bad-login")
        assert "Set-Cookie" not in answer.headers
        # The log says whose account, and never what was typed.
        (entry,) = answer.entries
        assert entry["actor"] is None
        assert entry["details"] == ({} if "person" in typed else {"person": "wu"})

    @pytest.mark.parametrize("name", ["person", "password", "code"])
    def test_with_half_a_character(self, server: SimulatedServer, name: str) -> None:
        typed = {"person": "wu", "password": "x", "code": "000000"} | {name: "\ud800" * 6}
        refused(server.browser().posts("/v1/session", typed), "invalid")

    def test_every_reason_looks_the_same(self, server: SimulatedServer) -> None:
        wu = server.person()
        answers = [
            server.browser().logs_in(wu, password="wrong password"),
            server.browser().logs_in(wu, code="000000"),
            server.browser().posts(
                "/v1/session", {"person": "nobody", "password": "x", "code": "000000"}
            ),
        ]
        assert len({(a.status, a.json["detail"], a.json["title"]) for a in answers}) == 1

    def test_a_code_is_good_once(self, server: SimulatedServer) -> None:
        wu = server.person()
        code = wu.code()
        granted(server.browser().logs_in(wu, code=code), 201)
        refused(server.browser().logs_in(wu, code=code), "bad-login")

    def test_a_code_of_half_a_minute_ago(self, server: SimulatedServer) -> None:
        wu = server.person()
        server.clock.advance(seconds=300)
        refused(server.browser().logs_in(wu, code=wu.code(-65)), "bad-login")
        granted(server.browser().logs_in(wu, code=wu.code(-30)), 201)

    def test_the_cookie_is_out_of_reach(self, server: SimulatedServer) -> None:
        cookie = server.browser().logs_in(server.person()).headers["Set-Cookie"]
        assert cookie.startswith("__Host-tongqiao=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie

    def test_one_does_not_log_in_as_who_is_only_invited(self, server: SimulatedServer) -> None:
        server.invitation("zhao")
        answer = server.browser().posts(
            "/v1/session", {"person": "zhao", "password": "", "code": "000000"}
        )
        assert answer.slug == "invalid"
        refused(
            server.browser().posts(
                "/v1/session", {"person": "zhao", "password": "x", "code": "000000"}
            ),
            "bad-login",
        )


class TestEnd:
    def test_of_who_does_nothing(self, server: SimulatedServer) -> None:
        browser = server.logged_in()
        server.clock.advance(seconds=890)
        granted(browser.gets("/v1/rounds"))
        server.clock.advance(seconds=890)
        granted(browser.gets("/v1/rounds"))
        server.clock.advance(seconds=901)
        refused(browser.gets("/v1/rounds"), "no-session")

    def test_of_who_left_a_page_open_that_asks_how_far_a_matching_is(
        self, server: SimulatedServer
    ) -> None:
        """The page asks every two seconds, for hours; nobody need sit before it."""
        party = server.open_round()
        party.everybody_uploads()
        browser = server.logged_in("wu")
        steps = f"/v1/rounds/{ROUND}/transitions"
        for action in ("freeze", "run"):
            granted(browser.posts(steps, {"action": action}))
        for _ in range(14):
            server.clock.advance(minutes=1)
            assert browser.gets(f"/console/rounds/{ROUND}/progress").status == 200
        server.clock.advance(minutes=2)
        assert browser.gets(f"/console/rounds/{ROUND}/progress").status == 303
        refused(browser.gets("/v1/session"), "no-session")

    def test_of_who_never_rests(self, server: SimulatedServer) -> None:
        browser = server.logged_in()
        for _ in range(60):
            server.clock.advance(seconds=600)
            last = browser.gets("/v1/rounds")
        assert (last.status, last.slug) == (401, "no-session")

    def test_by_logging_out(self, server: SimulatedServer) -> None:
        browser = server.logged_in()
        cookie = browser.client.get_cookie("__Host-tongqiao", "linkage.example", "/")
        assert cookie is not None
        granted(browser.sends("DELETE", "/v1/session"))
        assert browser.client.get_cookie("__Host-tongqiao", "linkage.example", "/") is None
        # The server forgot it too: a stolen copy opens nothing.
        browser.client.set_cookie(
            "__Host-tongqiao", cookie.value, domain="linkage.example", secure=True
        )
        refused(browser.gets("/v1/rounds"), "no-session")

    def test_not_by_a_restart(self, server: SimulatedServer) -> None:
        browser = server.logged_in()
        app = create_app(load_config(server.directory), clock=server.clock)
        restarted = SimulatedServer(
            server.directory, server.clock, app.extensions["tongqiao"], app.test_client()
        )
        again = Browser(restarted, app.test_client())
        cookie = browser.client.get_cookie("__Host-tongqiao", "linkage.example", "/")
        assert cookie is not None
        again.client.set_cookie(
            "__Host-tongqiao", cookie.value, domain="linkage.example", secure=True
        )
        granted(again.gets("/v1/rounds"))
        restarted.installation.close()

    @pytest.mark.parametrize("token", ["", "x", "A" * 43, "é"])
    def test_of_a_session_that_never_was(self, server: SimulatedServer, token: str) -> None:
        browser = server.browser()
        browser.client.set_cookie("__Host-tongqiao", token, domain="linkage.example", secure=True)
        answer = browser.gets("/v1/rounds")
        assert answer.status == 401


class TestForgedRequests:
    def test_without_the_token(self, server: SimulatedServer) -> None:
        browser = server.logged_in("wu", "administrator")
        body = {"id": "zhao", "name": "x", "role": "administrator"}
        for token in (None, "0" * 64, ""):
            browser.csrf_token = token
            refused(browser.posts("/v1/people", body), "forged")

    def test_with_the_token_of_another_session(self, server: SimulatedServer) -> None:
        wu, zhao = server.logged_in("wu", "administrator"), server.logged_in("zhao", "operator")
        wu.csrf_token = zhao.csrf_token
        refused(wu.posts("/v1/people/zhao/disablement", {"reason": "x"}), "forged")

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
    def test_from_a_page_of_another_site(self, server: SimulatedServer, site: str) -> None:
        browser = server.logged_in("wu", "administrator")
        headers = {"Sec-Fetch-Site": site}
        refused(browser.sends("DELETE", "/v1/session", headers=headers), "forged")
        answer = browser.sends("POST", "/v1/session", {"person": "wu"}, headers)
        assert answer.slug == "forged"

    def test_as_a_form_of_another_site_would_send_it(self, server: SimulatedServer) -> None:
        answer = server.ask(
            "POST",
            "/v1/session",
            b'{"person": "wu", "password": "x", "code": "000000", "a": "="}',
            {"Content-Type": "text/plain"},
        )
        assert answer.slug == "invalid"

    def test_reading_needs_no_token(self, server: SimulatedServer) -> None:
        browser = server.logged_in()
        token, browser.csrf_token = browser.csrf_token, None
        assert browser.gets("/v1/session")["csrf_token"] == token


class TestAttempts:
    def test_on_one_account_from_everywhere(self, server: SimulatedServer) -> None:
        wu = server.person()
        for number in range(10):
            wrong = server.browser(f"198.51.100.{number}").logs_in(wu, password="wrong password")
            refused(wrong, "bad-login")
        refused(server.browser().logs_in(wu), "too-many")
        server.clock.advance(seconds=901)
        granted(server.browser().logs_in(wu), 201)

    def test_on_all_accounts_from_one_address(self, tmp_path: Path, database_kind: str) -> None:
        with simulated_server(tmp_path, settings="max_address_attempts = 5\n") as server:
            wu = server.person()
            for number in range(5):
                body = {"person": f"guess{number}", "password": "x", "code": "000000"}
                refused(server.browser("203.0.113.5").posts("/v1/session", body), "bad-login")
            refused(server.browser("203.0.113.5").logs_in(wu), "too-many")
            granted(server.browser("203.0.113.6").logs_in(wu), 201)

    def test_are_not_forgotten_by_a_restart(self, server: SimulatedServer) -> None:
        wu = server.person()
        for _ in range(10):
            refused(server.browser().logs_in(wu, code="000000"), "bad-login")
        app = create_app(load_config(server.directory), clock=server.clock)
        restarted = SimulatedServer(
            server.directory, server.clock, app.extensions["tongqiao"], app.test_client()
        )
        refused(restarted.browser().logs_in(wu), "too-many")
        restarted.installation.close()

    def test_success_takes_them_back(self, server: SimulatedServer) -> None:
        wu = server.person()
        for _ in range(3):
            for _ in range(8):
                refused(server.browser().logs_in(wu, code="000000"), "bad-login")
            server.clock.advance(seconds=31)
            granted(server.browser().logs_in(wu), 201)

    def test_at_the_same_time_are_all_counted(self, server: SimulatedServer) -> None:
        import threading

        wu = server.person()
        body = {"person": "wu", "password": "wrong password", "code": "000000"}
        app = server.client.application
        statuses = []

        def attempt() -> None:
            answer = app.test_client().post(
                "/v1/session", json=body, base_url="https://linkage.example"
            )
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=attempt) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [401] * 10 + [429] * 6
        refused(server.browser().logs_in(wu), "too-many")


class TestRoles:
    def test_two_people_run_and_release_a_round(self, server: SimulatedServer) -> None:
        party = server.open_round()
        party.everybody_uploads()
        wu, zhao = server.logged_in("wu"), server.logged_in("zhao")
        path = f"/v1/rounds/{ROUND}/transitions"
        for action in ("freeze", "run"):
            granted(wu.posts(path, {"action": action}))
        server.worker().work_once()
        refused(wu.posts(path, {"action": "release"}), "second-person")
        refused(zhao.posts(path, {"action": "release"}), "not-reviewed")
        granted(zhao.gets(f"/v1/rounds/{ROUND}/review"))
        granted(zhao.posts(path, {"action": "release"}))
        said = [(e["action"], e["actor"], e["role"]) for e in server.log() if e["actor"] == "zhao"]
        assert said[-1] == ("round:release", "zhao", "operator")

    def test_one_human_being_is_not_two_people(self, server: SimulatedServer) -> None:
        """Running with a key and releasing in the browser is still the same person."""
        party = server.open_round()
        party.is_matched()
        browser = server.logged_in(party.first.id)
        path = f"/v1/rounds/{ROUND}/transitions"
        refused(browser.posts(path, {"action": "release"}), "second-person")

    def test_a_signed_request_does_not_open_what_is_for_people(
        self, server: SimulatedServer
    ) -> None:
        refused(server.operator().gets("/v1/session"), "no-session")
        refused(server.auditor().gets("/v1/people"), "no-session")

    def test_a_cookie_beside_a_signature_changes_nothing(self, server: SimulatedServer) -> None:
        browser = server.logged_in("wu", "administrator")
        headers = server.operator("chen").signs_request("GET", "/v1/people")
        answer = browser.sends("GET", "/v1/people", headers=headers)
        refused(answer, "no-session")
