"""One process that serves many: one connection that writes, and readers that never wait for it.

DuckDB opens a file for one process at a time. Inside of it each reader has a connection of its own
and sees the store as it was when it began.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from testlytics_collector.errors import StoreError
from testlytics_collector.store import spool
from testlytics_collector.store.connection import connect, translated

if TYPE_CHECKING:
    import duckdb

_MEMORY = "1GB"
_CACHE = "64MB"
_TRIM_S = 5.0
_CLOSING_S = 10.0
_STOPPING_S = 0.05

_held: dict[Path, Shared] = {}


class _Reading:
    """A question that is being asked; not longer than until `end`, as `time.monotonic` tells it."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, end: float) -> None:
        self.cursor, self.end = cursor, end
        self.is_late = False


class Shared:
    """A store that this process holds open for writing; made by `sharing`."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection, read_s: float) -> None:
        self.path = path
        self._connection, self._read_s = connection, read_s
        self._file = _file_at(path)
        self._reading: set[_Reading] = set()
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_asked, self._is_closed = threading.Event(), threading.Event()
        threading.Thread(target=self._watch, name="reader-watch", daemon=True).start()
        self._trimmed_at = time.monotonic()

    def take_in(self, entries: Sequence[Path], answers: dict[Path, spool.Answer]) -> None:
        """Take uploads of the spool in; see `spool.take`. By one thread only.

        Raises:
            StoreError: The store refused, or its file has gone; those without an answer still wait.
        """
        if _file_at(self.path) != self._file:  # what went into it would be told as stored
            raise StoreError(
                f"The store {self.path} is missing: it was removed or replaced while in use.",
                slug="store-damaged",
                hint="It is opened anew. Put a copy in its place while nobody uses it.",
            )
        spool.take(self._connection, self.path, entries, answers)
        if time.monotonic() - self._trimmed_at >= _TRIM_S:
            self._trim()

    def _trim(self) -> None:
        """Give back the blocks that DuckDB keeps, all but `_CACHE`, unless somebody reads.

        It keeps what it ever read or wrote, up to its bound: memory would grow with the file.
        """
        import duckdb

        with self._changed:  # nobody may begin to read while the bound is low
            if self._reading:
                return
            self._trimmed_at = time.monotonic()
            with contextlib.suppress(duckdb.Error):  # what is in use cannot be given back
                self._connection.execute(f"set memory_limit = '{_CACHE}'").fetchall()
            self._connection.execute(f"set memory_limit = '{_MEMORY}'").fetchall()

    def is_sound(self) -> bool:
        """Tell whether it can still be used; after a disk was full it must be opened anew."""
        import duckdb

        if _file_at(self.path) != self._file:
            return False
        try:
            self._connection.execute("select count(*) from raw.runs").fetchall()
        except duckdb.Error:
            return False
        return True

    @contextlib.contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a connection that sees the store as it is now, while the block runs.

        Raises:
            StoreError: The block took longer than a reader may, or the store is being closed.
        """
        reading = self._enter(self._read_s)
        try:
            with translated(self.path):
                reading.cursor.execute("begin").fetchall()
            yield reading.cursor
        except StoreError as error:
            if not reading.is_late:
                raise
            raise StoreError(
                f"The question took longer than {self._read_s:g} s.",
                slug="store-read-slow",
                hint="Ask for fewer runs.",
            ) from error
        finally:
            self._leave(reading)

    def _watch(self) -> None:
        """Stop those who read for too long, until the store is closed."""
        while not self._is_closed.is_set():
            # Woken by the first who asks, not by each: a thread that wakes up costs others a turn.
            self._is_asked.wait()
            with self._changed:
                if not self._reading:
                    self._is_asked.clear()
                    continue
                now = time.monotonic()
                late = [one for one in self._reading if one.end <= now]
                for one in late:
                    one.is_late = True
                    _interrupt(one.cursor)
                # Again and again: between two statements there is nothing to stop.
                pause = _STOPPING_S if late else min(one.end for one in self._reading) - now
            # Whoever begins to read meanwhile may read for longer than this.
            self._is_closed.wait(min(pause, self._read_s))

    @contextlib.contextmanager
    def beside(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a connection for upkeep while the block runs: no bound in time, no transaction.

        Raises:
            StoreError: The store is being closed, or was while the block ran.
        """
        reading = self._enter(math.inf)
        try:
            with translated(self.path):
                yield reading.cursor
        finally:
            self._leave(reading)

    def _enter(self, seconds: float) -> _Reading:
        with self._changed:
            if self._is_closing:
                raise StoreError(
                    f"The store {self.path} is being closed.",
                    slug="store-closing",
                    hint="Try again in a moment.",
                )
            with translated(self.path):
                reading = _Reading(self._connection.cursor(), time.monotonic() + seconds)
            self._reading.add(reading)
            self._is_asked.set()
        return reading

    def _leave(self, reading: _Reading) -> None:
        with self._changed:
            self._reading.discard(reading)
            self._changed.notify_all()
        reading.cursor.close()

    def close(self) -> None:
        """Let nobody in any more, stop those who read, and wait until they have gone."""
        with self._changed:
            self._is_closing = True
            end = time.monotonic() + _CLOSING_S
            while self._reading and time.monotonic() < end:
                for one in self._reading:
                    _interrupt(one.cursor)
                self._changed.wait(_STOPPING_S)
        self._is_closed.set()
        self._is_asked.set()


def _file_at(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at a path from any other; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _interrupt(cursor: duckdb.DuckDBPyConnection) -> None:
    with contextlib.suppress(Exception):  # it was closed at this moment
        cursor.interrupt()


@contextlib.contextmanager
def sharing(path: Path, *, wait_s: float, read_s: float) -> Iterator[Shared]:
    """Hold the store for writing, and let readers of this process in, while the block runs.

    Args:
        path: The store's file; made where it is missing.
        wait_s: How long to wait for others who hold it, in seconds.
        read_s: How long one reader may ask, in seconds.

    Raises:
        StoreError: It cannot be opened or written.
    """
    key = path.resolve()
    with connect(path, write=True, wait_s=wait_s) as connection:
        with translated(path):
            # A writer's own bound is too small for those who judge a long history.
            connection.execute(f"set memory_limit = '{_MEMORY}'").fetchall()
        held = Shared(path, connection, read_s)
        _held[key] = held
        try:
            yield held
        finally:
            _held.pop(key, None)
            held.close()


def shared(path: Path) -> Shared | None:
    """Return the store if this process holds it open for many, else None."""
    return _held.get(path.resolve()) if _held else None
