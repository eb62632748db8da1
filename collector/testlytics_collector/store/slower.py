"""The verdicts of tests that may have become slower, and of no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb
    import polars as pl

    Rows = Callable[..., list[tuple[Any, ...]]]

_LOOKED_BACK = 100
"""How many runs a screen can stand for: a baseline looks back no further."""

_NEWEST = """
create or replace temp table newest as
select a.test_key, c.variant_key, max(c.step) as step, count(*) as attempts,
       bit_count(bit_or(c.bit)) as runs
from raw.attempts a
join chosen c using (upload_key)
where a.outcome = 'passed'::raw.outcome and a.duration_us is not null
group by a.test_key, c.variant_key
having runs > $1
"""

# What a screen over attempts cannot tell exactly (several attempts of one run, more runs than a
# baseline looks back) is let through.
_BEYOND = """
create or replace temp table candidates as
select a.test_key, c.variant_key
from raw.attempts a
join chosen c using (upload_key)
join newest n on n.test_key = a.test_key and n.variant_key = c.variant_key
where a.outcome = 'passed'::raw.outcome and a.duration_us is not null
group by a.test_key, c.variant_key
having any_value(n.attempts) > any_value(n.runs)
    or any_value(n.attempts) > $2
    or max(a.duration_us) filter (where c.step = n.step)
       > $1 * median(a.duration_us) filter (where c.step < n.step)
"""

_VERDICTS = """
with seen as (
    select a.test_key, c.variant_key, c.step,
           count_if(a.outcome in ('passed', 'xpassed', 'xfailed'))::integer as passes,
           count_if(a.outcome in ('failed', 'errored', 'crashed'))::integer as failures,
           count_if(a.outcome = 'skipped')::integer as skips,
           arg_max(a.duration_us, (c.run_attempt, c.upload_key, a.attempt))
               filter (where a.outcome = 'passed') / 1e6 as duration_s
    from raw.attempts a
    join chosen c using (upload_key)
    where (a.test_key, c.variant_key) in (select (test_key, variant_key) from candidates)
    group by all
),
told as (
    select row_number() over (order by project, position) - 1 as step, * from windowed
)
select t.project, t.test_id, v.variant, r.run_id, r.position, r."commit", r.sources,
       case when s.passes > 0 and s.failures > 0 then 'flaky' when s.failures > 0 then 'failed'
            when s.passes > 0 then 'passed' when s.skips > 0 then 'skipped' end as verdict,
       s.passes, s.failures, s.duration_s
from seen s
join told r using (step)
join raw.tests t using (test_key)
join raw.variants v using (variant_key)
"""


def slower_frame(
    relation: Callable[[str], duckdb.DuckDBPyRelation], rows: Rows, *, factor: float, samples: int
) -> tuple[pl.DataFrame, int]:
    """Return the verdicts of tests whose newest duration is beyond what was usual.

    Needs the tables `chosen` and `windowed`.

    Args:
        relation: Makes a relation of a query on the store.
        rows: Runs a statement on it.
        factor: Beyond the median of the durations before, times this.
        samples: How many durations before the newest it takes at least.

    Returns:
        The columns of the analytics' input, all runs of each such test and variant, in no order;
        and how many tests and variants have durations enough.
    """
    import polars as pl

    rows(_NEWEST, samples)
    rows(_BEYOND, factor, _LOOKED_BACK + 1)
    [(series,)] = rows("select count(*) from newest")
    return pl.DataFrame(relation(_VERDICTS)), series
