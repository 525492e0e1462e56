"""The advice of :mod:`linkage.records.problems` in Chinese, for the clerks who follow it."""

from collections.abc import Mapping

ADVICE_ZH: Mapping[str, str] = {
    "row-has-wrong-number-of-cells": "请检查这一行是否有多余的分隔符或引号，各格可能错了列。",
    "row-of-totals": "无需处理；这一行是合计，不是记录，已略去。",
    "row-of-notes": "无需处理；这一行是填表人、说明或示例，不是记录，已略去。",
    "row-of-headings": "无需处理；这一行重复了标题或表头，不是记录，已略去。",
    "row-cannot-be-linked": (
        "请填写姓名、出生日期或身份证号，或者删除这一行；其中没有可供联接的内容。"
    ),
    "record-id-missing": "请给这条记录编号；在此之前用行号代替。",
    "record-id-twice": "请给每条记录各自的编号；在此之前在编号后加了行号。",
    "control-characters": "请删除这一格里看不见的字符；这些字符已略去。",
    "spreadsheet-error": "请修正这一格的公式；它显示的是错误，不是数据。",
    "masked-value": "请取得不带星号的完整数据；被遮盖的数据无法使用。",
    "placeholder-name": "孩子取名后请填写真实姓名；“某某之子”之类不能使用。",
    "not-a-name": "请填写姓名；这一格里是别的内容。",
    "garbled-name": "请重新填写姓名；原来的字因文字编码错误变成了乱码。",
    "name-with-unknown-character": (
        "请用国家标准编码重新录入生僻字；现在的字只在某台电脑上能显示，或已丢失。"
    ),
    "name-with-note": "姓名里不要写备注、数字和符号；这些内容已略去。",
    "several-names": "一格只填一个姓名；只使用了第一个。",
    "name-of-one-character": "请核对姓名；只有一个字。",
    "name-too-long": "请核对姓名；太长，未使用。",
    "date-not-understood": "请把日期写成 2015-03-07 这样的格式。",
    "date-incomplete": "请把年、月、日填写完整。",
    "date-impossible": "请更正日期；没有这一天。",
    "date-in-future": "请更正日期；这一天还没有到。",
    "date-of-lunar-calendar": "请填写公历（阳历）日期。",
    "placeholder-date": "请填写真实日期，或者留空。",
    "not-a-child": "请核对出生日期；此人已满 18 周岁。",
    "sex-not-understood": (
        "请填写男或女、1 或 2；如用其他代码，请在列对应文件的 [values.sex] 中说明。"
    ),
    "sex-zero": "请在列对应文件的 [values.sex] 中说明 0 的含义；在此之前按未知处理。",
    "sex-contradicts-id": "请核对性别；身份证号与出生日期相符而与性别不符，性别未使用。",
    "id-lost-by-spreadsheet": (
        "请从原始资料重新取得号码，并以文本格式保存；Excel 只保留 15 位，其余数字已丢失。"
    ),
    "id-wrong-length": "请填写完整的 18 位身份证号。",
    "id-check-character": "请与证件核对号码；校验码不对。",
    "id-birth-date-impossible": "请与证件核对号码；其中的出生日期不存在。",
    "id-from-disability-card": "无需处理；身份证号取自残疾人证号。",
    "not-a-resident-id": "请填写居民身份证号；这是别的号码，例如学籍号。",
    "id-contradicts-birth-date": "请核对两者；身份证号里的出生日期与所填的不同，身份证号未使用。",
    "birth-date-contradicts-id": "请核对两者；身份证号里的出生日期与所填的略有不同，两者都保留。",
    "id-contradicts-sex": (
        "请核对两者；身份证号与性别不符，又没有出生日期可以比对，身份证号未使用。"
    ),
    "id-of-an-adult": "请填写孩子本人的号码；这是成年人的号码，可能是监护人的。",
    "id-used-twice": "请核对这是谁的号码；前面有一行用了同一号码，而姓名或出生日期不同。",
    "child-twice": (
        "如果是同一个孩子，请删除其中一行；前面有一行号码、姓名、出生日期都相同，两行都保留。"
    ),
    "phone-not-understood": "请填写电话号码；这一格里是别的内容。",
    "phone-wrong-length": "请核对位数；手机号码为 11 位。",
    "phone-without-area-code": "请在号码前加区号，例如 028。",
    "phone-lost-by-spreadsheet": "请重新取得号码并以文本格式保存；Excel 已将其舍入。",
    "placeholder-phone": "请填写真实电话号码，或者留空。",
    "several-phones": "一格只填一个号码；只使用了第一个可用的。",
    "division-not-understood": "请填写县（市、区）的六位行政区划代码。",
    "division-unknown": "请更正代码；全国没有以这些数字开头的区划。",
    "division-not-a-county": "请填写县（市、区）的代码；这是更大区域的代码。",
    "division-withdrawn": "无需处理；该代码已撤销，已换用继任代码。",
    "division-not-in-table": "请核对代码；1998 年以来本省没有这个县级代码，暂予保留。",
    "placeholder-identifier": "请填写真实号码，或者留空。",
}
"""Code -> one sentence."""
