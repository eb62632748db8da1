"""Tests that stopped being run, and tests that began to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from testlytics_collector.records import variant_text
from testlytics_collector.store.reader import Window, select_window

if TYPE_CHECKING:
    import duckdb

LEAST_RUNS = 3
"""In how many runs a test must have been before it can be missed …"""

ABSENT_RUNS = 3
"""… and how many of the newest runs it must be absent from."""

# What was seen before the window began did not appear in it.
_MET = """
create or replace temp table met as
with aged as (
    select project, run_id, started_at,
           row_number() over (partition by project order by position desc) as age
    from windowed
),
seen as (
    select g.project, a.test_key, count(distinct g.age) as runs, max(g.age) as first,
           min(g.age) as last
    from raw.attempts a
    join raw.uploads u using (upload_key)
    join raw.variants v using (variant_key)
    join raw.runs r using (run_key)
    join aged g on g.project = r.project and g.run_id = r.run_id
    where list_has_all(string_split(v.variant, ','), $1::varchar[])
    group by g.project, a.test_key
),
begun as (
    select project, epoch_us(min(started_at)) as since_us from aged group by project
),
known as (
    select test_key, min(first_us) as first_us from derived.state group by test_key
)
select s.project, t.test_id, s.first, s.last, s.runs >= $2 and s.last > $3 as gone,
       k.first_us >= b.since_us as fresh
from seen s
join raw.tests t using (test_key)
join known k using (test_key)
join begun b on b.project = s.project
"""

_GONE = "select project, test_id, first, last from met where gone order by project, test_id"

_COME = """
select m.project, m.test_id, m.first, m.last
from met m
join (select project, max(last) as last from met where gone group by project) g using (project)
where m.fresh and m.first < g.last
order by m.project, m.test_id
"""


class Changed(NamedTuple):
    """What came and went in a window.

    Attributes:
        runs: How many runs the window holds.
        gone: project, test_id, first, last of tests that are not run any more, by project and
            test_id; first and last count runs of the project backwards, the newest is 1.
        come: The same of tests that were first seen after one of the others was last seen.
    """

    runs: int
    gone: list[tuple[str, str, int, int]]
    come: list[tuple[str, str, int, int]]


def changed(connection: duckdb.DuckDBPyConnection, window: Window) -> Changed:
    """Find the tests that came and went in a window; aliases are not followed."""
    select_window(connection, window)
    pairs = variant_text(window.variant).split(",") if window.variant else []
    [(runs,)] = connection.execute("select count(*) from windowed").fetchall()
    connection.execute(_MET, [pairs, LEAST_RUNS, ABSENT_RUNS]).fetchall()
    gone = connection.execute(_GONE).fetchall()
    return Changed(runs, gone, connection.execute(_COME).fetchall())
