"""What failures cost: jobs and what they took, tests that failed in them, and what they said.

A job is one run in one variant and one run attempt of the CI: what is green or red, and what is
started again. Its uploads are its machines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from testlytics_collector.store.outcomes import BAD, PASSED

Rows = Callable[..., list[tuple[Any, ...]]]

# The workers of a machine run side by side: the longest one is how long it took, where the upload
# does not say when it ended.
_JOBS = """
create or replace temp table jobs as
with worker as (
    select a.upload_key, a.worker, sum(a.duration_us)::bigint as us
    from raw.attempts a
    where a.upload_key in (select upload_key from chosen)
    group by a.upload_key, a.worker
),
machine as (
    select upload_key, count(*)::integer as workers, coalesce(max(us), 0) as longest_us,
           coalesce(sum(us), 0)::bigint as tests_us,
           -- Of two equally long ones it does not matter which.
           arg_max(coalesce(worker, ''), (coalesce(us, 0), coalesce(worker, ''))) as longest
    from worker
    group by upload_key
)
select c.step, c.variant_key, c.run_attempt,
       sum(case when u.ended_us > u.started_us then u.ended_us - u.started_us
                else coalesce(m.longest_us, 0) end)::bigint as us,
       coalesce(sum(m.tests_us), 0)::bigint as tests_us,
       coalesce(max(m.longest_us), 0) as longest_us,
       coalesce(sum(m.workers), 0)::integer as workers,
       coalesce(bool_and(coalesce(u.exit_status = 0, false)), false) as passed,
       arg_max({'upload_key': c.upload_key, 'worker': m.longest},
               (coalesce(m.longest_us, 0), c.upload_key)) as longest
from chosen c
join raw.uploads u using (upload_key)
left join machine m using (upload_key)
group by c.step, c.variant_key, c.run_attempt
"""

_TOLD = """
select j.step::integer, v.variant, j.run_attempt, j.us / 1e6, j.tests_us / 1e6, j.longest_us / 1e6,
       j.workers, j.passed
from jobs j
join raw.variants v using (variant_key)
order by j.step, v.variant, j.run_attempt
"""

_TROUBLES = f"""
with bad as (
    select distinct e.test_key
    from derived.events e
    join (select distinct run_key, variant_key from chosen) c using (run_key, variant_key)
),
tried as (
    select a.test_key, c.variant_key, c.step, c.run_attempt,
           count_if(a.outcome in {BAD})::integer as failures,
           count(*)::integer as attempts,
           arg_max(a.outcome in {BAD}, (c.upload_key, a.attempt)) as ended_bad,
           coalesce(sum(a.duration_us), 0)::bigint as us,
           coalesce(arg_max(a.duration_us, (c.upload_key, a.attempt))
               filter (where a.outcome = {PASSED}), 0) as good_us
    from raw.attempts a
    join chosen c using (upload_key)
    where a.test_key in (select test_key from bad) and a.outcome <> 'skipped'::raw.outcome
    group by a.test_key, c.variant_key, c.step, c.run_attempt
    having count_if(a.outcome in {BAD}) > 0
)
select t.project, t.test_id, v.variant, o.step::integer, o.run_attempt, o.failures, o.attempts,
       o.ended_bad, (o.us - o.good_us) / 1e6
from tried o
join raw.tests t using (test_key)
join raw.variants v using (variant_key)
order by t.project, t.test_id, v.variant, o.step, o.run_attempt
"""  # noqa: S608 - constants

_CRITICAL = """
with on_path as (
    select a.test_key, j.variant_key, sum(a.duration_us)::bigint as us,
           count(distinct (j.step, j.run_attempt))::integer as jobs
    from jobs j
    join raw.attempts a
        on a.upload_key = j.longest.upload_key and coalesce(a.worker, '') = j.longest.worker
    where a.duration_us is not null
    group by a.test_key, j.variant_key
)
select t.project, t.test_id, v.variant, p.jobs, p.us / 1e6
from on_path p
join raw.tests t using (test_key)
join raw.variants v using (variant_key)
qualify row_number() over (
    partition by t.project, v.variant order by p.us desc, t.test_id
) <= $1
order by p.us desc, t.project, t.test_id, v.variant
"""

_SAID = """
select c.step::integer, e.test_key, m.type, left(m.message, 2000), m.place, count(*)::integer
from derived.events e
join (select distinct run_key, variant_key, step from chosen) c using (run_key, variant_key)
join raw.messages m using (message_key)
group by c.step, e.test_key, m.type, left(m.message, 2000), m.place
order by c.step, e.test_key, m.type, left(m.message, 2000), m.place
"""


class Job(NamedTuple):
    """One run in one variant and one run attempt.

    Attributes:
        step: The run, as an index of `WindowReader.runs`.
        variant: The variant in canonical form; empty where nothing is known.
        run_attempt: The CI's re-run counter, first = 1.
        seconds: What its machines took: of each upload from its start to its end, or its longest
            worker where it does not say.
        tests_s: Sum of all attempts.
        longest_s: Sum of the attempts of the longest worker of all: its critical path.
        workers: Workers of all uploads; 1 for an upload that knows none.
        passed: Whether all uploads say that they ended well, whatever failed: in quarantine.
    """

    step: int
    variant: str
    run_attempt: int
    seconds: float
    tests_s: float
    longest_s: float
    workers: int
    passed: bool


class Trouble(NamedTuple):
    """A test that failed in a job, whatever became of it when it was tried again.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant in canonical form.
        step: The run, as an index of `WindowReader.runs`.
        run_attempt: The CI's re-run counter, first = 1.
        failures: Attempts that failed.
        attempts: All attempts.
        ended_bad: Whether the last attempt failed too.
        again_s: Seconds of all attempts but the last one that passed.
    """

    project: str
    test_id: str
    variant: str
    step: int
    run_attempt: int
    failures: int
    attempts: int
    ended_bad: bool
    again_s: float


class OnPath(NamedTuple):
    """A test on the critical path: on the longest worker of a job.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant in canonical form.
        jobs: Jobs in which it was on it.
        seconds: What it took there, over all of them.
    """

    project: str
    test_id: str
    variant: str
    jobs: int
    seconds: float


class Said(NamedTuple):
    """What failures of one test in one run said.

    Attributes:
        step: The run, as an index of `WindowReader.runs`.
        key: Names the test.
        type: Kind of the error; None where unknown.
        message: Its text, at most 2,000 characters; None where unknown.
        place: `file:line`; None where unknown.
        failures: Failed or flaky verdicts.
    """

    step: int
    key: int
    type: str | None
    message: str | None
    place: str | None
    failures: int


def jobs(rows: Rows) -> list[Job]:
    """Return the jobs by run, variant and run attempt. Needs the table `chosen`."""
    rows(_JOBS)
    return [Job(*row) for row in rows(_TOLD)]


def troubles(rows: Rows) -> list[Trouble]:
    """Return the tests that failed, by test and job. Needs the table `chosen`."""
    return [Trouble(*row) for row in rows(_TROUBLES)]


def critical_path(rows: Rows, most: int) -> list[OnPath]:
    """Return the tests that take most of the critical path; after `jobs`.

    Args:
        rows: Runs a statement on the store.
        most: How many of each project and variant.
    """
    return [OnPath(*row) for row in rows(_CRITICAL, most)]


def said(rows: Rows) -> list[Said]:
    """Return what failures said, the oldest run first. Needs the table `chosen`."""
    return [Said(*row) for row in rows(_SAID)]
