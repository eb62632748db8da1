"""Changes in series of any metric, whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from testlytics_analytics.durations.metrics import (
    COVERAGE,
    CPU_TIME,
    LATENCY,
    MEMORY,
    RATE,
    THROUGHPUT,
    WALL_TIME,
    Changes,
    Metric,
    MetricOptions,
    changes,
)
from tests.unit.analytics.test_slowdowns import suite

Values = npt.NDArray[np.float64]


def series(level: float, noise: float, *, tests: int = 1, runs: int = 60, seed: int = 3) -> Values:
    return np.random.default_rng(seed).normal(level, noise, (tests, runs))


def rows_of(told: Changes) -> tuple[list[int], list[int]]:
    return [one.row for one in told.worse], [one.row for one in told.better]


@pytest.mark.parametrize("runs", [24, 40, 100])
def test_lost_coverage(runs: int) -> None:
    values = np.full((1, runs), 83.2)
    values[0, -4:] = 81
    [found] = changes(values, COVERAGE).worse
    assert (found.row, found.start, found.runs, found.before_runs) == (0, runs - 4, 4, runs - 4)
    assert found.before == 83.2
    assert found.after == pytest.approx(81)
    assert found.change == pytest.approx(-2.2)
    assert found.ratio is None
    values[0, -4:] = 85.4
    assert rows_of(changes(values, COVERAGE)) == ([], [0])
    values[0, -4:] = 82.9  # clear, and too small to matter
    assert rows_of(changes(values, COVERAGE)) == ([], [])


def test_rates_may_be_zero_and_values_negative() -> None:
    values = np.zeros((1, 40))
    values[0, -6:] = 0.05
    [found] = changes(values, RATE).worse
    assert found.before == 0
    assert found.after == pytest.approx(0.05)
    below = Metric("lower", "additive", relative=0.0, absolute=5.0, tick=0.1)
    values = series(-20, 1)
    values[0, -20:] += 30
    [found] = changes(values, below).worse
    assert found.before == pytest.approx(-20, abs=1)
    assert found.change == pytest.approx(30, abs=1.5)


def test_memory_in_bytes() -> None:
    values = series(50e6, 5e5)
    values[0, -15:] *= 1.2
    [found] = changes(values, MEMORY).worse
    assert found.ratio == pytest.approx(1.2, rel=0.02)
    assert found.change == pytest.approx(10e6, rel=0.1)
    assert rows_of(changes(values / 100, MEMORY)) == ([], [])  # less than a mebibyte
    assert rows_of(changes(values / 100, replace(MEMORY, absolute=0))) == ([0], [])


def test_throughput_is_better_when_higher() -> None:
    values = np.concatenate([series(1_000, 10), series(5, 0.05, seed=4)])
    values[0, -15:] *= 1.3
    values[1, -15:] /= 1.3
    told = changes(values, THROUGHPUT)
    assert rows_of(told) == ([1], [0])
    assert told.worse[0].ratio == pytest.approx(1 / 1.3, rel=0.02)
    assert rows_of(changes(values, replace(THROUGHPUT, good="lower"))) == ([0], [1])


def test_a_change_matters_by_its_share_and_by_its_size() -> None:
    values = series(100, 0.2)
    values[0, -15:] += 4
    assert rows_of(changes(values, LATENCY)) == ([], [])  # 4 %
    assert rows_of(changes(values, replace(LATENCY, relative=0.03))) == ([0], [])
    assert rows_of(changes(values, replace(LATENCY, relative=0.03, absolute=5))) == ([], [])


def test_percentiles_of_a_load_test() -> None:
    percentiles = np.concatenate([series(at, at / 50, seed=at) for at in (20, 90, 250)])
    percentiles[2, -12:] *= 1.25  # the 99th alone
    told = changes(percentiles / 1_000, LATENCY)
    assert rows_of(told) == ([2], [])
    assert told.worse[0].before == pytest.approx(0.25, rel=0.02)


def test_the_machine_is_taken_out_only_where_asked() -> None:
    values = np.exp(suite(5, tests=40, runs=60, machine=0).astype(np.float64))
    values[:, -20:] *= 1.5
    assert rows_of(changes(values, WALL_TIME)) == ([], [])
    assert len(changes(values, CPU_TIME).worse) >= 35
    values[3, -35:] *= 2
    [found] = changes(values, WALL_TIME).worse
    assert found.row == 3
    assert found.ratio == pytest.approx(2, rel=0.1)


def test_noise_is_no_change() -> None:
    found = 0
    free = Metric("lower", "additive", relative=0.0, tick=0.001)
    for seed in range(60):
        told = changes(series(100, 1, runs=20 + seed, seed=seed), free)
        assert told.judged == 1
        found += len(told.worse) + len(told.better)
    assert found == 0


def test_a_shift_does_not_pass_for_values_that_resemble_their_neighbours() -> None:
    values = np.full((1, 24), 83.2)
    values[0, -6:] = 81
    alone = changes(values, COVERAGE).worse
    among = changes(values, COVERAGE, MetricOptions(few=0, threshold=4.5)).worse
    assert (len(alone), len(among)) == (1, 0)


def test_a_shift_of_a_noisy_series_is_found() -> None:
    free = Metric("lower", "additive", relative=0.0, tick=0.001)
    found = 0
    for seed in range(40):
        values = series(100, 1, seed=seed)
        values[0, -8:] += 4
        found += len(changes(values, free).worse)
    assert found >= 36


def test_missing_values_and_empty_series() -> None:
    values = np.concatenate([series(100, 0.5), np.full((1, 60), np.nan), series(50, 0.5, seed=9)])
    values[:, 5::7] = np.nan
    values[2, -20:] += 20
    told = changes(values, replace(CPU_TIME, absolute=0))
    assert rows_of(told) == ([2], [])
    assert told.judged == 2
    assert changes(values[1:2], CPU_TIME) == Changes([], [], 0)
    assert changes(values[:, :0], CPU_TIME) == Changes([], [], 0)
    assert changes(values[:, :6], CPU_TIME).judged == 0
    assert changes(values[0:1], COVERAGE, MetricOptions(runs=6)).judged == 0


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        changes(np.array([[1, np.inf]]), CPU_TIME)
    with pytest.raises(ValueError, match="additive"):
        changes(np.array([[1, 0.0]]), CPU_TIME)
    with pytest.raises(ValueError, match="machine"):
        Metric("lower", "additive", machine=True)
    with pytest.raises(ValueError, match="bounds"):
        Metric("lower", "log", relative=-0.1)
    with pytest.raises(ValueError, match="tick"):
        Metric("lower", "log", tick=0)
