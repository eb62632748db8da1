"""What a gate on durations can find at all, beside what chance gives."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest

from scripts.accuracy.duration_data import MID, SHARED, simulate
from scripts.accuracy.gate_durations import Data, ceiling, judge, simulated
from scripts.accuracy.gate_oracle import density, found

MANY = 60_000
STILL = replace(SHARED, machine=0.0, pools=1, memory=0.0, unequal=0.0)


def noise_of(outliers: float) -> npt.NDArray[np.float64]:
    """Simulated noise, in standard deviations of tests that all have the same."""
    suite = replace(STILL, noise=0.2, outliers=outliers)
    values = simulate(suite, np.random.default_rng(5), 3_000, 200)
    around = values - np.median(values, axis=1, keepdims=True)
    # The spreads differ by a lognormal factor; a test's median absolute deviation tells its own.
    spread = np.median(np.abs(around), axis=1, keepdims=True)
    return np.asarray((around / spread).ravel(), np.float64)


@pytest.mark.parametrize("outliers", [0.0, 0.05])
def test_the_density_is_that_of_the_simulator(outliers: float) -> None:
    values = noise_of(outliers)
    place = np.arange(-60, 160, 0.02)
    mass = np.cumsum(density(outliers)) * 0.02
    assert mass[-1] == pytest.approx(1, abs=2e-3)
    half = float(np.interp(0.75, mass, place))
    for far in (2.0, 5.0, 12.0):
        expected = 1 - float(np.interp(far * half, place, mass))
        assert float((values > far).mean()) == pytest.approx(expected, rel=0.2, abs=2e-4)


def test_the_ceiling_is_what_the_ratio_of_likelihoods_finds() -> None:
    rng = np.random.default_rng(6)
    spreads = SHARED.noise * np.exp(
        0.5 * np.array([NormalDist().inv_cdf((one + 0.5) / 41) for one in range(41)])
    )
    apart = np.log(1.5) / rng.choice(spreads, MANY)[:, None]
    place, usual = np.arange(-60, 160, 0.02), density(0.0)

    def ratios(step: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        values = rng.standard_t(5, (MANY, 3)) / np.sqrt(5 / 3) + step
        slower, same = (np.interp(one, place, usual) for one in (values - apart, values))
        return np.asarray(np.log(slower / same).sum(axis=1))

    bound = np.quantile(ratios(0 * apart), 1 - 0.5 / 200)
    share = float((ratios(apart) >= bound).mean())
    told = found(replace(SHARED, outliers=0.0), 200, 0.5, wrong=0.5)
    assert told == pytest.approx(share, abs=0.02)


def test_the_ceiling_moves_with_what_there_is_to_know() -> None:
    shared = found(SHARED, 5_000, 0.5)
    assert found(SHARED, 5_000, 0.2) < shared < found(SHARED, 5_000, 1.0)
    assert shared < found(SHARED, 200, 0.5)
    assert shared < found(SHARED, 5_000, 0.5, runs=6)
    assert shared < found(MID, 5_000, 0.5)
    assert found(replace(MID, noise=0.001), 5_000, 1.0) > 0.999


def test_the_gate_does_not_find_more_than_the_ceiling() -> None:
    data = Data("a suite", simulated(MID, 60), 60, 30, 2, MID)
    _, _, put_in, hit = judge(data, 0.2, 3, 5)
    assert put_in > 0
    assert hit / put_in < found(MID, 60, 0.2)


def test_what_is_short_is_named_beside_the_ceiling() -> None:
    data = Data("a suite", simulated(SHARED, 5_000), 5_000, 1, 1, SHARED)
    row, missed = ceiling(data, SHARED, [0.0, 0.2, 0.5])
    assert row == ["a suite: ceiling", "", "", "", "0.04", "0.29", "0.65"]
    assert missed == ["a suite: +50% found in 0.20, not 0.9; the ceiling is 0.29."]
    assert ceiling(data, SHARED, [0.0, 0.9, 0.5])[1] == []
