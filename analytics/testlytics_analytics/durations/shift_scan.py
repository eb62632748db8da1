"""Has a series risen, and since when: all lengths of the recent part are tried at once.

The statistic is the largest of t statistics, each of which compares the last k values with those
before them. Values are scores: deviations in the series' own standard deviations, cut off at a few
of them, so that no single slow run makes an alarm. Runs in which all series scatter more weigh
less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from testlytics_analytics.durations.robust import (
    MAD_TO_SIGMA,
    Matrix,
    column_medians,
    row_medians,
    row_spreads,
)

AT_ONCE = 1_024
"""Rows worked on at once: what the processor's cache holds."""

LIKELY = 3.0
"""Least score for which the size of a shift is told."""

MOST_EXPLAINED = 0.95
"""Largest share of a series' variance that a shift explains: no series is without noise."""


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """Constants of the scan.

    Attributes:
        shortest: A shift must have lasted for this many values …
        longest: … and one that began more than so many ago is looked for as one of that length.
        before: Values needed before it.
        clip: Deviations count up to this many standard deviations.
        tick: Least standard deviation of a series, in log seconds.
        steady_tests: A run's scatter is shrunk towards the usual by the weight of so many tests.
        lag: Distance, in runs, at which values are taken for independent.
        memory_of_suite: A series' correlation of neighbouring values is shrunk towards that of all
            series by the weight of so many values.
        most_memory: No correlation is taken for larger.
        caution: Power of the variance that this correlation adds by which scores are lowered; 0.5
            would be right if it were known exactly and were all that makes series wander.
        young: Series with fewer values than this have no variance of their own to speak of …
        young_clip: … their deviations count up to this many standard deviations …
        young_weight: … which are shrunk towards the suite's by the weight of so many values …
        young_variance: … and their scores have this variance; neighbours are compared …
        young_lag: … at this distance in runs, and memory counts …
        young_caution: … with this power.
    """

    shortest: int = 4
    longest: int = 75
    before: int = 6
    clip: float = 2.25
    tick: float = 0.004
    steady_tests: int = 20
    lag: int = 6
    memory_of_suite: int = 30
    most_memory: float = 0.9
    caution: float = 0.2
    young: int = 40
    young_clip: float = 5.0
    young_weight: int = 8
    young_variance: float = 2.4
    young_lag: int = 3
    young_caution: float = 0.5


class Shifts(NamedTuple):
    """The most likely lasting shift of each series.

    Attributes:
        score: In standard deviations of a normal distribution; -inf where there are too few values.
        start: Column of the first value since the shift; -1 likewise.
        length: Values since then; 0 where the score is not above `LIKELY`.
        effect: Median since then less the median before it, log units, positive for a rise or fall
            as it was looked for; NaN where the score is not above `LIKELY`.
    """

    score: Matrix
    length: np.ndarray
    start: np.ndarray
    effect: Matrix


class Scan(NamedTuple):
    """What was found at the end of the window, and how large scores were at earlier ends.

    Attributes:
        up: The rises.
        down: The falls; their effects are positive too.
        young: Which series have fewer values than `ScanOptions.young`.
        earlier_up: Scores of rises up to each earlier end, rows likewise …
        earlier_down: … and of falls.
    """

    up: Shifts
    down: Shifts
    young: np.ndarray
    earlier_up: list[Matrix]
    earlier_down: list[Matrix]


def lasting(residuals: Matrix, options: ScanOptions | None = None) -> tuple[Shifts, Shifts]:
    """Find the most likely lasting rise and fall of each series up to its newest value.

    Args:
        residuals: What `steady` gives, series by runs, NaN where there is no value.
        options: Constants; the defaults where None.

    Returns:
        The rises; and the falls, whose effects are positive too.
    """
    return scan(residuals, options)[:2]


def scan(residuals: Matrix, options: ScanOptions | None = None, ends: Sequence[int] = ()) -> Scan:
    """Find the most likely lasting rise and fall, and tell how large scores were before.

    Args:
        residuals: What `steady` gives, series by runs, NaN where there is no value.
        options: Constants; the defaults where None.
        ends: Earlier ends of the window, in runs before its newest.
    """
    options = options or ScanOptions()
    known = np.isfinite(residuals)
    count = known.sum(axis=1)
    young = count < options.young
    scores, weights = _scores(residuals, known, young, options)
    memory = _memory(scores, known, young, options)
    up, down = [], []
    earlier_up: list[list[Matrix]] = [[] for _ in ends]
    earlier_down: list[list[Matrix]] = [[] for _ in ends]
    for start in range(0, max(len(residuals), 1), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        view = _Rows(scores[rows], known[rows], young[rows], memory[rows])
        statistic, fits = _statistic(view, weights, options)
        up.append(_best(np.where(fits, statistic, -np.inf), residuals[rows], 1))
        down.append(_best(np.where(fits, -statistic, -np.inf), residuals[rows], -1))
        for end, rises, falls in zip(ends, earlier_up, earlier_down, strict=True):
            before = _Rows(view.scores[:, :-end], view.known[:, :-end], view.young, view.memory)
            statistic, fits = _statistic(before, weights[:-end], options)
            rises.append(np.where(fits, statistic, -np.inf).max(axis=1))
            falls.append(np.where(fits, -statistic, -np.inf).max(axis=1))
    return Scan(
        _joined(up),
        _joined(down),
        young,
        [np.concatenate(one) for one in earlier_up],
        [np.concatenate(one) for one in earlier_down],
    )


class _Rows(NamedTuple):
    scores: Matrix
    known: np.ndarray
    young: np.ndarray
    memory: Matrix


def _joined(parts: list[Shifts]) -> Shifts:
    return Shifts(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _best(statistic: Matrix, residuals: Matrix, sign: int) -> Shifts:
    best = statistic.argmax(axis=1)
    score = np.take_along_axis(statistic, best[:, None], 1)[:, 0]
    there = np.isfinite(score)
    start = np.where(there, residuals.shape[1] - 1 - best, -1)
    length, effect = np.zeros(len(score), np.int64), np.full(len(score), np.nan, np.float32)
    likely = np.flatnonzero(there & (score > LIKELY))
    if len(likely):
        recent = np.arange(residuals.shape[1]) >= start[likely, None]
        length[likely] = (recent & np.isfinite(residuals[likely])).sum(axis=1)
        effect[likely] = sign * _effects(residuals[likely], recent)
    return Shifts(score, length, start, effect)


def _scores(
    residuals: Matrix, known: np.ndarray, young: np.ndarray, options: ScanOptions
) -> tuple[Matrix, Matrix]:
    """Return deviations in standard deviations, cut off, and each run's weight."""
    spread = row_spreads(residuals, least=options.tick)
    if young.any():
        spread[young] = _young_spreads(residuals, known, spread, options)[young]
    scaled = residuals / spread
    scatter = column_medians(np.abs(scaled)) * np.float32(MAD_TO_SIGMA)
    tests = known.sum(axis=0)
    scatter = (tests * np.nan_to_num(scatter, nan=1.0) + options.steady_tests) / (
        tests + options.steady_tests
    )
    weights = (1 / np.clip(scatter / np.median(scatter), 0.4, 4)).astype(np.float32)
    scaled *= weights
    bound = np.where(young, options.young_clip, options.clip).astype(np.float32)[:, None]
    scores = np.clip(scaled - row_medians(scaled), -bound, bound)
    scores[~known] = 0
    return scores, weights


def _young_spreads(
    residuals: Matrix, known: np.ndarray, spread: Matrix, options: ScanOptions
) -> Matrix:
    """Estimate spreads from differences of values near each other, most of which a shift leaves.

    Shrunk on the log scale towards the median series of the suite.
    """
    lag = min(options.young_lag, residuals.shape[1] - 1)
    moved = np.abs(residuals[:, lag:] - residuals[:, :-lag])
    own = row_medians(moved) * np.float32(MAD_TO_SIGMA / np.sqrt(2))
    own = np.fmax(np.where(np.isfinite(own), own, spread), np.float32(options.tick))
    log, count = np.log(own), known.sum(axis=1, keepdims=True)
    weight = count / (count + options.young_weight)
    shrunk: Matrix = np.exp(weight * log + (1 - weight) * np.median(log)).astype(np.float32)
    return shrunk


def _statistic(rows: _Rows, weights: Matrix, options: ScanOptions) -> tuple[Matrix, np.ndarray]:
    """Return the statistic for each length of the recent part, the shortest first, and which fit.

    With weights c and scores z the recent mean is sum(c z) / sum(c²), as in a regression of the
    scores on c and on c where recent.
    """
    scores, known = rows.scores, rows.known
    count = known.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (scores * scores).sum(1) / count - (scores.sum(1) / count) ** 2
    variance = np.where(rows.young, np.float32(options.young_variance), variance)
    weighted = np.where(known, weights, np.float32(0))[:, ::-1]
    sums = np.cumsum(weighted * scores[:, ::-1], axis=1)
    mass = np.cumsum(weighted * weighted, axis=1)
    recent = np.cumsum(known[:, ::-1], axis=1, dtype=np.int16)
    fits = (
        known[:, ::-1]
        & (recent >= options.shortest)
        & (recent <= options.longest)
        & (recent[:, -1:] - recent >= options.before)
    )
    one, other = mass, mass[:, -1:] - mass
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = sums / one - (sums[:, -1:] - sums) / other
        found = apart / np.sqrt((1 / one + 1 / other) * (variance[:, None] + np.float32(1e-9)))
    # A t statistic as the deviate of a normal distribution (Wallace 1959): with few values the
    # variance is as uncertain as the shift. That of a young series is without the shift, and rests
    # on the suite as well.
    square = found * found
    share = np.minimum(square / count[:, None], MOST_EXPLAINED)
    freedom = count[:, None] + np.where(rows.young, options.young_weight, 0)[:, None]
    beyond = np.where(rows.young[:, None], np.log1p(square / freedom), -np.log1p(-share))
    found = np.sign(found) * np.sqrt(freedom * beyond)
    found *= _lowering(rows, recent, options)
    return found.astype(np.float32, copy=False), fits


def _memory(scores: Matrix, known: np.ndarray, young: np.ndarray, options: ScanOptions) -> Matrix:
    """Estimate each series' correlation of neighbouring values, from 0 to `most_memory`.

    One less the ratio of squared differences near by and far apart: a lasting shift is in few of
    either, where it would pass for correlation in the usual estimate. In a young series it is in
    too many of them: that has the suite's correlation.
    """
    near, nears = _squares(scores, known, 1)
    far, fars = _squares(scores, known, options.lag)
    suite = (near.sum() / max(nears.sum(), 1)) / max(far.sum() / max(fars.sum(), 1), 1e-9)
    own = far / np.maximum(fars, 1)
    weight = options.memory_of_suite
    ratio = (near + weight * suite * own) / np.maximum((nears + weight) * own, 1e-9)
    ratio = np.where(young, suite, ratio)
    found: Matrix = np.clip(1 - ratio, 0, options.most_memory).astype(np.float32)
    return found


def _squares(scores: Matrix, known: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum the squared differences of values so many runs apart, and count them."""
    if scores.shape[1] <= lag:
        return np.zeros(len(scores), np.float32), np.zeros(len(scores), np.int64)
    both = known[:, lag:] & known[:, :-lag]
    apart = np.where(both, scores[:, lag:] - scores[:, :-lag], np.float32(0))
    return (apart * apart).sum(1), both.sum(1)


def _lowering(rows: _Rows, recent: np.ndarray, options: ScanOptions) -> Matrix:
    """Return by how much memory lowers the score of a sum of so many neighbours.

    It enlarges the variance of the sum by 1 + 2 sum over lags l < k of (1 - l/k) memory^l; looked
    up in steps of a hundredth of memory.
    """
    steps = np.linspace(0, options.most_memory, 91)[:, None]
    k = np.arange(options.longest + 2, dtype=np.float64).clip(1)
    larger = (1 + steps) / (1 - steps) - 2 * steps * (1 - steps**k) / (k * (1 - steps) ** 2)
    table = np.stack([larger**-options.caution, larger**-options.young_caution])
    row = np.rint(rows.memory / options.most_memory * 90).astype(np.int64)
    own = table.astype(np.float32)[rows.young.astype(np.int64), row]
    return np.take_along_axis(own, recent.clip(max=options.longest + 1).astype(np.int64), 1)


def _effects(residuals: Matrix, recent: np.ndarray) -> Matrix:
    hole = np.float32(np.nan)
    late = row_medians(np.where(recent, residuals, hole))
    early = row_medians(np.where(recent, hole, residuals))
    found: Matrix = (late - early)[:, 0]
    return found
