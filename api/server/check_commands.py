"""``tongqiao server``: look whether what the server relies on answers as it should."""

from pathlib import Path

import click

from api.client.terminal import remark, say
from api.server.account_commands import server_group
from api.server.commands import directory_argument, failing_server, opened_server

__all__ = ["server_group"]


@server_group.command(name="check-provider")
@directory_argument
def check_provider_command(directory: Path) -> None:
    """Ask the OpenID provider for its metadata and keys, as every login does.

    Example:

        tongqiao server check-provider /srv/tongqiao
    """
    from api.server.refusals import RefusalError
    from api.server.services.provider_logins import provider_of

    with failing_server("ask the OpenID provider"), opened_server(directory) as installation:
        provider = provider_of(installation)
        provider.check_files()
        try:
            address = provider.check()
        except RefusalError as refusal:
            raise click.ClickException(
                f"The OpenID provider does not answer as it should, at: {refusal.details['check']}."
            ) from refusal
    say(f"The OpenID provider answers. People log in at {address}")
    remark(f"It must send them back to {installation.config.public_url}/console/login/return")


@server_group.command(name="check-storage")
@directory_argument
def check_storage_command(directory: Path) -> None:
    """Look whether the storage of encodings takes, gives and deletes, and lacks no upload.

    Example:

        tongqiao server check-storage /srv/tongqiao
    """
    from api.server.services.encodings import StorageAwayError
    from api.server.services.upload_checks import missing_uploads

    with failing_server("open the server's folder"), opened_server(directory) as installation:
        where = installation.config.encodings
        try:
            installation.encodings.check()
            missing = missing_uploads(installation)
        except StorageAwayError as error:
            raise click.ClickException(
                f"The storage of encodings does not answer as it should: {error}. Look at the "
                "settings encodings, s3_endpoint, s3_region and s3_addressing, and at the "
                "credentials' rights: they must let this server list, read, write and delete."
            ) from error
    say(f"The storage of encodings answers: {where}")
    for round_id, office in missing:
        say(f"Round {round_id}: the file of {office} is gone. The office has to send it again.")
    if missing:
        raise click.ClickException("Uploads are missing in the storage.")
