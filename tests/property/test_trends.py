"""What must hold of every suite's change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testlytics_analytics.durations.robust import Matrix
from testlytics_analytics.trends import MACHINE, REST, Whole, by_group, suite_trend
from tests.unit.analytics.test_slowdowns import suite
from tests.unit.analytics.test_trends import stays

SEEDS = st.integers(0, 2**32 - 1)


def made(seed: int) -> tuple[Matrix, Whole, Whole]:
    """A suite in which tests come, go, change and are missing; at least one value each."""
    rng = np.random.default_rng(seed)
    values = suite(seed, tests=int(rng.integers(1, 60)), runs=int(rng.integers(2, 80)))
    tests, runs = values.shape
    come, go = np.sort(rng.integers(0, runs, (2, tests)), axis=0)
    come[rng.random(tests) < 0.7] = 0
    go[rng.random(tests) < 0.7] = runs - 1
    columns = np.arange(runs)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[np.arange(tests), come] = np.float32(0.1)
    moved = rng.random(tests) < 0.2
    values[moved] += np.where(
        columns > runs // 2, rng.normal(0, 1, (np.count_nonzero(moved), 1)), 0
    )
    values[(columns < come[:, None]) | (columns > go[:, None])] = np.nan
    return values.astype(np.float32), come, go


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_parts_add_up_to_what_was_measured(seed: int) -> None:
    values, come, go = made(seed)
    trend = suite_trend(values, come, go)
    columns = np.arange(values.shape[1])
    for told, part in (
        (trend.before, columns < trend.compared),
        (trend.after, columns >= len(columns) - trend.compared),
    ):
        there = ((columns >= come[:, None]) & (columns <= go[:, None]))[:, part]
        held = there.sum(axis=1) * 2 >= trend.compared
        known = held & np.isfinite(values[:, part]).any(axis=1)
        medians = np.exp(np.nanmedian(values[known][:, part], axis=1))
        assert told[known].sum(axis=1) == pytest.approx(medians, rel=1e-4)
        assert not told[~held].any()
        # A test is put down to one cause, beside the machine.
        assert ((told[:, :MACHINE] > 0).sum(axis=1) <= 1).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_groups_add_up_and_the_order_of_rows_does_not_matter(seed: int) -> None:
    values, come, go = made(seed)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, len(values))
    order = rng.permutation(len(values))
    trend = suite_trend(values, come, go)
    mixed = suite_trend(values[order], come[order], go[order])
    assert mixed.kinds.tolist() == trend.kinds[order].tolist()
    for plain, other in ((trend.before, mixed.before), (trend.after, mixed.after)):
        grouped = by_group(plain, labels, 4)
        assert grouped.sum(axis=0) == pytest.approx(plain.sum(axis=0))
        assert by_group(other, labels[order], 4) == pytest.approx(grouped, rel=1e-4, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_parts_of_some_tests_are_those_among_all(seed: int) -> None:
    values, come, go = made(seed)
    among = np.random.default_rng(seed).random(len(values)) < 0.5
    every, some = suite_trend(values, come, go), suite_trend(values, come, go, among)
    assert some.before[among].tolist() == every.before[among].tolist()
    assert some.after[among].tolist() == every.after[among].tolist()
    assert not some.before[~among].any()
    assert not some.after[~among].any()


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_another_stable_test_changes_no_other(seed: int) -> None:
    values = suite(seed, tests=60, runs=60, machine=0)
    values[0, 30:] += np.float32(1)
    values[1, :25] = np.nan
    steady = np.zeros((1, 60), np.float32)
    more = np.concatenate([values, steady])
    plain, other = (suite_trend(one, *stays(one)) for one in (values, more))
    assert other.kinds[:-1].tolist() == plain.kinds.tolist()
    assert other.kinds[-1] == REST
    # The run factor is a median over the tests: one more moves it within its noise.
    for one, two in ((plain.before, other.before), (plain.after, other.after)):
        assert two[:-1].sum(axis=1) == pytest.approx(one.sum(axis=1), rel=1e-6)
        assert two[:-1, :MACHINE] == pytest.approx(one[:, :MACHINE], rel=0.05)
