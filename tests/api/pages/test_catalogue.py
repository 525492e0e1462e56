"""The catalogue has every string of the pages, translated, and is compiled."""

import io
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import api.pages

FOLDER = Path(api.pages.__file__).parent / "translations"
ROOT = FOLDER.parents[2]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "_l": None, "lazy_gettext": None}

Key = str | tuple[str, ...]


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with (FOLDER / "zh/LC_MESSAGES/messages.po").open("rb") as file:
        return read_po(file, locale="zh")


def _strings(message: Message) -> tuple[str, ...]:
    found = message.string
    return (found,) if isinstance(found, str) else tuple(found or ())


def _by_id(catalogue: Catalog) -> dict[Key, tuple[str, ...]]:
    return {
        message.id if isinstance(message.id, str) else tuple(message.id): _strings(message)
        for message in catalogue
        if message.id
    }


def _used() -> set[Key]:
    with (FOLDER / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    return {
        found[2]
        for found in extract_from_dir(
            str(ROOT), methods, options, keywords=KEYWORDS, comment_tags=()
        )
    }


def test_every_string_of_the_pages_is_in_the_catalogue(catalogue: Catalog) -> None:
    listed = {message.id for message in catalogue if message.id}
    used = _used()
    assert used - listed == set(), "run `make translations` and translate what is new"
    assert listed - used == set(), "run `make translations`"


def test_every_string_is_translated(catalogue: Catalog) -> None:
    missing = [m.id for m in catalogue if m.id and not all(_strings(m))]
    assert missing == []
    same = [m.id for m in catalogue if m.id and m.id in _strings(m)]
    assert same == []


def test_translations_keep_their_placeholders(catalogue: Catalog) -> None:
    for message in catalogue:
        first = message.id if isinstance(message.id, str) else message.id[0]
        wanted = set(re.findall(r"%\(\w+\)\w", first))
        for text in _strings(message):
            if message.id:
                assert set(re.findall(r"%\(\w+\)\w", text)) == wanted, first


def test_the_compiled_catalogue_is_current(catalogue: Catalog) -> None:
    compiled = read_mo(io.BytesIO((FOLDER / "zh/LC_MESSAGES/messages.mo").read_bytes()))
    assert _by_id(compiled) == _by_id(catalogue), "run `make translations`"
