"""Made-up history for the scale benchmark: as large as asked for, the same every time.

21,500 parametrised tests with ids of 98 to 151 characters, made of words; lognormal durations with
a spread and a machine factor of their own; flaky tests, broken spells, outages and steps; retries;
failure texts of 1 to 4 KB from 3,000 templates, three in ten with an address that comes once only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from testlytics_collector.records import Attempt, Failure, Outcome, Upload
from testlytics_collector.store import rebuild

TESTS = 21_500
A_RUN = 20_098
"""Results of a run: not every test is in every run."""

HOUR_US = 3_600_000_000
START_US = 1_700_000_000_000_000

Rows = Callable[..., list[tuple[Any, ...]]]

_WORDS = """
account address alert amount archive audit balance basket batch billing booking branch budget cache
calendar catalog channel charge checkout claim client config contract country coupon currency
customer delivery deposit discount document email employee event export feature filter gateway
history import index invoice ledger locale message order parcel partner payment period policy price
product profile query refund region report retry schedule session shipment stock token
""".split()  # noqa: SIM905 - as a list it would take a line for each

_WORD = f"create or replace temp macro word(n) as {_WORDS}[1 + (n % {len(_WORDS)})::integer]"

_IDS = f"""
select i + 1 as test_key,
       'tests/' || word(m) || '/' || word(m // 7) || '/test_' || word(hash(m, 1)) || '_'
       || word(hash(m, 2)) || '_' || m || '.py::Test' || word(hash(m, i % 3)) || '::test_'
       || word(hash(i // 6, 3)) || '_' || word(hash(i // 6, 4)) || '_' || word(hash(i // 6, 5))
       || '_is_' || word(hash(i // 6, 6)) || '[' || word(hash(i, 7)) || '-' || i % 54
       || array_to_string(
              list_transform(range((hash(i, 8) % 5)::bigint), lambda k: '-' || word(hash(i, k))), ''
          ) || ']' as test_id
from (select i, i // 54 as m from range({TESTS}) t(i))
order by i
"""  # noqa: S608 - constants

_TESTS = f"insert into raw.tests select test_key, 'scale', test_id from ({_IDS})"  # noqa: S608

_RUNS = """
insert into raw.runs select i + 1, 'scale', 'run-' || i from range($1, $2) t(i);
"""

_UPLOADS = f"""
insert into raw.uploads
select i + 1, i + 1, 1, 'u' || i, md5(i::varchar), 'junit', 'scale', 1, null,
       {START_US} + i * {HOUR_US}, {START_US} + i * {HOUR_US} + 600000000, true, 0,
       {A_RUN}, {START_US} + i * {HOUR_US}, md5('c' || i // 8 * 5), md5('t' || i // 8 * 5), false,
       'main', null, 'scale', null
from range($1, $2) t(i)
"""  # noqa: S608 - constants

_ROLLED = f"""
create or replace temp table rolled as
select r.i as run, t.i as test,
       (hash(t.i, r.i, 1) % 1000000) / 1e6 as u1, (hash(t.i, r.i, 2) % 1000000) / 1e6 as u2,
       (hash(t.i, r.i, 3) % 1000000) / 1e6 as u3,
       (hash(r.i, 'machine') % 1000) / 1e3 as machine,
       (hash(t.i, 'kind') % 10000) / 1e4 as kind,
       (hash(t.i, 'base') % 10000) / 1e4 as base
from range($1, $2) r(i), range({TESTS}) t(i)
where hash(t.i, r.i // 50, 'in') % 1000 < 935
"""  # noqa: S608 - constants

_JUDGED = """
create or replace temp table told as
select run, test, u3,
       case when kind < 0.03 then u3 < 0.001 + 0.35 * kind / 0.03
            when kind < 0.034 then (run + test) % 900 < 6
            when hash(run, 'outage') % 400 = 0 then u3 < 0.03
            else u3 < 0.00002 end as fails,
       (exp(4.2 + 2.6 * (base - 0.5) * 2
            + (0.05 + 0.3 * (base * 7 % 1)) * sqrt(-2 * ln(u1 + 1e-9)) * cos(6.283185307 * u2)
            + 0.25 * machine + case when kind > 0.98 and run > 300 then 0.4 else 0 end)
        * 1000)::bigint as duration_us
from rolled
"""

_MESSAGES = """
insert into raw.messages
select $1 + row_number() over (order by digest), digest, 'AssertionError', message,
       text_of(template, message), place_of(template)
from (
    select distinct md5(message) as digest, message, template
    from (select message_of(run, test, u3) as message, test * 31 % 3000 as template
          from told where fails)
) n
anti join raw.messages m using (digest)
"""

_ATTEMPTS = """
insert into raw.attempts
select f.run + 1, f.test + 1, n, case when f.fails and n = 1 then 'failed' else 'passed' end,
       f.duration_us, null, null, null, null, case when f.fails and n = 1 then m.message_key end
from told f
cross join lateral (
    select unnest(case when f.fails and f.u3 * 1e6 % 2 < 1 then [1, 2] else [1] end)
) a(n)
left join raw.messages m on f.fails and m.digest = md5(message_of(f.run, f.test, f.u3))
order by f.run, f.test, n
"""

_MACROS = (
    _WORD,
    """create or replace temp macro message_of(run, test, u) as
           'expected ' || (test * 31 % 3000) || ' of the ' || word(hash(test, 'service'))
           || ' service, got another'
           || case when hash(run, test) % 10 < 3
                   then ' at 0x' || md5(run || ' ' || test)[:12] else '' end""",
    """create or replace temp macro place_of(template) as
           'src/' || word(hash(template, 'place')) || '.py:' || hash(template, 'line') % 900""",
    # The frames follow from the template: an address tells only the last line from others.
    """create or replace temp macro text_of(template, message) as
           array_to_string(
               list_transform(
                   range(10 + (hash(template, 'deep') % 33)::bigint),
                   lambda k: '  File "/srv/app/' || word(hash(template, k, 1)) || '/'
                       || word(hash(template, k, 2)) || '.py", line '
                       || hash(template, k, 3) % 900 || ', in ' || word(hash(template, k, 4)) || '_'
                       || word(hash(template, k, 5)) || chr(10) || '    '
                       || word(hash(template, k, 6)) || ' = self.' || word(hash(template, k, 7))
                       || '(' || word(hash(template, k, 8)) || ')' || chr(10)
               ), ''
           ) || 'AssertionError: ' || message""",
)


def _define(rows: Rows) -> None:
    for macro in _MACROS:
        rows(macro)


def fill(rows: Rows, runs: int, *, portion: int = 50) -> None:
    """Write the facts of so many runs straight into the tables of a new store, and what follows.

    Args:
        rows: Runs one statement with its parameters.
        runs: How many.
        portion: How many at once.
    """
    rows("set threads = 2")
    rows("set memory_limit = '2GB'")
    _define(rows)
    rows("insert into raw.variants values (1, 'os=linux')")
    rows(_TESTS)
    for first in range(0, runs, portion):
        last = min(first + portion, runs)
        rows(_RUNS, [first, last])
        rows(_UPLOADS, [first, last])
        rows(_ROLLED, [first, last])
        rows(_JUDGED)
        [(base,)] = rows("select coalesce(max(message_key), 0) from raw.messages")
        rows(_MESSAGES, [base])
        rows(_ATTEMPTS)
    rows(
        """update raw.uploads set attempts = n from (
               select upload_key, count(*) as n from raw.attempts group by all
           ) c where c.upload_key = uploads.upload_key"""
    )
    rebuild.rebuild(rows)


def further_runs(rows: Rows, first: int, count: int) -> Iterator[tuple[Upload, list[Attempt]]]:
    """Yield more runs of the same kind, as a reader gives them.

    Args:
        rows: Runs one statement, on any connection.
        first: Number of the first.
        count: How many.
    """
    _define(rows)
    ids = [name for _, name in rows(_IDS)]
    for number in range(first, first + count):
        rows(_ROLLED, [number, number + 1])
        rows(_JUDGED)
        told = rows(
            """select test, fails, duration_us, message,
                      if(fails, text_of(test * 31 % 3000, message), null),
                      if(fails, place_of(test * 31 % 3000), null)
               from (select *, if(fails, message_of(run, test, u3), null) as message from told)
               order by test"""
        )
        yield (
            Upload(
                f"u{number}",
                f"run-{number}",
                project="scale",
                started_us=START_US + number * HOUR_US,
                complete=True,
                commit=f"{number // 8:040x}",
                tree_sha=f"{number // 8:040x}",
                dirty=False,
                branch="main",
                variant={"os": "linux"},
            ),
            [
                Attempt(
                    ids[test],
                    1,
                    Outcome.FAILED if fails else Outcome.PASSED,
                    us,
                    failure=Failure("AssertionError", why, text, place) if fails else None,
                )
                for test, fails, us, why, text, place in told
            ],
        )
