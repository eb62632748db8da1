"""What the machine did to all tests of a run, taken out of their durations.

A run's factor is how much longer tests took in it than they usually do, by the median over them.
Tests do not all react to it alike, and a machine is slow in more than one way (processor, disk,
neighbours): further factors are found as directions in which many tests move together from one run
to the next. Only the movement from run to run decides, so that a test that got slower once and
stayed so is one movement among many, and is not explained away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from testlytics_analytics.durations.robust import (
    Matrix,
    column_medians,
    parts,
    row_medians,
    row_spreads,
)


@dataclass(frozen=True, slots=True)
class FactorOptions:
    """Constants of the model of the machine.

    Attributes:
        tests: A factor needs at least this many series it can be estimated from.
        tests_per_factor: One further factor at most for so many of them …
        most: … and no more than this.
        beyond_noise: A further factor's share of the movement must exceed the largest that noise
            alone would show by this factor (edge of Marchenko and Pastur, 1967, doubled because
            differences of neighbouring runs are not independent).
        clip: Movements count up to this many standard deviations.
        sensitivity: A test reacts at most so many times as strongly as the median test.
        lags: Distances of the runs between which movements are looked at for it …
        rounds: … in so many rounds.
        tick: Least standard deviation of a series, in log seconds: 0.4 %.
    """

    tests: int = 10
    tests_per_factor: int = 15
    most: int = 4
    beyond_noise: float = 1.2
    clip: float = 3.0
    sensitivity: float = 3.0
    lags: tuple[int, ...] = (1, 4, 10)
    rounds: int = 4
    tick: float = 0.004


class Steadied(NamedTuple):
    """Durations without what the machine did.

    Attributes:
        residuals: The matrix given, each row around its own median, without the factors.
        factor: Run factor of each run in log units, around zero; zero where there are too few
            series.
        sensitivity: How strongly each series reacts to it, 1 = as the median one.
        further: How many further factors were taken out.
    """

    residuals: Matrix
    factor: Matrix
    sensitivity: Matrix
    further: int


def steady(
    durations: Matrix, trusted: np.ndarray | None = None, options: FactorOptions | None = None
) -> Steadied:
    """Take the run factors out of durations.

    Args:
        durations: Log seconds, series by runs, NaN where there is no value.
        trusted: Which series the factors are estimated from (a bool per row); all where None.
            Very short tests are better left out: their durations are mostly ticks.
        options: Constants; the defaults where None.
    """
    options = options or FactorOptions()
    rows = np.ones(len(durations), bool) if trusted is None else trusted
    around = durations - row_medians(durations)
    sensitivity = np.ones(len(durations), np.float32)
    if rows.sum() < options.tests:
        return Steadied(around, np.zeros(durations.shape[1], np.float32), sensitivity, 0)
    first = _centred(column_medians(around, rows))
    for part in parts(len(around)):
        around[part] -= row_medians(around[part] - first)
    factor = _centred(column_medians(around, rows))
    residuals = around  # in place: memory that is asked for anew costs as much as the sums
    for part in parts(len(around)):
        sensitivity[part] = _sensitivity(around[part], factor, options)
        residuals[part] -= sensitivity[part, None] * factor
        residuals[part] -= row_medians(residuals[part])
    further = _take_further(residuals, rows, options)
    return Steadied(residuals, factor, sensitivity, further)


def _centred(factor: Matrix) -> Matrix:
    """Fill the runs that nothing is known of, and put the usual run at zero."""
    known = np.isfinite(factor)
    middle = np.median(factor[known]) if known.any() else np.float32(0)
    return np.where(known, factor - middle, np.float32(0))


def _sensitivity(around: Matrix, factor: Matrix, options: FactorOptions) -> Matrix:
    """Fit how strongly each series follows the factor, least squares on movements.

    Movements over several distances: where the whole fleet becomes slower at once, one noisy value
    beside that jump must not decide. The prior is 1 with the weight of one movement as large as the
    series' own noise. What the fit leaves of a movement counts up to a few standard deviations,
    and more in the first round, when nothing is known of the series yet.
    """
    pairs = []
    for lag in options.lags:
        steps = factor[lag:] - factor[:-lag]
        moved = around[:, lag:] - around[:, :-lag]
        moved -= steps
        if steps.size:
            pairs.append((steps, moved, np.isfinite(moved).astype(np.float32)))
    if not pairs:
        return np.ones(len(around), np.float32)
    spread = row_spreads(pairs[0][1], least=options.tick)
    noise = spread[:, 0] ** 2
    mass = noise + sum(known @ (steps * steps) for steps, _, known in pairs)
    holed = [not known.all() for _, _, known in pairs]
    for (_, moved, known), some in zip(pairs, holed, strict=True):
        if some:
            moved[known == 0] = 0
    beyond = np.zeros(len(around), np.float32)
    for round_ in range(options.rounds):
        along = -beyond * noise
        for (steps, moved, known), some in zip(pairs, holed, strict=True):
            left = beyond[:, None] * steps
            if some:
                left *= known
            np.subtract(moved, left, out=left)
            limit = options.clip * spread + (np.abs(steps) if round_ == 0 else 0)
            # Two bounds, one after the other, are half the work of numpy's clip.
            np.minimum(left, limit, out=left)
            along += np.maximum(left, -limit, out=left) @ steps
        beyond += along / mass
    return np.clip(1 + beyond, 0, options.sensitivity).astype(np.float32)


def _take_further(residuals: Matrix, rows: np.ndarray, options: FactorOptions) -> int:
    """Take further common movements out of the residuals, in place; return how many."""
    runs = residuals.shape[1]
    most = min(options.most, int(rows.sum()) // options.tests_per_factor, runs // 8)
    if most < 1:
        return 0
    spread = row_spreads(residuals, least=options.tick)
    moved = _movements(residuals, spread, options)
    shares, directions = np.linalg.eigh(moved[rows].T @ moved[rows])
    shares, directions = shares[::-1], directions[:, ::-1]
    noise = options.beyond_noise * 2 * (1 + np.sqrt(runs / rows.sum())) ** 2
    found = 0
    while found < most and shares[found] > noise * shares[found:].mean():
        found += 1
    if found:
        kept = shares[:found] / (shares[:found] + shares[found:].mean())
        loadings = moved @ directions[:, :found] * kept
        levels = _levels(residuals / spread, loadings, rows, options)
        residuals -= spread * (loadings @ levels.T)
        residuals -= row_medians(residuals)
    return found


def _movements(residuals: Matrix, spread: Matrix, options: FactorOptions) -> Matrix:
    """Return differences of neighbouring runs in standard deviations, 0 where one is missing."""
    moved = np.empty((len(residuals), residuals.shape[1] - 1), residuals.dtype)
    bound = np.float32(options.clip * np.sqrt(2))
    for part in parts(len(residuals)):
        own = np.diff(residuals[part] / spread[part], axis=1)
        own[~np.isfinite(own)] = 0
        np.clip(own, -bound, bound, out=moved[part])
    return moved


def _levels(scaled: Matrix, loadings: Matrix, rows: np.ndarray, options: FactorOptions) -> Matrix:
    """Fit each run's factors over the series, with less weight for those that stand apart."""
    values = scaled[rows]
    known = np.isfinite(values)
    values = np.where(known, np.clip(values, -options.clip, options.clip), np.float32(0))
    by = loadings[rows]
    count = by.shape[1]
    pairs = (by[:, :, None] * by[:, None, :]).reshape(len(by), count * count)
    levels = np.zeros((values.shape[1], count), np.float32)
    least = np.float32(1e-6) * np.eye(count, dtype=np.float32)
    for _ in range(3):
        apart = values - by @ levels.T
        weight = np.where(known, np.minimum(1, 1.5 / np.maximum(np.abs(apart), 1e-6)), 0)
        weight = weight.astype(np.float32)
        inner = (weight.T @ pairs).reshape(-1, count, count) + least
        outer = (weight * apart).T @ by
        levels = levels + np.linalg.solve(inner, outer[..., None])[..., 0]
    middled: Matrix = levels - np.median(levels, axis=0)
    return middled
