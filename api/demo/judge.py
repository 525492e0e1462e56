"""The judge: compares what the round delivered with the known truth.

No role could do this.  The judge reads the truth that the generator wrote, every office's map, and
the server's table of links (read-only), because link references of two offices cannot be joined,
by design.
"""

import csv
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.demo.cast import OfficeDesk
from api.demo.play import Play
from linkage.quality.evaluate import (
    Evaluation,
    Figures,
    evaluate_links,
    load_links,
    load_pseudonym_map,
    load_truth,
)
from linkage.quality.synthetic import TRUTH_FILE

_LINK_COLUMNS = ("dataset_a", "record_a", "dataset_b", "record_b", "score")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How right the round was.

    Attributes:
        n_records: records of each office's register.
        pairs: links between records, for each pair of offices and over all.
        lists: for each office, its joined list: which of its records another office holds too,
            against the truth.
    """

    n_records: Mapping[str, int]
    pairs: Evaluation
    lists: Mapping[str, Figures]


def judge(play: Play) -> Verdict:
    """Compare links and joined lists with the truth."""
    folder = play.root / "judge"
    folder.mkdir()
    links, truth = folder / "links.csv", folder / "truth.csv"
    (play.root / "registers" / TRUTH_FILE).rename(truth)
    (play.root / "registers").rmdir()
    _copy_links(play.server_folder / "tongqiao.db", links)
    maps = {desk.office: load_pseudonym_map(desk.pseudonym_map) for desk in play.desks}
    return Verdict(
        n_records={office: len(records) for office, records in maps.items()},
        pairs=evaluate_links(load_links(links), load_truth(truth), maps=maps),
        lists=_judge_lists(play.desks, maps, truth),
    )


def _copy_links(database: Path, out: Path) -> None:
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT office_a, record_a, office_b, record_b, score FROM links"
            " ORDER BY office_a, record_a, office_b, record_b"
        )
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_LINK_COLUMNS)
            writer.writerows(rows)
    finally:
        connection.close()


def _judge_lists(
    desks: Sequence[OfficeDesk],
    maps: Mapping[str, Mapping[str, str]],
    truth: Path,
) -> dict[str, Figures]:
    entity_of: dict[tuple[str, str], str] = {}
    offices_of: dict[str, set[str]] = defaultdict(set)
    with truth.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            entity_of[row["dataset"], row["record"]] = row["entity"]
            offices_of[row["entity"]].add(row["dataset"])
    figures = {}
    for desk in desks:
        with desk.links.open(encoding="utf-8", newline="") as file:
            listed = {
                (maps[desk.office][row["record"]], row["counterpart"])
                for row in csv.DictReader(file)
            }
        held = {
            (record, other)
            for (office, record), entity in entity_of.items()
            if office == desk.office
            for other in offices_of[entity] - {office}
        }
        figures[desk.office] = Figures(len(listed), len(held), len(listed & held))
    return figures
