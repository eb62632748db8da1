"""What measures the verdicts on durations: the data, the rules of others, the scores, the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.accuracy import __main__ as accuracy
from scripts.accuracy.duration_chance import OFF, shares, stopped, together
from scripts.accuracy.duration_data import (
    MID,
    QUIET,
    Injected,
    permuted,
    real_noise,
    simulate,
    with_steps,
)
from scripts.accuracy.duration_rivals import RULES, newest
from scripts.accuracy.duration_weak_spots import cold_start, found_rows
from scripts.accuracy.durations import ALL, SCORED, Score, compare
from scripts.accuracy.table import Table
from testlytics_analytics.durations.slowdowns import SlowdownOptions


@pytest.mark.parametrize("name", RULES)
def test_each_rule_sees_a_large_step_and_leaves_the_others_alone(name: str) -> None:
    values = simulate(QUIET, np.random.default_rng(1), 20, 120)
    values[3, -12 if name.startswith("Perf") else -20 :] += np.float32(np.log(3))
    values[4, -1:] += np.float32(np.log(3))
    flags = RULES[name](values)
    expected = {4} if name.startswith("Bencher") else set()
    assert flags[3] or name.startswith(("20 %", "median", "Bencher"))
    assert not flags[[0, 1, 2, 5, 6]].any()
    assert expected <= set(np.flatnonzero(flags).tolist())


def test_newest_values_skip_holes() -> None:
    rows = np.array([[1, np.nan, 2, 3], [np.nan, np.nan, 4, np.nan]], np.float32)
    assert newest(rows, 2)[0].tolist() == [2, 3]
    assert np.isnan(newest(rows, 2)[1, 0])
    assert newest(rows, 2)[1, 1] == 4


@pytest.mark.parametrize("name", ["dune_common_ubuntu", "pytorch_files_2022_2023"])
def test_real_noise_has_no_levels_left(name: str) -> None:
    noise = real_noise(name)[:60]
    third = noise.shape[1] // 3
    early, late = np.nanmedian(noise[:, :third], 1), np.nanmedian(noise[:, -third:], 1)
    assert np.nanmedian(np.abs(late - early)) < 0.1


def test_blocks_of_runs_change_places_for_all_series_alike() -> None:
    values = np.arange(40, dtype=np.float32).reshape(2, 20)
    mixed = permuted(values, np.random.default_rng(3))
    assert (mixed[1] - mixed[0] == 20).all()
    assert sorted(mixed[0].tolist()) == values[0].tolist()
    assert (np.diff(mixed[0].reshape(-1, 5), axis=1) == 1).all()


def test_steps_are_where_they_are_said_to_be() -> None:
    values = np.zeros((50, 200), np.float32)
    told = with_steps(values, np.random.default_rng(4), 0.5)
    rows = np.flatnonzero(told.at >= 0)
    assert len(rows) == 5
    for row in rows:
        assert (told.values[row, told.at[row] :] == np.float32(np.log(1.5))).all()
        assert not told.values[row, : told.at[row]].any()
    assert not values.any()


def test_scores_are_per_thousand_tests_and_hundred_runs() -> None:
    score = Score(alarms=3, values=300_000, found={0.2: 1}, steps={0.2: 2}, delays={0.2: [7]})
    assert (score.false_alarms, score.recall(0.2), score.delay(0.2)) == (1.0, 0.5, 7.0)
    assert np.isnan(score.delay(0.5))


def test_ours_is_better_than_the_usual_rule_on_a_small_suite() -> None:
    told = compare([simulate(MID, np.random.default_rng(5), 60, 180)], [0.5], 5, first=60)
    ours, usual = told["testlytics"], told["20 % above the median of 20"]
    assert ours.false_alarms == 0 < usual.false_alarms
    assert ours.recall(0.5) == 1.0
    assert ours.delay(0.5) <= 15


def test_the_page_is_made_of_the_parts(tmp_path: Path) -> None:
    table = Table("A|B", ["rule", "x|y"], [["1", "2"]], "A note.", ["x is 2."])
    accuracy.write_page([table.markdown()], tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert text.startswith("# How often verdicts are wrong\n")
    assert (
        "## A|B\n\nA note.\n\n| rule | x\\|y |\n| --- | --- |\n| 1 | 2 |\n\nMissed: x is 2.\n"
        in text
    )


def test_a_part_is_printed_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table("Some", ["rule"], [["ours"]])
    monkeypatch.setitem(accuracy.PARTS, "weak-spots", lambda **_: [table])
    assert accuracy.main(["--only", "weak-spots", "--folder", str(tmp_path)]) == 0
    assert "| ours |" in capsys.readouterr().out
    assert (tmp_path / "weak-spots.md").read_text(encoding="utf-8") == table.markdown()


def test_a_young_suite_raises_no_false_alarms() -> None:
    rows = cold_start(1, 30)
    assert [row[1] for row in rows] == ["FA 0"] * 4
    assert rows[0][2].startswith("+50 % found: 1.00 of ")


def test_rows_are_counted_once_and_only_if_told_of() -> None:
    values = simulate(QUIET, np.random.default_rng(6), 40, 90)
    values[[3, 4], 60:] += np.float32(np.log(1.5))
    assert found_rows(values, np.array([3, 4, 5]), 50) == 2
    assert found_rows(values, np.array([5]), 50) == 0


def test_only_the_series_asked_for_are_scored() -> None:
    values = simulate(MID, np.random.default_rng(7), 60, 165)
    every, half = (compare([values], [0.5], 5, first=160, every=one) for one in (ALL, SCORED))
    assert half["testlytics"].values == 30 * 5
    assert every["testlytics"].values == 60 * 5
    assert half["testlytics"].steps[0.5] < every["testlytics"].steps[0.5] == 6


def test_false_ones_are_those_that_did_not_change_yet() -> None:
    values = simulate(QUIET, np.random.default_rng(8), 40, 100)
    values[[3, 4], 50:] += np.float32(np.log(1.5))
    at = np.full(40, -1)
    at[3] = 50
    told = together([Injected(values, at)], SlowdownOptions(), 90)
    assert (told.found, told.false, told.false_share, told.reports) == (2, 1, 0.5, 2)
    assert told.said_share < 0.05


def test_what_is_said_of_chance_is_compared_and_misses_are_named() -> None:
    told = shares(1, 60, 100)
    assert len(told.rows) == 18
    assert all(len(row) == len(told.columns) for row in told.rows)
    by_name = {row[0]: row for row in told.rows}
    assert float(by_name["quiet, 5 % slower by half"][2]) > 1
    wrong = {
        name for name, row in by_name.items() if abs(float(row[6]) - float(row[5])) > OFF + 1e-3
    }
    assert wrong <= {one.rpartition(": wrong by")[0] for one in told.missed}
    assert "quiet, 5 % slower by half" not in wrong


def test_runs_without_changes_are_not_stopped() -> None:
    values = simulate(MID, np.random.default_rng(9), 100, 60)
    assert stopped(values, 50) == (0, 10)
    values[4, 40:] += 1
    assert stopped(values, 50) == (10, 10)
