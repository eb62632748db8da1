"""The verdict on a test: status, grade, figures, and where it broke."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from testlytics_analytics.evidence import RunOrder, Tried
from testlytics_analytics.histories import History, Run
from testlytics_analytics.outcome_verdicts import OutcomeVerdict, Since, judge_outcomes


def verdict(
    letters: str,
    *,
    runs_per_commit: int = 1,
    tries: Sequence[tuple[int, int]] = (),
    void: Collection[int] = (),
) -> OutcomeVerdict:
    runs = [
        Run(f"r{at}", f"c{at // runs_per_commit}", f"s{at // runs_per_commit}")
        for at in range(len(letters))
    ]
    history = History("default", "t", "", range(len(letters)), letters)
    [found] = judge_outcomes([Tried(history, tries)], RunOrder(runs, void))
    return found


@pytest.mark.parametrize(
    ("letters", "status"),
    [
        ("P" * 12, "stable"),
        ("P" * 9, "unknown"),  # too few runs to say that it never fails
        ("P" * 17 + "F" * 8, "broken"),
        ("FF", "unknown"),
        ("PPFPPPPLPP", "flaky"),  # one retry that passed is proof
        ("PFPPFPPFPPFP", "flaky"),  # by history alone
        ("P" * 8 + "F" * 4 + "P" * 8, "stable"),  # broken and mended
        ("PFPFFPFPPFFPFFF", "flaky"),  # three failures in a row are usual for this one
        ("P" * 40 + "F" + "P" * 40, "unknown"),
        ("PF", "unknown"),  # it did not pass again: nothing says that it is flaky
        ("F", "unknown"),
        ("F" * 3, "broken"),  # never passed
        ("F" * 100, "broken"),  # nor ever again
        ("F" * 40 + "P", "unknown"),  # one pass, and it may still be broken
        ("P" * 4 + "F", "unknown"),
        ("P" * 11 + "F", "broken"),  # the likeliest by far, after so many passes
        ("SSS", "unknown"),
        ("???", "unknown"),
    ],
)
def test_status(letters: str, status: str) -> None:
    assert verdict(letters).status == status


def test_the_same_sources_prove_a_flake() -> None:
    assert verdict("PPPPFPPP", runs_per_commit=2).status == "flaky"


def test_nothing_is_known_without_runs() -> None:
    told = verdict("S?S")
    assert told.runs == 0
    assert told[4:12] == (None,) * 8
    assert (told.failure_rate, told.flip_rate, told.entropy, told.since) == (None,) * 4


def test_figures() -> None:
    told = verdict("PFPL", tries=[(0, 2), (1, 1)])
    assert (told.runs, told.attempts, told.failed_runs, told.failures) == (4, 6, 2, 3)
    assert told.failure_rate == 0.5
    assert told.flip_rate == 1
    assert told.entropy == 1
    assert told.disagreements == 1


def test_an_outage_is_not_held_against_a_test() -> None:
    told = verdict("P" * 30 + "F" + "P" * 30 + "FF", void={30, 61, 62})
    assert (told.status, told.ignored, told.failed_runs) == ("stable", 3, 0)


def test_the_last_good_run_is_one_that_counts_and_passed() -> None:
    since = verdict("P" * 40 + "SPF" + "FFF", void={41}).since
    assert since is not None
    assert since.after == 39


def test_where_it_broke_is_told() -> None:
    assert verdict("P" * 40 + "FFF").since == Since(39, 40, 40, 40)
    assert verdict("P" * 40).since is None
    since = verdict("FFFF").since
    assert since is not None
    assert since.after is None
