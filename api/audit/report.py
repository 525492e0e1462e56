"""A report on a period of the log: one self-contained page in Chinese and English.

Nothing in it is fetched from anywhere; each plot has its numbers as a table beneath; blue and
orange differ in lightness and hatching too, so that it reads without colours and in print.

Only the standard library.
"""

import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from string import Template
from typing import Final

from api.audit.events import Entry
from api.audit.unusual import KINDS, LOCAL_TIME, Mark, UnusualAccess
from api.audit.verify import Verification

_OUTCOMES: Final = ("granted", "refused", "failed")
_OUTCOME_WORDS: Final = {
    "granted": ("允许", "granted"),
    "refused": ("拒绝", "refused"),
    "failed": ("失败", "failed"),
}
_VERDICTS: Final = {
    "explained": ("已说明", "explained"),
    "followed-up": ("跟进中", "being followed up"),
    "reported": ("已上报", "reported"),
}
_MAX_DAYS_SHOWN: Final = 400


@dataclass(slots=True)
class Counts:
    """What happened in a period, counted.

    Attributes:
        by_person: (who, action) -> outcome -> entries.
        by_day: local day -> outcome -> entries; days without entries are missing.
        by_hour: local hour -> outcome -> entries.
        reasons: (action, reason) -> entries, of what was refused or failed.
    """

    n_entries: int = 0
    by_outcome: Counter[str] = field(default_factory=Counter)
    by_person: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    by_day: dict[date, Counter[str]] = field(default_factory=dict)
    by_hour: dict[int, Counter[str]] = field(default_factory=dict)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        self.n_entries += 1
        self.by_outcome[entry.outcome] += 1
        who = entry.actor or entry.role or "-"
        self.by_person.setdefault((who, entry.action), Counter())[entry.outcome] += 1
        local = datetime.fromisoformat(entry.time).astimezone(LOCAL_TIME)
        self.by_day.setdefault(local.date(), Counter())[entry.outcome] += 1
        self.by_hour.setdefault(local.hour, Counter())[entry.outcome] += 1
        if entry.reason is not None and entry.outcome != "granted":
            self.reasons[entry.action, entry.reason] += 1


def count_entries(entries: Iterable[Entry], since: str, until: str) -> Counts:
    """Count the entries of a period; ``until`` is not in it any more."""
    counts = Counts()
    for entry in entries:
        if since <= entry.time < until:
            counts.add(entry)
    return counts


def render_report(
    counts: Counts,
    unusual: Sequence[UnusualAccess],
    marks: Mapping[str, Mark],
    verification: Verification,
    *,
    since: str,
    until: str,
    made_at: str,
) -> str:
    """The page as HTML text.

    Args:
        since, until: the period, times as in entries.
        made_at: when, for people.
    """
    sections = [
        _summary(counts, unusual, marks, verification),
        _section("异常访问", "Unusual access", _unusual_table(unusual, marks)),
        _section("每日条目", "Entries by day", _by_day(counts)),
        _section("每小时条目（北京时间）", "Entries by hour (Beijing time)", _by_hour(counts)),
        _section("被拒绝与失败的原因", "Why requests were refused or failed", _reasons(counts)),
        _section("人员与操作", "Who did what", _by_person(counts)),
    ]
    return _PAGE.substitute(
        since=_local(since),
        until=_local(until),
        made_at=_escape(made_at),
        body="\n".join(sections),
    )


def _summary(
    counts: Counts,
    unusual: Sequence[UnusualAccess],
    marks: Mapping[str, Mark],
    verification: Verification,
) -> str:
    if verification.is_intact:
        verdict = _both("日志完整，未被改动", "The log is intact")
        style = "good"
    else:
        n = len(verification.findings)
        verdict = _both(f"日志未通过验证：{n} 项", f"The log does NOT verify: {n} findings")
        style = "bad"
    n_open = sum(one.id not in marks for one in unusual)
    cells = [
        ("条目", "entries", counts.n_entries),
        *((*_OUTCOME_WORDS[name], counts.by_outcome[name]) for name in _OUTCOMES),
        ("异常访问", "unusual", len(unusual)),
        ("尚未查看", "not looked at yet", n_open),
    ]
    tiles = "".join(
        f'<div class="tile"><b>{value}</b>{_both(chinese, english)}</div>'
        for chinese, english, value in cells
    )
    witnessed = "".join(
        f"<br>{_both('见证', 'Witnessed by')} {_escape(name)}: {size}"
        for name, size, _ in verification.witnessed
    )
    findings = "".join(f"<li>{_escape(found.message)}</li>" for found in verification.findings)
    return (
        f'<div class="tiles">{tiles}</div><p class="{style}">{verdict}</p><p class="mono">'
        f"{verification.size} · {verification.root.hex()}{witnessed}</p>"
        + (f"<ul>{findings}</ul>" if findings else "")
    )


def _unusual_table(unusual: Sequence[UnusualAccess], marks: Mapping[str, Mark]) -> str:
    rows = []
    for one in unusual:
        mark = marks.get(one.id)
        looked = _both("尚未查看", "not yet")
        if mark is not None:
            verdict = _both(*_VERDICTS.get(mark.verdict, (mark.verdict, mark.verdict)))
            looked = f"{verdict}<br>{_escape(mark.by)}, {_local(mark.time)}"
        kind = _both(*KINDS.get(one.kind, (one.kind, one.kind)))
        rows.append(
            (
                kind, _escape(one.who), _local(one.time), str(one.entry), str(one.n_entries),
                _escape(one.detail), looked, f'<span class="mono">{one.id}</span>',
            )
        )  # fmt: skip
    if not rows:
        return f"<p>{_both('没有', 'None.')}</p>"
    return _table(
        (
            ("类别", "kind"), ("谁", "who"), ("何时", "when"), ("首条", "first entry"),
            ("条数", "entries"), ("说明", "detail"), ("是否查看", "looked at"), ("编号", "id"),
        ),
        rows,
        numeric={3, 4},
    )  # fmt: skip


def _by_day(counts: Counts) -> str:
    if not counts.by_day:
        return f"<p>{_both('没有', 'None.')}</p>"
    first, last = min(counts.by_day), max(counts.by_day)
    n_days = min((last - first).days + 1, _MAX_DAYS_SHOWN)
    days = [last - timedelta(days=back) for back in range(n_days - 1, -1, -1)]
    bars = [(day.isoformat(), counts.by_day.get(day, Counter())) for day in days]
    return _plot(bars) + _counts_table(("日期", "day"), [bar for bar in bars if bar[1].total()])


def _by_hour(counts: Counts) -> str:
    bars = [(f"{hour:02d}:00", counts.by_hour.get(hour, Counter())) for hour in range(24)]
    return _plot(bars) + _counts_table(("时段", "hour"), [bar for bar in bars if bar[1].total()])


def _counts_table(heading: tuple[str, str], bars: Sequence[tuple[str, Counter[str]]]) -> str:
    rows = [(name, *(str(values[outcome]) for outcome in _OUTCOMES)) for name, values in bars]
    headings = (heading, *(_OUTCOME_WORDS[outcome] for outcome in _OUTCOMES))
    return _table(headings, rows, numeric={1, 2, 3})


def _by_person(counts: Counts) -> str:
    rows = [
        (_escape(who), _escape(action), *(str(values[outcome]) for outcome in _OUTCOMES))
        for (who, action), values in sorted(counts.by_person.items())
    ]
    headings = (
        ("谁", "who"),
        ("操作", "action"),
        *(_OUTCOME_WORDS[outcome] for outcome in _OUTCOMES),
    )
    return _table(headings, rows, numeric={2, 3, 4})


def _reasons(counts: Counts) -> str:
    rows = [
        (_escape(action), _escape(reason), str(n))
        for (action, reason), n in sorted(counts.reasons.items(), key=lambda item: (-item[1], item))
    ]
    if not rows:
        return f"<p>{_both('没有', 'None.')}</p>"
    headings = (("操作", "action"), ("原因", "reason"), ("条数", "entries"))
    return _table(headings, rows, numeric={2})


def _plot(bars: Sequence[tuple[str, Counter[str]]]) -> str:
    """Stacked bars: granted below, refused and failed above, hatched."""
    width, height, left, below = 860, 190, 46, 42
    most = max(1, *(values.total() for _, values in bars))
    step = (width - left) / len(bars)
    thick = max(1.0, min(36.0, step * 0.72))
    every = max(1, len(bars) // 12)
    parts = []
    for share in (0, 0.5, 1):
        y = 8 + (height - 8) * (1 - share)
        parts.append(
            f'<line x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{round(most * share)}</text>'
        )
    for place, (name, values) in enumerate(bars):
        x = left + step * place + (step - thick) / 2
        top = float(height)
        for outcome in _OUTCOMES:
            size = (height - 8) * values[outcome] / most
            if not size:
                continue
            top -= size
            words = f"{name}: {values[outcome]} {_OUTCOME_WORDS[outcome][1]}"
            parts.append(
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{thick:.1f}" height="{size:.1f}" '
                f'class="{outcome}"><title>{_escape(words)}</title></rect>'
            )
        if place % every == 0:
            parts.append(
                f'<text x="{x + thick / 2:.1f}" y="{height + 16}" text-anchor="middle">'
                f"{_escape(name[-5:])}</text>"
            )
    legend = "".join(
        f'<rect x="{left + 190 * place}" y="{height + 26}" width="14" height="12" '
        f'class="{outcome}"/><text x="{left + 190 * place + 20}" y="{height + 36}">'
        f"{' '.join(_OUTCOME_WORDS[outcome])}</text>"
        for place, outcome in enumerate(_OUTCOMES)
    )
    return (
        f'<svg viewBox="0 0 {width} {height + below}" role="img" aria-label="bars">'
        f"{_HATCHING}{''.join(parts)}{legend}</svg>"
    )


def _table(
    headings: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], *, numeric: set[int]
) -> str:
    """A table; cells are HTML already."""
    head = "".join(
        f'<th class="n">{_both(*words)}</th>' if place in numeric else f"<th>{_both(*words)}</th>"
        for place, words in enumerate(headings)
    )
    lines = []
    for row in rows:
        cells = "".join(
            f'<td class="n">{cell}</td>' if place in numeric else f"<td>{cell}</td>"
            for place, cell in enumerate(row)
        )
        lines.append(f"<tr>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _section(chinese: str, english: str, content: str) -> str:
    return f"<section><h2>{_both(chinese, english)}</h2>{content}</section>"


def _both(chinese: str, english: str) -> str:
    return (
        f'<span lang="zh-CN">{_escape(chinese)}</span> '
        f'<span lang="en" class="en">{_escape(english)}</span>'
    )


def _local(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone(LOCAL_TIME):%Y-%m-%d %H:%M}"


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


_HATCHING: Final = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="6" height="6" fill="#e69f00"/>'
    '<line x1="0" y1="0" x2="0" y2="6" stroke="#5b3a00" stroke-width="2"/></pattern></defs>'
)

_PAGE: Final = Template("""<!DOCTYPE html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>访问日志报告 Access log report</title>
<style>
body { font: 15px/1.5 "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", sans-serif;
  color: #1a1a1a; background: #fff; max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
.en { color: #555; font-size: .88em; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.2rem 0; }
.tile { border: 1px solid #c8c8c8; border-radius: 6px; padding: .5rem .8rem; flex: 1 1 auto; }
.tile b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.good, .bad { border-left: 6px solid #0072b2; padding: .3rem .8rem; background: #eef5fa; }
.bad { border-color: #b00020; background: #fdf0f0; font-weight: bold; }
.mono { font: 12px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin-top: .6rem; }
th, td { border-bottom: 1px solid #ddd; padding: .28rem .5rem; text-align: left;
  vertical-align: top; }
th { border-bottom: 2px solid #666; font-weight: 600; } th.n, td.n { text-align: right;
  font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: #333; }
.grid { stroke: #ccc; } rect.granted { fill: #0072b2; } rect.refused { fill: url(#hatch); }
rect.failed { fill: #1a1a1a; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } section {
  break-inside: auto; } tr, svg { break-inside: avoid; } thead { display: table-header-group; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
</style>
</head>
<body>
<h1>访问日志报告 <span lang="en" class="en">Access log report</span></h1>
<p>$since — $until（北京时间 <span lang="en" class="en">Beijing time</span>）
· 制作 <span lang="en" class="en">made</span> $made_at</p>
$body
</body>
</html>
""")
