"""``tongqiao evaluate``: links compared with known truth, without a server."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.terminal import INPUT_FILE, failing, show_json, show_table

if TYPE_CHECKING:
    from linkage.quality.evaluate import Evaluation


@click.command(name="evaluate")
@click.argument("links", type=INPUT_FILE)
@click.option(
    "--truth",
    required=True,
    type=INPUT_FILE,
    help="CSV with columns dataset,record,entity; or dataset_a,record_a,dataset_b,record_b.",
)
@click.option(
    "--map",
    "maps",
    multiple=True,
    type=INPUT_FILE,
    metavar="X.map.csv",
    help="Map from pseudonym to record id of dataset X, if the truth has record ids. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON.")
def evaluate_command(links: Path, truth: Path, maps: Sequence[Path], as_json: bool) -> None:
    """Compare links with the known truth: precision, recall, F1 for each pair of datasets.

    Example:

        tongqiao evaluate links.csv --truth truth.csv --map a.map.csv --map b.map.csv
    """
    from linkage.quality.evaluate import (
        evaluate_links,
        load_links,
        load_pseudonym_map,
        load_truth,
    )

    with failing("read the files"):
        translation = {
            path.name.removesuffix(".map.csv"): load_pseudonym_map(path) for path in maps
        }
        evaluation = evaluate_links(load_links(links), load_truth(truth), maps=translation or None)
    if as_json:
        show_json(_as_dict(evaluation))
        return
    rows = [(f"{a} - {b}", pair) for (a, b), pair in sorted(evaluation.by_pair.items())]
    rows.append(("all", evaluation.overall))
    show_table(
        ["datasets", "links", "true", "right", "precision", "recall", "F1"],
        [
            (
                name,
                pair.n_links,
                pair.n_true,
                pair.n_correct,
                f"{pair.precision:.4f}",
                f"{pair.recall:.4f}",
                f"{pair.f1:.4f}",
            )
            for name, pair in rows
        ],
        numeric=["links", "true", "right", "precision", "recall", "F1"],
    )


def _as_dict(evaluation: "Evaluation") -> dict[str, object]:
    named = {" - ".join(names): figures for names, figures in evaluation.by_pair.items()}
    return {
        name: {
            "n_links": figures.n_links,
            "n_true": figures.n_true,
            "n_correct": figures.n_correct,
            "precision": figures.precision,
            "recall": figures.recall,
            "f1": figures.f1,
        }
        for name, figures in {**named, "all": evaluation.overall}.items()
    }
