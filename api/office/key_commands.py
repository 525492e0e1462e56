"""``tongqiao keys``: key pairs of an office, an operator or an auditor."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.terminal import (
    ID,
    INPUT_FILE,
    ask_passphrase,
    failing,
    open_client,
    remark,
    say,
    server_options,
)

if TYPE_CHECKING:
    from keys.identity import Kind, PublicIdentity


@click.group(name="keys")
def keys_group() -> None:
    """Make key pairs of an office or a person, and look at them.

    Two files are made: ID.private.json, which nobody else may see, and ID.public.json, which others
    get.  Whoever gets it compares the fingerprint with you by telephone.

    Example:

        tongqiao keys new --office jinjiang-civil --name 锦江区民政局 --out keys
    """


@keys_group.command(name="new")
@click.option("--office", metavar="ID", type=ID, help="Id of the office the keys are for.")
@click.option("--operator", metavar="ID", type=ID, help="Id of the operator the keys are for.")
@click.option("--auditor", metavar="ID", type=ID, help="Id of the auditor the keys are for.")
@click.option("--name", metavar="TEXT", help="Name that people see; the id if left out.")
@click.option(
    "--out",
    "directory",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to put the two files into; made if it is missing.",
)
def new_command(
    office: str | None,
    operator: str | None,
    auditor: str | None,
    name: str | None,
    directory: Path,
) -> None:
    """Make new key pairs: one to sign with, one to get sealed messages with.

    Existing files are never written over.  Keep a copy of the private file in a safe place: without
    it, the office has to enrol again with new keys.

    Example:

        tongqiao keys new --operator wang-li --name 王丽 --out ~/tongqiao
    """
    from keys.errors import KeyFileError
    from keys.identity import check_name, new_identity
    from keys.storage import save_identity

    holder, kind = _one_holder(office, operator, auditor)
    if name is not None:
        try:
            check_name(name)
        except KeyFileError as error:
            raise click.BadParameter(str(error), param_hint="--name") from error
    with failing("write the key files"):
        identity = new_identity(holder, kind, name)
        private_path, public_path = save_identity(identity, directory)
    _show(identity.public)
    say(f"Private file: {private_path} (for you alone)")
    say(f"Public file: {public_path} (for others)")


@keys_group.command(name="show")
@click.argument("file", type=INPUT_FILE)
def show_command(file: Path) -> None:
    """Show whose keys are in FILE, and their fingerprint.

    FILE is a public or a private key file; of a private one only the public part is shown.  Two
    people who see the same fingerprint have the same keys.

    Example:

        tongqiao keys show jinjiang-civil.public.json
    """
    from keys.storage import load_private_identity, load_public_identity

    with failing("read the key file"):
        if file.name.endswith(".private.json"):
            identity = load_private_identity(file, ask_passphrase).public
        else:
            identity = load_public_identity(file)
    _show(identity)
    say(f"Made: {identity.created_at}")
    say(f"Key id: {identity.key_id}")
    say(f"Sealing: {identity.sealing_suite}")


@keys_group.command(name="rotate")
@click.option(
    "--keys", metavar="FILE", required=True, type=INPUT_FILE, help="Your present private key file."
)
@click.option(
    "--out",
    "directory",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the new key files; not that of the present ones.",
)
def rotate_command(keys: Path, directory: Path) -> None:
    """Make new keys that the present ones name as their successors.

    Three files are made: the new ID.private.json and ID.public.json, and ID.rotation.json, which
    says that the new keys take the present ones' place. Nothing changes until that one is sent:
    'tongqiao keys send-rotation'.

    Example:

        tongqiao keys rotate --keys my-office.private.json --out new-keys
    """
    from keys.epochs import rotate_identity
    from keys.identity import new_identity
    from keys.passphrase import is_protected
    from keys.storage import (
        load_private_identity,
        read_public_file,
        save_identity,
        write_public_file,
    )

    with failing("write the key files"):
        old = load_private_identity(keys, ask_passphrase)
        was_protected = is_protected(read_public_file(keys))
        new = new_identity(old.public.holder, old.public.kind, old.public.name)
        rotation = directory / f"{old.public.holder}.rotation.json"
        if rotation.exists():
            # Before new keys are made: those that nothing names would stop the next attempt.
            raise FileExistsError
        save_identity(new, directory)
        write_public_file(rotation, rotate_identity(old, new).to_json() + b"\n")
    _show(new.public)
    say(f"Rotation: {rotation}. Send it with 'tongqiao keys send-rotation'.")
    if was_protected:
        remark(
            "Your present keys are under a passphrase, and the new ones are NOT yet: run 'tongqiao "
            "keys protect' on the new private file."
        )


@keys_group.command(name="send-rotation")
@click.argument("rotation_file", metavar="ID.rotation.json", type=INPUT_FILE)
@server_options
def send_rotation_command(
    server: str, keys: Path, ca_file: Path | None, rotation_file: Path
) -> None:
    """Let your new keys take the place of the present ones on the server.

    From then on the present keys, given as --keys here, are refused.

    Example:

    \b
        tongqiao keys send-rotation new-keys/my-office.rotation.json --server URL \\
            --keys my-office.private.json
    """
    import json

    from keys.epochs import parse_rotation, verify_rotation
    from keys.storage import read_public_file

    with failing("read the rotation"):
        client = open_client(server, keys, ca_file)
        public = client.identity.public
        rotation = parse_rotation(read_public_file(rotation_file))
        verify_rotation(rotation, public)
        client.put_json(f"/v1/members/{public.holder}/key", json.loads(rotation.to_json()))
    say(f"The keys of {public.holder} are changed. Fingerprint: {rotation.new.fingerprint}")
    remark("Use the new private file from now on; keep the old one until all is opened with it.")


@keys_group.command(name="protect")
@click.argument("file", type=INPUT_FILE)
def protect_command(file: Path) -> None:
    """Encrypt a private file under a passphrase, in its place.

    FILE is a private key file, or a linkage secret.  Every command that uses it asks for the
    passphrase then.  Nobody can open the file without it.

    Example:

        tongqiao keys protect my-office.private.json
    """
    from keys.storage import protect_private_file

    with failing("write the file"):
        passphrase = click.prompt(
            "New passphrase", hide_input=True, confirmation_prompt=True, err=True
        )
        protect_private_file(file, passphrase)
    say("The file is protected. Write the passphrase down and lock it away: it cannot be reset.")


@keys_group.command(name="unprotect")
@click.argument("file", type=INPUT_FILE)
def unprotect_command(file: Path) -> None:
    """Take the passphrase of a private file away.

    Example:

        tongqiao keys unprotect my-office.private.json
    """
    from keys.storage import unprotect_private_file

    with failing("write the file"):
        unprotect_private_file(file, ask_passphrase())
    say("The file is not protected any more. Only this account may read it.")


def _one_holder(
    office: str | None, operator: str | None, auditor: str | None
) -> tuple[str, "Kind"]:
    holders: dict[Kind, str | None] = {
        "office": office,
        "operator": operator,
        "auditor": auditor,
    }
    given = [(holder, kind) for kind, holder in holders.items() if holder is not None]
    if len(given) != 1:
        raise click.UsageError("Give exactly one of --office, --operator and --auditor.")
    return given[0]


def _show(identity: "PublicIdentity") -> None:
    say(f"Holder: {identity.kind} {identity.holder}")
    say(f"Name: {identity.name}")
    say(f"Fingerprint: {identity.fingerprint}")
