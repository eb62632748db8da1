"""Whether the report says rightly how many of the slower tests it tells of are chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from scripts.accuracy.duration_data import (
    MID,
    QUIET,
    SHARED,
    Injected,
    Suite,
    Values,
    permuted,
    real_noise,
    simulate,
    with_steps,
)
from scripts.accuracy.table import Table
from testlytics_analytics.durations.slowdowns import SlowdownOptions, slowdowns, strict

WINDOW = 150
USUAL = SlowdownOptions()
LOOSE = replace(USUAL, threshold=4.0, false_share=1.0)
"""So low that there are false ones to count."""
EVERY = 7
"""A report is made after each so many runs."""
OFF = 0.05
"""The estimated share may be wrong by so much."""
ONE_IN = 500
"""Runs of which at most one may stop somebody for nothing."""
KINDS: tuple[tuple[str, Suite], ...] = (
    ("quiet", QUIET),
    ("usual", MID),
    ("shared runners", SHARED),
    ("series that wander", replace(MID, memory=0.5)),
    ("many outliers", replace(MID, outliers=0.06)),
)


class Told(NamedTuple):
    """What reports said together, and what was true; means over reports.

    Attributes:
        found: Slower tests told of.
        false: Those of them that did not get slower.
        expected: How many of them the reports say may be chance.
        false_share: Share of false ones among those told of, 0 where none was.
        said_share: What the reports say of it, likewise.
        reports: How many there were.
    """

    found: float
    false: float
    expected: float
    false_share: float
    said_share: float
    reports: int


def reports(suite: Injected, options: SlowdownOptions, first: int) -> Iterator[list[float]]:
    """Yield per report what `Told` is the mean of."""
    for run in range(first, suite.values.shape[1], EVERY):
        begin = max(0, run + 1 - WINDOW)
        told = slowdowns(suite.values[:, begin : run + 1], options)
        rows = np.array([one.row for one in told.found], int)
        at = suite.at[rows]
        false = int(((at < 0) | (at > run)).sum())
        share = told.false_share
        yield [
            len(rows),
            false,
            told.by_chance,
            false / len(rows) if len(rows) else 0.0,
            0.0 if share is None else share,
        ]


def together(suites: list[Injected], options: SlowdownOptions, first: int) -> Told:
    """Make reports of each suite; return their means."""
    lines = [line for suite in suites for line in reports(suite, options, first)]
    found, false, expected, false_share, said_share = np.mean(lines, axis=0).tolist()
    return Told(found, false, expected, false_share, said_share, len(lines))


def _suites(seeds: int, tests: int, runs: int) -> list[tuple[str, list[Values]]]:
    made = [
        (name, [simulate(kind, np.random.default_rng([41, s]), tests, runs) for s in range(seeds)])
        for name, kind in KINDS
    ]
    noise = real_noise("pytorch_files_2022_2023")[: 3 * tests, -runs:]
    orders = [permuted(noise, np.random.default_rng([42, seed])) for seed in range(seeds)]
    return [*made, ("files of PyTorch's tests", orders)]


def shares(seeds: int, tests: int, runs: int) -> Table:
    """Compare what reports say may be chance with what is."""
    rows, missed = [], []
    for name, suites in _suites(seeds, tests, runs):
        calm = [Injected(values, np.full(len(values), -1)) for values in suites]
        slower = []
        for seed, values in enumerate(suites):
            rng = np.random.default_rng([43, seed])
            slower.append(with_steps(values, rng, 0.5, share=0.05, first=runs // 2, room=10))
        for what, made, options in (
            ("nothing slower", calm, USUAL),
            ("5 % slower by half", slower, USUAL),
            ("5 % slower by half, threshold 4", slower, LOOSE),
        ):
            told = together(made, options, runs // 2)
            off = told.said_share - told.false_share
            if abs(off) > OFF:
                missed.append(f"{name}, {what}: wrong by {off:+.2f}.")
            rows.append(
                [
                    f"{name}, {what}",
                    str(told.reports),
                    f"{told.found:.2f}",
                    f"{told.false:.3f}",
                    f"{told.expected:.3f}",
                    f"{told.false_share:.3f}",
                    f"{told.said_share:.3f}",
                ]
            )
    note = (
        "Means over reports. A share is 0 where a report tells of none. What the report says may "
        "not be wrong by more than 0.05."
    )
    columns = ["suite", "reports", "told of", "false", "said", "false share", "said share"]
    return Table("How many of the slower tests are chance", columns, rows, note, missed)


def stopped(values: Values, first: int) -> tuple[int, int]:
    """Judge after each run of a suite without changes; return how often it stops, and the runs."""
    red = 0
    for run in range(first, values.shape[1]):
        red += bool(strict(slowdowns(values[:, max(0, run + 1 - WINDOW) : run + 1])))
    return red, values.shape[1] - first


def gate(seeds: int, tests: int, runs: int) -> Table:
    """Count the runs that would be stopped where nothing changed (A/A)."""
    noise = real_noise("pytorch_files_2022_2023")
    few = min(seeds, 4)
    kinds = [
        ("usual", [simulate(MID, np.random.default_rng(44), tests, WINDOW + runs)], WINDOW),
        (
            "shared runners",
            [simulate(SHARED, np.random.default_rng(45), tests, WINDOW + runs)],
            WINDOW,
        ),
        (
            "files of PyTorch's tests",
            [permuted(noise, np.random.default_rng([46, seed])) for seed in range(few)],
            24,
        ),
    ]
    rows, missed = [], []
    for name, suites, first in kinds:
        made = [stopped(values, first) for values in suites]
        red, judged = sum(one for one, _ in made), sum(size for _, size in made)
        rows.append([name, str(len(suites[0])), str(judged), str(red)])
        if red > max(1, judged / ONE_IN):
            missed.append(f"{name}: {red} of {judged} runs, at most one of {ONE_IN} may.")
    columns = ["suite", "tests", "runs", "stopped"]
    note = (
        "Nothing got slower. A run is stopped where any test of it is told of by the strict rule."
    )
    return Table("Runs stopped for nothing", columns, rows, note, missed)


def tables(*, seeds: int, small: bool) -> list[Table]:
    """Measure both.

    Args:
        seeds: Suites of each kind.
        small: Few tests and one suite: does it work at all?
    """
    if small:
        return [shares(1, 60, 100), gate(1, 60, 4)]
    return [shares(seeds, 600, 200), gate(seeds, 5_000, ONE_IN)]
