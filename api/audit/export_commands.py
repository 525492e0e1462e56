"""``tongqiao audit verify-export``: an exported file, verified by its manifest."""

from pathlib import Path

import click

from api.audit.commands import audit_group, failing_audit, log_key_option
from api.audit.note import VerifierKey
from api.client.terminal import INPUT_FILE, say

_FETCHED = click.Path(exists=True, file_okay=False, path_type=Path)
_COMPLETE = {
    "times": "None is missing: the entries follow each other in the log.",
    "log": "None is missing: the fetched log holds no other that fits the filter.",
    "signature": "None is missing: the log's key signed that all are here that fit the filter.",
}


@audit_group.command("verify-export")
@click.argument("file", type=INPUT_FILE)
@click.option(
    "--manifest", type=INPUT_FILE, metavar="FILE", help="Its manifest; else FILE.manifest."
)
@log_key_option
@click.option("--dir", "directory", type=_FETCHED, help="A fetched log, to apply the filter again.")
@click.option("--rows-only", is_flag=True, help="Do not ask whether entries were left out.")
@click.option(
    "--resaved",
    is_flag=True,
    help="Accept a file that another program saved anew, if every row is as it was.",
)
def verify_export_command(
    file: Path,
    manifest: Path | None,
    log_key: VerifierKey | None,
    directory: Path | None,
    rows_only: bool,
    resaved: bool,
) -> None:
    """Verify an exported file (CSV, JSON Lines or Excel), offline.

    Every row must stand in the log that its manifest's checkpoint is over, unchanged and in order,
    and none that fits the filter may be missing. Give the log's key, or a fetched log, which also
    shows what a filter left out. Exit code 1 if anything is wrong.

    \b
    Examples:
      tongqiao audit verify-export refused.csv --log-key tongqiao/...+12ab34cd+BASE64
      tongqiao audit verify-export refused.csv --dir log
    """
    from api.audit.export_check import load_log_key, verify_export
    from api.audit.export_manifest import manifest_path

    beside = manifest or manifest_path(file)
    if not beside.is_file():
        raise click.UsageError(f"There is no {beside.name} beside the file: give --manifest.")
    with failing_audit("read the export"):
        if log_key is not None:
            key = log_key
        elif directory is not None:
            key = load_log_key(directory)
        else:
            raise click.UsageError("Give --log-key, or --dir with a fetched log.")
        check = verify_export(file, beside, key, directory)
    faults = list(check.faults)
    if not faults and not check.is_same_file and not resaved:
        faults.append(
            "The file is not byte for byte what was exported, though each of its rows is: another "
            "program saved it anew. If you know of that, give --resaved."
        )
    if check.completeness is None and not rows_only:
        faults.append(
            "Whether entries were left out cannot be told from the file alone: give --dir with a "
            "fetched log, or --rows-only."
        )
    for fault in faults:
        say(fault)
    if faults:
        raise click.ClickException("NOT INTACT: do not rely on this file.")
    plural = "row stands" if check.n_rows == 1 else "rows stand"
    say(f"INTACT: {check.n_rows} {plural} in the log of {check.checkpoint.size} entries.")
    if check.completeness is not None:
        say(_COMPLETE[check.completeness])
