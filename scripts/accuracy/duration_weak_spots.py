"""Where judging durations usually goes wrong, measured on simulated suites."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scripts.accuracy import duration_chance
from scripts.accuracy.duration_data import (
    MID,
    QUIET,
    SHARED,
    Suite,
    Values,
    permuted,
    real_noise,
    simulate,
    with_steps,
)
from scripts.accuracy.table import Table
from testlytics_analytics.durations.slowdowns import slowdowns

WINDOW = 150
APART = 60


class Alarm(NamedTuple):
    """One alarm, the first of its series for a while."""

    row: int
    run: int
    start: int


def alarms(values: Values, first: int) -> tuple[list[Alarm], int]:
    """Judge after each run; return the alarms, one per series and 60 runs, and values judged."""
    out: list[Alarm] = []
    last = np.full(len(values), -APART - 1)
    for run in range(first, values.shape[1]):
        begin = max(0, run + 1 - WINDOW)
        for one in slowdowns(values[:, begin : run + 1]).found:
            if run - last[one.row] > APART:
                last[one.row] = run
                out.append(Alarm(one.row, run, begin + one.start))
    return out, int(np.isfinite(values[:, first:]).sum())


def rate(made: list[tuple[list[Alarm], int]]) -> float:
    """Alarms per 1,000 tests and 100 runs."""
    return sum(len(found) for found, _ in made) / max(sum(size for _, size in made), 1) * 1e5


def _suites(suite: Suite, seeds: int, tests: int, runs: int, base: int) -> list[Values]:
    return [
        simulate(suite, np.random.default_rng([base, seed]), tests, runs) for seed in range(seeds)
    ]


def fleet(seeds: int, tests: int) -> list[list[str]]:
    """A quiet suite, 25 % slower on all machines for 60 runs, tests react unequally."""
    rows = []
    for name, suite in (("none", QUIET), ("+25 % for 60 runs", replace(QUIET, fleet=0.25))):
        true = false = steps = 0
        for seed, values in enumerate(_suites(suite, seeds, tests, 300, 31)):
            rng = np.random.default_rng([32, seed])
            injected = with_steps(values, rng, 0.2, share=0.02, first=110)
            at = injected.at
            steps += int((at >= 0).sum())
            told = alarms(injected.values, 110)[0]
            false += sum(at[one.row] < 0 or one.run < at[one.row] for one in told)
            soon = (one for one in told if at[one.row] >= 0 and 0 <= one.run - at[one.row] < 50)
            true += len({one.row for one in soon})
        share = false / max(true + false, 1)
        rows.append(
            [
                f"fleet-wide slowdown: {name}",
                f"{share:.2f} of {true + false} alarms false",
                f"+20 % found: {true / steps:.2f} of {steps}",
            ]
        )
    return rows


def found_rows(values: Values, rows: npt.NDArray[np.int64], first: int) -> int:
    """Judge after each run from `first` on; return for how many of the rows there was an alarm."""
    told = {one.row for one in alarms(values, first)[0]}
    return sum(row in told for row in rows.tolist())


def cold_start(seeds: int, tests: int) -> list[list[str]]:
    """The first 45 runs of a suite, judged from the 10th on."""
    noise = real_noise("pytorch_files_2022_2023")[: 4 * tests]
    orders = [permuted(noise, np.random.default_rng([39, seed]))[:, :45] for seed in range(seeds)]
    made: list[tuple[str, list[Values], list[Values]]] = [
        (name, _suites(suite, seeds, tests, 45, 33), _suites(suite, seeds, tests, 45, 34))
        for name, suite in (("quiet", QUIET), ("usual", MID), ("shared runners", SHARED))
    ]
    made.append(("files of PyTorch's tests", orders, orders))
    rows = []
    for name, calm_ones, others in made:
        false = [alarms(one, 9) for one in calm_ones]
        hits = steps = 0
        for seed, values in enumerate(others):
            rng = np.random.default_rng([35, seed])
            injected = with_steps(values, rng, 0.5, share=0.1, first=8, room=25)
            changed = np.flatnonzero(injected.at >= 0)
            steps += len(changed)
            hits += found_rows(injected.values, changed, 9)
        rows.append(
            [
                f"cold start, {name}",
                f"FA {rate(false):.2g}",
                f"+50 % found: {hits / steps:.2f} of {steps}",
            ]
        )
    return rows


def creep(seeds: int, tests: int) -> list[list[str]]:
    """Tests that get 20 % slower, a little with each of 60 runs."""
    rows = []
    for name, suite in (("quiet", QUIET), ("usual", MID)):
        hits = steps = 0
        for seed, values in enumerate(_suites(suite, seeds, tests, 300, 36)):
            chosen = np.random.default_rng([37, seed]).choice(tests, tests // 10, replace=False)
            ramp = np.clip((np.arange(300) - 150) / 60, 0, 1) * np.log(1.2)
            values[chosen] += ramp.astype(np.float32)
            steps += len(chosen)
            hits += found_rows(values[:, :240], chosen, 150)
        rows.append(
            [
                f"creep of +20 % over 60 runs, {name}",
                "",
                f"found within 90 runs: {hits / steps:.2f} of {steps}",
            ]
        )
    return rows


def calm(seeds: int, tests: int) -> list[list[str]]:
    """Suites in which nothing gets slower, but something else changes."""
    kinds: list[tuple[str, Suite, Callable[[Values], Values]]] = [
        ("one kind of runner", MID, lambda values: values),
        ("three kinds of runners", replace(MID, pools=3), lambda values: values),
        ("noise doubles after half of the runs, 10 % of the tests", MID, _noisier),
        ("tests of 30 ms, timer of 10 ms", replace(MID, seconds=0.03, tick=0.01), lambda v: v),
    ]
    rows = []
    for name, suite, change in kinds:
        made = [alarms(change(one), 24) for one in _suites(suite, seeds, tests, 300, 38)]
        rows.append([name, f"FA {rate(made):.2g}", ""])
    return rows


def _noisier(values: Values) -> Values:
    some = values[: len(values) // 10]
    half = values.shape[1] // 2
    middle = np.median(some, axis=1, keepdims=True)
    some[:, half:] = middle + 2 * (some[:, half:] - middle)
    return values


def tables(*, seeds: int, small: bool) -> list[Table]:
    """Measure each weak spot, and what is left to chance.

    Args:
        seeds: Simulated suites of each kind.
        small: Few tests and one suite: does it work at all?
    """
    tests, count = (60, 1) if small else (600, seeds)
    rows = fleet(count, tests) + cold_start(count, tests) + creep(count, tests)
    rows += calm(count, tests)
    note = "FA: false alarms per 1,000 tests and 100 runs."
    spots = Table("Weak spots of judging durations", ["suite", "false", "found"], rows, note)
    return [spots, *duration_chance.tables(seeds=seeds, small=small)]
