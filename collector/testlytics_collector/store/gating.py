"""What a gate asks of the run to judge: what became of its tests, and of them before.

Asked of a window whose newest run is the one to judge (see `windowed`): the baseline's runs, then
those of the same change, then the run itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_collector.store.durations import matrix_of
from testlytics_collector.store.outcomes import BAD, GOOD, PASSED
from testlytics_collector.store.screen import Screen, suspects

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import numpy.typing as npt

_JUDGED = """
create or replace temp table judged as
select upload_key, run_key, variant_key, run_attempt
from chosen
where step = (select max(step) from chosen)
"""

# Nearly all tests passed: only the others are told by name.
_LEGS = f"""
with told as (
    select j.variant_key, a.test_key, count_if(a.outcome in {GOOD}) as passes,
           count_if(a.outcome in {BAD}) as failures,
           count_if(a.outcome = 'skipped'::raw.outcome) as skips
    from raw.attempts a
    join judged j using (upload_key)
    group by j.variant_key, a.test_key
)
select v.variant, count(*)::integer,
       count_if(passes > 0 and failures = 0)::integer,
       count_if(failures > 0 and passes = 0)::integer,
       count_if(failures > 0 and passes > 0)::integer,
       count_if(passes = 0 and failures = 0 and skips > 0)::integer
from told
join raw.variants v using (variant_key)
group by v.variant
order by v.variant
"""  # noqa: S608 - constants

_FAILED = f"""
create or replace temp table failed_now as
select a.test_key, j.variant_key, count_if(a.outcome in {GOOD})::integer as passes,
       count_if(a.outcome in {BAD})::integer as failures,
       arg_max(a.message_key, (j.run_attempt, j.upload_key, a.attempt))
           filter (where a.outcome in {BAD}) as message_key
from raw.attempts a
join judged j using (upload_key)
where a.test_key in (
    select test_key from raw.attempts
    where upload_key in (select upload_key from judged) and outcome in {BAD}
)
group by a.test_key, j.variant_key
having failures > 0
"""  # noqa: S608 - constants

_FAILURES = """
select t.test_id, v.variant, f.passes, f.failures, m.type, m.message, m.text, m.place
from failed_now f
join raw.tests t using (test_key)
join raw.variants v using (variant_key)
left join raw.messages m using (message_key)
order by t.test_id, v.variant
"""

_TEXTS = """
select t.test_id, v.variant, c.step::integer, m.type, m.message, m.place
from derived.events e
join failed_now f on f.test_key = e.test_key and f.variant_key = e.variant_key
join (select distinct run_key, variant_key, step from chosen) c
    on c.run_key = e.run_key and c.variant_key = e.variant_key
join raw.tests t on t.test_key = e.test_key
join raw.variants v on v.variant_key = e.variant_key
join raw.messages m on m.message_key = e.message_key
where e.run_key not in (select run_key from judged)
order by all
"""

# Tests that passed or failed in at least two of the newest runs of the baseline, each variant for
# itself, and now are not there or only skipped.
_GONE = f"""
with before as (
    select a.test_key, c.variant_key, count(distinct c.step) as runs
    from raw.attempts a
    join chosen c using (upload_key)
    where c.step in (select unnest($1::integer[]))
      and c.variant_key in (select variant_key from judged)
      and (a.outcome in {GOOD} or a.outcome in {BAD})
    group by a.test_key, c.variant_key
    having runs >= least(2, len($1))
),
now as (
    select a.test_key, j.variant_key, bool_and(a.outcome = 'skipped'::raw.outcome) as skipped,
           arg_max(a.message_key, a.attempt) as message_key
    from raw.attempts a
    join judged j using (upload_key)
    group by a.test_key, j.variant_key
)
select t.test_id, v.variant, n.test_key is not null, m.message
from before b
left join now n on n.test_key = b.test_key and n.variant_key = b.variant_key
join raw.tests t on t.test_key = b.test_key
join raw.variants v on v.variant_key = b.variant_key
left join raw.messages m on m.message_key = n.message_key
where n.test_key is null or n.skipped
order by t.test_id, v.variant
"""  # noqa: S608 - constants


_BEFORE = """
create or replace temp table earlier as
select upload_key, variant_key, upload_key as place from chosen where step < $1
"""

_UPLOADS = """
select variant_key, variant, list(upload_key)
from judged
join raw.variants using (variant_key)
group by variant_key, variant
order by variant
"""

_TIMED = f"""
select a.test_key, c.step::integer as step,
       arg_max(a.duration_us, (c.run_attempt, c.upload_key, a.attempt)) as duration_us
from raw.attempts a
join chosen c using (upload_key)
where c.variant_key = $1 and a.outcome = {PASSED} and a.duration_us is not null
  and a.test_key in (
      select test_key from suspects union select test_key from sampled
  )
group by all
"""  # noqa: S608 - a constant


class Leg(NamedTuple):
    """What became of a run in one variant: tests by verdict, which add up with the unknown ones.

    Attributes:
        variant: The variant in canonical form; empty where nothing is known.
        tests: All of its tests.
        passed: Passed.
        failed: Failed in each attempt.
        flaky: Failed and passed.
        skipped: Only skipped.
    """

    variant: str
    tests: int
    passed: int
    failed: int
    flaky: int
    skipped: int


class FailedNow(NamedTuple):
    """A test that failed in the run to judge.

    Attributes:
        test_id: The test.
        variant: The variant.
        passes: Attempts that passed.
        failures: Attempts that failed, at least one.
        type: Of the newest failure; None where unknown …
        message: … its message …
        text: … all that was said …
        place: … and where.
    """

    test_id: str
    variant: str
    passes: int
    failures: int
    type: str | None
    message: str | None
    text: str | None
    place: str | None


class FailedBefore(NamedTuple):
    """What a test said that failed in an earlier run of the window, and fails now.

    Attributes:
        test_id: The test.
        variant: The variant.
        step: The run, an index of `WindowReader.runs`.
        type: Of its last failure in that run; None where unknown …
        message: … its message …
        place: … and where.
    """

    test_id: str
    variant: str
    step: int
    type: str | None
    message: str | None
    place: str | None


class Gone(NamedTuple):
    """A test that ran before and does not any more.

    Attributes:
        test_id: The test.
        variant: The variant.
        skipped: Whether it is in the run and only skipped; else it is not there at all.
        reason: Why it was skipped; None where unknown.
    """

    test_id: str
    variant: str
    skipped: bool
    reason: str | None


class Timings(NamedTuple):
    """Durations of one variant: of the tests that may be slower, and of a sample of the others.

    Attributes:
        variant: The variant in canonical form; empty where nothing is known.
        tests: Key of each row's test, rising.
        steps: Step of each column's run, rising.
        seconds: Tests by runs, float32; NaN where no attempt of the test passed.
        suspects: Keys of the tests that may be slower.
        run_factor: How much longer tests took in the newest run than they usually do.
    """

    variant: str
    tests: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float32]
    suspects: frozenset[int]
    run_factor: float


class GateReader:
    """Asks about the newest run of a window.

    Args:
        execute: Runs a statement; the tables of `windowed` are there.
    """

    def __init__(self, execute: Callable[..., duckdb.DuckDBPyConnection]) -> None:
        self._execute = execute
        self._rows(_JUDGED)

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._execute(sql, *values).fetchall()
        return found

    def timings(self, start: int, screen: Screen) -> list[Timings]:
        """Return the durations that tell which tests are slower than before, by variant.

        Args:
            start: Step of the change's first run: what lies before it is the baseline.
            screen: What makes a test worth a look; `runs` has no say.

        Returns:
            Nothing of a variant that the baseline does not have.
        """
        self._rows(_BEFORE, start)
        found = []
        for key, variant, uploads in self._rows(_UPLOADS):
            factor = suspects(lambda sql, values=(): self._rows(sql, *values), key, uploads, screen)
            if factor is None:
                continue
            keys = frozenset(key for (key,) in self._rows("select test_key from suspects"))
            told = self._execute(_TIMED, key).fetchnumpy()
            if not len(told["test_key"]):
                continue
            matrix = matrix_of(
                told["test_key"].astype("int64"),
                told["step"].astype("int64"),
                told["duration_us"].astype("float32"),
            )
            found.append(Timings(variant, *matrix, keys, factor))
        return found

    def legs(self) -> list[Leg]:
        """Return the run's variants, in their order."""
        return [Leg(*row) for row in self._rows(_LEGS)]

    def failures(self) -> list[FailedNow]:
        """Return the tests that failed in any attempt, by test id and variant."""
        self._rows(_FAILED)
        return [FailedNow(*row) for row in self._rows(_FAILURES)]

    def texts(self) -> list[FailedBefore]:
        """Return what these said in earlier runs of the window; after `failures`."""
        return [FailedBefore(*row) for row in self._rows(_TEXTS)]

    def gone(self, steps: list[int]) -> list[Gone]:
        """Return the tests that do not run any more, by test id and variant.

        Args:
            steps: Newest runs of the baseline; a test ran before if it did in two of them.
        """
        return [Gone(*row) for row in self._rows(_GONE, steps)]
