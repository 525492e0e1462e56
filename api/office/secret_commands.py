"""``tongqiao secret``: the linkage secret that the offices of a project share."""

from pathlib import Path

import click

from api.client.terminal import ID, INPUT_FILE, OUTPUT_FILE, ask_passphrase, failing, say
from keys.linkage_secret import MAX_EPOCH

_project_option = click.option(
    "--project", metavar="ID", type=ID, required=True, help="Id of the project."
)
_epoch_option = click.option(
    "--epoch",
    type=click.IntRange(1, MAX_EPOCH),
    default=1,
    show_default=True,
    help="Number of the secret: a project's first is 1, its next is 2.",
)
_keys_option = click.option(
    "--keys",
    metavar="FILE",
    type=INPUT_FILE,
    required=True,
    envvar="TONGQIAO_KEYS",
    show_envvar=True,
    help="Your private key file (ID.private.json).",
)


@click.group(name="secret")
def secret_group() -> None:
    """Make a project's linkage secret, and seal it to its offices.

    The coordinating office makes it and seals it to each office; each office opens what it got.
    It is never shown: people compare its fingerprint.  Who has the secret and the encodings can
    find out whose they are, so no operator and no server ever gets it.

    Example:

        tongqiao secret new --out sichuan-children.secret
    """


@secret_group.command(name="new")
@click.option("--out", metavar="FILE", type=OUTPUT_FILE, required=True, help="File to write.")
def new_command(out: Path) -> None:
    """Make a new linkage secret, as the coordinating office.

    Example:

        tongqiao secret new --out sichuan-children.secret
    """
    from keys.linkage_secret import new_linkage_secret, save_linkage_secret

    with failing("write the secret file"):
        secret = new_linkage_secret()
        save_linkage_secret(secret, out)
    say(f"Secret file: {out} (readable by you alone)")
    say(f"Fingerprint: {secret.fingerprint}")


@secret_group.command(name="show")
@click.argument("file", type=INPUT_FILE)
def show_command(file: Path) -> None:
    """Show the fingerprint of the secret in FILE, and nothing else of it.

    Offices that see the same fingerprint have the same secret.

    Example:

        tongqiao secret show sichuan-children.secret
    """
    from keys.linkage_secret import load_linkage_secret

    with failing("read the secret file"):
        secret = load_linkage_secret(file, ask_passphrase)
    say(f"Fingerprint: {secret.fingerprint}")


@secret_group.command(name="seal")
@click.option(
    "--secret-file", metavar="FILE", type=INPUT_FILE, required=True, help="The secret to seal."
)
@_keys_option
@click.option(
    "--to",
    "recipient_file",
    metavar="FILE",
    type=INPUT_FILE,
    required=True,
    help="Public identity of the office that gets it (ID.public.json).",
)
@_project_option
@_epoch_option
@click.option("--out", metavar="FILE", type=OUTPUT_FILE, required=True, help="File to write.")
def seal_command(
    secret_file: Path, keys: Path, recipient_file: Path, project: str, epoch: int, out: Path
) -> None:
    """Seal the secret to one office, as the coordinating office.

    Only that office can open it, and only as what it is: this project's secret of this epoch, from
    you.  Compare the office's fingerprint with its people by telephone before you hand it over.

    Example:

    \b
        tongqiao secret seal --secret-file sichuan-children.secret \\
          --keys province.private.json --to jinjiang-civil.public.json \\
          --project sichuan-children --out jinjiang-civil.sealed
    """
    from keys.linkage_secret import load_linkage_secret, seal_linkage_secret
    from keys.storage import load_private_identity, load_public_identity, write_private_file

    with failing("seal the secret"):
        recipient = load_public_identity(recipient_file)
        blob = seal_linkage_secret(
            load_linkage_secret(secret_file, ask_passphrase),
            recipient=recipient,
            sender=load_private_identity(keys, ask_passphrase),
            project=project,
            epoch=epoch,
        )
        write_private_file(out, blob)
    say(f"Sealed file: {out}")
    say(f"Only {recipient.holder} ({recipient.name}) can open it.")
    say(f"Fingerprint of that office: {recipient.fingerprint}")


@secret_group.command(name="open")
@click.argument("blob", type=INPUT_FILE)
@_keys_option
@click.option(
    "--from",
    "sender_file",
    metavar="FILE",
    type=INPUT_FILE,
    required=True,
    help="Public identity of the coordinating office (ID.public.json).",
)
@_project_option
@_epoch_option
@click.option("--out", metavar="FILE", type=OUTPUT_FILE, required=True, help="File to write.")
def open_command(
    blob: Path, keys: Path, sender_file: Path, project: str, epoch: int, out: Path
) -> None:
    """Open the secret that the coordinating office sealed to your office in BLOB.

    Compare both fingerprints with the coordinating office by telephone: its own, and the secret's.

    Example:

    \b
        tongqiao secret open jinjiang-civil.sealed \\
          --keys jinjiang-civil.private.json --from province.public.json \\
          --project sichuan-children --out sichuan-children.secret
    """
    from keys.linkage_secret import open_linkage_secret, save_linkage_secret
    from keys.storage import load_private_identity, load_public_identity, read_public_file

    with failing("open the sealed secret"):
        sender = load_public_identity(sender_file)
        secret = open_linkage_secret(
            read_public_file(blob),
            recipient=load_private_identity(keys, ask_passphrase),
            sender=sender,
            project=project,
            epoch=epoch,
        )
        save_linkage_secret(secret, out)
    say(f"Secret file: {out} (readable by you alone)")
    say(f"Fingerprint of the secret: {secret.fingerprint}")
    say(f"Sealed by {sender.holder} ({sender.name})")
    say(f"Fingerprint of that office: {sender.fingerprint}")
