"""The access log's figures: appending, overhead, verifying, proving, tampering, writers killed.

    python -m benchmarks.audit --quick --json FILE
    python -m benchmarks.audit --json FILE

Whole: ten million entries, ten thousand tamperings (needs some 20 GB of disk and half an hour);
``--quick`` takes a minute or two. ``--only`` names some of them.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.audit_figures import (
    measure_appends,
    measure_overhead,
    measure_proofs,
    measure_verifying,
)
from benchmarks.audit_logs import is_available
from benchmarks.audit_tampering import measure_tampering
from benchmarks.audit_writers import measure_writers

MIN_APPENDS_PER_S: Final = 5000
MAX_ADDED_PERCENT: Final = 15
MAX_VERIFY_S: Final = 120
MAX_PROOF_MS: Final = 10


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    append_s: float
    n_requests: int
    n_verified: int
    n_proved: int
    n_tamperings: int
    writers_s: float


QUICK: Final = Size(1.5, 60, 200_000, 100_000, 400, 6)
WHOLE: Final = Size(5, 400, 10_000_000, 10_000_000, 10_000, 60)

_DATABASES: Final = ("sqlite", "postgresql")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and end with 1 if a bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="everything, small")
    parser.add_argument("--only", help=f"of: {', '.join(_MEASURES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else WHOLE
    wanted = list(_MEASURES) if options.only is None else options.only.split(",")
    results: dict[str, Any] = {}
    for name in wanted:
        results[name] = _MEASURES[name](size)
        print(f"{name}: {json.dumps(results[name])}", flush=True)
    broken = [message for name in wanted for message in _broken_bounds(name, results[name])]
    for message in broken:
        print(f"NOT KEPT: {message}")
    if options.json is not None:
        report = {
            "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "machine": {"system": platform.platform(), "cores": os.cpu_count()},
            "python": platform.python_version(),
            "quick": options.quick,
            "bounds_not_kept": broken,
            **results,
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 1 if broken else 0


def _on_each(measure: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    return {
        kind: measure(kind) if is_available(kind) else "not installed on this machine"
        for kind in _DATABASES
    }


_MEASURES: Final[Mapping[str, Callable[[Size], dict[str, Any]]]] = {
    "appends": lambda size: _on_each(lambda kind: measure_appends(kind, size.append_s)),
    "overhead": lambda size: _on_each(lambda kind: measure_overhead(kind, size.n_requests)),
    "verifying": lambda size: measure_verifying(size.n_verified),
    "proofs": lambda size: measure_proofs("sqlite", size.n_proved),
    "tampering": lambda size: measure_tampering(size.n_tamperings),
    "writers": lambda size: _on_each(lambda kind: measure_writers(kind, size.writers_s)),
}


def _broken_bounds(name: str, found: Mapping[str, Any]) -> list[str]:
    each = [(kind, value) for kind, value in found.items() if isinstance(value, dict)]
    if name == "appends":
        return [
            f"{kind}: {what} is {value[what]}, at least {MIN_APPENDS_PER_S} wanted"
            for kind, value in each
            for what in ("batched_per_s", "requests_at_once_per_s")
            if value[what] < MIN_APPENDS_PER_S
        ]
    if name == "overhead":
        return [
            f"{kind}: the log adds {one['adds_percent']} % to a {what}"
            for kind, value in each
            for what, one in value.items()
            if one["adds_percent"] > MAX_ADDED_PERCENT
        ]
    if name == "verifying":
        slow = found["seconds_for_10_million"] > MAX_VERIFY_S
        grows = found["max_memory_mib"] > 2 * found["max_memory_mib_at_a_tenth"] + 16
        return (
            ["verifying ten million entries takes too long"] * slow
            + ["memory grows with the log"] * grows
            + ["the untouched log was not found intact"] * (not found["intact"])
        )
    if name == "proofs":
        slow = found["inclusion_ms"]["most"] > MAX_PROOF_MS
        return ["an inclusion proof takes too long"] * slow
    if name == "tampering":
        all_found = found["n_found"] == found["n_tamperings"]
        return ["tampering was not found"] * (not all_found) + ["a false alarm"] * bool(
            found["n_false_alarms"]
        )
    wrong = ("n_acknowledged_lost", "n_gaps", "n_twice", "n_forks", "times_run_backwards")
    return [
        f"{kind}: {what} is {value[what]}" for kind, value in each for what in wrong if value[what]
    ] + [f"{kind}: the head does not fit" for kind, value in each if not value["head_fits"]]


if __name__ == "__main__":
    sys.exit(main())
