"""The status of a test: what counts as flaky, broken, stable, unknown."""

from __future__ import annotations

import pytest

from testlytics_analytics.interval import wilson
from testlytics_analytics.status import StatusOptions, judge
from tests.factories import judged, series


def status_of(letters: str, *, runs_per_commit: int = 1) -> str:
    row = judged(series("t", letters, runs_per_commit=runs_per_commit))[0]
    return row.status


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("P" * 12, "stable"),
        ("P" * 9, "unknown"),  # too few runs to say that it never fails
        ("P" * 17 + "F" * 8, "broken"),
        ("F" * 3, "broken"),  # never passed
        ("F" * 2, "unknown"),
        ("P" * 11 + "F", "unknown"),  # a first failure: nobody knows yet
        ("PPFPPPPLPP", "flaky"),  # one retry that passed is proof
        ("PFPPFPPFPPFP", "flaky"),  # by history alone
        ("P" * 8 + "F" * 4 + "P" * 8, "stable"),  # broken and mended: two flips, no flake
        ("PFPFFPFPPFFPFFF", "flaky"),  # three failures in a row are usual for this one
        ("SSS", "unknown"),
        ("???", "unknown"),
    ],
)
def test_status_follows_the_history(letters: str, expected: str) -> None:
    assert status_of(letters) == expected


def test_pass_and_fail_on_the_same_sources_is_proof_across_runs() -> None:
    assert status_of("PPPPFPPP", runs_per_commit=2) == "flaky"
    assert status_of("PPPPFFPP", runs_per_commit=2) == "unknown"


def test_unknown_sources_prove_nothing() -> None:
    rows = [{**row, "sources": None} for row in series("t", "PPPPFPPP", runs_per_commit=2)]
    assert judged(rows)[0].disagreements == 0


def test_variants_are_never_mixed() -> None:
    linux, win = judged(
        series("t", "P" * 12, variant="os=linux"), series("t", "F" * 12, variant="os=win")
    )
    assert (linux.status, win.status) == ("stable", "broken")
    assert (linux.disagreements, win.disagreements) == (0, 0)


def test_the_reference_rule_stays_as_it_is_defined() -> None:
    def simple(letters: str) -> bool:
        return judged(series("t", letters))[0].simple_flaky

    assert simple("P" * 9 + "F" * 2)  # 2 of 11
    assert not simple("P" * 8 + "F" * 2)  # 10 runs are not more than 10
    assert not simple("P" * 18 + "F" * 2)  # exactly 0.1
    assert not simple("F" * 12)


def test_rate_is_null_without_runs() -> None:
    row = judged(series("t", "SS?"))[0]
    assert (row.runs, row.skipped) == (0, 2)
    assert (row.failure_rate, row.low, row.high, row.last_verdict) == (None, None, None, None)


def test_interval_is_wilsons() -> None:
    # The bounds are the rates p for which 0.32 lies exactly 1.96 standard deviations away.
    row = judged(series("t", "P" * 17 + "F" * 8))[0]
    assert row.failure_rate == pytest.approx(0.32)
    low, high = row.low or 0, row.high or 0
    for bound in (low, high):
        deviation = (bound * (1 - bound) / 25) ** 0.5
        assert abs(0.32 - bound) / deviation == pytest.approx(1.959964, abs=1e-6)
    assert low < 0.32 < high


@pytest.mark.parametrize(("bad", "runs"), [(0, 1), (0, 40), (1, 1), (40, 40), (3, 1000)])
def test_interval_holds_the_rate(bad: int, runs: int) -> None:
    low, high = wilson(bad, runs) or (1, 0)
    assert 0 <= low <= bad / runs <= high <= 1


def test_streak_names_its_commits() -> None:
    row = judged(series("t", "P" * 12 + "FFF"))[0]
    assert row.failing_streak == 3
    assert row.failing_since == "run-12"
    assert (row.passing_commit, row.failing_commit) == ("c11", "c12")


def test_order_of_histories_changes_nothing() -> None:
    rows = [series("a", "PPFPLPPFPPPP"), series("b", "P" * 10 + "FFF" + "P")]
    assert judged(*rows) == judged(*reversed(rows))


def test_empty_input_gives_empty_output() -> None:
    assert judge([], []) == []


def test_constants_can_be_changed() -> None:
    told = judged(series("t", "P" * 5), options=StatusOptions(settled=5))
    assert [one.status for one in told] == ["stable"]
