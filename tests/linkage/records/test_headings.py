"""Headings of the registers that offices keep, in words, initials, pinyin and English."""

import pytest

from linkage.records.headings import OTHER, meanings


def first(heading: str) -> str | None:
    found = meanings(heading)
    return found[0].field if found else None


NAMES = """姓名 儿童姓名 学生姓名 幼儿姓名 受种者姓名 参保人姓名 残疾人姓名 XM ETXM XSXM
xingming name"""
ID_NUMBERS = """身份证号 身份证号码 公民身份号码 公民身份证号 居民身份证号码 身份证件号 证件号码
儿童身份证号 学生身份证号 社会保障号码 SFZH SFZHM SFZJH GMSFHM GMSFZH ZJHM shenfenzhenghao
id_number"""
GUARDIANS = """监护人 监护人姓名 家长姓名 母亲姓名 父亲姓名 户主姓名 联系人 JHRXM JZXM MQXM FQXM"""
PHONES = """监护人电话 监护人联系电话 家长手机号 母亲电话 JHRDH JHRLXDH JHRSJH 联系电话 手机号
手机号码 联系方式 电话号码 LXDH SJH SJHM LXFS phone mobile"""
HUKOU = """户籍地区划 户籍地行政区划代码 户籍所在地区划代码 户口所在地区划 户籍地址区划代码
HJDXZQH HJDQHDM HKSZDQH HJDQH HKSZDXZQH hukou_division"""
RESIDENCE = """现居住地区划 现住地区划代码 现住址区划代码 常住地行政区划 居住地区划 XJZDQH XZZXZQH
XZDQHDM JZDXZQH CZDQH residence_division"""
RECORD_IDS = """登记编号 档案编号 个案编号 儿童编码 学籍号 学号 接种卡号 个人编号 医保编号 残疾证号
序号 XSBH RYBH XJH BH rec_id record_id id
人员ID 儿童ID RYID 个人档案号 GRDAH 居民健康档案号 儿童档案编号 受种者编码 残疾人证号码 guid"""


@pytest.mark.parametrize(
    ("headings", "field"),
    [
        (NAMES, "name"),
        ("性别 儿童性别 性别代码 XB XBM XBDM sex gender", "sex"),
        (
            "出生日期 出生年月日 出生年月 生日 儿童出生日期 CSRQ CSNYR date_of_birth dob",
            "birth_date",
        ),
        (ID_NUMBERS, "id_number"),
        (GUARDIANS, "guardian_name"),
        (PHONES, "guardian_phone"),
        (HUKOU, "hukou_division"),
        (RESIDENCE, "residence_division"),
        (RECORD_IDS, "record_id"),
        ("given_name first_name GivenName", "given_name"),
        ("surname last_name", "surname"),
        ("soc_sec_id ssn", "soc_sec_id"),
        ("postcode zip", "postcode"),
    ],
)
def test_usual_headings(headings: str, field: str) -> None:
    for heading in headings.split():
        assert first(heading) == field, heading


@pytest.mark.parametrize(
    "heading",
    [
        "*姓名",
        "姓名（必填）",
        " 姓 名 ",
        "姓名:",
        "1.姓名",
        "儿童的姓名",
        "x_m",
        "姓名(与户口本一致)",
        "姓名\n",
    ],
)
def test_notes_and_signs_in_headings_do_not_matter(heading: str) -> None:
    assert first(heading) == "name"


@pytest.mark.parametrize(
    "heading",
    [
        "监护人身份证号",
        "监护人身份证号码",
        "母亲身份证号",
        "家长证件号码",
        "JHRSFZH",
        "JHRSFZJH",
        "JHRGMSFHM",
        "MQSFZH",
    ],
)
def test_a_guardians_id_number_is_not_the_childs(heading: str) -> None:
    assert {meaning.field for meaning in meanings(heading)} == {"guardian_id_number"}


@pytest.mark.parametrize(
    "heading", ["班主任电话", "医生姓名", "经办人", "学生手机号", "填表人电话", "第二监护人姓名"]
)
def test_other_people_are_neither_child_nor_guardian(heading: str) -> None:
    assert all(meaning.field == OTHER for meaning in meanings(heading))


@pytest.mark.parametrize(
    "heading", ["", "备注", "民族", "儿童类别", "登记日期", "QQ", "1", "***", "（）"]
)
def test_unknown_headings_mean_nothing(heading: str) -> None:
    assert meanings(heading) == ()


def test_the_guardian_comes_before_a_parent_and_a_parent_before_the_householder() -> None:
    ranks = [
        meanings(h)[0].rank for h in ("监护人姓名", "家长姓名", "母亲姓名", "父亲姓名", "户主姓名")
    ]
    assert ranks == sorted(ranks)
    assert meanings("监护人电话")[0].rank < meanings("联系电话")[0].rank


@pytest.mark.parametrize(
    ("headings", "field"),
    [
        ("性別 (二)性别 二、性别 性别/Sex Gender性别", "sex"),
        ("一、姓名 姓名/Name Name姓名", "name"),
        (
            "监护人一姓名 监护人1姓名 成员1姓名 家庭成员1姓名 JHR1XM 受委托监护人姓名",
            "guardian_name",
        ),
        (
            "家庭成员或监护人一姓名 家庭成员或监护人姓名 父母或监护人姓名 实际照料人姓名",
            "guardian_name",
        ),
        ("监护人一电话 成员1联系电话 JHR1LXDH", "guardian_phone"),
        (
            "户籍县国标 户籍所属行政区划 户籍县国标码 户籍所在县 户籍县代码 流出地 原籍",
            "hukou_division",
        ),
        (
            "居住县国标 家庭地址 JTDZ 居住县国标码 现居住县 现居住县代码 流入地",
            "residence_division",
        ),
    ],
)
def test_headings_of_the_registers_of_vaccination_schools_and_printed_forms(
    headings: str, field: str
) -> None:
    for heading in headings.split():
        assert first(heading) == field, heading


def test_the_second_of_two_guardians_is_not_the_guardian() -> None:
    for heading in ("监护人二姓名", "监护人2电话", "成员2姓名"):
        assert {meaning.field for meaning in meanings(heading)} == {OTHER}
