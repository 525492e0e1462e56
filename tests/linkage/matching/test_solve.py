"""One-to-one assignment against brute force."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.matching.solve import one_to_one


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_one_to_one_takes_the_best_pair_whose_records_are_free(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dataset_of = np.repeat([0, 1, 2], 4)
    left, right = np.triu_indices(12, 1)
    weights = rng.integers(-3, 4, len(left)).astype(np.float64)
    accepted = one_to_one(weights, left, right, dataset_of)
    expected: set[tuple[int, int]] = set()
    order = sorted(range(len(left)), key=lambda i: (-weights[i], left[i], right[i]))
    assert all(weights[i] >= weights[j] for i, j in pairwise(order))
    for i in order:
        a, b = int(left[i]), int(right[i])
        if dataset_of[a] == dataset_of[b]:
            continue
        clash = any(
            (x == a and dataset_of[y] == dataset_of[b])
            or (y == b and dataset_of[x] == dataset_of[a])
            or (y == a and dataset_of[x] == dataset_of[b])
            or (x == b and dataset_of[y] == dataset_of[a])
            for x, y in expected
        )
        if not clash:
            expected.add((a, b))
    found = set(zip(left[accepted].tolist(), right[accepted].tolist(), strict=True))
    assert found == expected
