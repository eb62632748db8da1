"""Lists of runs, tests and failures as plain rows; no frame library is loaded for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_collector.records import variant_text
from testlytics_collector.store.aliases import spelling
from testlytics_collector.store.outcomes import BAD, GOOD
from testlytics_collector.store.reader import Window, select_window

if TYPE_CHECKING:
    import duckdb

_ALL = 1 << 62

_CHOSEN = """
create or replace temp table chosen_uploads as
select w.project, w.run_id, r.run_key, u.upload_key, u.variant_key, v.variant, u.exit_status
from windowed w
join raw.runs r using (project, run_id)
join raw.uploads u using (run_key)
join raw.variants v using (variant_key)
where list_has_all(string_split(v.variant, ','), $1::varchar[])
order by u.upload_key
"""

_VERDICTS = f"""
    select
        u.run_key, u.variant_key, a.test_key,
        count_if(a.outcome in {GOOD}) as passes,
        count_if(a.outcome in {BAD}) as failures,
        count_if(a.outcome = 'skipped'::raw.outcome) as skips,
        count(a.duration_us) filter (where a.outcome = 'passed'::raw.outcome) as timed,
        sum(a.duration_us) filter (where a.outcome = 'passed'::raw.outcome) as total_us,
        sum(a.duration_us) as all_us
    from raw.attempts a
"""  # noqa: S608 - constants

_SUMS = """
    count_if(passes > 0 and failures = 0) as passed,
    count_if(failures > 0 and passes = 0) as failed,
    count_if(failures > 0 and passes > 0) as flaky,
    count_if(skips > 0 and passes = 0 and failures = 0) as skipped
"""

_RUNS = f"""
with page as (
    select w.*, c.run_key, c.variants, c.exit_status
    from (
        select project, run_id, run_key,
               list(distinct variant order by variant) as variants,
               -- Of several, one that tells of trouble.
               coalesce(max(exit_status) filter (where exit_status <> 0), max(exit_status))
                   as exit_status
        from chosen_uploads
        group by all
    ) c
    join windowed w using (project, run_id)
    order by w.started_at desc, w.project, w.position desc
    limit $1
),
verdict as ({_VERDICTS}
    join chosen_uploads u using (upload_key)
    where u.run_key in (select run_key from page)
    group by all
),
counted as (
    select run_key, count(distinct test_key) as tests, {_SUMS}, sum(all_us) / 1e6 as tests_s
    from verdict
    group by run_key
)
select
    p.project, p.run_id, strftime(p.started_at, '%Y-%m-%d %H:%M:%S') as started_at, p.branch,
    p.commit, p.variants, coalesce(c.tests, 0) as tests, coalesce(c.passed, 0) as passed,
    coalesce(c.failed, 0) as failed, coalesce(c.flaky, 0) as flaky,
    coalesce(c.skipped, 0) as skipped,
    case when p.ended_at >= p.started_at
         then date_diff('microsecond', p.started_at, p.ended_at) / 1e6 end as duration_s,
    c.tests_s, p.complete, p.exit_status, p.gate
from page p
left join counted c using (run_key)
order by p.started_at desc, p.project, p.position desc
"""  # noqa: S608 - constants

_KEPT = """
create or replace temp table listed as
select test_key, variant_key, sum(seen) as seen, sum(passed) as passed, sum(failed) as failed,
       sum(flaky) as flaky, sum(skipped) as skipped, sum(timed) as timed,
       sum(total_us) as total_us, max(last_us) as last_us
from derived.state
where test_key in (select test_key from named)
  and variant_key in (
      select variant_key from raw.variants
      where list_has_all(string_split(variant, ','), $1::varchar[])
  )
group by all
"""

_COUNTED = f"""
create or replace temp table listed as
with verdict as ({_VERDICTS}
    join chosen_uploads u using (upload_key)
    where a.test_key in (select test_key from named)
    group by all
)
select v.test_key, v.variant_key, count(*) as seen, {_SUMS}, sum(v.timed) as timed,
       sum(v.total_us) as total_us, max(s.last_us) as last_us
from verdict v
join derived.suites s using (run_key, variant_key)
group by all
"""  # noqa: S608 - constants

_NAMED = r"""
create or replace temp table named as
select test_key, project, test_id from raw.tests
where project = coalesce($1, project) and ($2 is null or test_id ilike $2 escape '\')
"""

SORTS = {
    "name": "n.project, n.test_id, v.variant",
    "failures": "(l.failed + l.flaky) / nullif(l.passed + l.failed + l.flaky, 0) desc nulls last, "
    "n.project, n.test_id, v.variant",
    "duration": "l.total_us / nullif(l.timed, 0) desc nulls last, n.project, n.test_id, v.variant",
    "last": "l.last_us desc, n.project, n.test_id, v.variant",
}
"""Orders of the list of tests."""

_PAGE = """
create or replace temp table page as
select row_number() over (order by {order}) as place, n.project, n.test_id, v.variant, l.*
from listed l
join named n using (test_key)
join raw.variants v using (variant_key)
qualify place <= $1
"""

_TESTS = f"""
with latest as (
    select p.test_key, p.variant_key, max(s.run_key) as run_key
    from page p
    join derived.suites s on s.variant_key = p.variant_key and s.last_us = p.last_us
    join raw.runs r on r.run_key = s.run_key and r.project = p.project
    group by all
),
uploads as (
    select u.upload_key, u.run_key, u.variant_key from raw.uploads u
    where (u.run_key, u.variant_key) in (select (run_key, variant_key) from latest)
),
verdict as ({_VERDICTS}
    join uploads u using (upload_key)
    where a.test_key in (select test_key from page)
    group by all
),
owners as (
    select n.test_key, arg_max(n.value, n.upload_key) as owner
    from raw.notes n
    where n.kind = 'tag' and n.name = 'owner' and n.value <> ''
      and n.test_key in (select test_key from page)
    group by n.test_key
)
select
    p.project, p.test_id, p.variant, p.seen::bigint as runs, p.passed::bigint as passed,
    p.failed::bigint as failed, p.flaky::bigint as flaky, p.skipped::bigint as skipped,
    case when d.passes > 0 and d.failures > 0 then 'flaky' when d.failures > 0 then 'failed'
         when d.passes > 0 then 'passed' when d.skips > 0 then 'skipped' end as last_verdict,
    r.run_id as last_run_id,
    strftime(make_timestamp(p.last_us), '%Y-%m-%d %H:%M:%S') as last_run_at,
    (p.total_us / nullif(p.timed, 0)) / 1e6 as mean_s,
    o.owner
from page p
left join latest m on m.test_key = p.test_key and m.variant_key = p.variant_key
left join verdict d on d.test_key = m.test_key and d.variant_key = m.variant_key
                   and d.run_key = m.run_key
left join raw.runs r on r.run_key = d.run_key
left join owners o on o.test_key = p.test_key
order by p.place
"""  # noqa: S608 - constants

_FAILED = """
from derived.events e
join (select distinct project, run_id, run_key, variant_key, variant from chosen_uploads) c
    using (run_key, variant_key)
join windowed w on w.project = c.project and w.run_id = c.run_id
join named n using (test_key)
"""
_FAILURES = f"""
select
    c.project, c.run_id, strftime(w.started_at, '%Y-%m-%d %H:%M:%S') as started_at, w.branch,
    w.commit, n.test_id, c.variant,
    case when e.passes > 0 then 'flaky' else 'failed' end as verdict,
    e.failures, e.passes, m.type, left(split_part(trim(m.message), chr(10), 1), 300) as message,
    m.place
{_FAILED}
left join raw.messages m using (message_key)
order by w.started_at desc, c.project, n.test_id, c.variant
limit $1
"""


class Page(NamedTuple):
    """The first rows of a list.

    Attributes:
        rows: Plain values by column, first row first.
        total: How many rows the whole list has.
    """

    rows: list[dict[str, Any]]
    total: int


class Lists:
    """Asks for lists.

    Args:
        connection: A connection to the store; gets temporary tables.
        window: Which runs, and which variants.
        pattern: What the ids of the tests must hold: a part of them, or with `*` and `?` in it the
            whole id; no difference between capitals and small letters; None for all tests.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, window: Window, pattern: str | None = None
    ) -> None:
        self._connection = connection
        self._spelled = spelling(connection, window.aliases)
        self._window = window
        self._pattern = pattern
        self._pairs = variant_text(window.variant).split(",") if window.variant else []

    def runs(self, limit: int | None) -> Page:
        """List runs, the newest first.

        Args:
            limit: How many rows; None for all.

        Returns:
            `project`, `run_id`, `started_at` (UTC text), `branch`, `commit` (null where unknown),
            `variants` (list of texts), `tests` (distinct), `passed`, `failed`, `flaky`, `skipped`
            (verdicts, one for each test and variant), `duration_s` (from the first start to the
            last end; null where no end is known), `tests_s` (sum of all attempts; null where
            none was measured), `complete`, `exit_status` (null where unknown), `gate` (blocked, or
            passed after it was blocked; else null).
        """
        self._choose()
        [(total,)] = self._rows("select count(distinct run_key) from chosen_uploads")
        return Page(self._dicts(_RUNS, _ALL if limit is None else limit), total)

    def cases(self, limit: int | None, *, sort: str = "name") -> Page:
        """List tests, each variant apart.

        Counts come from the whole history, pruned runs included, unless the window is narrower.

        Args:
            limit: How many rows; None for all.
            sort: A key of `SORTS`.

        Returns:
            `project`, `test_id`, `variant`, `runs` (it was in), `passed`, `failed`, `flaky`,
            `skipped` (verdicts), `last_verdict` (null where nothing speaks for or against it, or
            its last run was pruned), `last_run_id` (null likewise), `last_run_at` (UTC text),
            `mean_s` (seconds of passed attempts; null without any), `owner` (of its tag `owner`,
            null without).
        """
        self._name()
        window = self._window
        if (window.branch, window.since_us, window.run_id, window.last) == (None,) * 4:
            self._rows(_KEPT, self._pairs)
        else:
            self._choose()
            self._rows(_COUNTED)
        [(total,)] = self._rows("select count(*) from listed")
        self._rows(_PAGE.format(order=SORTS[sort]), _ALL if limit is None else limit)
        return Page(self._dicts(_TESTS), total)

    def is_empty(self) -> bool:
        """Tell whether no upload of the window is of the variant asked for."""
        self._choose()
        return not self._rows("select 1 from chosen_uploads limit 1")

    def failures(self, limit: int | None) -> Page:
        """List failed and flaky verdicts, the newest run first.

        Args:
            limit: How many rows; None for all.

        Returns:
            `project`, `run_id`, `started_at` (of the run, UTC text), `branch`, `commit`, `test_id`,
            `variant`, `verdict` (failed or flaky), `failures`, `passes` (attempts), and of the
            last attempt that failed and said why: `type`, `message` (its first line, at most 300
            characters), `place`; null where not known.
        """
        self._name()
        self._choose()
        [(total,)] = self._rows(f"select count(*) {_FAILED}")
        return Page(self._dicts(_FAILURES, _ALL if limit is None else limit), total)

    def _choose(self) -> None:
        select_window(self._connection, self._window)
        self._rows(_CHOSEN, self._pairs)

    def _name(self) -> None:
        like = None if self._pattern is None else _like(self._pattern)
        self._rows(_NAMED, self._window.project, like)

    def _dicts(self, sql: str, *values: object) -> list[dict[str, Any]]:
        found = self._connection.execute(self._spelled(sql), list(values))
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        told = self._connection.execute(self._spelled(sql), list(values))
        found: list[tuple[Any, ...]] = told.fetchall()
        return found


def _like(pattern: str) -> str:
    """Write a part of an id, or a glob, as what SQL's `like` takes; `[` is only itself."""
    plain = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if not any(sign in plain for sign in "*?"):
        return f"%{plain}%"
    return plain.replace("*", "%").replace("?", "_")
