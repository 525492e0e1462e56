"""Roles in the reader's language."""

from pathlib import Path

import pytest
from flask import Flask
from flask_babel import force_locale

from api import pages
from api.pages.languages import speak_both
from api.pages.role_names import role_name


@pytest.fixture(scope="module")
def app() -> Flask:
    app = Flask(__name__)
    speak_both(app, str(Path(pages.__file__).parent / "translations"))
    return app


@pytest.mark.parametrize(
    ("language", "role", "shown"),
    [
        ("zh", "education", "教育 education"),
        ("zh", "residence-civil-affairs", "居住地民政 residence-civil-affairs"),
        ("zh", "womens-federation", "womens-federation"),
        ("en", "education", "education"),
    ],
)
def test_a_known_role_has_words_and_keeps_its_id(
    app: Flask, language: str, role: str, shown: str
) -> None:
    with app.test_request_context(), force_locale(language):
        assert role_name(role) == shown
