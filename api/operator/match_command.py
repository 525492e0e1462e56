"""``tongqiao match``: matching encoded files without a server."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
import numpy as np

from api.client.private_files import replacing_privately
from api.client.terminal import (
    INPUT_FILE,
    OUTPUT_FILE,
    failing,
    refuse_paths_twice,
    remark,
    show_table,
)
from api.engine_options import EngineChoice, engine_options
from api.operator.decided_pairs import load_pairs
from api.operator.match_progress import showing_progress

if TYPE_CHECKING:
    from linkage.clk_files import ClkDataset
    from linkage.pipeline import Resources
    from linkage.types import I64, EncodedDataset, LinkSet, SolveMode

LINK_COLUMNS = ("dataset_a", "record_a", "dataset_b", "record_b", "score")
_ROWS_AT_ONCE = 100_000
_MIB = 1 << 20


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
    help="Least probability of a link, or for CLKs least Dice coefficient, 0 to 1; auto: the best "
    "expected balance of precision and recall.",
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
@click.option(
    "--known",
    metavar="FILE",
    type=INPUT_FILE,
    help="Links to keep whatever the encodings say: CSV as this command writes it.",
)
@click.option(
    "--refuted",
    metavar="FILE",
    type=INPUT_FILE,
    help="Pairs never to link: CSV with the same columns.",
)
@click.option(
    "--work-dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep finished parts here: give the same command again after an interruption, and it "
    "goes on from them. Emptied at the end. Without it, a temporary folder is used.",
)
@click.option(
    "--memory",
    "memory_mib",
    metavar="MIB",
    type=click.IntRange(min=16),
    default=1024,
    show_default=True,
    help="About how much memory comparing may take, beside 8 bytes a record and view.",
)
@engine_options
@click.option(
    "--clk-bytes",
    metavar="N",
    type=click.IntRange(min=1),
    help="Length of each CLK, for binary files of CLKs: 128 for 1,024 bits.",
)
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
def match_command(
    files: Sequence[Path],
    out: Path,
    threshold: float | None,
    solve: str,
    known: Path | None,
    refuted: Path | None,
    work_dir: Path | None,
    memory_mib: int,
    engine: EngineChoice,
    clk_bytes: int | None,
    force: bool,
) -> None:
    """Match encoded files with each other, without a server.

    Writes one row for each link: dataset_a, record_a, dataset_b, record_b, score. A dataset is the
    file's name without its ending, a record is the pseudonym, and the score is the estimated
    probability that the link is right.

    Example:

        tongqiao match civil.tqe school.tqe police.tqe --out links.csv

    Files of CLKs are matched too: clkhash's and anonlink's JSON ({"clks": [...]}), and files in
    .bin, packed bytes as the anonlink entity service takes them. All pairs are compared. A record
    is then its row number, from 0, and the score is the Dice coefficient. groups and one-to-one
    give the links of anonlink's greedy solver.

    Example:

        tongqiao match ours.json theirs.json --solve one-to-one --threshold 0.85 --out links.csv
    """
    if len(files) < 2:
        raise click.UsageError("Matching needs two files or more.")
    if len({path.stem for path in files}) != len(files):
        raise click.UsageError("Two files have the same name. Rename one: names tell them apart.")
    refuse_paths_twice([*files, known, refuted], [out])
    from linkage.clk_files import is_clk_file
    from linkage.pipeline import Resources

    with failing("read or write the files"):
        if out.exists() and not force:
            raise FileExistsError
        kinds = {is_clk_file(path) for path in files}
        if len(kinds) > 1:
            raise click.UsageError(
                "Some files hold CLKs and others are .tqe: those cannot be compared. Encode all "
                "alike."
            )
        mode = cast("SolveMode", solve)
        links: LinkSet
        datasets: Sequence[EncodedDataset] | Sequence[ClkDataset]
        if kinds == {True} and (known or refuted):
            raise click.UsageError(
                "--known and --refuted are for .tqe files: CLKs are matched on what they show."
            )
        with engine.opened() as opened:
            resources = Resources(
                engine=opened,
                work_dir=work_dir,
                memory_bytes=memory_mib * _MIB,
                files={path.stem: path for path in files},
                tile=engine.kernel,
            )
            if kinds == {True}:
                links, datasets = _match_clks(files, clk_bytes, mode, threshold, resources)
            else:
                links, datasets = _match_encoded(files, mode, threshold, known, refuted, resources)
        with replacing_privately(out, overwrite=force) as draft:
            write_links(draft, links, datasets)
    _report(links, datasets)
    _tell_kernel(engine, clks=kinds == {True})


def _match_encoded(
    files: Sequence[Path],
    solve: "SolveMode",
    threshold: float | None,
    known: Path | None,
    refuted: Path | None,
    resources: "Resources",
) -> tuple["LinkSet", Sequence["EncodedDataset"]]:
    from linkage.pipeline import match_datasets

    datasets = _opened(files)
    with showing_progress() as show:
        links = match_datasets(
            datasets,
            solve=solve,
            threshold=threshold,
            known=load_pairs(known, datasets),
            refuted=load_pairs(refuted, datasets),
            resources=resources,
            on_progress=show,
        )
    return links, datasets


def _opened(files: Sequence[Path]) -> "list[EncodedDataset]":
    """All files, or which of them is not as it should be: their names are in no error."""
    from linkage.errors import TqeFormatError
    from linkage.tqe import open_tqe

    datasets = []
    for number, path in enumerate(files, 1):
        try:
            datasets.append(open_tqe(path, name=path.stem))
        except TqeFormatError as error:
            raise TqeFormatError(f"File {number} of the {len(files)} given: {error}") from error
    return datasets


def _match_clks(
    files: Sequence[Path],
    clk_bytes: int | None,
    solve: "SolveMode",
    threshold: float | None,
    resources: "Resources",
) -> tuple["LinkSet", Sequence["ClkDataset"]]:
    from linkage.clk_files import open_clks
    from linkage.clk_pipeline import match_clks

    datasets = [open_clks(path, clk_bytes=clk_bytes) for path in files]
    with showing_progress() as show:
        links = match_clks(
            datasets, solve=solve, threshold=threshold, resources=resources, on_progress=show
        )
    return links, datasets


def write_links(
    path: Path, links: "LinkSet", datasets: Sequence["EncodedDataset"] | Sequence["ClkDataset"]
) -> None:
    """Write links as CSV with the columns of :data:`LINK_COLUMNS`; scores with six decimals."""
    named = {dataset.name: dataset for dataset in datasets}
    ordered = [named[name] for name in links.dataset_names]
    cells = [_as_cell(name) for name in links.dataset_names]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(LINK_COLUMNS) + "\n")
        for start in range(0, len(links), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            sides = [
                (
                    dataset[part].tolist(),
                    _names(ordered, dataset[part], row[part]),
                )
                for dataset, row in (
                    (links.dataset_a, links.row_a),
                    (links.dataset_b, links.row_b),
                )
            ]
            file.writelines(
                f"{cells[a]},{record_a},{cells[b]},{record_b},{score:.6f}\n"
                for a, record_a, b, record_b, score in zip(
                    *sides[0], *sides[1], links.score[part].tolist(), strict=True
                )
            )


def _as_cell(name: str) -> str:
    """A dataset's name as CSV quotes it."""
    cell = io.StringIO()
    csv.writer(cell, lineterminator="").writerow([name])
    return cell.getvalue()


def _names(
    datasets: Sequence["EncodedDataset | ClkDataset"], dataset_of: "I64", rows: "I64"
) -> list[str]:
    """Pseudonyms of records as hex, without a call for each; of CLKs the row numbers."""
    from linkage.types import EncodedDataset

    found = np.empty((len(rows), 16), dtype=np.uint8)
    for index, dataset in enumerate(datasets):
        if not isinstance(dataset, EncodedDataset):
            return [str(row) for row in rows.tolist()]
        mine = dataset_of == index
        found[mine] = dataset.pseudonyms[rows[mine]]
    text = found.tobytes().hex()
    return [text[at : at + 32] for at in range(0, len(text), 32)]


def _report(links: "LinkSet", datasets: Sequence["EncodedDataset | ClkDataset"]) -> None:
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
        f"threshold {links.threshold:.3f}. Precision and recall are estimates without truth."
    )


def _tell_kernel(engine: EngineChoice, *, clks: bool) -> None:
    """Which of the processor's instructions compared; another engine's workers log their own."""
    from linkage.matching.tile import fitting_variant, vector_variant

    if engine.scheduler is None:
        used = vector_variant().name if not clks else engine.kernel or fitting_variant().name
        remark(f"Compared with {used}.")


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
