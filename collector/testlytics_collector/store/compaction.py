"""Writing a store anew, so that its file holds what is in it and nothing that was."""

from __future__ import annotations

import os
from pathlib import Path

from testlytics_collector.errors import NotFoundError, StoreError
from testlytics_collector.store.connection import STORAGE_VERSION, translated
from testlytics_collector.store.lock import hold


def compact(path: Path, *, wait_s: float) -> tuple[int, int]:
    """Copy the store into a new file and put that in its place.

    The store's lock is held alone all the while, and no connection is open when the files change
    places. Needs room for both. Cut off, it leaves the old file as it was.

    Args:
        path: The store's file.
        wait_s: How long to wait for others who use it, in seconds.

    Returns:
        Bytes before and after; a store without gaps can come out a block or two larger.

    Raises:
        NotFoundError: There is no store.
        StoreError: It cannot be copied.
    """
    if not path.exists():
        raise NotFoundError(f"There is no store at {path}.", slug="no-store")
    part = path.with_name(f"{path.name}.compact")
    rests = (part, part.with_name(f"{part.name}.wal"))
    with hold(path, write=True, wait_s=wait_s):
        before = path.stat().st_size
        for rest in rests:  # of one that was cut off
            rest.unlink(missing_ok=True)
        try:
            with translated(path):
                _copy(path, part)
            log = path.with_name(f"{path.name}.wal")
            if log.exists():  # it would be read as the log of the new file
                raise StoreError(
                    f"The store {path} has an unfinished log; it was left as it is.",
                    slug="store-failed",
                    hint="Run any command that writes, such as doctor, and try again.",
                )
            with part.open("rb+") as stream:
                os.fsync(stream.fileno())
            part.chmod(path.stat().st_mode & 0o777)
            part.replace(path)
        finally:
            for rest in rests:
                rest.unlink(missing_ok=True)
        return before, path.stat().st_size


def _copy(path: Path, part: Path) -> None:
    import duckdb

    with duckdb.connect(config={"threads": 1, "memory_limit": "512MB"}) as connection:
        # ATTACH takes no parameters.
        old, new = (str(one.absolute()).replace("'", "''") for one in (path, part))
        for statement in (
            "set enable_progress_bar = false",
            f"attach '{old}' as old",
            "checkpoint old",
            f"attach '{new}' as new (storage_version '{STORAGE_VERSION}')",
            "copy from database old to new",
            "checkpoint new",
            "detach new",
            "detach old",
        ):
            connection.execute(statement).fetchall()
