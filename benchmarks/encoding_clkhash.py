"""How fast CLKs are made, beside clkhash itself: one question of ``benchmarks.encoding``.

Both get the same rows in memory and one process, ``clkhash.clk.generate_clks(max_workers=1)`` and
``linkage.encoding.clk.ClkEncoder``; both check every value against its format.  Each repetition is
a process of its own, in which both are imported and neither has encoded anything: all caches are
cold (ours needs no compiler).  Parsing the schema and deriving keys are counted on both sides.  The
CLKs of both are compared bit by bit in the same run, and the ratio is of processor times.
"""

import csv
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.encoding_corpus import write_register

SECRET = "a secret that is long enough"  # noqa: S105 - a benchmark has nothing to hide
TARGET_RATIO = 8.0
_CASES = {
    "blakeHash, bits a feature": ("blakeHash", "bitsPerFeature"),
    "blakeHash, bits a token": ("blakeHash", "bitsPerToken"),
    "doubleHash, bits a token": ("doubleHash", "bitsPerToken"),
}
_ROWS, _QUICK_ROWS = 40_000, 8_000

Row = Mapping[str, Any]


def clkhash(folder: Path, quick: bool) -> list[Row]:
    """CLKs by clkhash's schemas beside clkhash itself: one process, cold, the same bits."""
    file = write_register(folder / "clkhash.csv", _QUICK_ROWS if quick else _ROWS)
    rows: list[Row] = []
    for case in _CASES:
        runs = [_in_child(case, file.path) for _ in range(2 if quick else 5)]
        ratios = sorted(run["clkhash_s"] / run["ours_s"] for run in runs)
        rows.append(
            {
                "schema": case,
                "records": file.n_rows,
                "clkhash records/s": file.n_rows / _median(runs, "clkhash_s"),
                "ours records/s": file.n_rows / _median(runs, "ours_s"),
                "ratio": statistics.median(ratios),
                "least": ratios[0],
                "most": ratios[-1],
                "share of target": statistics.median(ratios) / TARGET_RATIO,
            }
        )
    return rows


def _median(runs: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def _in_child(case: str, path: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.encoding_clkhash", case, str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _schema(token_hash: str, strategy: str) -> dict[str, Any]:
    def feature(name: str, form: Any, comparison: Any, per_token: int, per_feature: int) -> Any:
        bits = per_token if strategy == "bitsPerToken" else per_feature
        return {
            "identifier": name,
            "format": form,
            "hashing": {
                "comparison": comparison,
                "strategy": {strategy: bits},
                "hash": {"type": token_hash},
                "missingValue": {"sentinel": ""},
            },
        }

    text = {"type": "string", "encoding": "utf-8", "maxLength": 60}
    digits = {"type": "string", "pattern": ".{0,80}"}
    bigrams, places = {"type": "ngram", "n": 2}, {"type": "ngram", "n": 1, "positional": True}
    return {
        "version": 3,
        "clkConfig": {"l": 1024, "kdf": {"type": "HKDF", "hash": "SHA256", "keySize": 64}},
        "features": [
            {"identifier": "RYBH", "ignored": True},
            feature("GMSFHM", digits, places, 6, 110),
            feature("XM", text, bigrams, 20, 100),
            feature("XB", {"type": "enum", "values": ["1", "2"]}, {"type": "exact"}, 15, 15),
            feature("CSRQ", {"type": "date", "format": "%Y%m%d"}, places, 10, 90),
            feature("JHRXM", text, bigrams, 12, 60),
            feature("LXDH", digits, places, 5, 60),
            feature("HJDXZQH", digits, places, 5, 30),
            feature("XZZXZQH", digits, places, 5, 30),
            feature(
                "SG",
                {"type": "integer", "minimum": 30, "maximum": 220},
                {"type": "numeric", "thresholdDistance": 6, "resolution": 4},
                5,
                45,
            ),
        ],
    }


def _rows(path: Path, schema: Mapping[str, Any]) -> list[list[str]]:
    """The register's columns in the schema's order, what is no date left out, and a height."""
    draw = random.Random(1)  # noqa: S311 - invented children, not keys
    names = [feature["identifier"] for feature in schema["features"][:-1]]
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for record in csv.DictReader(file):
            cells = [record[name] for name in names]
            cells[3] = cells[3] if cells[3] in ("1", "2") else ""
            cells[4] = cells[4] if _is_date(cells[4]) else ""
            cells[1], cells[6] = ("".join(c for c in cells[i] if c.isascii()) for i in (1, 6))
            rows.append([*cells, str(draw.randint(45, 180))])
    return rows


def _is_date(cell: str) -> bool:
    try:
        datetime.strptime(cell, "%Y%m%d")  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return False
    return True


def _child(case: str, path: Path) -> dict[str, float]:
    from clkhash.clk import generate_clks
    from clkhash.schema import from_json_dict

    from linkage.encoding.clk import ClkEncoder, parse_linkage_schema

    document = _schema(*_CASES[case])
    rows = _rows(path, document)
    written = json.dumps(document)
    start = time.process_time()
    theirs = generate_clks(rows, from_json_dict(json.loads(written)), SECRET, max_workers=1)
    clkhash_s = time.process_time() - start
    start = time.process_time()
    encoder = ClkEncoder(parse_linkage_schema(written.encode("utf-8")), SECRET.encode("utf-8"))
    ours = [
        encoder.encode(rows[at : at + 8192], first_row=at + 1) for at in range(0, len(rows), 8192)
    ]
    ours_s = time.process_time() - start
    if b"".join(clk.tobytes() for clk in theirs) != b"".join(block.tobytes() for block in ours):
        raise AssertionError("CLKs differ from those of clkhash")
    return {"clkhash_s": clkhash_s, "ours_s": ours_s}


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1], Path(sys.argv[2]))))
