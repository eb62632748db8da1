"""Judging one run against what came before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from testlytics.gate import failures as failing
from testlytics.gate import measurements as measuring
from testlytics.gate.baseline import RUNS, Baseline, find_baseline
from testlytics.gate.findings import (
    IGNORE,
    WARN,
    Cause,
    Finding,
    GateResult,
    LegResult,
    Policy,
    in_order,
)
from testlytics.report.sections import count, percent
from testlytics_analytics import status
from testlytics_analytics.evidence import Tried, outages, systemic_runs
from testlytics_analytics.histories import History, Run
from testlytics_collector.errors import NotFoundError
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store

if TYPE_CHECKING:
    from testlytics_analytics.status import Judged
    from testlytics_collector.store.gating import FailedNow, GateReader, Gone, Leg
    from testlytics_collector.store.measured import Measured
    from testlytics_collector.store.store import Store
    from testlytics_collector.store.windowed import Failing, RunRow, WindowReader

_GONE_RUNS = 3
_TIMED_RUNS = 10
_PARTIAL = 0.2
_MASS = 0.5
_MASS_TESTS = 5
_NO_PAST = failing.Past("", "F", None)

Excused = Callable[[str, str], str | None]
"""Says of a test and variant why its failure does not count; None where it does."""


class _Seen(NamedTuple):
    """What the parts of the judgement share.

    Attributes:
        base: The runs that are looked at.
        runs: They, as steps refer to them.
        start: Step of the change's first run.
        void: Steps of the baseline that say nothing of any one test.
        is_unusual: Whether many more tests fail in the run to judge than in those before.
    """

    base: Baseline
    runs: list[RunRow]
    start: int
    void: frozenset[int]
    is_unusual: bool


def gate(  # noqa: PLR0913 - keywords with defaults
    store: Path,
    *,
    project: str | None = None,
    run_id: str | None = None,
    base: str | None = None,
    limit: int = RUNS,
    policy: Policy | None = None,
    excused: Excused = lambda _test, _variant: None,
    wait_s: float = 10.0,
) -> GateResult:
    """Judge a run against its baseline.

    Args:
        store: The store's file.
        project: Namespace of the tests; of all where None.
        run_id: The run; the one whose upload came last where None.
        base: Branch of the baseline; found out where None.
        limit: At most so many runs of it.
        policy: What blocks; the defaults where None.
        excused: Says whose failures do not count: the quarantine.
        wait_s: How long to wait for a writer, in seconds.

    Raises:
        NotFoundError: There is no store, or no such run in it.
        StoreError: The store cannot be opened or read.
    """
    policy = policy or Policy()
    with open_store(store, wait_s=wait_s) as opened:
        run = opened.run_to_judge(project, run_id)
        if run is None:
            raise NotFoundError(
                f"The store {store} holds no run{f' {run_id!r}' if run_id else ''} to judge.",
                slug="no-runs",
                hint="Ingest the results of the run first; list what there is: testlytics runs",
            )
        chosen = find_baseline(opened, run, base=base, limit=limit)
        return _judge(opened, chosen, policy, excused)


def mark(store: Path, result: GateResult, now_us: int, *, wait_s: float = 10.0) -> None:
    """Write down in the store what the gate said, where it is news.

    A blocked run stays in the history like any other: a baseline without the runs that were
    blocked would say that nothing like them ever happens.

    Args:
        store: The store's file.
        result: The answer.
        now_us: The present, microseconds since the epoch.
        wait_s: How long to wait for others who use the store, in seconds.

    Raises:
        StoreError: The store cannot be written.
    """
    verdict = "blocked" if result.verdict == "blocked" else "passed"
    if verdict == (result.said_before or "passed"):
        return
    with open_store(store, write=True, create=False, wait_s=wait_s) as opened:
        opened.mark_gate(result.project, result.run_id, verdict, now_us)


def _judge(opened: Store, base: Baseline, policy: Policy, excused: Excused) -> GateResult:
    looked_at = [*base.runs, *base.change, base.run]
    window = Window(project=base.run.project, run_ids=tuple(one.run_id for one in looked_at))
    with opened.window(window) as asked:
        runs = asked.runs()
        histories = asked.histories()
        seen = _seen(base, runs, asked)
        reader = asked.gate()
        now = reader.failures()
        texts = reader.texts()
        legs = [_leg(leg, asked, seen, policy) for leg in reader.legs()]
        pasts = _pasts(now, histories, seen)
        known = failing.fingerprints_of(one for one in texts if one.step < seen.start)
        found = _of_failures(now, pasts, known, excused)
        notes = [*base.notes, *_notes(seen)]
        measured = asked.measurements()
        gone, partial = _of_gone(reader, legs, seen) if legs or not measured else ([], [])
        causes = failing.causes(now, texts, runs)
        slower, legs, waiting = _of_durations(asked, reader, legs, seen)
    if seen.is_unusual and causes and causes[0].failures >= _MASS * len(now):
        found = [_systemic(now, legs, causes), *_apart(found, causes[0])]
    worse = _of_measurements(measured, seen, whole=not partial)
    told = _leveled([*found, *gone, *slower, *worse.findings], legs, policy)
    return GateResult(
        project=base.run.project,
        run_id=base.run.run_id,
        commit=base.run.commit,
        branch=base.run.branch,
        pull_request=base.run.pull_request,
        complete=base.run.complete,
        baseline_branch=base.branch,
        baseline_runs=len(base.runs),
        baseline_from=base.runs[0].commit if base.runs else None,
        baseline_to=base.runs[-1].commit if base.runs else None,
        change_runs=len(base.change),
        legs=legs,
        findings=in_order(told),
        causes=causes,
        notes=[*notes, *partial, *waiting, *worse.notes],
        said_before=base.run.gate,
        measurements=worse.judged,
    )


def _seen(base: Baseline, runs: list[RunRow], asked: WindowReader) -> _Seen:
    suites = asked.suites()
    start = len(base.runs)
    before = suites[:start]
    void = outages(
        [run.project for run in runs[:start]],
        [suite.failing for suite in before],
        [suite.told for suite in before],
    )
    shares = [*before, suites[-1]]
    systemic = len(shares) - 1 in systemic_runs(
        [suite.failing for suite in shares], [suite.told for suite in shares]
    )
    last = suites[-1]
    mass = last.failing >= max(_MASS_TESTS, _MASS * last.told)
    return _Seen(base, runs, start, void, systemic or mass)


def _leg(leg: Leg, asked: WindowReader, seen: _Seen, policy: Policy) -> LegResult:
    had = asked.variant_runs(leg.variant)
    ran = sum(step < seen.start and step not in seen.void for step in had)
    return LegResult(*leg, ran, max(policy.least_runs - ran, 0))


def _pasts(
    now: Sequence[FailedNow],
    histories: Sequence[Failing],
    seen: _Seen,
) -> dict[failing.Key, failing.Past]:
    """Judge the tests that fail now by the runs of the baseline alone."""
    wanted = {(one.test_id, one.variant) for one in now}
    failed = [one for one in histories if (one.test_id, one.variant) in wanted]
    told = [Run(run.run_id, run.commit, run.sources) for run in seen.runs[: seen.start]]
    tried = [_before(one, seen.start) for one in failed]
    judged = status.judge((one for one in tried if one.tries), told, seen.void)
    by_key: dict[failing.Key, Judged] = {(one.test_id, one.variant): one for one in judged.rows}
    return {
        key: failing.Past(*failing.divided(one, seen.start, seen.void), by_key.get(key))
        for one in failed
        for key in [(one.test_id, one.variant)]
    }


def _before(one: Failing, start: int) -> Tried:
    kept = sum(step < start for step in one.steps)
    verdicts = one.verdicts[:kept]
    fails = verdicts.count("F") + verdicts.count("L")
    history = History(one.project, one.test_id, one.variant, one.steps[:kept], verdicts)
    return Tried(history, one.tries[:fails])


def _of_failures(
    now: Sequence[FailedNow],
    pasts: Mapping[failing.Key, failing.Past],
    known: Callable[[failing.Key], Mapping[str, int]],
    excused: Excused,
) -> list[Finding]:
    found = []
    for one in now:
        key = one.test_id, one.variant
        finding = failing.judge_failure(one, pasts.get(key, _NO_PAST), known(key))
        if finding is None:
            continue
        why = excused(*key)
        if why is not None:
            finding = finding._replace(kind="quarantined", reason=f"{why}; {finding.reason}")
        found.append(finding)
    return found


def _systemic(
    now: Sequence[FailedNow], legs: Sequence[LegResult], causes: Sequence[Cause]
) -> Finding:
    tests = sum(leg.passed + leg.failed + leg.flaky for leg in legs)
    first = causes[0]
    share = percent(first.failures / len(now))
    reason = (
        f"{count(len(now), 'test')} of {tests} failed, {share} of them with one cause"
        if len(causes) > 1
        else f"{count(len(now), 'test')} of {tests} failed with one cause"
    )
    since = "in this run" if first.is_new else f"in run {first.first_run}"
    details = {"failed": len(now), "tests": tests, "causes": len(causes)}
    return Finding(
        "systemic", "", None, "", f"{reason}, first seen {since}", first.text, details, None
    )


def _apart(found: Sequence[Finding], cause: Cause) -> list[Finding]:
    """Return what a common cause of failures does not explain."""
    failed = {"new-failure", "flaky-new-failure", "known-flake", "broken-before"}
    return [one for one in found if one.kind not in failed or one.test_id not in cause.tests]


def _of_gone(
    reader: GateReader, legs: Sequence[LegResult], seen: _Seen
) -> tuple[list[Finding], list[str]]:
    """Tell which tests do not run any more; one note where only part of the suite ran."""
    steps = [step for step in range(seen.start) if seen.runs[step].complete]
    if not steps or not seen.base.run.complete:
        return [], []
    gone = reader.gone(steps[-_GONE_RUNS:])
    tests = sum(leg.tests for leg in legs)
    missing = sum(not one.skipped for one in gone)
    notes: list[str] = []
    if missing > _PARTIAL * (tests + missing):
        notes.append(
            f"Only part of the suite ran: {missing:,} tests of the baseline are not in this run."
        )
        gone = [one for one in gone if one.skipped]
    return [_gone(one) for one in gone], notes


def _of_durations(
    asked: WindowReader, reader: GateReader, legs: list[LegResult], seen: _Seen
) -> tuple[list[Finding], list[LegResult], list[str]]:
    """Return the tests that got slower, the legs with their run factors, and notes."""
    if seen.start < _TIMED_RUNS:
        return [], legs, []
    from testlytics.gate import durations  # only here: it needs numpy

    told = durations.slower(asked, reader, seen.start, {leg.variant: leg.tests for leg in legs})
    timed = [leg._replace(run_factor=told.factors.get(leg.variant)) for leg in legs]
    return told.findings, timed, told.notes


def _of_measurements(values: Sequence[Measured], seen: _Seen, *, whole: bool) -> measuring.Worse:
    newest = len(seen.runs) - 1
    whole = whole and seen.base.run.complete
    return measuring.worse(values, newest, seen.start, seen.void, whole=whole)


def _gone(one: Gone) -> Finding:
    if one.skipped:
        return Finding(
            "newly-skipped",
            "",
            one.test_id,
            one.variant,
            "ran in the baseline, and is skipped now",
            failing.one_line(one.reason),
        )
    return Finding(
        "removed", "", one.test_id, one.variant, "ran in the baseline, and is not there now"
    )


def _leveled(found: Sequence[Finding], legs: Sequence[LegResult], policy: Policy) -> list[Finding]:
    """Set the levels; nothing blocks where there is too little history."""
    needed = {leg.variant: leg.needed_runs for leg in legs}
    least = min(needed.values(), default=0)
    told = []
    for one in found:
        level = policy.level(one.kind)
        cold = needed.get(one.variant, least) if one.test_id is not None else least
        if level != IGNORE:
            told.append(one._replace(level=WARN if cold else level))
    return told


def _notes(seen: _Seen) -> list[str]:
    notes = []
    if seen.void:
        notes.append(
            f"{count(len(seen.void), 'run')} of the baseline not counted: much of the suite failed."
        )
    if not seen.base.run.complete:
        notes.append("The run did not end: the process died. Tests that are missing are not told.")
    return notes
