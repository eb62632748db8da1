"""The plain hidden Markov model that testlytics has to beat: two states, one grid, fixed constants.

A test is well or broken, by commit; it breaks with probability 0.0005 and is mended with 0.15.
Well, it fails with its rate; broken, with 0.995. In a run in which the share of failing tests is
more than five points above the median, it fails with that share besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from statistics import median
from typing import NamedTuple

from scripts.accuracy.outcome_data import SimulatedRun, Suite

_GRID = (
    1e-5,
    1e-4,
    3e-4,
    1e-3,
    3e-3,
    0.006,
    0.012,
    0.025,
    0.05,
    0.1,
    0.18,
    0.3,
    0.45,
    0.6,
    0.75,
    0.9,
)
_PRIOR = [log(0.955), *[log(0.045 / 15)] * 15]
_BREAKS, _MENDED, _SURE = 5e-4, 0.15, 0.995


class Judged(NamedTuple):
    """What the reference says.

    Attributes:
        rate: Expected flake rate.
        at_least: Probability that it is 1 % or more.
        broken: Probability of being broken, by failing run, of what was known then.
    """

    rate: float
    at_least: float
    broken: dict[int, float]


def outage_shares(suite: Suite) -> list[float]:
    """Return the share of failing tests of the runs in which it is unusual; 0 of the others."""
    shares = [failing / suite.size for failing in suite.failing]
    usual = median(shares)
    return [share if share > usual + 0.05 else 0.0 for share in shares]


def reference(
    letters: str,
    tries: Sequence[tuple[int, int]],
    runs: Sequence[SimulatedRun],
    outages: Sequence[float],
) -> Judged:
    """Judge one test.

    Args:
        letters: Its verdicts, by run.
        tries: (passes, failures) of those that are not P.
        runs: The runs.
        outages: See `outage_shares`.
    """
    left = iter(tries)
    usual = _BREAKS / (_BREAKS + _MENDED)
    states = [(1 - usual, usual)] * len(_GRID)
    logs = list(_PRIOR)
    broken: dict[int, float] = {}
    commit = -1
    for at, letter in enumerate(letters):
        passes, fails = (1, 0) if letter == "P" else next(left)
        if runs[at].commit != commit:
            commit = runs[at].commit
            states = [
                (w * (1 - _BREAKS) + b * _MENDED, w * _BREAKS + b * (1 - _MENDED))
                for w, b in states
            ]
        spared = 1 - outages[at]
        ill = 1 - (1 - _SURE) * spared
        ill = ill**fails * (1 - ill) ** passes
        chances = [1 - (1 - rate) * spared for rate in _GRID]
        states = [
            (w * q**fails * (1 - q) ** passes, b * ill)
            for (w, b), q in zip(states, chances, strict=True)
        ]
        if fails or not at % 16:
            states = _rescaled(states, logs)
        if fails:
            weights = _weights(logs)
            broken[at] = sum(x * b for x, (_, b) in zip(weights, states, strict=True))
    _rescaled(states, logs)
    weights = _weights(logs)
    return Judged(
        rate=sum(x * rate for x, rate in zip(weights, _GRID, strict=True)),
        at_least=sum(x for x, rate in zip(weights, _GRID, strict=True) if rate >= 0.01),
        broken=broken,
    )


def _rescaled(states: list[tuple[float, float]], logs: list[float]) -> list[tuple[float, float]]:
    made = []
    for at, (well, ill) in enumerate(states):
        whole = well + ill or 1e-300
        logs[at] += log(whole)
        made.append((well / whole, ill / whole))
    return made


def _weights(logs: Sequence[float]) -> list[float]:
    top = max(logs)
    weights = [exp(x - top) for x in logs]
    whole = sum(weights)
    return [x / whole for x in weights]
