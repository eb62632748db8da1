"""Letting old runs go: their rows are removed, what they count for stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testlytics_collector.store import baselines, derived, measured
from testlytics_collector.store.pruned import Rows

_PORTION = 1_000_000
"""Attempts that are counted into the roll-ups at once."""

_OLD = """
select r.run_key, sum(u.attempts)::bigint, count(*)
from (
    select v.project, v.run_id, v.started_at,
           row_number() over (partition by v.project order by v.position desc) as age
    from runs v
    where v.project = coalesce($1, v.project)
) v
join raw.runs r using (project, run_id)
join raw.uploads u using (run_key)
where ($2 is not null and v.age > $2) or ($3 is not null and v.started_at < make_timestamp($3))
group by r.run_key
order by r.run_key
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which runs go: those beyond either bound.

    Attributes:
        keep_runs: The newest so many runs of each project stay; None for no such bound.
        before_us: Runs that began before this instant go; None for no such bound.
        project: Only runs of this project; None for all.
    """

    keep_runs: int | None = None
    before_us: int | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """What a prune removed, or would remove.

    Attributes:
        runs: Whole runs.
        uploads: Their uploads.
        attempts: Their attempts, as delivered.
        messages: Failure texts that nothing else referred to; 0 in a dry run.
    """

    runs: int = 0
    uploads: int = 0
    attempts: int = 0
    messages: int = 0


def prune(rows: Rows, policy: Policy, *, now_us: int, dry_run: bool = False) -> Removed:
    """Remove the raw rows of old runs; counts by test, variant and month stay.

    Args:
        rows: Of a writing connection, inside a transaction.
        policy: Which runs.
        now_us: The present, microseconds since the epoch.
        dry_run: Only tell.
    """
    old = rows(_OLD, [policy.project, policy.keep_runs, policy.before_us])
    removed = Removed(len(old), sum(row[2] for row in old), sum(row[1] for row in old))
    if dry_run or not old:
        return removed
    projects = [
        name
        for (name,) in rows(
            "select distinct project from raw.runs where run_key in (select unnest($1::integer[]))",
            [[row[0] for row in old]],
        )
    ]
    for keys in _portions([(row[0], row[1]) for row in old]):
        _retire(rows, keys)
        _remove(rows, keys, now_us)
    baselines.retake(rows, projects)
    measured.forget_unused(rows)
    messages = remove_unused_messages(rows)
    return Removed(removed.runs, removed.uploads, removed.attempts, messages)


def remove_unused_messages(rows: Rows) -> int:
    """Remove failure texts that no attempt refers to.

    Returns:
        How many.
    """
    [(removed,)] = rows(
        """delete from raw.messages where message_key in (
               select message_key from raw.messages
               except
               select message_key from raw.attempts where message_key is not null
           )"""
    )
    return int(removed)


def _portions(runs: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    keys: list[int] = []
    held = 0
    for key, attempts in runs:
        keys.append(key)
        held += attempts
        if held >= _PORTION:
            yield keys
            keys, held = [], 0
    if keys:
        yield keys


def _retire(rows: Rows, keys: list[int]) -> None:
    """Move what runs count for to the roll-ups, before their facts are removed."""
    uploads = rows(
        """select u.upload_key, f.run_key is not null
           from raw.uploads u left join derived.folded f using (run_key, variant_key)
           where u.run_key in (select unnest($1::integer[]))""",
        [keys],
    )
    rows(derived.COUNT_PRUNED, [[key for key, _ in uploads], 1])
    derived.count(rows, [key for key, folded in uploads if folded], -1)
    for table in ("events", "folded"):
        rows(
            f"delete from derived.{table} where run_key in (select unnest($1::integer[]))",  # noqa: S608
            [keys],
        )


def _remove(rows: Rows, keys: list[int], now_us: int) -> None:
    rows(
        """insert into raw.pruned
           select r.project, r.run_id, u.upload_id, u.run_attempt, u.digest, $2
           from raw.uploads u join raw.runs r using (run_key)
           where u.run_key in (select unnest($1::integer[]))
           order by u.upload_key""",
        [keys, now_us],
    )
    for table in ("attempts", "notes", "measurements"):
        rows(
            f"""delete from raw.{table} where upload_key in (
                    select upload_key from raw.uploads
                    where run_key in (select unnest($1::integer[]))
                )""",  # noqa: S608 - constants
            [keys],
        )
    for table in ("uploads", "gates", "runs"):
        rows(
            f"delete from raw.{table} where run_key in (select unnest($1::integer[]))",  # noqa: S608
            [keys],
        )
