"""Two runs beside each other: which tests failed, came and went, and which took longer.

Only the attempts of the two runs are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from testlytics_collector.store.outcomes import BAD, GOOD, PASSED

Rows = Callable[..., list[tuple[Any, ...]]]

KINDS = ("new failures", "fixed", "still failing", "added", "removed")
"""How the outcome of a test can differ between two runs; an added test that fails is a new
failure too."""

_BESIDE = f"""
create or replace temp table beside as
with told as (
    select u.run_key = $2 as is_now, a.test_key, u.variant_key,
           count_if(a.outcome in {GOOD}) as passes, count_if(a.outcome in {BAD}) as failures,
           count_if(a.outcome = 'skipped'::raw.outcome) as skips,
           arg_max(a.duration_us, (u.run_attempt, u.upload_key, a.attempt))
               filter (where a.outcome = {PASSED}) as us
    from raw.attempts a
    join raw.uploads u using (upload_key)
    where a.upload_key in (select upload_key from raw.uploads where run_key in ($1, $2))
    group by all
),
verdict as (
    select *, case when passes > 0 and failures > 0 then 'flaky' when failures > 0 then 'failed'
                   when passes > 0 then 'passed' when skips > 0 then 'skipped'
                   else 'unknown' end as verdict
    from told
)
select test_key, variant_key, b.verdict as before, n.verdict as now, b.us as before_us,
       n.us as now_us
from (select * from verdict where not is_now) b
full join (select * from verdict where is_now) n using (test_key, variant_key)
"""  # noqa: S608 - constants

_IS = {
    "new failures": "now = 'failed' and before is distinct from 'failed'",
    "fixed": "before = 'failed' and now in ('passed', 'flaky')",
    "still failing": "before = 'failed' and now = 'failed'",
    "added": "before is null",
    "removed": "now is null",
}

_LISTED = """
select t.test_id, v.variant, b.before, b.now, b.before_us / 1e6, b.now_us / 1e6
from beside b
join raw.tests t using (test_key)
join raw.variants v using (variant_key)
where {which}
order by {order}t.test_id, v.variant
limit $1
"""

# Short tests are mostly ticks of a clock.
_FACTOR = """
select median(now_us / before_us) from beside where before_us >= 10000 and now_us >= 10000
"""

_CHANGED = """before_us > 0 and now_us > 0
  and abs(now_us - before_us * {factor!r}) >= {floor_us}
  and {sign} * ln(now_us / (before_us * {factor!r})) >= ln({ratio!r})"""


class Beside(NamedTuple):
    """One test in two runs.

    Attributes:
        test_id: The test.
        variant: The variant in canonical form.
        before: Its verdict in the first run: passed, failed, flaky, skipped or unknown; None where
            it was not in it …
        now: … and in the second.
        before_s: Seconds of its last attempt that passed in the first run; None without …
        now_s: … and in the second.
    """

    test_id: str
    variant: str
    before: str | None
    now: str | None
    before_s: float | None
    now_s: float | None


class Several(NamedTuple):
    """Some tests of a list.

    Attributes:
        rows: The tests.
        total: How many the whole list has.
    """

    rows: list[Beside]
    total: int


class TwoRuns:
    """Compares two runs of one project.

    Args:
        rows: Runs a statement; gets a temporary table.
        project: The project.
        before: The run to compare with.
        now: The run that is looked at. Both must be there.
    """

    def __init__(self, rows: Rows, project: str, before: str, now: str) -> None:
        self._rows = rows
        keys: dict[str, int] = dict(
            rows(
                "select run_id, run_key from raw.runs where project = $1 and run_id in ($2, $3)",
                [project, before, now],
            )
        )
        rows(_BESIDE, [keys[before], keys[now]])

    def outcomes(self, kind: str, limit: int) -> Several:
        """Return the tests whose outcome differs in a way; see `KINDS`."""
        return self._listed(_IS[kind], "", limit)

    def machine(self) -> float | None:
        """Return how much longer the middle one of all tests took, as a ratio; None without any."""
        [(factor,)] = self._rows(_FACTOR)
        return None if factor is None else float(factor)

    def durations(
        self, *, slower: bool, factor: float, ratio: float, floor_s: float, limit: int
    ) -> Several:
        """Return the tests that took longer, or less time, those with most seconds first.

        Args:
            slower: Which of both.
            factor: How much slower the machine was: what is expected of each test.
            ratio: Beyond that by at least this, above 1 …
            floor_s: … and by so many seconds.
            limit: At most so many.
        """
        which = _CHANGED.format(
            factor=float(factor),
            ratio=float(ratio),
            floor_us=round(floor_s * 1e6),
            sign=1 if slower else -1,
        )
        order = f"abs(b.now_us - b.before_us * {float(factor)!r}) desc, "
        return self._listed(which, order, limit)

    def _listed(self, which: str, order: str, limit: int) -> Several:
        [(total,)] = self._rows(f"select count(*) from beside where {which}")  # noqa: S608
        found = self._rows(_LISTED.format(which=which, order=order), [limit])
        return Several([Beside(*row) for row in found], total)
