"""Opening the database file: the checks before, and DuckDB's errors turned into ours."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from testlytics_collector.errors import NotFoundError, StoreError, StoreLockedError
from testlytics_collector.store import migration
from testlytics_collector.store.lock import hold, pauses

if TYPE_CHECKING:
    import duckdb

STORAGE_VERSION = "v1.5.0"
"""The oldest DuckDB that shall read our files: one store serves every supported DuckDB."""


@contextlib.contextmanager
def connect(
    path: Path, *, write: bool, create: bool = True, wait_s: float
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the store at `path` while the block runs.

    Args:
        path: The database file.
        write: To change it (True), or only to read.
        create: Whether a writer makes it, and its folder, where they do not exist.
        wait_s: How long to wait for others who hold it, in seconds.

    Raises:
        NotFoundError: There is nothing at `path`, and nothing is to be made.
        StoreLockedError: Others held it all that time.
        StoreError: It is no store, a newer one, damaged, or cannot be opened or written here.
    """
    _check(path, create=write and create)
    with hold(path, write=write, wait_s=wait_s):
        connection = _open(path, write=write, wait_s=wait_s)
        try:
            with translated(path):
                migration.settle(connection, path, write=write)
            yield connection
        finally:
            with translated(path):
                connection.close()


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors inside the block into a StoreError that names `path`."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        text = _first_line(error)
        if "No space left" in text:
            raise StoreError(
                f"The disk of the store {path} is full: {text}",
                slug="store-disk-full",
                hint="What was stored before is safe. Free some space and run the command again.",
            ) from error
        raise StoreError(f"The store {path} failed: {text}", slug="store-failed") from error


def _check(path: Path, *, create: bool) -> None:
    if path.is_dir():
        raise StoreError(
            f"The store path {path} is a folder; a file is expected.",
            slug="store-is-folder",
            hint=f"Name a file, for example --store {path / 'history.duckdb'}",
        )
    if path.exists():
        return
    if not create:
        raise NotFoundError(
            f"There is no store at {path}.",
            slug="no-store",
            hint="Make one with: testlytics ingest PATH...",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"Cannot make the store's folder {path.parent}: {error.strerror}.",
            slug="store-read-only",
            hint="Choose a folder you may write to with --store PATH.",
        ) from error


def _open(path: Path, *, write: bool, wait_s: float) -> duckdb.DuckDBPyConnection:
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {}
    if write:
        # One thread: what a writer does is too little at a time for a second one to help. The
        # memory is for DuckDB's cache of blocks, which would grow with the file.
        config = {
            "storage_compatibility_version": STORAGE_VERSION,
            "threads": 1,
            "memory_limit": "160MB",
            # More than this is written straight to its place, not to the log first.
            "wal_autocheckpoint": "4MB",
        }
    refused: duckdb.Error | None = None
    for _ in pauses(wait_s):
        try:
            return duckdb.connect(str(path), read_only=not write, config=config)
        except duckdb.Error as error:
            refused = error
            if "Could not set lock" not in str(error):
                break
    raise _refusal(path, refused) from refused


def _refusal(path: Path, error: duckdb.Error | None) -> StoreError:
    text = _first_line(error)
    if "Could not set lock" in text:
        holder = re.search(r"\(PID (\d+)\)", text)
        who = f" by process {holder[1]}" if holder else ""
        return StoreLockedError(
            f"The store {path} is in use{who}, outside of testlytics.",
            hint="Nothing was changed. Close the other program, or wait with --wait SECONDS.",
        )
    if "not a valid DuckDB database" in text:
        return StoreError(
            f"{path} is not a testlytics store: it is not a DuckDB database.",
            slug="not-a-store",
            hint="It was left as it is. Name another file with --store PATH.",
        )
    if "version number" in text:
        return StoreError(
            f"The store {path} was written by a newer DuckDB than this one.",
            slug="store-newer-duckdb",
            hint="Update it with: pip install -U duckdb",
        )
    if "ermission denied" in text or "Read-only file system" in text:
        return StoreError(
            f"The store {path} cannot be opened for writing: {text}",
            slug="store-read-only",
            hint="Choose a file you may write to with --store PATH.",
        )
    return StoreError(
        f"The store {path} cannot be opened: {text}",
        slug="store-damaged",
        hint="It was left as it is. Restore it from a copy, or ingest the results into a new one.",
    )


def _first_line(error: Exception | None) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
