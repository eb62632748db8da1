"""Answers about a window of runs, without looking at more rows than they need.

What is asked of tests that failed is asked only of those; the others are counted.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_collector.records import variant_text
from testlytics_collector.store.aliases import spelling
from testlytics_collector.store.calm import Calm, calm
from testlytics_collector.store.outcomes import BAD, GOOD
from testlytics_collector.store.reader import Window, select_window
from testlytics_collector.store.sample import SAMPLED
from testlytics_collector.store.slower import slower_frame
from testlytics_collector.store.speeds import Speeds, speeds

if TYPE_CHECKING:
    import duckdb
    import polars as pl


_COLUMNS = 'project, run_id, position, started_at, "commit", sources, branch, complete, attempts'

_CHOSEN = f"""
create or replace temp table chosen as
select u.upload_key, u.run_key, u.variant_key, u.run_attempt, w.step, w.sample,
       (1::bigint << (w.step % 60)::integer) as bit  -- counts runs fast, and never too many
from raw.uploads u
join raw.runs r using (run_key)
join ({SAMPLED}) w using (project, run_id)
join raw.variants v using (variant_key)
where list_has_all(string_split(v.variant, ','), $1::varchar[])
order by u.upload_key
"""  # noqa: S608 - constants

_RUNS = """
select project, run_id, position, started_at::varchar, "commit", sources, branch, complete, attempts
from windowed
order by project, position
"""

_FAILING = """
create or replace temp table failing as
select distinct e.test_key, e.variant_key
from derived.events e
semi join chosen c on c.run_key = e.run_key and c.variant_key = e.variant_key
"""

# A hexadecimal digit for each run, so that what was met in it adds up digit by digit.
_HISTORIES = f"""
with seen as (
    select a.test_key, c.variant_key, a.outcome, bitstring_agg(c.step, 0, {{last}}) as steps
    from raw.attempts a
    join chosen c using (upload_key)
    where a.test_key in (select test_key from failing)
    group by a.test_key, c.variant_key, a.outcome
)
select t.project, t.test_id, v.variant, s.steps::varchar,
       case when s.outcome in {GOOD} then 1 when s.outcome in {BAD} then 2
            when s.outcome = 'skipped'::raw.outcome then 4 else 8 end as met
from seen s
semi join failing f on f.test_key = s.test_key and f.variant_key = s.variant_key
join raw.tests t on t.test_key = s.test_key
join raw.variants v on v.variant_key = s.variant_key
"""  # noqa: S608 - constants

_ABSENT = "."
_LETTERS = {ord("0"): _ABSENT} | {
    ord(f"{met:x}"): (
        "L" if met & 3 == 3 else "F" if met & 2 else "P" if met & 1 else "S" if met & 4 else "?"
    )
    for met in range(1, 16)
}
"""What was met of a test in one run, as a letter: 1 a pass, 2 a failure, 4 a skip, 8 all else."""

_MET = bytes(sign != ord(_ABSENT) for sign in range(256))


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


class WindowReader:
    """Asks about one window.

    Args:
        connection: A connection to the store; gets temporary tables.
        window: Which runs, and which variants.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, window: Window) -> None:
        self._connection = connection
        self._spelled = spelling(connection, window.aliases)
        select_window(connection, window, _COLUMNS)
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
        [(runs,)] = self._rows("select count(*) from windowed")
        met: dict[tuple[str, str, str], int] = {}
        for project, test_id, variant, steps, what in self._rows(
            _HISTORIES.format(last=max(runs - 1, 0))
        ):
            series = project, test_id, variant
            met[series] = met.get(series, 0) | int(steps, 16) * what
        told = ((series, f"{sum_:0{runs}x}".translate(_LETTERS)) for series, sum_ in met.items())
        return [
            (
                *series,
                list(compress(range(runs), letters.encode().translate(_MET))),
                letters.replace(_ABSENT, ""),
            )
            for series, letters in told
        ]

    def calm(self, settled: int) -> Calm:
        """Count the tests and variants that did not fail; after `histories`.

        Args:
            settled: How many passed runs are enough.
        """
        return calm(self._rows, settled)

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
