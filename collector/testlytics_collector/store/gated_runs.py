"""Which run a gate judges, which came before it, and what a gate said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Rows = Callable[..., list[tuple[Any, ...]]]

TABLES = """
-- What gates said of runs: those that were blocked are in the history like all others.
create table raw.gates (
    run_key integer not null,
    decided_us bigint not null,    -- microseconds since the epoch, UTC
    verdict varchar not null       -- blocked, or passed where it had been blocked before
);
"""

_COLUMNS = """w.project, w.run_id, w.position, w."commit", w.branch, w.pull_request, w.complete,
       coalesce(c.order_us, epoch_us(w.started_at)), w.gate"""

_MEASURED = """(w.project, w.run_id) in (
    select (r.project, r.run_id) from raw.runs r join raw.uploads u using (run_key)
    where u.upload_key in (select upload_key from raw.measurements)
)"""

# A run of measurements alone says nothing of tests, and not that they are gone.
_OF_TESTS = f"(w.attempts > 0 or not {_MEASURED})"

_NEWEST = f"""
select {_COLUMNS}
from runs w
left join raw.commits c on c.commit_id = w."commit"
where (w.project, w.run_id) in (
    select (r.project, r.run_id)
    from raw.uploads u
    join raw.runs r using (run_key)
    where r.project = coalesce($1, r.project) and r.run_id = coalesce($2, r.run_id)
    order by u.attempts > 0 or u.upload_key not in (select upload_key from raw.measurements) desc,
             u.upload_key desc
    limit 1
)
"""  # noqa: S608 - constants

_BRANCHES = """
select branch, count(*)
from runs
where project = $1 and pull_request is null and branch is not null and run_id <> $2
group by branch
order by count(*) desc, branch
"""

_EARLIER = f"""
select {_COLUMNS}
from runs w
left join raw.commits c on c.commit_id = w."commit"
where w.project = $1 and w.position < $2 and w.pull_request is null and {{of_its_kind}}
  and ($3 is null or w.branch = $3)
  and coalesce(c.order_us, epoch_us(w.started_at)) <= coalesce($4, 9223372036854775807)
order by w.position desc
limit $5
"""  # noqa: S608 - constants

_OF_CHANGE = f"""
select {_COLUMNS}
from runs w
left join raw.commits c on c.commit_id = w."commit"
where w.project = $1 and w.position < $2
  and case when $3 is not null then w.pull_request = $3
           else w.pull_request is null and w.branch = $4 end
order by w.position desc
limit $5
"""  # noqa: S608 - constants


class GatedRun(NamedTuple):
    """A run, as a gate looks at it.

    Attributes:
        project: Namespace of its tests.
        run_id: Its name.
        position: Its place among the runs of the project.
        commit: None where unknown.
        branch: None where unknown.
        pull_request: None where it is of none, or unknown.
        complete: False where an upload did not end.
        order_us: Where its commit stands in the history, else when it began; microseconds.
        gate: What a gate said of it last: blocked, or passed after that; None where it never did.
    """

    project: str
    run_id: str
    position: int
    commit: str | None
    branch: str | None
    pull_request: str | None
    complete: bool
    order_us: int
    gate: str | None


def _of_its_kind(rows: Rows, run: GatedRun) -> str:
    """Return the condition for runs of tests, or for those that measured where the run only did.

    Without measurements it costs nothing.
    """
    if not rows("select 1 from raw.measurements limit 1"):
        return "true"
    is_measured = rows(
        f"select 1 from runs w where w.project = $1 and w.run_id = $2 and not {_OF_TESTS}",  # noqa: S608 - a constant
        [run.project, run.run_id],
    )
    return _MEASURED if is_measured else _OF_TESTS


def run_to_judge(rows: Rows, project: str | None, run_id: str | None) -> GatedRun | None:
    """Return a run: the one whose upload came last, of all that fit; None where none does.

    One of measurements alone only where none has tests, or it is named.
    """
    found = rows(_NEWEST, [project, run_id])
    return GatedRun(*found[0]) if found else None


def branches(rows: Rows, run: GatedRun) -> list[str]:
    """Name the branches that other runs of the project were on, the one with most runs first."""
    return [str(branch) for branch, _ in rows(_BRANCHES, [run.project, run.run_id])]


def earlier_runs(
    rows: Rows, run: GatedRun, *, branch: str | None, until_us: int | None, limit: int
) -> list[GatedRun]:
    """Return the newest runs before a run that are of no pull request, the oldest first.

    Args:
        rows: Runs a statement.
        run: They stand before this one.
        branch: Only runs of this branch; None for all.
        until_us: Only runs that stand here (`GatedRun.order_us`) or before; None for all.
        limit: At most so many.
    """
    values = [run.project, run.position, branch, until_us, limit]
    found = rows(_EARLIER.format(of_its_kind=_of_its_kind(rows, run)), values)
    return [GatedRun(*row) for row in reversed(found)]


def runs_of_change(rows: Rows, run: GatedRun, limit: int) -> list[GatedRun]:
    """Return the newest runs before a run of its pull request, else its branch, oldest first."""
    if run.pull_request is None and run.branch is None:
        return []
    values = [run.project, run.position, run.pull_request, run.branch, limit]
    return [GatedRun(*row) for row in reversed(rows(_OF_CHANGE, values))]


def mark(rows: Rows, project: str, run_id: str, verdict: str, now_us: int) -> bool:
    """Write down what a gate said of a run, where it is news; return whether it was.

    That a run passed is news only where it was blocked before.

    Args:
        rows: Runs a statement, inside a transaction.
        project: The run's project.
        run_id: The run.
        verdict: `blocked` or `passed`.
        now_us: The present, microseconds since the epoch.
    """
    [(before,)] = rows(
        """select arg_max(g.verdict, g.decided_us)
           from raw.gates g join raw.runs r using (run_key)
           where r.project = $1 and r.run_id = $2""",
        [project, run_id],
    )
    if verdict == (before or "passed"):
        return False
    rows(
        """insert into raw.gates
           select run_key, $3, $4 from raw.runs where project = $1 and run_id = $2""",
        [project, run_id, now_us, verdict],
    )
    return True
