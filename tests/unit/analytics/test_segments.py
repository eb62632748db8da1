"""Histories whose levels are known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from testlytics_analytics.durations.segments import (
    Segment,
    SegmentOptions,
    _cheapest,
    segments,
)

Values = npt.NDArray[np.float32]


def history(seed: int, *levels: tuple[int, float], noise: float = 0.05) -> Values:
    """Stretches of so many runs at a level."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([np.full(runs, level) for runs, level in levels])
    return np.asarray(values + rng.normal(0, noise, len(values)), np.float32)


def starts(told: list[Segment]) -> list[int]:
    return [one.start for one in told]


def test_levels_are_found_where_they_are() -> None:
    told = segments(history(1, (60, 0.0), (40, 0.3), (50, 0.1), (80, 0.5)))
    assert starts(told) == pytest.approx([0, 60, 100, 150], abs=2)
    assert [one.level for one in told] == pytest.approx([0, 0.3, 0.1, 0.5], abs=0.03)
    assert [one.stop for one in told] == [*starts(told)[1:], 230]
    for one, true in zip(told, (0, 60, 100, 150), strict=True):
        assert one.first <= true <= one.last
        assert one.first <= one.start <= one.last
    assert sum(one.runs for one in told) == 230


def test_a_short_spell_is_two_changes() -> None:
    assert starts(segments(history(2, (80, 0.0), (12, 1.0), (80, 0.0)))) == [0, 80, 92]


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_a_few_slow_runs_are_no_level(runs: int) -> None:
    assert len(segments(history(3, (80, 0.0), (runs, 5.0), (80, 0.0)))) == 1


def test_outliers_are_no_levels() -> None:
    values = history(4, (300, 0.0))
    values[np.random.default_rng(1).random(300) < 0.05] += 3
    assert len(segments(values)) == 1


def test_a_history_without_changes_has_one_level() -> None:
    told = [segments(row) for row in history(5, (150 * 300, 0.0)).reshape(300, 150)]
    assert sum(len(one) - 1 for one in told) == 0
    assert told[0] == [Segment(0, 150, 0, 0, told[0][0].level, 150)]


def test_neighbours_that_resemble_each_other_are_no_levels() -> None:
    rows = history(6, (150 * 100, 0.0)).reshape(100, 150)
    for run in range(1, 150):
        rows[:, run] = 0.5 * rows[:, run - 1] + 0.866 * rows[:, run]
    assert sum(len(segments(row)) - 1 for row in rows) <= 1


def test_holes_are_left_out() -> None:
    whole = history(7, (50, 0.0), (50, 0.4))
    holes = np.full(200, np.nan, np.float32)
    holes[::2] = whole
    told = segments(holes)
    assert [one.start for one in told] == [0, 2 * segments(whole)[1].start]
    assert told[-1].stop == 200
    assert [one.runs for one in told] == [one.runs for one in segments(whole)]


@pytest.mark.parametrize("count", [0, 1, 3, 7])
def test_next_to_nothing(count: int) -> None:
    told = segments(np.zeros(count, np.float32))
    assert [one.runs for one in told] == ([count] if count else [])
    assert segments(np.full(count, np.nan, np.float32)) == []


def test_ticks_of_the_timer_are_no_levels() -> None:
    values = np.exp(history(8, (200, np.log(0.03)), noise=0.1))
    assert len(segments(np.log(np.maximum(np.round(values / 0.01), 1) * 0.01))) == 1


def test_no_cheaper_path_exists() -> None:
    # Every way to cut nine values into levels of the grid, tried one by one.
    grid, penalty, bound = np.array([-1.0, 0.0, 1.5]), 1.2, 2.0
    for seed in range(20):
        values = np.random.default_rng(seed).normal(0, 1.5, 9)
        loss = np.minimum((values[:, None] - grid) ** 2, bound * bound)

        def whole(path: npt.NDArray[np.int64], loss: npt.NDArray[np.float64] = loss) -> float:
            changes = int((np.diff(path) != 0).sum())
            return float(loss[np.arange(9), path].sum()) + penalty * changes

        best = min(
            sum(
                float(loss[a:b].sum(axis=0).min())
                for a, b in zip((0, *cut), (*cut, 9), strict=True)
            )
            + penalty * len(cut)
            for size in range(9)
            for cut in combinations(range(1, 9), size)
        )
        assert whole(_cheapest(values, grid, penalty, bound)) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(6))
def test_speed_and_direction_do_not_matter(seed: int) -> None:
    values = history(seed, (60, 0.0), (50, 0.25), (40, 0.6))
    expected = starts(segments(values))
    assert len(expected) == 3
    assert starts(segments(values + np.float32(2))) == pytest.approx(expected, abs=1)
    assert starts(segments(-values)) == pytest.approx(expected, abs=1)
    back = [len(values) - at for at in reversed(starts(segments(values[::-1]))[1:])]
    assert back == pytest.approx(expected[1:], abs=2)


def test_options_reach_the_search() -> None:
    values = history(9, (60, 0.0), (60, 0.2))
    assert len(segments(values, SegmentOptions(penalty=1e6))) == 1
    assert len(segments(values, SegmentOptions(shortest=61))) == 1
