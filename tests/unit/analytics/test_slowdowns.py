"""Slowdowns in durations whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import numpy.typing as npt
import pytest

from testlytics_analytics.durations.robust import column_medians, row_medians, row_spreads
from testlytics_analytics.durations.run_factor import steady
from testlytics_analytics.durations.separation import OrderOptions, ordered, separated
from testlytics_analytics.durations.shift_scan import enlarged, scan
from testlytics_analytics.durations.slowdowns import (
    Slowdown,
    SlowdownOptions,
    slowdowns,
    strict,
)
from testlytics_analytics.durations.suite_null import chance, least_clear, relevant_share

Values = npt.NDArray[np.float32]
NULL = SlowdownOptions().null
TESTS, RUNS = 60, 100


def suite(
    seed: int = 1,
    *,
    tests: int = TESTS,
    runs: int = RUNS,
    noise: float = 0.05,
    machine: float = 0.2,
) -> Values:
    """Tests of about a second on a machine that is now fast, now slow."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 0.5, (tests, 1))
    reaction = rng.uniform(0.6, 1.4, (tests, 1))
    values = level + reaction * rng.normal(0, machine, runs) + rng.normal(0, noise, (tests, runs))
    return values.astype(np.float32)


def only(values: Values, options: SlowdownOptions | None = None) -> Slowdown:
    [found] = slowdowns(values, options).found
    return found


def test_a_lasting_step_is_found_with_its_size_and_place() -> None:
    values = suite()
    before = float(np.exp(np.median(values[7, :80])))
    values[7, 80:] += np.float32(np.log(1.3))
    found = only(values)
    assert found.row == 7
    assert abs(found.start - 80) <= 2
    assert found.runs == RUNS - found.start
    assert found.before_runs == found.start
    assert found.ratio == pytest.approx(1.3, rel=0.06)
    assert found.before_s == pytest.approx(before, rel=0.15)
    assert found.after_s == pytest.approx(found.before_s * found.ratio)


@pytest.mark.parametrize("seed", range(8))
def test_a_noisy_machine_makes_no_slow_test(seed: int) -> None:
    told = slowdowns(suite(seed, machine=0.5))
    assert told.found == []
    assert told.judged == TESTS
    assert told.false_share is None


def test_a_machine_that_becomes_slower_is_told_as_the_run_factor() -> None:
    values = suite(machine=0.02)
    values[:, 70:] += np.float32(np.log(1.5))
    told = slowdowns(values)
    assert told.found == []
    assert np.median(told.factor[70:]) / np.median(told.factor[:70]) == pytest.approx(1.5, rel=0.05)


def test_a_test_is_found_in_spite_of_a_slower_machine() -> None:
    values = suite(machine=0.02)
    values[:, 60:] += np.float32(np.log(1.5))
    values[3, 80:] += np.float32(np.log(1.4))
    assert only(values).row == 3


def test_a_second_way_of_being_slow_is_no_slow_test() -> None:
    values = suite(machine=0.1)
    disk = np.random.default_rng(9).normal(0, 0.3, RUNS)
    disk[85:] += 0.6
    values[: TESTS // 3] += disk.astype(np.float32)
    told = steady(values)
    assert told.further >= 1
    assert slowdowns(values).found == []


def test_one_slow_run_is_none() -> None:
    values = suite()
    values[5, -1] += 3
    values[6, -3:] += 3
    assert slowdowns(values).found == []


def test_the_newest_runs_are_enough_after_four() -> None:
    values = suite()
    values[5, -6:] += 1
    assert only(values).row == 5


def test_a_young_suite_is_judged_from_ten_runs_on() -> None:
    values = suite(runs=14)
    values[5, 8:] += 1
    assert only(values).row == 5
    assert slowdowns(values[:, :9]).judged == 0
    assert slowdowns(values[:, :10]).judged == TESTS


def test_faster_tests_are_decoys_and_no_reason_to_doubt_the_others() -> None:
    values = suite()
    values[5, 80:] += 1
    values[6, 70:] -= 1
    values[7, 70:] -= 1
    told = slowdowns(values)
    assert [one.row for one in told.found] == [5]
    assert told.decoys == 2
    assert told.scale < 1.15
    assert told.false_share is not None
    assert told.false_share < 0.05


def wandering(seed: int, *, tests: int = 400) -> Values:
    """A suite whose series repeat themselves: each value is nearly the one before."""
    rng = np.random.default_rng(seed)
    values = np.zeros((tests, RUNS))
    for run in range(RUNS):
        before = values[:, run - 1] if run else 0
        values[:, run] = 0.93 * before + rng.normal(0, 0.03, tests)
    return values.astype(np.float32)


def test_scores_in_a_suite_that_wanders_count_less() -> None:
    values = wandering(3)
    told = slowdowns(values)
    assert told.found == []
    assert told.scale > 1.2
    calm = slowdowns(suite(3, tests=400))
    assert calm.scale < 1.08
    unscaled = replace(SlowdownOptions(), null=replace(NULL, most=1.0))
    assert slowdowns(values, unscaled).scale == 1
    values[5, 60:] += 1
    assert only(values).row == 5
    clearest = slowdowns(values, unscaled).found[0]
    assert clearest.row == 5
    assert only(values).score == pytest.approx(clearest.score / slowdowns(values).scale, rel=1e-3)


def test_a_few_odd_tests_do_not_set_the_scale() -> None:
    values = suite(4, tests=200)
    usual = slowdowns(values).scale
    values[:20, 60:] -= 1
    assert slowdowns(values).scale == pytest.approx(usual, abs=0.1)


def test_series_of_few_values_have_a_scale_of_their_own() -> None:
    values = np.concatenate([suite(5, tests=300), wandering(5, tests=300)])
    values[300:, : RUNS - 30] = np.nan
    told = slowdowns(values)
    assert told.scale < 1.1 < told.young_scale


def test_more_tests_ask_for_clearer_scores() -> None:
    scores = np.array([9.0, 5.2, 5.15], np.float32)
    assert least_clear(scores, 100, 0.1, NULL) == scores[2]
    assert least_clear(scores, 1_000_000, 0.1, NULL) == scores[0]
    assert least_clear(scores[1:], 1_000_000, 0.1, NULL) == np.inf
    assert least_clear(scores[:0], 100, 0.1, NULL) == np.inf


def test_decoys_tell_how_much_of_chance_matters() -> None:
    shares = [relevant_share(decoys, 1_000, NULL) for decoys in (0, 5, 10, 1_000)]
    assert 0 < shares[0] < shares[1] < shares[2] < shares[3] == 1
    assert relevant_share(0, 0, NULL) == 1


def test_chances_fall_with_the_score() -> None:
    scores = np.arange(3, 12, 0.5, dtype=np.float32)
    chances = chance(scores, NULL)
    assert (np.diff(chances) < 0).all()
    assert 1e-5 < chances[4] < 1e-4
    assert chance(np.array([-5, 0, 3], np.float32), NULL).max() <= 1


def test_what_stops_somebody_is_clearer_than_what_is_told_of() -> None:
    values = suite(tests=1_000)
    values[5, 80:] += 1
    values[6, -7:] += np.float32(0.15)
    told = slowdowns(values)
    assert [one.row for one in told.found] == [5, 6]
    assert [one.row for one in strict(told)] == [5]
    assert strict(told, 1.0) == told.found
    assert strict(told, 0.0) == []
    assert strict(slowdowns(suite())) == []


def test_what_is_expected_by_chance_is_told() -> None:
    values = suite(tests=200)
    values[5, 80:] += 1
    told = slowdowns(values)
    most = 200 * float(chance(np.array([SlowdownOptions().threshold], np.float32), NULL)[0])
    assert most / 10 < told.by_chance < most
    assert told.false_share == pytest.approx(told.by_chance)
    loose = slowdowns(values, SlowdownOptions(threshold=4, false_share=1))
    assert loose.by_chance > 10 * told.by_chance
    assert slowdowns(suite()).by_chance == 0
    assert told.steadied.shape == (1, RUNS)
    assert np.median(told.steadied[0, 80:]) - np.median(told.steadied[0, :80]) > 0.9


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (SlowdownOptions(), 1),
        (SlowdownOptions(ratio=2.0), 0),
        (SlowdownOptions(floor_s=1e6), 0),
        (SlowdownOptions(threshold=99), 0),
        (SlowdownOptions(runs=12), 0),
    ],
)
def test_floors(options: SlowdownOptions, number: int) -> None:
    values = suite()
    values[5, 70:] += np.float32(np.log(1.5))
    assert len(slowdowns(values, options).found) == number


def test_two_milliseconds_do_not_matter() -> None:
    values = suite()
    values[5] += np.float32(np.log(0.002)) - np.median(values[5])
    values[5, 70:] += np.float32(np.log(2))
    assert slowdowns(values).found == []
    assert only(values, SlowdownOptions(floor_s=0)).row == 5


def test_holes_change_nothing_that_matters() -> None:
    values = suite()
    values[7, 70:] += np.float32(np.log(1.5))
    holes = np.random.default_rng(3).random(values.shape) < 0.3
    values[holes] = np.nan
    values[11] = np.nan
    told = slowdowns(values)
    assert [one.row for one in told.found] == [7]
    assert told.found[0].runs == int(np.isfinite(values[7, told.found[0].start :]).sum())
    assert told.judged == TESTS - 1


def test_a_test_that_is_gone_from_the_newest_runs_is_judged_by_its_own() -> None:
    values = suite()
    values[7, 60:] += np.float32(np.log(1.5))
    values[7, 90:] = np.nan
    assert only(values).row == 7


def test_ticks_of_the_timer_are_no_slowdowns() -> None:
    values = suite(noise=0.1) + np.float32(np.log(0.03))
    ticks = np.maximum(np.round(np.exp(values) / 0.01), 1) * 0.01
    assert slowdowns(np.log(ticks).astype(np.float32)).found == []


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1), (3, 2), (1, 30)])
def test_next_to_nothing(shape: tuple[int, int]) -> None:
    told = slowdowns(np.zeros(shape, np.float32))
    assert told.found == []
    assert len(told.factor) == shape[1]


def test_few_tests_have_no_run_factor() -> None:
    told = steady(suite(tests=9))
    assert not told.factor.any()
    assert (told.sensitivity == 1).all()


def test_sensitivities_are_found() -> None:
    rng = np.random.default_rng(4)
    reaction = rng.uniform(0.5, 1.5, (200, 1))
    values = reaction * rng.normal(0, 0.3, RUNS) + rng.normal(0, 0.03, (200, RUNS))
    told = steady(values.astype(np.float32))
    fitted = told.sensitivity / np.median(told.sensitivity)
    assert np.corrcoef(fitted, reaction[:, 0])[0, 1] > 0.98
    assert told.residuals.std() < 0.04


def test_a_noisy_value_beside_a_jump_of_the_fleet_does_not_decide() -> None:
    values = suite(machine=0.005, noise=0.01)
    values[:, 50:] += np.linspace(0.1, 0.3, TESTS, dtype=np.float32)[:, None]
    values[20, 50] += 1
    values[21, 49] -= 1
    assert slowdowns(values).found == []


def test_medians_leave_out_what_is_not_there() -> None:
    hole = np.nan
    rows = np.array([[3, 1, hole, 2], [hole, 4, 1, hole], [hole] * 4], np.float32)
    assert row_medians(rows)[:2, 0].tolist() == [2, 2.5]
    assert np.isnan(row_medians(rows)[2, 0])
    assert column_medians(rows)[:3].tolist() == [3, 2.5, 1]
    assert row_spreads(rows, least=0.5)[2, 0] == pytest.approx(0.5)


def test_options_reach_the_scan() -> None:
    values = suite()
    values[5, -6:] += 1
    options = SlowdownOptions()
    longer = replace(options, scan=replace(options.scan, shortest=7))
    assert only(values, options).row == 5
    assert [one.row for one in slowdowns(values, longer).found] in ([], [5])
    assert slowdowns(values, replace(options, scan=replace(options.scan, before=97))).found == []


def test_a_large_step_in_few_runs_is_found_on_a_machine_that_wanders() -> None:
    found = 0
    for seed in range(20):
        values = suite(seed, tests=20, runs=25, noise=0.3, machine=0.3)
        # It does not follow the machine: what is taken out of it is noise, a run at a time.
        values[7] = np.float32(-2.8)
        values[7, 18:] += np.float32(np.log(5))
        found += [one.row for one in slowdowns(values).found] == [7]
    assert found == 20


def test_order_alone_is_as_rare_as_it_says() -> None:
    rng = np.random.default_rng(5)
    options = SlowdownOptions()
    # Two levels, far apart, in any order: only the order can be rare.
    values = np.where(rng.random((30_000, 16)) < 0.3, 1.0, 0.0).astype(np.float32)
    values += rng.normal(0, 0.01, values.shape).astype(np.float32)
    rises = scan(values, options.scan).up
    scores = separated(values, rises, 1, options.scan, options.null)
    proven = np.sort(scores[np.isfinite(scores)])
    assert len(proven) > 3
    expected = len(values) * chance(proven[:1], options.null)[0]
    assert len(proven) < 3 * expected


def test_order_proves_nothing_where_values_are_mixed_or_many() -> None:
    options = SlowdownOptions()
    values = np.zeros((3, 50), np.float32)
    values[0, 20:25] = 1
    values[0, 25:] = np.nan
    values[1, 20:25] = 1
    values[1, 3] = 1.0
    values[1, 25:] = np.nan
    values[2, 40:] = 1
    rises = scan(values, options.scan).up
    scores = separated(values, rises, 1, options.scan, options.null)
    assert np.isfinite(scores).tolist() == [True, False, False]


def test_order_of_many_values_is_as_rare_as_a_table_of_them() -> None:
    options = SlowdownOptions()
    rng = np.random.default_rng(7)
    values = rng.normal(0, 0.01, (5, 60)).astype(np.float32)
    values[:, 52:] += 1
    values[1, 20] += 1
    values[2, [53, 56]] -= 1
    values[3, [53, 56, 58]] -= 1
    values[4, :22] = np.nan
    rises = scan(values, options.scan).up
    scores = ordered(values, rises, 1, options.scan, options.null, options.order)
    # 60 places of the middle, and a rise of 4 to 54 values.
    ways = np.array([1, comb(9, 8)]) * 60 * 51 / comb(60, 8)
    assert chance(scores[:2], options.null) == pytest.approx(ways, rel=0.01)
    assert rises.length[2] == 8
    assert scores[0] > scores[1] > scores[2] > 0
    assert np.isneginf(scores[3:]).all(), "it comes and goes; it has few values"
    falls = scan(-values, options.scan).down
    mirrored = ordered(-values, falls, -1, options.scan, options.null, options.order)
    assert mirrored.tolist() == scores.tolist()


def test_order_counts_where_a_step_is_far_above_the_noise() -> None:
    values = suite(3)
    values[5, -7:] += 1
    without = replace(SlowdownOptions(), order=OrderOptions(clear=99))
    assert only(values).score > only(values, without).score
    small = suite(3)
    small[5, 60:] += np.float32(0.07)
    assert only(small).score == only(small, without).score


def test_memory_enlarges_the_variance_of_a_sum() -> None:
    memory, count = 0.6, 7
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    exact = (memory**apart).sum() / count
    assert enlarged(np.array(memory), np.array(count)) == pytest.approx(exact)
    assert enlarged(np.array(0.0), np.array(count)) == 1


def test_a_series_that_repeats_itself_proves_less_by_its_order() -> None:
    values = wandering(3)
    doubtless = replace(SlowdownOptions(), order=OrderOptions(caution=0))
    assert slowdowns(values).found == []
    assert slowdowns(values, doubtless).found != []
