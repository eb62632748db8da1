"""What follows from the facts, said a second time in plain SQL, and compared row by row.

Written from the meaning of the columns, not from the code that keeps them: no statement is shared.
"""

from __future__ import annotations

from scripts.scale_data import Rows

_VERDICTS = """
create or replace temp table truth_verdicts as
select u.run_key, u.variant_key, a.test_key,
       sum(case when a.outcome::varchar in ('passed', 'xpassed', 'xfailed') then 1 else 0 end)
           as passes,
       sum(case when a.outcome::varchar in ('failed', 'errored', 'crashed') then 1 else 0 end)
           as failures,
       sum(case when a.outcome::varchar = 'skipped' then 1 else 0 end) as skips,
       count(*) as attempts,
       sum(case when a.outcome::varchar = 'passed' and a.duration_us is not null then 1 else 0 end)
           as timed,
       sum(case when a.outcome::varchar = 'passed' then coalesce(a.duration_us, 0) else 0 end)
           as total_us
from raw.uploads u, looked_at a
where a.upload_key = u.upload_key
group by u.run_key, u.variant_key, a.test_key
"""

_EVENTS = """
select v.run_key, v.variant_key, v.test_key, v.passes, v.failures, v.skips, v.attempts,
       m.message_key
from truth_verdicts v
left join (
    select u.run_key, u.variant_key, a.test_key, a.message_key,
           row_number() over (
               partition by u.run_key, u.variant_key, a.test_key
               order by u.run_attempt desc, u.upload_key desc, a.attempt desc
           ) as back
    from looked_at a
    join raw.uploads u on u.upload_key = a.upload_key
    where a.outcome::varchar in ('failed', 'errored', 'crashed') and a.message_key is not null
) m
on m.back = 1 and m.run_key = v.run_key and m.variant_key = v.variant_key
   and m.test_key = v.test_key
where v.failures > 0
"""

_STATE = """
select v.test_key, v.variant_key, s.month, count(*) as seen,
       sum((v.passes > 0 and v.failures = 0)::int) as passed,
       sum((v.passes = 0 and v.failures > 0)::int) as failed,
       sum((v.passes > 0 and v.failures > 0)::int) as flaky,
       sum((v.passes = 0 and v.failures = 0 and v.skips > 0)::int) as skipped,
       sum(v.timed) as timed, sum(v.total_us) as total_us,
       min(s.began) as first_us, max(s.ended) as last_us
from truth_verdicts v
join (
    select run_key, variant_key, min(told) as began, max(told) as ended,
           datepart('year', to_timestamp(min(told) // 1000000) at time zone 'UTC') * 12
           + datepart('month', to_timestamp(min(told) // 1000000) at time zone 'UTC') - 1 as month
    from (select *, ifnull(started_us, ingested_us) as told from raw.uploads)
    group by run_key, variant_key
) s on s.run_key = v.run_key and s.variant_key = v.variant_key
group by v.test_key, v.variant_key, s.month
"""

_MARKS = """
select project, max(run_key) as run_key
from (
    select r.project, r.run_key,
           (select count(*) from raw.runs e where e.project = r.project and e.run_key <= r.run_key)
               as place,
           (select count(*) from raw.runs e where e.project = r.project) as runs
    from raw.runs r
)
where place % 25 = 0 and place < runs
group by project
"""
"""The last run that closes a full 25 and has a run behind it."""

_BASELINES = f"""
with chosen as (
    select r.project, r.run_key
    from raw.runs r
    join ({_MARKS}) m on m.project = r.project and r.run_key <= m.run_key
    qualify row_number() over (partition by r.project order by r.run_key desc) <= 100
),
d as (
    select c.project, a.test_key, u.variant_key, a.duration_us::double as us,
           row_number() over w as place, count(*) over (partition by c.project, a.test_key,
               u.variant_key) as n
    from looked_at a
    join raw.uploads u on u.upload_key = a.upload_key
    join chosen c on c.run_key = u.run_key
    where a.outcome::varchar = 'passed' and a.duration_us is not null
    window w as (partition by c.project, a.test_key, u.variant_key order by a.duration_us)
),
points as (
    select project, test_key, variant_key, n,
           avg(us) filter (where place in ((n + 1) // 2, n // 2 + 1)) as median_us,
           -- Of a sum of two products the last bit is the compiler's choice: so not by hand.
           quantile_cont(us, 0.95) as p95_us
    from d group by all
)
select project, test_key, variant_key, n as samples, median_us, p95_us
from points
"""  # noqa: S608 - a constant

_TRUTH = {"events": _EVENTS, "state": _STATE, "marks": _MARKS, "baselines": _BASELINES}


def compare(rows: Rows, one_in: int = 1) -> dict[str, tuple[int, int]]:
    """Compare what a store keeps beside its facts with what the facts say.

    Args:
        rows: Runs one statement on the store; nothing may be pruned of it.
        one_in: Only each so manieth test is compared: all attempts of very large stores do not fit.

    Returns:
        For each derived table: how many rows it keeps, and how many rows are in only one of it
        and the truth. Doubles are equal only bit by bit.
    """
    rows("set memory_limit = '6GB'")
    chosen = f"test_key % {int(one_in)} = 0"
    rows(f"create or replace temp view looked_at as from raw.attempts where {chosen}")
    rows(_VERDICTS)
    found = {}
    for table, truth in _TRUTH.items():
        among = "" if table == "marks" else f"where {chosen}"
        rows(f"create or replace temp table truth as {truth}")
        rows(f"create or replace temp view kept as from derived.{table} {among}")
        [(kept,)] = rows("select count(*) from kept")
        [(differing,)] = rows(
            """select count(*) from (
                   (from kept except all from truth) union all (from truth except all from kept)
               )"""
        )
        found[table] = (int(kept), int(differing))
    return found
