"""What tests that changed together have in common."""

from __future__ import annotations

from fractions import Fraction
from math import comb, exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_analytics.scopes import (
    Member,
    Scope,
    candidates,
    is_within,
    likely_causes,
    log_tail,
    scopes_of,
)

SUITE: list[Member] = [
    (f"tests/{folder}/test_{file}.py::test_{n}", "os=linux")
    for folder in ("db", "net", "ui")
    for file in range(10)
    for n in range(10)
]


def sizes(members: list[Member], suite: list[Member]) -> dict[str, int]:
    return {scope: sum(is_within(one, scope) for one in suite) for scope in candidates(members)}


def causes(members: list[Member], suite: list[Member]) -> list[Scope]:
    return likely_causes(members, sizes(members, suite), len(suite))


@pytest.mark.parametrize(
    ("member", "scopes"),
    [
        (("a/b/c.py::C::test_x[1/2::3]", ""), ["a/", "a/b/", "a/b/c.py::", "a/b/c.py::C::"]),
        (("c.py::test_x", "os=mac,python=3.12"), ["c.py::", "os=mac", "python=3.12"]),
        (("plain", ""), []),
        (("/x::y[", ""), ["/", "/x::"]),
        (("", ""), []),
    ],
)
def test_scopes_of_a_test(member: Member, scopes: list[str]) -> None:
    found = scopes_of(member)
    family = [f"{scopes[-1]}test_x["] if member[0].endswith("]") else []
    assert found == scopes + family
    assert all(is_within(member, scope) for scope in found)


@pytest.mark.parametrize(
    ("hit", "drawn", "size", "total"), [(1, 1, 1, 9), (3, 5, 7, 20), (5, 5, 5, 300), (2, 40, 3, 60)]
)
def test_the_tail_is_that_of_drawing_without_putting_back(
    hit: int, drawn: int, size: int, total: int
) -> None:
    ways = sum(
        comb(size, x) * comb(total - size, drawn - x) for x in range(hit, min(drawn, size) + 1)
    )
    assert exp(log_tail(hit, drawn, size, total)) == pytest.approx(
        float(Fraction(ways, comb(total, drawn))), rel=1e-9
    )


def test_the_tail_at_its_ends() -> None:
    assert log_tail(0, 5, 5, 10) == 0
    assert log_tail(2, 8, 4, 10) == 0  # two of the four are drawn in any case
    assert log_tail(6, 5, 9, 20) == float("-inf")  # more than were drawn
    assert -50_000 < log_tail(5_000, 5_000, 5_000, 100_000) < -5_000


def test_a_folder_that_moves_together_is_named() -> None:
    members = [one for one in SUITE if "/db/" in one[0]][:60]
    assert causes(members, SUITE) == [Scope("tests/db/", 60, 100)]


def test_a_file_is_named_before_its_folder() -> None:
    members = [one for one in SUITE if "db/test_3" in one[0]]
    assert causes([*members, SUITE[250]], SUITE) == [Scope("tests/db/test_3.py::", 10, 10)]


def test_two_causes_at_one_place_are_both_named() -> None:
    members = [one for one in SUITE if "db/test_3" in one[0] or "ui/test_7" in one[0]]
    assert {one.text for one in causes(members, SUITE)} == {
        "tests/db/test_3.py::",
        "tests/ui/test_7.py::",
    }


def test_a_variant_is_named() -> None:
    suite = [(name, system) for name, _ in SUITE for system in ("os=linux", "os=mac,gpu=no")]
    members = [one for one in suite if one[1] == "os=mac,gpu=no"][::20]
    assert {one.text for one in causes(members, suite)} <= {"os=mac", "gpu=no"}
    assert causes(members, suite)


@pytest.mark.parametrize("seed", range(20))
def test_tests_drawn_by_lot_share_nothing(seed: int) -> None:
    assert causes(Random(seed).sample(SUITE, 12), SUITE) == []


def test_chance_names_a_cause_as_seldom_as_it_says() -> None:
    named = sum(bool(causes(Random(seed).sample(SUITE, 8), SUITE)) for seed in range(3_000))
    assert named <= 8  # a thousandth of them, and so many once in 80 times


def test_the_whole_suite_shares_nothing() -> None:
    assert causes(SUITE, SUITE) == []
    assert likely_causes([], {}, 0) == []
    assert likely_causes([("a.py::b", "")], {}, 1) == []


def test_sizes_that_are_too_small_break_nothing() -> None:
    members = [one for one in SUITE if "/db/" in one[0]]
    told = likely_causes(members, dict.fromkeys(candidates(members), 1), 1)
    assert all(one.hit <= one.size for one in told)


@given(st.text(), st.text())
def test_any_name_has_scopes(test_id: str, variant: str) -> None:
    found = scopes_of((test_id, variant))
    assert all(is_within((test_id, variant), scope) for scope in found)
    assert test_id not in [one for one in found if one not in variant.split(",")] or "/" in test_id


@given(st.randoms())
def test_the_order_of_the_members_does_not_matter(dice: Random) -> None:
    members = [one for one in SUITE if "db/test_3" in one[0] or "ui/test_7" in one[0]]
    expected = causes(members, SUITE)
    dice.shuffle(members)
    assert causes(members, SUITE) == expected
