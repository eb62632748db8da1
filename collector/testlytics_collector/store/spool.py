"""The folder beside the store where uploads wait while others hold the store.

A writer that cannot have the store at once puts what it has read there, and whoever holds the store
takes it in before letting go. An upload is a file of its own, see `spool_file`. It is there wholly
or not at all, and stays until it is committed.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from testlytics_collector.errors import StoreError
from testlytics_collector.records import Problem, Upload
from testlytics_collector.store import spool_file, taking
from testlytics_collector.store.connection import connect, translated
from testlytics_collector.store.lock import FULL, disk_full
from testlytics_collector.store.places import Place
from testlytics_collector.store.taking import Answer as Answer  # noqa: PLC0414 - ours to give

if TYPE_CHECKING:
    import duckdb

DRAIN_S = 10.0
"""How long a holder of the store takes in what others left, at most, before it lets go."""

READER_S = 2.0
"""The same for a command that only wants to read."""

LINGER_S = 0.3
"""How long a holder of the store waits for an upload that is being written into the spool."""

_FRESH_NS = 2_000_000_000
_STALE_S = 86_400
TOGETHER = 64
"""How many uploads are taken in by one transaction, at most, and only while all of them hold less
than `stage.PORTION` attempts."""


class Ticket(NamedTuple):
    """One upload in the spool, by its file, as the writer that put it there sees it."""

    entry: Path

    def answer(self) -> Answer | None:
        """Return what became of it, None while it waits."""
        try:
            told = json.loads(self.entry.with_suffix(".answer").read_bytes())
        except (OSError, ValueError):
            return None
        problems = tuple(Problem(*problem) for problem in told["problems"])
        return Answer(told["status"], told["run_id"], problems)

    def leave(self) -> None:
        """Say that nobody waits for the answer."""
        for suffix in (".waiting", ".answer"):
            self.entry.with_suffix(suffix).unlink(missing_ok=True)


def folder(database: Path) -> Path:
    """Return where the uploads of a store wait."""
    return database.with_name(f"{database.name}.spool")


def entries(database: Path) -> list[Path]:
    """Return the uploads that wait, the oldest first."""
    try:
        return sorted(
            path for path in folder(database).iterdir() if path.suffix == ".upload" and _whole(path)
        )
    except OSError:
        return []


def _whole(path: Path) -> bool:
    return not path.name.startswith(".")


class Spooled(spool_file.Writer):
    """The sink of one input that goes into the spool; made by `spooling`."""

    def __init__(self, file: BinaryIO, part: Path, project: str | None) -> None:
        super().__init__(file, project)
        self._part = part

    def hand_in(  # noqa: PLR0913 - as many things are known of an upload
        self,
        upload: Upload,
        *,
        digest: str,
        form: str,
        path: str,
        now_us: int,
        content: str | None = None,
        place: Place | None = None,
        lasting: bool = True,
    ) -> Ticket:
        """Put what was written where the holder of the store finds it.

        Args:
            upload: Where the results come from.
            digest: BLAKE2b-256 of the decompressed bytes, hexadecimal.
            form: Name of the input's format.
            path: The input, for messages.
            now_us: When it came, microseconds since the epoch.
            content: Digest of the attempts, see `writer.Intake.keep`.
            place: Where its commit stands, as its sender says; None where nothing is said.
            lasting: Whether it must outlive a power cut, and its answer be kept in a file. It need
                not where the caller is who takes it in, and tells nobody that it is safe before.
        """
        self.finish(
            {
                "path": path,
                "digest": digest,
                "form": form,
                "now_us": now_us,
                "attempts": self.attempts,
                "upload": asdict(upload),
                "content": content,
                "place": place,
            }
        )
        self._file.flush()
        if lasting:
            os.fsync(self._file.fileno())
        self._file.close()
        entry = self._part.with_name(self._part.name.removeprefix("."))
        if lasting:
            entry.with_suffix(".waiting").touch()
        self._part.rename(entry)
        if lasting:
            sync(entry.parent)
        return Ticket(entry)


@contextlib.contextmanager
def spooling(database: Path, project: str | None) -> Iterator[Spooled]:
    """Open a place in the spool. Without a call of `hand_in` on what this gives, nothing stays.

    Raises:
        StoreError: The folder cannot be made, or there is no room.
    """
    base = folder(database)
    with _translated_os(database):
        base.mkdir(exist_ok=True)
        part = base / f".{time.time_ns():020}-{os.getpid()}-{os.urandom(4).hex()}.upload"
        try:
            with part.open("xb", buffering=1 << 20) as file:
                yield Spooled(file, part, project)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _translated_os(database: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(database, str(error.strerror)) from error
        raise StoreError(
            f"Cannot use the spool {folder(database)}: {error.strerror}.",
            slug="store-read-only",
            hint="Choose a folder you may write to with --store PATH.",
        ) from error


def drain(
    connection: duckdb.DuckDBPyConnection, database: Path, *, seconds: float = DRAIN_S
) -> int:
    """Take in what waits, several uploads in a transaction.

    Args:
        connection: The store, open for writing, with no transaction open.
        database: The store's file.
        seconds: When to stop, also where more waits.

    Returns:
        How many uploads left the spool.

    Raises:
        StoreError: The store refused; what was not taken in still waits.
    """
    end, done = time.monotonic() + seconds, 0
    while waiting := entries(database) or _expected(database, end):
        for start in range(0, len(waiting), TOGETHER):
            if time.monotonic() > end:
                return done
            with translated(database), _translated_os(database):
                part = waiting[start : start + TOGETHER]
                taking.take(connection, part, {})
                done += len(part)
    if done:
        _sweep(database)
    return done


def take(
    connection: duckdb.DuckDBPyConnection,
    database: Path,
    waiting: Sequence[Path],
    answers: dict[Path, Answer],
) -> None:
    """Take in these uploads now, in one transaction where they are small and none fails.

    Args:
        connection: The store, open for writing, with no transaction open.
        database: The store's file.
        waiting: Some of what `entries` gave.
        answers: Gets what became of each, as soon as it is committed.

    Raises:
        StoreError: The store refused; those without an answer still wait.
    """
    with translated(database), _translated_os(database):
        taking.take(connection, waiting, answers)


def _expected(database: Path, end: float) -> list[Path]:
    """Wait a little for what others are just writing into the spool.

    To close the store and to open it again costs more than to take in an upload.

    Args:
        database: The store's file.
        end: When to stop, as `time.monotonic` tells it.

    Returns:
        What waits now; nothing where nobody writes, or it takes too long.
    """
    end = min(end, time.monotonic() + LINGER_S)
    while _is_written_to(database) and time.monotonic() < end:
        time.sleep(0.01)
        if waiting := entries(database):
            return waiting
    return []


def _is_written_to(database: Path) -> bool:
    oldest = time.time_ns() - _FRESH_NS
    try:
        names = [path.name for path in folder(database).glob(".*.upload")]
    except OSError:
        return False
    return any(name[1:].partition("-")[0] > f"{oldest:020}" for name in names)


def take_in(database: Path, *, seconds: float) -> None:
    """Take in what waits where nobody holds the store, and warn of what waits on. Never fails.

    Args:
        database: The store's file.
        seconds: When to stop, also where more waits.
    """
    if not entries(database):
        return
    end = time.monotonic() + seconds
    with contextlib.suppress(StoreError):
        while entries(database) and (left := end - time.monotonic()) > 0:
            with connect(database, write=True, wait_s=0) as connection:
                drain(connection, database, seconds=left)
    if waiting := len(entries(database)):
        _warn(database, waiting)


def drain_quietly(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Take in what waits; an error is not the caller's, whose own work is done."""
    try:
        drain(connection, database)
    except StoreError as error:
        _warn(database, len(entries(database)), str(error))


def _warn(database: Path, waiting: int, why: str = "") -> None:
    import logging

    logging.getLogger(__name__).warning(
        "testlytics: %d %s in %s for the next command that can write the store.%s",
        waiting,
        "upload waits" if waiting == 1 else "uploads wait",
        folder(database),
        why and f" {why}",
    )


def _sweep(database: Path) -> None:
    """Remove what writers that were killed have left."""
    oldest = time.time() - _STALE_S
    with contextlib.suppress(OSError):
        for path in folder(database).iterdir():
            if (path.suffix != ".upload" or not _whole(path)) and path.is_file():
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()


def sync(path: Path) -> None:
    """Make a file, or a renamed one in its folder, outlive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
