"""The lock file beside the store: who may write, who may read, and who holds it.

Writers hold it exclusively, readers share it. It is a file of our own, because the database file
itself must be opened by nothing but DuckDB.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from testlytics_collector.errors import StoreError, StoreLockedError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: DuckDB's own lock has to do
    fcntl = None  # type: ignore[assignment]

_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says where there is no room: disk, quota, largest file of a process."""


def disk_full(path: Path, why: str) -> StoreError:
    """Return the error of a place without room."""
    return StoreError(
        f"The disk of the store {path} is full: {why}",
        slug="store-disk-full",
        hint="What was stored before is safe. Free some space and run the command again.",
    )


@contextlib.contextmanager
def hold(database: Path, *, write: bool, wait_s: float) -> Iterator[None]:
    """Hold the store's lock while the block runs.

    Args:
        database: The database file; the lock file is beside it, with `.lock` added to its name.
        write: Alone (True), or together with other readers.
        wait_s: How long to wait for others, in seconds; 0 tries once.

    Raises:
        StoreLockedError: Somebody else held it all that time. Says who, where that is known.
        StoreError: The lock file cannot be made (writers only: a reader of a read-only folder
            needs none, because nobody can write there).
    """
    path = _path(database)
    handle = _open(path, write=write)
    if handle is None or fcntl is None:
        yield
        return
    owner = os.getpid()
    with handle:
        _acquire(handle, path, database, write=write, wait_s=wait_s)
        if write:
            _sign(handle)
        try:
            yield
        finally:
            # A forked child shares the lock: it must not give up what its parent holds, and the
            # parent's closing alone would leave it held for as long as the child lives.
            if os.getpid() == owner:
                if write:
                    _sign(handle, leave=True)
                fcntl.flock(handle, fcntl.LOCK_UN)


def writer_at_work(database: Path) -> bool:
    """Tell whether a living process has said that it writes to the store."""
    try:
        with _path(database).open("rb") as handle:
            return _signature(handle) is not None
    except OSError:
        return False


def pauses(wait_s: float, *, longest_s: float = 0.25) -> Iterator[None]:
    """Yield once at once, then again after jittered pauses until the time is over.

    Args:
        wait_s: Seconds from the first yield to the last, at most.
        longest_s: To what length a pause grows, in seconds.
    """
    end = time.monotonic() + wait_s
    pause = 0.01
    while True:
        yield
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, pause * random.uniform(0.5, 1.5)))  # noqa: S311
        pause = min(pause * 1.5, longest_s)


def _path(database: Path) -> Path:
    return database.with_name(database.name + ".lock")


def _open(path: Path, *, write: bool) -> BinaryIO | None:
    try:
        return path.open("a+b")
    except OSError as error:
        if not write and error.errno in _READ_ONLY:
            # Others may be allowed to write here: what can be read can be locked.
            with contextlib.suppress(OSError):
                return path.open("rb")
            return None
        if error.errno in FULL:
            raise disk_full(path, str(error.strerror)) from error
        raise StoreError(
            f"Cannot write the store's lock file {path}: {error.strerror}.",
            slug="store-read-only",
            hint="Choose a folder you may write to with --store PATH.",
        ) from error


def _acquire(handle: BinaryIO, path: Path, database: Path, *, write: bool, wait_s: float) -> None:
    kind = fcntl.LOCK_EX if write else fcntl.LOCK_SH
    for _ in pauses(wait_s):
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise StoreError(
                    f"Cannot lock {path}: {error.strerror}.",
                    slug="store-lock-failed",
                    hint="Keep the store on a file system that supports locks.",
                ) from error
        else:
            return
    raise StoreLockedError(
        f"The store {database} is in use{_holder(handle)}; waited {wait_s:g} s.",
        hint="Nothing was changed. Try again later, or wait longer with --wait SECONDS.",
    )


def _sign(handle: BinaryIO, *, leave: bool = False) -> None:
    """Write into the lock file who holds it, so that others can say so. Never fails."""
    with contextlib.suppress(OSError):
        handle.truncate(0)
        if not leave:
            command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
            handle.write(json.dumps({"pid": os.getpid(), "command": command[:80]}).encode())
            handle.flush()


def _holder(handle: BinaryIO) -> str:
    signature = _signature(handle)
    if signature is None:
        return " by other processes"
    return f" by process {signature[0]} ({ascii(signature[1])[1:-1]})"


def _signature(handle: BinaryIO) -> tuple[int, str] | None:
    """Return the pid and command of the writer that signed, unless it was killed since."""
    try:
        handle.seek(0)
        told = json.loads(handle.read(1_000))
        pid, command = int(told["pid"]), str(told["command"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    with contextlib.suppress(PermissionError):  # it lives, as another user
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return None
    return pid, command
