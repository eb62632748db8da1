"""Flaky, broken, stable or unknown: one status per test and variant, with its evidence.

The first, simple judgement. Its rule for "flaky" by history is kept as a named reference in the
column `simple_flaky`; the status adds what that rule cannot see: proof on equal sources, and that
one change from passing to failing is a break and not a flake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

from testlytics_analytics.histories import (
    FAILED,
    FLAKY,
    PASSED,
    SKIPPED,
    UNKNOWN,
    History,
    Run,
)
from testlytics_analytics.interval import wilson


@dataclass(frozen=True, slots=True)
class StatusOptions:
    """Constants of the judgement.

    Attributes:
        low: Flaky by history from above this failure rate …
        high: … and below this one …
        more_than: … over more than this many runs …
        flips: … with at least this many changes between passing and failing: breaking and being
            mended are two.
        streak: Broken needs at least this many failed runs in a row, up to the newest.
        chance: Broken needs such a streak to be less likely than this under the failure rate
            before it.
        settled: Stable needs at least this many runs.
    """

    low: float = 0.1
    high: float = 0.9
    more_than: int = 10
    flips: int = 3
    streak: int = 3
    chance: float = 0.01
    settled: int = 10


class Judged(NamedTuple):
    """The status of one test in one variant, with its evidence.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant.
        runs: Runs with a verdict passed, failed or flaky.
        passed: … of which passed.
        failed: … of which failed.
        flaky: … of which flaky: failed and passed in one run.
        skipped: Runs in which the test was only skipped.
        failure_rate: (failed + flaky) / runs; None without runs.
        low: Lower bound of its 95 % interval (Wilson); None without runs.
        high: Upper bound; None without runs.
        flips: Changes between passing and not, run to run.
        disagreements: Sources on which it both passed and failed.
        failing_streak: Failed runs in a row up to the newest one.
        last_verdict: passed, failed or flaky, of the newest run with one; None without runs.
        failing_since: Run id of the streak's first run; None without a streak.
        failing_commit: Its commit; None without a streak or where unknown.
        passing_commit: Commit of the last run before the streak; None likewise.
        simple_flaky: The reference rule: low < failure_rate < high over enough runs.
        status: flaky, broken, stable or unknown.
    """

    project: str
    test_id: str
    variant: str
    runs: int
    passed: int
    failed: int
    flaky: int
    skipped: int
    failure_rate: float | None
    low: float | None
    high: float | None
    flips: int
    disagreements: int
    failing_streak: int
    last_verdict: str | None
    failing_since: str | None
    failing_commit: str | None
    passing_commit: str | None
    simple_flaky: bool
    status: str


_WORDS = {PASSED: "passed", FAILED: "failed", FLAKY: "flaky"}

_UNTOLD = str.maketrans("", "", SKIPPED + UNKNOWN)
_AS_FAILED = str.maketrans(FLAKY, FAILED)
_GOOD = bytes(chr(sign) in PASSED + FLAKY for sign in range(256))
_BAD = bytes(chr(sign) in FAILED + FLAKY for sign in range(256))


def judge(
    histories: Iterable[History], runs: Sequence[Run], options: StatusOptions | None = None
) -> list[Judged]:
    """Judge each test and variant over the runs given.

    Args:
        histories: Any order.
        runs: What the steps of the histories refer to.
        options: Constants; the defaults where None.

    Returns:
        One entry per history, sorted by project, test_id, variant.
    """
    options = options or StatusOptions()
    sources = [run.sources for run in runs]
    judged = (_judged(one, runs, sources, options) for one in histories)
    return sorted(judged, key=lambda one: one[:3])


def _judged(
    history: History, runs: Sequence[Run], sources: Sequence[str | None], options: StatusOptions
) -> Judged:
    # By what works on whole texts: there are many tests with many runs each.
    letters = history.verdicts.translate(_UNTOLD)
    counts = {word: letters.count(letter) for letter, word in _WORDS.items()}
    bad = counts["failed"] + counts["flaky"]
    streak = len(letters) - len(letters.rstrip(FAILED))
    rate = bad / len(letters) if letters else None
    low, high = wilson(bad, len(letters)) or (None, None)
    first, before = _break(history, runs, streak)
    told = letters.translate(_AS_FAILED)
    flips = told.count(PASSED + FAILED) + told.count(FAILED + PASSED)
    disagreements = _disagreements(history, sources) if bad else 0
    simple = (
        rate is not None and options.low < rate < options.high and len(letters) > options.more_than
    )
    proven = disagreements > 0 or counts["flaky"] > 0
    if _is_broken(
        len(letters), bad, streak, options, never_passed=counts["failed"] == len(letters)
    ):
        status = "broken"
    elif proven or (simple and flips >= options.flips):
        status = "flaky"
    elif is_settled(len(letters), options) and not streak:
        status = "stable"
    else:
        status = "unknown"
    return Judged(
        history.project,
        history.test_id,
        history.variant,
        runs=len(letters),
        passed=counts["passed"],
        failed=counts["failed"],
        flaky=counts["flaky"],
        skipped=history.verdicts.count(SKIPPED),
        failure_rate=rate,
        low=low,
        high=high,
        flips=flips,
        disagreements=disagreements,
        failing_streak=streak,
        last_verdict=_WORDS[letters[-1]] if letters else None,
        failing_since=first.run_id if first else None,
        failing_commit=first.commit if first else None,
        passing_commit=before.commit if before else None,
        simple_flaky=simple,
        status=status,
    )


def is_settled(runs: int, options: StatusOptions | None = None) -> bool:
    """Tell whether a test that did not fail in so many runs is stable, and not unknown."""
    return runs >= (options or StatusOptions()).settled


def _break(history: History, runs: Sequence[Run], streak: int) -> tuple[Run | None, Run | None]:
    """Return the first run of a failing streak of such a length, and the one before it."""
    if not streak:
        return None, None
    told = [
        step
        for step, letter in zip(history.steps, history.verdicts, strict=True)
        if letter in _WORDS
    ]
    return runs[told[-streak]], runs[told[-streak - 1]] if streak < len(told) else None


def _disagreements(history: History, sources: Sequence[str | None]) -> int:
    """Count the sources that saw both a pass and a failure."""
    letters = history.verdicts.encode()
    named = [sources[step] for step in history.steps]
    bad = set(compress(named, letters.translate(_BAD)))
    return len(bad.intersection(compress(named, letters.translate(_GOOD))) - {None})


def _is_broken(
    runs: int, bad: int, streak: int, options: StatusOptions, *, never_passed: bool
) -> bool:
    if streak < options.streak:
        return False
    # Half a failure more than were seen: a rate of exactly zero would make any failure a break.
    usual = (bad - streak + 0.5) / (runs - streak + 1)
    return never_passed or float(usual**streak) < options.chance
