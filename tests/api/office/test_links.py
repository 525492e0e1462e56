from pathlib import Path

import pytest

from api.office.links import Link, load_links, load_pseudonym_map
from linkage.errors import RecordsError

_RECORD = "0" * 31 + "1"


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_links_are_read_back(tmp_path: Path) -> None:
    path = _file(
        tmp_path, f"link,record,counterpart,score,band\na1,{_RECORD},health,0.97,probable\n"
    )
    assert load_links(path) == [Link("a1", _RECORD, "health", 0.97, "probable")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pseudonym,record_id\n",
        "link,record,counterpart,score\n",
        "link,record,counterpart,score,band\na1,b,c\n",
        "link,record,counterpart,score,band\na1,b,c,high,certain\n",
        "link,record,counterpart,score,band\na1,b,c,nan,certain\n",
        "link,record,counterpart,score,band\na1,b,c,1.01,certain\n",
        "link,record,counterpart,score,band\na1,b,c,0.9,sure\n",
        "link,record,counterpart,score,band\na1,b,c,0.9,certain\na1,b,d,0.9,certain\n",
        'link,record,counterpart,score,band\n"a1,b,c,0.9,certain\n',
    ],
)
def test_what_is_no_file_of_links(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecordsError):
        load_links(_file(tmp_path, text))


def test_a_workbook_is_no_file_of_links(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(RecordsError, match="no file of links"):
        load_links(path)


def test_a_map_is_read_back(tmp_path: Path) -> None:
    path = _file(tmp_path, 'pseudonym,record_id\naa,"川-1, a"\nbb,2\n')
    assert load_pseudonym_map(path) == {"aa": "川-1, a", "bb": "2"}


@pytest.mark.parametrize(
    "text",
    [
        "link,record\n",
        "pseudonym,record_id\naa,1\naa,2\n",
        "pseudonym,record_id\naa,1\nbb,1\n",
        "pseudonym,record_id\naa\n",
    ],
)
def test_what_is_no_map(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecordsError) as caught:
        load_pseudonym_map(_file(tmp_path, text))
    assert "aa" not in str(caught.value)
