"""The speed of a match is what it really did."""

import pytest

from linkage.progress import WINDOW_S, MatchProgress, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def compared(done: int, resumed: int = 0, total: int = 1000) -> MatchProgress:
    return MatchProgress("compare", done, total, done, 0, resumed)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_is_said_before_there_is_something_to_say(clock: Clock) -> None:
    pace = Pace(clock)
    assert (pace.done_per_s(), pace.pairs_per_s(), pace.seconds_left()) == (None, None, None)
    pace.note(compared(0))
    clock.now += 5
    assert (pace.done_per_s(), pace.seconds_left()) == (None, None)


def test_speed_and_time_left(clock: Clock) -> None:
    pace = Pace(clock)
    for second in range(11):
        pace.note(compared(20 * second))
        clock.now += 1
    clock.now -= 1
    assert pace.pairs_per_s() == pytest.approx(20)
    assert pace.seconds_left() == pytest.approx(800 / 20)


def test_what_was_finished_before_is_not_speed(clock: Clock) -> None:
    pace = Pace(clock)
    pace.note(compared(0))
    clock.now += 1
    pace.note(compared(900, resumed=900))
    assert pace.pairs_per_s() is None
    clock.now += 9
    pace.note(compared(910, resumed=900))
    assert pace.pairs_per_s() == pytest.approx(1)
    assert pace.seconds_left() == pytest.approx(90)


def test_a_match_that_stands_still_becomes_slower(clock: Clock) -> None:
    pace = Pace(clock)
    pace.note(compared(0))
    clock.now += 10
    pace.note(compared(100))
    clock.now += 10
    assert pace.pairs_per_s() == pytest.approx(5)


def test_the_last_minute_counts_but_rare_reports_count_too(clock: Clock) -> None:
    pace = Pace(clock)
    for second in range(300):
        pace.note(compared(second if second < 200 else 200 + 7 * (second - 200), total=10**6))
        clock.now += 1
    assert pace.pairs_per_s() == pytest.approx(7, rel=0.1)
    for _ in range(3):
        clock.now += 2 * WINDOW_S
        before = compared(900)
        pace.note(before)
    assert pace.done_per_s() is None
    pace.note(compared(1100, total=10**6))
    assert pace.done_per_s() is not None


def test_time_left_is_not_said_before_a_fiftieth_is_done(clock: Clock) -> None:
    pace = Pace(clock)
    pace.note(compared(500, resumed=500))
    clock.now += 10
    pace.note(compared(509, resumed=500))
    assert pace.pairs_per_s() == pytest.approx(0.9)
    assert pace.seconds_left() is None
    clock.now += 10
    pace.note(compared(510, resumed=500))
    assert pace.seconds_left() == pytest.approx(490 / 0.5)


def test_a_stage_begins_anew_and_pairs_are_those_that_are_compared(clock: Clock) -> None:
    pace = Pace(clock)
    pace.note(compared(0))
    clock.now += 10
    pace.note(compared(1000))
    pace.note(MatchProgress("score", 0, 8, 1000, 5))
    assert pace.seconds_left() is None
    clock.now += 4
    pace.note(MatchProgress("score", 2, 8, 1000, 5))
    assert pace.pairs_per_s() is None
    assert pace.seconds_left() == pytest.approx(12)
