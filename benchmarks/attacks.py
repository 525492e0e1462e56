"""Attacks on encodings by who sees them and holds plaintext, but never the key.

    python -m benchmarks.attacks --quick
    python -m benchmarks.attacks --json FILE
    python -m benchmarks.attacks --only birthday

The attacker is the server: it sees salt tags and filters of a whole register, and holds plaintext
of the same register or of another one with the same children.  It succeeds where its first guess
for a record is the right child.  ``docs/leakage.md`` says what the figures mean and what not.

Registers are invented (``linkage.quality.synthetic``); what agreement is worth the attacker learns
on registers of other children.  One CLK (``benchmarks.quality_clkhash``) is attacked beside the
views: an attack that leaves that standing shows nothing.
"""

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.attacks_known import Seeds, evidence_of_pairs
from benchmarks.attacks_matching import Guesses, Worth, learn_worth, match_graphs, refine_colours
from benchmarks.attacks_registers import (
    Plaintext,
    Seen,
    registers_of,
    seen_by_clkhash,
    seen_by_views,
)
from linkage.profile import Profile, load_profile, parse_profile
from linkage.types import Bools

Row = Mapping[str, Any]

_TARGET, _OTHER = "chengdu-police", "chengdu-health"
_SEED, _TRAINING_SEED = 1, 101
_SERVER_KEY, _OWN_KEY, *_TRAINING_KEYS = (bytes([number]) * 32 for number in range(1, 5))
_BIRTHDAY = "2015-06-01"
_SUREST = 50
_CLK = "one CLK"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is attacked.

    Attributes:
        children: behind the registers of the views; a register holds two thirds of them or so.
        clk_children: the same for one CLK, where all pairs of records can be compared.
        birthday: records with one birth date.
        encoding: only encodings with this in their name.
        pairs: known pairs, over a whole register.
        birthday_pairs: known pairs of one birth date.
    """

    children: int
    clk_children: int
    birthday: int
    pairs: tuple[int, ...]
    birthday_pairs: tuple[int, ...]
    encoding: str = ""


FULL = Sizes(3_000, 1_000, 300, (50, 200, 1_000), (10, 50, 150))
QUICK = Sizes(900, 400, 150, (50, 200), (10, 50))


@dataclass(frozen=True, slots=True)
class Design:
    """A way of encoding.

    Attributes:
        name: as the tables call it.
        encode: plaintext and a key give what is seen.
        undiffused: the same, before diffusion.
        power: bits that diffusion sums, at least 1.
    """

    name: str
    encode: Callable[[Plaintext, bytes], Seen]
    undiffused: Callable[[Plaintext, bytes], Seen]
    power: int


def designs(part_of_name: str) -> list[Design]:
    """One CLK, and the shipped profile: its own diffusion, none, a little more, twice as much."""
    shipped = load_profile("cn-child-v1")
    bare = _diffused(shipped, 0)
    found = [Design(_CLK, seen_by_clkhash, seen_by_clkhash, 1)]
    for t in (0, shipped.diffusion, shipped.diffusion + 2, 2 * shipped.diffusion):
        name = f"{shipped.name}, " + ("no diffusion" if t == 0 else f"t = {t}")
        if t == shipped.diffusion:
            name += " (as shipped)"
        found.append(Design(name, _views(_diffused(shipped, t)), _views(bare), max(1, t)))
    return [design for design in found if part_of_name in design.name]


def _views(profile: Profile) -> Callable[[Plaintext, bytes], Seen]:
    return lambda plaintext, key: seen_by_views(plaintext, profile, key)


def _diffused(profile: Profile, t: int) -> Profile:
    return parse_profile(re.sub(r"(?m)^diffusion = \d+$", f"diffusion = {t}", profile.source))


# --- the questions -----------------------------------------------------------------------------


class _Told(list[Row]):
    """Rows that are told on standard error as they come: some take minutes."""

    def append(self, row: Row) -> None:
        """Add a row, and tell it."""
        print(*(_shown(name, value) for name, value in row.items()), sep="  ", file=sys.stderr)
        super().append(row)


def register(sizes: Sizes) -> list[Row]:
    """Without the key, a whole register: share of records whose child is named."""
    rows = _Told()
    of_tags: dict[str, dict[str, float]] = {}  # which say the same whatever the diffusion
    for design in designs(sizes.encoding):
        n_children = sizes.clk_children if design.name == _CLK else sizes.children
        for holds, other in _HOLDINGS.items():
            found, training = _registers(n_children, other), _registers(n_children, other, True)
            attack = _Attack(design, found, training)
            start = perf_counter()
            if attack.target.tags and holds not in of_tags:
                of_tags[holds] = {
                    "colours": attack.share(refine_colours(attack.target, attack.known)),
                    "tags": attack.share(attack.matched(filters=False)),
                }
            rows.append(
                {
                    "encoding": design.name,
                    "attacker holds": holds,
                    "records": len(attack.target),
                    **(of_tags[holds] if attack.target.tags else {"colours": None, "tags": None}),
                    **attack.shares(attack.matched()),
                    "s": perf_counter() - start,
                }
            )
    return rows


def birthday(sizes: Sizes) -> list[Row]:
    """Without the key, records of one birth date that the attacker knows to be of that date."""
    rows = _Told()
    for design in designs(sizes.encoding):
        for holds, other in _HOLDINGS.items():
            found, training = (
                _born_together(_registers(sizes.children, other, learning), sizes.birthday)
                for learning in (False, True)
            )
            attack = _Attack(design, found, training)
            start = perf_counter()
            rows.append(
                {
                    "encoding": design.name,
                    "attacker holds": holds,
                    "records": len(attack.target),
                    **attack.shares(attack.matched()),
                    "s": perf_counter() - start,
                }
            )
    return rows


def known(sizes: Sizes) -> list[Row]:
    """Known pairs of encoding and plaintext, and plaintext of the same register."""
    rows = _Told()
    for design in designs(sizes.encoding):
        n_children = sizes.clk_children if design.name == _CLK else sizes.children
        whole = _registers(n_children, None), _registers(n_children, None, True)
        together = tuple(
            _born_together(_registers(sizes.children, None, learning), sizes.birthday)
            for learning in (False, True)
        )
        for where, (found, training), counts in (
            ("register", whole, sizes.pairs),
            ("one birth date", together, sizes.birthday_pairs),
        ):
            attack = _Attack(design, found, training)
            for n_pairs in counts:
                if n_pairs >= len(attack.target):
                    continue
                start = perf_counter()
                seeds = attack.seeds(n_pairs)
                evidence = evidence_of_pairs(attack.target, attack.undiffused, seeds, design.power)
                alone = Guesses(evidence.argmax(axis=1), evidence.max(axis=1).astype(np.float64))
                both = match_graphs(attack.target, attack.known, attack.worth, seeds, evidence)
                rows.append(
                    {
                        "encoding": design.name,
                        "of": where,
                        "records": len(attack.target),
                        "known pairs": n_pairs,
                        "filters alone": attack.share(alone, seeds),
                        **attack.shares(both, seeds),
                        "s": perf_counter() - start,
                    }
                )
    return rows


QUESTIONS: Mapping[str, Callable[[Sizes], list[Row]]] = {
    "register": register,
    "birthday": birthday,
    "known": known,
}
"""What ``--only`` names."""

_HOLDINGS: Mapping[str, str | None] = {"the same register": None, "another register": _OTHER}


class _Attack:
    """A target, what the attacker holds, and how his guesses are judged."""

    def __init__(
        self,
        design: Design,
        found: tuple[Plaintext, Plaintext],
        training: tuple[Plaintext, Plaintext],
    ) -> None:
        self._draw = np.random.default_rng(_SEED)
        target, held = found
        # What comes first must not tell who it is.
        target = target.rows(self._draw.permutation(len(target)))
        self.target = design.encode(target, _SERVER_KEY)
        self.known = design.encode(held, _OWN_KEY)
        self.undiffused = design.undiffused(held, _OWN_KEY)
        self.worth: Worth = learn_worth(
            *(
                design.encode(side, key)
                for side, key in zip(_common(*training), _TRAINING_KEYS, strict=True)
            )
        )

    def seeds(self, n_pairs: int) -> Seeds:
        """Some pairs of records that are one child's."""
        rows = self._draw.permutation(len(self.target))[:n_pairs]
        order = np.argsort(self.known.entity)
        places = np.searchsorted(self.known.entity[order], self.target.entity[rows])
        return rows, order[places]

    def matched(self, *, filters: bool = True) -> Guesses:
        """Guesses of graph matching, from tags and filters or from tags alone."""
        sides = self.target, self.known
        if not filters:
            sides = self.target.without_filters(), self.known.without_filters()
        return match_graphs(*sides, self.worth)

    def share(self, guesses: Guesses, seeds: Seeds | None = None) -> float:
        """Of the records whose child the attacker holds, those that he names, seeds left out."""
        there = self._possible(seeds)
        return float(self._right(guesses)[there].mean())

    def shares(self, guesses: Guesses, seeds: Seeds | None = None) -> dict[str, float]:
        """The same, and of the guesses that he is surest of."""
        there = np.ones(len(self.target), dtype=np.bool_)
        if seeds is not None:
            there[seeds[0]] = False
        rows = np.flatnonzero(there)
        surest = rows[np.argsort(-guesses.surety[rows], kind="stable")[:_SUREST]]
        return {
            "tags and filters": self.share(guesses, seeds),
            f"of the {_SUREST} surest": float(self._right(guesses)[surest].mean()),
        }

    def _possible(self, seeds: Seeds | None) -> Bools:
        there: Bools = np.isin(self.target.entity, self.known.entity)
        if seeds is not None:
            there[seeds[0]] = False
        return there

    def _right(self, guesses: Guesses) -> Bools:
        right: Bools = (guesses.row >= 0) & (self.known.entity[guesses.row] == self.target.entity)
        return right


@cache
def _all_registers(n_children: int, seed: int) -> dict[str, Plaintext]:
    return registers_of(n_children, seed)


def _registers(
    n_children: int, other: str | None, training: bool = False
) -> tuple[Plaintext, Plaintext]:
    """The server's register, and what the attacker holds."""
    found = _all_registers(n_children, _TRAINING_SEED if training else _SEED)
    return found[_TARGET], found[other or _TARGET]


def _common(left: Plaintext, right: Plaintext) -> tuple[Plaintext, Plaintext]:
    """The children of both, in one order."""
    _, rows, others = np.intersect1d(left.entity, right.entity, return_indices=True)
    return left.rows(rows), right.rows(others)


def _born_together(pair: tuple[Plaintext, Plaintext], n: int) -> tuple[Plaintext, Plaintext]:
    """Some children of both registers, all given one birth date, without its errors."""
    left, right = _common(*pair)
    rows = np.random.default_rng(_SEED).permutation(len(left))[:n]
    return left.rows(rows).born_on(_BIRTHDAY), right.rows(rows).born_on(_BIRTHDAY)


# --- the command line --------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attacks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="small registers: about a minute")
    parser.add_argument("--only", metavar="NAMES", help=f"of {', '.join(QUESTIONS)}")
    parser.add_argument("--encoding", default="", help="only encodings with this in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else list(QUESTIONS)
    sizes = replace(QUICK if options.quick else FULL, encoding=options.encoding)
    console = Console(width=150) if not sys.stdout.isatty() else Console()
    figures: dict[str, Any] = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "profile_sha256": load_profile("cn-child-v1").sha256,
        "quick": options.quick,
    }
    for name in names:
        figures[name] = QUESTIONS[name](sizes)
        _show(console, QUESTIONS[name], figures[name])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


def _show(console: Console, question: Callable[..., Any], rows: Sequence[Row]) -> None:
    table = Table(title=(question.__doc__ or "").strip(), title_justify="left")
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(_shown(name, value) for name, value in row.items()))
    console.print(table)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if name == "s" else f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
