"""What must not change which slowdowns are one regression, nor since when."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from testlytics_analytics.durations.groups import Late, onsets, regressions
from testlytics_analytics.durations.slowdowns import SlowdownOptions, slowdowns
from testlytics_analytics.outcome_changes import Placed, breakages
from tests.unit.analytics.test_slowdowns import Values, suite

SEEDS = st.integers(0, 2**32 - 1)
FREE = SlowdownOptions(floor_s=0, trusted_s=0)
Told = set[tuple[frozenset[int], tuple[int, int]]]


def made(seed: int) -> Values:
    """A suite in which six tests become slower at one place, and two at another."""
    values = suite(seed, tests=50, runs=90)
    values[:6, 50:] += np.float32(0.6)
    values[6:8, 72:] += np.float32(0.9)
    return values


def told_of(values: Values, order: list[int] | None = None) -> Told:
    """The groups, as rows and intervals; rows by their places before `order` mixed them."""
    told = slowdowns(values, FREE)
    logs = onsets(told.steadied, [one.start for one in told.found])
    steps = np.arange(values.shape[1])
    found = [
        Late(f"t{one.row}", "", one.ratio, steps, logs[at]) for at, one in enumerate(told.found)
    ]
    rows = [one.row if order is None else order[one.row] for one in told.found]
    return {
        (frozenset(rows[at] for at in group.members), (group.onset.after, group.onset.until))
        for group in regressions(found, told.judged)
    }


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_changes_are_found_together_where_they_are(seed: int) -> None:
    assert told_of(made(seed)) == {
        (frozenset(range(6)), (49, 50)),
        (frozenset({6, 7}), (71, 72)),
    }


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_the_order_of_tests_does_not_matter(seed: int) -> None:
    values = made(seed)
    order = np.random.default_rng(seed).permutation(len(values)).tolist()
    assert told_of(values[order], order) == told_of(values)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.floats(-3, 3))
def test_a_machine_of_another_speed_does_not_matter(seed: int, speed: float) -> None:
    values = made(seed)
    assert told_of(values + np.float32(speed)) == told_of(values)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 100))
def test_further_stable_tests_do_not_matter(seed: int, further: int) -> None:
    values = made(seed)
    more = suite(seed + 7, tests=further, runs=values.shape[1], machine=0)
    more += values[8:].mean(axis=0) - values[8:].mean()
    assert told_of(np.concatenate([values, more])) == told_of(values)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 30), st.integers(1, 9)), max_size=30), st.randoms())
def test_every_broken_test_is_in_one_group(places: list[tuple[int, int]], dice: Random) -> None:
    found = [
        Placed(rank, f"t{rank}", after, after + width) for rank, (after, width) in enumerate(places)
    ]
    groups = breakages(found)
    assert sorted(one for group in groups for one in group.members) == found
    for group in groups:
        assert (group.after, group.until) in {(one.after, one.until) for one in group.members}
        assert all(one.after < group.until and one.until > group.after for one in group.members)
    dice.shuffle(found)
    assert breakages(found) == groups
