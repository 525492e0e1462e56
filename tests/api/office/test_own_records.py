from pathlib import Path

import pytest

from api.office.own_records import load_own_records
from linkage.errors import RecordsError
from linkage.records.mapping import load_mapping
from linkage.records.reading import read_records

REGISTER = """流动儿童登记表,,
编号,姓名,备注
A-1,甲,x
,乙,no id
,,
A-1,丙,an id used twice
A-2,丁
A-3,戊,x,beyond the headings
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "register.csv").write_text(REGISTER, encoding="utf-8-sig")
    (tmp_path / "map.toml").write_text('[columns]\nrecord_id = "编号"\n', encoding="utf-8")
    return tmp_path


def test_rows_have_the_ids_that_encoding_gave_them(desk: Path) -> None:
    own = load_own_records(desk / "register.csv", desk / "map.toml")
    rows = list(own.rows)
    mapping = load_mapping(desk / "map.toml")
    batches = read_records(desk / "register.csv", mapping, ())
    encoded = [record_id for batch in batches for record_id in batch.record_ids]
    assert [record_id for record_id, _ in rows] == encoded
    assert len(set(encoded)) == 5


def test_rows_are_as_they_stand_in_the_file(desk: Path) -> None:
    own = load_own_records(desk / "register.csv", desk / "map.toml")
    assert own.headings == ("编号", "姓名", "备注")
    rows = [row for _, row in own.rows]
    assert rows[:2] == [["A-1", "甲", "x"], ["", "乙", "no id"]]
    assert [row[1] for row in rows] == ["甲", "乙", "丙", "丁", "戊"]


def test_a_mapping_of_another_file_is_refused(desk: Path) -> None:
    (desk / "map.toml").write_text('[columns]\nrecord_id = "学籍号"\n', encoding="utf-8")
    with pytest.raises(RecordsError, match="no heading"):
        load_own_records(desk / "register.csv", desk / "map.toml")
