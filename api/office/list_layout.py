"""Sheets, headings and words of the joined list; the next round's list is compared by them."""

from collections.abc import Mapping

from api.office.links import Band

SHEET_LINKS = "名单 links"
SHEET_NOT_FOUND = "未找到 not found"
SHEET_ENDED = "已终止 ended"
SHEET_SUMMARY = "汇总 summary"

HEADING_COUNTERPART = "对方单位 counterpart"
HEADING_SCORE = "分数 score"
HEADING_BAND = "等级 band"
HEADING_CHANGE = "变化 change"
HEADING_LINK = "链接号 link"
HEADING_RECORD = "本单位编号 record"
LINK_HEADINGS = (
    HEADING_COUNTERPART,
    HEADING_SCORE,
    HEADING_BAND,
    HEADING_CHANGE,
    HEADING_LINK,
    HEADING_RECORD,
)
HEADING_STATE = "情况 state"

CHANGE_NEW = "新增 new"
CHANGE_UNCHANGED = "不变 unchanged"
CHANGE_WITHDRAWN = "已撤回 withdrawn"
STATE_NOT_FOUND = "未找到 not found"
STATE_NOT_SENT = "未参加 not sent"
ENDED_LINK = "不再匹配 no longer linked"
ENDED_RECORD = "本单位已无此记录 record no longer held"

BAND_NAMES: Mapping[Band, str] = {
    "certain": "确定 certain",
    "probable": "很可能 probable",
    "possible": "可能 possible",
    "withdrawn": "对方已撤回 withdrawn",
}
ENDED_HEADINGS = (HEADING_COUNTERPART, HEADING_SCORE, "原因 reason", HEADING_RECORD)
