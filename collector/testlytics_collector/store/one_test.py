"""Everything that a window knows of one test, or of a few: each attempt's outcome, and its times.

Only rows of these tests are read, and for the machine's share a few others of the newest run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from testlytics_collector.store.outcomes import BAD, GOOD, PASSED

Rows = Callable[..., list[tuple[Any, ...]]]

_FITTING = """
select t.test_key, t.project, t.test_id, family_of(t.test_id)
from raw.tests t
where t.project in (select project from windowed)
  and (ends_with(t.test_id, $1) or ends_with(family_of(t.test_id), $1))
order by t.project, t.test_id
"""

_LIKE = """
select test_id
from raw.tests
where project in (select project from windowed)
order by greatest(
    jaro_winkler_similarity(test_id, $1),
    jaro_winkler_similarity(
        regexp_extract(family_of(test_id), '[^:/]*$'), regexp_extract($1, '[^:/]*$')
    )
) desc, test_id
limit $2
"""

_LAST = "(c.run_attempt, c.upload_key, a.attempt)"

_SEEN = f"""
with told as (
    select a.test_key, c.variant_key, c.step,
           list(a.outcome::varchar order by {_LAST}) as outcomes,
           count_if(a.outcome in {GOOD})::integer as passes,
           count_if(a.outcome in {BAD})::integer as failures,
           count_if(a.outcome = 'skipped'::raw.outcome)::integer as skips,
           arg_max(
               {{'all': a.duration_us, 'setup': a.setup_us, 'teardown': a.teardown_us}}, {_LAST}
           ) filter (where a.outcome = {PASSED}) as times,
           arg_max(a.message_key, {_LAST}) filter (where a.outcome in {BAD}) as message_key
    from raw.attempts a
    join chosen c using (upload_key)
    where a.test_key in (select unnest($1::integer[]))
    group by a.test_key, c.variant_key, c.step
)
select t.project, t.test_id, v.variant, s.step::integer, s.outcomes, s.passes, s.failures, s.skips,
       s.times['all'], s.times['setup'], s.times['teardown'], m.type, m.message, m.place
from told s
join raw.tests t on t.test_key = s.test_key
join raw.variants v on v.variant_key = s.variant_key
left join raw.messages m on m.message_key = s.message_key
order by t.project, t.test_id, v.variant, s.step
"""  # noqa: S608 - constants

_OWNERS = """
select t.project, t.test_id, arg_max(n.value, (n.upload_key, n.attempt))
from raw.notes n
join raw.tests t on t.test_key = n.test_key
where n.kind = 'tag' and n.name = 'owner' and n.value <> ''
  and n.test_key in (select unnest($1::integer[]))
group by t.project, t.test_id
"""

_VARIANT_RUNS = """
select distinct c.step::integer
from chosen c
join raw.variants v using (variant_key)
join (select row_number() over (order by project, position) - 1 as step, project from windowed) w
    using (step)
where v.variant = $1 and w.project = $2
order by 1
"""

# The longest tests of the newest upload: of short ones most is ticks.
_BESIDE = f"""
with newest as (
    select max(c.upload_key) as upload_key
    from chosen c
    join raw.variants v using (variant_key)
    where v.variant = $1 and c.step in (select unnest($2::integer[]))
)
select test_key
from raw.attempts
where upload_key in (select upload_key from newest) and outcome = {PASSED}
  and duration_us > 0 and test_key not in (select unnest($3::integer[]))
group by test_key
order by max(duration_us) desc, test_key
limit $4
"""  # noqa: S608 - constants

_TIMED = f"""
select a.test_key, c.step::integer, arg_max(a.duration_us, {_LAST})
from raw.attempts a
join chosen c using (upload_key)
join raw.variants v using (variant_key)
where v.variant = $1 and a.test_key in (select unnest($2::integer[]))
  and a.outcome = {PASSED} and a.duration_us > 0
group by a.test_key, c.step
"""  # noqa: S608 - constants


class Named(NamedTuple):
    """A test that a text may mean.

    Attributes:
        key: What the store calls it.
        project: Namespace of the test.
        test_id: The test.
        family: Its id without parameters.
    """

    key: int
    project: str
    test_id: str
    family: str


class Seen(NamedTuple):
    """What became of a test in one run and variant.

    Attributes:
        step: The run, an index of `WindowReader.runs`.
        outcomes: Of each attempt, in the order they were made.
        passes: Attempts that passed.
        failures: Attempts that failed.
        skips: Attempts that were skipped.
        duration_us: Of the last attempt that passed; None without one, or where nobody told …
        setup_us: … of that its set-up …
        teardown_us: … and its teardown.
        type: Of the last failure; None where unknown …
        message: … its message …
        place: … and where.
    """

    step: int
    outcomes: list[str]
    passes: int
    failures: int
    skips: int
    duration_us: int | None
    setup_us: int | None
    teardown_us: int | None
    type: str | None
    message: str | None
    place: str | None


Key = tuple[str, str, str]
"""Project, test id and variant."""

Timed = dict[tuple[int, int], int]
"""Microseconds by key of the test and step."""


class OneTest:
    """Asks about a few tests of a window.

    Args:
        rows: Runs a statement; the tables of `windowed` are there.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def fitting(self, text: str) -> list[Named]:
        """Return the tests that a text means, by project and id.

        Args:
            text: A test id, a family, or the end of either.

        Returns:
            Whole ids before families, these before ends that begin at `::` or `/`, and these
            before any other end: only what fits best. Empty where nothing does.
        """
        found = [Named(*row) for row in self._rows(_FITTING, text)] if text else []
        for fits in (_is_id, _is_family, _ends_at_a_part):
            best = [one for one in found if fits(one, text)]
            if best:
                return best
        return found

    def alike(self, text: str, limit: int) -> list[str]:
        """Return the ids of tests that are most like a text, the likest first."""
        return [test_id for (test_id,) in self._rows(_LIKE, text, limit)]

    def seen(self, keys: Sequence[int]) -> dict[Key, list[Seen]]:
        """Return what became of tests, each variant apart, the oldest run first.

        Args:
            keys: Of the tests.

        Returns:
            No entry for a variant that the test was not in.
        """
        found: dict[Key, list[Seen]] = {}
        for project, test_id, variant, *one in self._rows(_SEEN, list(keys)):
            found.setdefault((project, test_id, variant), []).append(Seen(*one))
        return found

    def owner_tags(self, keys: Sequence[int]) -> dict[tuple[str, str], str]:
        """Return the newest tag `owner` of each of these tests that has one."""
        found = self._rows(_OWNERS, list(keys))
        return {(project, test_id): owner for project, test_id, owner in found}

    def variant_steps(self, project: str, variant: str) -> list[int]:
        """Return the runs of a project that have a variant, as steps, rising."""
        return [step for (step,) in self._rows(_VARIANT_RUNS, variant, project)]

    def beside(self, variant: str, steps: Sequence[int], keys: Sequence[int], limit: int) -> Timed:
        """Return durations of other tests in the same runs: they show how slow the machine was.

        Args:
            variant: In canonical form.
            steps: Runs of one project.
            keys: Tests that are left out.
            limit: So many tests, the longest ones of the newest of these runs.
        """
        others = self._rows(_BESIDE, variant, list(steps), list(keys), limit)
        chosen = [key for (key,) in others]
        if not chosen:
            return {}
        found = self._rows(_TIMED, variant, chosen)
        return {(key, step): micros for key, step, micros in found}


def _is_id(one: Named, text: str) -> bool:
    return one.test_id == text


def _is_family(one: Named, text: str) -> bool:
    return one.family == text


def _ends_at_a_part(one: Named, text: str) -> bool:
    return any(name.endswith((f"::{text}", f"/{text}")) for name in (one.test_id, one.family))
