"""What follows from the facts: kept in the transaction that adds them, and rebuilt from them.

Everything here is defined without regard to the order in which uploads arrive, but for the keys of
runs: whatever is kept step by step is what a rebuild from the facts gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from testlytics_collector.store import baselines
from testlytics_collector.store.outcomes import BAD, GOOD, PASSED

Rows = Callable[..., list[tuple[Any, ...]]]
"""Runs one statement with its parameters and returns all rows."""

FOLD_AFTER = 16
"""How many runs wait before they are counted into the totals; every so many uploads it is looked
whether they do. What waits is read from the facts."""

FOLD_MANY = 256
FOLD_ATTEMPTS = 64_000
"""Of those that are taken in together more wait: so many, or fewer with so many attempts. To count
sixteen runs writes as many rows anew as to count a hundred."""

_AT_ONCE = 300_000

TABLES = (
    """
create schema derived;

-- Verdicts with a failure in them. All else that is asked about flaky and broken tests is asked
-- about these few tests.
create table derived.events (
    run_key integer not null,
    variant_key integer not null,
    test_key integer not null,
    passes integer not null,
    failures integer not null,
    skips integer not null,
    attempts integer not null,
    message_key integer            -- of the last attempt that failed and said why
);

-- Sums over the runs in derived.folded, by the month in which the run began in the variant
-- (year * 12 + month - 1).
create table derived.totals (
    test_key integer not null,
    variant_key integer not null,
    month integer not null,
    seen integer not null,         -- runs it was in, whatever became of it
    passed integer not null,       -- verdicts
    failed integer not null,
    flaky integer not null,
    skipped integer not null,
    timed integer not null,        -- attempts that passed and have a duration
    total_us bigint not null,      -- the sum of these
    first_us bigint not null,      -- start of the first and of the last of their uploads
    last_us bigint not null
);

-- Which runs and variants the totals hold; all others are still to be counted.
create table derived.folded (
    run_key integer not null,
    variant_key integer not null
);
"""
    + baselines.TABLES
)


VERDICTS = f"""
    select
        u.run_key, u.variant_key, a.test_key,
        count_if(a.outcome in {GOOD})::integer as passes,
        count_if(a.outcome in {BAD})::integer as failures,
        count_if(a.outcome = 'skipped'::raw.outcome)::integer as skips,
        count(*)::integer as attempts,
        count(a.duration_us) filter (where a.outcome = {PASSED})::integer as timed,
        coalesce(sum(a.duration_us) filter (where a.outcome = {PASSED}), 0)::bigint as total_us,
        arg_max(a.message_key, (u.run_attempt, u.upload_key, a.attempt))
            filter (where a.outcome in {BAD}) as message_key
    from raw.attempts a
    join raw.uploads u using (upload_key)
"""  # noqa: S608 - constants

_SUMS = """
select
    v.test_key, v.variant_key, r.month,
    count(*)::integer as seen,
    count_if(v.passes > 0 and v.failures = 0)::integer as passed,
    count_if(v.failures > 0 and v.passes = 0)::integer as failed,
    count_if(v.failures > 0 and v.passes > 0)::integer as flaky,
    count_if(v.skips > 0 and v.passes = 0 and v.failures = 0)::integer as skipped,
    sum(v.timed)::integer as timed,
    sum(v.total_us)::bigint as total_us,
    min(r.first_us) as first_us,
    max(r.last_us) as last_us
from verdict v
join derived.suites r using (run_key, variant_key)
group by v.test_key, v.variant_key, r.month
"""

VIEWS = f"""
-- When a run in a variant began, and the last of its uploads.
create or replace view derived.suites as
select
    run_key,
    variant_key,
    min(coalesce(started_us, ingested_us)) as first_us,
    max(coalesce(started_us, ingested_us)) as last_us,
    year(make_timestamp(first_us))::integer * 12 + month(make_timestamp(first_us))::integer - 1
        as month
from raw.uploads
group by run_key, variant_key;

-- What the totals do not hold yet.
create or replace view derived.waiting as
with verdict as ({VERDICTS}
    where a.upload_key in (
        select w.upload_key
        from raw.uploads w
        anti join derived.folded f on f.run_key = w.run_key and f.variant_key = w.variant_key
    )
    group by all
){_SUMS};

-- One row per test, variant and month: what is folded, what waits and what stays of pruned runs,
-- as if all were folded.
create or replace view derived.state as
select
    test_key, variant_key, month,
    sum(seen)::bigint as seen,
    sum(passed)::bigint as passed,
    sum(failed)::bigint as failed,
    sum(flaky)::bigint as flaky,
    sum(skipped)::bigint as skipped,
    sum(timed)::bigint as timed,
    sum(total_us)::bigint as total_us,
    min(first_us) as first_us,
    max(last_us) as last_us
from (
    select * from derived.totals
    union all by name
    select * from derived.waiting
    union all by name
    select * from raw.rollups
)
group by test_key, variant_key, month;
"""  # noqa: S608 - constants

EVENTS = f"""
insert into derived.events
with bad as (
    select distinct test_key
    from raw.attempts
    where upload_key in (select unnest($1::integer[]))
      and outcome in {BAD}
),
verdict as ({VERDICTS}
    where a.upload_key in (select unnest($1::integer[]))
      and a.test_key in (select test_key from bad)
    group by all
    having failures > 0
)
select run_key, variant_key, test_key, passes, failures, skips, attempts, message_key
from verdict
order by run_key, variant_key, test_key
"""  # noqa: S608 - constants

# The same of one upload ($1) that is all of its run, and of which `keyed` holds all attempts: $4 is
# what makes a number in there a key, $5 are the numbers of those that failed.
_EVENTS_OF_NEW = f"""
insert into derived.events
select $2, $3, test_key,
       count_if(outcome in {GOOD}), count_if(outcome in {BAD}),
       count_if(outcome = 'skipped'::raw.outcome), count(*),
       arg_max(message_key, attempt) filter (where outcome in {BAD})
from raw.attempts
where upload_key = $1 and test_key in (
    select coalesce(test_key, $4 + n) from keyed where n in (select unnest($5::integer[]))
)
group by test_key
order by test_key
"""  # noqa: S608 - constants

_ANY_BAD = f"""
select 1 from raw.attempts
where upload_key in (select unnest($1::integer[])) and outcome in {BAD}
limit 1
"""  # noqa: S608 - constants

_COUNT = f"""
merge into derived.totals t
using (
    with verdict as ({VERDICTS}
        where a.upload_key in (select unnest($1::integer[]))
        group by all
    ){_SUMS}
    order by v.test_key, v.variant_key
) s
on t.test_key = s.test_key and t.variant_key = s.variant_key and t.month = s.month
when matched then update set
    seen = t.seen + $2 * s.seen, passed = t.passed + $2 * s.passed,
    failed = t.failed + $2 * s.failed, flaky = t.flaky + $2 * s.flaky,
    skipped = t.skipped + $2 * s.skipped, timed = t.timed + $2 * s.timed,
    total_us = t.total_us + $2 * s.total_us,
    first_us = least(t.first_us, s.first_us), last_us = greatest(t.last_us, s.last_us)
when not matched then insert values (
    s.test_key, s.variant_key, s.month, s.seen, s.passed, s.failed, s.flaky, s.skipped,
    s.timed, s.total_us, s.first_us, s.last_us)
"""

COUNT_PRUNED = _COUNT.replace("derived.totals", "raw.rollups")
"""Adds what uploads ($1) count for to the roll-ups, with $2 = 1."""

# Counts can be taken away again, a first and a last cannot.
_EXTREMES = """
update derived.totals t set first_us = s.first_us, last_us = s.last_us
from (
    select a.test_key, r.month, min(r.first_us) as first_us, max(r.last_us) as last_us
    from raw.attempts a
    join raw.uploads u using (upload_key)
    join derived.folded f using (run_key, variant_key)
    join derived.suites r using (run_key, variant_key)
    where u.variant_key = $1
    group by a.test_key, r.month
) s
where t.variant_key = $1 and t.test_key = s.test_key and t.month = s.month
  and (t.first_us <> s.first_us or t.last_us <> s.last_us)
"""

_WAITING = """
select u.run_key, u.variant_key, list(u.upload_key), sum(u.attempts)::bigint
from raw.uploads u
anti join derived.folded f on f.run_key = u.run_key and f.variant_key = u.variant_key
group by all
having bool_and(coalesce(u.complete, true))
order by u.run_key, u.variant_key
"""


class Suite(NamedTuple):
    """One run in one variant, by keys."""

    run_key: int
    variant_key: int


class Change(NamedTuple):
    """A run in a variant before its facts change; `times` are its month, first and last start."""

    suite: Suite
    uploads: frozenset[int]
    folded: bool
    times: list[tuple[int, int, int]]


def begin_change(rows: Rows, suite: Suite) -> Change:
    """Take out what follows from a run in a variant, before its facts change."""
    uploads = _uploads(rows, suite)
    if not uploads:
        return Change(suite, frozenset(), folded=False, times=[])
    change = Change(suite, frozenset(uploads), _is_folded(rows, suite), _times(rows, suite))
    rows("delete from derived.events where run_key = $1 and variant_key = $2", [*suite])
    if change.folded:
        rows(_COUNT, [uploads, -1])
    return change


def add_run(
    rows: Rows,
    suite: Suite,
    upload_key: int,
    *,
    project: str,
    staged: list[tuple[int, list[int]]],
) -> None:
    """Put in what follows from a run that is new, after its one upload was added.

    Args:
        rows: Runs a statement.
        suite: The run, whose key is above all others, in its variant.
        upload_key: Its upload.
        project: Its project.
        staged: For each portion of the upload what makes a number in `keyed` a key, and the
            numbers of its attempts that failed.
    """
    if any(bad for _, bad in staged):
        if len(staged) == 1:
            rows(_EVENTS_OF_NEW, [upload_key, *suite, *staged[0]])
        else:
            rows(EVENTS, [[upload_key]])
    _fold_at_times(rows, upload_key)
    baselines.refresh_for_new(rows, suite.run_key, project)


def _fold_at_times(rows: Rows, upload_key: int) -> None:
    if upload_key % FOLD_AFTER == 0:
        fold(rows, least=FOLD_AFTER)


def end_change(rows: Rows, change: Change) -> None:
    """Put in what follows from a run in a variant, after its facts have changed."""
    suite = change.suite
    uploads = _uploads(rows, suite)
    if rows(_ANY_BAD, [uploads]):
        rows(EVENTS, [uploads])
    if change.folded:  # as it was: the change of another suite may have folded this one since
        rows(_COUNT, [uploads, 1])
        rows("delete from derived.totals where seen = 0")
        if _has_shrunk(change, uploads, _times(rows, suite)):
            rows(_EXTREMES, [suite.variant_key])
        if not uploads:  # else it would pass for counted when it comes again
            rows("delete from derived.folded where run_key = $1 and variant_key = $2", [*suite])
    elif uploads:
        _fold_at_times(rows, max(uploads))
    baselines.refresh(rows, suite.run_key)


def _times(rows: Rows, suite: Suite) -> list[tuple[int, int, int]]:
    return rows(
        "select month, first_us, last_us from derived.suites "
        "where run_key = $1 and variant_key = $2",
        [*suite],
    )


def _has_shrunk(change: Change, uploads: list[int], times: list[tuple[int, int, int]]) -> bool:
    """Tell whether the first or last start in a month may have moved inwards."""
    if not change.uploads <= set(uploads):
        return True
    return any(
        after[0] != before[0] or after[1] > before[1] or after[2] < before[2]
        for before, after in zip(change.times, times, strict=False)
    )


def fold(rows: Rows, *, least: int = 1, attempts: int = 0, most: int = _AT_ONCE) -> None:
    """Count the runs that wait into the totals, where at least so many of them do.

    Args:
        rows: Runs a statement.
        least: Nothing is done where fewer wait.
        attempts: Nor where they hold fewer than these, unless `FOLD_MANY` wait.
        most: How many attempts are counted at once, which bounds the memory it takes.
    """
    waiting = rows(_WAITING)
    held = sum(size for *_, size in waiting)
    if len(waiting) < least or (held < attempts and len(waiting) < FOLD_MANY):
        return
    for part in portions(waiting, most):
        rows(_COUNT, [[key for _, _, keys, _ in part for key in keys], 1])
        rows(
            "insert into derived.folded select unnest($1::integer[]), unnest($2::integer[])",
            [[run for run, *_ in part], [variant for _, variant, *_ in part]],
        )


def portions(
    suites: list[tuple[Any, ...]], most: int
) -> Iterator[list[tuple[int, int, list[int], int]]]:
    """Divide runs in their variants, the last column their attempts, into parts of bounded size."""
    part: list[tuple[int, int, list[int], int]] = []
    size = 0
    for run, variant, keys, attempts in suites:
        if part and size + attempts > most:
            yield part
            part, size = [], 0
        part.append((run, variant, keys, attempts))
        size += attempts
    if part:
        yield part


def count(rows: Rows, uploads: list[int], sign: int) -> None:
    """Add what uploads of whole runs count for to the totals (1), or take it away (-1)."""
    rows(_COUNT, [uploads, sign])
    rows("delete from derived.totals where seen = 0")


def _uploads(rows: Rows, suite: Suite) -> list[int]:
    found = rows(
        "select upload_key from raw.uploads where run_key = $1 and variant_key = $2", [*suite]
    )
    return [key for (key,) in found]


def _is_folded(rows: Rows, suite: Suite) -> bool:
    return bool(
        rows("select 1 from derived.folded where run_key = $1 and variant_key = $2", [*suite])
    )
