"""``tongqiao encode``: a file of records becomes a ``.tqe`` file and its map."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.terminal import (
    INPUT_FILE,
    OUTPUT_FILE,
    ask_passphrase,
    failing,
    refuse_paths_twice,
    remark,
)
from api.office.clkhash_options import ClkhashOptions, clkhash_options, encode_like_clkhash
from api.office.encode_report import (
    EncodeProgress,
    encode_progress,
    show_preflight,
    show_summary,
)

if TYPE_CHECKING:
    from api.client.terms import Terms
    from linkage.encoding.encode import Engine
    from linkage.profile import Profile
    from linkage.types import RecordBatch

_OFFLINE = "offline"


@click.command(name="encode")
@click.argument("records_file", metavar="FILE", type=INPUT_FILE)
@click.option(
    "--columns",
    "columns_file",
    metavar="MAP.toml",
    type=INPUT_FILE,
    help="Which column of FILE is which field; 'tongqiao inspect' proposes it.",
)
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME_OR_FILE",
    help="Encoding profile: one that comes with the program, or a .toml file.",
)
@click.option(
    "--secret-file",
    metavar="S",
    required=True,
    type=INPUT_FILE,
    help="The project's linkage secret; for clkhash a text file, see below.",
)
@click.option(
    "--terms",
    "terms_file",
    metavar="TERMS.json",
    type=INPUT_FILE,
    help="Terms of the round to encode for; without them the file is for offline matching only.",
)
@click.option(
    "--out",
    metavar="X.tqe",
    required=True,
    type=OUTPUT_FILE,
    help="Encodings, to be uploaded; for clkhash X.json, or X.bin for packed bytes.",
)
@click.option(
    "--map",
    "map_file",
    metavar="X.map.csv",
    type=OUTPUT_FILE,
    help="Which pseudonym is which of your records. It stays with you.",
)
@click.option(
    "--accept-risk",
    metavar="REASON",
    help="Write the file although the preflight refuses it; the reason goes into its manifest.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "plain", "compiled"]),
    default="auto",
    show_default=True,
    help="Encoder: 'plain' starts at once, 'compiled' is fast on large files. Same results.",
)
@click.option("--force", is_flag=True, help="Write over X.tqe and X.map.csv if they exist.")
@clkhash_options
def encode_command(
    records_file: Path,
    columns_file: Path | None,
    profile_name: str | None,
    secret_file: Path,
    terms_file: Path | None,
    out: Path,
    map_file: Path | None,
    accept_risk: str | None,
    engine: "Engine",
    force: bool,
    clkhash: ClkhashOptions,
) -> None:
    """Encode a file of records.

    FILE is CSV or a workbook. Every record is encoded, from those of its values that can be used;
    'tongqiao inspect' shows what is wrong with the others. X.tqe holds no name, number or date.
    X.map.csv says which record is behind which pseudonym: never send it to anybody.

    Before anything is written, a preflight looks for what would make the file risky to send or
    useless, and refuses it then.

    Example:

    \b
        tongqiao encode children.xlsx --columns map.toml --profile cn-child-v1 \\
            --secret-file secret.key --terms terms.json --out children.tqe --map children.map.csv

    For a project that began with clkhash: --clkhash-schema writes the CLKs that clkhash would
    write, to the bit, from the columns of FILE in the schema's order, uncleaned. The secret is then
    the text in the file S, as UTF-8, without a byte order mark and without one line break at the
    end; clkhash's command line was given the same text. A record's name is its row number, from 0.
    docs/clkhash.md says how to take a project over, and what one CLK a record gives away.

    \b
        tongqiao encode children.csv --clkhash-schema schema.json --secret-file secret.txt \\
            --out children.json
    """
    if clkhash.schema_file is not None:
        if columns_file or profile_name or terms_file or map_file or accept_risk:
            raise click.UsageError(
                "With --clkhash-schema there is no --columns, --profile, --terms, --map or "
                "--accept-risk: the schema names the columns, and a record is named by its row."
            )
        refuse_paths_twice([records_file, clkhash.schema_file, secret_file], [out])
        encode_like_clkhash(records_file, secret_file, out, clkhash, force=force)
        return
    clkhash.refuse_alone()
    if columns_file is None or profile_name is None or map_file is None:
        raise click.UsageError(
            "Give --columns, --profile and --map; or --clkhash-schema to go on with a project that "
            "began with clkhash."
        )
    refuse_paths_twice([records_file, columns_file, secret_file, terms_file], [out, map_file])
    if not force and any(path.exists() or path.is_symlink() for path in (out, map_file)):
        raise click.ClickException(
            "X.tqe or X.map.csv exists already. Choose other names, or give --force to write over "
            "both. A map that is gone cannot be made again."
        )
    with failing("read what to encode"):
        from keys.cipher_suites import DEFAULT
        from keys.linkage_secret import load_linkage_secret
        from linkage.profile import load_profile

        profile = load_profile(profile_name)
        terms = _load_terms(terms_file, profile)
        secret = load_linkage_secret(secret_file, ask_passphrase)
    context = _OFFLINE if terms is None else terms.context
    started = time.monotonic()
    with failing("write the encodings and their map"):
        from api.office.encoding import encode_to_files
        from linkage.encoding.encode_file import RiskyFileError

        try:
            with encode_progress(records_file) as progress:
                encoded = encode_to_files(
                    progress.counted(_batches(records_file, columns_file, profile, progress)),
                    profile,
                    secret,
                    context=context,
                    out=out,
                    map_file=map_file,
                    suite=DEFAULT if terms is None else terms.suite,
                    max_records=None if terms is None else terms.max_records,
                    overwrite=force,
                    accepted_risk=accept_risk,
                    engine=engine,
                    on_stage=progress.enter,
                )
        except RiskyFileError as error:
            show_preflight(error.report)
            remark(
                "If the file is needed all the same, give the reason with --accept-risk; all "
                "offices and the auditor can read it."
            )
            raise
    show_summary(encoded.manifest, encoded.sha256, encoded.engine, time.monotonic() - started)
    show_preflight(encoded.preflight)


def _load_terms(path: Path | None, profile: "Profile") -> "Terms | None":
    if path is None:
        return None
    from api.client.terms import MAX_TERMS_BYTES, TermsError, parse_terms

    with path.open("rb") as file:
        terms = parse_terms(file.read(MAX_TERMS_BYTES + 1))
    if terms.profile_sha256 != profile.sha256:
        raise TermsError(
            "The profile is not the one that the terms bind (its hash differs). Download it with "
            "'tongqiao office terms --profile-out P.toml', and give that file as --profile."
        )
    if terms.cleaning != profile.cleaning:
        raise TermsError(
            "The profile asks for other cleaning rules than the terms bind. Tell the operator: "
            "the terms contradict themselves."
        )
    return terms


def _batches(
    records_file: Path, columns_file: Path, profile: "Profile", progress: "EncodeProgress"
) -> Iterator["RecordBatch"]:
    from linkage.records.mapping import load_mapping
    from linkage.records.reading import read_records

    mapping = load_mapping(columns_file)
    absent = [spec.name for spec in profile.fields if spec.name not in mapping.columns]
    if absent:
        remark(f"Not in the mapping, so missing in every record: {', '.join(absent)}.")
    return read_records(
        records_file, mapping, profile.fields, cleaning=profile.cleaning, on_read=progress.read
    )
