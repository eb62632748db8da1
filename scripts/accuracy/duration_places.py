"""How often the onset of a slowdown is where it is told to be, and the groups are right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import mean

import numpy as np
import numpy.typing as npt

from scripts.accuracy.duration_data import (
    MID,
    QUIET,
    SHARED,
    Injected,
    Rng,
    Suite,
    Values,
    permuted,
    rank_levels,
    real_noise,
    simulate,
    with_steps,
)
from scripts.accuracy.table import Table
from testlytics_analytics.durations.groups import Late, onset_of, onsets, regressions
from testlytics_analytics.durations.run_factor import steady
from testlytics_analytics.durations.segments import segments
from testlytics_analytics.durations.slowdowns import slowdowns

RUNS = 150
TESTS = 400
FIRST, ROOM = 60, 8
"""Steps lie behind so many runs, and before the last so many."""
SIMULATED: tuple[tuple[str, Suite, tuple[float, ...]], ...] = (
    ("Quiet benchmarks, simulated", QUIET, (0.05, 0.1)),
    ("A usual suite, simulated", MID, (0.1, 0.2, 0.5)),
    ("Shared runners of three kinds, simulated", SHARED, (0.2, 0.5, 1.0)),
)
REAL: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("Files of PyTorch's test suite", "pytorch_files_2022_2023", (0.1, 0.2, 0.5)),
    ("dune-common on shared GitLab runners", "dune_common_ubuntu", (0.5, 1.0)),
)
CAUSES = (1, 1, 2, 5, 8, 15)
"""Tests that each change of a simulated suite makes slower."""
LEAST = 0.93
"""An interval of 95 % may hold the onset no less often."""

LEVEL_SEEDS = 3
NEAR = 5

Suites = Callable[[Rng], Values]
Rule = Callable[[Values], list[int]]
Steps = npt.NDArray[np.int64]


@dataclass
class Places:
    """What became of the places told.

    Attributes:
        held: Whether each interval holds the onset.
        widths: Runs in each.
        together: Of pairs of slowdowns told together, whether they are one change.
        of_one: Of pairs that are one change, whether they were told together.
        shared: Whether the interval of each group of several holds the onset of most of it.
    """

    held: list[bool] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    together: list[bool] = field(default_factory=list)
    of_one: list[bool] = field(default_factory=list)
    shared: list[bool] = field(default_factory=list)


def tables(*, seeds: int, small: bool) -> list[Table]:
    """Measure on real noise and on simulated suites.

    Args:
        seeds: How many of each.
        small: One of each.
    """
    seeds = 1 if small else seeds
    return [_onset_table(seeds), _group_table(seeds), _level_table(min(seeds, LEVEL_SEEDS))]


def _onset_table(seeds: int) -> Table:
    rows, missed = [], []
    for title, suites, sizes in _suites():
        for size in sizes:
            places = Places()
            for seed in range(seeds):
                rng = np.random.default_rng([41, seed])
                _note(with_steps(suites(rng), rng, size, first=FIRST, room=ROOM), places)
            share = mean(places.held) if places.held else float("nan")
            if not share >= LEAST:
                missed.append(f"{title}, +{size:.0%}: {share:.1%} of the intervals.")
            width = mean(places.widths) if places.held else float("nan")
            rows.append(
                [f"{title}, +{size:.0%}", str(len(places.held)), f"{share:.1%}", f"{width:.1f}"]
            )
    note = (
        f"Slowdowns that were found, {seeds} orders or suites each: how often the interval of 95 % "
        "holds the run at which the step was put in, and how many runs are in it."
    )
    return Table("Slow since", ("Data", "Slowdowns", "Hold", "Runs"), rows, note, missed)


def _group_table(seeds: int) -> Table:
    rows = []
    for title, suite, size in (
        ("Quiet benchmarks, simulated", QUIET, 0.2),
        ("A usual suite, simulated", MID, 0.3),
        ("Shared runners of three kinds, simulated", SHARED, 0.7),
    ):
        places = Places()
        for seed in range(seeds):
            rng = np.random.default_rng([43, seed])
            values = simulate(suite, rng, TESTS, RUNS)
            _note(_changed(values, rng, size), places)
        shares = (places.together, places.of_one, places.shared)
        cells = [f"{mean(one):.1%}" if one else "-" for one in shares]
        rows.append([f"{title}, +{size:.0%}", *cells])
    note = (
        f"Suites of {TESTS} tests with changes that make {', '.join(map(str, CAUSES))} of them "
        f"slower, {seeds} of each kind: of the pairs told together those of one change, of the "
        "pairs of one change those told together, and how often the interval of a group of "
        "several holds the change."
    )
    heads = ("Data", "Rightly together", "Found together", "Place holds")
    return Table("Slowdowns of one change", heads, rows, note)


def _level_table(seeds: int) -> Table:
    """Cut whole histories into levels, by ours and by the rule that real noise was made with."""
    rows = []
    for title, suites, sizes in _suites():
        for name, rule in LEVELS.items():
            false, values = 0, 0
            for seed in range(seeds):
                rng = np.random.default_rng([47, seed])
                for row in steady(suites(rng)).residuals:
                    values += int(np.isfinite(row).sum())
                    false += len(rule(row))
            cells = [_found(suites, size, seeds, rule) for size in sizes]
            cells += ["-"] * (3 - len(cells))
            rows.append([title, name, f"{false / max(values, 1) * 1e5:.2g}", *cells])
    note = (
        f"Whole histories of {RUNS} runs, {seeds} of each suite: changes told per 1,000 tests and "
        "100 runs where there are none (FA), and the share of single steps, the smallest size "
        f"first, of which a change was told within {NEAR} runs. The sizes are those above."
    )
    heads = ("Data", "Method", "FA", "Smallest", "Next", "Largest")
    return Table("Levels of a whole history", heads, rows, note)


def _found(suites: Suites, size: float, seeds: int, rule: Rule) -> str:
    hits = steps = 0
    for seed in range(seeds):
        rng = np.random.default_rng([53, seed])
        told = with_steps(suites(rng), rng, size, first=FIRST, room=30)
        residuals = steady(told.values).residuals
        for row in np.flatnonzero(told.at >= 0):
            steps += 1
            hits += any(abs(at - told.at[row]) <= NEAR for at in rule(residuals[row]))
    return f"{hits / steps:.2f}"


def _ours(row: Values) -> list[int]:
    return [one.start for one in segments(row)[1:]]


def _by_ranks(row: Values) -> list[int]:
    columns = np.flatnonzero(np.isfinite(row))
    levels = rank_levels(row[columns])
    return [int(at) for at in columns[1:][np.diff(levels) != 0]]


LEVELS: dict[str, Rule] = {
    "testlytics": _ours,
    "rank binary segmentation, 4.5": _by_ranks,
}


def _suites() -> list[tuple[str, Suites, Sequence[float]]]:
    made: list[tuple[str, Suites, Sequence[float]]] = [
        (title, _mixed(name), sizes) for title, name, sizes in REAL
    ]
    return made + [(title, _simulated(suite), sizes) for title, suite, sizes in SIMULATED]


def _mixed(name: str) -> Suites:
    noise = real_noise(name)
    return lambda rng: permuted(noise, rng)[:, -RUNS:]


def _simulated(suite: Suite) -> Suites:
    return lambda rng: simulate(suite, rng, TESTS, RUNS)


def _changed(values: Values, rng: Rng, size: float) -> Injected:
    """Make tests slower, several at each place."""
    at = np.full(len(values), -1)
    rows = rng.permutation(len(values))
    for tests in CAUSES:
        at[rows[:tests]] = rng.integers(FIRST, RUNS - ROOM)
        rows = rows[tests:]
    for row in np.flatnonzero(at >= 0):
        values[row, at[row] :] += np.float32(np.log1p(size))
    return Injected(values, at)


def _note(injected: Injected, places: Places) -> None:
    """Judge a suite, and enter what is told of the places."""
    told = slowdowns(injected.values)
    real = [at for at, one in enumerate(told.found) if injected.at[one.row] >= 0]
    if not real:
        return
    starts = [told.found[at].start for at in real]
    truth = [int(injected.at[told.found[at].row]) for at in real]
    steps = np.arange(injected.values.shape[1])
    found = [
        Late(f"{number:04}", "", 1.0, steps, logs)
        for number, logs in enumerate(onsets(told.steadied[real], starts))
    ]
    for late, start in zip(found, truth, strict=True):
        after, until = onset_of(late)
        places.held.append(after < start <= until)
        places.widths.append(until - after)
    group_of: dict[int, int] = {}
    for number, group in enumerate(regressions(found, told.judged)):
        group_of.update(dict.fromkeys(group.members, number))
        starts = [truth[at] for at in group.members]
        if len(starts) > 1:
            most = max(starts, key=starts.count)
            places.shared.append(group.onset.after < most <= group.onset.until)
    for one, other in combinations(range(len(found)), 2):
        same, both = truth[one] == truth[other], group_of[one] == group_of[other]
        if both:
            places.together.append(same)
        if same:
            places.of_one.append(both)
