"""The slowest and the fastest tests of a window.

Only tests that may be among those asked for are looked at exactly. A few with large means give a
bound that the slowest reach; half of a test's values lie at or above its median, and a twentieth of
all but one at or above its 95th percentile, so that one with fewer values beyond the bound is out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Rows = Callable[..., list[tuple[Any, ...]]]

_NAMES = (
    "project",
    "test_id",
    "variant",
    "samples",
    "median_s",
    "p95_s",
    "variance_s2",
    "total_s",
    "newest_s",
)
_GUESSES = 4
"""How many times as many tests as asked for are looked at to find a bound for the others."""

_TIMED = """
create or replace temp table timed as
select a.test_key, c.variant_key, c.step,
       arg_max(a.duration_us, (c.run_attempt, c.upload_key, a.attempt)) as us
from raw.attempts a
join chosen c using (upload_key)
where a.outcome = 'passed'::raw.outcome and a.duration_us is not null
  and a.test_key in (select test_key from candidates)
group by a.test_key, c.variant_key, c.step
"""

_BOUNDS = """
create or replace temp table bounds as
select a.test_key, c.variant_key, sum(a.duration_us)::double as total,
       bit_count(bit_or(c.bit)) as runs
from raw.attempts a
join chosen c using (upload_key)
where a.outcome = 'passed'::raw.outcome and a.duration_us is not null
group by a.test_key, c.variant_key
"""

_LIKELY = """
create or replace temp table candidates as
select distinct test_key from (
    select test_key from bounds
    order by case $1 when 'total' then total else total / runs end desc limit $2
)
"""

_CUTOFF = """
select min(value) from (
    select case $1 when 'median' then median(us) when 'p95' then quantile_cont(us, 0.95)
                   else sum(us)::double end as value
    from timed
    group by test_key, variant_key
    order by value desc
    limit $2
)
"""

_POSSIBLE = """
create or replace temp table candidates as
select distinct test_key from (
    select a.test_key
    from raw.attempts a
    join chosen c using (upload_key)
    join bounds b on b.test_key = a.test_key and b.variant_key = c.variant_key
    where a.outcome = 'passed'::raw.outcome and a.duration_us >= $2 and $1 <> 'total'
    group by a.test_key, c.variant_key
    having count(*) >= any_value(b.runs) / 2 and $1 = 'median'
        or count(*) >= (any_value(b.runs) - 1) / 20 and $1 = 'p95'
    union all
    select test_key from bounds where total >= $2 and $1 = 'total'
)
"""

_ALL = "create or replace temp table candidates as select distinct test_key from bounds"

_SUMMARY = """
select t.project, t.test_id, v.variant, count(*)::integer as samples,
       median(us) / 1e6 as median_s, quantile_cont(us, 0.95) / 1e6 as p95_s,
       -- In whole numbers, so that no order of rows changes a digit.
       (count(*) * sum(us::hugeint * us) - sum(us)::hugeint * sum(us)::hugeint)::double
           / nullif(count(*) * (count(*) - 1), 0) / 1e12 as variance_s2,
       sum(us)::bigint / 1e6 as total_s,
       arg_max(us, step) / 1e6 as newest_s
from timed
join raw.tests t using (test_key)
join raw.variants v using (variant_key)
group by t.project, t.test_id, v.variant
order by (case $1 when 'median' then median_s when 'p95' then p95_s else total_s end)
             * case when $2 then -1 else 1 end,
         t.project, t.test_id, v.variant
limit $3
"""


class Speeds(NamedTuple):
    """The durations of tests: of passed attempts, the last one of each run.

    Attributes:
        rows: project, test_id, variant, samples, median_s, p95_s (linear interpolation),
            variance_s2 (None with one sample), total_s, newest_s.
        series: How many rows there are without a limit.
    """

    rows: list[dict[str, Any]]
    series: int


def speeds(rows: Rows, *, order: str, slowest: bool, limit: int | None) -> Speeds:
    """Summarise durations. Needs the table `chosen` of `windowed`.

    Args:
        rows: Runs a statement.
        order: `median`, `p95` or `total`.
        slowest: The slowest first, or the fastest first; then by project, test_id, variant.
        limit: At most this many rows; None for all.
    """
    rows(_BOUNDS)
    if limit is None or not slowest:
        rows(_ALL)
    else:
        _choose(rows, order, limit)
    rows(_TIMED)
    found = rows(_SUMMARY, order, slowest, limit)
    [(series,)] = rows("select count(*) from bounds")
    return Speeds([dict(zip(_NAMES, row, strict=True)) for row in found], series)


def _choose(rows: Rows, order: str, limit: int) -> None:
    """Keep only the tests that may be among the slowest."""
    rows(_LIKELY, order, limit * _GUESSES)
    rows(_TIMED)
    [(cutoff,)] = rows(_CUTOFF, order, limit)
    rows(_POSSIBLE, order, cutoff if cutoff is not None else 0)
