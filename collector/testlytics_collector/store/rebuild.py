"""Making all that follows from the facts anew, and telling whether what is kept is the same.

Nearly every verdict comes from one attempt: so all attempts are counted in one go, as if each were
a verdict, and only the tests with several attempts in a run are put right after that. Runs that
came in several uploads, or in which attempts are not told apart by their numbers, are counted as
uploads are when they come in.
"""

from __future__ import annotations

from testlytics_collector.store import baselines, derived
from testlytics_collector.store.derived import Rows
from testlytics_collector.store.outcomes import BAD, GOOD, PASSED

_AT_ONCE = 1_500_000
"""How many attempts of runs in several uploads are counted at once, which bounds the memory."""

_MEMORY = "600MB"

_BITS_AT_ONCE = 500_000_000
"""Bits held at once to find attempts with the same number."""

_UPLOADS = """
create or replace temp table rebuilt_uploads as
select u.upload_key, u.run_key, u.variant_key, u.attempts, s.month, s.first_us, s.last_us,
       count(*) over suite = 1 as plain,
       bool_and(coalesce(u.complete, true)) over suite as complete
from raw.uploads u
join derived.suites s using (run_key, variant_key)
window suite as (partition by u.run_key, u.variant_key)
order by u.upload_key
"""

# A test with several attempts in an upload has one whose number is above 1, if no two are below.
_NOT_PLAIN = """
update rebuilt_uploads set plain = false
where upload_key in (
    select upload_key
    from raw.attempts
    where attempt <= 1 and upload_key between $1 and $2
    group by upload_key
    having count(*) <> bit_count(bitstring_agg(test_key, 0, {tests}))
)
"""

_REPEATED = """
create or replace temp table repeated as
with pairs as (
    select distinct upload_key, test_key
    from raw.attempts
    where attempt > 1
      and upload_key in (select upload_key from rebuilt_uploads where plain)
)
select a.upload_key, a.test_key, a.attempt, a.outcome, a.message_key
from raw.attempts a
semi join pairs p on p.upload_key = a.upload_key and p.test_key = a.test_key
"""

_VERDICTS = f"""
    select upload_key, test_key, count(*)::integer as attempts,
           count_if(outcome in {GOOD})::integer as passes,
           count_if(outcome in {BAD})::integer as failures,
           count_if(outcome = 'skipped'::raw.outcome)::integer as skips,
           arg_max(message_key, attempt) filter (where outcome in {BAD}) as message_key
    from repeated
    group by upload_key, test_key
"""  # noqa: S608 - constants

_EVENTS = f"""
insert into derived.events
with verdict as ({_VERDICTS}),
found as (
    select upload_key, test_key, passes, failures, skips, attempts, message_key
    from verdict
    where failures > 0
    union all
    select a.upload_key, a.test_key, 0, 1, 0, 1, a.message_key
    from raw.attempts a
    anti join verdict v on v.upload_key = a.upload_key and v.test_key = a.test_key
    where a.outcome in {BAD}
)
select u.run_key, u.variant_key, f.test_key, f.passes, f.failures, f.skips, f.attempts,
       f.message_key
from found f
join rebuilt_uploads u using (upload_key)
where u.plain
order by u.run_key, u.variant_key, f.test_key
"""  # noqa: S608 - constants

_TOTALS = f"""
insert into derived.totals
with kinds as (
    select a.test_key, u.variant_key, u.month, a.outcome, count(*) as attempts,
           count(a.duration_us) as timed, sum(a.duration_us) as total_us,
           min(u.first_us) as first_us, max(u.last_us) as last_us
    from raw.attempts a
    join rebuilt_uploads u using (upload_key)
    where u.plain and u.complete
    group by a.test_key, u.variant_key, u.month, a.outcome
),
single as (
    select test_key, variant_key, month, sum(attempts) as seen,
           sum(attempts) filter (where outcome in {GOOD}) as passed,
           sum(attempts) filter (where outcome in {BAD}) as failed,
           sum(attempts) filter (where outcome = 'skipped'::raw.outcome) as skipped,
           sum(timed) filter (where outcome = {PASSED}) as timed,
           sum(total_us) filter (where outcome = {PASSED}) as total_us,
           min(first_us) as first_us, max(last_us) as last_us
    from kinds
    group by test_key, variant_key, month
),
verdict as ({_VERDICTS}),
mended as (
    select v.test_key, u.variant_key, u.month, sum(1 - v.attempts) as seen,
           sum((v.passes > 0 and v.failures = 0)::integer - v.passes) as passed,
           sum((v.failures > 0 and v.passes = 0)::integer - v.failures) as failed,
           sum((v.failures > 0 and v.passes > 0)::integer) as flaky,
           sum((v.skips > 0 and v.passes = 0 and v.failures = 0)::integer - v.skips) as skipped
    from verdict v
    join rebuilt_uploads u using (upload_key)
    where u.complete
    group by v.test_key, u.variant_key, u.month
)
select test_key, variant_key, month,
       (s.seen + coalesce(m.seen, 0))::integer,
       (coalesce(s.passed, 0) + coalesce(m.passed, 0))::integer,
       (coalesce(s.failed, 0) + coalesce(m.failed, 0))::integer,
       coalesce(m.flaky, 0)::integer,
       (coalesce(s.skipped, 0) + coalesce(m.skipped, 0))::integer,
       coalesce(s.timed, 0)::integer, coalesce(s.total_us, 0)::bigint, s.first_us, s.last_us
from single s
left join mended m using (test_key, variant_key, month)
order by test_key, variant_key, month
"""  # noqa: S608 - constants

_FOLDED = """
insert into derived.folded
select distinct run_key, variant_key from rebuilt_uploads where plain and complete
order by run_key, variant_key
"""

_OTHERS = """
select run_key, variant_key, list(upload_key), sum(attempts)::bigint
from rebuilt_uploads
where not plain
group by run_key, variant_key
order by run_key, variant_key
"""


def differences(rows: Rows) -> dict[str, int]:
    """Compare what is kept with what a rebuild gives; leaves the rebuilt behind.

    Returns:
        For each table that differs, how many of its rows do, in either direction.
    """
    tables = ("events", "state", "baselines", "marks")
    for table in tables:
        rows(f"create or replace temp table kept_{table} as from derived.{table}")
    rebuild(rows)
    found = {}
    for table in tables:
        [(count,)] = rows(
            f"""select count(*) from (
                    (from kept_{table} except all from derived.{table})
                    union all
                    (from derived.{table} except all from kept_{table})
                )"""  # noqa: S608 - constants
        )
        rows(f"drop table kept_{table}")
        if count:
            found[table] = int(count)
    return found


def rebuild(rows: Rows) -> None:
    """Throw away what follows from the facts, and make it anew."""
    for table in ("events", "totals", "folded"):
        rows(f"delete from derived.{table}")  # noqa: S608 - constants
    [(limit,)] = rows("select current_setting('memory_limit')")
    rows(f"set memory_limit = '{_MEMORY}'")
    try:
        rows(_UPLOADS)
        _find_plain(rows)
        for statement in (_REPEATED, _EVENTS, _TOTALS, _FOLDED):
            rows(statement)
        for part in derived.portions(rows(_OTHERS), _AT_ONCE):
            rows(derived.EVENTS, [[key for _, _, keys, _ in part for key in keys]])
        derived.fold(rows, most=_AT_ONCE)
        for table in ("rebuilt_uploads", "repeated"):
            rows(f"drop table {table}")
    finally:
        rows(f"set memory_limit = '{limit}'")
    baselines.refresh_all(rows)


def _find_plain(rows: Rows) -> None:
    """Find the uploads whose attempts are told apart by their numbers."""
    [(tests,)] = rows("select coalesce(max(test_key), 0) from raw.tests")
    keys = [key for (key,) in rows("select upload_key from rebuilt_uploads order by upload_key")]
    step = max(_BITS_AT_ONCE // (tests + 1), 1)
    for start in range(0, len(keys), step):
        part = keys[start : start + step]
        rows(_NOT_PLAIN.format(tests=tests), [part[0], part[-1]])
