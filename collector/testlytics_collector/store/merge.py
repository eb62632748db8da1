"""Merging archives and other stores into a store: the union of what all of them know.

Each upload comes in through the same door as an ingested file, so that merging in any order, any
grouping and any number of times ends with the same facts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_collector.errors import InputError, StoreError
from testlytics_collector.store import archive, archive_file, facts
from testlytics_collector.store.connection import connect, translated
from testlytics_collector.store.derived import Rows
from testlytics_collector.store.store import Store

if TYPE_CHECKING:
    import duckdb


_MEMORY = "1GB"


class Told(NamedTuple):
    """Something to say of a file or source.

    Attributes:
        path: Which.
        text: What: why it was refused, or what disagreed.
    """

    path: str
    text: str


@dataclass(slots=True)
class Merged:
    """What became of one source.

    Attributes:
        source: As given.
        stored: How many uploads came in, or took the place of another copy.
        already_stored: How many changed nothing.
        refused: What could not be read, each with its reason.
        problems: What a person should know of beside that.
    """

    source: str
    stored: int = 0
    already_stored: int = 0
    refused: list[Told] = field(default_factory=list)
    problems: list[Told] = field(default_factory=list)


def merge(
    sources: Iterable[str],
    store: Store,
    *,
    wait_s: float = 10.0,
    on_run: Callable[[], None] = lambda: None,
) -> list[Merged]:
    """Take everything that the sources know into a store.

    Args:
        sources: Archives (see `archive.place`), single archive files (`.parquet`), other stores.
        store: Open for writing.
        wait_s: How long to wait for others who use a source, in seconds.
        on_run: Called after each run.

    Returns:
        One answer for each source, in the same order. What cannot be read costs nothing else.

    Raises:
        ConfigError: An archive is of no known kind.
        StoreError: The store itself failed. What was taken in before is stored.
    """
    results = []
    for source in sources:
        result = Merged(source)
        results.append(result)
        try:
            for path, gathered in _runs(source, store.path, result, wait_s):
                try:
                    _take_in(path, gathered, store, result)
                except InputError as error:
                    result.refused.append(Told(path, str(error)))
                on_run()
        except InputError as error:
            result.refused.append(Told(source, str(error)))
    return results


def _runs(
    source: str, own: Path, result: Merged, wait_s: float
) -> Iterator[tuple[str, duckdb.DuckDBPyConnection]]:
    """Yield the runs of a source one by one: where from, and what they are gathered in."""
    path = Path(source)
    if archive.is_place(source) or path.is_dir():
        yield from _runs_of_files(archive.place(source).files(), result)
    elif not path.exists():
        raise InputError(
            "There is no such archive or store.",
            slug="merge-missing",
            hint="Name a folder, a .parquet file, a store, s3://... or git:BRANCH.",
        )
    elif path.suffix == archive.SUFFIX:
        yield from _runs_of_files(iter([archive.Fetched(source, path)]), result)
    elif not path.samefile(own):  # which knows all that it knows
        yield from _runs_of_store(path, wait_s)


def _runs_of_files(
    files: Iterable[archive.Fetched], result: Merged
) -> Iterator[tuple[str, duckdb.DuckDBPyConnection]]:
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "threads": 1,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with contextlib.closing(duckdb.connect(config=config)) as connection:
        connection.execute("set enable_progress_bar = false").fetchall()
        for name, path, problem in files:
            if path is None:
                result.refused.append(Told(name, str(problem)))
                continue
            try:
                archive_file.load(connection, path)
            except InputError as error:
                result.refused.append(Told(name, str(error)))
            else:
                yield name, connection


def _runs_of_store(path: Path, wait_s: float) -> Iterator[tuple[str, duckdb.DuckDBPyConnection]]:
    try:
        with connect(path, write=False, wait_s=wait_s) as connection, translated(path):
            rows = _asking(connection)
            for (keys,) in rows("select list(upload_key) from raw.uploads group by run_key"):
                facts.gather(rows, keys)
                yield str(path), connection
    except StoreError as error:
        # So that it is told from an error of the store that all goes into.
        raise InputError(error.message, slug=error.slug, hint=error.hint) from error


def _take_in(path: str, gathered: duckdb.DuckDBPyConnection, store: Store, result: Merged) -> None:
    rows = _asking(gathered)
    for one in facts.arrivals(rows):
        content = facts.content(rows, one.upload)
        with store.intake(one.upload.project) as intake:
            if intake.wants(
                one.upload,
                digest=one.digest,
                form=one.form,
                attempts=one.attempts,
                content=content,
            ):
                for batch in facts.attempts(gathered, one.upload):
                    intake.write(batch)
                intake.measure(facts.measurements(rows, one.upload))
            kept = store.keep(
                intake,
                one.upload,
                digest=one.digest,
                form=one.form,
                now_us=one.ingested_us,
                content=content,
            )
        if one.upload.commit is not None and one.commit_order_us is not None:
            store.note_order(one.upload.commit, one.commit_order_us)
        result.stored += kept.stored
        result.already_stored += not kept.stored
        result.problems += [Told(path, problem.text) for problem in kept.problems]


def _asking(connection: duckdb.DuckDBPyConnection) -> Rows:
    def rows(sql: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = connection.execute(sql, list(values)).fetchall()
        return found

    return rows
