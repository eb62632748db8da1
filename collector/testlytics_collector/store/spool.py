"""The folder beside the store where uploads wait while others hold the store.

A writer that cannot have the store at once puts what it has read there, and whoever holds the store
takes it in before letting go. An upload is a database file of its own: the tables of the stage, and
what is known beside them. It is there wholly or not at all, and stays until it is committed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from testlytics_collector.errors import StoreError
from testlytics_collector.records import Problem, Upload
from testlytics_collector.store import stage, writer
from testlytics_collector.store.connection import connect, translated
from testlytics_collector.store.lock import FULL, disk_full

if TYPE_CHECKING:
    import duckdb

VERSION = 1
DRAIN_S = 10.0
"""How long a holder of the store takes in what others left, at most, before it lets go."""

READER_S = 2.0
"""The same for a command that only wants to read."""

_STALE_S = 86_400


class Answer(NamedTuple):
    """What became of a spooled upload.

    Attributes:
        status: `stored`, `already stored` or `refused`.
        run_id: The run it belongs to; None where it was refused.
        problems: What a person should know of.
    """

    status: str
    run_id: str | None
    problems: tuple[Problem, ...]


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


class Spooled(writer.Intake):
    """The sink of one input that goes into the spool. A context manager, like `Intake`.

    Args:
        connection: An empty database of its own.
        part: Its file.
        project: The project that the caller states, or None.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, part: Path, project: str | None
    ) -> None:
        super().__init__(connection, project)
        self._part = part

    def __enter__(self) -> Self:
        self._run("begin")
        for make in stage.MAKE.values():
            self._run(make.replace(" temp ", " "))
        return self

    def _settle(self) -> None:
        """Write down failures; the rest stays, because here is no memory to be freed."""
        self._stage_whys()

    def _clear(self) -> None:
        """Keep the stage: it is what is handed in."""

    def hand_in(self, upload: Upload, *, digest: str, form: str, path: str, now_us: int) -> Ticket:
        """Put what was written where the holder of the store finds it, durably.

        Args:
            upload: Where the results come from.
            digest: BLAKE2b-256 of the decompressed bytes, hexadecimal.
            form: Name of the input's format.
            path: The input, for messages.
            now_us: When it came, microseconds since the epoch.
        """
        self._settle()
        known = {
            "spool": VERSION,
            "path": path,
            "digest": digest,
            "form": form,
            "now_us": now_us,
            "attempts": self.attempts,
            "upload": asdict(upload),
        }
        self._run("create table about as select $1 as about", [json.dumps(known)])
        self._run("commit")
        self._run("checkpoint")
        self._connection.close()
        entry = self._part.with_name(self._part.name.removeprefix("."))
        entry.with_suffix(".waiting").touch()
        self._part.rename(entry)
        _sync(entry.parent)
        return Ticket(entry)


@contextlib.contextmanager
def spooling(database: Path, project: str | None) -> Iterator[Spooled]:
    """Open a place in the spool. Without a call of `hand_in` on what this gives, nothing stays.

    Raises:
        StoreError: The folder cannot be made, or there is no room.
    """
    import duckdb

    base = folder(database)
    with _translated_os(database):
        base.mkdir(exist_ok=True)
        name = f".{time.time_ns():020}-{os.getpid()}-{secrets.token_hex(4)}.upload"
        part = base / name
        log = base / f"{name}.wal"
        try:
            with translated(database):
                config: dict[str, str | bool | int | float | list[str]] = {
                    "threads": 1,
                    "memory_limit": "160MB",
                    "temp_directory": str(base),
                }
                with contextlib.closing(duckdb.connect(str(part), config=config)) as connection:
                    connection.execute("set enable_progress_bar = false").fetchall()
                    with Spooled(connection, part, project) as spooled:
                        yield spooled
        finally:
            part.unlink(missing_ok=True)
            log.unlink(missing_ok=True)


@contextlib.contextmanager
def _translated_os(database: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(database, str(error.strerror)) from error
        raise StoreError(
            f"Cannot write into the spool {folder(database)}: {error.strerror}.",
            slug="store-read-only",
            hint="Choose a folder you may write to with --store PATH.",
        ) from error


def drain(
    connection: duckdb.DuckDBPyConnection, database: Path, *, seconds: float = DRAIN_S
) -> int:
    """Take in what waits, each upload in a transaction of its own.

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
    while waiting := entries(database):
        for entry in waiting:
            if time.monotonic() > end:
                return done
            with translated(database):
                answer = _take(connection, database, entry)
            _say(entry, answer)
            done += 1
    if done:
        _sweep(database)
    return done


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


def _take(connection: duckdb.DuckDBPyConnection, database: Path, entry: Path) -> Answer:
    import duckdb

    quoted = str(entry).replace("'", "''")
    try:
        connection.execute(f"attach '{quoted}' as spooled (read_only)").fetchall()
        try:
            [(text,)] = connection.execute("select about from spooled.about").fetchall()
            about: dict[str, Any] = json.loads(text)
            if about["spool"] != VERSION:
                return _refuse(database, entry, f"it is of spool version {about['spool']}")
            return _keep(connection, about)
        finally:
            with contextlib.suppress(duckdb.Error):
                connection.execute("detach spooled").fetchall()
    except (duckdb.Error, ValueError, KeyError, TypeError) as error:
        # Whose fault is it? What cannot be read by itself either is put aside.
        why = _unreadable(entry)
        if why is None and isinstance(error, duckdb.Error):
            raise
        return _refuse(database, entry, why or str(error))


def _unreadable(entry: Path) -> str | None:
    """Read a spooled upload to its end, in a database of its own.

    Returns:
        Why it cannot be read; None where it can.
    """
    import duckdb

    try:
        with contextlib.closing(duckdb.connect(str(entry), read_only=True)) as connection:
            connection.execute("set enable_progress_bar = false").fetchall()
            for table in ("about", *stage.TABLES):
                connection.execute(f"select max(columns(*)) from {table}").fetchall()  # noqa: S608
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return None


def _keep(connection: duckdb.DuckDBPyConnection, about: dict[str, Any]) -> Answer:
    upload = Upload(**about["upload"])
    with _Restaged(connection, upload.project) as intake:
        intake.load(about["attempts"])
        kept = intake.keep(
            upload, digest=about["digest"], form=about["form"], now_us=about["now_us"]
        )
    status = "stored" if kept.stored else "already stored"
    return Answer(status, upload.run_id, tuple(kept.problems))


class _Restaged(writer.Intake):
    """Takes in what the attached database `spooled` holds."""

    def load(self, attempts: int) -> None:
        """Put the stage of the spooled upload into this one's, a portion at a time."""
        for start in range(0, attempts, writer.PORTION):
            if start:
                self._settle()
                self._clear()
            self._has_whys = self._has_notes = True
            end = min(start + writer.PORTION, attempts)
            part = [start, end]
            self._run(
                "insert into stage by name from spooled.stage where rowid >= $1 and rowid < $2",
                part,
            )
            for table in ("stage_special", "stage_notes"):
                self._run(
                    f"""insert into {table} by name
                        select * replace ((n - $1)::integer as n)
                        from spooled.{table} where n > $1 and n <= $2""",  # noqa: S608 - constants
                    part,
                )
            self._run(
                """insert into stage_why by name
                   select distinct * from spooled.stage_why
                   where digest in (select digest from stage_special)"""
            )
            self._staged = end - start
        [(staged,)] = self._rows("select count(*) from spooled.stage")
        if staged != attempts:
            raise ValueError(f"it holds {staged} attempts and should hold {attempts}")
        self.attempts = attempts


def _refuse(database: Path, entry: Path, why: str) -> Answer:
    """Put an upload aside, so that it holds up no other."""
    aside = folder(database) / "refused"
    text = f"A spooled upload cannot be read: {why}. It is now {aside / entry.name}."
    with _translated_os(database):
        aside.mkdir(exist_ok=True)
        (aside / f"{entry.name}.txt").write_text(f"{text}\n", encoding="utf-8")
        entry.rename(aside / entry.name)
    return Answer("refused", None, (Problem(text),))


def _say(entry: Path, answer: Answer) -> None:
    """Answer the writer that waits, where one does, and take the upload out of the spool."""
    waiting = entry.with_suffix(".waiting")
    with contextlib.suppress(OSError):
        if waiting.exists():
            part = entry.with_suffix(".part")
            part.write_text(json.dumps(answer._asdict()), encoding="utf-8")
            part.rename(entry.with_suffix(".answer"))
            waiting.unlink(missing_ok=True)
    entry.unlink(missing_ok=True)


def _sweep(database: Path) -> None:
    """Remove what writers that were killed have left."""
    oldest = time.time() - _STALE_S
    with contextlib.suppress(OSError):
        for path in folder(database).iterdir():
            if (path.suffix != ".upload" or not _whole(path)) and path.is_file():
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()


def _sync(folder: Path) -> None:
    """Make a renamed file outlive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
