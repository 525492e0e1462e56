"""First occurrences of many values in little memory: 24 bytes a value, hashes only."""

import numpy as np

from linkage.types import I64


class FirstSeen:
    """Remembers at which row each key was first seen, and a payload of that row.

    Keys are 64-bit hashes. They lie in sorted runs that are merged as they grow, so that ``n``
    keys cost 24 ``n`` bytes and a look-up is a few binary searches.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[I64, I64, I64]] = []

    def look_up_and_add(self, keys: I64, rows: I64, payloads: I64) -> tuple[I64, I64]:
        """First row and its payload for each key; 0 as the row of a key never seen before.

        ``keys``, ``rows`` (> 0, ascending) and ``payloads`` are ``(n,) int64``, and so is what
        comes back. Within the call, an earlier occurrence counts as seen.
        """
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        seen_row = np.zeros(len(unique), dtype=np.int64)
        seen_payload = np.zeros(len(unique), dtype=np.int64)
        for run_keys, run_rows, run_payloads in self._runs:
            at = np.searchsorted(run_keys, unique)
            at[at == len(run_keys)] = 0
            hit = run_keys[at] == unique
            seen_row[hit] = run_rows[at[hit]]
            seen_payload[hit] = run_payloads[at[hit]]
        new = seen_row == 0
        if new.any():
            self._add(unique[new], rows[first[new]], payloads[first[new]])
        seen_row[new] = rows[first[new]]
        seen_payload[new] = payloads[first[new]]
        first_row = seen_row[inverse]
        return np.where(first_row == rows, 0, first_row), seen_payload[inverse]

    def _add(self, keys: I64, rows: I64, payloads: I64) -> None:
        self._runs.append((keys, rows, payloads))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            above, below = self._runs.pop(), self._runs.pop()
            merged = [np.concatenate(columns) for columns in zip(below, above, strict=True)]
            order = np.argsort(merged[0], kind="stable")
            self._runs.append((merged[0][order], merged[1][order], merged[2][order]))
