"""Copying a store as it is at one moment, while it is used.

Nothing but DuckDB may open the database file (see `lock`), and a file copied by other means while
it is written is torn. So DuckDB copies: where this process holds the store for many, from a
connection beside the writer's, in one transaction; else as any reader does.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics_collector.errors import NotFoundError
from testlytics_collector.store import shared
from testlytics_collector.store.connection import STORAGE_VERSION, connect, translated

if TYPE_CHECKING:
    import duckdb


def back_up(path: Path, copy: Path, *, wait_s: float = 10.0) -> None:
    """Copy a store into a new file.

    Args:
        path: The store's file.
        copy: The new file; it must not be there, and its folder must. It is there wholly or not at
            all, and a store as any other.
        wait_s: How long to wait for a writer of another process, in seconds.

    Raises:
        NotFoundError: There is no store.
        StoreError: It cannot be read, the copy cannot be written, or the store is being closed.
    """
    if not path.exists():
        raise NotFoundError(f"There is no store at {path}.", slug="no-store")
    part = copy.with_name(f".{copy.name}.part")
    rests = (part, part.with_name(f"{part.name}.wal"))
    for rest in rests:
        rest.unlink(missing_ok=True)
    try:
        with translated(path):
            _copy(path, part, wait_s)
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(copy)
    finally:
        for rest in rests:
            rest.unlink(missing_ok=True)


def _copy(path: Path, part: Path, wait_s: float) -> None:
    held = shared.shared(path)
    opened = connect(path, write=False, wait_s=wait_s) if held is None else held.beside()
    with opened as connection:
        _write(connection, part)


def _write(connection: duckdb.DuckDBPyConnection, part: Path) -> None:
    def run(sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
        return found

    [(name,)] = run("select current_database()")
    new = f"copy_{os.urandom(8).hex()}"  # of several at once each has a name of its own
    run(f"attach {_quoted(part)} as {new} (read_write, storage_version '{STORAGE_VERSION}')")
    try:
        run(f"copy from database {_name(name)} to {new}")
        run(f"checkpoint {new}")
    finally:
        with contextlib.suppress(Exception):  # what went wrong before is what is told
            run(f"detach {new}")


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(path: Path) -> str:
    """Write a path as SQL does: ATTACH takes no parameters."""
    return "'" + str(path.absolute()).replace("'", "''") + "'"
