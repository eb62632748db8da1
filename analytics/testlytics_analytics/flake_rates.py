"""How often a test flakes: a distribution of rates, from its likelihood on a coarse grid."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import exp, log, sqrt
from typing import NamedTuple

from testlytics_analytics.evidence import Stretch

_SLIGHT = 1e-4
_FAR = [step / 2 for step in range(-6, 7)]
_NORMAL = [exp(-step * step / 2) for step in _FAR]
_Point = tuple[float, float, float, float, float]
_COARSE, _FINE, _MANY = 4, 12, 20


class Rates(NamedTuple):
    """The flake rate of one test: how often it fails in runs in which it is not broken.

    Attributes:
        mean: Expected rate.
        low: Lower bound of the 95 % credible interval …
        high: … and upper bound.
        at_least: Probability that the rate is at the threshold or above.
    """

    mean: float
    low: float
    high: float
    at_least: float


class Refinement:
    """Makes distributions of rates from weights on a grid.

    Args:
        grid: Rates above zero, rising.
    """

    def __init__(self, grid: Sequence[float]) -> None:
        self._exact = [(log(rate), log(1 - rate)) for rate in grid]
        scale = [fail for fail, _ in self._exact]
        ends = [scale[0], *scale, scale[-1]]
        self._widths = [
            log((right - left) / 2) for left, right in zip(ends, ends[2:], strict=False)
        ]
        self._points = {cuts: _points(scale, cuts) for cuts in (_COARSE, _FINE)}

    def rates(
        self,
        weights: Sequence[float],
        spells: float,
        stretches: Sequence[Stretch],
        threshold: float,
    ) -> Rates:
        """Refine a posterior on the grid.

        Args:
            weights: Probability that the test is not flaky, and then that of each rate.
            spells: Probability that it fails in bad spells, at a rate that the grid cannot say.
            stretches: What became of it.
            threshold: What `Rates.at_least` counts from.
        """
        points = self._refined(weights, stretches)
        if spells > _SLIGHT:
            points += _of_spells(spells, stretches)
            points.sort()
        shares = [weight for _, weight in points]
        prone = sum(shares)
        whole = prone + weights[0]
        sums = list(accumulate(shares))
        below = bisect_left(points, (threshold,))
        return Rates(
            mean=sum([rate * weight for rate, weight in points]) / whole,
            low=_quantile(points, sums, 0.025 * whole - weights[0]),
            high=_quantile(points, sums, 0.975 * prone),
            at_least=(prone - sums[below - 1] if below else prone) / whole,
        )

    def _refined(
        self, weights: Sequence[float], stretches: Sequence[Stretch]
    ) -> list[tuple[float, float]]:
        """Return points between those of the grid.

        What a rate does to the likelihood of so many failures and passes is known exactly; what
        remains, the breakages and the prior, changes slowly from point to point.
        """
        fails = sum([sum(one.fails) for one in stretches])
        passes = sum([one.passes for one in stretches])
        total = sum(weights) - weights[0]
        slight = _SLIGHT * total
        exact = self._exact
        table = self._points[_COARSE if fails < _MANY else _FINE]
        heavy = [at for at, weight in enumerate(weights) if weight > slight and at]
        # The cells on both sides of each rate that matters, by the rate at their left end.
        ends = {cell for at in heavy for cell in (at - 1, at)}
        cells = sorted(cell for cell in ends if 0 < cell < len(weights) - 1)
        rest: dict[int, float] = {}
        for at in {end for cell in cells for end in (cell, cell + 1)}:
            if weights[at] > 0:
                fail, good = exact[at - 1]
                rest[at] = log(weights[at]) - fails * fail - passes * good - self._widths[at - 1]
        found: list[float] = []
        logs: list[float] = []
        for cell in cells:
            left, right = rest.get(cell), rest.get(cell + 1)
            # Where one end is out of reach the other one speaks for the cell.
            low = (right or 0.0) if left is None else left
            rise = 0.0 if left is None or right is None else right - left
            for part, rate, fail, good, size in table[cell - 1]:
                found.append(rate)
                logs.append(low + part * rise + fails * fail + passes * good + size)
        top = max(logs, default=0.0)
        shares = [exp(x - top) for x in logs]
        scale = total / (sum(shares) or 1.0)
        return [(rate, share * scale) for rate, share in zip(found, shares, strict=True)]


def _points(scale: Sequence[float], cuts: int) -> list[list[_Point]]:
    """Return (place in the cell, rate, log rate, log of 1 - rate, log width) by cell."""
    table = []
    for left, right in pairwise(scale):
        cell = []
        for cut in range(cuts):
            part = (cut + 0.5) / cuts
            fail = left + part * (right - left)
            cell.append((part, exp(fail), fail, log(1 - exp(fail)), log((right - left) / cuts)))
        table.append(cell)
    return table


def _of_spells(weight: float, stretches: Sequence[Stretch]) -> list[tuple[float, float]]:
    """Return points for a test with bad spells: as uncertain as its spells are few."""
    runs = sum(one.runs for one in stretches)
    failed = sum(one.runs if not one.passes else len(one.fails) for one in stretches if one.fails)
    apart = 1 + sum(one.runs > 9 for one in stretches[1:-1] if not one.fails)
    middle = log((failed + 0.5) / (runs - failed + 0.5))
    # As if Poisson in their number, and geometric in their length: twice the variance of one.
    spread = sqrt(2 / (apart + 0.5))
    whole = sum(_NORMAL)
    # On the scale of log odds: no rate beyond 1.
    return [
        (1 / (1 + exp(-middle - far * spread)), weight * share / whole)
        for far, share in zip(_FAR, _NORMAL, strict=True)
    ]


def _quantile(points: Sequence[tuple[float, float]], sums: Sequence[float], below: float) -> float:
    """Return the first rate up to which the points weigh more than `below`; 0 below the first."""
    if below < 0:
        return 0.0
    return points[min(bisect_right(sums, below), len(points) - 1)][0]
