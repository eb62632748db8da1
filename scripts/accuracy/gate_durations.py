"""How often a gate is red for durations though nothing changed, and how often it finds what did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.accuracy import gate_oracle
from scripts.accuracy.duration_data import (
    MID,
    QUIET,
    SHARED,
    Rng,
    Suite,
    Values,
    permuted,
    real_noise,
    simulate,
)
from scripts.accuracy.table import Table
from testlytics.gate.durations import SCREEN
from testlytics_analytics.durations.fresh import FreshOptions, fresh_slowdowns

BASELINE = 100
SAMPLE = 512
SIZES = (0.2, 0.5, 1.0)
ASKED, LEAST = 0.5, 0.9
"""Of the tests that got so much slower at least this share is to be found."""
SLOW_RUN = 0.05
"""Share of the changes in which one run is slow as a whole, by half …"""


@dataclass(frozen=True, slots=True)
class Data:
    """Where durations come from.

    Attributes:
        name: What they are.
        make: Gives log durations, tests by runs, of so many runs.
        tests: How many tests.
        changes: How many changes are judged on one such matrix.
        matrices: How many matrices.
        suite: What is simulated; None where it is a real one.
    """

    name: str
    make: Callable[[Rng, int], Values]
    tests: int
    changes: int
    matrices: int
    suite: Suite | None = None


def simulated(suite: Suite, tests: int) -> Callable[[Rng, int], Values]:
    """Return what simulates a suite."""
    return lambda rng, runs: simulate(suite, rng, tests, runs)


def replayed(name: str) -> Callable[[Rng, int], Values]:
    """Return what puts the runs of a real suite into another order, in blocks of five."""
    return lambda rng, runs: permuted(real_noise(name), rng)[:, :runs]


def screened(values: Values, start: int, rng: Rng) -> Values:
    """Choose rows as the store does: a sample, and those that are slow in the newest run."""
    before = np.nanmedian(values[:, :start], axis=1)
    newest = values[:, -1]
    factor = np.nanmedian(newest - before)
    steady = newest - factor
    with np.errstate(invalid="ignore"):
        longer = (values[:, :start] >= steady[:, None]).sum(axis=1)
        counted = np.isfinite(values[:, :start]).sum(axis=1)
        least = SCREEN.ratio * np.exp(before) + SCREEN.margin_s
        slow = (np.exp(steady) > least) & (longer <= SCREEN.beyond * counted)
    sample = rng.permutation(len(values))[:SAMPLE]
    rows = np.union1d(np.flatnonzero(slow), sample)
    return values[rows]


def judge(
    data: Data, size: float, runs: int, seed: int, options: FreshOptions | None = None
) -> tuple[int, int, int, int]:
    """Judge changes; return changes, red ones, slow tests put in, and those found."""
    rng = np.random.default_rng([seed, runs])
    count = red = put_in = found = 0
    for _ in range(data.matrices):
        values = data.make(rng, BASELINE + runs * data.changes)
        for change in range(min(data.changes, (values.shape[1] - BASELINE) // runs)):
            part = values[:, change * runs : change * runs + BASELINE + runs].copy()
            if rng.random() < SLOW_RUN:
                part[:, -1] += np.float32(np.log(1.5))
            slow = np.zeros(len(part), bool)
            if size:
                usual = np.nanmedian(part[:, :BASELINE], axis=1)
                fit = np.flatnonzero(np.abs(usual - np.log(0.1)) < 0.7)
                fit = fit if len(fit) > 20 else np.arange(len(part))
                fit = fit[np.isfinite(part[fit, BASELINE:]).all(axis=1)]
                if not len(fit):
                    continue
                slow[rng.choice(fit)] = True
                part[slow, BASELINE:] += np.float32(np.log1p(size))
            # The slow ones stand first, that they are known among those chosen.
            told = np.concatenate([part[slow], screened(part[~slow], BASELINE, rng)])
            judged = fresh_slowdowns(told, BASELINE, len(part), options)
            rows = {one.row for one in judged.found}
            count += 1
            red += bool(rows - set(range(int(slow.sum()))))
            put_in += int(slow.sum())
            found += len(rows & set(range(int(slow.sum()))))
    return count, red, put_in, found


def by_the_simple_rule(data: Data, seed: int) -> tuple[int, int]:
    """Judge changes of one run by "a fifth above the median of the last 20"; (changes, red)."""
    rng = np.random.default_rng([seed, 1])
    values = data.make(rng, BASELINE + data.changes)
    red = 0
    changes = range(BASELINE, values.shape[1])
    for at in changes:
        usual = np.nanmedian(values[:, at - 20 : at], axis=1)
        with np.errstate(invalid="ignore"):
            red += bool((values[:, at] > usual + np.log(1.2)).any())
    return len(changes), red


def ceiling(data: Data, suite: Suite, found: Sequence[float]) -> tuple[list[str], list[str]]:
    """Return the row of what can be found at all, and what is short of `LEAST` at `ASKED`."""
    most = [gate_oracle.found(suite, data.tests, size) for size in SIZES]
    ours, best = (shares[SIZES.index(ASKED)] for shares in (found, most))
    told = f"{data.name}: +{ASKED:.0%} found in {ours:.2f}, not {LEAST}; the ceiling is {best:.2f}."
    row = [f"{data.name}: ceiling", "", "", "", *(f"{one:.2f}" for one in most)]
    return row, [told] if ours < LEAST else []


def tables(*, seeds: int, small: bool = False) -> list[Table]:
    """Measure on simulated and real noise."""
    many = 1 if small else max(seeds, 2)
    sources = (
        Data("quiet suite, 5,000 tests", simulated(QUIET, 5_000), 5_000, 15, many, QUIET),
        Data("usual suite, 200 tests", simulated(MID, 200), 200, 40, 2 * many, MID),
        Data("usual suite, 5,000 tests", simulated(MID, 5_000), 5_000, 15, many, MID),
        Data("shared runners, 5,000 tests", simulated(SHARED, 5_000), 5_000, 15, many, SHARED),
        Data("files of PyTorch, replayed", replayed("pytorch_files_2022_2023"), 0, 60, many),
        Data("dune-common, replayed", replayed("dune_common_ubuntu"), 0, 60, many),
    )
    rows: list[list[str]] = []
    missed: list[str] = []
    total = wrong = 0
    for data in sources:
        cells = [data.name]
        for runs in (1, 3):
            count, red, _, _ = judge(data, 0.0, runs, 11)
            cells.append(f"{red} of {count}")
            total, wrong = total + count, wrong + red
        count, red = by_the_simple_rule(data, 11)
        cells.append(f"{red} of {count}")
        shares = []
        for size in SIZES:
            _, _, put_in, hit = judge(data, size, 3, 12)
            shares.append(hit / max(put_in, 1))
        rows.append([*cells, *(f"{one:.2f}" for one in shares)])
        if data.suite:
            row, short = ceiling(data, data.suite, shares)
            rows.append(row)
            missed += short
    note = (
        f"Red though nothing changed: {wrong} of {total:,} changes, {500 * wrong / total:.1f} of "
        "500. One run of a change in twenty is slow as a whole, by half. Found: a test of about "
        "100 ms that got slower, in a change of three runs. A ceiling is no method: it is what "
        "somebody finds who knows each test's level and spread, what the machine did, and the "
        "noise's distribution, and is wrong in one change of 500. Nobody who sees the same three "
        "values finds more in the mean."
    )
    found = [f"found, +{size:.0%}" for size in SIZES]
    heads = ("suite", "red, one run", "red, three runs", "red by the 20 % rule", *found)
    return [Table("Gates on durations", heads, rows, note, missed)]
