"""How the phases of an attempt add up to its outcome."""

from __future__ import annotations

import itertools

import pytest

from pytest_testlytics.attempt import FAILING, Story, outcome_of
from pytest_testlytics.failure import Failure

WHY: Failure = {"message": "why"}


@pytest.mark.parametrize(
    ("word", "phase", "expected_failure", "outcome"),
    [
        ("passed", "call", False, "passed"),
        ("passed", "call", True, "xpassed"),
        ("failed", "setup", False, "errored"),
        ("failed", "call", False, "failed"),
        ("failed", "teardown", False, "errored"),
        ("skipped", "setup", False, "skipped"),
        ("skipped", "call", True, "xfailed"),
        ("quarantined", "call", False, "unknown"),
        ("failed", "???", False, "crashed"),
        ("skipped", "???", True, "crashed"),
    ],
)
def test_outcome_of_one_phase(
    word: str, phase: str, outcome: str, *, expected_failure: bool
) -> None:
    assert outcome_of(word, phase, expected_failure=expected_failure) == outcome


def told(*phases: tuple[str, str]) -> Story:
    story = Story()
    for outcome, phase in phases:
        story.take(outcome, phase, {"message": f"{outcome} in {phase}"})
    return story


@pytest.mark.parametrize(
    ("phases", "outcome", "phase", "also"),
    [
        ([], "passed", None, None),
        ([("errored", "setup")], "errored", "setup", None),
        ([("failed", "call")], "failed", "call", None),
        ([("failed", "call"), ("errored", "teardown")], "failed", "call", "teardown"),
        ([("errored", "setup"), ("errored", "teardown")], "errored", "setup", "teardown"),
        ([("skipped", "call"), ("errored", "teardown")], "errored", "teardown", None),
        ([("xfailed", "call"), ("errored", "teardown")], "errored", "teardown", None),
        ([("skipped", "setup"), ("skipped", "teardown")], "skipped", "setup", None),
        ([("skipped", "teardown")], "passed", None, None),
        ([("failed", "call"), ("skipped", "teardown")], "failed", "call", None),
        ([("crashed", "call")], "crashed", "call", None),
        ([("unknown", "call")], "unknown", "call", None),
        ([("unknown", "call"), ("errored", "teardown")], "errored", "teardown", None),
    ],
)
def test_phases_add_up(
    phases: list[tuple[str, str]], outcome: str, phase: str | None, also: str | None
) -> None:
    story = told(*phases)
    story.settle()
    assert (story.outcome, story.phase, story.also) == (outcome, phase, also)


def test_first_failure_is_kept_whatever_follows() -> None:
    later = ["failed", "errored", "skipped", "xfailed", "xpassed", "unknown"]
    for first, second in itertools.product(sorted(FAILING), later):
        story = told((first, "call"), (second, "teardown"))
        assert story.outcome == first
        assert story.failure == {"message": f"{first} in call"}


def test_skip_in_teardown_leaves_its_message() -> None:
    assert told(("skipped", "teardown")).record() == {
        "outcome": "passed",
        "failure": {"message": "skipped in teardown"},
    }


def test_failed_subtest_fails_the_test() -> None:
    story = Story()
    story.take_subtest(None)
    story.take_subtest(WHY)
    story.take_subtest({"message": "later"})
    story.settle()
    assert story.record() == {
        "outcome": "failed",
        "phase": "call",
        "failure": WHY,
        "subtests": 3,
        "subtests_failed": 2,
    }


def test_failure_of_the_test_itself_goes_before_that_of_a_subtest() -> None:
    story = told()
    story.take_subtest(WHY)
    story.take("failed", "call", {"message": "own", "place": "a.py:1"})
    story.settle()
    assert story.failure == {"message": "own", "place": "a.py:1"}


def test_sum_of_subtests_gives_way_to_the_first_that_failed() -> None:
    story = told()
    story.take_subtest(WHY)
    story.take("failed", "call", {"message": "contains 1 failed subtest"})
    story.settle()
    assert story.failure == WHY


def test_subtests_do_not_undo_other_outcomes() -> None:
    for outcome in ("errored", "crashed", "interrupted"):
        story = told((outcome, "setup"))
        story.take_subtest(WHY)
        story.settle()
        assert story.outcome == outcome
