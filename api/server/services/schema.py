"""The database's schema: brought up to date by Alembic, and checked before a server starts."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from api.server.config import ConfigError
from api.server.services.database import Database

_SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"


def migrate(database: Database, revision: str = "head") -> tuple[str | None, str | None]:
    """Bring the schema up to date, in one transaction.

    Args:
        database: the database; other processes wait meanwhile.
        revision: where to stop; tests stop earlier.

    Returns:
        The revision before and the revision now.
    """
    with database.migrating() as connection:
        before = MigrationContext.configure(connection).get_current_revision()
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        now = MigrationContext.configure(connection).get_current_revision()
    return before, now


def newest_revision() -> str | None:
    """The revision that this program is written for."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def check_empty(database: Database) -> None:
    """Whether a new server may take the database.

    Raises:
        ConfigError: it has tables already.
    """
    with database.engine.connect() as connection:
        if inspect(connection).get_table_names():
            raise ConfigError(
                "The database is not empty: it has tables already. Name a new, empty one; a server "
                "that is there already is started with `tongqiao server run DIR`."
            )


def check_schema(database: Database) -> None:
    """Whether the database has the schema that this program is written for.

    Raises:
        ConfigError: it is older or newer; the message says what to do.
    """
    with database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == newest_revision():
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current is not None and current not in known:
        raise ConfigError(
            "The server's database was made by a newer version of tongqiao. Update the program."
        )
    raise ConfigError(
        "The server's database is of an older version. Make a copy of the server's folder, then "
        "run `tongqiao server migrate DIR`."
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
