"""Whether a test that failed at times has recovered: as many passes in a row as show that.

A test that still fails at its old rate p passes n times in a row with (1 - p)^n; once that is 5 %
or less, the old rate is disproved (`confirmation.passes_for_fix`). The old rate is taken from the
runs up to the last failure: passes that came after it are the proof, and must not count twice.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from testlytics_analytics.confirmation import highest_rate, passes_for_fix
from testlytics_analytics.evidence import Tried
from testlytics_analytics.histories import FAILED, FLAKY, PASSED, History, Run
from testlytics_analytics.status import judge

LEVEL = 0.95
"""A test that still fails at its old rate passes as often as needed in one of 20 cases at most."""

_PRIOR = 0.5
_LEAST_FAILURES = 3
_LEAST_PASSES = 5


class Recovery(NamedTuple):
    """How far a test is.

    Attributes:
        runs: Runs that count in which it passed or failed.
        failed_runs: Those in which it failed, also where another attempt passed.
        flake_rate: Share of attempts in which it failed up to its last failure; None where it
            never failed.
        needed: Passes in a row that show that it does so no more; None likewise.
        passes: Runs in a row that it has passed since its last failure.
        left: Passes that are still needed, at least 0; None where it never failed.
        highest_rate: The highest rate that these passes leave possible at 95 %; 1 without any.
        last_failed: Step of its last failure; None where it never failed.
    """

    runs: int
    failed_runs: int
    flake_rate: float | None
    needed: int | None
    passes: int
    left: int | None
    highest_rate: float
    last_failed: int | None


def recovery(
    tried: Tried, runs: Sequence[Run], void: Collection[int] = (), *, level: float = LEVEL
) -> Recovery:
    """Say how far a test is on its way to being trusted again.

    Args:
        tried: What became of it.
        runs: What the steps of its history refer to.
        void: Steps of runs that say nothing of any one test.
        level: One less the chance that a test passes so often that is as flaky as before.
    """
    told = _told(tried.history, void)
    bad = [step for step, letter in told if letter in FAILED + FLAKY]
    last = bad[-1] if bad else None
    passes = sum(last is None or step > last for step, _ in told)
    highest = highest_rate(passes, level=level)
    if last is None:
        return Recovery(len(told), 0, None, None, passes, None, highest, None)
    rate = _rate_until(tried, last, runs, void)
    needed = passes_for_fix(rate, level=level)
    left = None if needed is None else max(needed - passes, 0)
    return Recovery(len(told), len(bad), rate, needed, passes, left, highest, last)


def _rate_until(tried: Tried, last: int, runs: Sequence[Run], void: Collection[int]) -> float:
    """Return the flake rate of a test as it was when it failed last.

    Where nothing hints at a flake, it may have been broken, or failed once: then the share of its
    runs that failed, with half a failure and half a pass more (Jeffreys 1946).
    """
    history = tried.history
    kept = sum(step <= last for step in history.steps)
    verdicts = history.verdicts[:kept]
    fails = verdicts.count(FAILED) + verdicts.count(FLAKY)
    until = History(
        history.project, history.test_id, history.variant, history.steps[:kept], verdicts
    )
    [judged] = judge([Tried(until, tried.tries[:fails])], runs, void).rows
    if judged.grade is not None and judged.flake_rate:
        return judged.flake_rate
    told = _told(until, void)
    bad = sum(letter in FAILED + FLAKY for _, letter in told)
    return (bad + _PRIOR) / (len(told) + 2 * _PRIOR)


def _told(history: History, void: Collection[int]) -> list[tuple[int, str]]:
    return [
        (step, letter)
        for step, letter in zip(history.steps, history.verdicts, strict=True)
        if letter in PASSED + FAILED + FLAKY and step not in void
    ]


def is_always_passing(letters: str) -> bool:
    """Tell whether a test passes each time, in verdict letters, and did so five times."""
    return letters.count(PASSED) >= _LEAST_PASSES and not {FAILED, FLAKY} & set(letters)


def is_always_failing(letters: str) -> bool:
    """Tell whether a test fails each time, in verdict letters, and did so three times."""
    return letters.count(FAILED) >= _LEAST_FAILURES and not {PASSED, FLAKY} & set(letters)
