"""MAP.toml: what it may say, and that what is written is read back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.records.mapping import ColumnMapping, load_mapping, mapping_to_toml, parse_mapping

ISSUE_EXAMPLE = """
[source]
encoding = "auto"            # utf-8, gb18030, xlsx ... or auto
sheet = 1                    # xlsx only
[columns]                    # canonical field = heading in the file
record_id = "登记编号"
name = "儿童姓名"
sex = "性别"
birth_date = "出生日期"
id_number = "身份证号"
guardian_name = "监护人姓名"
guardian_phone = "联系电话"
hukou_division = "户籍地区划"
residence_division = "现居住地区划"
[values.sex]
"男" = "M"
"女" = "F"
"""


def test_the_example_of_the_format() -> None:
    mapping = parse_mapping(ISSUE_EXAMPLE)
    assert mapping.encoding == "auto"
    assert mapping.sheet == 1
    assert list(mapping.columns)[:2] == ["record_id", "name"]
    assert mapping.columns["residence_division"] == "现居住地区划"
    assert mapping.values == {"sex": {"男": "M", "女": "F"}}


def test_the_source_may_be_left_out() -> None:
    assert parse_mapping('[columns]\nrecord_id = "id"') == ColumnMapping({"record_id": "id"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[columns", "not valid TOML"),
        ("", r"no \[columns\]"),
        ("columns = 1", "must be a table"),
        ('[columns]\nname = "姓名"', "record_id"),
        ('[columns]\nrecord_id = ""', "heading"),
        ("[columns]\nrecord_id = 5", "heading"),
        ('[columns]\nrecord_id = "a"\n"姓名" = "name"', "On the left stand fields"),
        ('[columns]\nrecord_id = "a"\nx = "b"\ny = " B"', "same column"),
        ('[columns]\nrecord_id = "a"\n[column]\n', "not known there: column"),
        ('[columns]\nrecord_id = "a"\n[source]\ncodec = "x"', "not known there: codec"),
        ('[columns]\nrecord_id = "a"\n[source]\nencoding = "rot13"', "'encoding'"),
        ('[columns]\nrecord_id = "a"\n[source]\nencoding = 8', "'encoding'"),
        ('[columns]\nrecord_id = "a"\n[source]\nsheet = 0', "'sheet'"),
        ('[columns]\nrecord_id = "a"\n[source]\nsheet = true', "'sheet'"),
        ('[columns]\nrecord_id = "a"\n[values]\nsex = 1', "must be a table"),
        ('[columns]\nrecord_id = "a"\n[values.sex]\n"1" = 1', "from"),
        ('[columns]\nrecord_id = "a"\n[values."X Y"]\n', "On the left stand fields"),
    ],
)
def test_what_a_mapping_may_not_say(text: str, message: str) -> None:
    with pytest.raises(RecordsError, match=message):
        parse_mapping(text)


def test_the_record_id_may_share_its_column() -> None:
    mapping = parse_mapping('[columns]\nrecord_id = "学籍号"\nid_number = "学籍号"')
    assert len(mapping.columns) == 2


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
HEADINGS = TEXTS.filter(lambda text: bool(text.strip()))


@given(
    st.dictionaries(NAMES, HEADINGS, max_size=4),
    st.dictionaries(NAMES, st.dictionaries(TEXTS, TEXTS, max_size=3), max_size=2),
    st.sampled_from(["auto", "gb18030", "xlsx"]),
    st.integers(1, 99),
    st.lists(TEXTS, max_size=3),
)
def test_what_is_written_is_read_back(
    columns: dict[str, str],
    values: dict[str, dict[str, str]],
    encoding: str,
    sheet: int,
    unplaced: list[str],
) -> None:
    columns = {name: f"{i} {heading}" for i, (name, heading) in enumerate(columns.items())}
    mapping = ColumnMapping({"record_id": "编号"} | columns, values, encoding, sheet)
    text = mapping_to_toml(mapping, absent=["x"], unplaced=unplaced, notes={"record_id": "look"})
    assert parse_mapping(text) == mapping


def test_the_comments_tell_a_clerk_what_to_do() -> None:
    text = mapping_to_toml(
        ColumnMapping({"name": "姓名"}),
        absent=["sex"],
        unplaced=["备注"],
        notes={"name": "check it"},
    )
    assert '# record_id = "..."  # needed' in text
    assert 'name = "姓名"  # check it' in text
    assert '# sex = "..."  # not found' in text
    assert "#   备注" in text
    with pytest.raises(RecordsError, match="record_id"):
        parse_mapping(text)


def test_loading_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(ISSUE_EXAMPLE, encoding="utf-8-sig")
    assert load_mapping(path) == parse_mapping(ISSUE_EXAMPLE)
    path.write_bytes(ISSUE_EXAMPLE.encode("gb18030"))
    with pytest.raises(RecordsError, match="UTF-8"):
        load_mapping(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(RecordsError, match="too long"):
        load_mapping(path)
    with pytest.raises(RecordsError, match="cannot be read"):
        load_mapping(tmp_path / "none.toml")
