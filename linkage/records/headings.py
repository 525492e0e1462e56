"""Headings of Chinese and English registers, and the canonical fields that they mean.

Chinese headings are put together from a role (儿童, 监护人 ...) and an attribute (姓名, 身份证号
...), so that a guardian's column is never taken for the child's. Databases write the same headings
in pinyin initials (XM, JHRXM, HJDXZQH) or in full pinyin; both follow from the syllables below.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from linkage.records.cells import cell_text
from linkage.records.han import fold_han


class Meaning(NamedTuple):
    """What a heading may mean.

    Attributes:
        field: canonical field, or :data:`OTHER`.
        rank: the lower, the better this heading suits the field.
    """

    field: str
    rank: int


OTHER = "(other)"
"""Recognised, but nothing that a profile asks for, such as the guardian's ID number."""

_CHILD_ROLES = """
儿童 学生 孩子 小孩 幼儿 婴儿 新生儿 婴幼儿 本人 受种者 接种者 参保人 参保人员 残疾人
残疾儿童 患者 患儿 人员 个人 公民 居民 被监护人 留守儿童 流动儿童 困境儿童 服务对象 救助对象
对象 未成年人 学员
"""
# Best first: who is meant by "the guardian" where a register names several people.
_GUARDIAN_ROLES = """
监护人 法定监护人 第一监护人 主要监护人 实际监护人 监护人一 监护人1 家长 家长或监护人 父母或监护人
父母或其他监护人 家庭成员或监护人一 家庭成员或监护人1 家庭成员或监护人 监护人或受委托监护人 联系人
抚养人 照料人 实际照料人 实际抚养人 照护人 委托照护人 受委托人 委托监护人 受委托监护人 受托人
家庭成员一 家庭成员1 成员一 成员1 家庭成员 父母 母亲 妈妈 生母 母 父亲 爸爸 生父 父 父亲母亲
父亲或母亲 户主 家属 亲属
"""
_OTHER_ROLES = """
第二监护人 家庭成员或监护人二 家庭成员或监护人2 其他监护人 监护人二 监护人2 家庭成员二 家庭成员2
成员二 成员2 班主任 教师 老师 医生 接种医生 填表人 登记人 经办人 录入人 负责人 申请人 紧急联系人
儿童主任 单位 学校 机构 医院 接种单位 祖父 祖母 配偶
"""

_ATTRIBUTES = {
    "name": "姓名 名字 中文姓名 汉字姓名 姓名名称 名",
    "sex": "性别 性别码 性别代码 性别编码 性别名称",
    "birth": "出生日期 出生年月日 出生年月 出生时间 出生日 生日 诞生日期",
    "id": """身份证号 身份证号码 身份证 公民身份号码 公民身份证号 公民身份证号码 居民身份证号
        居民身份证号码 身份证件号 身份证件号码 身份号码 身份证编号 有效身份证件号 身份证明号码
        证件号 证件号码 社会保障号码 社会保障号""",
    "phone": """联系电话 电话 电话号码 联系电话号码 手机 手机号 手机号码 联系手机 联系方式 移动电话
        联系号码 联系人电话 常用电话 固定电话 家庭电话""",
}
_FIELD_OF = {
    ("child", "name"): "name",
    ("child", "sex"): "sex",
    ("child", "birth"): "birth_date",
    ("child", "id"): "id_number",
    ("guardian", "name"): "guardian_name",
    ("guardian", "phone"): "guardian_phone",
    ("guardian", "id"): "guardian_id_number",
    ("guardian", "sex"): "guardian_sex",
    ("guardian", "birth"): "guardian_birth_date",
}

_HUKOU = """
户籍 户籍地 户籍所在地 户籍地址 户口 户口地 户口所在地 户口地址 户籍登记地 户籍所在 户口所在
户籍县 流出地 原籍 原籍地
"""
_RESIDENCE = """
现居住地 居住地 现居住 现住地 现住址 现居地 常住地 常住地址 居住地址 现居住地址 实际居住地
经常居住地 现住 现地址 居住 常住 家庭住址 现家庭住址 住址 家庭地址 现家庭地址 流入地 暂住地 居住县
现居住县
"""
# The first ones say that a code is meant; the last ones may also stand over an address.
_PLACE_SUFFIXES = """
行政区划 区划 行政区划代码 区划代码 行政区划码 区划码 行政区划编码 区划编码 省市县区 省市县
国标码 国标 所属行政区划 县国标 县区代码 区县代码 县代码 代码 编码 地区 县区 区县 县
"""

_RECORD_IDS = """
登记编号 登记号 档案编号 档案号 个案编号 个案号 记录编号 记录号 业务编号 受理编号 儿童编号
儿童编码 个人编号 个人编码 人员编号 人员编码 学生编号 学生编码 编号 编码 主键 标识号 接种编号
预防接种编号 接种卡号 接种证号 儿童保健号 保健号 健康档案编号 医保编号 参保号 医保卡号 社保卡号
学籍号 全国学籍号 学籍号码 学籍辅号 学号 残疾证号 残疾人证号 残疾人证号码 残疾证编号 唯一标识
唯一编号 人员标识 业务标识 记录标识 建档编号 登记序号 档案编码 救助编号 内部编号 健康档案号
居民健康档案号 接种档案号 流水号 序号 行号
"""
_ID_ROLES = """
儿童 学生 个人 人员 幼儿 受种者 接种者 参保人 参保人员 残疾人 患者 居民 救助对象 服务对象 记录 业务
"""
_ID_WORDS = "编号 编码 档案号 档案编号 id"

_ENGLISH = {
    "record_id": "rec_id record_id recordid record_no record_number uid uuid guid pk sysid id",
    "name": "name full_name child_name student_name patient_name",
    "sex": "sex gender child_sex",
    "birth_date": "birth_date date_of_birth birthdate birthday dob born date_birth",
    "id_number": """id_number id_no id_card id_card_no id_card_number idcard resident_id
        resident_id_number identity_number national_id child_id_number""",
    "guardian_name": "guardian_name guardian parent_name contact_name mother_name father_name",
    "guardian_phone": """guardian_phone guardian_mobile parent_phone contact_phone mobile
        mobile_phone phone phone_number telephone tel""",
    "guardian_id_number": "guardian_id_number guardian_id parent_id_number",
    "hukou_division": "hukou_division hukou_code hukou household_division",
    "residence_division": "residence_division residence_code residence_county residence",
    "given_name": "given_name first_name firstname forename givenname",
    "surname": "surname last_name lastname family_name",
    "street_number": "street_number house_number street_no",
    "address_1": "address_1 address1 street_name street address_line_1 address",
    "suburb": "suburb locality town city",
    "postcode": "postcode post_code postal_code zip zip_code zipcode",
    "soc_sec_id": "soc_sec_id ssn social_security_number social_security_id",
}

_SYLLABLES = """
一yi 业ye 个ge 中zhong 主zhu 二er 亲qin 人ren 他ta 代dai 件jian 任ren 份fen 位wei 住zhu
保bao 健jian 偶ou 儿er 入ru 全quan 公gong 其qi 养yang 出chu 划hua 别bie 办ban 务wu 动dong
助zhu 区qu 医yi 单dan 卡ka 县xian 参can 受shou 口kou 号hao 名ming 员yuan 困kun 固gu 国guo
在zai 地di 址zhi 填tian 境jing 妈ma 姓xing 委wei 婴ying 子zi 字zi 学xue 孩hai 守shou 定ding
实shi 家jia 对dui 小xiao 居ju 属shu 市shi 师shi 常chang 年nian 幼you 序xu 庭ting 康kang
式shi 录lu 急ji 性xing 患huan 成cheng 或huo 户hu 所suo 手shou 托tuo 抚fu 护hu 接jie 政zheng
效xiao 救jiu 教jiao 文wen 料liao 新xin 方fang 日ri 时shi 明ming 暂zan 月yue 有you 服fu 期qi
未wei 本ben 机ji 构gou 标biao 校xiao 案an 档dang 残can 母mu 民min 水shui 汉han 法fa 流liu
照zhao 父fu 爸ba 现xian 班ban 理li 生sheng 用yong 申shen 电dian 留liu 疾ji 登deng 监jian
省sheng 码ma 社she 祖zu 种zhong 称cheng 移yi 童tong 第di 籍ji 系xi 紧jin 经jing 编bian 老lao
者zhe 联lian 行xing 表biao 被bei 要yao 记ji 证zheng 识shi 话hua 诞dan 请qing 象xiang 负fu
责ze 身shen 原yuan 11 22 辅fu 配pei 键jian 长zhang 间jian 防fang 际ji 院yuan 预yu
内nei 部bu 建jian 唯wei 会hui 障zhang
"""

_NOTHING_SAID = re.compile(r"(?:基本)?(?:信息|情况|资料)(?=.)")
# One Chinese character each; what is Latin already (人员id) stays.
_WRITTEN = re.compile(r"[a-z]+|.")
# 一、姓名 and (二)性别, as printed forms number their lines.
_CHINESE_NUMBERING = re.compile(r"^[(\[]?[一二三四五六七八九十]{1,3}[、.)\]:]+")
_LATIN = re.compile(r"[a-z][a-z .'_-]*")
_NOTE = re.compile(r"[(\[{【〔<《][^)\]}】〕>》]*[)\]}】〕>》]?")
_NOISE = re.compile(r"[\W_]+|^\d+|必填|选填|填写|的")


def meanings(heading: str) -> tuple[Meaning, ...]:
    """What a heading may mean, best first; empty if it is not recognised."""
    text = _CHINESE_NUMBERING.sub("", fold_han(cell_text(heading)).casefold())
    known = _dictionary()
    # Of a heading in two languages (姓名/Name) the Chinese part decides.
    for candidate in (_NOTE.sub("", text), text, _LATIN.sub("", text)):
        squeezed = _squeeze(candidate)
        # Of a heading under a group (监护人信息 姓名) the group says whose it is.
        found = known.get(squeezed) or known.get(_NOTHING_SAID.sub("", squeezed))
        if found:
            return found
    return ()


def names_nobody(heading: str) -> bool:
    """Whether a heading does not say by itself whose name, number or place is below it."""
    return _squeeze(_NOTE.sub("", fold_han(cell_text(heading)).casefold())) in _bare_headings()


@cache
def _bare_headings() -> frozenset[str]:
    words = [*" ".join(_ATTRIBUTES.values()).split(), *_PLACE_SUFFIXES.split()]
    return frozenset(spelling for word in words for spelling in (word, *_romanised(word)))


def _squeeze(text: str) -> str:
    return _NOISE.sub("", text)


@cache
def _dictionary() -> dict[str, tuple[Meaning, ...]]:
    words: dict[str, dict[str, int]] = {}
    for chinese, meaning in _chinese_headings():
        for spelling in (chinese, *_romanised(chinese)):
            words.setdefault(spelling, {}).setdefault(meaning.field, meaning.rank)
    for field, spellings in _ENGLISH.items():
        for rank, spelling in enumerate(spellings.split()):
            words.setdefault(_squeeze(spelling), {}).setdefault(field, rank)
    return {spelling: _rank(found) for spelling, found in words.items()}


def _rank(found: dict[str, int]) -> tuple[Meaning, ...]:
    # Initials of several words (HZ: 户主, 患者) say less than initials of one.
    doubt = 500 if len(found) > 1 else 0
    return tuple(
        sorted((Meaning(field, rank + doubt) for field, rank in found.items()), key=_by_rank)
    )


def _by_rank(meaning: Meaning) -> int:
    return meaning.rank


def _chinese_headings() -> Iterator[tuple[str, Meaning]]:
    yield from _headings_of_persons()
    for place, role in enumerate(_GUARDIAN_ROLES.split()):
        if len(role) > 1:
            yield role, Meaning("guardian_name", 100 * place + 50)
    for field, prefixes in (("hukou_division", _HUKOU), ("residence_division", _RESIDENCE)):
        for prefix in prefixes.split():
            for rank, suffix in enumerate(_PLACE_SUFFIXES.split()):
                yield prefix + suffix, Meaning(field, rank)
            yield prefix, Meaning(field, 1_000)
    for rank, word in enumerate(_RECORD_IDS.split()):
        yield word, Meaning("record_id", 100 + rank)
    for role in _ID_ROLES.split():
        for rank, word in enumerate(_ID_WORDS.split()):
            yield role + word, Meaning("record_id", 100 + rank)


def _headings_of_persons() -> Iterator[tuple[str, Meaning]]:
    for attribute, text in _ATTRIBUTES.items():
        # The telephone on a child's record is the guardian's, unless it says whose it is.
        is_phone = attribute == "phone"
        own = OTHER if is_phone else _FIELD_OF["child", attribute]
        unsaid = Meaning("guardian_phone", 9_000) if is_phone else Meaning(own, 20)
        guardians = _FIELD_OF["guardian", attribute]
        for rank, word in enumerate(text.split()):
            if len(word) > 1:
                yield word, Meaning(unsaid.field, unsaid.rank + rank)
            for role in _CHILD_ROLES.split():
                yield role + word, Meaning(own, rank)
            for place, role in enumerate(_GUARDIAN_ROLES.split()):
                yield role + word, Meaning(guardians, 100 * place + rank)
            for role in _OTHER_ROLES.split():
                yield role + word, Meaning(OTHER, rank)


@cache
def _syllables() -> dict[str, str]:
    pairs = _SYLLABLES.split()
    return {pair[0]: pair[1:] for pair in pairs}


def _romanised(chinese: str) -> tuple[str, ...]:
    """Initials and full pinyin, as databases name their columns."""
    table = _syllables()
    written = _WRITTEN.findall(chinese)
    syllables = [part if part.isalpha() and part.isascii() else table[part] for part in written]
    initials = "".join(
        syllable if syllable == part else syllable[0]
        for part, syllable in zip(written, syllables, strict=True)
    )
    return (initials, "".join(syllables)) if len(initials) > 1 else ("".join(syllables),)
