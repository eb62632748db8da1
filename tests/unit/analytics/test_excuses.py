"""A failure is excused only if it is one of those that were seen before."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_analytics import excuses
from testlytics_analytics.excuses import Known, at_least, excuse

FLAKY = Known("flaky", 5, 100, spell=1, failing=False, fingerprints={"a": 5})


def test_a_flake_as_it_is_known_is_excused() -> None:
    told = excuse(FLAKY, "F", "a")
    assert told.kind == excuses.KNOWN_FLAKE
    assert told.likelihood == pytest.approx(5.5 / 101)
    assert not told.new_text


def test_a_flaky_test_that_says_something_new_is_news() -> None:
    assert excuse(FLAKY, "F", "b").kind == excuses.FLAKY_NEW_FAILURE


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"a": 1}, excuses.KNOWN_FLAKE),
        ({"a": 1, "c": 1}, excuses.KNOWN_FLAKE),
        ({"a": 2}, excuses.FLAKY_NEW_FAILURE),
        ({"a": 3, "c": 1}, excuses.FLAKY_NEW_FAILURE),
        ({}, excuses.KNOWN_FLAKE),
    ],
)
def test_a_new_text_is_news_only_where_its_texts_are_known(said: dict[str, int], kind: str) -> None:
    assert excuse(FLAKY._replace(fingerprints=said), "F", "b").kind == kind


def test_more_failures_than_the_rate_explains_are_news() -> None:
    assert excuse(FLAKY, "PFF", "a").kind == excuses.FLAKY_NEW_FAILURE
    assert excuse(FLAKY, "F" + "P" * 18 + "F", "a").kind == excuses.KNOWN_FLAKE
    often = FLAKY._replace(failed_runs=50)
    assert excuse(often, "FF", "a").kind == excuses.KNOWN_FLAKE


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        (Known(None, 0, 100, 0, False, {}), excuses.NEW_FAILURE),
        (Known(None, 0, 0, 0, False, {}), excuses.NEW_FAILURE),
        (Known("stable", 1, 100, 1, False, {"b": 1}), excuses.NEW_FAILURE),
        (Known("stable", 1, 100, 1, False, {"a": 1}), excuses.KNOWN_FLAKE),
        (Known("unknown", 3, 100, 3, False, {"a": 3}), excuses.NEW_FAILURE),
        (Known("unknown", 1, 100, 1, True, {"a": 1}), excuses.BROKEN_BEFORE),
        (Known("broken", 9, 100, 9, True, {"a": 9}), excuses.BROKEN_BEFORE),
    ],
)
def test_only_what_failed_before_and_passed_again_is_excused_as_a_flake(
    known: Known, kind: str
) -> None:
    assert excuse(known, "F", "a").kind == kind


def test_a_flaky_test_that_failed_last_and_says_the_same_was_broken_before() -> None:
    failing = FLAKY._replace(failing=True)
    assert excuse(failing, "FF", "a").kind == excuses.BROKEN_BEFORE
    assert excuse(failing, "FF", "b").kind == excuses.FLAKY_NEW_FAILURE


@given(st.integers(0, 12), st.integers(0, 12), st.floats(0.5, 50), st.floats(0.5, 50))
def test_the_tail_is_that_of_the_beta_binomial(
    failed: int, more: int, bad: float, good: float
) -> None:
    runs = failed + more
    tail = at_least(failed, runs, bad, good)
    assert 0 <= tail <= 1
    assert tail >= at_least(failed + 1, runs + 1, bad, good) - 1e-9 or failed == 0
    # By the urn of Polya: each draw adds one of its colour.
    chance = [1.0]
    for drawn in range(runs):
        grown = [0.0] * (drawn + 2)
        for count, share in enumerate(chance):
            odds = (bad + count) / (bad + good + drawn)
            grown[count + 1] += share * odds
            grown[count] += share * (1 - odds)
        chance = grown
    assert math.isclose(tail, sum(chance[failed:]), abs_tol=1e-9)
