"""How many passes show that a test is mended, and how many there are."""

from __future__ import annotations

import random
from collections.abc import Collection
from math import ceil, log

import pytest

from testlytics_analytics.evidence import Tried
from testlytics_analytics.histories import History, Run
from testlytics_analytics.recovery import (
    Recovery,
    is_always_failing,
    is_always_passing,
    recovery,
)


def told(letters: str, void: Collection[int] = ()) -> Recovery:
    """Of a test with a letter for each run; a dot where it was not in the run."""
    runs = [Run(f"run-{n}", f"c{n}", f"s{n}") for n in range(len(letters))]
    steps = [n for n, letter in enumerate(letters) if letter != "."]
    verdicts = letters.replace(".", "")
    tries = [(int(letter == "L"), 1) for letter in verdicts if letter in "FL"]
    return recovery(Tried(History("p", "t", "", steps, verdicts), tries), runs, void)


def test_as_many_passes_are_needed_as_the_old_rate_would_hardly_manage() -> None:
    flaky = told(("P" * 19 + "L") * 12)
    assert flaky.flake_rate is not None
    assert flaky.needed is not None
    assert flaky.flake_rate == pytest.approx(0.05, abs=0.005)
    assert flaky.needed == ceil(log(0.05) / log(1 - flaky.flake_rate))
    assert 52 <= flaky.needed <= 66
    assert (flaky.passes, flaky.left, flaky.failed_runs) == (0, flaky.needed, 12)


@pytest.mark.parametrize("letters", [("P" * 9 + "L") * 4, ("P" * 9 + "F") * 4, "P" * 20 + "F" * 5])
def test_passes_since_the_last_failure_are_the_proof_and_not_the_rate(letters: str) -> None:
    before = told(letters)
    assert before.needed is not None
    for passes in (1, before.needed - 1, before.needed, 200):
        after = told(letters + "P" * passes)
        assert (after.flake_rate, after.needed) == (before.flake_rate, before.needed)
        assert (after.passes, after.left) == (passes, max(before.needed - passes, 0))
        assert after.last_failed == before.last_failed == len(letters) - 1
    again = told(letters + "P" * 200 + "L")
    assert (again.passes, again.last_failed) == (0, len(letters) + 200)
    assert again.left == again.needed != 0


def test_what_is_no_evidence_neither_counts_nor_breaks_the_row() -> None:
    letters = ("P" * 9 + "L") * 4 + "P" * 5
    plain = told(letters)
    assert told(letters + "S?..").passes == plain.passes == 5
    void = told(letters + "FPF", {len(letters), len(letters) + 1, len(letters) + 2})
    assert (void.passes, void.runs, void.last_failed) == (5, plain.runs, plain.last_failed)
    assert told(letters + "F").passes == 0


def test_without_a_failure_there_is_nothing_to_prove() -> None:
    calm = told("P" * 59)
    assert calm[:6] == (59, 0, None, None, 59, None)
    assert calm.highest_rate == pytest.approx(0.05, abs=0.001)
    assert told("SS") == told("") == Recovery(0, 0, None, None, 0, None, 1.0, None)


def test_what_was_only_broken_needs_as_many_as_its_failed_runs_say() -> None:
    broken = told("P" * 20 + "F" * 10)
    assert broken.flake_rate == pytest.approx(10.5 / 31)
    assert broken.needed == 8
    assert told("F").needed == 3


def test_one_in_twenty_tests_that_flake_as_before_is_taken_for_mended() -> None:
    wrong = 0
    for seed in range(300):
        chance = random.Random(seed)
        wrong += told("".join("PF"[chance.random() < 0.05] for _ in range(300))).left == 0
    assert 0.02 <= wrong / 300 <= 0.1


@pytest.mark.parametrize(
    ("letters", "passing", "failing"),
    [
        ("PPPPP", True, False),
        ("PPPP", False, False),
        ("PPPPPPL", False, False),
        ("FFF", False, True),
        ("FF", False, False),
        ("FFFFL", False, False),
        ("FFFFP", False, False),
        ("", False, False),
    ],
)
def test_always_is_without_an_exception(letters: str, passing: bool, failing: bool) -> None:
    assert (is_always_passing(letters), is_always_failing(letters)) == (passing, failing)
