"""Histories of passing and failing whose truth is known: a seeded simulator.

The rates of the flaky tests are those measured by FlakeFlagger (see `data/`); everything else is
said in `Shape`. Standard library only, and the same seed gives the same histories everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from random import Random
from typing import NamedTuple

WORTH = 0.01
"""A test that fails at this rate or more is worth to be found."""

_RATES = Path(__file__).parent / "data" / "flakeflagger_rates.txt"


@dataclass(frozen=True, slots=True)
class Shape:
    """What is simulated.

    Attributes:
        tests: How many tests.
        commits: How many commits, each with one run …
        reruns: … and with this probability a second one of the same sources.
        retries: Share of runs whose pipeline tries a failed test once more.
        flaky: Share of tests with a true rate above zero.
        bursty: Share of these that fail in bursts, at the same rate in the long run.
        burst_runs: Mean length of a burst, in runs (geometric).
        burst_share: Share of the runs within bursts: a test fails 1 / share times as often there
            and never outside …
        burst_top: … but at most at this rate, the rest of its failures lie outside …
        burst_least: … and at least at this rate, bursts being rarer then.
        breaking: Share of tests that are really broken once or more.
        breaks: Mean number of such breakages, at least one (geometric).
        broken_commits: Mean length of a breakage (geometric).
        outages: Share of runs in which the machine fails …
        outage_hits: … and this share of the tests with it.
    """

    tests: int = 20_000
    commits: int = 400
    reruns: float = 0.1
    retries: float = 0.5
    flaky: float = 811 / 22_244
    bursty: float = 0.15
    burst_runs: float = 10.0
    burst_share: float = 0.2
    burst_top: float = 0.95
    burst_least: float = 0.0
    breaking: float = 0.07
    breaks: float = 1.5
    broken_commits: float = 7.0
    outages: float = 0.01
    outage_hits: float = 0.3


class SimulatedRun(NamedTuple):
    """One run.

    Attributes:
        commit: Its number, from 0.
        retries: Whether a failed test is tried once more.
        outage: Whether the machine fails.
    """

    commit: int
    retries: bool
    outage: bool


class SimulatedTest(NamedTuple):
    """One test that failed at least once, and the truth about it.

    Attributes:
        number: Its number, from 0.
        letters: One for each run: P passed, F failed, L both.
        tries: (passes, failures) of each F and L, in order.
        rate: True failure rate while it is not broken, over the long run.
        bursty: Whether it fails in bursts.
        broken: Runs in which it is truly broken.
    """

    number: int
    letters: str
    tries: Sequence[tuple[int, int]]
    rate: float
    bursty: bool
    broken: frozenset[int]


class Suite(NamedTuple):
    """A simulated suite.

    Attributes:
        runs: In order.
        tests: Those that failed at least once.
        calm_rates: True rates of those that never did.
        failing: Tests that failed, by run.
        size: How many tests there are.
    """

    runs: Sequence[SimulatedRun]
    tests: Sequence[SimulatedTest]
    calm_rates: Sequence[float]
    failing: Sequence[int]
    size: int


def flaky_rates() -> list[float]:
    """Return the measured failure rates of flaky tests, rising."""
    rates: list[float] = []
    for line in _RATES.read_text(encoding="utf-8").splitlines():
        for word in [] if line.startswith("#") else line.split():
            value, _, times = word.partition("*")
            rates += [int(value) / 10_000] * int(times or 1)
    return rates


def simulate(seed: int, shape: Shape | None = None) -> Suite:
    """Simulate a suite.

    Args:
        seed: Equal seeds, equal suites.
        shape: What to simulate; the defaults where None.
    """
    shape = shape or Shape()
    random = Random(seed)  # noqa: S311 - a simulation, and it must be repeatable
    measured = flaky_rates()
    runs = _runs(random, shape)
    outages = [index for index, run in enumerate(runs) if run.outage]
    tests: list[SimulatedTest] = []
    calm: list[float] = []
    failing = [0] * len(runs)
    for number in range(shape.tests):
        rate = random.choice(measured) if random.random() < shape.flaky else 0.0
        bursty = rate > 0 and random.random() < shape.bursty
        chances = _bursts(random, shape, rate, len(runs)) if bursty else []
        broken = _breakages(random, shape, runs) if random.random() < shape.breaking else set()
        down = {index for index in outages if random.random() < shape.outage_hits}
        hits = {index for index, chance in enumerate(chances) if random.random() < chance}
        hits = hits or _hits(random, 0.0 if bursty else rate, len(runs))
        tries: dict[int, tuple[int, int]] = {}
        for index in sorted({*hits, *broken, *down}):
            sure = 1.0 if index in down else 0.995 if index in broken else None
            if index in hits or random.random() < (sure or 0.0):
                again = runs[index].retries
                chance = sure or (chances[index] if bursty else rate)
                mended = again and random.random() >= chance
                tries[index] = (int(mended), 1 + int(again and not mended))
        for index in tries:
            failing[index] += 1
        if tries:
            letters = ["P"] * len(runs)
            for index, (passes, _) in tries.items():
                letters[index] = "L" if passes else "F"
            told = SimulatedTest(
                number, "".join(letters), list(tries.values()), rate, bursty, frozenset(broken)
            )
            tests.append(told)
        else:
            calm.append(rate)
    return Suite(runs, tests, calm, failing, shape.tests)


def _runs(random: Random, shape: Shape) -> list[SimulatedRun]:
    commits = [
        commit
        for commit in range(shape.commits)
        for _ in range(1 + (random.random() < shape.reruns))
    ]
    return [
        SimulatedRun(commit, random.random() < shape.retries, random.random() < shape.outages)
        for commit in commits
    ]


def _geometric(random: Random, chance: float) -> int:
    """Return how many draws it takes until one of this chance hits, at least one."""
    if chance >= 1:
        return 1
    return 1 + int(log(1 - random.random()) / log(1 - chance))


def _hits(random: Random, rate: float, runs: int) -> set[int]:
    """Return the runs that a chance of `rate` per run hits."""
    hits: set[int] = set()
    if rate <= 0:
        return hits
    at = _geometric(random, rate) - 1
    while at < runs:
        hits.add(at)
        at += _geometric(random, rate)
    return hits


def burst_of(shape: Shape, rate: float) -> tuple[float, float, float, float]:
    """Return how a bursty test of this rate fails.

    Returns:
        Its chance of failing outside of bursts and within, and the chances per run that a burst
        begins and that it ends.
    """
    high = min(shape.burst_top, max(shape.burst_least, rate / shape.burst_share, rate))
    share = min(shape.burst_share, rate / high)
    calm = max(0.0, (rate - share * high) / (1 - share))
    leave = 1 / shape.burst_runs
    return calm, high, leave * share / (1 - share), leave


def _bursts(random: Random, shape: Shape, rate: float, runs: int) -> list[float]:
    """Return the chance of failing, by run."""
    calm, high, enter, leave = burst_of(shape, rate)
    chances: list[float] = []
    inside = random.random() < enter / (enter + leave)
    for _ in range(runs):
        chances.append(high if inside else calm)
        inside = random.random() >= leave if inside else random.random() < enter
    return chances


def _breakages(random: Random, shape: Shape, runs: Sequence[SimulatedRun]) -> set[int]:
    """Return the runs of commits on which a test is broken."""
    commits: set[int] = set()
    for _ in range(_geometric(random, 1 / shape.breaks)):
        start = random.randrange(shape.commits)
        commits.update(range(start, start + _geometric(random, 1 / shape.broken_commits)))
    return {index for index, run in enumerate(runs) if run.commit in commits}
