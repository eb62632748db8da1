"""What measures the verdicts on outcomes: the simulator and the scores."""

from __future__ import annotations

from itertools import permutations
from statistics import mean

import pytest

from scripts.accuracy.outcome_data import Shape, flaky_rates, simulate
from scripts.accuracy.outcome_scores import (
    OURS,
    average_precision,
    figures_of,
    judged_suite,
    precision_at,
)

SMALL = Shape(tests=400, commits=60)


def test_the_rates_are_those_that_were_measured() -> None:
    rates = flaky_rates()
    assert len(rates) == 811
    assert rates == sorted(rates)
    # Quantiles of the published file.
    assert [rates[811 // 10], rates[811 // 2], rates[9 * 811 // 10]] == [0.0001, 0.0071, 0.5540]


def test_equal_seeds_give_equal_suites() -> None:
    assert simulate(3, SMALL) == simulate(3, SMALL)
    assert simulate(3, SMALL) != simulate(4, SMALL)


@pytest.mark.parametrize("bursty", [0.0, 1.0])
def test_tests_fail_at_their_rate(bursty: float) -> None:
    shape = Shape(tests=3000, commits=200, flaky=1, bursty=bursty, breaking=0, outages=0, retries=0)
    suite = simulate(1, shape)
    failed = sum(test.letters.count("F") for test in suite.tests) / len(suite.runs)
    expected = sum(test.rate for test in suite.tests) + sum(suite.calm_rates)
    assert failed == pytest.approx(expected, rel=0.05)
    assert expected / shape.tests == pytest.approx(mean(flaky_rates()), rel=0.15)


def test_a_suite_adds_up() -> None:
    suite = simulate(5, SMALL)
    assert len(suite.tests) + len(suite.calm_rates) == suite.size == SMALL.tests
    for at, failing in enumerate(suite.failing):
        assert failing == sum(test.letters[at] != "P" for test in suite.tests)
    assert all(
        len(test.tries) == len(test.letters) - test.letters.count("P") for test in suite.tests
    )


def test_average_precision_of_ties_is_that_of_a_block() -> None:
    assert average_precision([(3, True), (2, False), (1, True)]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([(1, True), (1, False), (1, False), (1, True)]) == 0.5
    for order in permutations([(0.9, True), (0.5, False), (0.5, True), (0.1, False)]):
        assert average_precision(order) == pytest.approx((1 + 2 / 3) / 2)


def test_precision_at_a_recall_never_cuts_through_equal_scores() -> None:
    rated = [(0.9, True), (0.8, True), (0.5, False), (0.5, True)]
    assert precision_at(rated, 0.6) == 1
    assert precision_at(rated, 1.0) == 0.75


def test_testlytics_beats_chance_on_a_small_suite() -> None:
    figures = figures_of(judged_suite(2, Shape(tests=600, commits=100)), small=True)
    assert figures[f"rank/{OURS}/ap"] > 0.6
    assert figures[f"first/3/{OURS}/precision"] > 0.8
