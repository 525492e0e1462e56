"""``tongqiao office join``: links beside the office's own rows, on its own machine."""

from pathlib import Path

import click

from api.client.terminal import (
    INPUT_FILE,
    OUTPUT_FILE,
    failing,
    progress_bar,
    refuse_paths_twice,
    say,
)
from api.office.session import (
    overwrite_option,
)


@click.command(name="join")
@click.option("--links", "links_file", type=INPUT_FILE, required=True, help="From office results.")
@click.option("--map", "map_file", type=INPUT_FILE, required=True, help="From encode --map.")
@click.option("--records", type=INPUT_FILE, required=True, help="Your file that was encoded.")
@click.option("--columns", type=INPUT_FILE, required=True, help="Its column mapping (MAP.toml).")
@click.option("--out", type=OUTPUT_FILE, required=True, help="List to write (.xlsx).")
@click.option("--previous", type=INPUT_FILE, help="The list of the round before (.xlsx).")
@overwrite_option
def join_command(
    links_file: Path,
    map_file: Path,
    records: Path,
    columns: Path,
    out: Path,
    previous: Path | None,
    overwrite: bool,
) -> None:
    """Join the links to your own list, offline.

    Nothing is sent.  Writes an .xlsx that only you can read: your rows with the office that holds
    the same child, your rows that nobody else holds, and with --previous what is new and what has
    ended.

    Example:

    \b
        tongqiao office join --links links.csv --map X.map.csv --records register.csv \\
            --columns MAP.toml --out joined.xlsx --previous joined-last-time.xlsx
    """
    from api.client.private_files import replacing_privately
    from api.office.join import write_joined_list
    from api.office.links import load_links, load_pseudonym_map
    from api.office.own_records import load_own_records
    from api.office.previous_list import load_previous_list

    if out.suffix.lower() != ".xlsx":
        raise click.BadParameter("The name must end in .xlsx.", param_hint="--out")
    refuse_paths_twice([links_file, map_file, records, columns, previous], [out])
    with failing("write the joined list"), replacing_privately(out, overwrite=overwrite) as draft:
        links, record_ids = load_links(links_file), load_pseudonym_map(map_file)
        before = None if previous is None else load_previous_list(previous)
        own = load_own_records(records, columns)
        with progress_bar("joining", unit="steps") as advance:
            counts = write_joined_list(
                draft,
                own,
                links,
                record_ids,
                before,
                on_progress=lambda done: advance(done, max(done, len(record_ids))),
            )
    say(f"{counts.n_records:,} own records: {counts.n_linked:,} found at another office,")
    say(f"    {counts.n_not_found:,} not found, {counts.n_not_sent:,} not sent.")
    say(f"{counts.n_links:,} links.")
    if previous is not None:
        say(
            f"Since the previous list: {counts.n_new:,} new, {counts.n_unchanged:,} unchanged, "
            f"{counts.n_ended:,} ended."
        )
