"""The run archive: one Parquet file per run that is never changed, in a place of any kind.

A run that has grown gets a further file. What an archive says is the union of its files, so that
files are only ever added, by as many writers at once as there are.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from testlytics_collector.errors import Error, InputError, NotFoundError
from testlytics_collector.store import facts
from testlytics_collector.store.reader import Window, select_window

if TYPE_CHECKING:
    import duckdb

    from testlytics_collector.store.store import Store

SUFFIX = ".parquet"
MAX_FILE = 1 << 30
"""Largest archive file that is read, in bytes."""

Progress = Callable[[int], AbstractContextManager[Callable[[], None]]]
"""Given the number of steps, gives what is to be called after each."""

_NAME_CHARS = 60


class Fetched(NamedTuple):
    """A file of an archive.

    Attributes:
        name: Its name, for people.
        path: Where it lies on this machine now, until the next one is asked for; None where it
            cannot be had.
        problem: Why not.
    """

    name: str
    path: Path | None
    problem: InputError | None = None


class Place(Protocol):
    """Where an archive lies. Names are relative, with `/` between their parts."""

    def names(self) -> set[str]:
        """Return the names of the files that are there; empty where there is no archive yet."""

    def add(self, folder: Path, names: list[str], step: Callable[[], None]) -> None:
        """Add files from a folder, in which they have the same names; wholly or not at all each.

        Raises:
            Error: The place cannot be written.
        """

    def files(self) -> Iterator[Fetched]:
        """Yield the files of the archive, sorted by name.

        Raises:
            Error: There is no archive, or it cannot be read at all.
        """


class Folder:
    """An archive in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> set[str]:
        """See `Place`."""
        return {found.relative_to(self.path).as_posix() for found in self._inside()}

    def add(self, folder: Path, names: list[str], step: Callable[[], None]) -> None:
        """See `Place`."""
        try:
            for name in names:
                target = self.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                # Beside its target: only there a rename is one step.
                part = target.with_name(f".{target.name}.{os.getpid()}.part")
                shutil.copyfile(folder / name, part)
                with part.open("rb") as stream:
                    os.fsync(stream)
                part.replace(target)
                step()
        except OSError as error:
            raise unwritable(str(self.path), error.strerror or "") from error

    def files(self) -> Iterator[Fetched]:
        """See `Place`."""
        for found in self._inside():
            size = found.stat().st_size
            problem = too_large(size) if size > MAX_FILE else None
            yield Fetched(str(found), None if problem else found, problem)

    def _inside(self) -> list[Path]:
        return sorted(
            found
            for found in self.path.rglob(f"*{SUFFIX}")
            if found.is_file()
            and not any(part.startswith(".") for part in found.relative_to(self.path).parts)
        )


class Exported(NamedTuple):
    """What an export did.

    Attributes:
        written: How many files were added.
        present: How many runs were there already.
    """

    written: int
    present: int


def is_place(text: str) -> bool:
    """Tell whether a text names an archive that is no folder."""
    return text.startswith("git:") or re.match(r"[a-z][a-z0-9+]*://", text) is not None


def place(text: str) -> Place:
    """Return the place that a text names: a folder, `git:[REMOTE#]BRANCH`, `s3://BUCKET/PREFIX`.

    Raises:
        ConfigError: It is of no known kind.
    """
    if text.startswith("git:"):
        from testlytics_collector.store.archive_git import GitBranch

        return GitBranch(text)
    if is_place(text):
        from testlytics_collector.store.archive_objects import ObjectStore

        return ObjectStore(text)
    return Folder(Path(text))


def export(store: Store, window: Window, target: Place, progress: Progress) -> Exported:
    """Add the runs of a window that are not in an archive yet.

    Args:
        store: An open store.
        window: Which runs; all of each, whatever the window says of variants.
        target: Where the archive lies.
        progress: Shows how far it is; two steps for each file that is added.

    Raises:
        NotFoundError: No run is in the window.
        StoreError: The store cannot be read.
        Error: The place cannot be read or written.
    """
    runs = store.run_files(window)
    if not runs:
        raise NotFoundError(
            f"The store {store.path} holds no run that fits.",
            slug="no-runs",
            hint="Widen --project, --branch, --since, --last or --run-id, or ingest results.",
        )
    there = target.names()
    missing = {name: key for name, key in runs.items() if name not in there}
    with (
        tempfile.TemporaryDirectory(prefix="testlytics-") as made,
        progress(2 * len(missing)) as step,
    ):
        folder = Path(made)
        for name, key in missing.items():
            (folder / name).parent.mkdir(exist_ok=True)
            store.write_run(key, folder / name)
            step()
        if missing:
            target.add(folder, list(missing), step)
    return Exported(len(missing), len(runs) - len(missing))


def run_files(connection: duckdb.DuckDBPyConnection, window: Window) -> dict[str, int]:
    """Name the archive files of a window's runs.

    Returns:
        Keys of runs by name, oldest run first.
    """
    select_window(connection, window)

    def rows(sql: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        return connection.execute(sql, list(values)).fetchall()

    found = rows(
        """select w.project, w.run_id, r.run_key
           from windowed w join raw.runs r using (project, run_id)
           order by w.project, w.position"""
    )
    return {_name(project, run_id, facts.name_of(rows, key)): key for project, run_id, key in found}


def _name(project: str, run_id: str, digest: str) -> str:
    """Name a file by words for people and a digest that alone tells runs apart."""

    def words(text: str) -> str:
        return re.sub(r"[^A-Za-z0-9.-]|^\.", "_", text)[:_NAME_CHARS] or "_"

    return f"{words(project)}/{words(run_id)}-{digest}{SUFFIX}"


def too_large(size: int) -> InputError:
    """Return what is said of an archive file that is too large to be one."""
    return InputError(
        f"The archive file has {size} bytes; at most {MAX_FILE} were expected.",
        slug="archive-size",
        hint="It is no run of tests.",
    )


def unwritable(where: str, reason: str) -> Error:
    """Return what is said of a place that cannot be written."""
    return Error(
        f"The archive {where} cannot be written: {reason}.",
        slug="archive-unwritable",
        hint="What was added before is whole. Run the command again when it is mended.",
    )


def unreadable(where: str, reason: str) -> InputError:
    """Return what is said of a place that cannot be read."""
    return InputError(
        f"The archive {where} cannot be read: {reason}.",
        slug="archive-unreadable",
        hint="Look at its name, and at the rights to it.",
    )
