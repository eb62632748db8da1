"""Answers about a window of runs, without looking at more rows than they need.

What is asked of tests that failed is asked only of those; the others are counted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_collector.records import variant_text
from testlytics_collector.store.aliases import spelling
from testlytics_collector.store.calm import Calm, calm
from testlytics_collector.store.costs import (
    Cost,
    Known,
    PhaseCost,
    group_costs,
    known_tests,
    owner_tags,
    phase_costs,
)
from testlytics_collector.store.durations import (
    Durations,
    Phases,
    duration_matrices,
    names_of,
    phase_matrices,
    scope_sizes,
)
from testlytics_collector.store.gating import GateReader
from testlytics_collector.store.growth import Stays, Tries, fresh_tests, stays, tries
from testlytics_collector.store.impact import (
    Job,
    OnPath,
    Said,
    Trouble,
    critical_path,
    jobs,
    said,
    troubles,
)
from testlytics_collector.store.measured import Measured, series
from testlytics_collector.store.one_test import OneTest
from testlytics_collector.store.outcomes import BAD, GOOD
from testlytics_collector.store.reader import Window, select_window
from testlytics_collector.store.sample import SAMPLED
from testlytics_collector.store.speeds import Speeds, speeds
from testlytics_collector.store.watched import Watched, watched

if TYPE_CHECKING:
    import duckdb


_COLUMNS = 'project, run_id, position, started_at, "commit", sources, branch, complete, attempts'

_CHOSEN = f"""
create or replace temp table chosen as
select u.upload_key, u.run_key, u.variant_key, u.run_attempt, w.step, w.sample,
       (1::bigint << (w.step % 60)::integer) as bit  -- counts runs fast, and never too many
from raw.uploads u
join raw.runs r using (run_key)
join ({SAMPLED}) w using (project, run_id)
join raw.variants v using (variant_key)
where list_has_all(string_split(v.variant, ','), $1::varchar[])
order by u.upload_key
"""  # noqa: S608 - constants

_RUNS = """
select project, run_id, position, started_at::varchar, "commit", sources, branch, complete, attempts
from windowed
order by project, position
"""

_FAILING = """
create or replace temp table failing as
select e.test_key, e.variant_key, c.step, e.passes, e.failures
from derived.events e
join (select distinct run_key, variant_key, step from chosen) c
    on c.run_key = e.run_key and c.variant_key = e.variant_key
"""

# Under its old and its new name a test can be in one run.
_SUMMED = """
create or replace temp table failing as
select test_key, variant_key, step, sum(passes)::integer as passes,
       sum(failures)::integer as failures
from failing
group by all
"""

_TRIES = """
select test_key, variant_key, passes, failures
from failing
order by test_key, variant_key, step
"""

# A hexadecimal digit for each run, so that what was met in it adds up digit by digit.
_HISTORIES = f"""
with seen as (
    select a.test_key, c.variant_key, a.outcome, bitstring_agg(c.step, 0, {{last}}) as steps
    from raw.attempts a
    join chosen c using (upload_key)
    where a.test_key in (select test_key from failing)
    group by a.test_key, c.variant_key, a.outcome
)
select s.test_key, s.variant_key, t.project, t.test_id, v.variant, s.steps::varchar,
       case when s.outcome in {GOOD} then 1 when s.outcome in {BAD} then 2
            when s.outcome = 'skipped'::raw.outcome then 4 else 8 end as met
from seen s
semi join failing f on f.test_key = s.test_key and f.variant_key = s.variant_key
join raw.tests t on t.test_key = s.test_key
join raw.variants v on v.variant_key = s.variant_key
"""  # noqa: S608 - constants

_FAILED_BY_RUN = """
select step, count(*), sum(passes + failures)::bigint from failing group by step
"""

_DELIVERED = """
select c.step, sum(u.attempts)::bigint
from raw.uploads u
join chosen c using (upload_key)
group by c.step
"""

# There are few of them: nearly all rows are passed over without a look at their upload.
_UNTOLD = """
select c.step, sum(u.attempts)::bigint
from (
    select upload_key, count(*) as attempts
    from raw.attempts
    where upload_key in (select upload_key from chosen)
      and outcome in ('skipped'::raw.outcome, 'interrupted'::raw.outcome, 'unknown'::raw.outcome)
    group by upload_key
) u
join chosen c using (upload_key)
group by c.step
"""

_VOID = "update chosen set bit = 0, sample = null where step in (select unnest($1::integer[]))"

_ABSENT = "."
_LETTERS = {ord("0"): _ABSENT} | {
    ord(f"{met:x}"): (
        "L" if met & 3 == 3 else "F" if met & 2 else "P" if met & 1 else "S" if met & 4 else "?"
    )
    for met in range(1, 16)
}
"""What was met of a test in one run, as a letter: 1 a pass, 2 a failure, 4 a skip, 8 all else."""

_MET = bytes(sign != ord(_ABSENT) for sign in range(256))


class RunRow(NamedTuple):
    """One run of a window.

    Attributes:
        project: Namespace of its tests.
        run_id: Its name.
        position: Its place among the runs of the project.
        started_at: `YYYY-MM-DD HH:MM:SS`, UTC.
        commit: None where unknown.
        sources: Equal text, exactly equal sources; None where not known exactly.
        branch: None where unknown.
        complete: False where an upload did not end.
        attempts: How many attempts it holds, in all variants.
    """

    project: str
    run_id: str
    position: int
    started_at: str
    commit: str | None
    sources: str | None
    branch: str | None
    complete: bool
    attempts: int


class Failing(NamedTuple):
    """A test and variant that failed in the window.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant in canonical form.
        steps: The runs it was in, as indexes of `WindowReader.runs`, rising.
        verdicts: A letter for each: P passed, F failed, L both, S only skipped, ? neither.
        tries: (passed, failed) attempts of each F and L, in order.
    """

    project: str
    test_id: str
    variant: str
    steps: list[int]
    verdicts: str
    tries: list[tuple[int, int]]


class SuiteRun(NamedTuple):
    """What became of the whole suite in one run.

    Attributes:
        failing: Tests that failed, each variant counted; those that passed when tried again too.
        told: Tests that passed or failed. One that passed twice in a run counts twice.
    """

    failing: int
    told: int


class WindowReader:
    """Asks about one window.

    Args:
        connection: A connection to the store; gets temporary tables.
        window: Which runs, and which variants.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, window: Window) -> None:
        self._connection = connection
        self._spelled = spelling(connection, window.aliases)
        select_window(connection, window, _COLUMNS)
        pairs = variant_text(window.variant).split(",") if window.variant else []
        self._rows(_CHOSEN, pairs)

    def is_empty(self) -> bool:
        """Tell whether no upload of the window is of the variant asked for."""
        return not self._rows("select 1 from chosen limit 1")

    def runs(self) -> list[RunRow]:
        """Return the runs by project and position; the steps of histories are indexes into it."""
        return [RunRow(*row) for row in self._rows(_RUNS)]

    def histories(self) -> list[Failing]:
        """Return what became of each test and variant that failed in the window, in no order."""
        self.note_failures()
        [(runs,)] = self._rows("select count(*) from windowed")
        names: dict[tuple[int, int], tuple[str, str, str]] = {}
        met: dict[tuple[int, int], int] = {}
        for test, variant_key, project, test_id, variant, steps, what in self._rows(
            _HISTORIES.format(last=max(runs - 1, 0))
        ):
            series = test, variant_key
            names[series] = project, test_id, variant
            met[series] = met.get(series, 0) | int(steps, 16) * what
        tries = self._tries()
        told = ((key, f"{sum_:0{runs}x}".translate(_LETTERS)) for key, sum_ in met.items())
        return [
            Failing(
                *names[key],
                list(compress(range(runs), letters.encode().translate(_MET))),
                letters.replace(_ABSENT, ""),
                tries[key],
            )
            for key, letters in told
        ]

    def note_failures(self) -> None:
        """Gather who failed in which run: enough for `suites`, without their histories."""
        self._rows(_FAILING)
        if self._spelled is not str:
            self._rows(_SUMMED)

    def _tries(self) -> dict[tuple[int, int], list[tuple[int, int]]]:
        """Return (passes, failures) of each run with a failure, in order, by test and variant."""
        found: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for test, variant, passes, failures in self._rows(_TRIES):
            series = test, variant
            if series in found:
                found[series].append((passes, failures))
            else:
                found[series] = [(passes, failures)]
        return found

    def suites(self) -> list[SuiteRun]:
        """Say of each run how many tests failed in it, of how many; after `note_failures`."""
        told = dict(self._rows(_DELIVERED))
        for step, attempts in self._rows(_UNTOLD):
            told[step] -= attempts
        failing = dict.fromkeys(told, 0)
        for step, tests, attempts in self._rows(_FAILED_BY_RUN):
            failing[step] = tests
            told[step] -= attempts - tests
        [(runs,)] = self._rows("select count(*) from windowed")
        return [SuiteRun(failing.get(step, 0), told.get(step, 0)) for step in range(runs)]

    def calm(self, settled: int, void: Collection[int] = ()) -> Calm:
        """Count the tests and variants that did not fail; after `histories`.

        Args:
            settled: How many passed runs are enough.
            void: Steps of runs that do not count.
        """
        if void:
            self._rows(_VOID, list(void))
        return calm(self._rows, settled)

    def speeds(
        self, *, order: str, slowest: bool, limit: int | None, among: Collection[int] | None = None
    ) -> Speeds:
        """Summarise the durations of passed attempts; see `speeds.speeds`."""
        return speeds(self._rows, order=order, slowest=slowest, limit=limit, among=among)

    def known_tests(self) -> list[Known]:
        """Return the tests of the window's projects; see `costs.known_tests`."""
        return known_tests(self._rows)

    def owner_tags(self) -> dict[tuple[str, str], str]:
        """Return the tags `owner` of tests; see `costs.owner_tags`."""
        return owner_tags(self._rows)

    def costs(self, labels: Mapping[int, int]) -> list[Cost]:
        """Sum up what groups of tests cost; see `costs.group_costs`."""
        return group_costs(self._rows, labels)

    def phase_costs(self, labels: Mapping[int, int]) -> list[PhaseCost]:
        """Sum up what the phases of groups of tests cost; see `costs.phase_costs`."""
        return phase_costs(self._rows, labels)

    def durations(self, runs: int) -> list[Durations]:
        """Return the durations of passed attempts; see `durations.duration_matrices`."""
        return duration_matrices(self._asked, runs=runs)

    def phases(self, durations: Durations, keys: list[int]) -> Phases:
        """Return the durations of the parts of tests; see `durations.phase_matrices`."""
        return phase_matrices(self._asked, durations, keys)

    def scope_sizes(self, project: str, scopes: list[str]) -> dict[str, int]:
        """Count the tests in scopes; see `durations.scope_sizes`."""
        return scope_sizes(self._asked, project, scopes)

    def stays(self, durations: Durations) -> Stays:
        """Say when the tests of a matrix came and went; see `growth.stays`."""
        return stays(self._asked, durations)

    def fresh_tests(self) -> list[int]:
        """Return the keys of tests that were first seen in the window; see `growth`."""
        return fresh_tests(self._asked)

    def tries(self) -> list[Tries]:
        """Count how many tests were tried again; see `growth.tries`."""
        return tries(self._asked)

    def jobs(self) -> list[Job]:
        """Say what jobs took; see `impact.jobs`."""
        return jobs(self._rows)

    def troubles(self) -> list[Trouble]:
        """Say which tests failed in which jobs; see `impact.troubles`."""
        return troubles(self._rows)

    def critical_path(self, most: int) -> list[OnPath]:
        """Say which tests make jobs long, after `jobs`; see `impact.critical_path`."""
        return critical_path(self._rows, most)

    def measurements(self) -> list[Measured]:
        """Return what else was measured; see `measured.series`."""
        return series(self._rows)

    def said(self) -> list[Said]:
        """Return what failures said; see `impact.said`."""
        return said(self._rows)

    def names(self, keys: list[int]) -> dict[int, str]:
        """Return the ids of tests by the keys that `durations` gives."""
        return names_of(self._asked, keys)

    def variant_runs(self, variant: str) -> list[int]:
        """Return the runs that have a variant, given in canonical form, as steps, rising."""
        return [
            int(step)
            for (step,) in self._rows(
                """select distinct c.step from chosen c join raw.variants v using (variant_key)
                   where v.variant = $1 order by 1""",
                variant,
            )
        ]

    def watched(self, names: list[str]) -> Watched:
        """Look at a few tests by name; see `watched.watched`."""
        return watched(self._rows, names)

    def one_test(self) -> OneTest:
        """Ask everything about a few tests; see `one_test`."""
        return OneTest(self._rows)

    def gate(self) -> GateReader:
        """Ask about the newest run; see `gating.GateReader`."""
        return GateReader(self._asked)

    def _asked(self, sql: str, *values: object) -> duckdb.DuckDBPyConnection:
        return self._connection.execute(self._spelled(sql), list(values))

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._asked(sql, *values).fetchall()
        return found
