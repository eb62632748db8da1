"""How a suite grew over a window: when tests came and went, and how many were tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from testlytics_collector.store.outcomes import BAD

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from testlytics_collector.store.durations import Durations, Execute

_STAYS = """
select a.test_key, min(c.step)::integer as first, max(c.step)::integer as last
from raw.attempts a
join chosen c using (upload_key)
join raw.variants v using (variant_key)
where v.variant = $1 and a.outcome <> 'skipped'::raw.outcome
group by a.test_key
"""

# What was seen before the window began, in any variant or branch, did not appear in it.
_FRESH = """
with begun as (
    select project, epoch_us(min(started_at)) as since_us from windowed group by project
)
select s.test_key
from derived.state s
join raw.tests t using (test_key)
join begun b using (project)
group by s.test_key, b.since_us
having min(s.first_us) >= b.since_us
order by s.test_key
"""

_TRIES = f"""
select c.step::integer, v.variant, count(*)::integer, count_if(c.bad)::integer
from (
    select o.step, o.variant_key, a.test_key,
           count(*) > 1 and count_if(a.outcome in {BAD}) > 0 as bad
    from raw.attempts a
    join chosen o using (upload_key)
    where a.outcome <> 'skipped'::raw.outcome
    group by o.step, o.variant_key, a.test_key
) c
join raw.variants v using (variant_key)
group by c.step, v.variant
order by c.step, v.variant
"""  # noqa: S608 - constants


class Stays(NamedTuple):
    """From when to when the tests of a matrix are in its suite, whatever became of them there.

    Attributes:
        first: Column of the first run in which each test was not only skipped …
        last: … and of the last one; -1 where that was before the first column.
    """

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]


class Tries(NamedTuple):
    """How often the tests of one run and variant were tried.

    Attributes:
        step: The run, as an index of `WindowReader.runs`.
        variant: The variant in canonical form; empty where nothing is known.
        tests: Tests that were not only skipped, above 0.
        retried: Those of them that failed and were tried more than once, in the CI's re-run of a
            job too.
    """

    step: int
    variant: str
    tests: int
    retried: int


def stays(execute: Execute, durations: Durations) -> Stays:
    """Say when the tests of a matrix came and went. Needs the table `chosen`.

    Args:
        execute: Runs a statement on the store.
        durations: The matrix.
    """
    import numpy as np

    told = execute(_STAYS, durations.variant).fetchnumpy()
    order = np.argsort(told["test_key"])
    rows = order[np.searchsorted(told["test_key"][order], durations.tests)]
    return Stays(
        np.searchsorted(durations.steps, told["first"][rows], "left"),
        np.searchsorted(durations.steps, told["last"][rows], "right") - 1,
    )


def fresh_tests(execute: Execute) -> list[int]:
    """Return the keys of tests that the store has first seen in the window, rising."""
    return [key for (key,) in execute(_FRESH).fetchall()]


def tries(execute: Execute) -> list[Tries]:
    """Count the tests of each run and variant, and those that were tried again."""
    return [Tries(*row) for row in execute(_TRIES).fetchall()]
