"""Durations: the summary, the baseline and the 20 % rule."""

from __future__ import annotations

import pytest

from testlytics_analytics.duration import slower
from tests.factories import frame, series


def compared(values: list[float]) -> dict[str, object]:
    return slower(frame(series("t", "P" * len(values), durations=values))).row(0, named=True)


def test_baseline_is_the_median_of_the_runs_before_the_newest() -> None:
    row = compared([0.1] * 9 + [0.2, 0.5])
    assert (row["baseline_s"], row["baseline_runs"], row["newest_s"]) == (0.1, 10, 0.5)


def test_no_baseline_below_ten_samples() -> None:
    assert slower(frame(series("t", "P" * 10))).is_empty()


def test_baseline_looks_at_the_last_hundred() -> None:
    row = compared([9.0] * 60 + [1.0] * 100 + [1.1])
    assert (row["baseline_s"], row["baseline_runs"]) == (1.0, 100)


@pytest.mark.parametrize(
    ("values", "rule", "regression"),
    [
        ([1.0] * 12 + [1.2], False, False),  # not more than 20 %
        ([1.0] * 12 + [1.21], True, True),
        ([0.002] * 12 + [0.5], True, False),  # once: the machine was busy with something else
        ([0.2] * 12 + [0.245], True, False),  # 45 ms once: nobody cares
        ([0.1] * 12 + [0.2], True, True),
        ([0.002] * 12 + [0.02] * 3, True, True),  # ... and now it has held
        ([0.1] * 13 + [0.3] * 7, True, True),
        ([0.1, 0.2] * 10, True, False),  # it has always swung like this
        ([0.3] * 12 + [0.1], False, False),  # faster
    ],
)
def test_rule_and_regression(values: list[float], rule: bool, regression: bool) -> None:
    row = compared(values)
    assert (row["beyond_factor"], row["regression"]) == (rule, regression)


def test_regression_says_since_when() -> None:
    row = compared([0.1] * 13 + [0.3] * 7)
    assert (row["held"], row["since_run"], row["since_commit"]) == (7, "run-13", "c13")


def test_zero_baseline_has_no_ratio() -> None:
    row = compared([0.0] * 12 + [1.0] * 3)
    assert row["ratio"] is None
    assert row["regression"] is True
