"""What the commands of ``tongqiao office`` share: options, and the office that acts."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.terminal import ID, open_client

if TYPE_CHECKING:
    from api.client.http import ServerClient

round_option = click.option(
    "--round", "round_id", metavar="ID", type=ID, required=True, help="Id of the round."
)
project_option = click.option(
    "--project", metavar="ID", type=ID, required=True, help="Id of the project."
)
epoch_option = click.option(
    "--epoch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of the secret: a project's first is 1, its next is 2.",
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace the file if it exists already."
)


def open_office(server: str, keys: Path, ca_file: Path | None) -> "tuple[ServerClient, str]":
    """A client that signs for an office, and the office's id.

    Raises:
        click.ClickException: the keys are those of a person.
        KeysError: the key file is not one, or others may read it.
    """
    client = open_client(server, keys, ca_file)
    public = client.identity.public
    if public.kind != "office":
        raise click.ClickException(
            "These are the keys of a person, not of an office. Give your office's file as --keys."
        )
    return client, public.holder
