"""Making the tables of a new store, and bringing an older one up to date."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics_collector.errors import StoreError
from testlytics_collector.store import derived, rebuild, schema

if TYPE_CHECKING:
    import duckdb


def settle(connection: duckdb.DuckDBPyConnection, path: Path, *, write: bool) -> None:
    """Make sure that the tables are there, are ours and of this version.

    A writer makes them in an empty file, and brings older ones up to date, after a copy.

    Raises:
        StoreError: It is no store, a newer one, or an older one that a reader cannot change.
    """
    import duckdb

    connection.execute("set enable_progress_bar = false").fetchall()  # it would go to stdout
    try:
        found = connection.execute(
            "select value from raw.meta where key = 'schema_version'"
        ).fetchall()
    except duckdb.CatalogException as error:
        # Asked only now: it takes longer than all else that is done to open a store.
        tables = connection.execute("select count(*) from duckdb_tables()").fetchall()
        if tables[0][0] or not write:
            raise StoreError(
                f"{path} is a DuckDB database, but not a testlytics store.",
                slug="not-a-store",
                hint="It was left as it is. Name another file with --store PATH.",
            ) from error
        _create(connection)
        return
    version = int(found[0][0]) if found and str(found[0][0]).isdigit() else 0
    if version > schema.SCHEMA_VERSION:
        raise StoreError(
            f"The store {path} has schema {version}; this testlytics knows schemas up to "
            f"{schema.SCHEMA_VERSION}.",
            slug="store-newer",
            hint="It was left as it is. Update with: pip install -U testlytics",
        )
    if version < schema.SCHEMA_VERSION:
        if not write:
            raise StoreError(
                f"The store {path} has schema {version}; this testlytics reads schema "
                f"{schema.SCHEMA_VERSION}.",
                slug="store-older",
                hint="The next ingest brings it up to date; or run: testlytics doctor",
            )
        _migrate(connection, path, version)


def _create(connection: duckdb.DuckDBPyConnection) -> None:
    for statement in (
        "begin",
        schema.TABLES,
        schema.VIEWS,
        derived.VIEWS,
        f"insert into raw.meta values ('schema_version', '{schema.SCHEMA_VERSION}')",  # noqa: S608 - a constant
        "commit",
    ):
        connection.execute(statement).fetchall()


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path, version: int) -> None:
    def rows(sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return connection.execute(sql, values).fetchall()

    _copy(connection, path.with_name(f"{path.name}.schema{version}"))
    rows("begin")
    for step in range(version, schema.SCHEMA_VERSION):
        rows(schema.STEPS[step])
    rows(schema.VIEWS)
    rows(derived.VIEWS)
    rebuild.rebuild(rows)
    rows(
        "update raw.meta set value = $1 where key = 'schema_version'", [str(schema.SCHEMA_VERSION)]
    )
    rows("commit")
    rows("checkpoint")


def _copy(connection: duckdb.DuckDBPyConnection, copy: Path) -> None:
    """Copy the store beside itself, through DuckDB: nothing else may open the file."""
    import duckdb

    if copy.exists():
        return  # of a migration that was cut off: the older copy is the true one
    part = copy.with_name(f"{copy.name}.part")
    rests = (part, part.with_name(f"{part.name}.wal"))
    for rest in rests:
        rest.unlink(missing_ok=True)
    [(name,)] = connection.execute("select current_database()").fetchall()
    quoted = '"' + name.replace('"', '""') + '"'
    path = str(part).replace("'", "''")
    try:
        connection.execute(f"attach '{path}' as copied").fetchall()
        connection.execute(f"copy from database {quoted} to copied").fetchall()
        connection.execute("detach copied").fetchall()
    except duckdb.Error:
        with contextlib.suppress(duckdb.Error):
            connection.execute("detach copied").fetchall()
        for rest in rests:  # where the disk is full, it must not keep it full
            rest.unlink(missing_ok=True)
        raise
    part.rename(copy)
