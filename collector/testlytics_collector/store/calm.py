"""Counting the tests of a window that did not fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from testlytics_collector.store.outcomes import GOOD
from testlytics_collector.store.sample import LEFT_OPEN

Rows = Callable[..., list[tuple[Any, ...]]]

_CALM = f"""
create or replace temp table calm as
with known as materialized (
    select a.test_key, c.variant_key
    from raw.attempts a
    join chosen c using (upload_key)
    where c.sample is not null and a.outcome in {GOOD}
    group by a.test_key, c.variant_key
    having bit_count(bit_or(1::bigint << c.sample::integer)) >= $1
),
others as (
    select a.test_key, c.variant_key,
           bit_count(bit_or(c.bit) filter (where a.outcome in {GOOD})) as runs,
           count(*) filter (where a.outcome in {GOOD} and c.bit <> 0) as passes
    from raw.attempts a
    join chosen c using (upload_key)
    where a.test_key in ({LEFT_OPEN})
    group by a.test_key, c.variant_key
)
select test_key, variant_key, $1 as runs, $1 as passes from known
union all
select o.test_key, o.variant_key, o.runs, o.passes
from others o
anti join known k on k.test_key = o.test_key and k.variant_key = o.variant_key
"""  # noqa: S608 - constants

_COUNTED = """
select
    (select count(distinct test_key) from calm),
    count(*) filter (where c.runs >= $1 and f.test_key is null),
    count(*) filter (where f.test_key is null),
    count(*) filter (where c.runs < $1 and c.passes >= $1 and f.test_key is null)
from calm c
left join (select distinct test_key, variant_key from failing) f
    on f.test_key = c.test_key and f.variant_key = c.variant_key
"""

_EXACT = f"""
select count(*) from (
    select a.test_key, c.variant_key
    from raw.attempts a
    join chosen c using (upload_key)
    where a.outcome in {GOOD} and c.bit <> 0
      and (a.test_key, c.variant_key) in (
          select (test_key, variant_key) from calm where runs < $1 and passes >= $1
      )
      and (a.test_key, c.variant_key) not in (select (test_key, variant_key) from failing)
    group by a.test_key, c.variant_key
    having count(distinct c.step) >= $1
)
"""  # noqa: S608 - constants


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


def calm(rows: Rows, settled: int) -> Calm:
    """Count the tests and variants that did not fail. Needs the tables `chosen` and `failing`.

    In `chosen` the bit of a run that does not count is 0.

    Args:
        rows: Runs a statement.
        settled: How many passed runs are enough.
    """
    rows(_CALM, settled)
    [(tests, sure, series, doubtful)] = rows(_COUNTED, settled)
    if doubtful:  # different runs that share a bit: more than 60 runs in the window
        sure += rows(_EXACT, settled)[0][0]
    return Calm(tests, sure, series - sure)
