"""What can be known at all: the exact posterior of somebody who knows how the suite was simulated.

The oracle knows every constant of `outcome_data`, the measured rates and which runs were outages,
and sees of the tests what everybody sees. By Bayes' rule no other ranking by the same outcomes has
a better expected precision, so its row is the ceiling of the tables, and not a method.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scripts.accuracy.outcome_data import WORTH, Shape, Suite, burst_of, flaky_rates

_Array = npt.NDArray[np.float32]
_CELLS = 40
"""Rates that lie closer than a fortieth of the scale of log odds are taken together."""
_MOST_BREAKAGES = 8
_AT_ONCE = 2
"""Breakages that may overlap."""
_TOGETHER = 100
_SURE = 0.995
_NO_MORE = 1e-25
_EVERY = 20

Pattern = tuple[str, Sequence[tuple[int, int]]]


class Known(NamedTuple):
    """What the oracle says of one test.

    Attributes:
        at_least: Probability that its rate is 1 % or more, of all that was seen.
        broken: Probability of being broken, by run, of what was known then.
    """

    at_least: float
    broken: Sequence[float]


class _Kinds(NamedTuple):
    """Kinds of tests: prior, rate, chance outside of and within bursts, and how they change."""

    prior: _Array
    rate: _Array
    calm: _Array
    high: _Array
    enter: _Array
    leave: _Array


def known(suite: Suite, shape: Shape, patterns: Sequence[Pattern]) -> list[Known]:
    """Judge tests.

    Args:
        suite: Its runs are known, outages too.
        shape: What it was simulated with.
        patterns: Letters and tries of each test, see `outcome_data.SimulatedTest`.

    Returns:
        One for each pattern, in their order.
    """
    kinds = _kinds(shape)
    # Alike ones together: what none of them can be need not be walked through.
    ranked = sorted(range(len(patterns)), key=lambda at: len(patterns[at][1]))
    found: dict[int, Known] = {}
    for start in range(0, len(ranked), _TOGETHER):
        some = ranked[start : start + _TOGETHER]
        told = _filtered(suite, shape, kinds, [patterns[at] for at in some])
        found |= dict(zip(some, told, strict=True))
    return [found[at] for at in range(len(patterns))]


def _kinds(shape: Shape) -> _Kinds:
    """Return the kinds of tests: never flaky, steady and bursty at each of the rates."""
    rates = np.array(flaky_rates())
    odds = np.log(np.minimum(rates, 0.9999)) - np.log1p(-np.minimum(rates, 0.9999))
    cells = np.floor((odds - odds.min()) / np.ptp(odds) * _CELLS) + 1000 * (rates >= WORTH)
    rows = [(1 - shape.flaky, 0.0, 0.0, 0.0, 0.0, 1.0)]
    for cell in np.unique(cells):
        some = rates[cells == cell]
        share, rate = shape.flaky * len(some) / len(rates), float(some.mean())
        rows.append((share * (1 - shape.bursty), rate, rate, rate, 0.0, 1.0))
        burst = burst_of(shape, rate)
        rows.append((share * shape.bursty, rate, *burst))
    return _Kinds(*np.array(rows, np.float32).T)


def _breaking(shape: Shape) -> tuple[_Array, list[tuple[int, int]]]:
    """Return the chance of each number of breakages to come, and states (to come, under way)."""
    chance = 1 / shape.breaks
    counts = [(1 - chance) ** (k - 1) * chance for k in range(1, _MOST_BREAKAGES + 1)]
    begin = np.array(
        [1 - shape.breaking, *(shape.breaking * c / sum(counts) for c in counts)], np.float32
    )
    # By what is under way: the states in which a test is well are the first ones.
    states = [(n, m) for m in range(_AT_ONCE + 1) for n in range(_MOST_BREAKAGES + 1)]
    return begin, states


def _next_commit(shape: Shape, commit: int, states: Sequence[tuple[int, int]]) -> _Array:
    """Return how the states change before a commit: breakages end, some of those to come begin."""
    at = {state: index for index, state in enumerate(states)}
    matrix = np.zeros((len(states), len(states)), np.float32)
    ends, begins = 1 / shape.broken_commits, 1 / (shape.commits - commit)
    for (n, m), row in at.items():
        for more in range(n + 1):
            begun = comb(n, more) * begins**more * (1 - begins) ** (n - more)
            for left in range(m + 1):
                stay = comb(m, left) * (1 - ends) ** left * ends ** (m - left)
                matrix[row, at[n - more, min(_AT_ONCE, left + more)]] += begun * stay
    return matrix


def _chances(kinds: _Kinds, tries: Sequence[tuple[int, int]], hit: float) -> tuple[_Array, _Array]:
    """Return how likely one run's results are, well and broken, by test, kind and (calm, burst)."""
    well = np.stack([kinds.calm, kinds.high], axis=-1)
    ill: _Array = 1 - (1 - well) * np.float32(1 - _SURE)
    found = []
    for first, again in ((well, well), (ill, np.full_like(ill, _SURE))):
        made: dict[tuple[int, int], npt.NDArray[Any]] = {(1, 0): (1 - hit) * (1 - first)}
        for passes, fails in set(tries) - {(1, 0)}:
            more = again ** (fails - 1) * (1 - again) ** passes
            down = np.float32(hit * (passes == 0))
            made[passes, fails] = (1 - hit) * first * more + down
        found.append(np.stack([made[one] for one in tries]))
    return found[0], found[1]


def _filtered(
    suite: Suite, shape: Shape, kinds: _Kinds, patterns: Sequence[Pattern]
) -> list[Known]:
    """Walk through the runs, all tests at once; states by test, kind, burst and breakage."""
    begin, breakages = _breaking(shape)
    states = np.repeat(_start(kinds, begin, breakages)[None], len(patterns), axis=0)
    fine = sum(not under_way for _, under_way in breakages)
    left = [iter(tries) for _, tries in patterns]
    broken, commit = np.zeros((len(patterns), len(suite.runs)), np.float32), -1
    for at, run in enumerate(suite.runs):
        if at:
            calm, high = states[:, :, 0], states[:, :, 1]
            enter, leave = kinds.enter[:, None], kinds.leave[:, None]
            states = np.stack(
                [calm * (1 - enter) + high * leave, calm * enter + high * (1 - leave)], axis=2
            )
        if run.commit != commit:
            commit = run.commit
            states = states @ _next_commit(shape, commit, breakages)
        letters = [text[at] for text, _ in patterns]
        tries = [(1, 0) if x == "P" else next(it) for x, it in zip(letters, left, strict=True)]
        well, sick = _chances(kinds, tries, shape.outage_hits if run.outage else 0.0)
        states[..., :fine] *= well[..., None]
        states[..., fine:] *= sick[..., None]
        states /= states.sum(axis=(1, 2, 3), keepdims=True)
        broken[:, at] = states[..., fine:].sum(axis=(1, 2, 3))
        if at % _EVERY == _EVERY - 1:
            kept = states.sum(axis=(2, 3)).max(axis=0) > _NO_MORE
            states, kinds = states[:, kept], _Kinds(*(column[kept] for column in kinds))
    worth = states[:, kinds.rate >= WORTH].sum(axis=(1, 2, 3))
    return [Known(float(w), b.tolist()) for w, b in zip(worth, broken, strict=True)]


def _start(kinds: _Kinds, begin: _Array, breakages: Sequence[tuple[int, int]]) -> _Array:
    """Return how likely each state is before the first run."""
    inside = kinds.enter / (kinds.enter + kinds.leave)
    both = np.stack([1 - inside, inside], axis=-1) * kinds.prior[:, None]
    start = np.zeros((len(kinds.prior), 2, len(breakages)), np.float32)
    for count, share in enumerate(begin):
        start[:, :, breakages.index((count, 0))] = both * share
    return start
