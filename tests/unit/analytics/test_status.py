"""The status of a test: what counts as flaky, broken, stable, unknown."""

from __future__ import annotations

import polars as pl
import pytest

from testlytics_analytics.status import StatusOptions, judge
from tests.factories import frame, series


def status_of(letters: str, *, runs_per_commit: int = 1) -> str:
    row = judge(frame(series("t", letters, runs_per_commit=runs_per_commit))).row(0, named=True)
    return str(row["status"])


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
    rows = frame(series("t", "PPPPFPPP", runs_per_commit=2)).with_columns(
        sources=pl.lit(None, pl.String)
    )
    assert judge(rows)["disagreements"].to_list() == [0]


def test_variants_are_never_mixed() -> None:
    rows = frame(series("t", "P" * 12, variant="os=linux"), series("t", "F" * 12, variant="os=win"))
    judged = judge(rows)
    assert judged["status"].to_list() == ["stable", "broken"]
    assert judged["disagreements"].to_list() == [0, 0]


def test_the_reference_rule_stays_as_it_is_defined() -> None:
    def simple(letters: str) -> bool:
        return bool(judge(frame(series("t", letters)))["simple_flaky"][0])

    assert simple("P" * 9 + "F" * 2)  # 2 of 11
    assert not simple("P" * 8 + "F" * 2)  # 10 runs are not more than 10
    assert not simple("P" * 18 + "F" * 2)  # exactly 0.1
    assert not simple("F" * 12)


def test_rate_is_null_without_runs() -> None:
    row = judge(frame(series("t", "SS?"))).row(0, named=True)
    assert (row["runs"], row["failure_rate"], row["low"], row["high"]) == (0, None, None, None)


def test_interval_is_wilsons() -> None:
    # The bounds are the rates p for which 0.32 lies exactly 1.96 standard deviations away.
    row = judge(frame(series("t", "P" * 17 + "F" * 8))).row(0, named=True)
    assert row["failure_rate"] == pytest.approx(0.32)
    for bound in (row["low"], row["high"]):
        deviation = (bound * (1 - bound) / 25) ** 0.5
        assert abs(0.32 - bound) / deviation == pytest.approx(1.959964, abs=1e-6)
    assert row["low"] < 0.32 < row["high"]


def test_broken_says_since_when() -> None:
    row = judge(frame(series("t", "P" * 12 + "F" * 4))).row(0, named=True)
    assert row["failing_streak"] == 4
    assert row["failing_since"] == "run-12"
    assert (row["passing_commit"], row["failing_commit"]) == ("c11", "c12")


def test_order_of_rows_changes_nothing() -> None:
    rows = frame(series("a", "PPFPLPPFPPPP"), series("b", "P" * 10 + "FFF"))
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=3)
    assert judge(rows).equals(judge(shuffled))


def test_missing_columns_are_named() -> None:
    with pytest.raises(ValueError, match="sources, verdict"):
        judge(frame(series("t", "P")).drop("sources", "verdict"))


def test_empty_input_gives_empty_output() -> None:
    assert judge(frame(series("t", "P")).clear()).is_empty()


def test_constants_can_be_changed() -> None:
    rows = frame(series("t", "P" * 5))
    assert judge(rows, StatusOptions(settled=5))["status"].to_list() == ["stable"]
