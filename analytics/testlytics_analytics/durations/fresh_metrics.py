"""Which measurements are worse in the newest run than in the runs before: for a change.

A benchmark is a median of many rounds, and coverage hardly varies: one value says more than one
duration of a test does. So one is enough where it is worse than every value before and lies further
out than their spread explains. Later values of the same change count with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log1p, pi, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from testlytics_analytics.durations.metrics import Metric, Values


@dataclass(frozen=True, slots=True)
class FreshMetricOptions:
    """Constants of the judgement.

    Attributes:
        before: Values before the change needed …
        recent: … and no more than the newest so many are looked at: coverage that grew for a year
            is compared with this month's.
        most: No more than the newest so many values of the change are looked at.
        alone: One value counts only where it is worse by this share, on the log scale: what the
            machine does is seldom more.
        chance: In a run without a change any series is found with this probability, all together.
    """

    before: int = 10
    recent: int = 20
    most: int = 5
    alone: float = 0.25
    chance: float = 0.002


class FreshChange(NamedTuple):
    """A series that got worse with the change.

    Attributes:
        row: Its row in the matrix.
        values: How many values are worse: the newest so many of the change.
        before_runs: Values before.
        before: Their median, in the metric's unit.
        after: The mean of the worse values; of their logarithms on the log scale.
        score: In standard deviations of a normal distribution that are as unlikely.
        chance: That any series has such a score without a change, at most 1.
    """

    row: int
    values: int
    before_runs: int
    before: float
    after: float
    score: float
    chance: float


class FreshChanges(NamedTuple):
    """What was found in the series of one metric.

    Attributes:
        worse: Those that got worse, the clearest first; equal ones by row.
        judged: Series with values enough to be judged.
    """

    worse: list[FreshChange]
    judged: int


def fresh_changes(
    values: Values,
    start: int,
    metric: Metric,
    series: int,
    options: FreshMetricOptions | None = None,
) -> FreshChanges:
    """Find the series of a metric that got worse with a change.

    Args:
        values: In the metric's unit, series by runs, the oldest run first; NaN where there is none.
            On the log scale what is not above 0 counts as none.
        start: Column of the change's first run; those before are the baseline.
        metric: How they are judged.
        series: Series of all metrics that the newest run has: so many could be found by chance.
        options: Constants; the defaults where None.
    """
    options = options or FreshMetricOptions()
    usable = np.isfinite(values)
    if metric.scale == "log":
        usable &= np.where(usable, values, 0) > 0
    found, judged = [], 0
    for row in np.flatnonzero(usable[:, -1]).tolist() if start < values.shape[1] else []:
        before = values[row, :start][usable[row, :start]][-options.recent :]
        own = values[row, start:][usable[row, start:]][-options.most :]
        if len(before) < options.before:
            continue
        judged += 1
        one = _fresh(row, _Values(before, own), metric, series, options)
        if one is not None and one.chance <= options.chance:
            found.append(one)
    return FreshChanges(sorted(found, key=lambda one: (-one.score, one.row)), judged)


class _Values(NamedTuple):
    before: Values
    own: Values


def _fresh(
    row: int, values: _Values, metric: Metric, series: int, options: FreshMetricOptions
) -> FreshChange | None:
    """Judge one series by as many of the change's newest values as tell most; None for none."""
    before, own = values
    middle = float(np.median(before))
    around = _scaled(before, metric) - _scaled(np.array([middle]), metric)
    count = len(before)
    # The mean deviation: surer of few values than the median one, and less moved by one that is
    # far off than the root of squares (Tukey, A survey of sampling from contaminated
    # distributions, 1960). It is as good as 0.88 times as many values taken by the squares.
    spread = max(float(np.abs(around).mean()) * sqrt(pi / 2 * count / (count - 1)), metric.tick)
    newest = _scaled(own, metric) - _scaled(np.array([middle]), metric)
    best: FreshChange | None = None
    for length in range(1, len(newest) + 1):
        part = newest[-length:]
        effect = float(part.mean())
        after = _unscaled(middle, effect, metric)
        least = options.alone if length == 1 and metric.scale == "log" else 0.0
        if float(part.min()) <= float(around.max()) or not _matters(middle, after, metric, least):
            continue
        # The baseline's median is as uncertain as so many values make it.
        wide = sqrt(1 / length + pi / 2 / count)
        score = _as_normal(effect / spread / wide, 0.88 * (count - 1))
        chance = min(1.0, len(newest) * series * NormalDist().cdf(-score))
        if best is None or score > best.score:
            best = FreshChange(row, length, count, middle, after, score, chance)
    return best


def _scaled(values: Values, metric: Metric) -> Values:
    """Put values so that worse is more, in log units where a change is a factor."""
    scaled: Values = np.log(values) if metric.scale == "log" else values
    return scaled if metric.good == "lower" else -scaled


def _unscaled(middle: float, effect: float, metric: Metric) -> float:
    effect = effect if metric.good == "lower" else -effect
    return middle * exp(effect) if metric.scale == "log" else middle + effect


def _matters(before: float, after: float, metric: Metric, least: float) -> bool:
    relative = max(metric.relative, least) * min(abs(before), abs(after))
    return abs(after - before) >= max(metric.absolute, relative)


def _as_normal(score: float, freedom: float) -> float:
    """Return the normal score that is as unlikely as one of Student's distribution.

    Within two per cent (Wallace, Bounds on normal approximations to Student's and the chi-square
    distributions, 1959).

    Args:
        score: At least 0.
        freedom: Degrees of freedom, at least 1.
    """
    share = (8 * freedom + 1) / (8 * freedom + 3)
    return share * sqrt(freedom * log1p(score * score / freedom))
