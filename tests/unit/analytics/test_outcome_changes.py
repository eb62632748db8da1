"""Change points of outcomes: LUCI's published delays, intervals, and groups."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest

from testlytics_analytics.outcome_changes import (
    Breakage,
    ChangeOptions,
    Placed,
    Position,
    breakages,
    broken_since,
    changes,
    grouped,
)

PASS, FAIL = Position(1, 0), Position(1, 1)


def failures_needed(before: list[Position], prior: float = 1e-4) -> int:
    options = ChangeOptions(prior=prior)
    found = (count for count in range(1, 60) if changes(before + [FAIL] * count, options))
    return next(found)


# The numbers are LUCI Analysis' own behaviour, measured with its constants.
@pytest.mark.parametrize(
    ("prior", "needed"), [(1e-4, [13, 6, 4, 3, 3, 2, 2]), (0.01, [4, 3, 2, 2, 1, 1, 1])]
)
def test_failures_needed_after_passes(prior: float, needed: list[int]) -> None:
    passes = [5, 10, 20, 50, 100, 400, 2000]
    assert [failures_needed([PASS] * some, prior) for some in passes] == needed


@pytest.mark.parametrize(("rate", "needed"), [(0.02, 3), (0.1, 5), (0.3, 10)])
def test_failures_needed_after_flakes(rate: float, needed: int) -> None:
    histories = [
        [FAIL if random.random() < rate else PASS for _ in range(200)]
        for random in map(Random, range(15))
    ]
    assert median(failures_needed(one) for one in histories) == needed


def test_a_flaky_test_that_stays_as_it_is_has_no_change() -> None:
    for seed in range(20):
        random = Random(seed)
        rate = (0.01, 0.1, 0.3, 0.5)[seed % 4]
        assert changes([FAIL if random.random() < rate else PASS for _ in range(500)]) == []


def test_a_break_is_where_it_is() -> None:
    [found] = changes([PASS] * 60 + [FAIL] * 12)
    assert found.at == 60
    assert found.after < 60 <= found.until
    assert found.until - found.after <= 4
    assert (found.before, found.behind) == (Position(60, 0), Position(12, 12))


def test_flakes_before_a_break_widen_its_interval() -> None:
    sure = changes([PASS] * 60 + [FAIL] * 20)[0]
    flaky = changes([PASS, PASS, FAIL] * 20 + [FAIL] * 20)[0]
    assert flaky.until - flaky.after > sure.until - sure.after


def test_retries_are_a_channel_of_their_own() -> None:
    # Always one failure in a run: first the retry passes, then it fails too.
    mild, hard = Position(1, 1, 1, 0), Position(1, 1, 1, 1)
    [found] = changes([mild] * 30 + [hard] * 30)
    assert found.at == 30


def test_nothing_changes_in_nothing() -> None:
    assert changes([]) == []
    assert changes([FAIL]) == []
    assert changes([PASS] * 500) == []


def test_broken_since_is_an_interval_of_steps() -> None:
    assert broken_since([]) is None
    assert broken_since([(4, 0.001), (7, 0.9), (8, 0.05)]) == (7, 7, 8)


def test_changes_at_one_place_are_one_regression() -> None:
    together = [Placed(number, f"a{number}", 10, 12 + number % 2) for number in range(5)]
    later = Placed(2, "a2", 30, 31)
    assert grouped([later, *together]) == [tuple(sorted(together)), (later,)]


def test_tests_with_far_names_are_not_grouped() -> None:
    near, far = Placed(1, "a", 1, 2), Placed(66, "z", 1, 2)
    assert grouped([far, near]) == [(near,), (far,)]
    assert grouped([far, near], ChangeOptions(far=65)) == [(near, far)]


def test_ranges_that_hardly_overlap_are_two_regressions() -> None:
    wide, other = Placed(1, "a", 0, 10), Placed(2, "b", 7, 17)
    assert grouped([wide, other]) == [(wide,), (other,)]


def test_tests_that_broke_at_one_place_are_one_breakage_whatever_their_names() -> None:
    wide, narrow, far = Placed(0, "a", 8, 13), Placed(500, "z", 10, 11), Placed(9, "k", 30, 31)
    assert breakages([far, narrow, wide]) == [
        Breakage((wide, narrow), 10, 11),
        Breakage((far,), 30, 31),
    ]
    assert breakages([]) == []


def test_breakages_do_not_depend_on_the_order() -> None:
    dice = Random(4)
    found = [Placed(n, f"t{n}", at, at + dice.randrange(1, 5)) for n, at in enumerate([3, 9] * 9)]
    expected = breakages(found)
    for _ in range(5):
        dice.shuffle(found)
        assert breakages(found) == expected
