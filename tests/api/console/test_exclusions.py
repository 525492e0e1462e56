"""Taking offices out and ending rounds early, on the console's pages."""

import re

from tests.api.console.test_pages import asks, cheap_passwords, server  # noqa: F401 - fixtures
from tests.factories import PROJECT, ROUND
from tests.simulator import Browser, SimulatedServer

OFFICE = "jinjiang-civil"
PAGE = f"/console/rounds/{ROUND}"


def shown(browser: Browser, path: str = PAGE) -> str:
    asks(browser, "GET", f"{path}?language=en")
    return re.sub(r"\s+", " ", asks(browser, "GET", path).body.decode())


def sends(browser: Browser, path: str, **form: str) -> int:
    return asks(browser, "POST", path, {"sure": "yes", **form}).status


def test_before_the_freeze_one_operator_takes_an_office_out(
    server: SimulatedServer,  # noqa: F811
) -> None:
    server.open_round().everybody_uploads()
    wu = server.logged_in("wu")
    assert "it can send nothing more" in shown(wu)
    unsure = asks(wu, "POST", f"{PAGE}/exclusions", {"office": OFFICE})
    assert unsure.status == 409
    assert not unsure.changed
    assert sends(wu, f"{PAGE}/exclusions", office="") == 409
    assert sends(wu, f"{PAGE}/exclusions", office=OFFICE) == 303
    page = shown(wu)
    # Its name, as it calls itself, and its id.
    assert f'{OFFICE} (example 0) <span class="figures fw-normal">{OFFICE}</span>' in page
    assert '<span class="badge-state badge-wait">taken out</span>' in page
    assert f'<option value="{OFFICE}">' not in page


def test_too_few_lists_are_told_and_nothing_is_done(server: SimulatedServer) -> None:  # noqa: F811
    server.open_round().everybody_uploads()
    wu = server.logged_in("wu")
    assert sends(wu, f"{PAGE}/steps", step="freeze") == 303
    offices = re.findall(r'<option value="([a-z-]+)">[a-z-]+ \(', shown(wu))
    for office in offices[:-2]:
        assert sends(wu, f"{PAGE}/exclusions", office=office) == 303
    asks(wu, "GET", f"{PAGE}?language=zh")
    answer = asks(wu, "POST", f"{PAGE}/exclusions", {"office": offices[-1], "sure": "yes"})
    assert answer.status == 409
    assert "将少于两份" in answer.body.decode()
    assert not answer.changed


def test_what_is_released_takes_two_operators(server: SimulatedServer) -> None:  # noqa: F811
    server.open_round().is_released()
    wu, zheng = server.logged_in("wu"), server.logged_in("zheng")
    he = server.logged_in("he-web", "auditor")
    assert sends(wu, f"{PAGE}/exclusions", office=OFFICE) == 303
    mine, theirs, seen = shown(wu), shown(zheng), shown(he)
    for page in (mine, theirs, seen):
        assert f"wu asks to take {OFFICE} out" in page
    assert f"Agree: take {OFFICE} out" in theirs
    assert "Agree:" not in mine + seen
    assert "Take this request back" in mine
    assert "<form" not in seen.partition("<main")[2]
    # The same person again is no second one.
    assert sends(wu, f"{PAGE}/exclusions", office=OFFICE) == 303
    assert "taken out" not in shown(wu)
    assert sends(zheng, f"{PAGE}/exclusions", office=OFFICE) == 303
    assert "taken out" in shown(zheng)


def test_a_request_is_taken_back(server: SimulatedServer) -> None:  # noqa: F811
    server.open_round().is_released()
    wu, zheng = server.logged_in("wu"), server.logged_in("zheng")
    assert sends(wu, f"{PAGE}/expiry") == 303
    assert "wu asks to end this round now" in shown(zheng)
    assert sends(zheng, f"{PAGE}/expiry/recall") == 303
    assert "asks to end" not in shown(zheng)
    assert sends(zheng, f"{PAGE}/expiry/recall") == 409
    assert sends(wu, f"{PAGE}/exclusions", office=OFFICE) == 303
    assert sends(wu, f"{PAGE}/exclusions/recall", office=OFFICE) == 303
    assert "asks to take" not in shown(zheng)


def test_a_round_is_ended_early_by_two(server: SimulatedServer) -> None:  # noqa: F811
    server.open_round().is_released()
    wu, zheng = server.logged_in("wu"), server.logged_in("zheng")
    assert "offices have fetched their links" in shown(wu)
    assert asks(wu, "POST", f"{PAGE}/expiry").status == 409  # not sure
    assert sends(wu, f"{PAGE}/expiry") == 303
    assert sends(zheng, f"{PAGE}/expiry") == 303
    assert "Expired" in shown(zheng)


def test_an_office_leaves_a_project_once_no_round_has_it(
    server: SimulatedServer,  # noqa: F811
) -> None:
    server.open_round()
    wu = server.logged_in("wu")
    page = f"/console/projects/{PROJECT}"
    refused = asks(wu, "POST", f"{page}/exclusions", {"office": OFFICE, "sure": "yes"})
    assert refused.status == 422
    assert "仍在参加尚未结束的轮次" in refused.body.decode()
    assert sends(wu, f"{PAGE}/exclusions", office=OFFICE) == 303
    assert sends(wu, f"{page}/exclusions", office=OFFICE) == 303
    assert "taken out on" in shown(wu, page)
    assert f'<option value="{OFFICE}">' not in shown(wu, page)
