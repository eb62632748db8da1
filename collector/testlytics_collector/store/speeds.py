"""The slowest and the fastest tests of a window.

Only tests that may be among the slowest are looked at exactly. What tests took before, or a few of
them with large sums, give a bound that the slowest should reach. Half of a test's values lie at or
above its median, and a twentieth of all but one at or above its 95th percentile, so that one with
fewer values beyond the bound is out. Where too few tests reach the bound it was none: then all are
looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import ceil
from typing import Any, NamedTuple

from testlytics_collector.store.outcomes import PASSED
from testlytics_collector.store.sample import LEFT_OPEN

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

_MARGIN = 0.95
"""Part of what the slowest took before that they are sure to take again, in all but rare cases."""

_PASSED = f"a.outcome = {PASSED} and a.duration_us is not null"

_TIMED = f"""
create or replace temp table timed as
select a.test_key, c.variant_key, c.step,
       arg_max(a.duration_us, (c.run_attempt, c.upload_key, a.attempt)) as us
from raw.attempts a
join chosen c using (upload_key)
where {_PASSED} and a.test_key in (select test_key from candidates)
group by a.test_key, c.variant_key, c.step
"""  # noqa: S608 - constants

_USUAL = """
select value from (
    select case $1 when 'median' then median_us else p95_us end as value
    from derived.baselines
    where project in (select project from windowed)
      and variant_key in (select variant_key from chosen)
)
order by value desc
limit 1 offset $2
"""

_KNOWN = f"""
    select a.test_key, c.variant_key
    from raw.attempts a
    join chosen c using (upload_key)
    where c.sample % 3 = 0 and {_PASSED}
    group by a.test_key, c.variant_key
"""  # noqa: S608 - constants

_TOLD = """
    select test_key, variant_key, count(*)::integer as samples,
           median(us) / 1e6 as median_s, quantile_cont(us, 0.95) / 1e6 as p95_s,
           -- In whole numbers, so that no order of rows changes a digit.
           (count(*) * sum(us::hugeint * us) - sum(us)::hugeint * sum(us)::hugeint)::double
               / nullif(count(*) * (count(*) - 1), 0) / 1e12 as variance_s2,
           sum(us)::bigint / 1e6 as total_s,
           arg_max(us, step) / 1e6 as newest_s
    from timed
    group by test_key, variant_key
"""

_ROWS = """
select t.project, t.test_id, v.variant, s.samples, s.median_s, s.p95_s, s.variance_s2, s.total_s,
       s.newest_s {more}
from told s
join raw.tests t using (test_key)
join raw.variants v using (variant_key)
order by (case $1 when 'median' then s.median_s when 'p95' then s.p95_s else s.total_s end)
             * case when $2 then -1 else 1 end,
         t.project, t.test_id, v.variant
limit $3
"""

_SUMMARY = f"with told as ({_TOLD}){_ROWS.format(more='')}"

# One statement, for what it costs to plan several: $4 is the bound.
_BEYOND = f"""
with known as materialized ({_KNOWN}),
left_open as materialized ({LEFT_OPEN}),
beyond as materialized (
    select a.test_key, c.variant_key, count(*) as attempts
    from raw.attempts a
    join chosen c using (upload_key)
    where a.duration_us >= $4
    group by a.test_key, c.variant_key
),
near as materialized (
    select a.test_key, c.variant_key, c.step, c.bit, c.run_attempt, a.upload_key, a.attempt,
           a.duration_us
    from raw.attempts a
    join chosen c using (upload_key)
    where a.test_key in (select test_key from beyond union all select test_key from left_open)
      and {_PASSED}
),
runs as (
    select test_key, variant_key, bit_count(bit_or(bit)) as runs  -- at least
    from near
    group by test_key, variant_key
),
possible as (
    select b.test_key, b.variant_key
    from beyond b
    join runs r on r.test_key = b.test_key and r.variant_key = b.variant_key
    where b.attempts >= case $1 when 'median' then r.runs / 2 else (r.runs - 1) / 20 end
),
timed as (
    select n.test_key, n.variant_key, n.step,
           arg_max(n.duration_us, (n.run_attempt, n.upload_key, n.attempt)) as us
    from near n
    semi join possible p on p.test_key = n.test_key and p.variant_key = n.variant_key
    group by n.test_key, n.variant_key, n.step
),
others as (
    select test_key, variant_key from runs where test_key in (select test_key from left_open)
),
told as ({_TOLD})
{
    _ROWS.format(
        more=''',
       (select count(*) from known) + (
           select count(*) from others o
           anti join known k on k.test_key = o.test_key and k.variant_key = o.variant_key
       ) as series'''
    )
}
"""  # noqa: S608 - constants

_TOTALS = f"""
create or replace temp table totals as
select a.test_key, c.variant_key, sum(a.duration_us)::bigint as total
from raw.attempts a
join chosen c using (upload_key)
where {_PASSED}
group by a.test_key, c.variant_key
"""  # noqa: S608 - constants

_LARGEST = """
create or replace temp table candidates as
select distinct test_key from (select test_key from totals order by total desc limit $1)
"""

_LEAST = """
select min(value) from (
    select sum(us) as value from timed
    group by test_key, variant_key
    order by value desc
    limit $1
)
"""

_LARGER = """
create or replace temp table candidates as
select distinct test_key from totals where total >= $1
"""

_ALL = "create or replace temp table candidates as select test_key from raw.tests"

_AMONG = "create or replace temp table candidates as select unnest($1::integer[]) as test_key"

_COUNTED = "select count(*) from (select distinct test_key, variant_key from timed)"

_SERIES = f"""
with known as materialized ({_KNOWN}),
others as (
    select a.test_key, c.variant_key
    from raw.attempts a
    join chosen c using (upload_key)
    where a.test_key in ({LEFT_OPEN}) and {_PASSED}
    group by a.test_key, c.variant_key
)
select (select count(*) from known) + count(*)
from others o
anti join known k on k.test_key = o.test_key and k.variant_key = o.variant_key
"""  # noqa: S608 - constants


class Speeds(NamedTuple):
    """The durations of tests: of passed attempts, the last one of each run.

    Attributes:
        rows: project, test_id, variant, samples, median_s, p95_s (linear interpolation),
            variance_s2 (None with one sample), total_s, newest_s.
        series: How many rows there are without a limit.
    """

    rows: list[dict[str, Any]]
    series: int


def speeds(
    rows: Rows,
    *,
    order: str,
    slowest: bool,
    limit: int | None,
    among: Collection[int] | None = None,
) -> Speeds:
    """Summarise durations. Needs the table `chosen` of `windowed`.

    Args:
        rows: Runs a statement.
        order: `median`, `p95` or `total`.
        slowest: The slowest first, or the fastest first; then by project, test_id, variant.
        limit: At most this many rows; None for all.
        among: Only these tests, by key; None for all.
    """
    if among is not None:
        rows(_AMONG, list(among))
        rows(_TIMED)
        [(series,)] = rows(_COUNTED)
        return Speeds(_named(rows(_SUMMARY, order, slowest, limit)), series)
    told = _by_usual(rows, order, limit) if slowest and limit and order != "total" else None
    if told is not None:
        return told
    if slowest and limit and order == "total":
        _choose_by_total(rows, limit)
    else:
        rows(_ALL)
    rows(_TIMED)
    [(series,)] = rows(_SERIES)
    return Speeds(_named(rows(_SUMMARY, order, slowest, limit)), series)


def _named(found: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(_NAMES, row, strict=False)) for row in found]


def _by_usual(rows: Rows, order: str, limit: int) -> Speeds | None:
    """Find the slowest by what they took before; None where that does not tell."""
    usual = rows(_USUAL, order, limit - 1)
    if not usual:
        return None
    bound = ceil(usual[0][0] * _MARGIN)
    found = rows(_BEYOND, order, True, limit, bound)
    if len(found) < limit or found[-1][_NAMES.index(f"{order}_s")] <= bound / 1e6:
        return None
    return Speeds(_named(found), found[0][-1])


def _choose_by_total(rows: Rows, limit: int) -> None:
    """Keep the tests that may be among the largest by the sums of all their attempts."""
    rows(_TOTALS)
    rows(_LARGEST, limit * _GUESSES)
    rows(_TIMED)
    [(least,)] = rows(_LEAST, limit)
    rows(_LARGER, least or 0)
