"""``tongqiao inspect``: what an input file holds, before anything of it is encoded."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.terminal import (
    INPUT_FILE,
    OUTPUT_FILE,
    failing,
    progress_console,
    refuse_paths_twice,
    remark,
)

if TYPE_CHECKING:
    from linkage.records import Inspection, KeptProblems

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@click.command(name="inspect")
@click.argument("file", type=INPUT_FILE)
@click.option(
    "--profile",
    metavar="NAME_OR_FILE",
    default="cn-child-v1",
    show_default=True,
    help="Encoding profile: its fields are looked for.",
)
@click.option(
    "--columns",
    metavar="MAP.toml",
    type=INPUT_FILE,
    help="Check this mapping instead of proposing one.",
)
@click.option(
    "--sheet",
    type=click.IntRange(min=1),
    help="Sheet of a workbook, from 1.  [default: the first one that is a register]",
)
@click.option(
    "--out", metavar="MAP.toml", type=OUTPUT_FILE, help="Write the mapping here, not to stdout."
)
@click.option(
    "--report",
    metavar="PROBLEMS.xlsx",
    type=OUTPUT_FILE,
    help="Write a workbook with one row a problem, values masked.",
)
@click.option("--overwrite", is_flag=True, help="Replace --out and --report if they exist.")
def inspect_command(
    file: Path,
    profile: str,
    columns: Path | None,
    sheet: int | None,
    out: Path | None,
    report: Path | None,
    overwrite: bool,
) -> None:
    """Look at an input file: propose its column mapping, count its problems.

    FILE is .csv or .xlsx.  The mapping (which column holds what) goes to stdout or --out: check it,
    correct it, and give it to 'tongqiao encode'.  The summary goes to stderr and shows no values.
    Nothing leaves this computer.

    Example:

    \b
        tongqiao inspect register.xlsx --out map.toml --report problems.xlsx
        tongqiao inspect register.xlsx --columns map.toml
    """
    from linkage.profile import load_profile
    from linkage.records import inspect_file, keeping_problems, load_mapping

    if columns and (sheet or out):
        raise click.UsageError(
            "--columns names a mapping that exists; leave out --sheet and --out."
        )
    refuse_paths_twice([file, columns], [out, report])
    with failing("read or write the files"):
        for path in filter(None, (out, report)):
            if path.exists() and not overwrite:
                raise FileExistsError
        chosen = load_profile(profile)
        mapping = load_mapping(columns) if columns else None
        with keeping_problems() as problems:
            with _showing_progress() as advance:
                inspection = inspect_file(
                    file,
                    chosen.fields,
                    mapping=mapping,
                    cleaning=chosen.cleaning,
                    sheet=sheet,
                    on_problem=problems.add if report else None,
                    on_progress=advance,
                )
            if report:
                _write_report(report, problems, inspection.mapping.columns, overwrite)
        if out:
            _write_mapping(out, inspection.mapping_toml, overwrite)
    _show_summary(inspection)
    if out:
        remark("The mapping is written. Check it, then give it to 'tongqiao encode --columns'.")
    elif not columns:
        click.echo(inspection.mapping_toml, nl=False)


@contextlib.contextmanager
def _showing_progress() -> Iterator[Callable[[int], None]]:
    with progress_console().status("Reading the file") as status:
        yield lambda n_records: status.update(f"Reading the file: {n_records:,} records")


def _write_mapping(path: Path, text: str, overwrite: bool) -> None:
    from api.client.private_files import replacing_privately

    with replacing_privately(path, overwrite=overwrite) as draft:
        draft.write_text(text, encoding="utf-8")


def _write_report(
    path: Path, problems: "KeptProblems", headings: Mapping[str, str], overwrite: bool
) -> None:
    from api.client.private_files import replacing_privately
    from linkage.records import write_problem_report

    with replacing_privately(path, overwrite=overwrite) as draft:
        write_problem_report(draft, problems, headings)


def _show_summary(inspection: "Inspection") -> None:
    form, n_records = inspection.format, inspection.n_records
    separated = f", separated by {_SEPARATORS[form.delimiter]}" if form.delimiter else ""
    remark(f"{n_records:,} records in a file written as {form.encoding}{separated}.")
    _show_sheets(inspection)
    _show_fields(inspection)
    if inspection.problems:
        _show_problems(inspection)
    if not n_records:
        remark("No record stands below the headings. Is it the right file, and the right sheet?")
    elif not inspection.n_filled:
        remark("No column was recognised. Is it the right file, and the right profile?")
    elif not inspection.problems:
        remark("No problems found.")
    if inspection.n_possible_migrants is not None:
        remark(
            f"{inspection.n_possible_migrants:,} children under 16 live in another county than "
            "their hukou's (districts of one city count as one). They are migrant children if they "
            "have been away for six months with a parent or guardian, which the file does not say."
        )
        if inspection.n_unjudged:
            remark(
                f"Of {inspection.n_unjudged:,} more records this cannot be said: the birth date or "
                "a place is missing, or only the city is given."
            )
    if not inspection.has_record_id:
        remark(
            "No column was found that identifies each record. Choose one, and add it to the "
            "mapping as record_id."
        )


def _show_sheets(inspection: "Inspection") -> None:
    """Which sheet was read, and that the others were not."""
    names, read = inspection.sheets, inspection.mapping.sheet
    if len(names) > 1:
        others = ", ".join(f"{i} '{name}'" for i, name in enumerate(names, 1) if i != read)
        remark(
            f"Only sheet {read} '{names[read - 1]}' was read, not: {others}. If they hold records "
            "too, put them below each other in one sheet; --sheet looks at another one."
        )


def _show_fields(inspection: "Inspection") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Fields", title_justify="left")
    for heading in ("Field", "Column in the file"):
        table.add_column(heading, overflow="fold")
    for heading in ("Usable values", "%"):
        table.add_column(heading, justify="right")
    for field in inspection.fields:
        share = 100 * field.n_filled / max(1, inspection.n_records)
        table.add_row(field.name, Text(field.heading or "-"), f"{field.n_filled:,}", f"{share:.1f}")
    progress_console().print(table)
    if inspection.unplaced:
        remark("Columns that are not used: " + ", ".join(inspection.unplaced))
    for heading, numbered in inspection.several.items():
        if not set(numbered) <= {field.heading for field in inspection.fields}:
            remark(
                f"The heading {heading} stands {len(numbered)} times. Say in the mapping which is "
                f"which; counted from the left they are: {', '.join(numbered)}."
            )


def _show_problems(inspection: "Inspection") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Problems", title_justify="left")
    table.add_column("Times", justify="right")
    table.add_column("What, where, and what to do")
    for problem in inspection.problems:
        rows = ", ".join(map(str, problem.first_rows))
        more = " ..." if problem.count > len(problem.first_rows) else ""
        text = Text(f"{problem.code} ({problem.field}), rows {rows}{more}", style="bold")
        table.add_row(f"{problem.count:,}", text.append(f"\n{problem.advice}", style="not bold"))
    progress_console().print(table)
    remark("Rows are numbered as in the file itself. --report lists every row.")
