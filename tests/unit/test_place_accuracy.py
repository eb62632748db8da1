"""What measures the places of changes."""

from __future__ import annotations

import numpy as np

from scripts.accuracy import duration_places, places
from scripts.accuracy.duration_data import Injected
from scripts.accuracy.outcome_data import SimulatedTest
from testlytics_analytics.evidence import RunOrder
from testlytics_analytics.histories import Run
from tests.unit.analytics.test_slowdowns import suite

RUNS = [Run(str(n), str(n), str(n)) for n in range(8)]


def test_failing_runs_are_counted_in_a_row() -> None:
    test = SimulatedTest(1, "PFFLFFFF", (), 0.0, False, frozenset(range(4, 8)))
    # The run in which the machine failed is none of them.
    found = list(places._streaks(test, RunOrder(RUNS, {5})))
    assert found == [(4, 1), (6, 2), (7, 3)]


def test_the_last_good_run_is_one_that_counts() -> None:
    order = RunOrder(RUNS, {3})
    assert places._last_good("PPFPFFFF", 5, order) == 1
    assert places._last_good("FFFF", 3, order) == -1


def test_broken_tests_are_placed_as_often_as_promised() -> None:
    table = places._broken_table(1, small=True)
    assert [row[0] for row in table.rows] == ["1", "2", "3", "5", "10"]
    assert all(int(row[1]) > 50 for row in table.rows)
    assert table.missed == []


def test_what_is_told_of_a_suite_is_scored_against_its_truth() -> None:
    values, at = suite(3, tests=40, runs=100), np.full(40, -1)
    at[:3], at[3] = 60, 80
    for row in range(4):
        values[row, at[row] :] += np.float32(1)
    scored = duration_places.Places()
    duration_places._note(Injected(values, at), scored)
    assert (scored.held, scored.widths) == ([True] * 4, [1] * 4)
    assert (scored.together, scored.of_one, scored.shared) == ([True] * 3, [True] * 3, [True])
    wrong = duration_places.Places()
    duration_places._note(Injected(values, np.where(at == 60, 40, at)), wrong)
    assert sorted(wrong.held) == [False, False, False, True]


def test_both_rules_find_a_plain_step() -> None:
    row = np.random.default_rng(1).normal(0, 0.1, 150).astype(np.float32)
    row[70:] += 1
    row[::9] = np.nan
    for rule in duration_places.LEVELS.values():
        assert [abs(at - 70) <= 2 for at in rule(row)] == [True]
