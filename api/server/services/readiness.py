"""Whether the server can serve requests."""

import shutil

from api.server.config import ConfigError
from api.server.refusals import RefusalError
from api.server.services.encodings import StorageAwayError
from api.server.services.installation import Installation
from api.server.services.schema import check_schema


def check_ready(installation: Installation) -> None:
    """Whether the database answers and fits, the disk has room, and the storage answers.

    Raises:
        RefusalError: ``unavailable``, with the reason.
        sqlalchemy.exc.DBAPIError: the database does not answer.
    """
    try:
        check_schema(installation.database)
    except ConfigError as error:
        raise RefusalError("unavailable", str(error)) from error
    free_bytes = shutil.disk_usage(installation.config.directory).free
    if free_bytes < installation.config.min_free_bytes:
        raise RefusalError(
            "unavailable",
            "The server's disk is nearly full. Its administrator has to make room, or to lower "
            "min_free_bytes.",
        )
    try:
        installation.encodings.verify_reachable()
    except StorageAwayError as error:
        raise RefusalError(
            "unavailable",
            "The storage of encodings does not answer, or refuses this server. Its administrator "
            "finds out more with `tongqiao server check-storage DIR`.",
        ) from error
