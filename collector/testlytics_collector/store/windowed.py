"""Answers about a window of runs, without looking at more rows than they need.

What is asked of tests that failed is asked only of those; the others are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_collector.records import variant_text
from testlytics_collector.store.aliases import spelling
from testlytics_collector.store.outcomes import BAD, GOOD
from testlytics_collector.store.reader import Window, select_window
from testlytics_collector.store.slower import slower_frame
from testlytics_collector.store.speeds import Speeds, speeds

if TYPE_CHECKING:
    import duckdb
    import polars as pl


_CHOSEN = """
create or replace temp table chosen as
select u.upload_key, u.run_key, u.variant_key, u.run_attempt, w.step,
       (1::bigint << (w.step % 60)::integer) as bit  -- counts runs fast, and never too many
from raw.uploads u
join raw.runs r using (run_key)
join (
    select project, run_id, row_number() over (order by project, position) - 1 as step
    from windowed
) w using (project, run_id)
join raw.variants v using (variant_key)
where list_has_all(string_split(v.variant, ','), $1::varchar[])
order by u.upload_key
"""

_RUNS = """
select project, run_id, position, started_at::varchar, "commit", sources, branch, complete, attempts
from windowed
order by project, position
"""

_FAILING = """
create or replace temp table failing as
select distinct e.test_key, e.variant_key
from derived.events e
where (e.run_key, e.variant_key) in (select (run_key, variant_key) from chosen)
"""

_HISTORIES = f"""
with seen as (
    select a.test_key, c.variant_key, c.step,
           bit_or(case when a.outcome in {GOOD} then 1 when a.outcome in {BAD} then 2
                       when a.outcome = 'skipped'::raw.outcome then 4 else 8 end::utinyint) as met
    from raw.attempts a
    join chosen c using (upload_key)
    where a.test_key in (select test_key from failing)
    group by all
    order by c.step
),
told as (
    select test_key, variant_key, list(step) as steps, list(met) as met from seen group by all
)
select t.project, t.test_id, v.variant, s.steps, s.met
from told s
semi join failing f on f.test_key = s.test_key and f.variant_key = s.variant_key
join raw.tests t on t.test_key = s.test_key
join raw.variants v on v.variant_key = s.variant_key
"""  # noqa: S608 - constants

_LETTERS = {
    met: "L" if met & 3 == 3 else "F" if met & 2 else "P" if met & 1 else "S" if met & 4 else "?"
    for met in range(16)
}
"""What was met of a test in one run, as a letter: 1 a pass, 2 a failure, 4 a skip, 8 all else."""

_CALM = f"""
create or replace temp table calm as
select a.test_key, c.variant_key,
       bit_count(bit_or(c.bit) filter (where a.outcome in {GOOD})) as runs,
       count(*) filter (where a.outcome in {GOOD}) as passes
from raw.attempts a
join chosen c using (upload_key)
group by a.test_key, c.variant_key
"""  # noqa: S608 - constants

_COUNTED = """
select
    (select count(distinct test_key) from calm),
    count(*) filter (where c.runs >= $1 and f.test_key is null),
    count(*) filter (where f.test_key is null),
    count(*) filter (where c.runs < $1 and c.passes >= $1 and f.test_key is null)
from calm c
left join failing f on f.test_key = c.test_key and f.variant_key = c.variant_key
"""

_EXACT = f"""
select count(*) from (
    select a.test_key, c.variant_key
    from raw.attempts a
    join chosen c using (upload_key)
    where a.outcome in {GOOD}
      and (a.test_key, c.variant_key) in (
          select (test_key, variant_key) from calm where runs < $1 and passes >= $1
      )
      and (a.test_key, c.variant_key) not in (select (test_key, variant_key) from failing)
    group by a.test_key, c.variant_key
    having count(distinct c.step) >= $1
)
"""  # noqa: S608 - constants


class RunRow(NamedTuple):
    """One run of a window.

    Attributes:
        project: Namespace of its tests.
        run_id: Its name.
        position: Its place among the runs of the project.
        started_at: `YYYY-MM-DD HH:MM:SS`, UTC.
        commit: None where unknown.
        sources: Equal text, exactly equal sources; None where not known exactly.
        branch: None where unknown.
        complete: False where an upload did not end.
        attempts: How many attempts it holds, in all variants.
    """

    project: str
    run_id: str
    position: int
    started_at: str
    commit: str | None
    sources: str | None
    branch: str | None
    complete: bool
    attempts: int


class Calm(NamedTuple):
    """How many tests there are, and how many series never failed.

    Attributes:
        tests: Distinct tests of the window, those that failed included.
        settled: Series (test and variant) without a failure that passed in enough runs.
        unsettled: Series without a failure that did not.
    """

    tests: int
    settled: int
    unsettled: int


class WindowReader:
    """Asks about one window.

    Args:
        connection: A connection to the store; gets temporary tables.
        window: Which runs, and which variants.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, window: Window) -> None:
        self._connection = connection
        self._spelled = spelling(connection, window.aliases)
        select_window(connection, window)
        pairs = variant_text(window.variant).split(",") if window.variant else []
        self._rows(_CHOSEN, pairs)

    def is_empty(self) -> bool:
        """Tell whether no upload of the window is of the variant asked for."""
        return not self._rows("select 1 from chosen limit 1")

    def runs(self) -> list[RunRow]:
        """Return the runs by project and position; the steps of histories are indexes into it."""
        return [RunRow(*row) for row in self._rows(_RUNS)]

    def histories(self) -> list[tuple[str, str, str, list[int], str]]:
        """Return what became of each test and variant that failed in the window.

        Returns:
            project, test_id, variant, the steps of the runs it was in, and a letter for each: P
            passed, F failed, L both, S only skipped, ? neither; in no order.
        """
        self._rows(_FAILING)
        letters = _LETTERS.__getitem__
        return [
            (project, test_id, variant, steps, "".join(map(letters, met)))
            for project, test_id, variant, steps, met in self._rows(_HISTORIES)
        ]

    def calm(self, settled: int) -> Calm:
        """Count the tests and variants that did not fail; after `histories`.

        Args:
            settled: How many passed runs are enough.
        """
        self._rows(_CALM)
        [(tests, sure, series, doubtful)] = self._rows(_COUNTED, settled)
        if doubtful:  # different runs that share a bit: more than 60 runs in the window
            sure += self._rows(_EXACT, settled)[0][0]
        return Calm(tests, sure, series - sure)

    def speeds(self, *, order: str, slowest: bool, limit: int | None) -> Speeds:
        """Summarise the durations of passed attempts; see `speeds.speeds`."""
        return speeds(self._rows, order=order, slowest=slowest, limit=limit)

    def slower(self, *, factor: float, samples: int) -> tuple[pl.DataFrame, int]:
        """Return the verdicts of tests that may be slower; see `slower.slower_frame`."""
        return slower_frame(
            lambda sql: self._connection.sql(self._spelled(sql)),
            self._rows,
            factor=factor,
            samples=samples,
        )

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        told = self._connection.execute(self._spelled(sql), list(values))
        found: list[tuple[Any, ...]] = told.fetchall()
        return found
