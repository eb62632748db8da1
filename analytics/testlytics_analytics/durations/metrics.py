"""Which series of any metric got worse and stayed so: memory, CPU time, throughput, coverage.

The scan is that of `shift_scan`, on values that are put in its units: logarithms where a change is
a factor, and else the value over what makes one log second's tick of it. What the machine did is
taken out only where the metric says so.

Where there are few series, the scan has nothing but the series to learn from how much its values
resemble their neighbours, and a shift passes for that. So its memory is estimated here, around the
most likely shift, and bounds the scan's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import exp
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from testlytics_analytics.durations.robust import Matrix, row_medians
from testlytics_analytics.durations.run_factor import FactorOptions, steady
from testlytics_analytics.durations.shift_scan import ScanOptions, Shifts, lasting

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """How the values of a metric are judged.

    Attributes:
        good: The good direction.
        scale: `log` where a change is a factor (seconds, bytes, throughput), `additive` where it is
            a difference, or values may be 0 or negative (coverage in percent, rates).
        relative: Least change that matters, as a share of the value before …
        absolute: … and in the metric's unit; both must be reached.
        tick: Least standard deviation of a series: as a share of the value on the log scale, in the
            metric's unit on the additive one.
        machine: Whether all series share what the machine does in a run, as wall time does; only on
            the log scale.

    Raises:
        ValueError: A bound is negative, the tick not above 0, or the machine is to be taken out of
            differences.
    """

    good: Literal["lower", "higher"]
    scale: Literal["log", "additive"]
    relative: float = 0.05
    absolute: float = 0.0
    tick: float = 0.004
    machine: bool = False

    def __post_init__(self) -> None:
        if min(self.relative, self.absolute) < 0 or self.tick <= 0:
            raise ValueError(f"{self}: bounds are 0 or more, and the tick is above 0.")
        if self.machine and self.scale == "additive":
            raise ValueError(f"{self}: a machine that is slow is a factor, not a difference.")


WALL_TIME = Metric("lower", "log", absolute=0.005, machine=True)
"""Seconds by the clock."""

CPU_TIME = Metric("lower", "log", absolute=0.005)
"""Seconds of processor time; the machine's slowness is mostly waiting."""

LATENCY = Metric("lower", "log")
"""A percentile of a load test, or what a benchmark takes, in any unit of time."""

MEMORY = Metric("lower", "log", absolute=1 << 20)
"""Bytes."""

THROUGHPUT = Metric("higher", "log")
"""Anything a second."""

COVERAGE = Metric("higher", "additive", relative=0.0, absolute=0.5, tick=0.01)
"""Percent of lines, branches or functions."""

RATE = Metric("lower", "additive", relative=0.0, absolute=0.01, tick=0.0005)
"""A share from 0 to 1 of what is bad, such as failed requests."""


@dataclass(frozen=True, slots=True)
class MetricOptions:
    """Constants of the judgement.

    Attributes:
        runs: The judgement looks at the newest so many runs.
        threshold: Least score of a change, see `shift_scan` …
        few_threshold: … where there are few series, among which chance has fewer to choose from.
        few: With fewer series than this, the memory of each is estimated by itself.
        factor: Constants of the run factor.
        scan: Constants of the scan.
    """

    runs: int = 150
    threshold: float = 5.1
    few_threshold: float = 4.5
    few: int = 20
    factor: FactorOptions = field(default_factory=FactorOptions)
    scan: ScanOptions = field(default_factory=ScanOptions)


class Change(NamedTuple):
    """A series that changed and stayed so up to its newest value.

    Attributes:
        row: Its row in the matrix.
        start: Column of the first changed value.
        runs: Values since then.
        before_runs: Values before.
        before: Their median, in the metric's unit.
        after: That with the change; what the machine did is taken out of it.
        change: after - before.
        ratio: after / before; None where that says nothing, on the additive scale.
        score: How clear it is, in standard deviations of a normal distribution.
    """

    row: int
    start: int
    runs: int
    before_runs: int
    before: float
    after: float
    change: float
    ratio: float | None
    score: float


class Changes(NamedTuple):
    """What was found in the series of one metric.

    Attributes:
        worse: Changes in the bad direction, the clearest first; equal ones by row.
        better: Changes in the good direction, likewise. Where nothing changes, both are equally
            likely: so many of the worse ones may be chance.
        judged: Series with values enough to be judged.
    """

    worse: list[Change]
    better: list[Change]
    judged: int


def changes(values: Values, metric: Metric, options: MetricOptions | None = None) -> Changes:
    """Find the series of a metric that got worse or better and stayed so.

    Args:
        values: In the metric's unit, series by runs, the oldest run first; NaN where there is none.
            All of one metric, project and variant.
        metric: How they are judged.
        options: Constants; the defaults where None.

    Raises:
        ValueError: A value is infinite, or not above 0 on the log scale.
    """
    options = options or MetricOptions()
    values = values[:, -options.runs :]
    if np.isinf(values).any():
        raise ValueError("A value is infinite: it cannot be judged.")
    if not values.size or not np.isfinite(values).any(axis=1).all():
        return _without_empty(values, metric, options)
    scaled = _scaled(values, metric, options)
    residuals = _residuals(scaled, metric, options)
    rises, falls = _lasting(residuals, options)
    up = _relevant(rises, values, 1, metric, options)
    down = _relevant(falls, values, -1, metric, options)
    worse, better = (up, down) if metric.good == "lower" else (down, up)
    return Changes(worse, better, int(np.isfinite(rises.score).sum()))


def _without_empty(values: Values, metric: Metric, options: MetricOptions) -> Changes:
    """Judge the series that have any value."""
    rows = np.flatnonzero(np.isfinite(values).any(axis=1))
    if not len(rows):
        return Changes([], [], 0)
    told = changes(values[rows], metric, options)
    worse, better = (
        [one._replace(row=int(rows[one.row])) for one in found]
        for found in (told.worse, told.better)
    )
    return Changes(worse, better, told.judged)


def _unit(metric: Metric, options: MetricOptions) -> float:
    """Return by what differences are divided so that their tick is the scan's."""
    return metric.tick / options.scan.tick if metric.scale == "additive" else 1.0


def _scaled(values: Values, metric: Metric, options: MetricOptions) -> Matrix:
    """Put values in the units of the scan, around zero so that large ones keep their digits."""
    if metric.scale == "log":
        if (values <= 0).any():
            raise ValueError("A value is not above 0: it has no logarithm; judge it as additive.")
        scaled = np.log(values)
    else:
        scaled = values / _unit(metric, options)
    middle = np.nanmedian(scaled, axis=1, keepdims=True)
    around: Matrix = (scaled - middle).astype(np.float32)
    return around


def _residuals(scaled: Matrix, metric: Metric, options: MetricOptions) -> Matrix:
    if metric.machine:
        return steady(scaled, options=options.factor).residuals
    return scaled - row_medians(scaled)


def _lasting(residuals: Matrix, options: MetricOptions) -> tuple[Shifts, Shifts]:
    """Scan; few series one by one, with a bound on their memory."""
    if len(residuals) >= options.few:
        return lasting(residuals, options.scan)
    found = []
    for row in residuals:
        memory = _memory(row, options.scan)
        found.append(lasting(row[None], replace(options.scan, most_memory=memory)))
    return _joined([up for up, _ in found]), _joined([down for _, down in found])


def _joined(parts: list[Shifts]) -> Shifts:
    return Shifts(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _memory(row: npt.NDArray[np.float32], scan: ScanOptions) -> float:
    """Estimate how much neighbouring values are alike, around the most likely shift.

    The correlation of neighbours, moved up by one standard error and by its bias of (1 + 4 r) / n
    (F. H. C. Marriott, J. A. Pope, Bias in the estimation of autocorrelations, 1954).
    """
    values = row[np.isfinite(row)].astype(np.float64)
    count = len(values)
    if count < scan.before + scan.shortest:
        return scan.most_memory
    sums, place = np.cumsum(values), np.arange(1, count)
    fits = (place >= scan.before) & (count - place >= scan.shortest)
    early, late = sums[:-1] / place, (sums[-1] - sums[:-1]) / (count - place)
    apart = np.where(fits, (early - late) ** 2 * place * (count - place), -1)
    split = int(apart.argmax()) + 1
    values[:split] -= values[:split].mean()
    values[split:] -= values[split:].mean()
    mass = float((values * values).sum())
    if mass <= 0:
        return 0.01
    alike = float((values[1:] * values[:-1]).sum()) / mass
    alike += (1 + 4 * max(alike, 0)) / count + 1 / np.sqrt(count)
    return float(np.clip(alike, 0.01, scan.most_memory))


def _relevant(
    shifts: Shifts, values: Values, sign: int, metric: Metric, options: MetricOptions
) -> list[Change]:
    """Return the shifts that matter, the clearest first."""
    found = []
    least = options.few_threshold if len(values) < options.few else options.threshold
    for row in np.flatnonzero(shifts.score >= least).tolist():
        start = int(shifts.start[row])
        earlier = values[row, :start]
        before = float(np.nanmedian(earlier))
        effect = sign * float(shifts.effect[row])
        if metric.scale == "log":
            ratio: float | None = exp(effect)
            after = before * exp(effect)
        else:
            ratio, after = None, before + effect * _unit(metric, options)
        change = after - before
        if sign * change < max(metric.absolute, metric.relative * abs(before)) or not change:
            continue
        found.append(
            Change(
                row,
                start,
                int(shifts.length[row]),
                int(np.isfinite(earlier).sum()),
                before,
                after,
                change,
                ratio,
                float(shifts.score[row]),
            )
        )
    return sorted(found, key=lambda one: (-one.score, one.row))
