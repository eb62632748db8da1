"""What must not change a verdict on a metric."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testlytics_analytics.durations.metrics import CPU_TIME, Change, Changes, Metric, changes
from tests.unit.analytics.test_metrics import Values

SEEDS = st.integers(0, 2**32 - 1)
LOG = replace(CPU_TIME, absolute=0.0)
ADDITIVE = Metric("lower", "additive", relative=0.0, absolute=0.2, tick=0.01)


def made(seed: int) -> Values:
    """Series around ten, few or many, some of which changed; some values are missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(10, 0.2, (int(rng.integers(1, 40)), int(rng.integers(12, 90))))
    for row in range(0, len(values), 3):
        values[row, int(rng.integers(6, values.shape[1] - 4)) :] += rng.choice((-3, 3))
    values[rng.random(values.shape) < 0.05] = np.nan
    return values


def seen(found: list[Change]) -> list[tuple[int, int, int]]:
    return sorted((one.row, one.start, one.runs) for one in found)


def both(told: Changes) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    return seen(told.worse), seen(told.better)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([2.0**-20, 0.125, 1024.0, 2.0**30]))
def test_the_unit_does_not_matter_to_factors(seed: int, unit: float) -> None:
    values = made(seed)
    plain, other = changes(values, LOG), changes(values * unit, LOG)
    assert both(plain) == both(other)
    for one, two in zip(plain.worse, other.worse, strict=True):
        assert two.change == pytest.approx(one.change * unit, rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([-1e6, -10.0, 1e6]))
def test_neither_zero_nor_a_large_level_matters_to_differences(seed: int, level: float) -> None:
    values = made(seed)
    assert both(changes(values, ADDITIVE)) == both(changes(values + level, ADDITIVE))


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_good_direction_only_swaps_the_lists(seed: int) -> None:
    values = made(seed)
    lower, higher = changes(values, LOG), changes(values, replace(LOG, good="higher"))
    assert (lower.worse, lower.better) == (higher.better, higher.worse)
    assert lower.judged == higher.judged


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_order_of_series_does_not_matter(seed: int) -> None:
    values = made(seed)
    order = np.random.default_rng(seed).permutation(len(values))
    straight = both(changes(values, ADDITIVE))
    mixed = changes(values[order], ADDITIVE)
    moved = [
        sorted((int(order[row]), start, runs) for row, start, runs in seen(found))
        for found in (mixed.worse, mixed.better)
    ]
    assert tuple(moved) == straight


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_few_series_are_judged_each_by_itself(seed: int) -> None:
    values = made(seed)[:19]
    one_by_one = [changes(row[None], ADDITIVE) for row in values]
    told = changes(values, ADDITIVE)
    assert seen(told.worse) == [
        (row, *one[1:]) for row, single in enumerate(one_by_one) for one in seen(single.worse)
    ]
