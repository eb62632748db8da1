"""Which phase of a slow test got slower."""

from __future__ import annotations

from itertools import product
from math import sqrt

import numpy as np
import numpy.typing as npt
import pytest

from testlytics_analytics.durations.phases import Guilty, guilty_phase, rank_sum

Values = npt.NDArray[np.float32]
RUNS, START = 40, 28
EVEN = np.ones(RUNS, np.float32)


def phases(**increases: float) -> dict[str, Values]:
    rng = np.random.default_rng(1)
    made = {}
    for name, seconds in (("setup", 0.1), ("call", 1.0), ("teardown", 0.05)):
        values = seconds * rng.lognormal(0, 0.05, RUNS)
        values[START:] += increases.get(name, 0)
        made[name] = values.astype(np.float32)
    return made


def named(told: Guilty | None) -> str | None:
    return told and told.phase


@pytest.mark.parametrize("name", ["setup", "call", "teardown"])
def test_the_phase_that_got_slower_is_named(name: str) -> None:
    told = guilty_phase(phases(**{name: 0.5}), START, EVEN)
    assert told is not None
    assert told.phase == name
    assert told.share > 0.9
    assert told.increase_s == pytest.approx(0.5, abs=0.05)


def test_no_phase_is_named_where_two_share_it() -> None:
    assert guilty_phase(phases(setup=0.5, call=0.5), START, EVEN) is None
    assert named(guilty_phase(phases(setup=0.8, call=0.2), START, EVEN)) == "setup"


def test_no_phase_is_named_where_nothing_got_slower() -> None:
    flat = {"setup": EVEN, "call": EVEN}
    assert guilty_phase(flat, START, EVEN) is None
    assert guilty_phase({}, START, EVEN) is None
    assert guilty_phase({"setup": -np.arange(RUNS, dtype=np.float32)}, START, EVEN) is None


def test_a_machine_that_got_slower_is_no_phase() -> None:
    factor = EVEN.copy()
    factor[START:] = 4
    told = {name: one * factor for name, one in phases(setup=0.3).items()}
    assert named(guilty_phase(told, START, factor)) == "setup"
    # Without the factor the test itself would have lost three seconds.
    assert named(guilty_phase(told, START, EVEN)) == "call"


def test_unknown_phases_are_none() -> None:
    nothing = np.full(RUNS, np.nan, np.float32)
    assert guilty_phase({"setup": nothing, "call": EVEN}, START, EVEN) is None
    holes = phases(call=0.5)
    holes["call"][START + 2 :] = np.nan
    assert guilty_phase(holes, START, EVEN) is None
    holes["call"][START + 2] = 1.5
    assert named(guilty_phase(holes, START, EVEN)) == "call"


@pytest.mark.parametrize("seed", range(5))
def test_the_rank_sum_counts_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, since = rng.integers(0, 9, 11) * 1.0, rng.integers(0, 12, 7) * 1.0
    won = sum((b < s) + (b == s) / 2 for b, s in product(before, since))
    both = sorted([*before, *since])
    ties = sum(both.count(one) ** 3 - both.count(one) for one in set(both))
    variance = 11 * 7 / 12 * (19 - ties / (18 * 17))
    told = rank_sum(before.astype(np.float32), since.astype(np.float32))
    assert told == pytest.approx((won - 11 * 7 / 2) / sqrt(variance))


def test_equal_values_have_no_order() -> None:
    assert rank_sum(EVEN[:5], EVEN[:3]) == 0
