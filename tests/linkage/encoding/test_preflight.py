"""The preflight: each check at its limits, in words that a clerk understands."""

from dataclasses import replace

import numpy as np
import pytest

from linkage.encoding.preflight import (
    LIMITS,
    Measured,
    PreflightReport,
    largest_run,
    n_repeated,
    preflight,
    row_digests,
)
from linkage.profile import load_profile, parse_profile
from tests.linkage.encoding.records import EVERY_KIND

CHILD = load_profile("cn-child-v1")
GOOD = Measured(
    n_records=10_000,
    fill={f"{view.name}/{group}": 0.3 for view in CHILD.views for group in view.groups},
    missing={view.name: 100 for view in CHILD.views},
    largest_group={view.name: 20 for view in CHILD.views},
    n_without_views=3,
    n_duplicates=100,
)


def verdicts(report: PreflightReport) -> dict[tuple[str, str], str]:
    return {(f.check, f.where): f.verdict for f in report.findings if f.verdict != "good"}


def test_an_ordinary_file_is_good() -> None:
    report = preflight(CHILD, GOOD)
    assert verdicts(report) == {}
    assert not report.is_refused
    assert {f.check for f in report.worst()} == {
        "diffusion",
        "salt-group",
        "view-missing",
        "records-without-views",
        "duplicates",
    }


@pytest.mark.parametrize(
    ("change", "place", "verdict"),
    [
        ({"fill": {"birth/name": 0.26}}, None, None),
        ({"fill": {"birth/name": 0.25}}, ("diffusion", "birth/name"), "attention"),
        ({"fill": {"birth/name": 0.12}}, ("diffusion", "birth/name"), "attention"),
        ({"fill": {"birth/name": 0.11}}, ("diffusion", "birth/name"), "refused"),
        ({"largest_group": {"phone": 1_000}}, None, None),
        ({"largest_group": {"phone": 1_001}}, ("salt-group", "phone"), "attention"),
        ({"largest_group": {"phone": 10_001}}, ("salt-group", "phone"), "refused"),
        ({"missing": {"identity": 5_000}}, None, None),
        ({"missing": {"identity": 5_001}}, ("view-missing", "identity"), "attention"),
        ({"missing": {"identity": 10_000}}, ("view-missing", "identity"), "attention"),
        ({"n_without_views": 200}, None, None),
        ({"n_without_views": 201}, ("records-without-views", ""), "attention"),
        ({"n_without_views": 2_001}, ("records-without-views", ""), "refused"),
        ({"n_duplicates": 300}, None, None),
        ({"n_duplicates": 301}, ("duplicates", ""), "attention"),
        ({"n_duplicates": 2_001}, ("duplicates", ""), "refused"),
    ],
)
def test_each_limit(
    change: dict[str, dict[str, float] | int], place: tuple[str, str] | None, verdict: str | None
) -> None:
    changes = {
        name: {**getattr(GOOD, name), **value} if isinstance(value, dict) else value
        for name, value in change.items()
    }
    report = preflight(CHILD, replace(GOOD, **changes))  # type: ignore[arg-type]
    assert verdicts(report) == ({place: verdict} if place else {})
    assert report.is_refused == (verdict == "refused")
    for finding in report.findings:
        assert bool(finding.advice) == (finding.verdict != "good")


def test_undiffused_filters_are_refused_in_every_view() -> None:
    profile = parse_profile(CHILD.source.replace("diffusion = 5", "diffusion = 0"))
    refused = preflight(profile, GOOD).of("refused")
    assert {finding.where for finding in refused} == set(GOOD.fill)


def test_more_diffusion_bears_larger_groups() -> None:
    profile = parse_profile(CHILD.source.replace("diffusion = 5", "diffusion = 8"))
    measured = replace(GOOD, largest_group=dict.fromkeys(GOOD.largest_group, 10_001))
    assert {f.verdict for f in preflight(profile, measured).findings} == {"good", "attention"}


def test_a_view_without_salt_needs_more() -> None:
    profile = parse_profile(EVERY_KIND)
    measured = Measured(
        n_records=100,
        fill={"open/name": 0.6, "given/name": 0.6},
        missing={view.name: 0 for view in profile.views},
        largest_group={view.name: 1 for view in profile.views},
        n_without_views=0,
        n_duplicates=0,
    )
    assert verdicts(preflight(profile, measured)) == {("diffusion", "open/name"): "attention"}


def test_shares_of_a_few_records_say_nothing() -> None:
    measured = replace(GOOD, n_records=49, missing=dict.fromkeys(GOOD.missing, 49), n_duplicates=48)
    assert verdicts(preflight(CHILD, measured)) == {}


def test_the_report_is_plain_data() -> None:
    document = preflight(CHILD, replace(GOOD, n_duplicates=5_000)).to_json()
    assert document["refused"] is True
    [finding] = [f for f in document["findings"] if f["verdict"] == "refused"]
    assert finding["check"] == "duplicates"
    assert finding["value"] == 0.5
    assert finding["text"] == "5,000 of 10,000 records repeat an earlier one in every field."


def test_every_limit_is_wider_for_refusal() -> None:
    for limit in LIMITS.values():
        assert limit.is_floor == (limit.refused < limit.attention)


def test_counting() -> None:
    values = np.array([3, 1, 3, 2, 3, 1], dtype=np.uint64)
    assert largest_run(values.copy()) == 3
    assert n_repeated(values.copy()) == 3
    assert largest_run(values[:0]) == n_repeated(values[:0]) == 0


def test_digests_are_equal_for_equal_rows_only() -> None:
    rows = np.random.default_rng(1).integers(0, 2**64, (500, 9), dtype=np.uint64)
    rows[7, 2:] = rows[3, 2:]
    rows[8] = rows[3]
    rows[8, 5] ^= np.uint64(1)
    digests = row_digests(rows, 2)
    assert digests[7] == digests[3]
    assert len(np.unique(digests)) == 499
