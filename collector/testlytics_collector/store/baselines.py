"""What a test's duration usually is: kept for the last runs of each project.

A guess, from which the slowest tests are found without a look at all of them. Runs count in the
order of their keys, so that what was taken stays until enough new ones have come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from testlytics_collector.store.outcomes import PASSED

Rows = Callable[..., list[tuple[Any, ...]]]

BASELINE_RUNS = 100
"""How many runs a baseline looks back."""

BASELINE_EVERY = 25
"""After how many runs of a project its baselines are taken anew."""

_BASELINE_TESTS = 8_000

TABLES = """
-- Durations of attempts that passed, over the last runs of a project up to its mark. A guess: what
-- is told of a test is looked at exactly.
create table derived.baselines (
    project varchar not null,
    test_key integer not null,
    variant_key integer not null,
    samples integer not null,
    median_us double not null,
    p95_us double not null
);

-- Up to which run the baselines of a project go.
create table derived.marks (
    project varchar not null,
    run_key integer not null
);
"""


_MARKS = """
select project, max(run_key)
from (
    select project, run_key, row_number() over w as n, count(*) over (partition by project) as runs
    from raw.runs
    window w as (partition by project order by run_key)
)
where n <= (runs - 1) // $1 * $1
group by project
"""

_MARK_OF = """
with mine as (select project from raw.runs where run_key = $1),
counted as (
    select run_key, row_number() over (order by run_key) as n, count(*) over () as runs
    from raw.runs where project = (select project from mine)
)
select (select project from mine),
       (select run_key from derived.marks where project = (select project from mine)),
       max(run_key) filter (where n <= (runs - 1) // $2 * $2)
from counted
"""

_BASELINES = f"""
insert into derived.baselines
with chosen as (
    select run_key from raw.runs
    where project = $1 and run_key <= $2
    order by run_key desc
    limit $3
)
select $1, test_key, variant_key, samples, points[1], points[2]
from (
    select a.test_key, u.variant_key, count(*) as samples,
           -- Both of one sorting, which is most of the work.
           quantile_cont(a.duration_us, [0.5, 0.95]) as points
    from raw.attempts a
    join raw.uploads u using (upload_key)
    where u.run_key in (select run_key from chosen)
      and a.test_key between $4 and $5
      and a.outcome = {PASSED} and a.duration_us is not null
    group by a.test_key, u.variant_key
)
order by test_key, variant_key
"""  # noqa: S608 - constants


def refresh_all(rows: Rows) -> None:
    """Take the baselines of all projects anew."""
    for table in ("baselines", "marks"):
        rows(f"delete from derived.{table}")  # noqa: S608 - constants
    for project, mark in rows(_MARKS, [BASELINE_EVERY]):
        _take(rows, project, mark)


def refresh(rows: Rows, run_key: int) -> None:
    """Take a project's baselines anew where their last run, or facts before it, have changed."""
    [(project, known, mark)] = rows(_MARK_OF, [run_key, BASELINE_EVERY])
    if mark is None:
        return
    if known != mark or (run_key <= mark and _is_in_window(rows, project, run_key, mark)):
        _take(rows, project, mark)


def refresh_for_new(rows: Rows, run_key: int, project: str) -> None:
    """The same for a run that is new: the last of its project, so that only the mark may move."""
    [(runs,)] = rows("select count(*) from raw.runs where project = $1", [project])
    if runs > 1 and (runs - 1) % BASELINE_EVERY == 0:
        refresh(rows, run_key)


def _is_in_window(rows: Rows, project: str, run_key: int, mark: int) -> bool:
    return bool(
        rows(
            """select 1 from (
                   select run_key from raw.runs where project = $1 and run_key <= $2
                   order by run_key desc limit $3
               ) where run_key = $4""",
            [project, mark, BASELINE_RUNS, run_key],
        )
    )


def _take(rows: Rows, project: str, mark: int) -> None:
    rows("delete from derived.baselines where project = $1", [project])
    rows("delete from derived.marks where project = $1", [project])
    rows("insert into derived.marks values ($1, $2)", [project, mark])
    # Medians hold all values in memory; so they are taken of so many tests at a time.
    [(last,)] = rows("select coalesce(max(test_key), 0) from raw.tests")
    for first in range(1, last + 1, _BASELINE_TESTS):
        span = [first, first + _BASELINE_TESTS - 1]
        rows(_BASELINES, [project, mark, BASELINE_RUNS, *span])


def retake(rows: Rows, projects: Sequence[str]) -> None:
    """Take the baselines of projects anew, after runs of theirs were removed."""
    marks: dict[str, int] = dict(rows(_MARKS, [BASELINE_EVERY]))
    for project in projects:
        rows("delete from derived.baselines where project = $1", [project])
        rows("delete from derived.marks where project = $1", [project])
        if project in marks:
            _take(rows, project, marks[project])
