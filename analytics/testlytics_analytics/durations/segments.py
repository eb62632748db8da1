"""The whole history of one series as levels: where each began, and how far apart they are.

Optimal partitioning: of all ways to cut the history into levels the one of least cost, where each
level costs a penalty and each value the biweight loss of its distance from its level, which no
outlier can drive beyond a bound (Fearnhead and Rigaill 2019, Changepoint detection in the presence
of outliers). Levels are taken from a grid, so that one pass over the runs finds the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from testlytics_analytics.durations.groups import OnsetOptions, interval, onsets
from testlytics_analytics.durations.robust import MAD_TO_SIGMA, Matrix

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """Constants of the segmentation.

    Attributes:
        penalty: What a further level costs, in squared standard deviations …
        per_log: … and so much more for each natural logarithm of the number of values.
        bound: The loss of a value grows up to so many standard deviations.
        shortest: A level has at least so many values.
        tick: Least standard deviation of a series, in log seconds.
        lag: Distance, in values, at which values are taken for independent.
        memory: Correlation of neighbours that is expected before a series was seen …
        memory_weight: … with the weight of so many values.
        most_memory: No correlation is taken for larger.
        steps: Grid of the levels: so many of them per standard deviation.
        levels: At most so many levels, the grid is coarser where there would be more.
        onset: Constants of the interval of a change.
    """

    penalty: float = 16.0
    per_log: float = 2.0
    bound: float = 3.0
    shortest: int = 4
    tick: float = 0.004
    lag: int = 5
    memory: float = 0.15
    memory_weight: int = 40
    most_memory: float = 0.8
    steps: int = 4
    levels: int = 400
    onset: OnsetOptions = field(default_factory=OnsetOptions)


class Segment(NamedTuple):
    """A stretch of runs over which a series kept its level.

    Attributes:
        start: Column of its first run, the likeliest one.
        stop: Column behind its last run.
        first: The level began with this run at the earliest …
        last: … and with this one at the latest, with 95 % probability; the same as `start` in the
            first segment.
        level: Median of its values, log units.
        runs: How many values it has.
    """

    start: int
    stop: int
    first: int
    last: int
    level: float
    runs: int


def segments(series: Matrix, options: SegmentOptions | None = None) -> list[Segment]:
    """Cut the history of one series into levels.

    Args:
        series: Log durations of one test by run, best without what the machine did; NaN where there
            is no value.
        options: Constants; the defaults where None.

    Returns:
        The levels, the oldest first; empty without values.
    """
    options = options or SegmentOptions()
    columns = np.flatnonzero(np.isfinite(series))
    if not len(columns):
        return []
    values = series[columns].astype(np.float64)
    starts = _starts(values, options)
    edges = [0, *starts, len(values)]
    made = []
    for number, (left, right) in enumerate(pairwise(edges)):
        level = float(np.median(values[left:right]))
        start = first = last = int(columns[left])
        if number:
            begin, end = columns[edges[number - 1]], columns[right - 1] + 1
            around = series[begin:end][None].astype(np.float32)
            [logs] = onsets(around, [start - int(begin)], options.onset)
            first, last = (int(begin) + at for at in interval(logs, options.onset.level))
        stop = int(columns[right]) if right < len(values) else len(series)
        made.append(Segment(start, stop, min(first, start), max(last, start), level, right - left))
    return made


def _starts(values: Values, options: SegmentOptions) -> list[int]:
    """Return where levels after the first begin."""
    if len(values) < 2 * options.shortest:
        return []
    spread = _spread(values, options)
    grid = _grid(values, spread, options)
    if len(grid) < 2:
        return []
    penalty = options.penalty + options.per_log * float(np.log(len(values)))
    memory = options.memory
    path = np.zeros(len(values), np.int64)
    for _ in range(2):
        # What neighbours have in common shows only when the levels are taken out.
        cost = penalty * (1 + memory) / (1 - memory)
        path = _cheapest(values / spread, grid / spread, cost, options.bound)
        memory = _memory((values - grid[path]) / spread, options)
    starts = (np.flatnonzero(np.diff(path)) + 1).tolist()
    return _long_enough(values, starts, options.shortest)


def _spread(values: Values, options: SegmentOptions) -> float:
    """Estimate the standard deviation by values far apart: a change is between few of them."""
    far = float(np.median(np.abs(values[options.lag :] - values[: -options.lag])))
    return max(far * MAD_TO_SIGMA / float(np.sqrt(2)), options.tick)


def _memory(left: Values, options: SegmentOptions) -> float:
    """Estimate the correlation of neighbours, shrunk towards what is expected."""
    cut = np.clip(left, -options.bound, options.bound)
    cut -= cut.mean()
    own = float((cut[1:] * cut[:-1]).sum() / max(float((cut * cut).sum()), 1e-12))
    weight = len(left) / (len(left) + options.memory_weight)
    found = weight * own + (1 - weight) * options.memory
    return float(np.clip(found, 0, options.most_memory))


def _grid(values: Values, spread: float, options: SegmentOptions) -> Values:
    """Return levels to choose from: near the medians of neighbours, rising."""
    width = min(2 * options.shortest - 1, len(values))
    middles = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    step = max(spread / options.steps, float(np.ptp(middles)) / options.levels)
    grid: Values = np.unique(np.round(middles / step)) * step
    return grid


def _cheapest(values: Values, grid: Values, penalty: float, bound: float) -> npt.NDArray[np.int64]:
    """Return the level of each value on the cheapest path through the grid."""
    loss = np.minimum((values[:, None] - grid) ** 2, bound * bound)
    came = np.empty(loss.shape, np.int64)
    stay = np.arange(len(grid))
    cost = np.zeros(len(grid))
    for run, lost in enumerate(loss):
        best = int(cost.argmin())
        change = cost[best] + penalty < cost
        came[run] = np.where(change, best, stay)
        cost = np.where(change, cost[best] + penalty, cost) + lost
    path = np.empty(len(values), np.int64)
    at = int(cost.argmin())
    for run in range(len(values) - 1, -1, -1):
        path[run] = at
        at = int(came[run, at])
    return path


def _long_enough(values: Values, starts: list[int], shortest: int) -> list[int]:
    """Give levels that are too short to the neighbour that they are nearer to."""
    starts = list(starts)
    while starts:
        edges = [0, *starts, len(values)]
        sizes = np.diff(edges)
        at = int(sizes.argmin())
        if sizes[at] >= shortest:
            break
        middles = [float(np.median(values[a:b])) for a, b in pairwise(edges)]
        gaps = np.abs(np.diff(middles))
        left = gaps[at - 1] if at else np.inf
        right = gaps[at] if at < len(gaps) else np.inf
        del starts[at - 1 if left <= right else at]
    return starts
