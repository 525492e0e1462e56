"""Triggers that keep the log's rows from being changed by mistake, on SQLite and PostgreSQL.

A guard against mistakes, not against who can change the database's schema: against them stands the
Merkle tree.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, inspect, text

from api.audit.errors import LogStoreError

_SEALED: Final = "(SELECT sealed_size FROM log_head)"


@dataclass(frozen=True, slots=True)
class _Guard:
    """One thing that the database refuses.

    Attributes:
        on: the operation.
        when: only under this condition, which may name ``NEW`` and ``OLD``; ``""`` for always.
        message: what is said.
        sqlite_only: it refuses ``INSERT OR REPLACE``, which only SQLite has.
    """

    table: str
    on: str
    when: str
    message: str
    sqlite_only: bool = False


def _never_replaced(table: str, key: str, what: str) -> _Guard:
    # INSERT OR REPLACE deletes the older row without its triggers.
    exists = " AND ".join(f"{table}.{name} = NEW.{name}" for name in key.split())
    when = f"EXISTS (SELECT 1 FROM {table} WHERE {exists})"  # noqa: S608
    return _Guard(table, "INSERT", when, f"{what} cannot be replaced", sqlite_only=True)


_ENTRY: Final = "an entry of the access log"
_CHECKPOINT: Final = "a checkpoint of the access log"
_TILE: Final = "a tile of the access log"
_COSIGNATURE: Final = "a cosignature of the access log"

_GUARDS: Final = {
    "log_entries_never_change": _Guard(
        "log_entries", "UPDATE", "", f"{_ENTRY} cannot be changed"
    ),
    "log_entries_never_go": _Guard(
        "log_entries",
        "DELETE",
        f"OLD.entry_index >= {_SEALED}",
        f"{_ENTRY} cannot be deleted before it is sealed",
    ),
    "log_entries_never_replaced": _never_replaced("log_entries", "entry_index", _ENTRY),
    "log_head_never_shrinks": _Guard(
        "log_head",
        "UPDATE",
        "NEW.size < OLD.size OR NEW.sealed_size < OLD.sealed_size OR NEW.sealed_size > NEW.size",
        "the access log cannot be shortened",
    ),
    "log_head_never_goes": _Guard(
        "log_head", "DELETE", "", "the access log cannot be shortened"
    ),
    "log_head_never_replaced": _never_replaced("log_head", "id", "the head of the access log"),
    "log_checkpoints_never_change": _Guard(
        "log_checkpoints", "UPDATE", "", f"{_CHECKPOINT} cannot be changed"
    ),
    "log_checkpoints_never_go": _Guard(
        "log_checkpoints", "DELETE", "", f"{_CHECKPOINT} cannot be deleted"
    ),
    "log_checkpoints_never_replaced": _never_replaced("log_checkpoints", "size", _CHECKPOINT),
    "log_subtrees_never_change": _Guard(
        "log_subtrees", "UPDATE", "", f"{_TILE} cannot be changed"
    ),
    "log_subtrees_never_go": _Guard("log_subtrees", "DELETE", "", f"{_TILE} cannot be deleted"),
    "log_subtrees_never_replaced": _never_replaced(
        "log_subtrees", "level subtree_index", _TILE
    ),
    "log_sealed_tiles_never_change": _Guard(
        "log_sealed_tiles", "UPDATE", "", f"{_TILE} cannot be changed"
    ),
    "log_sealed_tiles_never_go": _Guard(
        "log_sealed_tiles", "DELETE", "", f"{_TILE} cannot be deleted"
    ),
    "log_sealed_tiles_never_replaced": _never_replaced("log_sealed_tiles", "tile_index", _TILE),
    "log_cosignatures_never_change": _Guard(
        "log_cosignatures", "UPDATE", "", f"{_COSIGNATURE} cannot be changed"
    ),
    "log_cosignatures_never_go": _Guard(
        "log_cosignatures", "DELETE", "", f"{_COSIGNATURE} cannot be deleted"
    ),
    "log_cosignatures_never_replaced": _never_replaced(
        "log_cosignatures", "size witness", _COSIGNATURE
    ),
}  # fmt: skip


def create_guards(connection: Connection) -> None:
    """Make the database refuse to change or delete what is in the log; for use in a migration.

    Guards of tables that are not there yet are left out: the migration that makes such a table
    calls this again, which also brings older guards up to date.

    Raises:
        LogStoreError: the database is neither SQLite nor PostgreSQL.
    """
    dialect = connection.dialect.name
    if dialect not in ("sqlite", "postgresql"):
        raise LogStoreError("the log's guards are written for SQLite and PostgreSQL")
    tables = set(inspect(connection).get_table_names())
    for name, guard in _GUARDS.items():
        if guard.table in tables:
            for statement in (_for_sqlite if dialect == "sqlite" else _for_postgresql)(name, guard):
                connection.execute(text(statement))
    if dialect == "postgresql":
        for table in sorted({guard.table for guard in _GUARDS.values()} & tables):
            for statement in _never_emptied(table):
                connection.execute(text(statement))


def _for_sqlite(name: str, guard: _Guard) -> Iterator[str]:
    when = f"WHEN {guard.when}" if guard.when else ""
    yield f"DROP TRIGGER IF EXISTS {name}"
    yield (
        f"CREATE TRIGGER {name} BEFORE {guard.on} ON {guard.table} {when} "
        f"BEGIN SELECT RAISE(ABORT, '{guard.message}'); END"
    )


def _for_postgresql(name: str, guard: _Guard) -> Iterator[str]:
    if guard.sqlite_only:
        return
    row = "OLD" if guard.on == "DELETE" else "NEW"
    # The condition stands in the function: one with a subquery may not stand in the trigger.
    yield (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {guard.when or 'true'} THEN RAISE EXCEPTION '{guard.message}' "
        "USING ERRCODE = 'integrity_constraint_violation'; END IF; "
        f"RETURN {row}; END $$"
    )
    yield f"DROP TRIGGER IF EXISTS {name} ON {guard.table}"
    yield (
        f"CREATE TRIGGER {name} BEFORE {guard.on} ON {guard.table} "
        f"FOR EACH ROW EXECUTE FUNCTION {name}()"
    )


def _never_emptied(table: str) -> Iterator[str]:
    name = f"{table}_never_emptied"
    yield (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'the access log cannot be emptied' "
        "USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    yield f"DROP TRIGGER IF EXISTS {name} ON {table}"
    yield (
        f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )
