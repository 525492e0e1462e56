"""First occurrences, against a plain dictionary."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linkage.records.seen import FirstSeen


@given(st.lists(st.lists(st.integers(-5, 30), min_size=1, max_size=9), max_size=9))
def test_it_remembers_what_a_dictionary_would(batches: list[list[int]]) -> None:
    seen = FirstSeen()
    known: dict[int, int] = {}
    row = 0
    for batch in batches:
        rows = list(range(row + 1, row + 1 + len(batch)))
        row += len(batch)
        expected = []
        for key, at in zip(batch, rows, strict=True):
            expected.append(known.get(key, 0))
            known.setdefault(key, at)
        first, payloads = seen.look_up_and_add(
            np.array(batch, dtype=np.int64),
            np.array(rows, dtype=np.int64),
            np.array([-r for r in rows], dtype=np.int64),
        )
        assert first.tolist() == expected
        assert payloads.tolist() == [-known[key] for key in batch]
