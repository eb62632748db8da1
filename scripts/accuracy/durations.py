"""How often a slowdown is found, and how often one is told of that is none.

Real noise first: the level shifts of real series are taken out, blocks of five runs are put into
another order, steps are put in. Every rule judges after each run what is known up to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

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
    with_steps,
)
from scripts.accuracy.duration_rivals import RULES
from scripts.accuracy.table import Table
from testlytics_analytics.durations.run_factor import steady
from testlytics_analytics.durations.slowdowns import slowdowns

WINDOW = 150
FIRST = 24
APART = 60
"""Alarms of one series within so many runs are one."""
ROOM = 50
"""A step counts as found within so many runs."""
Flags = npt.NDArray[np.bool_]
Sizes = tuple[float, ...]
ALL = slice(None)
SCORED = slice(1, None, 2)
"""The other half of PyTorch's series, in other orders, is what constants may be chosen on."""
HALF = "Every other series is scored; the rest of them is what constants were chosen on."
REAL: tuple[tuple[str, str, Sizes, slice, str], ...] = (
    ("Files of PyTorch's test suite", "pytorch_files_2022_2023", (0.1, 0.2, 0.5), SCORED, HALF),
    ("dune-common on shared GitLab runners", "dune_common_ubuntu", (0.2, 0.5, 1.0), ALL, ""),
)
SIMULATED: tuple[tuple[str, Suite, Sizes], ...] = (
    ("Quiet benchmarks, simulated", QUIET, (0.05, 0.1)),
    ("A usual suite, simulated", MID, (0.1, 0.2, 0.5)),
    ("Shared runners of three kinds, simulated", SHARED, (0.2, 0.5, 1.0)),
)


@dataclass
class Score:
    """What one rule did.

    Attributes:
        alarms: False alarms.
        values: Values that were judged for them.
        found: Per size of step, how many were found.
        steps: Per size, how many there were.
        delays: Per size, runs until each was found.
    """

    alarms: int = 0
    values: int = 0
    found: dict[float, int] = field(default_factory=dict)
    steps: dict[float, int] = field(default_factory=dict)
    delays: dict[float, list[int]] = field(default_factory=dict)

    @property
    def false_alarms(self) -> float:
        """False alarms per 1,000 tests and 100 runs."""
        return self.alarms / max(self.values, 1) * 1e5

    def recall(self, size: float) -> float:
        """Share of the steps of this size that were found."""
        return self.found.get(size, 0) / max(self.steps.get(size, 0), 1)

    def delay(self, size: float) -> float:
        """Median runs until a step of this size was found; NaN where none was."""
        delays = self.delays.get(size)
        return float(np.median(delays)) if delays else float("nan")


def judged(values: Values, first: int, trusted: Flags) -> Iterator[tuple[int, Mapping[str, Flags]]]:
    """Judge after each run, and yield its number and what each rule says per series."""
    for run in range(first, values.shape[1]):
        known = values[:, max(0, run + 1 - WINDOW) : run + 1]
        steadied = steady(known, trusted).residuals
        now = np.isfinite(known[:, -1]) & trusted
        said = {"testlytics": np.zeros(len(known), bool)}
        said["testlytics"][[one.row for one in slowdowns(known).found]] = True
        said |= {name: rule(steadied) for name, rule in RULES.items()}
        yield run, {name: flags & now for name, flags in said.items()}


def count_false(
    values: Values, trusted: Flags, counted: Flags, scores: dict[str, Score], first: int
) -> None:
    """Count alarms on series that did not change."""
    last: dict[str, npt.NDArray[np.int64]] = {}
    judged_values = int(np.isfinite(values[trusted & counted, first:]).sum())
    for run, said in judged(values, first, trusted):
        for name, flags in said.items():
            before = last.setdefault(name, np.full(len(values), -APART - 1))
            fresh = flags & counted & (run - before > APART)
            before[fresh] = run
            scores.setdefault(name, Score()).alarms += int(fresh.sum())
    for score in scores.values():
        score.values += judged_values


def count_found(
    values: Values,
    at: npt.NDArray[np.int64],
    size: float,
    trusted: Flags,
    counted: Flags,
    scores: dict[str, Score],
) -> None:
    """Count the steps that are found within `ROOM` runs, and how soon."""
    rows = np.flatnonzero((at >= 0) & trusted & counted)
    if not len(rows):
        return
    first: dict[str, dict[int, int]] = {}
    for run, said in judged(values, int(at[rows].min()), trusted):
        due = rows[(at[rows] <= run) & (run < at[rows] + ROOM)]
        for name, flags in said.items():
            seen = first.setdefault(name, {})
            for row in due[flags[due]]:
                seen.setdefault(int(row), run - int(at[row]) + 1)
    for name, seen in first.items():
        score = scores.setdefault(name, Score())
        score.steps[size] = score.steps.get(size, 0) + len(rows)
        score.found[size] = score.found.get(size, 0) + len(seen)
        score.delays.setdefault(size, []).extend(seen.values())


def compare(
    suites: Sequence[Values],
    sizes: Sequence[float],
    seed: int,
    *,
    first: int = FIRST,
    every: slice = ALL,
) -> dict[str, Score]:
    """Score every rule on suites without changes, and with steps of each size put in.

    Args:
        suites: Log durations, series by runs.
        sizes: Of the steps.
        seed: Of where they are.
        first: No run before this one is judged.
        every: The series that count; the others are there and are judged, but not scored.
    """
    scores: dict[str, Score] = {}
    for index, values in enumerate(suites):
        trusted = np.nanmedian(values, axis=1) > np.log(0.1)
        counted = np.zeros(len(values), bool)
        counted[every] = True
        count_false(values, trusted, counted, scores, first)
        for size in sizes:
            rng = np.random.default_rng([seed, index, round(size * 1000)])
            injected = with_steps(values, rng, size)
            count_found(injected.values, injected.at, size, trusted, counted, scores)
    return scores


def as_table(title: str, note: str, scores: Mapping[str, Score], sizes: Sequence[float]) -> Table:
    """Write false alarms, and per size the share found with the median delay in runs."""
    rows = [
        [name, f"{score.false_alarms:.2g}"]
        + [f"{score.recall(size):.2f} ({score.delay(size):.0f})" for size in sizes]
        for name, score in scores.items()
    ]
    return Table(title, ["rule", "FA", *(f"+{size:.0%}" for size in sizes)], rows, note)


def tables(*, seeds: int, small: bool) -> list[Table]:
    """Compare on real noise and on simulated suites.

    Args:
        seeds: Orders of the blocks, or simulated suites.
        small: A fraction of the series and one seed: does it work at all?
    """
    thin = 8 if small else 1
    count = 1 if small else seeds
    out = []
    for title, name, sizes, every, note in REAL:
        noise = real_noise(name)
        noise = noise[:: thin if name.startswith("p") else 1]
        if small:
            noise = noise[:, -190:]
        rngs: list[Rng] = [np.random.default_rng([17, seed]) for seed in range(count)]
        scores = compare([permuted(noise, rng) for rng in rngs], sizes, 17, every=every)
        out.append(as_table(title, note, scores, sizes))
    for title, suite, steps in SIMULATED:
        runs = 190 if small else 300
        made = [
            simulate(suite, np.random.default_rng([23, seed]), 800 // thin, runs)
            for seed in range(count)
        ]
        out.append(as_table(title, "", compare(made, steps, 23), steps))
    return out
