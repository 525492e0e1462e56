"""A few hundred random tamperings with everything that holds the log: all are found.

``python -m benchmarks.audit`` makes ten thousand.
"""

import pytest

from benchmarks.audit_tampering import measure_tampering


def test_every_tampering_is_found_and_nothing_else() -> None:
    found = measure_tampering(240)
    assert found["missed"] == []
    assert found["n_found"] == found["n_tamperings"] == 240
    assert found["n_false_alarms"] == 0
    assert len(found["by_kind"]) > 35


@pytest.mark.process
def test_writers_that_are_killed_leave_one_history() -> None:
    from benchmarks.audit_writers import measure_writers

    found = measure_writers("sqlite", 2.5)
    assert found["n_kills"] >= 1
    assert found["n_acknowledged"] > 10
    wrong = ("n_acknowledged_lost", "n_gaps", "n_twice", "n_forks", "times_run_backwards")
    assert {name: found[name] for name in wrong if found[name]} == {}
    assert found["head_fits"]
