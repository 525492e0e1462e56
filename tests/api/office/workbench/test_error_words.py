"""Every error that pages can show has words in Chinese, by its type, code or slug."""

import ast
import errno
from pathlib import Path

import pytest
from flask import Flask

import api
import keys
import linkage
from api.client.errors import ApiError
from api.console import words
from api.console.words import refusal_advice
from api.office.workbench import error_words
from api.office.workbench.error_words import ToldError, tell
from api.office.workbench.jobs import BusyError
from api.pages.site import dress
from api.server.refusals import PROBLEMS, RefusalError
from keys.errors import KeysError, SealingError
from linkage.errors import LinkageError, RecordsError, TqeFormatError

ROOT = Path(linkage.__file__).parents[1]
READERS = ("tables", "untouched", "text_blocks", "workbook_errors", "text_files", "reading")
"""Modules that read what a clerk gives: each of their errors is told by its own words."""

HAN = "[一-鿿]"


@pytest.fixture
def chinese():  # type: ignore[no-untyped-def]
    app = Flask("words")
    app.config["SECRET_KEY"] = "for tests"
    dress(app, title="words", places=())
    with app.test_request_context("/"):
        yield


@pytest.fixture
def english():  # type: ignore[no-untyped-def]
    app = Flask("words")
    app.config["SECRET_KEY"] = "for tests"
    dress(app, title="words", places=())
    with app.test_request_context("/", headers={"Cookie": "language=en"}):
        yield


def subclasses(base: type[Exception]) -> set[type[Exception]]:
    return {base, *(each for kind in base.__subclasses__() for each in subclasses(kind))}


def calls(path: Path) -> list[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def literal(node: ast.expr | None) -> str | None:
    return str(node.value) if isinstance(node, ast.Constant) else None


def code_of(call: ast.Call) -> str | None:
    return next((literal(word.value) for word in call.keywords if word.arg == "code"), None)


def sources(*packages: object) -> list[Path]:
    folders = [Path(package.__file__).parent for package in packages]  # type: ignore[attr-defined]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def is_chinese(text: str) -> bool:
    """Han characters, and no English word but names of files and commands."""
    import re

    plain = re.sub(r"\.?(xlsx|CSV|csv|UTF-8|Excel|tongqiao audit witness)", "", text)
    return bool(re.search(HAN, plain)) and not re.search(r"[A-Za-z]{4,}", plain)


def test_every_type_of_the_libraries_has_words() -> None:
    named = set(error_words._BY_TYPE)
    for package in (LinkageError, KeysError):
        for kind in subclasses(package):
            if not issubclass(kind, ToldError) and kind.__module__.startswith(("linkage", "keys")):
                parents = [each for each in kind.__mro__ if each in named]
                assert parents[0] is not package or kind is package, f"{kind} has no words"


def test_every_error_of_reading_a_file_has_a_code() -> None:
    for name in READERS:
        path = ROOT / "linkage" / "records" / f"{name}.py"
        for call in calls(path):
            if name_of(call) == "RecordsError":
                assert code_of(call), f"{path.name}:{call.lineno} has no code"


def test_every_code_and_its_parameters_have_words() -> None:
    known = error_words._BY_CODE
    for path in sources(linkage, keys):
        for call in calls(path):
            if name_of(call).endswith("Error") and (code := code_of(call)):
                assert code in known, f"{path.name}:{call.lineno}: {code} has no words"
                given = {word.arg: "1" for word in call.keywords if word.arg != "code"}
                assert str(known[code]) % given  # raises where a parameter is missing


def test_every_slug_of_server_and_client_has_words() -> None:
    slugs = set(PROBLEMS)
    for path in sources(api):
        slugs |= {
            str(literal(call.args[0]))
            for call in calls(path)
            if name_of(call) == "ApiError" and call.args and literal(call.args[0])
        }
    assert {"bad-answer", "unreachable", "forbidden"} <= slugs
    assert slugs - set(error_words._BY_SLUG) == set()
    assert set(PROBLEMS) - set(words._ADVICE) - set(words._IN_SHORT) == set()


@pytest.mark.usefixtures("chinese")
def test_all_of_it_is_chinese() -> None:
    for table in (
        error_words._BY_TYPE, error_words._BY_CODE, error_words._BY_SLUG, error_words._BY_ERRNO,
        words._ADVICE, words._IN_SHORT,
    ):  # fmt: skip
        for key, text in table.items():
            assert is_chinese(str(text).replace("%(", "").replace(")s", "")) or "%(" in str(text), (
                key
            )


@pytest.mark.usefixtures("chinese")
def test_an_error_is_told_in_chinese_and_its_own_words_are_kept_apart() -> None:
    error = RecordsError("The file has no heading 'X'.", code="heading-missing", heading="X")
    told = tell(error)
    assert str(told) == "文件中已没有标题“X”，请重新选择列。"
    assert told.original == "The file has no heading 'X'."
    for other in (
        TqeFormatError("It is cut off."),
        SealingError("It was changed."),
        ApiError("wrong-state", 409, "The round is frozen.", "abc"),
        ApiError("never-heard-of", 418, "A teapot."),
        OSError(errno.ENOSPC, "No space left on device", "/secret/path"),
        BusyError("一"),
        ValueError("510104201503070012"),
    ):
        told = tell(other)
        assert is_chinese(told.text) or isinstance(other, BusyError), told
        assert "path" not in told.text + told.original
        assert "5101" not in told.text + told.original
    assert tell(ApiError("wrong-state", 409, "Frozen.", "abc")).request == "abc"


@pytest.mark.usefixtures("english")
def test_in_english_the_error_speaks_for_itself() -> None:
    error = RecordsError("The file has no heading 'X'.", code="heading-missing", heading="X")
    assert tell(error) == error_words.Told("The file has no heading 'X'.")
    assert refusal_advice(RefusalError("conflict", "There is a round already.")) == (
        "There is a round already."
    )


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("slug", sorted(PROBLEMS))
def test_the_console_tells_every_refusal_in_chinese(slug: str) -> None:
    assert is_chinese(refusal_advice(RefusalError(slug, "English words.")))
