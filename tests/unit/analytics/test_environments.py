"""Which way of running a test depends on."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_analytics.environments import Dependence, Leg, dependences, fisher_exact, holm


@pytest.mark.parametrize(
    ("table", "chance"),
    [
        ((3, 1, 1, 3), 34 / 70),  # Fisher 1935, the lady tasting tea, both tails
        ((2, 10, 15, 3), 0.0005367241),  # R, fisher.test, its example "Convictions"
        ((8, 2, 1, 5), 0.03496503),  # scipy.stats.fisher_exact, its example
        ((0, 0, 3, 4), 1.0),
        ((5, 0, 5, 0), 1.0),
    ],
)
def test_fisher_gives_the_known_values(table: tuple[int, int, int, int], chance: float) -> None:
    assert fisher_exact(table) == pytest.approx(chance, rel=1e-6)


@given(st.tuples(*[st.integers(0, 12)] * 4))
def test_fisher_is_the_sum_over_tables_that_are_as_unlikely(
    table: tuple[int, int, int, int],
) -> None:
    # Independent: exact fractions over all tables of the same margins.
    a, b, c, d = table
    side, hits, whole = a + b, a + c, a + b + c + d

    def weight(at: int) -> Fraction:
        return Fraction(comb(side, at) * comb(whole - side, hits - at), comb(whole, hits))

    own = weight(a)
    every = [weight(at) for at in range(max(0, hits - c - d), min(side, hits) + 1)]
    assert sum(every) == 1
    assert fisher_exact(table) == pytest.approx(float(sum(w for w in every if w <= own)), rel=1e-6)


def test_holm_gives_the_known_values() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def legs(failing: dict[str, float], commits: int = 40) -> list[Leg]:
    draw = Random(7)
    return [
        Leg(variant, commit, draw.random() < rate)
        for commit in range(commits)
        for variant, rate in failing.items()
    ]


def test_fails_only_on_windows() -> None:
    found = dependences(
        legs({"os=linux,python=3.12": 0, "os=windows,python=3.12": 0.3, "os=mac,python=3.12": 0})
    )
    assert [one.pairs for one in found] == [("os=windows",)]
    assert found[0].only_there
    assert (found[0].of, found[0].of_elsewhere) == (40, 80)


def test_pairs_that_always_come_together_are_one_finding() -> None:
    [one] = dependences(legs({"os=linux,py=3.12": 0, "os=windows,py=3.13": 0.5}))
    assert one.pairs == ("os=windows", "py=3.13")


def test_worse_side_is_named_whichever_of_two_values_it_has() -> None:
    for bad, good in (("os=a", "os=b"), ("os=b", "os=a")):
        [one] = dependences(legs({bad: 0.5, good: 0.05}))
        assert one.pairs == (bad,)


def test_what_broke_before_a_leg_was_there_does_not_count() -> None:
    # Alone on the first 30 commits windows failed; since linux is there both pass.
    early = [Leg("os=windows", commit, failed=True) for commit in range(30)]
    late = [Leg(f"os={os}", 30 + n, failed=False) for n in range(30) for os in ("windows", "linux")]
    assert dependences(early + late) == []


def test_runs_again_on_the_same_sources_are_one_piece_of_evidence() -> None:
    once = [Leg("os=windows", 0, failed=True), Leg("os=linux", 0, failed=False)]
    assert dependences(once * 50) == []


def test_sources_count_as_failed_where_one_of_their_runs_failed() -> None:
    told = [
        Leg(variant, commit, failed=variant == "os=windows" and not again)
        for commit in range(12)
        for again in (False, True)
        for variant in ("os=linux", "os=windows")
    ]
    [one] = dependences(told)
    assert (one.failed, one.of, one.failed_elsewhere) == (12, 12, 0)


def test_no_environment_is_named_without_a_reason() -> None:
    # 300 suites in which nothing depends on anything: at most one of 20 may name something.
    variants = [f"os={os},py={py}" for os in "abc" for py in "123"]
    wrong = 0
    for seed in range(300):
        draw = Random(seed)
        told = [Leg(v, commit, draw.random() < 0.1) for commit in range(20) for v in variants]
        wrong += bool(dependences(told))
    assert wrong <= 300 * 0.05


def test_one_variant_depends_on_nothing() -> None:
    assert dependences(legs({"os=linux": 0.5})) == []
    assert dependences([]) == []
    assert dependences(legs({"": 0.5, "os=x": 0.5})) == []


def test_counts_are_those_of_the_named_side() -> None:
    told = [
        *(Leg("os=b", n, failed=n < 10) for n in range(12)),
        *(Leg("os=a", n, failed=n < 1) for n in range(12)),
    ]
    [one] = dependences(told)
    assert one == Dependence(("os=b",), 10, 12, 1, 12, one.chance)
    assert one.chance == pytest.approx(fisher_exact((10, 2, 1, 11)))
