"""``tongqiao match`` and ``tongqiao evaluate``: matching without a server."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from api.client.private_files import replacing_privately
from api.client.terminal import (
    INPUT_FILE,
    OUTPUT_FILE,
    failing,
    progress_bar,
    remark,
    show_json,
    show_table,
)

if TYPE_CHECKING:
    from linkage.quality.evaluate import Evaluation
    from linkage.types import EncodedDataset, LinkSet, SolveMode

LINK_COLUMNS = ("dataset_a", "record_a", "dataset_b", "record_b", "score")
_ROWS_AT_ONCE = 100_000


class _Threshold(click.ParamType["float | None"]):
    """``auto`` or a probability; ``None`` stands for auto."""

    name = "auto|number"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if value is None or value == "auto":
            return None
        try:
            number = float(str(value))
        except ValueError:
            self.fail("Give auto, or a number from 0 to 1.", param, ctx)
        if not 0.0 <= number <= 1.0:
            self.fail("Give auto, or a number from 0 to 1.", param, ctx)
        return number


@click.command(name="match")
@click.argument("files", nargs=-1, required=True, type=INPUT_FILE, metavar="A.tqe B.tqe [C.tqe]...")
@click.option("--out", required=True, type=OUTPUT_FILE, help="Where the links go, as CSV.")
@click.option(
    "--threshold",
    type=_Threshold(),
    default="auto",
    show_default=True,
    help="Least probability of a link, 0 to 1; auto: the best expected balance of precision "
    "and recall.",
)
@click.option(
    "--solve",
    type=click.Choice(["groups", "one-to-one", "one-to-one-optimal", "pairs"]),
    default="groups",
    show_default=True,
    help="groups: over all files, duplicates allowed. one-to-one: each record once for each pair "
    "of files, best pairs first; one-to-one-optimal: with the best total. pairs: every pair over "
    "the threshold.",
)
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
def match_command(
    files: Sequence[Path], out: Path, threshold: float | None, solve: str, force: bool
) -> None:
    """Match encoded files with each other, without a server.

    Writes one row for each link: dataset_a, record_a, dataset_b, record_b, score. A dataset is the
    file's name without its ending, a record is the pseudonym, and the score is the estimated
    probability that the link is right.

    Example:

        tongqiao match civil.tqe school.tqe police.tqe --out links.csv
    """
    if len(files) < 2:
        raise click.UsageError("Matching needs two files or more.")
    if len({path.stem for path in files}) != len(files):
        raise click.UsageError("Two files have the same name. Rename one: names tell them apart.")
    from linkage.pipeline import match_datasets
    from linkage.tqe import open_tqe

    with failing("read or write the files"):
        if out.exists() and not force:
            raise FileExistsError
        datasets = [open_tqe(path, name=path.stem) for path in files]
        with progress_bar("Matching", unit="steps") as advance:
            links = match_datasets(
                datasets,
                solve=cast("SolveMode", solve),
                threshold=threshold,
                on_progress=lambda now: advance(now.done, now.total, now.stage),
            )
        with replacing_privately(out, overwrite=force) as draft:
            write_links(draft, links, datasets)
    _report(links, datasets)


def write_links(path: Path, links: "LinkSet", datasets: Sequence["EncodedDataset"]) -> None:
    """Write links as CSV with the columns of :data:`LINK_COLUMNS`; scores with six decimals."""
    named = {dataset.name: dataset for dataset in datasets}
    ordered = [named[name] for name in links.dataset_names]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LINK_COLUMNS)
        for start in range(0, len(links), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            writer.writerows(
                (a.name, a.pseudonym(row_a), b.name, b.pseudonym(row_b), f"{score:.6f}")
                for a, row_a, b, row_b, score in zip(
                    [ordered[i] for i in links.dataset_a[part].tolist()],
                    links.row_a[part].tolist(),
                    [ordered[i] for i in links.dataset_b[part].tolist()],
                    links.row_b[part].tolist(),
                    links.score[part].tolist(),
                    strict=True,
                )
            )


def _report(links: "LinkSet", datasets: Sequence["EncodedDataset"]) -> None:
    sizes = {dataset.name: dataset.n_records for dataset in datasets}
    show_table(
        ["A", "B", "records A", "records B", "links", "est. precision", "est. recall"],
        [
            (
                pair["dataset_a"],
                pair["dataset_b"],
                sizes[pair["dataset_a"]],
                sizes[pair["dataset_b"]],
                pair["n_links"],
                _share(pair["estimated_precision"]),
                _share(pair["estimated_recall"]),
            )
            for pair in links.figures["pairs"]
        ],
        title="Links",
        numeric=["records A", "records B", "links", "est. precision", "est. recall"],
    )
    for name, groups in sorted(links.duplicates.items()):
        if groups:
            remark(f"{name} seems to hold {len(groups)} children more than once.")
    remark(
        f"{len(links)} links from {links.figures['candidate_pairs']} candidate pairs; "
        f"threshold {links.threshold:.2f}. Precision and recall are estimates without truth."
    )


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


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
