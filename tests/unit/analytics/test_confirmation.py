"""How often a test has to be run again: the formulas against what they promise, by simulation."""

from __future__ import annotations

from collections.abc import Iterator
from math import comb, log, sqrt
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_analytics.confirmation import (
    SAME,
    SLOWER,
    ErrorRates,
    Repeats,
    expected_repeats,
    highest_rate,
    passes_for_fix,
    repeats_for_failure,
    repeats_for_slowdown,
    sequential_slowdown,
)

ERRORS = ErrorRates(confirmed=0.02, dismissed=0.1)
TRIALS = 4_000


def test_the_published_number_of_passes() -> None:
    assert passes_for_fix(0.05) == 59
    assert passes_for_fix(0.01) == 299
    assert passes_for_fix(0.05, level=0.99) == 90
    assert passes_for_fix(0.5, level=0.5) == 1
    assert (passes_for_fix(0.0), passes_for_fix(1.0)) == (None, 1)


@given(st.floats(1e-4, 0.999), st.floats(0.5, 0.999))
def test_a_fix_is_proved_by_no_pass_less(rate: float, level: float) -> None:
    needed = passes_for_fix(rate, level=level)
    assert needed is not None
    assert (1 - rate) ** needed <= (1 - level) * (1 + 1e-6)
    assert needed == 1 or (1 - rate) ** (needed - 1) >= (1 - level) * (1 - 1e-6)


def test_the_highest_rate_is_where_the_passes_are_just_possible() -> None:
    for passes in (1, 10, 59, 300):
        assert (1 - highest_rate(passes)) ** passes == pytest.approx(0.05)
    assert highest_rate(100) == pytest.approx(3 / 100, rel=0.03)
    assert highest_rate(0) == 1


def tail(at_most: int, trials: int, rate: float) -> float:
    return sum(comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(at_most + 1))


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.3, 0.6, 0.8])
def test_a_plan_for_a_failure_keeps_its_errors_and_is_the_shortest(rate: float) -> None:
    told = repeats_for_failure(rate)
    assert told is not None
    assert tail(told.passes, told.repeats, 1 - rate) <= 0.01 + 1e-9
    assert 1 - tail(told.passes, told.repeats, 0.005) <= 0.05
    for shorter in range(1, told.repeats):
        assert all(
            tail(passes, shorter, 1 - rate) > 0.01 or 1 - tail(passes, shorter, 0.005) > 0.05
            for passes in range(shorter + 1)
        )


def test_plans_for_a_failure() -> None:
    assert repeats_for_failure(0.01) == Repeats(1, 0)
    assert repeats_for_failure(0.1) == Repeats(2, 0)
    assert repeats_for_failure(0.3) == Repeats(4, 0)
    assert repeats_for_failure(0.99) is None
    assert repeats_for_failure(0.5, errors=ErrorRates(most=5)) is None


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_a_plan_for_a_failure_by_simulation(rate: float) -> None:
    told = repeats_for_failure(rate, errors=ERRORS)
    assert told is not None
    dice = Random(3)

    def broken(fails: float) -> float:
        """How often a test that fails so often is taken for broken."""
        passes = (sum(dice.random() >= fails for _ in range(told.repeats)) for _ in range(TRIALS))
        return mean(some <= told.passes for some in passes)

    assert broken(rate) <= 0.02 + 3 * sqrt(0.02 / TRIALS)
    assert broken(0.995) >= 0.9 - 3 * sqrt(0.1 / TRIALS)


@pytest.mark.parametrize(
    ("effect", "noise", "shared", "baseline"),
    [(log(1.2), 0.16, 0.0, 1e9), (log(1.2), 0.16, 0.02, 60), (log(1.05), 0.03, 0.005, 100)],
)
def test_a_fixed_number_of_repeats_keeps_its_errors(
    effect: float, noise: float, shared: float, baseline: float
) -> None:
    needed = repeats_for_slowdown(effect, noise, shared=shared, baseline=baseline, errors=ERRORS)
    assert needed is not None
    dice = Random(4)
    spread = sqrt(shared**2 + noise**2 / needed + (shared**2 + noise**2) / baseline)
    limit = 2.0537 * spread  # the normal deviate of 2 %

    def confirmed(true: float) -> float:
        hits = 0
        for _ in range(TRIALS):
            usual = dice.gauss(0, sqrt((shared**2 + noise**2) / baseline))
            run = dice.gauss(true, shared)
            hits += mean(dice.gauss(run, noise) for _ in range(needed)) - usual > limit
        return hits / TRIALS

    assert confirmed(0) == pytest.approx(0.02, abs=3 * sqrt(0.02 / TRIALS))
    assert confirmed(effect) >= 0.9 - 3 * sqrt(0.1 / TRIALS)


def test_what_all_repeats_share_no_repeat_takes_away() -> None:
    assert repeats_for_slowdown(log(1.05), 0.01, shared=0.05) is None
    assert repeats_for_slowdown(log(1.05), 0.3, baseline=10) is None
    assert repeats_for_slowdown(log(1.001), 0.3) is None
    assert repeats_for_slowdown(0, 0.1) is None
    assert repeats_for_slowdown(log(2), 0.01) == 1


def _values(dice: Random, middle: float, spread: float) -> Iterator[float]:
    while True:
        yield dice.gauss(middle, spread)


def test_the_sequential_test_keeps_its_errors_and_needs_fewer() -> None:
    effect, noise = log(1.1), 0.25
    dice = Random(5)
    fixed = repeats_for_slowdown(effect, noise, errors=ERRORS)
    assert fixed is not None
    for true, right, most, expected in zip(
        (effect, 0.0),
        (SLOWER, SAME),
        (0.1, 0.02),
        expected_repeats(effect, noise, ERRORS),
        strict=True,
    ):
        told = [
            sequential_slowdown(_values(dice, true, noise), effect, noise, ERRORS)
            for _ in range(TRIALS)
        ]
        assert mean(verdict != right for verdict, _ in told) <= most + 3 * sqrt(most / TRIALS)
        needed = mean(count for _, count in told)
        assert needed == pytest.approx(expected, rel=0.1)
        assert needed < 0.75 * fixed


def test_the_sequential_test_asks_for_more() -> None:
    assert sequential_slowdown([], 0.1, 0.1) == (None, 0)
    assert sequential_slowdown([0.05, 0.05], 0.1, 0.1) == (None, 2)
    assert sequential_slowdown([5.0, 0.0], 0.1, 0.1) == (SLOWER, 1)
    assert sequential_slowdown([-5.0, 0.0], 0.1, 0.1) == (SAME, 1)
