"""What measures the gate: changes that change nothing, and bugs that are put in."""

from __future__ import annotations

from random import Random

from scripts.accuracy import gate_outcomes as outcomes
from scripts.accuracy.duration_data import MID
from scripts.accuracy.gate_durations import Data, judge, simulated
from scripts.accuracy.outcome_data import Shape, simulate

SETTING = outcomes.SETTINGS[0]
SUITE = simulate(3, Shape(tests=300, commits=140, reruns=0, retries=0.0, breaking=0.1))


def test_changes_have_a_whole_baseline_and_no_outage() -> None:
    told = list(outcomes.changes(SUITE, Random(1)))
    assert len(told) > 10
    for change in told:
        assert change.start >= outcomes.BASELINE
        assert 1 <= change.end - change.start <= 3
        assert not any(SUITE.runs[step].outage for step in range(change.start, change.end))
        assert all(change.start - outcomes.BASELINE <= step < change.start for step in change.void)


def test_a_flaky_test_says_few_things_and_each_run_differs() -> None:
    [test] = [one for one in SUITE.tests if one.letters.count("F") > 20][:1]
    said = {outcomes.says(1, test, step) for step in range(200)}
    assert len({text.split()[2] for text in said}) <= 5
    assert len(said) == 200
    assert outcomes.says(1, test, 5) == outcomes.says(1, test, 5)


def test_bugs_are_blocked_and_flakes_are_not() -> None:
    sound = outcomes.bugs(SETTING, 0.0, new_text=True, count=20, seed=1)
    assert sound["testlytics"] == "1.000 / 1.000"
    flaky = outcomes.bugs(SETTING, 0.05, new_text=False, count=60, seed=1)
    first, second = map(float, flaky["testlytics"].split(" / "))
    assert first < 0.2
    assert second > 0.85
    excused = flaky["excuses what is flaky by TestGrid: a flip outside of 3 failures in a row"]
    assert float(excused.split(" / ")[1]) < 0.2


def test_only_changes_that_slow_something_are_red() -> None:
    data = Data("a suite", simulated(MID, 60), 60, 6, 2)
    changes, red, _, _ = judge(data, 0.0, 3, 5)
    assert (changes, red) == (12, 0)
    _, _, put_in, found = judge(data, 1.0, 3, 5)
    assert put_in == 12
    assert found >= 9
