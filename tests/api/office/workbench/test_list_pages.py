"""A clerk takes in a list, corrects its columns and sees its problems."""

import io
import os
import stat
from pathlib import Path

import openpyxl
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.office.workbench.desk import Desk
from tests.linkage.records.files import write_xlsx

HEADINGS = "登记编号,儿童姓名,性别,出生日期,身份证号,监护人姓名,联系电话,户籍地区划,现居住地区划"
HELD = (
    *("name", "sex", "birth_date", "id_number", "guardian_name", "guardian_phone"),
    *("hukou_division", "residence_division"),
)
ROWS = [
    "A1,王小明,男,2015-03-07,,王大山,17361028473,510623,510104",
    "A2,李子涵,女,2016-02-30,,李建国,12345,510623,510104",
    "A3,王某之女,女,2024-05-06,510104198001010014,王大山,17361028473,510623,510104",
]


def give(clerk: FlaskClient, bench: Desk, text: str, name: str = "名册.csv") -> TestResponse:
    answer = clerk.post(
        "/list/",
        data={"file": (io.BytesIO(text.encode()), name)},
        content_type="multipart/form-data",
    )
    bench.jobs.join(30)
    return answer


def table(*rows: str, headings: str = HEADINGS) -> str:
    return "\n".join([headings, *rows]) + "\n"


def text_of(answer: TestResponse) -> str:
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def chosen(bench: Desk) -> dict[str, str]:
    inspection = bench.register.inspection
    assert inspection is not None
    return dict(inspection.mapping.columns)


def test_from_an_empty_desk_to_problems(clerk: FlaskClient, bench: Desk) -> None:
    assert "选择名册" in text_of(clerk.get("/"))
    assert "拖到这里" in text_of(clerk.get("/list/"))
    assert give(clerk, bench, table(*ROWS)).status_code == 303
    page = text_of(clerk.get("/list/"))
    assert "名册.csv" in page
    columns = text_of(clerk.get("/list/columns"))
    for row in ROWS:
        for value in row.split(",")[1:]:
            assert len(value) < 3 or value not in columns
    assert 'value="儿童姓名" selected' in columns
    assert clerk.post("/list/columns", data=chosen(bench)).status_code == 303
    bench.jobs.join(30)
    problems = text_of(clerk.get("/list/problems"))
    assert "没有这一天" in problems
    assert "成年人的号码" in problems
    assert "2016-02-30" not in problems
    assert "510104198001010014" not in problems


def test_problems_can_be_chosen_by_kind_and_saved(clerk: FlaskClient, bench: Desk) -> None:
    give(clerk, bench, table(*ROWS))
    page = text_of(clerk.get("/list/problems?code=date-impossible&field=birth_date"))
    assert page.count('<td class="code">') == 1
    with clerk.get("/list/problems.xlsx") as answer:
        book = openpyxl.load_workbook(io.BytesIO(answer.get_data()))
    rows = [[cell.value for cell in row] for row in book.worksheets[0].iter_rows(min_row=2)]
    inspection = bench.register.inspection
    assert inspection is not None
    assert len(rows) == sum(problem.count for problem in inspection.problems)


def test_a_list_without_problems_says_so(clerk: FlaskClient, bench: Desk) -> None:
    give(clerk, bench, table(ROWS[0]))
    clerk.post("/list/columns", data=chosen(bench))
    bench.jobs.join(30)
    assert "没有发现问题" in text_of(clerk.get("/list/problems"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"record_id": ""}, "能区分每条记录"),
        ({"guardian_name": "儿童姓名"}, "被选了两次"),
        ({"name": "没有的标题"}, "没有这个标题"),
        (dict.fromkeys(HELD, ""), "请至少再选择一列"),
    ],
)  # fmt: skip
def test_a_wrong_choice_of_columns_is_explained(
    clerk: FlaskClient, bench: Desk, change: dict[str, str], message: str
) -> None:
    give(clerk, bench, table(*ROWS))
    answer = clerk.post("/list/columns", data={**chosen(bench), **change}, follow_redirects=True)
    assert message in text_of(answer)
    assert not bench.register.columns_file.exists()


@pytest.mark.parametrize(
    ("text", "name"),
    [("", "a.csv"), ("x", "a.pdf"), ("\x00\x01\x02", "a.xlsx"), ("王小明,17361028473\n", "a.csv")],
)
def test_what_is_no_list_is_refused_and_the_one_before_stays(
    clerk: FlaskClient, bench: Desk, text: str, name: str
) -> None:
    give(clerk, bench, table(*ROWS))
    answer = give(clerk, bench, text, name)
    page = text_of(clerk.get(answer.headers["Location"]))
    assert "alert" in page
    assert bench.register.about is not None
    assert bench.register.about.name == "名册.csv"


def test_a_file_that_breaks_off_says_so(clerk: FlaskClient, bench: Desk) -> None:
    rows = [row.replace("A1", f"A{i}") for i in range(50) for row in ROWS[:1]]
    give(clerk, bench, table(*rows) + 'A99,"王')
    page = text_of(clerk.get("/list/"))
    assert "文件无法读取" in page
    clerk.post("/list/remove")
    assert "拖到这里" in text_of(clerk.get("/list/"))


def test_removing_leaves_nothing_of_the_list(clerk: FlaskClient, bench: Desk) -> None:
    give(clerk, bench, table(*ROWS))
    assert list(bench.folder.register.iterdir())
    clerk.post("/list/remove")
    left = [path for path in bench.folder.root.rglob("*") if path.is_file()]
    assert left == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_only_the_owner_can_read_what_the_workbench_keeps(clerk: FlaskClient, bench: Desk) -> None:
    give(clerk, bench, table(*ROWS))
    clerk.get("/list/problems.xlsx").close()
    for path in [bench.folder.root, *bench.folder.root.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


def test_a_name_that_is_markup_or_a_path_is_only_text(clerk: FlaskClient, bench: Desk) -> None:
    give(clerk, bench, table(ROWS[0]), "../../<b>x</b>.csv")
    page = text_of(clerk.get("/list/"))
    assert "<b>x</b>" not in page
    assert not list(Path(bench.folder.root).parent.glob("*x*"))
    headings = HEADINGS.replace("儿童姓名", "<script>alert(1)</script>姓名")
    give(clerk, bench, table(ROWS[0], headings=headings))
    assert "<script>alert" not in text_of(clerk.get("/list/columns"))


def test_without_a_server_the_rounds_say_what_is_missing(clerk: FlaskClient) -> None:
    assert "--server" in text_of(clerk.get("/rounds/"))
    assert clerk.get("/rounds/2026-h2").status_code == 404


def test_pages_come_in_english_too(clerk: FlaskClient, bench: Desk) -> None:
    give(clerk, bench, table(*ROWS))
    clerk.get("/?language=en")
    page = text_of(clerk.get("/list/problems"))
    assert "there is no such day" in page
    assert "名册中的问题" not in page


def test_a_heading_over_several_columns_is_told_on_the_page_too(
    clerk: FlaskClient, bench: Desk
) -> None:
    give(clerk, bench, table("1,李沐阳,李建国", headings="编号,姓名,姓名"))
    page = text_of(clerk.get("/list/columns"))
    assert "标题“姓名”下有几列，从左起依次为：姓名 (1)、姓名 (2)。" in page
    both = {"name": "姓名 (1)", "guardian_name": "姓名 (2)"}
    clerk.post("/list/columns", data={"record_id": "编号", **both})
    bench.jobs.join(30)
    assert chosen(bench) == {"record_id": "编号", **both}
    assert "下有几列" not in text_of(clerk.get("/list/columns"))


def test_another_sheet_of_a_workbook_can_be_taken(
    clerk: FlaskClient, bench: Desk, tmp_path: Path
) -> None:
    book = tmp_path / "book.xlsx"
    rows = [line.split(",") for line in table("1,王小明,男,2015-03-07,").splitlines()]
    write_xlsx(book, [["填表说明"]], rows, [rows[0], *[["9", *rows[1][1:]]] * 3])
    with book.open("rb") as file:
        clerk.post("/list/", data={"file": (file, "book.xlsx")})
    bench.jobs.join(30)
    assert bench.register.inspection is not None
    assert bench.register.inspection.n_records == 1
    page = text_of(clerk.get("/list/columns"))
    assert '<option value="2" selected>' in page
    assert clerk.post("/list/sheet", data={"sheet": "3"}).status_code == 303
    bench.jobs.join(30)
    assert bench.register.inspection is not None
    assert bench.register.inspection.n_records == 3
    assert "没有这个工作表" in text_of(
        clerk.post("/list/sheet", data={"sheet": "7"}, follow_redirects=True)
    )
