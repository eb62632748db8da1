"""What would change a verdict."""

from __future__ import annotations

import pytest

from testlytics_analytics.evidence import Tried
from testlytics_analytics.histories import History, Run
from testlytics_analytics.status import judge
from testlytics_analytics.what_if import MOST, turns

WORDS = {"P": "passed", "F": "failed", "L": "flaky"}


def tried(letters: str) -> Tried:
    return Tried(History("p", "a::t", "", range(len(letters)), letters))


def runs(count: int) -> list[Run]:
    return [Run(f"r{n}", f"c{n}", f"s{n}") for n in range(count)]


def status(letters: str) -> str:
    [one] = judge([tried(letters)], runs(len(letters))).rows
    return one.status


@pytest.mark.parametrize(
    "letters",
    ["P" * 8, "P" * 30, "P" * 50 + "F", "P" * 50 + "FF", "PPFPLPPPPP", "F" * 10, "P" * 20 + "LPP"],
)
def test_so_many_runs_are_enough_and_fewer_are_not(letters: str) -> None:
    # Independent: the whole history is judged anew, with the runs as if they had been.
    now = status(letters)
    for turn in turns(tried(letters), runs(len(letters))):
        letter = next(sign for sign, word in WORDS.items() if word == turn.outcome)
        if turn.runs is None:
            assert turn.status is None
            assert status(letters + letter * MOST[letter]) == now
            continue
        assert status(letters + letter * turn.runs) == turn.status != now
        assert all(status(letters + letter * n) == now for n in range(turn.runs))


def test_young_test_needs_two_more_passes_to_be_stable() -> None:
    [passed, *_] = turns(tried("P" * 8), runs(8))
    assert passed == ("passed", 2, "stable")


def test_tries_of_the_past_stay_what_they_were() -> None:
    # Five failures in one run say more than one: the same letters, another verdict.
    letters = "P" * 30 + "FP"
    once, often = (Tried(tried(letters).history, [(0, fails)]) for fails in (1, 5))
    told = {turn.outcome: turn.runs for turn in turns(often, runs(32))}
    for number in (told["failed"] or 0, (told["failed"] or 0) - 1):
        history = tried(letters + "F" * number).history
        [one] = judge([Tried(history, [(0, 5), *[(0, 1)] * number])], runs(50)).rows
        [now] = judge([often], runs(32)).rows
        assert (one.status != now.status) == (number == told["failed"])
    assert turns(once, runs(32)) != turns(often, runs(32))
