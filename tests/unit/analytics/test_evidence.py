"""Which runs count, and what outcomes on equal sources prove."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from testlytics_analytics.evidence import (
    Evidence,
    RunOrder,
    Stretch,
    Tried,
    entropy,
    systemic_runs,
    weigh,
)
from testlytics_analytics.histories import History, Run


def weighed(
    letters: str,
    sources: str | None = None,
    *,
    tries: Sequence[tuple[int, int]] = (),
    void: Collection[int] = (),
) -> Evidence:
    """Weigh a test that was in every run; `sources` has a letter for each, "-" where unknown."""
    sources = sources or "".join(chr(ord("a") + at) for at in range(len(letters)))
    runs = [Run(f"r{at}", one, None if one == "-" else one) for at, one in enumerate(sources)]
    history = History("", "t", "", range(len(letters)), letters)
    return weigh(Tried(history, tries), RunOrder(runs, void))


@pytest.mark.parametrize(
    ("letters", "sources", "grade", "disagreements"),
    [
        ("PPPP", "abcd", None, 0),
        ("PPFF", "abcd", None, 0),  # one change: broken, for all that is known
        ("PFPP", "abcd", "suspected", 0),
        ("PLPP", "abcd", "proven", 1),
        ("PFPP", "abbc", "strong", 1),
        ("FPPP", "abca", "strong", 1),  # the same sources again, later
        ("PFPP", "a--c", "suspected", 0),  # unknown sources equal nothing
        ("PFFP", "abbc", "suspected", 0),
        ("SF?P", "abcd", None, 0),
    ],
)
def test_grades(letters: str, sources: str, grade: str | None, disagreements: int) -> None:
    found = weighed(letters, sources)
    assert (found.grade, found.disagreements) == (grade, disagreements)


def test_void_runs_are_no_evidence() -> None:
    found = weighed("PPFPPL", void={2, 5})
    assert (found.runs, found.failures, found.ignored, found.grade) == (4, 0, 2, None)
    assert found.stretches == [Stretch(4, (), 4, (0,))]


def test_void_runs_find_their_place_in_a_history_with_gaps() -> None:
    runs = [Run(str(at), None, None) for at in range(10)]
    history = History("", "t", "", [1, 4, 7, 9], "PFPF")
    found = weigh(Tried(history, [(0, 2), (0, 3)]), RunOrder(runs, {4, 5}))
    assert (found.runs, found.failures, found.attempts) == (3, 3, 5)


def test_a_history_is_cut_at_its_failures() -> None:
    found = weighed("PPFFPLP", "abccdee", tries=[(0, 2), (0, 1), (1, 1)])
    assert found.stretches == [
        Stretch(2, (), 2, (0,)),
        Stretch(0, (3,), 2, (2,)),  # two runs of the same sources are one state
        Stretch(1, (), 1, (4,)),
        Stretch(2, (1,), 2, (5,)),  # and a pass of the same sources says that it was a flake
    ]


def test_failures_across_skipped_runs_are_one_stretch() -> None:
    found = weighed("PFSFP")
    assert [one.fails for one in found.stretches] == [(), (1, 1), ()]
    assert found.stretches[1].steps == (1, 3)


def test_attempts_are_counted_by_attempt() -> None:
    found = weighed("PFLP", tries=[(0, 3), (1, 2)])
    assert (found.runs, found.attempts, found.failed_runs, found.failures) == (4, 8, 2, 5)


def test_entropy() -> None:
    assert entropy(0, 0) is None
    assert entropy(0, 9) == 0
    assert entropy(5, 10) == pytest.approx(1)


def test_a_run_in_which_much_of_the_suite_failed_is_systemic() -> None:
    usual = [3, 5, 4, 6, 2, 5, 4, 3]
    assert systemic_runs([*usual, 300], [1000] * 9) == {8}
    assert systemic_runs([*usual, 40], [1000] * 9) == frozenset()  # not five points above


def test_a_suite_that_always_fails_so_has_no_systemic_runs() -> None:
    assert systemic_runs([300] * 9, [1000] * 9) == frozenset()


def test_two_failures_of_a_small_suite_are_two_failures() -> None:
    assert systemic_runs([0, 0, 0, 2], [6] * 4) == frozenset()


def test_runs_without_tests_are_not_systemic() -> None:
    assert systemic_runs([], []) == frozenset()
    assert systemic_runs([0, 0], [0, 9]) == frozenset()
