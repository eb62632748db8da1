"""How often the place is right: since when a test is broken, since when it is slow.

An interval is told with a probability; it holds the true place so often, or it is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean

from scripts.accuracy import duration_places
from scripts.accuracy.outcome_data import Shape, SimulatedTest
from scripts.accuracy.outcome_scores import judged_suite
from scripts.accuracy.table import Table
from testlytics_analytics.evidence import RunOrder, Tried, weigh
from testlytics_analytics.hidden_states import HiddenStates
from testlytics_analytics.histories import History
from testlytics_analytics.outcome_changes import broken_since
from testlytics_analytics.outcome_verdicts import VerdictOptions

FAILING = (1, 2, 3, 5, 10)
TAILS = {0.99: 0.005, 0.95: 0.025}
LEAST = {0.99: 0.98, 0.95: 0.93}
"""Intervals may hold the place no less often."""
Held = tuple[bool, int]
"""Whether an interval holds the place, and how many runs are in it."""


def tables(*, seeds: int, small: bool) -> list[Table]:
    """Measure since when tests are told to be broken, and to be slow.

    Args:
        seeds: How many suites of each kind.
        small: A quarter of the tests.
    """
    return [_broken_table(seeds, small=small), *duration_places.tables(seeds=seeds, small=small)]


def _broken_table(seeds: int, *, small: bool) -> Table:
    shape = Shape()
    shape = replace(shape, tests=shape.tests // 4) if small else shape
    held: dict[tuple[int, float], list[Held]] = defaultdict(list)
    for seed in range(1, seeds + 1):
        for key, one in _broken(seed, shape):
            held[key].append(one)
    rows, missed = [], []
    for streak in FAILING:
        cells = [str(streak), str(len(held[streak, 0.99]))]
        for level in TAILS:
            told = held[streak, level]
            share = mean(hold for hold, _ in told) if told else float("nan")
            cells += [f"{share:.1%}", f"{mean(width for _, width in told):.2f}" if told else "-"]
            if not share >= LEAST[level]:
                missed.append(f"Failing run {streak}: {share:.1%} of the {level:.0%} intervals.")
        rows.append(cells)
    heads = [f"{what} {level:.0%}" for level in TAILS for what in ("Hold at", "Runs at")]
    note = (
        f"Simulated suites of {shape.tests:,} tests, {seeds} seeds. Tests that are truly broken and"
        " called so, at the k-th failing run in a row: how often the break lies between the runs"
        " told, and how many runs are between them."
    )
    return Table("Broken since", ("Failing run", "Tests", *heads), rows, note, missed)


def _broken(seed: int, shape: Shape) -> Iterator[tuple[tuple[int, float], Held]]:
    """Yield (failing run, level) and what became of the interval."""
    case = judged_suite(seed, shape)
    model, options = HiddenStates(), VerdictOptions()
    for test in case.suite.tests:
        if not test.broken:
            continue
        for at, streak in _streaks(test, case.order):
            letters = test.letters[: at + 1]
            tries = test.tries[: len(letters) - letters.count("P")]
            tried = Tried(History("", "t", "", range(at + 1), letters), tries)
            told = model.judge(weigh(tried, case.order).stretches)
            if told is None or told.broken < options.broken:
                continue
            start = at
            while start - 1 in test.broken:
                start -= 1
            for level, tail in TAILS.items():
                found = broken_since(told.since, tail=tail)
                if found is not None:
                    after = _last_good(letters, found[1], case.order)
                    yield (streak, level), (after < start <= found[2], found[2] - after)


def _streaks(test: SimulatedTest, order: RunOrder) -> Iterator[tuple[int, int]]:
    """Yield the runs in which a test is truly broken, and the how maniest failing run it is."""
    void = set(order.void)
    streak = 0
    for at, letter in enumerate(test.letters):
        if at not in void:
            streak = streak + 1 if letter == "F" else 0
            if streak in FAILING and at in test.broken:
                yield at, streak


def _last_good(letters: str, before: int, order: RunOrder) -> int:
    """Return the newest run before one in which a test passed and that counts; -1 without."""
    good = (at for at in range(before - 1, -1, -1) if letters[at] in "PL" and at not in order.void)
    return next(good, -1)
