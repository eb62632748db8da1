"""Measurements that are worse in a change's runs: found where they are, and else not."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
import pytest

from testlytics_analytics.durations.fresh_metrics import (
    FreshChange,
    FreshChanges,
    FreshMetricOptions,
    _as_normal,
    fresh_changes,
)
from testlytics_analytics.durations.metrics import (
    COVERAGE,
    LATENCY,
    RATE,
    THROUGHPUT,
    Metric,
    Values,
)

CALM = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01]


def judged(*rows: list[float], start: int, metric: Metric, series: int = 20) -> FreshChanges:
    return fresh_changes(np.array(rows), start, metric, series)


def only(told: FreshChanges) -> FreshChange:
    [one] = told.worse
    return one


def test_a_factor_is_told_in_the_units_of_the_metric() -> None:
    one = only(judged([*CALM, 2.0], start=12, metric=LATENCY))
    assert (one.row, one.values, one.before_runs) == (0, 1, 12)
    assert one.before == 1.0
    assert one.after == pytest.approx(2.0)
    assert one.chance <= FreshMetricOptions().chance


@pytest.mark.parametrize(
    ("metric", "before", "bad", "good"),
    [
        (LATENCY, 1e-9, 2e-9, 0.5e-9),
        (LATENCY, 1e18, 2e18, 0.5e18),
        (THROUGHPUT, 500.0, 250.0, 1_000.0),
        (COVERAGE, 90.0, 80.0, 95.0),
        (RATE, 0.0, 0.02, -0.02),
    ],
)
def test_only_the_bad_direction_is_told(
    metric: Metric, before: float, bad: float, good: float
) -> None:
    values = (
        [before * one if before else 0.0 for one in CALM]
        if metric.scale == "log"
        else [before] * 12
    )
    assert only(judged([*values, bad], start=12, metric=metric)).after == pytest.approx(bad)
    assert judged([*values, good], start=12, metric=metric).worse == []


def test_what_does_not_matter_is_not_told_however_clear_it_is() -> None:
    assert judged([90.0] * 12 + [89.6], start=12, metric=COVERAGE).worse == []
    assert judged([90.0] * 12 + [89.5], start=12, metric=COVERAGE).worse != []
    assert judged([1.0] * 12 + [1.24], start=12, metric=LATENCY).worse == []
    assert judged([1.0] * 12 + [1.26], start=12, metric=LATENCY).worse != []
    assert judged([1.0] * 12 + [1.06] * 2, start=12, metric=LATENCY).worse != []
    assert judged([1.0] * 12 + [1.04] * 5, start=12, metric=LATENCY).worse == []


def test_one_value_before_that_was_as_bad_is_enough_to_be_silent() -> None:
    assert judged([*CALM[:11], 2.0, 1.99], start=12, metric=LATENCY).worse == []
    old = [2.0, *[1.0] * 20]
    assert judged([*old, 1.99], start=21, metric=LATENCY).worse != [], "too old to count"


def test_with_too_few_values_nothing_is_judged() -> None:
    assert judged([*CALM[:9], 9.0], start=9, metric=LATENCY) == ([], 0)
    assert judged([*CALM[:10], 9.0], start=10, metric=LATENCY).judged == 1
    holes = [np.nan, 0.0, -1.0, *CALM[:9], 9.0]
    assert judged(holes, start=12, metric=LATENCY) == ([], 0)
    assert judged([*CALM, 9.0, np.nan], start=12, metric=LATENCY) == ([], 0), "not in this run"
    assert judged([*CALM], start=12, metric=LATENCY) == ([], 0)
    assert fresh_changes(np.empty((0, 5)), 2, LATENCY, 1) == ([], 0)


def test_the_change_may_have_got_worse_with_its_second_run() -> None:
    one = only(judged([*CALM, 1.0, 2.0, 2.02], start=12, metric=LATENCY))
    assert one.values == 2


def test_the_clearest_comes_first_and_rows_are_the_given_ones() -> None:
    told = judged([*CALM, 1.5], [*CALM, 1.0], [*CALM, 3.0], start=12, metric=LATENCY)
    assert ([one.row for one in told.worse], told.judged) == ([2, 0], 3)


Noise = npt.NDArray[np.float64]


def share_found(noise: Noise, factor: float = 1.0) -> float:
    """Return the share of suites of 20 series in which anything is found."""
    values: Values = np.exp(noise)
    values[:, 0, -1] *= factor
    return float(np.mean([bool(fresh_changes(one, 12, LATENCY, 20).worse) for one in values]))


@pytest.mark.parametrize(("freedom", "most"), [(1_000, 0.002), (5, 0.03)])
def test_chance_is_seldom_told_and_a_factor_of_two_nearly_always(freedom: int, most: float) -> None:
    noise = np.random.default_rng(freedom).standard_t(freedom, (600, 20, 13)) * 0.03
    assert share_found(noise) <= most
    assert share_found(noise, 2.0) >= 0.99


def test_without_the_least_change_chance_is_what_was_said() -> None:
    """Of 30,000 series with normal noise, as many are found as the constant says, or fewer."""
    values = 90 + np.random.default_rng(7).normal(0, 2, (30_000, 13))
    options = FreshMetricOptions(chance=0.01)
    found = len(fresh_changes(values, 12, COVERAGE, 1, options).worse)
    assert 100 <= found <= 300 + 3 * sqrt(300)


def test_students_scores_are_as_unlikely_as_the_normal_ones() -> None:
    """Quantiles of Student's distribution at one in a thousand, from a table."""
    for freedom, quantile in [(5, 5.893), (10, 4.144), (30, 3.385)]:
        assert _as_normal(quantile, freedom) == pytest.approx(3.090, rel=0.02)
