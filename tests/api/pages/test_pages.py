"""The common clothes of all pages: headers, languages, errors."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import lazy_gettext

from api.pages.headers import POLICY
from api.pages.languages import LANGUAGES
from api.pages.site import Place, dress


@pytest.fixture
def site() -> FlaskClient:
    app = Flask("site")
    app.config["SECRET_KEY"] = "for tests"
    dress(
        app,
        title=lazy_gettext("Office workbench"),
        places=(Place("home", lazy_gettext("Overview"), "house", "home"),),
    )

    @app.get("/")
    def home() -> str:
        from flask import render_template_string

        return render_template_string(
            '{% extends "pages/base.html" %}{% block content %}'
            "{{ 1234567|number }} {{ 0.256|percent }} {{ when|moment }}{% endblock %}",
            when="2026-11-26T17:30:00+00:00",
        )

    @app.post("/send")
    def send() -> str:
        return home()

    @app.post("/things/<name>/remove")
    def remove(name: str) -> str:
        return home()

    @app.get("/things/<name>")
    def thing(name: str) -> str:
        return home()

    @app.get("/fault")
    def fault() -> str:
        raise RuntimeError("王小明 510104201503070012")

    return app.test_client()


def test_every_answer_tells_browsers_to_take_nothing_from_elsewhere(site: FlaskClient) -> None:
    for path in ("/", "/no-such-page", "/static/pages/pages.css"):
        headers = site.get(path).headers
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert site.get("/").headers["Cache-Control"] == "no-store"


def test_a_page_names_no_other_host_and_runs_nothing_inline(site: FlaskClient) -> None:
    page = site.get("/").get_data(as_text=True)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "style=" not in page
    assert "<style" not in page
    assert "onclick" not in page
    assert page.count("<script") == page.count('<script src="/')


def test_chinese_comes_first_and_the_reader_can_switch(site: FlaskClient) -> None:
    page = site.get("/").get_data(as_text=True)
    assert '<html lang="zh-CN">' in page
    assert "单位工作台" in page
    answer = site.get("/?language=en&page=3")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/?page=3"
    page = site.get("/").get_data(as_text=True)
    assert '<html lang="en">' in page
    assert "Office workbench" in page
    site.get("/?language=zh")
    assert "单位工作台" in site.get("/").get_data(as_text=True)


@pytest.mark.parametrize("language", ["fr", "", "zh-CN", "../en", "en\r\nSet-Cookie: a=b"])
def test_an_unknown_language_changes_nothing(site: FlaskClient, language: str) -> None:
    answer = site.get("/", query_string={"language": language})
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    site.set_cookie("language", "fr")
    assert "单位工作台" in site.get("/").get_data(as_text=True)


@pytest.mark.parametrize("path", ["//evil.example/", "///evil.example", "//evil.example/%2e%2e"])
def test_switching_never_leads_to_another_host(site: FlaskClient, path: str) -> None:
    answer = site.get(path, query_string={"language": "en"})
    location = answer.headers.get("Location", "/")
    assert location.startswith("/")
    assert not location.startswith("//")


def test_numbers_shares_and_times_are_written_for_people(site: FlaskClient) -> None:
    page = site.get("/").get_data(as_text=True)
    assert "1,234,567" in page
    assert "25.6%" in page
    assert "2026-11-27 01:30" in page  # the time in Sichuan


def test_a_form_from_elsewhere_is_refused(site: FlaskClient) -> None:
    answer = site.post("/send")
    assert answer.status_code == 400
    assert "sent" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(("path", "status"), [("/no-such-page", 404), ("/send", 405)])
def test_an_error_says_what_to_do(site: FlaskClient, path: str, status: int) -> None:
    for code in LANGUAGES:
        site.set_cookie("language", code)
        answer = site.get(path)
        assert answer.status_code == status
        assert str(status) in answer.get_data(as_text=True)
        assert "btn-primary" in answer.get_data(as_text=True)


def test_a_fault_shows_and_logs_nothing_of_a_person(
    site: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = site.get("/fault")
    assert answer.status_code == 500
    for text in (answer.get_data(as_text=True), caplog.text):
        assert "王小明" not in text
        assert "510104" not in text
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize(
    ("sent_to", "page"), [("/things/one/remove", "/things/one"), ("/send", "/")]
)
def test_where_a_form_was_sent_the_language_leads_to_its_page(
    site: FlaskClient, sent_to: str, page: str
) -> None:
    site.application.config["WTF_CSRF_ENABLED"] = False
    shown = site.post(sent_to).get_data(as_text=True)
    assert f'href="{page}?language=en"' in shown
    assert site.get(page, query_string={"language": "en"}).headers["Location"] == page
