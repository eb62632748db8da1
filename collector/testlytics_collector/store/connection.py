"""Opening the database file: the checks before, and DuckDB's errors turned into ours."""

from __future__ import annotations

import contextlib
import os
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from testlytics_collector.errors import NotFoundError, StoreError, StoreLockedError
from testlytics_collector.store import migration
from testlytics_collector.store.lock import disk_full, hold, pauses

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
        if not path.exists():  # only a writer that may make it comes so far
            _make(path)
        with _opened(path, write=write, wait_s=wait_s) as connection:
            yield connection


@contextlib.contextmanager
def _opened(path: Path, *, write: bool, wait_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    size = None if write and _log(path).exists() else path.stat().st_size
    if size is None:
        # Before it is opened for writing: that would put the log into the file, and what the
        # file lacks could not be told any more from what the log brought.
        looked = _open(path, write=False, wait_s=wait_s)
        with contextlib.closing(looked), translated(path):
            _check_length(looked, path, path.stat().st_size)
    inner = _open(path, write=write, wait_s=wait_s)
    connection = cast("duckdb.DuckDBPyConnection", _OwnProcess(inner, path))
    try:
        with translated(path):
            if size is not None:
                _check_length(connection, path, size)
            migration.settle(connection, path, write=write)
        yield connection
    except StoreError as error:
        if write and error.slug == "store-damaged":
            with contextlib.suppress(duckdb.Error):
                connection.execute("rollback").fetchall()
            with translated(path):  # else closing would write over what may yet be rescued
                connection.execute("pragma disable_checkpoint_on_shutdown").fetchall()
        raise
    finally:
        with translated(path):
            connection.close()


def _make(path: Path) -> None:
    """Make an empty store, whole or not at all: a first half would be no database to DuckDB."""
    if _log(path).exists():
        raise StoreError(
            f"The store {path} is missing, but its log {_log(path)} is there.",
            slug="store-damaged",
            hint="It was left as it is. Bring the store's file back, or move the log away.",
        )
    part = path.with_name(f"{path.name}.new")
    with translated(path):
        for rest in (part, _log(part)):
            rest.unlink(missing_ok=True)
        with _opened_part(part) as connection:
            migration.settle(connection, path, write=True)
            connection.execute("checkpoint").fetchall()
        part.rename(path)


@contextlib.contextmanager
def _opened_part(part: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with contextlib.closing(_open(part, write=True, wait_s=0)) as connection:
        yield connection


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


_HEADERS = 3 * 4096


def _check_length(connection: duckdb.DuckDBPyConnection, path: Path, size: int) -> None:
    """Find a file that was cut short; DuckDB would notice only when it needs what is gone.

    Only of blocks in use: free ones at the end may never have been written.
    """
    [(used, blocks, block_size)] = connection.execute(
        "select used_blocks, total_blocks, block_size from pragma_database_size()"
    ).fetchall()
    if size >= _HEADERS + blocks * block_size:
        return
    if size >= _HEADERS + used * block_size:  # then where they lie decides
        used = max(used, _last_block(connection) + 1)
    if size < (expected := _HEADERS + used * block_size):
        raise _damaged(path, f"it has {size} bytes and needs {expected}")


def _last_block(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the last block in use. Takes long in a large store."""
    tables = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where not temporary"
    ).fetchall()
    last = 0
    for asked in (
        "select max(block_id) from pragma_metadata_info()",
        *(
            f"""select max(list_max(list_append(additional_block_ids, block_id)))
                from pragma_storage_info('{name}') where persistent"""  # noqa: S608 - the catalog's
            for (name,) in tables
        ),
    ):
        [(found,)] = connection.execute(asked).fetchall()
        last = max(last, found or 0)
    return last


class _OwnProcess:
    """A connection that works only in the process that opened it.

    A forked child that used or closed it would write into the file beside its parent.
    """

    def __init__(self, inner: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._inner, self._path, self._owner = inner, path, os.getpid()
        _alive.add(self)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the connection has
        if os.getpid() != self._owner:
            raise StoreError(
                f"The store {self._path} was opened by process {self._owner}, before the fork.",
                slug="store-forked",
                hint="Open it in the process that uses it.",
            )
        return getattr(self._inner, name)

    def close(self) -> None:
        """Close it, in the process that opened it; do nothing in others."""
        if os.getpid() == self._owner:
            self._inner.close()

    def keep_open(self) -> None:
        """Never close it in this process, not even at its end: DuckDB would write."""
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._inner))


_alive: weakref.WeakSet[_OwnProcess] = weakref.WeakSet()


def _after_fork() -> None:
    for connection in _alive:
        connection.keep_open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors inside the block into a StoreError that names `path`."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise _failure(path, error) from error


_NO_ROOM = ("No space left", "File too large", "Disk quota exceeded")
_NO_RIGHT = ("ermission denied", "Read-only file system")
_TORN = ("Corrupt database file", "Could not read enough bytes", "Failed to load metadata")


def _failure(path: Path, error: duckdb.Error) -> StoreError:
    import duckdb

    # What is asked after the first failure of a transaction fails for that reason alone.
    while "transaction is aborted" in str(error) and isinstance(error.__context__, duckdb.Error):
        error = error.__context__
    text = _first_line(error)
    if any(words in str(error) for words in _NO_ROOM):
        return disk_full(path, text)
    if any(words in text for words in _TORN):
        return _damaged(path, text)
    if any(words in text for words in _NO_RIGHT):
        return _read_only(path, text)
    return StoreError(f"The store {path} failed: {text}", slug="store-failed")


def _read_only(path: Path, why: str) -> StoreError:
    return StoreError(
        f"The store {path}, or its folder, cannot be written: {why}",
        slug="store-read-only",
        hint="Choose a file in a folder you may write to with --store PATH.",
    )


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(
        f"The store {path} is damaged: {why}",
        slug="store-damaged",
        hint="It was left as it is. Restore it from a copy, or ingest the results into a new one.",
    )


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
            # What a log of this size holds goes into the file at once. Less often costs less: it is
            # a tenth of what one run takes, and short row groups are put together each time.
            "wal_autocheckpoint": "16MB",
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
    if any(words in text for words in _NO_RIGHT):
        return _read_only(path, text)
    if any(words in str(error) for words in _NO_ROOM):
        return disk_full(path, text)
    return _damaged(path, f"it cannot be opened: {text}")


def _first_line(error: Exception | None) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
