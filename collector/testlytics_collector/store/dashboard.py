"""What pages ask: projects at a glance, runs in few numbers, and the choices of a filter.

Nothing here reads more rows of attempts than those of the runs it is about; what is asked of all
runs is asked of uploads and of verdicts with a failure, of which there are few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from testlytics_collector.store.windowed import WindowReader

Rows = Callable[..., list[tuple[Any, ...]]]

_PROJECTS = """
select project, count(*), max(started_at)::varchar
from runs
where project = coalesce($1, project)
group by project
order by max(started_at) desc nulls last, project
limit $2
"""

# Failures of whole suites are counted like all others: a page shows what was.
_NEWEST = """
with newest as (
    select r.project, r.run_id, k.run_key, r.position, r.started_at, r.branch, r."commit",
           r.complete, r.attempts, r.ended_at
    from runs r
    join raw.runs k using (project, run_id)
    where r.project in (select unnest($1::varchar[]))
    qualify row_number() over (partition by r.project order by r.position desc) <= $2
),
bad as (
    select run_key, count_if(passes = 0)::integer as failed, count_if(passes > 0)::integer as flaky,
           count_if(attempts > 1)::integer as retried
    from derived.events
    where run_key in (select run_key from newest)
    group by run_key
)
select n.project, n.run_id, n.started_at::varchar, n.branch, n."commit", n.complete, n.attempts,
       coalesce(b.failed, 0), coalesce(b.flaky, 0), coalesce(b.retried, 0),
       case when n.ended_at >= n.started_at
            then date_diff('microsecond', n.started_at, n.ended_at) / 1e6 end
from newest n
left join bad b using (run_key)
order by n.project, n.position
"""

_COUNTS = """
with suite as (
    select step, list(distinct v.variant order by v.variant) as variants,
           -- Of several, one that tells of trouble.
           coalesce(max(u.exit_status) filter (where u.exit_status <> 0), max(u.exit_status))
               as exit_status,
           (max(u.ended_us) - min(u.started_us)) / 1e6 as took_s,
           sum(u.attempts)::bigint as attempts
    from chosen c
    join raw.uploads u using (upload_key)
    join raw.variants v on v.variant_key = c.variant_key
    group by step
),
bad as (
    select c.step, count_if(e.passes = 0)::integer as failed,
           count_if(e.passes > 0)::integer as flaky, count_if(e.attempts > 1)::integer as retried
    from derived.events e
    join (select distinct run_key, variant_key, step from chosen) c using (run_key, variant_key)
    group by c.step
)
select s.step::integer, s.variants, s.exit_status,
       case when s.took_s > 0 then s.took_s end, s.attempts,
       coalesce(b.failed, 0), coalesce(b.flaky, 0), coalesce(b.retried, 0)
from suite s
left join bad b using (step)
order by s.step
"""

_SECONDS = """
select c.step::integer, sum(a.duration_us)::bigint / 1e6
from raw.attempts a
join chosen c using (upload_key)
group by c.step
"""

# Where each upload says how long it took, no attempt has to be looked at.
_JOBS = """
select c.step::integer, v.variant, c.run_attempt,
       sum(case when u.ended_us > u.started_us then u.ended_us - u.started_us end)::bigint / 1e6,
       coalesce(bool_and(coalesce(u.exit_status = 0, false)), false),
       bool_and(coalesce(u.ended_us > u.started_us, false))
from chosen c
join raw.uploads u using (upload_key)
join raw.variants v on v.variant_key = c.variant_key
group by c.step, v.variant, c.run_attempt
order by c.step, v.variant, c.run_attempt
"""

_VERSION = """
select count(*), coalesce(max(u.upload_key), -1), coalesce(max(u.ingested_us), 0)
from raw.uploads u
join raw.runs r using (run_key)
where r.project = coalesce($1, r.project)
"""

_BRANCHES = """
select branch from runs
where project = $1 and branch is not null
group by branch
order by max(started_at) desc nulls last, branch
limit $2
"""

_PAIRS = """
select distinct unnest(string_split(v.variant, ',')) as pair
from raw.variants v
where v.variant <> '' and v.variant_key in (
    select u.variant_key from raw.uploads u join raw.runs r using (run_key) where r.project = $1
)
order by pair
limit $2
"""

_FACTS = """
with ours as (select * from runs where project = $1)
select o.run_id, o.position, o.started_at::varchar, o.ended_at::varchar, o.branch, o."commit",
       o.pull_request, o.ci, o.ci_url, o.complete, o.run_attempts, o.uploads, o.attempts, o.gate,
       (select run_id from ours where position = o.position - 1),
       (select run_id from ours where position = o.position + 1)
from ours o
where o.run_id = $2
"""


class Newest(NamedTuple):
    """One of the newest runs of a project.

    Attributes:
        project: Namespace of its tests.
        run_id: Its name.
        started_at: `YYYY-MM-DD HH:MM:SS`, UTC.
        branch: None where unknown.
        commit: None where unknown.
        complete: False where an upload did not end.
        attempts: How many attempts it holds, in all variants.
        failed: Tests that only failed in it, each variant counted.
        flaky: Those that failed and passed.
        retried: Those that failed and were tried more than once.
        took_s: From its first start to its last end; None where no end is known.
    """

    project: str
    run_id: str
    started_at: str
    branch: str | None
    commit: str | None
    complete: bool
    attempts: int
    failed: int
    flaky: int
    retried: int
    took_s: float | None


class Project(NamedTuple):
    """A project at a glance.

    Attributes:
        name: Its name.
        runs: How many it has.
        last_run_at: When the newest one began, UTC.
        newest: The newest runs, the oldest of them first.
    """

    name: str
    runs: int
    last_run_at: str
    newest: list[Newest]


class RunCount(NamedTuple):
    """What one run of a window holds, in the variants asked for.

    Attributes:
        step: The run, an index of `WindowReader.runs`.
        variants: Their canonical texts.
        exit_status: Not 0 where any upload ended so; None where none is known.
        took_s: From its first start to its last end; None where unknown.
        attempts: How many.
        failed: Tests that only failed in it, each variant counted.
        flaky: Those that failed and passed.
        retried: Those that failed and were tried more than once.
    """

    step: int
    variants: list[str]
    exit_status: int | None
    took_s: float | None
    attempts: int
    failed: int
    flaky: int
    retried: int


class Taken(NamedTuple):
    """What one job took.

    Attributes:
        step: The run, an index of `WindowReader.runs`.
        variant: The variant in canonical form.
        run_attempt: The CI's re-run counter, first = 1.
        seconds: Of each upload from its start to its end; None where no upload tells.
        passed: Whether all uploads say that they ended well.
        is_known: Whether all uploads tell how long they took.
    """

    step: int
    variant: str
    run_attempt: int
    seconds: float | None
    passed: bool
    is_known: bool


class RunFacts(NamedTuple):
    """What is known of one run.

    Attributes:
        run_id: Its name.
        position: Its place among the runs of the project.
        started_at: UTC.
        ended_at: UTC; None where unknown, as all below up to `ci_url`.
        branch: Name of the branch.
        commit: The commit.
        pull_request: The pull request.
        ci: Name of the CI.
        ci_url: Where the CI shows it; untrusted.
        complete: False where an upload did not end.
        run_attempts: How often the CI ran it.
        uploads: Its deliveries.
        attempts: Of tests.
        gate: What a gate said of it; None where it never blocked.
        before: The run before it; None for the first.
        behind: The run behind it; None for the newest.
    """

    run_id: str
    position: int
    started_at: str
    ended_at: str | None
    branch: str | None
    commit: str | None
    pull_request: str | None
    ci: str | None
    ci_url: str | None
    complete: bool
    run_attempts: int
    uploads: int
    attempts: int
    gate: str | None
    before: str | None
    behind: str | None


class PageReader(WindowReader):
    """Asks about one window what pages show beside reports."""

    def counts(self) -> list[RunCount]:
        """Return what each run holds, the oldest first; no attempt is looked at."""
        return [RunCount(*row) for row in self._rows(_COUNTS)]

    def suite_seconds(self) -> dict[int, float]:
        """Return the sum of all attempts of each run, in seconds, by step; without unknown ones."""
        return {step: value for step, value in self._rows(_SECONDS) if value is not None}

    def taken(self) -> list[Taken]:
        """Return what jobs took, as far as uploads tell; see `jobs` for all of them."""
        return [Taken(*row) for row in self._rows(_JOBS)]


class Overview:
    """Asks about projects.

    Args:
        rows: Runs a statement.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def version(self, project: str | None) -> str:
        """Return a text that changes with every upload of a project; of all where None."""
        [(uploads, last, when)] = self._rows(_VERSION, [project])
        return f"{uploads:x}-{last:x}-{when:x}"

    def projects(self, project: str | None, *, limit: int, runs: int) -> list[Project]:
        """Return projects, those that ran last first.

        Args:
            project: Only this one; None for all.
            limit: At most so many.
            runs: Of each at most so many of its newest runs.
        """
        found = self._rows(_PROJECTS, [project, limit])
        newest: dict[str, list[Newest]] = {name: [] for name, *_ in found}
        for row in self._rows(_NEWEST, [list(newest), runs]):
            newest[row[0]].append(Newest(*row))
        return [Project(name, number, at, newest[name]) for name, number, at in found]

    def names(self, limit: int) -> list[str]:
        """Return the names of projects, at most so many."""
        found = self._rows("select distinct project from raw.runs order by 1 limit $1", [limit])
        return [name for (name,) in found]

    def has(self, project: str) -> bool:
        """Tell whether there is a run of a project."""
        return bool(self._rows("select 1 from raw.runs where project = $1 limit 1", [project]))

    def branches(self, project: str, limit: int) -> list[str]:
        """Return the branches of a project, those that ran last first."""
        return [name for (name,) in self._rows(_BRANCHES, [project, limit])]

    def pairs(self, project: str, limit: int) -> list[str]:
        """Return the pairs `key=value` of a project's variants."""
        return [pair for (pair,) in self._rows(_PAIRS, [project, limit])]

    def run(self, project: str, run_id: str) -> RunFacts | None:
        """Return what is known of a run; None where there is none."""
        found = self._rows(_FACTS, [project, run_id])
        return RunFacts(*found[0]) if found else None
