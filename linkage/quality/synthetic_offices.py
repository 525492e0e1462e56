"""The five offices: which children each one holds, how often it errs and how it writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from linkage.quality import synthetic_places as places
from linkage.quality.synthetic_draws import Draws, Weighted
from linkage.quality.synthetic_people import Child, Relation

DateStyle = Literal["cell", "dashes", "compact", "mixed-cell"]
DivisionStyle = Literal["six", "twelve", "zeros"]
FileFormat = Literal["xlsx", "gb18030", "utf-8-sig", "utf-8"]


@dataclass(frozen=True, slots=True)
class Office:
    """One office's register: form and habits.

    Attributes:
        id, title, record_prefix: as the office is known, and how its record ids begin.
        file_format: how it exports.
        headings: heading of each column -> canonical field, or ``+name`` for a column that
            belongs to no field of the profile.
        rates: share of records with each fault at ``error_scale`` 1, averaged over children.
        guardians: whom the office takes for the guardian when it is not the main one.
    """

    id: str
    title: str
    record_prefix: str
    file_format: FileFormat
    headings: Mapping[str, str]
    sex_codes: tuple[str, str]
    date_style: DateStyle
    division_style: DivisionStyle
    guardians: Weighted[Relation]
    keeps_main_guardian: float
    rates: Mapping[str, float]


def _rates(**changed: float) -> Mapping[str, float]:
    usual = {
        "duplicate": 0.02,
        "paper-name": 0.45,
        "paper-birth": 0.45,
        "paper-id": 0.45,
        "name-slip": 0.05,
        "name-alias": 0.15,
        "name-former": 0.35,
        "name-transliteration": 0.2,
        "name-baby": 0.0,
        "name-unreadable": 0.12,
        "name-dots": 0.35,
        "name-traditional": 0.006,
        "name-spaces": 0.02,
        "birth-missing": 0.005,
        "birth-slip": 0.025,
        "id-missing": 0.045,
        "id-slip": 0.014,
        "id-sibling": 0.008,
        "id-guardian": 0.005,
        "id-destroyed": 0.0,
        "id-school": 0.0,
        "id-written": 0.02,
        "sex-wrong": 0.006,
        "sex-missing": 0.004,
        "guardian-missing": 0.03,
        "guardian-slip": 0.06,
        "phone-missing": 0.06,
        "phone-former": 0.15,
        "phone-other": 0.1,
        "phone-slip": 0.012,
        "phone-written": 0.06,
        "hukou-missing": 0.03,
        "hukou-outdated": 0.3,
        "residence-missing": 0.04,
        "residence-outdated": 0.12,
        "division-words": 0.004,
    }
    unknown = changed.keys() - usual.keys()
    if unknown:
        raise ValueError(f"No such fault: {', '.join(sorted(unknown))}.")
    return usual | changed


OFFICES: tuple[Office, ...] = (
    Office(
        id="jinjiang-civil",
        title="锦江区民政局 流动儿童登记表",
        record_prefix="JJ",
        file_format="xlsx",
        headings={
            "登记编号": "record_id",
            "儿童姓名": "name",
            "性别": "sex",
            "出生日期": "birth_date",
            "身份证号": "id_number",
            "民族": "+ethnicity",
            "监护人姓名": "guardian_name",
            "与儿童关系": "+relation",
            "监护人身份证号": "+guardian_id",
            "联系电话": "guardian_phone",
            "户籍地区划": "hukou_division",
            "现居住地区划": "residence_division",
            "录入时间": "+entered",
            "备注": "+remark",
        },
        sex_codes=("男", "女"),
        date_style="cell",
        division_style="twelve",
        guardians=Weighted(("father", "mother", "grandmother", "grandfather"), (45, 45, 7, 3)),
        keeps_main_guardian=0.8,
        rates=_rates(),
    ),
    Office(
        id="zhongjiang-civil",
        title="中江县民政局 留守儿童和流出儿童台账",
        record_prefix="ZJMZ",
        file_format="gb18030",
        headings={
            "档案编号": "record_id",
            "姓名": "name",
            "性别": "sex",
            "出生年月日": "birth_date",
            "公民身份号码": "id_number",
            "监护人": "guardian_name",
            "监护人身份证号码": "+guardian_id",
            "监护人电话": "guardian_phone",
            "户籍所在地区划代码": "hukou_division",
            "现住地区划代码": "residence_division",
            "儿童类别": "+situation",
            "登记日期": "+entered",
        },
        sex_codes=("男", "女"),
        date_style="dashes",
        division_style="six",
        guardians=Weighted(("grandmother", "grandfather", "mother", "father"), (45, 30, 15, 10)),
        keeps_main_guardian=0.6,
        rates=_rates(
            **{
                "id-destroyed": 0.02,
                "id-missing": 0.04,
                "phone-former": 0.2,
                "residence-outdated": 0.2,
            }
        ),
    ),
    Office(
        id="chengdu-education",
        title="成都市教育局 学生学籍信息",
        record_prefix="XS",
        file_format="utf-8-sig",
        headings={
            "XSBH": "record_id",
            "XXMC": "+school",
            "NJ": "+grade",
            "XM": "name",
            "XBM": "sex",
            "CSRQ": "birth_date",
            "SFZJH": "id_number",
            "JHRXM": "guardian_name",
            "JHRSFZJH": "+guardian_id",
            "LXDH": "guardian_phone",
            "HKSZDQH": "hukou_division",
            "XZZQH": "residence_division",
            "BZ": "+remark",
        },
        sex_codes=("1", "2"),
        date_style="compact",
        division_style="six",
        guardians=Weighted(("mother", "father", "grandmother", "grandfather"), (50, 42, 5, 3)),
        keeps_main_guardian=0.7,
        rates=_rates(
            **{
                "name-alias": 0.35,
                "name-transliteration": 0.25,
                "name-former": 0.4,
                "name-slip": 0.05,
                "birth-slip": 0.025,
                "id-missing": 0.05,
                "id-school": 0.045,
                "id-slip": 0.018,
                "id-sibling": 0.008,
                "id-guardian": 0.006,
            }
        ),
    ),
    Office(
        id="chengdu-police",
        title="成都市公安局 居住登记人员",
        record_prefix="CDGA",
        file_format="utf-8",
        headings={
            "RYBH": "record_id",
            "GMSFHM": "id_number",
            "XM": "name",
            "XB": "sex",
            "CSRQ": "birth_date",
            "JHRXM": "guardian_name",
            "JHRGMSFHM": "+guardian_id",
            "LXDH": "guardian_phone",
            "HJDXZQH": "hukou_division",
            "XZZXZQH": "residence_division",
            "DJSJ": "+entered",
        },
        sex_codes=("1", "2"),
        date_style="compact",
        division_style="six",
        guardians=Weighted(("father", "mother", "grandfather", "grandmother"), (60, 25, 10, 5)),
        keeps_main_guardian=0.6,
        rates=_rates(
            **{
                "duplicate": 0.012,
                "paper-name": 0.05,
                "paper-birth": 0.04,
                "paper-id": 0.03,
                "name-slip": 0.014,
                "name-alias": 0.02,
                "name-former": 0.1,
                "name-transliteration": 0.05,
                "name-dots": 0.2,
                "name-spaces": 0.005,
                "birth-slip": 0.008,
                "id-missing": 0.035,
                "id-slip": 0.008,
                "id-sibling": 0.005,
                "id-guardian": 0.003,
                "guardian-slip": 0.02,
                "phone-missing": 0.1,
            }
        ),
    ),
    Office(
        id="chengdu-health",
        title="成都市疾病预防控制中心 预防接种登记",
        record_prefix="JZ",
        file_format="xlsx",
        headings={
            "儿童编码": "record_id",
            "儿童姓名": "name",
            "儿童性别": "sex",
            "出生日期": "birth_date",
            "儿童身份证号": "id_number",
            "监护人姓名": "guardian_name",
            "监护人身份证号": "+guardian_id",
            "联系电话": "guardian_phone",
            "户籍地址区划代码": "hukou_division",
            "现住址区划代码": "residence_division",
            "接种单位": "+clinic",
            "建卡日期": "+entered",
            "备注": "+remark",
        },
        sex_codes=("男", "女"),
        date_style="mixed-cell",
        division_style="zeros",
        guardians=Weighted(("mother", "father", "grandmother", "grandfather"), (78, 14, 6, 2)),
        keeps_main_guardian=0.5,
        rates=_rates(
            **{
                "duplicate": 0.028,
                "name-baby": 0.08,
                "name-slip": 0.04,
                "name-former": 0.45,
                "birth-slip": 0.02,
                "id-missing": 0.125,
                "id-slip": 0.014,
                "id-sibling": 0.008,
                "id-guardian": 0.006,
                "phone-former": 0.22,
                "residence-outdated": 0.18,
            }
        ),
    ),
)


def holding_offices(draws: Draws, child: Child) -> tuple[str, ...]:
    """Ids of the offices that hold the child, at least one, about three on average."""
    held = tuple(office for office, share in _shares(child).items() if draws.chance(share))
    if held:
        return held
    return ("zhongjiang-civil",) if child.hukou == places.ORIGIN_COUNTY else ("chengdu-police",)


def _shares(child: Child) -> Mapping[str, float]:
    age, here = child.age(), child.residence == places.RESIDENCE_DISTRICT
    school = 0.0 if age < 3 else 0.5 if age < 6 else 0.85 if age < 16 else 0.45
    clinic = 0.92 if age < 7 else 0.7 if age < 12 else 0.45
    if child.situation == "left":
        return {
            "jinjiang-civil": 0.06,
            "zhongjiang-civil": 0.97,
            "chengdu-education": 0.08 * school,
            "chengdu-police": 0.15,
            "chengdu-health": 0.22 * clinic,
        }
    if child.situation == "local":
        return {
            "jinjiang-civil": 0.12 if here else 0.0,
            "zhongjiang-civil": 0.0,
            "chengdu-education": school,
            "chengdu-police": 0.8,
            "chengdu-health": clinic,
        }
    return {
        "jinjiang-civil": (0.85 if here else 0.18) * (1.0 if age < 16 else 0.5),
        "zhongjiang-civil": 0.82 if child.hukou == places.ORIGIN_COUNTY else 0.0,
        "chengdu-education": school,
        "chengdu-police": 0.86,
        "chengdu-health": 0.9 * clinic,
    }
