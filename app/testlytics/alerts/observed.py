"""What a store says now of everything that may be told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics.alerts.events import BROKEN, EXPIRED, FLAKY, RETRIES, RULES, SLOWER
from testlytics.alerts.state import Name, Open
from testlytics.api import no_runs

if TYPE_CHECKING:
    from testlytics.explain.outcomes import Series
    from testlytics.quarantine_file import Entry
    from testlytics_analytics.evidence import Tried
    from testlytics_analytics.histories import Run
    from testlytics_collector.store.one_test import Timed
    from testlytics_collector.store.reader import Window
    from testlytics_collector.store.store import Store
    from testlytics_collector.store.windowed import RunRow, WindowReader

RETRY_RUNS = 10
"""The share of tests that are tried again is that of so many newest runs of a project."""

_LEVEL_RUNS = 100
_FLAKY_VALUES = ("flake_rate", "flake_rate_low", "flake_rate_high", "grade", "p_flaky")
_BROKEN_VALUES = ("p_broken", "broken_commit", "broken_run", "last_good_commit", "failing_streak")
_SLOWER_VALUES = ("baseline_s", "current_s", "ratio", "since_run", "since_commit")


class Reading(NamedTuple):
    """What was measured.

    Attributes:
        value: See `events.RULES`; None where what it is about is gone.
        values: What is told of it.
    """

    value: float | None
    values: Mapping[str, Any]


class Observed(NamedTuple):
    """What a store says now.

    Attributes:
        runs: Runs of each project, the oldest first.
        commits: Their commits, by project and run.
        readings: What was measured, of all that is or was worth telling.
        owners: Tags `owner` of tests, by project and test id.
    """

    runs: Mapping[str, Sequence[str]]
    commits: Mapping[tuple[str, str], str | None]
    readings: Mapping[Name, Reading]
    owners: Mapping[tuple[str, str], str]


def observe(
    store: Path,
    window: Window,
    told: Mapping[Name, Open],
    *,
    entries: Iterable[Entry] = (),
    today: date,
    wait_s: float = 10.0,
) -> Observed:
    """Look at everything that may be told.

    Args:
        store: The store's file.
        window: Which runs.
        told: The alerts that are open: they are looked at though nothing speaks for them any more.
        entries: The quarantine.
        today: The day that its entries are held against, UTC.
        wait_s: How long to wait for a writer, in seconds.

    Raises:
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
    """
    from testlytics_collector.store.store import open_store

    readings: dict[Name, Reading] = {}
    with open_store(store, wait_s=wait_s) as opened:
        with opened.window(window) as asked:
            if asked.is_empty():
                raise no_runs(store)
            runs = asked.runs()
            readings.update(_outcomes(asked, runs))
            readings.update(_slower(asked))
            readings.update(_calmed(asked, runs, told.items(), readings))
            owners = asked.owner_tags()
        readings.update(_retries(opened, window))
    readings.update(_expired(entries, today))
    by_project: dict[str, list[str]] = {}
    for run in runs:
        by_project.setdefault(run.project, []).append(run.run_id)
    commits = {(run.project, run.run_id): run.commit for run in runs}
    return Observed(by_project, commits, readings, owners)


def _outcomes(asked: WindowReader, runs: Sequence[RunRow]) -> Iterator[tuple[Name, Reading]]:
    from testlytics_analytics.evidence import Tried, outages
    from testlytics_analytics.histories import History, Run
    from testlytics_analytics.status import judge

    tests = [Tried(History(*one[:5]), one.tries) for one in asked.histories()]
    suites = asked.suites()
    void = outages(
        [run.project for run in runs],
        [suite.failing for suite in suites],
        [suite.told for suite in suites],
    )
    told = [Run(run.run_id, run.commit, run.sources) for run in runs]
    histories = {one.history[:3]: one for one in tests}
    for one in judge(tests, told, void).rows:
        row, name = one._asdict(), (one.project, one.test_id, one.variant)
        flaky = max(one.p_flaky or 0.0, RULES[FLAKY].opens if one.status == "flaky" else 0.0)
        if one.status == "flaky" and _is_mended(histories[one[:3]], told, void):
            flaky = 0.0
        elif one.status != "flaky" and flaky >= RULES[FLAKY].opens:
            flaky = RULES[FLAKY].closes  # what is likely and not shown opens nothing
        broken = one.p_broken or 0.0
        yield Name(FLAKY, *name), Reading(flaky, {key: row[key] for key in _FLAKY_VALUES})
        yield Name(BROKEN, *name), Reading(broken, {key: row[key] for key in _BROKEN_VALUES})


def _is_mended(tried: Tried, runs: Sequence[Run], void: Collection[int]) -> bool:
    from testlytics_analytics.recovery import recovery

    return recovery(tried, runs, void).left == 0


def _slower(asked: WindowReader) -> Iterator[tuple[Name, Reading]]:
    from testlytics.report.slowdowns import slower_tests

    for row in slower_tests(asked).shown():
        name = Name(SLOWER, row["project"], row["test_id"], row["variant"])
        yield name, Reading(RULES[SLOWER].opens, {key: row[key] for key in _SLOWER_VALUES})


def _calmed(
    asked: WindowReader,
    runs: Sequence[RunRow],
    told: Iterable[tuple[Name, Open]],
    known: Mapping[Name, Reading],
) -> Iterator[tuple[Name, Reading]]:
    """Look at what was told and is not among what failed or got slower."""
    from testlytics.explain.outcomes import Series

    one = asked.one_test()
    for name, before in told:
        if name in known or name.test_id is None or name.kind not in {FLAKY, BROKEN, SLOWER}:
            continue
        tests = [
            test
            for test in one.fitting(name.test_id)
            if (test.project, test.test_id) == (name.project, name.test_id)
        ]
        key = (name.project, name.test_id, name.variant or "")
        seen = one.seen([test.key for test in tests]).get(key, []) if tests else []
        if not any(some.passes or some.failures for some in seen):
            yield name, Reading(None, before.values)
        elif name.kind != SLOWER:
            yield name, Reading(0.0, before.values)
        else:
            steps = one.variant_steps(name.project, key[2])
            series = Series(key, seen[-_LEVEL_RUNS:], steps, runs, ())
            beside = one.beside(key[2], steps, [test.key for test in tests], 200)
            yield name, _left_over(series, beside, before)


def _left_over(series: Series, beside: Timed, before: Open) -> Reading:
    """Say how much of a slowdown is left, by the newest level."""
    from testlytics.explain.durations import speeds

    levels = speeds(series, beside).levels
    numbers = [before.values.get(key) for key in ("baseline_s", "current_s", "ratio")]
    if not all(isinstance(one, int | float) and one > 0 for one in numbers) or numbers[2] == 1:
        return Reading(None, before.values)  # somebody wrote into the file
    if not levels:
        return Reading(RULES[SLOWER].closes, before.values)  # nothing known: it stays as it was
    was_s, now_s = before.values["baseline_s"], levels[-1]["median_s"]
    left = log(now_s / was_s) / log(before.values["ratio"])
    # Only the list of slower tests opens it again.
    value = min(left, RULES[SLOWER].closes)
    return Reading(value, {**before.values, "now_s": now_s})


def _retries(opened: Store, window: Window) -> Iterator[tuple[Name, Reading]]:
    newest = replace(window, last=min(window.last or RETRY_RUNS, RETRY_RUNS))
    with opened.window(newest) as asked:
        projects = [run.project for run in asked.runs()]
        tests, retried = dict.fromkeys(projects, 0), dict.fromkeys(projects, 0)
        for one in asked.tries():
            tests[projects[one.step]] += one.tests
            retried[projects[one.step]] += one.retried
    for project, number in tests.items():
        if number:
            rate = retried[project] / number
            yield (
                Name(RETRIES, project, None, None),
                Reading(rate, {"retry_rate": rate, "tests": number, "retried": retried[project]}),
            )


def _expired(entries: Iterable[Entry], today: date) -> Iterator[tuple[Name, Reading]]:
    from testlytics_collector.records import variant_text

    for one in entries:
        name = Name(EXPIRED, "", one.test, variant_text(dict(one.variant)))
        values = {"expires": one.expires.isoformat(), "reason": one.reason, "owner": one.owner}
        yield name, Reading(1.0 if one.is_expired(today) else 0.0, values)
