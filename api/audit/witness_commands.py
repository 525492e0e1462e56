"""``tongqiao audit``: be a witness; entries about one's own data, and proofs of them."""

import time
from pathlib import Path

import click

from api.audit.commands import (
    audit_group,
    failing_audit,
    log_key_option,
    show_entries,
    witness_option,
)
from api.audit.cosignature import WitnessKey
from api.audit.errors import EntryError, FetchError
from api.audit.events import parse_entry
from api.audit.note import VerifierKey
from api.audit.server_log import ServerLog
from api.client.terminal import (
    INPUT_FILE,
    OUTPUT_FILE,
    json_option,
    open_client,
    remark,
    say,
    server_options,
    show_json,
)


@audit_group.command("witness")
@server_options
@click.option(
    "--dir",
    "directory",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that remembers what you signed; an auditor's fetched folder does as well.",
)
@log_key_option
def witness_command(
    server: str, keys: Path, ca_file: Path | None, directory: Path, log_key: VerifierKey | None
) -> None:
    """Witness the log: sign its checkpoint if it continues all that you signed before.

    With signatures of witnesses a server cannot show one history to you and another to somebody
    else. Run this once a day or week, by a scheduled task. It needs no entries, so offices can do
    it too. If the log does not continue, nothing is signed, and what the server sent is kept.

    \b
    Example:
      tongqiao audit witness --server https://linkage.example.cn \\
        --keys anna.private.json --dir witness
    """
    from api.audit.witness import witness_log

    with failing_audit("keep what was witnessed"):
        client = open_client(server, keys, ca_file)
        done = witness_log(
            ServerLog(client),
            directory,
            client.identity,
            int(time.time()),
            expected_key=log_key,
        )
    if done.pinned:
        remark("The log's key is noted for the first time. Compare it with the operator:")
        remark(f"  {done.log_key.to_text()}")
    if done.previous_size:
        say(f"The log continues the {done.previous_size} entries that you saw before.")
    say(f"Signed: {done.checkpoint.size} entries, root {done.checkpoint.root.hex()}")
    say(f"Your key as a witness: {done.key.to_text()}")


@audit_group.command("own")
@server_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    show_default=True,
    help="jsonl gives the entries exactly as they were hashed.",
)
def own_command(server: str, keys: Path, ca_file: Path | None, form: str) -> None:
    """List all entries about your office's data: who did what with it, and when.

    What the office did itself, what names it, and what happened to rounds that it takes part in.
    Prove any of them with 'tongqiao audit prove'.

    \b
    Example:
      tongqiao audit own --server https://linkage.example.cn --keys jinjiang.private.json
    """
    with failing_audit("read the log"):
        texts = ServerLog(open_client(server, keys, ca_file)).own_entries()
        try:
            pairs = [(parse_entry(text.encode(errors="replace")), text) for text in texts]
        except EntryError as error:
            raise FetchError("What the server sends is no entry. Tell the auditors.") from error
    show_entries(pairs, form)


@audit_group.command("prove")
@server_options
@click.argument("index", type=click.IntRange(min=0))
@click.option(
    "--out", required=True, type=OUTPUT_FILE, metavar="FILE", help="File for the proof, new."
)
@log_key_option
def prove_command(
    server: str,
    keys: Path,
    ca_file: Path | None,
    index: int,
    out: Path,
    log_key: VerifierKey | None,
) -> None:
    """Get a proof that entry INDEX is in the log, as a file that verifies offline.

    An office proves entries about its own data; 'tongqiao audit own' lists them. The file is a
    C2SP tlog-proof: it holds the entry, and signatures of the log and its witnesses.

    \b
    Example:
      tongqiao audit prove 1234 --server https://linkage.example.cn \\
        --keys jinjiang.private.json --out entry-1234.tlog-proof
    """
    from api.audit.proof import verify_proof

    with failing_audit("write the proof"):
        source = ServerLog(open_client(server, keys, ca_file))
        key = source.log_key()
        if log_key is not None and key != log_key:
            raise FetchError("The server names another key for its log than the one you gave.")
        data = source.proof(index)
        verify_proof(data, key)
        with out.open("xb") as file:
            file.write(data)
    if log_key is None:
        remark("The proof fits the key that the server names. Whoever verifies it needs this key:")
        remark(f"  {key.to_text()}")
    say(f"Entry {index} is in the log; the proof is written.")


@audit_group.command("check-proof")
@click.argument("file", type=INPUT_FILE)
@click.option(
    "--log-key", "log_key_text", metavar="KEY", required=True, help="The log's key, told to you."
)
@witness_option
@json_option
def check_proof_command(
    file: Path, log_key_text: str, witnesses: tuple[WitnessKey, ...], as_json: bool
) -> None:
    """Verify a proof file, offline.

    Exit code 1 if the entry is not the one that is in the log.

    \b
    Example:
      tongqiao audit check-proof entry-1234.tlog-proof --log-key tongqiao/...+12ab34cd+BASE64
    """
    from api.audit.note import VerifierKey
    from api.audit.proof import LogProof, verify_proof

    with failing_audit("read the proof"):
        data = file.read_bytes()
        proven = verify_proof(data, VerifierKey.parse(log_key_text), witnesses)
    line = LogProof.parse(data).line.decode("ascii")
    if as_json:
        show_json(
            {
                "entry": line,
                "n_entries": proven.checkpoint.size,
                "root": proven.checkpoint.root.hex(),
                "witnesses": [
                    {"witness": one.witness.name, "time": one.time} for one in proven.cosignatures
                ],
            }
        )
        return
    say(f"PROVED: entry {proven.entry.index} is in the log of {proven.checkpoint.size} entries.")
    for one in proven.cosignatures:
        say(f"Witnessed by {one.witness.name}.")
    show_entries([(proven.entry, line)], "table")
