"""The status of a test, with the figures beside it."""

from __future__ import annotations

import pytest

from testlytics_analytics.evidence import RunOrder, Tried, outages
from testlytics_analytics.histories import History, Run
from testlytics_analytics.interval import wilson
from testlytics_analytics.outcome_verdicts import VerdictOptions
from testlytics_analytics.status import Judged, is_surely_flaky, judge
from tests.factories import judged, series


def row_of(letters: str, *, runs_per_commit: int = 1) -> Judged:
    [row] = judged(series("t", letters, runs_per_commit=runs_per_commit))
    return row


def test_the_verdict_of_the_model_is_told() -> None:
    row = row_of("PPFPPPPLPP")
    assert (row.status, row.grade) == ("flaky", "proven")
    low, rate, high = row.flake_rate_low, row.flake_rate, row.flake_rate_high
    assert low is not None
    assert rate is not None
    assert high is not None
    assert 0 < low < 0.1 < rate < 0.3 < high < 0.7
    assert (row.p_flaky or 0) > 0.99
    assert (row.p_relevant or 0) > 0.99
    assert (row.p_broken or 0) < 0.01
    assert row.broken_run is None


def test_a_first_failure_has_its_probability() -> None:
    late, early = row_of("P" * 30 + "F"), row_of("P" * 4 + "F")
    assert (late.status, early.status) == ("broken", "unknown")
    assert late.p_broken is not None
    assert early.p_broken is not None
    assert 0.7 < late.p_broken < 0.95
    assert 0.3 < early.p_broken < 0.6


def test_where_it_broke_is_told_in_commits() -> None:
    row = row_of("P" * 12 + "F" * 6, runs_per_commit=2)
    assert (row.broken_run, row.broken_commit) == ("run-12", "c6")
    assert (row.last_good_commit, row.broken_first_commit, row.broken_last_commit) == (
        "c5",
        "c6",
        "c6",
    )
    assert row_of("FFFF").last_good_commit is None


def test_nothing_broke_where_the_newest_run_passed() -> None:
    row = row_of("P" * 12 + "F" * 6 + "P" * 6)
    assert (row.broken_run, row.broken_first_commit, row.last_good_commit) == (None,) * 3


def test_runs_that_do_not_count_are_counted() -> None:
    tests = [Tried(History("p", "t", "", range(14), "P" * 12 + "FF"))]
    runs = [Run(f"r{step}", None, None) for step in range(14)]
    [row] = judge(tests, runs, void={12, 13}).rows
    assert (row.status, row.ignored, row.runs, row.failed) == ("stable", 2, 14, 2)
    assert row.failing_streak == 2
    assert row.broken_run is None


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
    row = row_of("SS?")
    assert (row.runs, row.skipped) == (0, 2)
    assert (row.flake_rate, row.p_flaky, row.p_broken, row.p_relevant) == (None,) * 4
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
    assert judge([], []) == ([], 0)


def test_constants_can_be_changed() -> None:
    told = judged(series("t", "P" * 5), options=VerdictOptions(settled=5))
    assert [one.status for one in told] == ["stable"]


@pytest.mark.parametrize(
    ("letters", "sure"),
    [
        ("PPLPP" + "P" * 20, True),
        ("PPLPP" + "P" * 200, False),  # once in so many runs
        ("PLP" * 3 + "P" * 200, True),
        ("PPLPP" + "P" * 20 + "FP", False),  # it may be broken now
        ("PLP" * 3 + "P" * 20 + "F", False),
        ("FFFPLPFFFPPP", False),  # a pass of a broken test
    ],
)
def test_what_is_flaky_beyond_doubt(letters: str, *, sure: bool) -> None:
    steps = range(len(letters))
    order = RunOrder([Run(str(step), None, None) for step in steps])
    assert is_surely_flaky(Tried(History("p", "t", "", steps, letters)), order) == sure


@pytest.mark.parametrize(("bad", "found"), [(1, {20}), (2, {20, 21}), (3, set())])
def test_an_outage_is_short(bad: int, found: set[int]) -> None:
    failing = [0] * 20 + [30] * bad + [0] * 20
    assert outages(["p"] * len(failing), failing, [100] * len(failing)) == found
