"""Since when a test is slow, and which slowdowns are one regression."""

from __future__ import annotations

from math import log1p

import numpy as np
import numpy.typing as npt
import pytest

from testlytics_analytics.durations.groups import (
    Late,
    Onset,
    OnsetOptions,
    Regression,
    interval,
    is_environment,
    onset_of,
    onsets,
    regressions,
)
from testlytics_analytics.scopes import Scope

Values = npt.NDArray[np.float32]
RUNS = 80


def noise(seed: int, rows: int = 1, *, sigma: float = 0.05) -> Values:
    return np.random.default_rng(seed).normal(0, sigma, (rows, RUNS)).astype(np.float32)


def stepped(seed: int, at: list[int], size: float = 0.2) -> Values:
    values = noise(seed, len(at))
    for row, start in enumerate(at):
        values[row, start:] += np.float32(size)
    return values


def late(values: Values, at: list[int], variant: str = "", first: int = 0) -> list[Late]:
    steps = np.arange(first, first + values.shape[1])
    return [
        Late(f"t{row:03}", variant, 1.2, steps, logs) for row, logs in enumerate(onsets(values, at))
    ]


def test_the_weights_are_products_of_likelihood_ratios() -> None:
    options = OnsetOptions()
    values = stepped(1, [50])[0]
    told = onsets(values[None], [50])[0]
    before, after = float(np.median(values[:50])), float(np.median(values[50:]))
    level = np.where(np.arange(RUNS) < 50, before, after)
    left = values - level
    spread = 1.4826 * float(np.median(np.abs(left)))
    cut = np.clip(left / spread, -3, 3)
    memory = max(0.0, float((cut[1:] * cut[:-1]).sum() / ((cut**2).mean() * (RUNS - 1))))
    half, freedom = (options.freedom + 1) / 2, options.freedom

    def density(value: float, middle: float) -> float:
        return -half * log1p(((value - middle) / spread) ** 2 / freedom)

    for column in (1, 30, 49, 50, 51, RUNS - 1):
        ratio = sum(density(one, after) - density(one, before) for one in values[column:].tolist())
        assert told[column] == pytest.approx(ratio * (1 - memory) / (1 + memory), rel=1e-3)
    assert told[0] == -np.inf


def test_a_clear_step_has_one_run() -> None:
    assert interval(onsets(stepped(2, [50], 1.0), [50])[0], 0.95) == (50, 50)
    assert onset_of(late(stepped(2, [50], 1.0), [50])[0]) == Onset(49, 50)


def test_runs_without_the_test_are_all_as_likely() -> None:
    values = stepped(3, [50], 1.0)
    values[0, 47:52] = np.nan
    assert interval(onsets(values, [52])[0], 0.95) == (47, 52)


def test_an_onset_lies_behind_the_first_and_before_the_last_value() -> None:
    values = stepped(4, [40], 1.0)
    values[0, :10] = values[0, 70:] = np.nan
    [told] = onsets(values, [40])
    assert np.flatnonzero(np.isfinite(told)).tolist() == list(range(11, 70))


@pytest.mark.parametrize(
    ("level", "least", "most"), [(0.95, 0.94, 1.0), (0.5, 0.5, 0.85), (0.2, 0.2, 0.6)]
)
def test_intervals_hold_the_onset_as_often_as_they_say(
    level: float, least: float, most: float
) -> None:
    # A run is all or nothing, so they hold it somewhat more often; the first one taken for slow is
    # off by a few runs, as the scan is.
    rows, at = 1_500, 55
    logs = onsets(stepped(5, [at] * rows, 0.05), [at + 2] * rows)
    held = [first <= at <= last for first, last in (interval(one, level) for one in logs)]
    assert least <= np.mean(held) <= most


def test_neighbours_that_resemble_each_other_widen_the_interval() -> None:
    fresh = noise(6, 300)
    memory = fresh.copy()
    for run in range(1, RUNS):
        memory[:, run] = 0.6 * memory[:, run - 1] + 0.8 * fresh[:, run]
    widths = []
    for values in (fresh, memory):
        values[:, 50:] += np.float32(0.15)
        ends = (interval(logs, 0.95) for logs in onsets(values, [50] * 300))
        widths.append(np.mean([last - first for first, last in ends]))
    assert widths[1] > 1.5 * widths[0]


def test_slowdowns_at_one_place_are_one_regression() -> None:
    at = [50] * 6 + [30] * 3 + [62]
    told = regressions(late(stepped(7, at, 0.4), at), 1_000)
    assert [one.members for one in told] == [(0, 1, 2, 3, 4, 5), (6, 7, 8), (9,)]
    assert [one.onset for one in told] == [Onset(49, 50), Onset(29, 30), Onset(61, 62)]
    assert {one.ratio for one in told} == {1.2}


def test_many_say_more_precisely_where() -> None:
    at = [50] * 12
    found = late(stepped(8, at, 0.12), at)
    alone = [onset_of(one) for one in found]
    [told] = regressions(found, 10_000)
    width = told.onset.until - told.onset.after
    assert width <= min(one.until - one.after for one in alone)
    assert told.onset.after < 50 <= told.onset.until


def test_variants_share_their_runs() -> None:
    # Runs alternate between two variants: the onset lies at 51, the first of the second one.
    values = stepped(9, [25, 25], 0.6)[:, :50]
    values[0, 25] = values[0, 24]  # the first one is slow one run later
    values[0, 26:] += 0
    even = Late("t", "os=a", 1.2, np.arange(0, 100, 2), onsets(values[:1], [26])[0])
    odd = Late("t", "os=b", 1.2, np.arange(1, 101, 2), onsets(values[1:], [25])[0])
    [told] = regressions([even, odd], 100)
    assert told.members == (0, 1)
    assert told.onset == Onset(50, 51)


def test_a_group_of_what_excludes_each_other_keeps_the_narrowest() -> None:
    short = np.full(6, -np.inf)
    one, other = short.copy(), short.copy()
    one[2], other[3:5] = 0, 0
    found = [
        Late("a", "os=a", 2.0, np.array([0, 1, 9, 11, 12, 13]), one),
        Late("b", "os=b", 4.0, np.array([0, 1, 5, 6, 7, 8]), other),
    ]
    [told] = regressions(found, 50)
    assert (told.onset, told.ratio) == (Onset(5, 7), 3.0)


@pytest.mark.parametrize(
    ("number", "judged", "many"), [(10, 900, True), (10, 1_000, False), (9, 100, False)]
)
def test_many_tests_at_once(number: int, judged: int, many: bool) -> None:
    at = [40] * number
    [told] = regressions(late(stepped(10, at, 0.5), at), judged)
    assert told.many is many


def test_what_many_tests_share_is_no_event_of_the_environment() -> None:
    told = Regression(tuple(range(12)), Onset(1, 2), 1.5, many=True)
    assert is_environment(told, [])
    assert is_environment(told, [Scope("a/", 6, 9)])
    assert not is_environment(told, [Scope("a/", 7, 9)])
    assert not is_environment(told._replace(many=False), [])


def test_nothing_is_grouped_in_nothing() -> None:
    assert regressions([], 100) == []
    assert onsets(np.zeros((0, 5), np.float32), []).shape == (0, 5)


@pytest.mark.parametrize("seed", range(8))
def test_order_and_names_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    at = rng.choice([30, 36, 50, 53, 60], 14).tolist()
    found = late(stepped(seed, at, 0.25), at)
    expected = {frozenset(one.members) for one in regressions(found, 1_000)}
    order = rng.permutation(len(found))
    mixed = regressions([found[int(row)] for row in order], 1_000)
    assert {frozenset(int(order[row]) for row in one.members) for one in mixed} == expected
    renamed = [one._replace(test_id=f"x{one.test_id[::-1]}") for one in found]
    groups = regressions(renamed, 1_000)
    # Equally narrow intervals are taken by name: others can be the base, places stay.
    assert sorted(row for one in groups for row in one.members) == list(range(14))
    assert abs(len(groups) - len(expected)) <= 1


@pytest.mark.parametrize("speed", [-2.0, 0.5, 3.0])
def test_a_machine_of_another_speed_does_not_matter(speed: float) -> None:
    values = stepped(11, [50, 30, 44])
    moved = onsets(values + np.float32(speed), [50, 30, 44])
    assert np.allclose(moved[:, 1:], onsets(values, [50, 30, 44])[:, 1:], atol=1e-3)
