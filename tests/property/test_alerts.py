"""Alerts speak once of each real episode, however a value flaps."""

from __future__ import annotations

from itertools import groupby

from hypothesis import example, given
from hypothesis import strategies as st

from testlytics.alerts.compared import NOTHING, compare
from testlytics.alerts.events import BROKEN, FIXED, FLAKY, RULES
from testlytics.alerts.hysteresis import CLOSED, OPENED, Rule, advance
from testlytics.alerts.observed import Observed, Reading
from testlytics.alerts.state import Name

LOOKS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3)), max_size=60)
RULE = st.builds(
    lambda ends, calm: Rule(max(ends), min(ends), calm),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.integers(1, 6),
)


def told(looks: list[tuple[float, int]], rule: Rule) -> list[tuple[int, str]]:
    calm, found = None, []
    for at, (value, runs) in enumerate(looks):
        calm, change = advance(calm, value, runs, rule)
        if change is not None:
            found.append((at, change))
    return found


@given(LOOKS, RULE)
def test_each_episode_opens_once_and_closes_once(
    looks: list[tuple[float, int]], rule: Rule
) -> None:
    changes = told(looks, rule)
    assert [change for _, change in changes] == [
        (OPENED, CLOSED)[at % 2] for at in range(len(changes))
    ]
    # Independent: a real episode ends with a stretch of calm looks that hold enough runs.
    stretches = [
        sum(runs for _, runs in some)
        for calm, some in (
            (key, list(group)) for key, group in groupby(looks, lambda one: one[0] < rule.closes)
        )
        if calm
    ]
    ends = sum(runs >= rule.calm_runs for runs in stretches)
    assert sum(change == OPENED for _, change in changes) <= ends + 1
    assert sum(change == CLOSED for _, change in changes) <= ends
    for at, change in changes:
        if change == OPENED:
            assert looks[at][0] >= rule.opens
        else:
            assert looks[at][0] < rule.closes


@given(LOOKS, RULE)
def test_what_reached_the_threshold_is_open_or_was_calm_since(
    looks: list[tuple[float, int]], rule: Rule
) -> None:
    changes = dict(told(looks, rule))
    is_open = False
    for at, (value, _) in enumerate(looks):
        is_open = {OPENED: True, CLOSED: False, None: is_open}[changes.get(at)]
        assert is_open or value < rule.opens


def test_swinging_between_the_thresholds_says_nothing_more() -> None:
    rule = Rule(0.7, 0.4, 3)
    looks = [(0.8, 1), *[(0.69, 1), (0.71, 1), (0.41, 1), (0.2, 1), (0.2, 1)] * 5]
    assert told(looks, rule) == [(0, OPENED)]
    assert told([*looks, (0.2, 1)], rule) == [(0, OPENED), (len(looks), CLOSED)]


def test_looking_again_without_a_run_calms_nothing() -> None:
    assert told([(0.8, 1), *[(0.1, 0)] * 50], Rule(0.7, 0.4, 1)) == [(0, OPENED)]


def observed(number: int, flaky: float, broken: float) -> Observed:
    runs = [f"run-{at}" for at in range(number + 1)]
    about = ("p", "a::t", "os=linux")
    readings = {
        Name(FLAKY, *about): Reading(flaky, {}),
        Name(BROKEN, *about): Reading(broken, {}),
    }
    return Observed({"p": runs}, {}, readings, {})


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=40))
@example([(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)])
def test_fixed_is_told_only_when_nothing_is_left(values: list[tuple[float, float]]) -> None:
    state = NOTHING
    bad: set[str] = set()
    for number, (flaky, broken) in enumerate(values):
        events, state = compare(state, observed(number, flaky, broken))
        kinds = [event.kind for event in events]
        assert len(kinds) == len(set(kinds))
        for kind in kinds:
            if kind == FIXED:
                assert bad
                assert not state.open
                bad = set()
            else:
                assert kind not in bad
                bad.add(kind)
        bad &= {name.kind for name in state.open} | ({FLAKY, BROKEN} if not state.open else set())
        again = compare(state, observed(number, flaky, broken))
        assert (again.events, again.state.open) == ([], state.open)


def test_thresholds_are_in_order() -> None:
    assert all(rule.closes <= rule.opens for rule in RULES.values())
