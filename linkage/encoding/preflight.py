"""Preflight: what is wrong or risky about an encoded file, said before anybody gets it.

Four things are measured on what would leave the office, and held against :data:`LIMITS`.

**Diffusion times fill.**  Every bit that leaves is the XOR of t bits of a Bloom filter; if few of
those are set, it still stands for a few tokens.  Measured on 1024-bit filters without salts (one
register, made hard): t x fill near 1.3 gave known-plaintext attackers 91 % of the records, 2 gave
13 %, 3.3 under 1 %.  A salted view can be attacked only within one salt value, where with t = 5
(t x fill about 1.5) 1 to 6 % fell to graph matching, undiffused 81 to 100 %.  So an unsalted view
needs 2 and is refused below 1.3; a salted one needs 1.3 and is refused below 0.6.  A register
without divisions leaves the sex alone in their filters: 0.66 on average, which tells the sex and
nothing else; a small one of those must not be refused by chance.

**Salt groups.**  Records with one salt value can be compared with each other.  Groups of up to 600
were measured.  Published graph matching (Schaefer, Armknecht, Heng, ACSAC 2024) beats t <= 4 among
10,000 to 50,000 records, and t >= 8 held.  So a group above 1,000 is pointed out, and above 10,000
refused unless t is 8 or more.  In practice a large group is a placeholder: a school's telephone, or
1 January for every unknown birthday.  An unsalted view is one group.

**Missing.**  A record without any view can never be linked; a view that most records lack
contributes nothing, mostly because the mapping names a wrong column.

**Duplicates.**  Records that are equal in every field become equal encodings: whoever sees the
file learns which, and how often.  Registers hold 1 to 3 %; a fifth means that files were joined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from linkage.profile import Profile
from linkage.types import U64

Verdict = Literal["good", "attention", "refused"]


@dataclass(frozen=True, slots=True)
class Limit:
    """Where attention begins, and where a file is refused; beyond means below if ``is_floor``."""

    attention: float
    refused: float
    is_floor: bool = False

    def judge(self, value: float) -> Verdict:
        """What a value is."""
        if (value < self.refused) if self.is_floor else (value > self.refused):
            return "refused"
        if (value < self.attention) if self.is_floor else (value > self.attention):
            return "attention"
        return "good"


LIMITS: Mapping[str, Limit] = {
    "diffusion-salted": Limit(attention=1.3, refused=0.6, is_floor=True),
    "diffusion-unsalted": Limit(attention=2.0, refused=1.3, is_floor=True),
    "salt-group": Limit(attention=1_000, refused=10_000),
    "salt-group-strong-diffusion": Limit(attention=10_000, refused=50_000),
    "view-missing": Limit(attention=0.5, refused=1.01),
    "records-without-views": Limit(attention=0.02, refused=0.2),
    "duplicates": Limit(attention=0.03, refused=0.2),
}
"""All limits; the module's text says where the numbers are from.  Shares are of all records."""

STRONG_DIFFUSION = 8
MIN_RECORDS_FOR_SHARES = 50
"""In smaller files a share says nothing, and is not judged."""

_ADVICE: Mapping[str, str] = {
    "diffusion": (
        "Look whether the fields of this part are in the mapping and filled in: few values set few "
        "bits. If they are, ask for a profile with more diffusion, or one that sets more bits."
    ),
    "salt-group": (
        "Look for a value that stands in many records in place of the real one, such as one "
        "telephone for a whole school, and empty those cells."
    ),
    "view-missing": "Check that the mapping names the right column, and that it is filled in.",
    "records-without-views": "Check the mapping and the problems below; these records are lost.",
    "duplicates": (
        "Look whether the register was put together from files that overlap, and remove the copies."
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was measured and judged.

    Attributes:
        check: ``diffusion``, ``salt-group``, ``view-missing``, ``records-without-views`` or
            ``duplicates``.
        where: view, or ``view/group``; empty for the whole file.
        value: what was measured.
        limit: where attention begins.
        text: the finding in plain words.
        advice: what to do; empty where nothing is.
    """

    check: str
    where: str
    value: float
    limit: float
    verdict: Verdict
    text: str
    advice: str


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """All findings on a file, in the order of the views."""

    n_records: int
    findings: tuple[Finding, ...]

    def of(self, verdict: Verdict) -> tuple[Finding, ...]:
        """The findings with a verdict."""
        return tuple(finding for finding in self.findings if finding.verdict == verdict)

    @property
    def is_refused(self) -> bool:
        """Whether the file may leave only if somebody accepts the risk."""
        return bool(self.of("refused"))

    def worst(self) -> tuple[Finding, ...]:
        """For each check its worst finding, in the order of the checks."""
        worst: dict[str, Finding] = {}
        for finding in self.findings:
            other = worst.setdefault(finding.check, finding)
            if _badness(finding) > _badness(other):
                worst[finding.check] = finding
        return tuple(worst.values())

    def to_json(self) -> dict[str, Any]:
        """The report for other programs."""
        return {
            "n_records": self.n_records,
            "refused": self.is_refused,
            "findings": [asdict(finding) for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """What the preflight looks at.

    Attributes:
        n_records: of the file.
        fill: mean fill before diffusion of each ``view/group`` that any record has.
        missing: records without each view.
        largest_group: records that share the most frequent salt of each view.
        n_without_views: records that have no view with a salt that can be missing.
        n_duplicates: records beyond the first of each set of equal ones.
    """

    n_records: int
    fill: Mapping[str, float]
    missing: Mapping[str, int]
    largest_group: Mapping[str, int]
    n_without_views: int
    n_duplicates: int


def _badness(finding: Finding) -> tuple[int, float]:
    order: tuple[Verdict, ...] = ("good", "attention", "refused")
    ratio = finding.value / finding.limit
    return order.index(finding.verdict), -ratio if finding.check == "diffusion" else ratio


def preflight(profile: Profile, measured: Measured) -> PreflightReport:
    """Judge what was measured."""
    n = measured.n_records
    findings: list[Finding] = []
    for view in profile.views:
        findings += _view_diffusion(profile, view.name, bool(view.salt), measured)
        findings.append(_salt_group(profile, view.name, measured.largest_group[view.name]))
        missing = measured.missing[view.name]
        share = missing / n if n else 0.0
        findings.append(
            _share(
                "view-missing",
                view.name,
                share,
                n,
                f"{missing:,} of {n:,} records lack what view '{view.name}' is made of.",
            )
        )
    lost, copies = measured.n_without_views, measured.n_duplicates
    findings.append(
        _share(
            "records-without-views",
            "",
            lost / n if n else 0.0,
            n,
            f"{lost:,} of {n:,} records have nothing that they could be linked by.",
        )
    )
    findings.append(
        _share(
            "duplicates",
            "",
            copies / n if n else 0.0,
            n,
            f"{copies:,} of {n:,} records repeat an earlier one in every field.",
        )
    )
    return PreflightReport(n, tuple(findings))


def _view_diffusion(
    profile: Profile, view: str, is_salted: bool, measured: Measured
) -> list[Finding]:
    limit = LIMITS["diffusion-salted" if is_salted else "diffusion-unsalted"]
    found = []
    for place, fill in measured.fill.items():
        if place.split("/")[0] != view:
            continue
        value = round(profile.diffusion * fill, 2)
        text = (
            f"Bits of '{place}' are hidden by t x fill = {value:.2f} (needed: {limit.attention})."
        )
        found.append(_finding("diffusion", place, value, limit, text))
    return found


def _salt_group(profile: Profile, view: str, largest: int) -> Finding:
    strong = profile.diffusion >= STRONG_DIFFUSION
    limit = LIMITS["salt-group-strong-diffusion" if strong else "salt-group"]
    text = f"At most {largest:,} records share one salt of view '{view}'."
    return _finding("salt-group", view, largest, limit, text)


def _share(check: str, where: str, value: float, n: int, text: str) -> Finding:
    judged = value if n >= MIN_RECORDS_FOR_SHARES else 0.0
    return _finding(check, where, round(value, 4), LIMITS[check], text, LIMITS[check].judge(judged))


def _finding(
    check: str,
    where: str,
    value: float,
    limit: Limit,
    text: str,
    verdict: Verdict | None = None,
) -> Finding:
    verdict = verdict or limit.judge(value)
    advice = "" if verdict == "good" else _ADVICE[check]
    return Finding(check, where, value, limit.attention, verdict, text, advice)


def largest_run(values: U64) -> int:
    """How often the most frequent value occurs; sorts ``(n,) uint64`` in place."""
    if not len(values):
        return 0
    values.sort()
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return int(np.diff(np.append(starts, len(values))).max())


def n_repeated(values: U64) -> int:
    """How many values are not the first of their kind; sorts ``(n,) uint64`` in place."""
    values.sort()
    return int(np.count_nonzero(values[1:] == values[:-1]))


def row_digests(rows: U64, first_word: int) -> U64:
    """``(n,) uint64``, equal for rows that are equal from a word on, and else nearly never.

    A linear hash modulo 2^64 with fixed odd factors: encodings differ in many words at once, and
    nobody gains by making two of his own records collide.
    """
    drawn = np.random.default_rng(8).integers(1, 2**63, rows.shape[1], dtype=np.uint64)
    factors: U64 = np.left_shift(drawn, np.uint64(1)) | np.uint64(1)
    words: Sequence[int] = range(first_word, rows.shape[1])
    digests = np.zeros(len(rows), dtype=np.uint64)
    for word in words:
        digests += (rows[:, word] ^ (rows[:, word] >> np.uint64(29))) * factors[word]
    return digests
