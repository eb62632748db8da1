"""What a test's outcomes prove: which runs count, and on equal sources what contradicts what.

A run in which much of the suite failed at once says nothing about any one test, nor does one that
was interrupted. What remains is cut into stretches, so that long histories of passing cost nothing.
Standard library only: a report must not wait for the import of anything else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import compress
from math import log2
from typing import NamedTuple

from testlytics_analytics.histories import FAILED, FLAKY, PASSED, History, Run

PROVEN = "proven"
"""Failed and passed in one run: retries on the same sources and variant disagree."""
STRONG = "strong"
"""Runs of the same sources and variant disagree."""
SUSPECTED = "suspected"
"""Changed between passing and failing and back, and no two runs of the same sources disagree."""

_NOT_TOLD = {ord(letter): None for letter in "S?"}
_BAD = bytes(chr(sign) in FAILED + FLAKY for sign in range(256))
_VOID = "?"


class Tried(NamedTuple):
    """A history, and how often the test was tried where it failed.

    Attributes:
        history: The test, its steps and verdicts.
        tries: (passes, failures) of each F and L of the verdicts, in order; empty where not known,
            which stands for one failure each, and one pass more in each L.
    """

    history: History
    tries: Sequence[tuple[int, int]] = ()


class Stretch(NamedTuple):
    """Part of a history.

    Attributes:
        passes: Passed attempts: in a stretch of passes as many as there were runs.
        fails: Failed attempts, by sources, in order; empty in a stretch of passes. Sources that
            also passed stand alone: one entry, and `passes` above zero.
        runs: How many runs it covers.
        steps: Step of the first run of each entry of `fails`; of the first run where it has none.
    """

    passes: int
    fails: tuple[int, ...]
    runs: int
    steps: tuple[int, ...]


class Evidence(NamedTuple):
    """What counts of one history.

    Attributes:
        stretches: The runs that count, in order; empty where there are none.
        runs: How many there are.
        attempts: Attempts in them.
        failed_runs: Runs with a failed attempt.
        failures: Failed attempts.
        flips: Changes between a run without and a run with a failure.
        disagreements: Sources on which the test both passed and failed.
        grade: proven, strong or suspected; None where nothing hints at a flake.
        ignored: Runs with a verdict that do not count: systemic or void.
        last_failed: Whether the newest run has a failure; False without runs.
    """

    stretches: Sequence[Stretch]
    runs: int
    attempts: int
    failed_runs: int
    failures: int
    flips: int
    disagreements: int
    grade: str | None
    ignored: int
    last_failed: bool


class RunOrder:
    """The runs of a window, prepared once for all histories.

    Args:
        runs: What the steps of the histories refer to, in order.
        void: Steps that are no evidence: systemic, interrupted, or the machine's fault.
    """

    def __init__(self, runs: Sequence[Run], void: Collection[int] = ()) -> None:
        self.void = sorted(void)
        keys: dict[object, int] = {}
        # Runs whose sources are not known exactly equal nobody's.
        self.source = [
            keys.setdefault(step if run.sources is None else run.sources, len(keys))
            for step, run in enumerate(runs)
        ]
        self.steps_of: list[list[int]] = [[] for _ in keys]
        for step, key in enumerate(self.source):
            self.steps_of[key].append(step)


def systemic_runs(
    failing: Sequence[int],
    told: Sequence[int],
    *,
    spread: float = 6.0,
    floor: float = 0.05,
    least: int = 5,
) -> frozenset[int]:
    """Find the runs in which the suite failed, and not its tests.

    Args:
        failing: Tests that failed, by run.
        told: Tests that passed or failed, by run.
        spread: Beyond the median share of failing tests by this many robust standard deviations
            (1.4826 times the median absolute deviation) …
        floor: … and by at least this share of the tests …
        least: … and with at least this many failing tests. In a small suite two failures are a
            large share, and still two failures.

    Returns:
        Steps; empty without runs. A suite that always fails so has no such runs: that is its
        median.
    """
    shares = [bad / all_ for bad, all_ in zip(failing, told, strict=True) if all_]
    if not shares:
        return frozenset()
    middle = _median(shares)
    deviation = 1.4826 * _median([abs(share - middle) for share in shares])
    limit = middle + max(floor, spread * deviation)
    return frozenset(
        step
        for step, (bad, all_) in enumerate(zip(failing, told, strict=True))
        if all_ and bad >= least and bad / all_ > limit
    )


def outages(
    projects: Sequence[str], failing: Sequence[int], told: Sequence[int], *, longest: int = 2
) -> frozenset[int]:
    """Find the runs that say nothing of any one test, each project by itself.

    Args:
        projects: Project of each run; within one in order.
        failing: Tests that failed, by run.
        told: Tests that passed or failed, by run.
        longest: So many systemic runs in a row are an outage. Where more follow one another many
            tests broke, and that is to be told; if it was an outage they are mended behind it.

    Returns:
        Steps; empty without runs.
    """
    found: list[int] = []
    for project in dict.fromkeys(projects):
        steps = [step for step, name in enumerate(projects) if name == project]
        systemic = systemic_runs([failing[step] for step in steps], [told[step] for step in steps])
        row: list[int] = []
        for at, step in enumerate(steps):
            row = [*row, step] if at in systemic else []
            if row and at + 1 not in systemic and len(row) <= longest:
                found += row
    return frozenset(found)


def _median(values: Sequence[float]) -> float:
    """Return the middle value; the module `statistics` takes 20 ms to import."""
    ranked = sorted(values)
    return (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2


def weigh(tried: Tried, order: RunOrder) -> Evidence:
    """Say what counts of one history, and what it proves.

    Args:
        tried: The history.
        order: The runs that its steps refer to.
    """
    steps, verdicts = tried.history.steps, tried.history.verdicts
    letters = counted(tried.history, order)
    told = letters.translate(_NOT_TOLD)
    ignored = len(verdicts.translate(_NOT_TOLD)) - len(told)
    fails = _fails(tried, letters)
    stretches, disagreements, within = _stretches(letters, steps, fails, order)
    passed = told.count(PASSED) + sum(passes for passes, _ in fails.values())
    failures = sum(some for _, some in fails.values())
    good = told.replace(FLAKY, FAILED)
    flips = good.count("PF") + good.count("FP")
    grade = PROVEN if within else STRONG if disagreements else SUSPECTED if flips > 1 else None
    return Evidence(
        stretches,
        runs=len(told),
        attempts=passed + failures,
        failed_runs=len(fails),
        failures=failures,
        flips=flips,
        disagreements=disagreements,
        grade=grade,
        ignored=ignored,
        last_failed=good.endswith(FAILED),
    )


def entropy(failed: int, runs: int) -> float | None:
    """Return the entropy of a failure rate, in bits; None without runs."""
    if not runs:
        return None
    rate = failed / runs
    return -sum(share * log2(share) for share in (rate, 1 - rate) if share > 0)


def counted(history: History, order: RunOrder) -> str:
    """Return the verdicts of a history, with `?` for those of void runs."""
    verdicts, steps = history.verdicts, history.steps
    for step in order.void:
        at = bisect_left(steps, step)
        if at < len(steps) and steps[at] == step:
            verdicts = verdicts[:at] + _VOID + verdicts[at + 1 :]
    return verdicts


def _fails(tried: Tried, letters: str) -> dict[int, tuple[int, int]]:
    """Return (passes, failures) of the failing runs that count, by their place in the history."""
    verdicts = tried.history.verdicts
    places = compress(range(len(verdicts)), verdicts.encode().translate(_BAD))
    if not tried.tries:
        return {
            place: (int(verdicts[place] == FLAKY), 1) for place in places if letters[place] != _VOID
        }
    told = dict(zip(places, tried.tries, strict=True))
    if letters is not verdicts:
        told = {place: one for place, one in told.items() if letters[place] != _VOID}
    return told


def _stretches(
    letters: str, steps: Sequence[int], fails: dict[int, tuple[int, int]], order: RunOrder
) -> tuple[list[Stretch], int, bool]:
    """Cut a history at its failures.

    Returns:
        The stretches, on how many sources the test both passed and failed, and whether it did so
        within a run.
    """
    found: list[Stretch] = []
    mixed: set[int] = set()
    within = False
    done = 0  # the place behind the last one that is in a stretch
    for place, (passed, failed) in fails.items():
        if place < done:
            continue
        key = order.source[steps[place]]
        first, behind, counted, passes, some = place, place + 1, 1, passed, failed
        retried, elsewhere = passed > 0, False
        if len(order.steps_of[key]) > 1:
            first, behind = _neighbours(steps, place, done, order.source)
            if behind - first > 1:
                counted, passes, some, retried = _together(letters[first:behind], first, fails)
            elsewhere = not passes and _passed(letters, steps, order.steps_of[key])
        calm = letters.count(PASSED, done, first)
        if calm:
            found.append(Stretch(calm, (), calm, (steps[letters.index(PASSED, done)],)))
        done = behind
        if passes or elsewhere:
            mixed.add(key)
            within = within or retried
            # A pass of these sources somewhere else counts there, and here it only tells.
            found.append(Stretch(passes or 1, (some,), counted, (steps[first],)))
        else:
            _add_failures(found, some, counted, steps[first])
    calm = letters.count(PASSED, done)
    if calm:
        found.append(Stretch(calm, (), calm, (steps[letters.index(PASSED, done)],)))
    return found, len(mixed), within


def _neighbours(
    steps: Sequence[int], place: int, done: int, source: Sequence[int]
) -> tuple[int, int]:
    """Return where the neighbours of the same sources begin and end; before `done` are others."""
    first, behind, key = place, place + 1, source[steps[place]]
    while first > done and source[steps[first - 1]] == key:
        first -= 1
    while behind < len(steps) and source[steps[behind]] == key:
        behind += 1
    return first, behind


def _together(
    letters: str, first: int, fails: dict[int, tuple[int, int]]
) -> tuple[int, int, int, bool]:
    """Return runs, passes and failures of neighbours, and whether one has both."""
    passes, some, retried = letters.count(PASSED), 0, False
    for at in range(first, first + len(letters)):
        if at in fails:
            passes += fails[at][0]
            some += fails[at][1]
            retried = retried or fails[at][0] > 0
    return len(letters.translate(_NOT_TOLD)), passes, some, retried


def _add_failures(found: list[Stretch], some: int, runs: int, step: int) -> None:
    """Add failures of sources that never passed, to those that they follow."""
    if found and not found[-1].passes:
        last = found.pop()
        found.append(Stretch(0, (*last.fails, some), last.runs + runs, (*last.steps, step)))
    else:
        found.append(Stretch(0, (some,), runs, (step,)))


def _passed(letters: str, steps: Sequence[int], some: Sequence[int]) -> bool:
    """Tell whether the test passed in one of these steps."""
    for step in some:
        at = bisect_left(steps, step)
        if at < len(steps) and steps[at] == step and letters[at] in (PASSED, FLAKY):
            return True
    return False
