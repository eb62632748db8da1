"""Which tests are slower in the newest few runs than in all before: for a change not merged yet.

A lasting slowdown shows itself in many runs; a change has a few. So its values are taken together:
each counts in the test's own standard deviations and only up to a bound, that no single slow run
decides, and all of them must be longer than nearly all values before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from testlytics_analytics.durations.robust import Matrix, row_medians, row_spreads
from testlytics_analytics.durations.run_factor import FactorOptions, steady


@dataclass(frozen=True, slots=True)
class FreshOptions:
    """Constants of the judgement.

    Attributes:
        least: Values of the change needed to be sure …
        most: … and no more than the newest so many are looked at.
        before: Values before it needed.
        clip: A value counts up to this many standard deviations.
        clear: The middle one of the change's values is at least so many of them up.
        beyond: At most this share of the values before are as long as the shortest of the change.
        together: The change's values lie within so many standard deviations of each other, or
            within this share of the increase: values that are far off by chance seldom do.
        ratio: Least increase that matters, as a factor …
        floor_s: … and in seconds.
        apart: Least increase as a share of the machine's share in the change's runs.
        tick: Least standard deviation of a series, in log seconds.
        chance: In a run without a change any test is found with this probability, all together.
        caution: Power of the suite's scale by which scores are lowered; 1 would be right if the
            bounds above did not keep most of what is chance out.
        suspicion: With too few values, or not clear enough, a series is suspected where three like
            them would be found with at most this many others by chance.
        most_scale: A suite's scores are never taken for larger by chance than by this factor.
        trusted_s: As in `SlowdownOptions`.
        factor: Constants of the run factor.
    """

    least: int = 3
    most: int = 5
    before: int = 10
    clip: float = 4.0
    clear: float = 3.5
    beyond: float = 0.05
    together: tuple[float, float] = (4.5, 0.6)
    ratio: float = 1.25
    floor_s: float = 0.01
    apart: float = 0.3
    tick: float = 0.02
    chance: float = 0.002
    caution: float = 0.9
    suspicion: float = 0.1
    most_scale: float = 3.0
    trusted_s: float = 0.1
    factor: FactorOptions = field(default_factory=FactorOptions)


class Fresh(NamedTuple):
    """A series whose newest values are longer than those before.

    Attributes:
        row: Its row in the matrix.
        values: How many values of the change it has.
        needed: How many more are needed to be sure; 0 where it is.
        before_runs: Values before.
        before_s: Their median, seconds.
        after_s: That times the increase; what the machine did is taken out of it.
        ratio: after_s / before_s.
        score: In standard deviations of a normal distribution, divided by the suite's scale.
        chance: That any test of the suite has such a score without a change, at most 1.
    """

    row: int
    values: int
    needed: int
    before_runs: int
    before_s: float
    after_s: float
    ratio: float
    score: float
    chance: float


class FreshSlowdowns(NamedTuple):
    """What was found.

    Attributes:
        found: The series that got slower, the clearest first.
        suspected: Those that may have, and need more values, likewise.
        factor: Run factor of each run, 1 is the usual speed, 2 is twice as slow.
        scale: By how much scores of this suite are larger than they should be without a change.
    """

    found: list[Fresh]
    suspected: list[Fresh]
    factor: Matrix
    scale: float


def fresh_slowdowns(
    durations: Matrix, start: int, tests: int, options: FreshOptions | None = None
) -> FreshSlowdowns:
    """Find the series that got slower with a change.

    Args:
        durations: Log seconds, series by runs, NaN where there is no value: all of a suite, or a
            sample of it and those that may be slower.
        start: Column of the change's first run; those before are the baseline.
        tests: Series of the whole suite: so many could be found by chance.
        options: Constants; the defaults where None.
    """
    options = options or FreshOptions()
    if start < options.before or not len(durations) or start >= durations.shape[1]:
        return FreshSlowdowns([], [], np.ones(durations.shape[1], np.float32), 1.0)
    usual_s = np.exp(row_medians(durations[:, :start])[:, 0])
    long = usual_s >= options.trusted_s
    trusted = long if long.sum() >= options.factor.tests else None
    steadied = steady(durations, trusted, options.factor)
    around = steadied.residuals - row_medians(steadied.residuals[:, :start])
    spread = row_spreads(around[:, :start], least=options.tick)
    scored = np.clip(around / spread, -options.clip, options.clip)
    counted = np.isfinite(around[:, :start]).sum(axis=1)
    enough = counted >= options.before
    scale = _scale(scored[enough, :start], options)
    newest = _newest(around, start, options.most)
    found: list[Fresh] = []
    suspected: list[Fresh] = []
    machine = durations - steadied.residuals
    moved = row_medians(machine[:, start:]) - row_medians(machine[:, :start])
    suite = _Suite(tests, scale, options)
    longer = row_medians(newest)[:, 0] >= np.log(options.ratio)
    for row in np.flatnonzero(enough & longer).tolist():
        own, before = _known(newest[row]), _known(around[row, :start])
        series = _Series(row, own, before, spread[row, 0], usual_s[row], float(moved[row, 0]))
        one = _fresh(series, suite)
        if one is not None:
            (suspected if one.needed else found).append(one)
    for told in (found, suspected):
        told.sort(key=lambda one: (-one.score, one.row))
    return FreshSlowdowns(found, suspected, np.exp(steadied.factor), scale)


class _Suite(NamedTuple):
    tests: int
    scale: float
    options: FreshOptions


class _Series(NamedTuple):
    row: int
    own: Matrix
    before: Matrix
    spread: float
    usual_s: float
    moved: float


def _known(values: Matrix) -> Matrix:
    known: Matrix = values[np.isfinite(values)]
    return known


def _newest(around: Matrix, start: int, most: int) -> Matrix:
    """Return the newest values of each row in the change's columns, the newest last, NaN before."""
    change = around[:, start:]
    out = np.full((len(change), most), np.nan, np.float32)
    for row, values in enumerate(change):
        own = values[np.isfinite(values)][-most:]
        if len(own):
            out[row, -len(own) :] = own
    return out


def _scale(scored: Matrix, options: FreshOptions) -> float:
    """Say by how much sums of neighbours in the baseline are larger than chance would make them.

    Their largest half per cent, of the smaller side, beside that of a normal distribution; the
    sums are those of values cut off as the change's are.
    """
    width = options.least
    columns = scored.shape[1] - scored.shape[1] % width
    if not columns or not len(scored):
        return 1.0
    sums = scored[:, :columns].reshape(len(scored), -1, width).sum(axis=2).ravel() / np.sqrt(width)
    sums = sums[np.isfinite(sums)]
    if len(sums) < 200:
        return 1.0
    level = 0.995
    usual = NormalDist().inv_cdf(level)
    sides = np.quantile(sums, level), -np.quantile(sums, 1 - level)
    return float(np.clip(min(sides) / usual, 1.0, options.most_scale) ** options.caution)


def _fresh(series: _Series, suite: _Suite) -> Fresh | None:
    """Judge one series; None where nothing hints at a slowdown."""
    own, options = series.own, suite.options
    effect = float(np.median(own))
    before_s = float(series.usual_s)
    after_s = before_s * exp(effect)
    if (
        after_s - before_s < options.floor_s
        or effect < options.clear * series.spread
        or effect < options.apart * abs(series.moved)
        or float((series.before >= own.min()).mean()) > options.beyond
    ):
        return None
    # The baseline's median is as uncertain as so many values make it.
    wide = sqrt(len(own) + len(own) ** 2 / len(series.before))
    clipped = np.clip(own / series.spread, -options.clip, options.clip)
    score = float(clipped.sum()) / wide / suite.scale
    chance = min(1.0, suite.tests * (1 - NormalDist().cdf(score)))
    deviations, part = options.together
    sure = (
        len(own) >= options.least
        and chance <= options.chance
        and float(own.max() - own.min()) <= max(deviations * float(series.spread), part * effect)
    )
    # With fewer values nobody can be sure; what as many of the same kind would show decides.
    would = score * sqrt(max(1.0, options.least / len(own)))
    if not sure and suite.tests * (1 - NormalDist().cdf(would)) > options.suspicion:
        return None
    needed = 0 if sure else max(options.least - len(own), 1)
    ratio = after_s / before_s
    return Fresh(
        series.row,
        len(own),
        needed,
        len(series.before),
        before_s,
        after_s,
        ratio,
        score,
        chance,
    )
