"""What a gate on durations can find at all: somebody who knows how the suite was simulated.

The oracle knows each test's level and spread, what the machine did in each run, and the noise's
exact distribution. Of a change it sees the same few values as everybody. By Neyman and Pearson
nobody who is wrong as seldom finds more than who asks for a ratio of likelihoods beyond one bound,
the same for all tests. Neighbouring values, which are slightly alike, are taken for independent:
that flatters the oracle. So its row is a ceiling, and not a method.
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from scripts.accuracy.duration_data import Suite

Array = npt.NDArray[np.float64]
_STEP = 0.02
_NOISE = np.arange(-60, 160, _STEP)
_RATIOS = 4_096
"""Bins of the logarithm of a ratio of likelihoods …"""
_WIDE = 0.05
"""… so wide each, around zero."""
_SPREADS = 41
"""A test's spread is one of so many, all equally likely."""
_FAR = 60.0
"""A step of more standard deviations is as clear as one of so many."""
_OUTLIER = 8.0
_KINDS = ((0.75, _OUTLIER), (0.25, -0.3 * _OUTLIER))
"""Signs of outliers: their share, and how far off they are in the mean."""


@cache
def density(outliers: float) -> Array:
    """Return the density of noise in a test's standard deviations, as `simulate` makes it.

    Args:
        outliers: Share of values that are far off.
    """
    scale = np.sqrt(5 / 3)
    usual = (1 + (_NOISE * scale) ** 2 / 5) ** -3
    usual /= usual.sum() * _STEP
    far = np.zeros_like(usual)
    for share, mean in _KINDS:
        off = np.exp(-_NOISE / mean) * (_NOISE * mean >= 0) / abs(mean)
        off /= off.sum() * _STEP
        size = 2 * len(_NOISE)
        both = np.fft.irfft(np.fft.rfft(usual, size) * np.fft.rfft(off, size), size) * _STEP
        zero = int(np.argmin(np.abs(_NOISE)))
        far += share * both[zero : zero + len(_NOISE)]
    found: Array = (1 - outliers) * usual + outliers * np.maximum(far, 1e-18)
    return found


def _beyond(apart: float, runs: int, outliers: float) -> tuple[Array, Array]:
    """Return the chance of each bound on the ratio, of values without a step and with one."""
    usual = density(outliers)
    slower = np.interp(_NOISE - min(apart, _FAR), _NOISE, usual)
    ratio = np.log(slower) - np.log(usual)
    bins = np.clip(np.rint(ratio / _WIDE).astype(int) + _RATIOS // 2, 0, _RATIOS - 1)
    chances = []
    for mass in (usual, slower):
        one = np.bincount(bins, mass / mass.sum(), _RATIOS)
        # The sum over the runs; it is kept where it fits into as many times the range.
        size = 1 << int(np.ceil(np.log2(runs * _RATIOS)))
        all_ = np.fft.irfft(np.fft.rfft(one, size) ** runs, size)[: runs * _RATIOS]
        chances.append(np.cumsum(np.maximum(all_, 0)[::-1])[::-1])
    return chances[0], chances[1]


def found(suite: Suite, tests: int, size: float, *, runs: int = 3, wrong: float = 1 / 500) -> float:
    """Return the share of slower tests that the oracle finds in a change.

    Args:
        suite: How it was simulated.
        tests: How many there are.
        size: 0.5 is 50 % slower.
        runs: Runs of the change.
        wrong: Share of the changes without any slower test in which it tells of one.
    """
    normal = NormalDist()
    deviates = [normal.inv_cdf((one + 0.5) / _SPREADS) for one in range(_SPREADS)]
    spreads = suite.noise * np.exp(0.5 * np.array(deviates))
    both = [_beyond(float(np.log1p(size) / spread), runs, suite.outliers) for spread in spreads]
    false = np.mean([one for one, _ in both], axis=0) * tests
    true = np.mean([one for _, one in both], axis=0)
    return float(true[int(np.argmax(false <= wrong))])
