"""The attacks of the leakage benchmark work: a figure of theirs near nought means something."""

import numpy as np

from benchmarks.attacks_known import evidence_of_pairs
from benchmarks.attacks_matching import NO_ONE, learn_worth, match_graphs, refine_colours
from benchmarks.attacks_registers import Filters, Seen
from linkage.types import I64

N_RECORDS, N_TOKENS, TOKENS_EACH, FILTER_BITS, BITS_EACH = 80, 120, 10, 512, 20


def tokens_of(n_records: int, seed: int) -> I64:
    """``(n, TOKENS_EACH) int64``: as with names, some tokens are in many records."""
    draw = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, N_TOKENS + 1)
    return np.array(
        [
            draw.choice(N_TOKENS, TOKENS_EACH, replace=False, p=popularity / popularity.sum())
            for _ in range(n_records)
        ]
    )


def seen(tokens: I64, key: int, tags: dict[str, I64] | None = None) -> Seen:
    """Bloom filters of tokens under a key, in one view without salts."""
    positions = np.random.default_rng(key).integers(0, FILTER_BITS, (N_TOKENS, BITS_EACH))
    bits = np.zeros((len(tokens), FILTER_BITS), dtype=np.uint8)
    bits[np.arange(len(tokens))[:, None], positions[tokens].reshape(len(tokens), -1)] = 1
    filters = Filters(bits, np.ones(len(tokens), dtype=np.bool_))
    return Seen(np.arange(len(tokens)), tags or {}, {("clk", "clk"): filters})


def noise(n_records: int) -> Seen:
    bits = np.random.default_rng(9).integers(0, 2, (n_records, FILTER_BITS), dtype=np.uint8)
    filters = Filters(bits, np.ones(n_records, dtype=np.bool_))
    return Seen(np.arange(n_records), {}, {("clk", "clk"): filters})


def shuffled(one: Seen) -> Seen:
    return one.rows(np.random.default_rng(7).permutation(len(one)))


def share_right(target: Seen, held: Seen, row: I64) -> float:
    return float((held.entity[row] == target.entity).mean())


def test_plain_filters_fall_to_graph_matching_and_noise_does_not() -> None:
    others = tokens_of(N_RECORDS, seed=1)
    worth = learn_worth(seen(others, key=1), seen(others, key=2))
    people = tokens_of(N_RECORDS, seed=2)
    held = seen(people, key=3)
    for target, least, most in (
        (shuffled(seen(people, key=4)), 0.9, 1.0),
        (shuffled(noise(N_RECORDS)), 0.0, 0.1),
    ):
        guesses = match_graphs(target, held, worth)
        assert least <= share_right(target, held, guesses.row) <= most


def test_known_pairs_give_plain_filters_away_and_noise_not() -> None:
    people = tokens_of(N_RECORDS, seed=2)
    held = seen(people, key=3)
    for target, least, most in (
        (shuffled(seen(people, key=4)), 0.9, 1.0),
        (shuffled(noise(N_RECORDS)), 0.0, 0.1),
    ):
        known = np.arange(N_RECORDS // 2)
        pairs = known, target.entity[known]
        evidence = evidence_of_pairs(target, held, pairs, power=1)
        row = evidence.argmax(axis=1)
        unknown = row[N_RECORDS // 2 :]
        found = target.rows(np.arange(N_RECORDS // 2, N_RECORDS))
        assert least <= share_right(found, held, unknown) <= most


def test_known_pairs_say_nothing_of_records_with_another_salt() -> None:
    tags = {"clk": np.repeat([0, 1], N_RECORDS // 2)}
    target = seen(tokens_of(N_RECORDS, seed=2), key=3, tags=tags)
    known = np.arange(10)
    evidence = evidence_of_pairs(target, target, (known, known), power=1)
    assert evidence[: N_RECORDS // 2, : N_RECORDS // 2].any()
    assert not evidence[N_RECORDS // 2 :].any()
    assert not evidence[:, N_RECORDS // 2 :].any()


def test_colours_part_records_by_whom_they_share_tags_with() -> None:
    tags = {
        # 0 and 1 have one name, 1 and 2 one telephone; 3 and 4 have one name and nothing else.
        "name": np.array([0, 0, 1, 2, 2]),
        "phone": np.array([0, 1, 1, NO_ONE, NO_ONE]),
    }
    held = Seen(np.arange(5), tags, {})
    target = held.rows(np.array([4, 2, 0, 3, 1]))
    guesses = refine_colours(target, held)
    assert guesses.row.tolist() == [NO_ONE, 2, 0, NO_ONE, 1]


def test_a_guess_counts_once_for_each_record_that_could_be_found() -> None:
    worth = learn_worth(*(seen(tokens_of(40, seed=1), key) for key in (1, 2)))
    people = tokens_of(40, seed=2)
    fewer = seen(people[:30], key=3)
    guesses = match_graphs(seen(people, key=4), fewer, worth)
    assert guesses.row.shape == guesses.surety.shape == (40,)
    assert guesses.row.max() < 30
