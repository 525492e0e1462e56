import pytest

from api.client.match_figures import MatchFigures, duration, short


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        (MatchFigures("queued", 0, 0), "Waiting for a worker"),
        (MatchFigures("candidates", 0, 1), "Learning from a sample"),
        (
            MatchFigures("compare", 12 * 10**8, 48 * 10**8, 12 * 10**8, 3456, 8.01e7, 45.2),
            "Comparing records 25%: 1.2 G pairs, 80.1 M/s, 3.46 k kept, 45 s left",
        ),
        (MatchFigures("compare", 0, 900, 0, None), "Comparing records 0%"),
        (MatchFigures("score", 3, 4, None, 12), "Scoring pairs 75%: 12 kept"),
        (MatchFigures("score", 4, 4, None, 12, None, 0.0), "Scoring pairs 100%: 12 kept"),
        (MatchFigures("later\x1b[1m", 1, 1), "later [1m"),
    ],
)
def test_a_line_says_what_is_known_and_nothing_else(figures: MatchFigures, sentence: str) -> None:
    assert figures.sentence() == sentence


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "1 s"), (59.4, "59 s"), (61, "1 min"), (3599, "1 h 0 min"), (9000, "2 h 30 min")],
)
def test_a_time_is_no_more_exact_than_an_estimate(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(950, "950"), (12_345, "12.3 k"), (4_560_000, "4.56 M"), (1.7e10, "17 G")]
)
def test_counts_are_short(number: float, text: str) -> None:
    assert short(number) == text
