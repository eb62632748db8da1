"""What must not change a verdict on durations."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from testlytics_analytics.durations.slowdowns import SlowdownOptions, slowdowns
from tests.unit.analytics.test_slowdowns import Values, suite

SEEDS = st.integers(0, 2**32 - 1)
FREE = SlowdownOptions(floor_s=0)


def made(seed: int) -> tuple[Values, set[int]]:
    """A suite with one to four tests that clearly became slower; some values are missing."""
    rng = np.random.default_rng(seed)
    values = suite(seed, tests=int(rng.integers(30, 80)), runs=int(rng.integers(30, 160)))
    rows = rng.choice(len(values), int(rng.integers(1, 5)), replace=False)
    for row in rows:
        runs = values.shape[1]
        values[row, int(rng.integers(max(15, runs - 60), runs - 10)) :] += np.float32(1)
    values[rng.random(values.shape) < 0.05] = np.nan
    return values, {int(row) for row in rows}


def rows_of(values: Values, options: SlowdownOptions = FREE) -> set[int]:
    return {one.row for one in slowdowns(values, options).found}


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_clear_steps_are_found_and_nothing_else(seed: int) -> None:
    values, rows = made(seed)
    assert rows_of(values) == rows


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_order_of_tests_does_not_matter(seed: int) -> None:
    values, _ = made(seed)
    order = np.random.default_rng(seed + 1).permutation(len(values))
    straight = {(one.row, one.start, one.runs) for one in slowdowns(values, FREE).found}
    mixed = slowdowns(values[order], FREE).found
    assert {(int(order[one.row]), one.start, one.runs) for one in mixed} == straight


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(-3, 3))
def test_a_machine_of_another_speed_does_not_matter(seed: int, speed: float) -> None:
    values, _ = made(seed)
    every = SlowdownOptions(floor_s=0, trusted_s=0)
    assert rows_of(values + np.float32(speed), every) == rows_of(values, every)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 100))
def test_further_stable_tests_do_not_matter(seed: int, further: int) -> None:
    values, rows = made(seed)
    more = suite(seed + 7, tests=further, runs=values.shape[1], machine=0)
    assert rows <= rows_of(np.concatenate([values, more]))


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_slower_and_faster_are_mirrored(seed: int) -> None:
    values, _ = made(seed)
    every = SlowdownOptions(floor_s=0, trusted_s=0)
    forth, back = slowdowns(values, every), slowdowns(-values, every)
    assert len(forth.found) == back.decoys
    assert len(back.found) == forth.decoys


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_scale_of_a_suite_is_that_of_its_mirror_and_of_any_order(seed: int) -> None:
    values, _ = made(seed)
    every = SlowdownOptions(floor_s=0, trusted_s=0)
    order = np.random.default_rng(seed + 2).permutation(len(values))
    plain = slowdowns(values, every)
    for other in (slowdowns(-values, every), slowdowns(values[order], every)):
        assert np.isclose(other.scale, plain.scale, atol=0.02)
        assert np.isclose(other.young_scale, plain.young_scale, atol=0.02)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(0, 4), st.sampled_from([36, 70, 150]))
def test_tests_that_got_faster_hide_no_slower_ones(seed: int, faster: int, runs: int) -> None:
    values = suite(seed, tests=80, runs=runs)
    values[:3, runs - 15 :] += np.float32(1)
    values[3 : 3 + faster, runs - 20 :] -= np.float32(1)
    assert {0, 1, 2} <= rows_of(values)
