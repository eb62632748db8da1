"""The tests of one run that took longer than in the runs before it.

First all values are only counted: where less than half of them lie below what would make the run's
duration too long, their median cannot either. Only of the few tests that are left the values
themselves are read. Both look at the facts, so that the answer is exact however old anything
stored beside them is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from testlytics_collector.store.outcomes import PASSED

Rows = Callable[..., list[tuple[Any, ...]]]

_PASSED = f"a.outcome = {PASSED} and a.duration_us is not null"

_FACTOR_TESTS = 512
"""A run's factor is taken from so many of its tests …"""

_LEAST_FACTOR_TESTS = 10
"""… and from no fewer than these …"""

_TRUSTED_US = 100_000
"""… which take so long, if there are enough of them: shorter ones are mostly ticks."""

_EARLIER = """
create or replace temp table earlier as
with placed as (select run_id, position from runs where project = $1),
newest as (
    select run_id, position
    from placed
    where position < (select position from placed where run_id = $2)
    order by position desc
    limit $3
)
select u.upload_key, u.variant_key,
       row_number() over (order by n.position desc, u.run_attempt desc, u.upload_key desc) as place
from newest n
join raw.runs r on r.project = $1 and r.run_id = n.run_id
join raw.uploads u on u.run_key = r.run_key
"""

_LEGS = """
select v.variant_key, v.variant, list(u.upload_key)
from raw.runs r
join raw.uploads u using (run_key)
join raw.variants v using (variant_key)
where r.project = $1 and r.run_id = $2
group by v.variant_key, v.variant
order by v.variant
"""

_RAN = f"""
create or replace temp table ran as
select a.test_key,
       arg_max(a.duration_us, (u.run_attempt, u.upload_key, a.attempt)) as us
from raw.attempts a
join raw.uploads u using (upload_key)
where a.upload_key in (select unnest($1::integer[])) and {_PASSED}
group by a.test_key
"""  # noqa: S608 - constants

# Chosen by what they took, not by key: a store made anew numbers its tests differently.
_SAMPLED = """
create or replace temp table sampled as
select test_key, us
from ran
where us >= case when (select count_if(us >= $2) from ran) >= $1 then $2 else 1 end
qualify rank() over (order by hash(us), us) <= $1
"""

_FACTOR = f"""
with usual as (
    select a.test_key, quantile_cont(a.duration_us, 0.5) as us
    from raw.attempts a
    join sampled s using (test_key)
    where a.upload_key between $1 and $2 and {_PASSED} {{among}}
    group by a.test_key
    having us > 0
)
select count(*), median(s.us / u.us)
from sampled s
join usual u using (test_key)
"""  # noqa: S608 - constants

# A median below `edge` is one for which the run took too long: (duration - margin) / ratio, and a
# microsecond more for what rounding does.
_TAKEN = """
create or replace temp table taken as
select test_key, us, ceil((us / $3 - $2) / $1)::bigint + 1 as edge, ceil(us / $3)::bigint as steady
from ran
where us / $3 > $2
"""

_SPAN = """
select min(upload_key), max(upload_key), count(*) = max(upload_key) - min(upload_key) + 1
from earlier
where variant_key = $1
"""

_SUSPECTS = f"""
create or replace temp table suspects as
select a.test_key
from raw.attempts a
join taken k using (test_key)
where a.upload_key between $1 and $2 and {_PASSED} {{among}}
group by a.test_key
having count_if(a.duration_us < k.edge) * 2 >= count(*)
   and count_if(a.duration_us >= k.steady) <= {{beyond}} * count(*)
"""  # noqa: S608 - constants

_AMONG = "and a.upload_key in (select upload_key from earlier where variant_key = $3)"

_VALUES = f"""
with told as (
    select a.test_key,
           list(a.duration_us order by e.place * 4294967296 - a.attempt) as earlier_us
    from raw.attempts a
    join earlier e using (upload_key)
    where e.variant_key = $1 and a.test_key in (select test_key from suspects) and {_PASSED}
    group by a.test_key
)
select t.test_id, k.us, b.earlier_us
from told b
join taken k using (test_key)
join raw.tests t using (test_key)
order by t.test_id
"""  # noqa: S608 - constants


_DIRECT_BITS = 16
"""Where test keys span less than 2 to the power of this, counts are kept by key without hashing:
a third less work. DuckDB does so by itself up to 12 bits."""


class Slower(NamedTuple):
    """A test that took longer in one run than in the runs before it.

    Attributes:
        test_id: The test.
        variant: The variant in canonical form; empty where nothing is known.
        duration_us: Microseconds that its last attempt that passed in the run took.
        run_factor: How much longer tests took in the run than they usually do, in this variant:
            2 is twice as long. 1 where too few tests say it.
        median_us: Median of `earlier_us`.
        earlier_us: Microseconds that all its attempts that passed in the runs before took, with
            the same variant; those of the newest run first, at least one.
    """

    test_id: str
    variant: str
    duration_us: int
    run_factor: float
    median_us: float
    earlier_us: list[int]


class Screen(NamedTuple):
    """What makes a test too slow to be passed over.

    Attributes:
        ratio: Its duration, the run factor taken out, is above the median of those before times
            this (above 0) …
        margin_s: … plus this, in seconds (from 0) …
        beyond: … and at most this share of those before are as long.
        runs: How many runs of the project before the one asked for are looked at, by position.
    """

    ratio: float = 1.2
    margin_s: float = 0.005
    beyond: float = 0.02
    runs: int = 100


def slower_than_before(rows: Rows, project: str, run_id: str, screen: Screen) -> list[Slower]:
    """Find the tests of a run that took longer than usual.

    The run factor is the median, over a sample of the run's tests, of what each took as a multiple
    of its median before.

    Args:
        rows: Runs a statement.
        project: The run's project.
        run_id: The run.
        screen: What is looked for.

    Returns:
        By variant and test id. Tests that did not pass in the run, or in none of those before, are
        not in it; nor is anything where the run is not known.
    """
    rows(_EARLIER, [project, run_id, screen.runs])
    found = []
    for key, variant, uploads in rows(_LEGS, [project, run_id]):
        factor = suspects(rows, key, uploads, screen)
        if factor is None:
            continue
        for test_id, taken_us, earlier_us in rows(_VALUES, [key]):
            median_us = _median(earlier_us)
            if taken_us / factor > screen.ratio * median_us + screen.margin_s * 1e6:
                found.append(Slower(test_id, variant, taken_us, factor, median_us, earlier_us))
    return found


def suspects(rows: Rows, variant_key: int, uploads: list[int], screen: Screen) -> float | None:
    """Find the tests of a run and variant that took longer than usual, by counting only.

    Needs the table `earlier`. The tests come into the table `suspects`, those that the run factor
    was taken from into `sampled`.

    Args:
        rows: Runs a statement.
        variant_key: The variant.
        uploads: The run's uploads in that variant.
        screen: What is looked for.

    Returns:
        The run factor; None where there are no earlier runs of the variant.
    """
    [(first, last, every)] = rows(_SPAN, [variant_key])
    if first is None:
        return None
    rows(_RAN, [uploads])
    rows(_SAMPLED, [_FACTOR_TESTS, _TRUSTED_US])
    # A look at each upload costs as much as the counting; mostly all between are meant.
    among, values = ("", []) if every else (_AMONG, [variant_key])
    [(tests, told)] = rows(_FACTOR.format(among=among), [first, last, *values])
    factor = float(told) if tests >= _LEAST_FACTOR_TESTS else 1.0
    rows(_TAKEN, [screen.ratio, screen.margin_s * 1e6, factor])
    # For this one statement: elsewhere it takes more memory than it saves time.
    rows(f"set perfect_ht_threshold = {_DIRECT_BITS}")
    rows(_SUSPECTS.format(among=among, beyond=float(screen.beyond)), [first, last, *values])
    rows("reset perfect_ht_threshold")
    return factor


def _median(values: list[int]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
