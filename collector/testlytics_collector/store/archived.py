"""One file of a run archive on its way into the spool, for a store that others hold.

`merge` takes archives into a store that it holds itself. Here each upload of the file goes into the
spool, under the bounds of one who is not trusted, and comes in through the same door.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_collector.errors import InputError
from testlytics_collector.records import Counts, Outcome
from testlytics_collector.store import archive_file, facts, spool
from testlytics_collector.store.places import AHEAD_US, Place

if TYPE_CHECKING:
    import duckdb

MAGIC = b"PAR1"
"""What a Parquet file begins with."""

FORM = "archive"

_MEMORY = "512MB"
_MOST_UPLOADS = 1_000
_COUNTED = {Outcome.CRASHED: "errored", Outcome.INTERRUPTED: "unknown"}


class Bounds(NamedTuple):
    """What one file may be.

    Attributes:
        rows: Attempts and measurements.
        size: Bytes of its columns, as it says.
    """

    rows: int
    size: int


class Arrived(NamedTuple):
    """A file whose uploads are in the spool.

    Attributes:
        run_id: The one run that it is of.
        counts: How many of what, in all of its uploads.
        tickets: How the answers are found, one for each upload.
    """

    run_id: str
    counts: Counts
    tickets: tuple[spool.Ticket, ...]


def hand_in(
    database: Path, path: Path, *, name: str, project: str | None, bounds: Bounds, now_us: int
) -> Arrived:
    """Put the uploads of an archive file into the spool.

    Args:
        database: The store's file.
        path: The file.
        name: What messages call it.
        project: The only project it may be of; None for any.
        bounds: What it may be.
        now_us: The present, microseconds since the epoch.

    Raises:
        InputError: It is no archive file, damaged, of another project, or too much. The message
            does not say where it lies.
        StoreError: The spool cannot be used.
    """
    try:
        with _loaded(path, bounds) as connection:
            spooling = _Spooling(database, connection, name, now_us)
            arrivals = facts.arrivals(spooling.rows)
            _check(arrivals, project)
            tickets = spooling.all(arrivals)
            return Arrived(arrivals[0].upload.run_id, spooling.counts(), tickets)
    except InputError as error:
        told = error.message.replace(str(path), name)
        raise InputError(told, slug=error.slug, hint=error.hint) from error


@contextlib.contextmanager
def _loaded(path: Path, bounds: Bounds) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "temp_directory": "",  # a small file can claim texts that fill a disk
        "threads": 1,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with contextlib.closing(duckdb.connect(config=config)) as connection:
        connection.execute("set enable_progress_bar = false").fetchall()
        archive_file.load(connection, path, max_rows=bounds.rows, max_bytes=bounds.size)
        yield connection


class _Spooling:
    """The uploads of one file, on their way."""

    def __init__(
        self, database: Path, connection: duckdb.DuckDBPyConnection, name: str, now_us: int
    ) -> None:
        self._database, self._connection = database, connection
        self._name, self._now_us = name, now_us
        self._outcomes: Counter[Outcome] = Counter()

    def rows(self, sql: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._connection.execute(sql, list(values)).fetchall()
        return found

    def all(self, arrivals: Sequence[facts.Arrival]) -> tuple[spool.Ticket, ...]:
        tickets: list[spool.Ticket] = []
        try:
            for one in arrivals:
                tickets.append(self._one(one))  # noqa: PERF401 - those before a failure are left
        except BaseException:
            for ticket in tickets:
                ticket.leave()
            raise
        return tuple(tickets)

    def _one(self, one: facts.Arrival) -> spool.Ticket:
        with spool.spooling(self._database, one.upload.project) as spooled:
            for batch in facts.attempts(self._connection, one.upload):
                spooled.write(batch)
                self._outcomes.update(attempt.outcome for attempt in batch)
            spooled.measure(facts.measurements(self.rows, one.upload))
            order_us = one.commit_order_us
            is_placed = order_us is not None and order_us <= self._now_us + AHEAD_US
            return spooled.hand_in(
                one.upload,
                digest=one.digest,
                form=one.form,
                path=self._name,
                now_us=min(one.ingested_us, self._now_us),
                content=facts.content(self.rows, one.upload),
                place=Place(order_us) if is_placed and order_us is not None else None,
            )

    def counts(self) -> Counts:
        found = Counts()
        for outcome, number in self._outcomes.items():
            name = _COUNTED.get(outcome, outcome.value)
            setattr(found, name, getattr(found, name) + number)
        found.testcases = found.attempts = self._outcomes.total()
        [(found.tests, found.measurements)] = self.rows(
            "select count(distinct test_id), count(measurement) from facts"
        )
        return found


def _check(arrivals: Sequence[facts.Arrival], project: str | None) -> None:
    if project is not None and arrivals[0].upload.project != project:
        raise InputError(
            "The archive file is of another project than the one that is uploaded to.",
            slug="archive-project",
            hint="Use the token of its project.",
        )
    if len(arrivals) > _MOST_UPLOADS:
        raise InputError(
            f"The archive file holds more than {_MOST_UPLOADS} uploads.", slug="archive-size"
        )
