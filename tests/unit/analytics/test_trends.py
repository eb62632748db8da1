"""What a suite's change is put down to."""

from __future__ import annotations

import numpy as np
import pytest

from testlytics_analytics.durations.robust import Matrix
from testlytics_analytics.trends import (
    ADDED,
    FASTER,
    MACHINE,
    REMOVED,
    REST,
    SLOWER,
    SuiteTrend,
    Whole,
    compared_runs,
    retry_trend,
    slow_newcomers,
    suite_trend,
)
from tests.unit.analytics.test_slowdowns import suite

RUNS = 60


def stays(values: Matrix) -> tuple[Whole, Whole]:
    """When each test has its first and its last value."""
    known = np.isfinite(values)
    return known.argmax(axis=1), values.shape[1] - 1 - known[:, ::-1].argmax(axis=1)


def told(values: Matrix) -> SuiteTrend:
    return suite_trend(values, *stays(values))


def planted() -> Matrix:
    """Steady tests of about a second, and one of each kind."""
    values = suite(11, tests=50, runs=RUNS)
    values[0, :30] = np.nan  # new
    values[1, 30:] = np.nan  # removed
    values[2, 30:] += np.float32(1)
    values[3, 30:] -= np.float32(1)
    return values


def test_each_kind_is_found() -> None:
    trend = told(planted())
    assert trend.compared == 15
    assert trend.kinds[:4].tolist() == [ADDED, REMOVED, SLOWER, FASTER]
    assert set(trend.kinds[4:].tolist()) == {REST}
    moved = (trend.after - trend.before).sum(axis=0)
    assert moved[ADDED] == trend.after[0].sum() - trend.after[0, MACHINE] > 0
    assert moved[REMOVED] < 0 < moved[SLOWER]
    assert moved[FASTER] < 0
    slower = trend.after[2, SLOWER] / trend.before[2, SLOWER]
    assert slower == pytest.approx(np.e, rel=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_planted_is_told_on_a_machine_that_became_slower(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = rng.normal(-1.5, 1, (200, 1))
    values = level + rng.uniform(0.7, 1.3, (200, 1)) * rng.normal(0, 0.15, RUNS)
    values += rng.uniform(0.03, 0.15, (200, 1)) * rng.normal(0, 1, (200, RUNS))
    values[:, 40:] += 0.2
    values[:6, 30:] += np.log(1.6)
    values[6:10, 30:] -= np.log(1.6)
    values[10:18, :25] = np.nan
    values[18:24, 35:] = np.nan
    trend = told(values.astype(np.float32))
    usual = np.exp(level[:, 0])
    truth = {
        ADDED: usual[10:18].sum(),
        REMOVED: -usual[18:24].sum(),
        SLOWER: usual[:6].sum() * 0.6,
        FASTER: usual[6:10].sum() * (1 / 1.6 - 1),
        REST: 0,
    }
    moved = (trend.after - trend.before).sum(axis=0)
    for kind, seconds in truth.items():
        assert moved[kind] == pytest.approx(seconds, abs=0.02 * usual.sum())
    expected = [SLOWER] * 6 + [FASTER] * 4 + [ADDED] * 8 + [REMOVED] * 6 + [REST] * 176
    assert np.count_nonzero(trend.kinds != expected) <= 2


def test_a_slower_machine_is_neither_a_slower_nor_a_faster_test() -> None:
    calm = suite(12, tests=60, runs=RUNS, machine=0)
    slow = calm.copy()
    slow[:, 40:] += np.float32(0.5)
    trend = told(slow)
    moved = (trend.after - trend.before).sum(axis=0)
    assert set(trend.kinds.tolist()) == {REST}
    whole = moved.sum()
    assert whole > 0.4 * trend.before.sum()
    assert moved[MACHINE] == pytest.approx(whole, rel=0.05)
    assert trend.factor[-1] / trend.factor[0] == pytest.approx(np.exp(0.5), rel=0.05)
    assert trend.measured[-1] > 1.4 * trend.measured[0]
    assert trend.steadied[-1] == pytest.approx(trend.steadied[0], rel=0.1)


def test_runs_of_a_few_tests_do_not_look_faster() -> None:
    values = suite(13, tests=40, runs=RUNS)
    whole = told(values)
    narrow = values.copy()
    narrow[5:, 20::3] = np.nan
    assert told(narrow).steadied[20:50] == pytest.approx(whole.steadied[20:50], rel=0.05)
    assert told(narrow).tests[20:50].tolist() == [40] * 30


def test_a_test_that_fails_ever_since_is_not_removed() -> None:
    values = suite(14, tests=30, runs=RUNS)
    values[0, 20:] = np.nan
    first, last = stays(values)
    assert suite_trend(values, first, last).kinds[0] == REMOVED
    last[0] = RUNS - 1
    trend = suite_trend(values, first, last)
    assert trend.kinds[0] == REST
    assert trend.before[0, REST] == trend.after[0, REST] > 0


@pytest.mark.parametrize("runs", [0, 1])
def test_no_trend_of_less_than_two_runs(runs: int) -> None:
    values = suite(15, tests=12, runs=4)[:, :runs]
    trend = suite_trend(values, np.zeros(12, np.int64), np.full(12, runs - 1))
    assert trend.compared == 0
    assert len(trend.tests) == runs


def test_two_runs_are_compared() -> None:
    values = np.log(np.array([[1, 2], [1, np.nan]], np.float32))
    trend = told(values)
    assert trend.compared == 1
    assert (trend.after - trend.before).sum() == pytest.approx(0, abs=1e-6)
    assert trend.kinds.tolist() == [REST, REMOVED]


@pytest.mark.parametrize(("runs", "expected"), [(0, 0), (1, 0), (2, 1), (7, 1), (8, 2), (100, 25)])
def test_how_many_runs_are_compared(runs: int, expected: int) -> None:
    assert compared_runs(runs) == expected


def test_new_tests_that_are_slow() -> None:
    values = suite(16, tests=40, runs=RUNS, machine=0)
    values -= np.median(values, axis=1, keepdims=True)  # a second each
    values[:3, :40] = np.nan
    values[0] += np.float32(3)
    values[1] -= np.float32(4)  # new and fast
    values[2] += np.float32(3)  # slow, but known before the window
    first, last = stays(values)
    fresh = np.arange(40) < 2
    [found] = slow_newcomers(told(values), first, last, fresh)
    assert found.row == 0
    assert found.rank in {1, 2}
    assert found.typical_s == pytest.approx(np.exp(3), rel=0.2)
    assert found.share == pytest.approx(np.exp(3) / (2 * np.exp(3) + 37), rel=0.2)
    values[0, 50:] = np.nan  # gone again
    first, last = stays(values)
    last[0] = 40
    assert slow_newcomers(told(values), first, last, fresh) == []


def test_retries() -> None:
    tests = np.full(20, 100, np.int64)
    rising = np.array([1] * 10 + [6] * 10, np.int64)
    assert retry_trend(tests, rising) == (0.01, 0.06, True)
    assert not retry_trend(tests, np.full(20, 5, np.int64)).is_finding
    assert retry_trend(tests[:1], rising[-1:]) == (0.06, 0.06, True)
    nothing = np.zeros(0, np.int64)
    assert retry_trend(nothing, nothing) == (None, None, False)
