"""Asking the store: what is known of an upload, and frames for the analytics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from testlytics_collector.records import Attempt, Failure, Note, NoteKind, Outcome, variant_text

if TYPE_CHECKING:
    import duckdb
    import polars as pl


@dataclass(frozen=True, slots=True)
class Window:
    """Which runs to look at.

    Attributes:
        project: Only this project; None for all.
        branch: Only runs of this branch; None for all.
        variant: Only uploads whose variant holds all these pairs; empty for all.
        since_us: Only runs that began at or after this instant; None for all.
        run_id: Only this run; None for all.
        run_ids: Only these runs; None for all.
        last: At most this many of the newest runs of each project; None for all.
        aliases: Old and new id of tests whose history goes on under the new one; no new id is an
            old one of another pair. Followed by reports and lists.
    """

    project: str | None = None
    branch: str | None = None
    variant: dict[str, str] = field(default_factory=dict)
    since_us: int | None = None
    run_id: str | None = None
    run_ids: tuple[str, ...] | None = None
    last: int | None = None
    aliases: tuple[tuple[str, str], ...] = ()


class Suite(NamedTuple):
    """One run in one variant.

    Attributes:
        project: Namespace of the tests.
        run_id: The run.
        variant: The variant in its canonical form; empty where nothing is known.
        started_us: When the run began, microseconds since the epoch.
    """

    project: str
    run_id: str
    variant: str
    started_us: int | None


_WINDOW = """
create or replace temp table windowed as
select {columns} from runs
where project = coalesce($1, project)
  and ($2 is null or branch = $2)
  and ($3 is null or started_at >= make_timestamp($3))
  and run_id = coalesce($4, run_id)
  and ($6 is null or list_contains($6::varchar[], run_id))
qualify $5 is null
     or row_number() over (partition by project order by position desc) <= $5
"""
_VERDICTS = """
select v.project, v.test_id, v.variant, v.run_id, w.position, w.commit, w.sources, v.verdict,
       v.passes, v.failures, v.duration_s
from verdicts v join windowed w using (project, run_id)
order by v.project, v.test_id, v.variant, w.position
"""


_SUITES = """
select distinct w.project, w.position, w.run_id, v.variant_key, v.variant, epoch_us(w.started_at)
from windowed w
join raw.runs r using (project, run_id)
join raw.uploads u using (run_key)
join raw.variants v using (variant_key)
order by w.project, w.position, v.variant
"""
_ATTEMPTS = """
select t.test_id, a.attempt::integer, a.outcome::varchar, a.duration_us, a.setup_us, a.teardown_us,
       a.started_us, a.worker, a.message_key is not null, m.type, m.message, m.text, m.place,
       (select list((n.kind, n.name, n.value)) from raw.notes n
        where n.upload_key = a.upload_key and n.test_key = a.test_key and n.attempt = a.attempt)
from raw.attempts a
join raw.uploads u using (upload_key)
join raw.runs r using (run_key)
join raw.tests t using (test_key)
left join raw.messages m using (message_key)
where r.project = $1 and r.run_id = $2 and u.variant_key = $3
order by t.test_id, u.run_attempt, u.upload_key, a.attempt
"""


def run_attempts(
    connection: duckdb.DuckDBPyConnection, window: Window
) -> Iterator[tuple[Suite, list[Attempt]]]:
    """Yield all attempts of each run and variant of a window.

    Yields:
        A suite for each run and variant, oldest run first, with its attempts: sorted by test id,
        those of one test in the order they were made.
    """
    select_window(connection, window)
    wanted = variant_text(window.variant).split(",") if window.variant else []
    for project, _, run_id, variant_key, variant, started_us in connection.execute(
        _SUITES
    ).fetchall():
        if not set(wanted) <= set(variant.split(",")):
            continue
        rows = connection.execute(_ATTEMPTS, [project, run_id, variant_key]).fetchall()
        yield (
            Suite(project, run_id, variant, started_us),
            [
                Attempt(
                    row[0],
                    row[1],
                    Outcome(row[2]),
                    row[3],
                    row[4],
                    row[5],
                    row[6],
                    row[7],
                    Failure(*row[9:13]) if row[8] else None,
                    tuple(Note(NoteKind(kind), *rest) for kind, *rest in row[13] or ()),
                )
                for row in rows
            ],
        )


def verdict_frame(connection: duckdb.DuckDBPyConnection, window: Window) -> pl.DataFrame:
    """Return the verdicts of a window's runs, with what the analytics need to judge them.

    Returns:
        One row per test, variant and run, sorted by project, test_id, variant, position:
        project, test_id, variant, run_id, position, commit, sources, verdict, passes, failures,
        duration_s (see the views `runs` and `verdicts`).
    """
    frame = _frame(connection, _VERDICTS, window)
    return _of_variant(frame, window.variant)


def _of_variant(frame: pl.DataFrame, wanted: dict[str, str]) -> pl.DataFrame:
    import polars as pl

    for pair in variant_text(wanted).split(",") if wanted else ():
        frame = frame.filter(pl.col("variant").str.split(",").list.contains(pair))
    return frame


def _frame(connection: duckdb.DuckDBPyConnection, sql: str, window: Window) -> pl.DataFrame:
    import polars as pl

    select_window(connection, window)
    return pl.DataFrame(connection.sql(sql))


def select_window(
    connection: duckdb.DuckDBPyConnection, window: Window, columns: str = "*"
) -> None:
    """Put the runs of a window into the temporary table `windowed`.

    Args:
        connection: A connection to the store.
        window: Which runs.
        columns: Those of the view `runs` that are needed; in a long history each costs its time.
    """
    run_ids = None if window.run_ids is None else list(window.run_ids)
    values = [window.project, window.branch, window.since_us, window.run_id, window.last, run_ids]
    connection.execute(_WINDOW.format(columns=columns), values).fetchall()
