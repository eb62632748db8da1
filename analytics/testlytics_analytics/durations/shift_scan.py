"""Has a series risen, and since when: all lengths of the recent part are tried at once.

The statistic is the largest of t statistics, each of which compares the last k values with those
before them. Values are scores: deviations in the series' own standard deviations, cut off at a few
of them, so that no single slow run makes an alarm. Runs in which all series scatter more weigh
less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from testlytics_analytics.durations.robust import (
    MAD_TO_SIGMA,
    Matrix,
    column_medians,
    parts,
    row_medians,
    row_spreads,
)

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
        memory: Correlation of each series' neighbouring values, from 0 to
            `ScanOptions.most_memory`.
    """

    up: Shifts
    down: Shifts
    young: np.ndarray
    earlier_up: list[Matrix]
    earlier_down: list[Matrix]
    memory: Matrix


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
    young = known.sum(axis=1) < options.young
    scores, weights = _scores(residuals, known, young, options)
    memory = _memory(scores, known, young, options)
    up, down = (_none(len(residuals)) for _ in range(2))
    earlier = [[np.empty(len(residuals), np.float32) for _ in ends] for _ in range(2)]
    for rows in _alike(known, young):
        view = _Rows(scores[rows], known[rows], bool(young[rows[0]]), memory[rows])
        statistic, fits = _statistic(view, weights, options)
        _best(np.where(fits, statistic, -np.inf), residuals, rows, up)
        _best(np.where(fits, -statistic, -np.inf), residuals, rows, down)
        for end, rises, falls in zip(ends, *earlier, strict=True):
            before = view._replace(scores=view.scores[:, :-end], known=view.known[:, :-end])
            statistic, fits = _statistic(before, weights[:-end], options)
            rises[rows] = np.where(fits, statistic, -np.inf).max(axis=1)
            falls[rows] = np.where(fits, -statistic, -np.inf).max(axis=1)
    return Scan(up, down._replace(effect=-1 * down.effect), young, earlier[0], earlier[1], memory)


def _none(tests: int) -> Shifts:
    return Shifts(
        np.empty(tests, np.float32),
        np.zeros(tests, np.int64),
        np.empty(tests, np.int64),
        np.full(tests, np.nan, np.float32),
    )


def _alike(known: np.ndarray, young: np.ndarray) -> Iterator[np.ndarray]:
    """Return rows to be worked on at once: where none has a hole much is the same for all."""
    holed = ~known.all(axis=1)
    for kind in range(4):
        rows = np.flatnonzero(holed + 2 * young == kind)
        yield from (rows[part] for part in parts(len(rows)))


class _Rows(NamedTuple):
    scores: Matrix
    known: np.ndarray
    young: bool
    memory: Matrix


def _best(statistic: Matrix, residuals: Matrix, rows: np.ndarray, told: Shifts) -> None:
    """Put the most likely shift of some rows where those of all are told."""
    best = statistic.argmax(axis=1)
    score = np.take_along_axis(statistic, best[:, None], 1)[:, 0]
    there = np.isfinite(score)
    told.score[rows] = score
    told.start[rows] = np.where(there, residuals.shape[1] - 1 - best, -1)
    likely = rows[there & (score > LIKELY)]
    if len(likely):
        values = residuals[likely]
        recent = np.arange(residuals.shape[1]) >= told.start[likely, None]
        told.length[likely] = (recent & np.isfinite(values)).sum(axis=1)
        told.effect[likely] = _effects(values, recent)


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
    bound = np.where(young, options.young_clip, options.clip).astype(np.float32)[:, None]
    for part in parts(len(scaled)):
        own = scaled[part]
        own *= weights
        own -= row_medians(own)
        np.minimum(own, bound[part], out=own)
        np.maximum(own, -bound[part], out=own)
        own[~known[part]] = 0
    return scaled, weights


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
    scores, freedom = rows.scores, rows.known.sum(axis=1)[:, None]
    if rows.young:
        variance = np.full((len(scores), 1), np.float32(options.young_variance), np.float64)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = (scores * scores).sum(1, keepdims=True) / freedom
            variance -= (scores.sum(1, keepdims=True) / freedom) ** 2
    # Without holes one row speaks for all.
    known = rows.known[:, ::-1]
    known = known[:1] if known.all() else known
    recent = np.cumsum(known, axis=1, dtype=np.int16)
    fits = known & (recent >= options.shortest) & (recent <= options.longest)
    fits &= recent[:, -1:] - recent >= options.before
    # What is longer than what is looked for is not worked out.
    width = int(np.flatnonzero(fits.any(axis=0)).max(initial=0)) + 1
    weighted = np.where(known, weights[::-1], np.float32(0))
    sums = np.cumsum(weighted * scores[:, ::-1], axis=1)
    mass = np.cumsum(weighted * weighted, axis=1)
    one, other = mass[:, :width], mass[:, -1:] - mass[:, :width]
    late, early = sums[:, :width], sums[:, -1:] - sums[:, :width]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (late / one - early / other) / np.sqrt(
            (1 / one + 1 / other) * (variance + np.float32(1e-9))
        )
        square = found * found
        # A t statistic as the deviate of a normal distribution (Wallace 1959): with few values the
        # variance is as uncertain as the shift. That of a young series is without the shift, and
        # rests on the suite as well.
        if rows.young:
            freedom = freedom + options.young_weight
            beyond = np.log1p(square / freedom)
        else:
            beyond = -np.log1p(-np.minimum(square / freedom, MOST_EXPLAINED))
    found = np.copysign(np.sqrt(freedom * beyond), found)
    found *= _lowering(rows, recent[:, :width], options)
    return found.astype(np.float32, copy=False), fits[:, :width]


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
    squares, pairs = np.empty(len(scores), scores.dtype), np.empty(len(scores), np.int64)
    for part in parts(len(scores)):
        both = known[part, lag:] & known[part, :-lag]
        apart = scores[part, lag:] - scores[part, :-lag]
        apart *= both
        squares[part], pairs[part] = (apart * apart).sum(1), both.sum(1)
    return squares, pairs


def enlarged(memory: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return by how much memory enlarges the variance of a sum of neighbouring values.

    1 + 2 sum over lags l < count of (1 - l/count) memory^l.

    Args:
        memory: Correlation of neighbouring values, from 0 and below 1.
        count: How many values are summed, from 1.
    """
    kept = 1 - memory
    larger: np.ndarray = (1 + memory) / kept - 2 * memory * (1 - memory**count) / (count * kept**2)
    return larger


def _lowering(rows: _Rows, recent: np.ndarray, options: ScanOptions) -> Matrix:
    """Return by how much memory lowers the score of a sum of so many neighbours.

    Looked up in steps of a hundredth of memory.
    """
    steps = np.linspace(0, options.most_memory, 91)[:, None]
    k = np.arange(options.longest + 2, dtype=np.float64).clip(1)
    larger = enlarged(steps, k)
    table = np.stack([larger**-options.caution, larger**-options.young_caution])
    row = np.rint(rows.memory / options.most_memory * 90).astype(np.int64)
    own = table.astype(np.float32)[int(rows.young), row]
    at = recent.clip(max=options.longest + 1).astype(np.int64)
    return own[:, at[0]] if len(at) == 1 else np.take_along_axis(own, at, 1)


def _effects(residuals: Matrix, recent: np.ndarray) -> Matrix:
    hole = np.float32(np.nan)
    late = row_medians(np.where(recent, residuals, hole))
    early = row_medians(np.where(recent, hole, residuals))
    found: Matrix = (late - early)[:, 0]
    return found
