"""What failures and long tests cost, and what follows from it. Numbers are worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_analytics.impact import (
    Impact,
    ImpactOptions,
    Job,
    OnPath,
    Trouble,
    advice,
    critical_paths,
    losses,
)
from testlytics_analytics.status import Judged
from tests.factories import judged, series


def job(step: int, seconds: float = 60, attempt: int = 1, workers: int = 1, **more: float) -> Job:
    told = {"tests_s": seconds, "longest_s": seconds} | more
    return Job(step, "", attempt, seconds, told["tests_s"], told["longest_s"], workers)


def trouble(
    name: str, step: int, *, red: bool = True, attempt: int = 1, again_s: float = 1, tries: int = 1
) -> Trouble:
    return Trouble("default", name, "", step, attempt, 1, tries, red, again_s)


def named(impacts: list[Impact]) -> dict[str, Impact]:
    return {one.test_id: one for one in impacts}


def test_a_red_job_is_lost_in_equal_parts() -> None:
    told = losses([job(0), job(1)], [trouble("a", 0), trouble("b", 0), trouble("a", 1)])
    assert told[:6] == (2, 2, 0, 120, 120, 0)
    impacts = named(told.impacts)
    assert (impacts["a"].lost_s, impacts["b"].lost_s) == (90, 30)
    assert (impacts["a"].blocked, impacts["a"].blocked_alone) == (2, 1)
    assert (impacts["b"].blocked, impacts["b"].blocked_alone) == (1, 0)
    assert [one.test_id for one in told.impacts] == ["a", "b"]


def test_a_green_job_lost_only_what_was_made_again() -> None:
    told = losses([job(0)], [trouble("a", 0, red=False, again_s=7, tries=3)])
    assert (told.blocked, told.taken_s, told.lost_s) == (0, 60, 7)
    [one] = told.impacts
    assert one[3:] == (0, 0, 2, 0, 7)


def test_who_did_not_block_a_red_job_pays_nothing_for_it() -> None:
    told = losses([job(0)], [trouble("a", 0), trouble("b", 0, red=False, again_s=5, tries=2)])
    assert named(told.impacts)["a"].blocked_alone == 1
    assert named(told.impacts)["b"][3:] == (0, 0, 1, 0, 0)
    assert told.lost_s == 60


def test_a_job_that_passed_was_blocked_by_nobody() -> None:
    jobs = [job(0)._replace(passed=True), job(0, attempt=2)]
    told = losses(jobs, [trouble("quarantined", 0, again_s=3, tries=2)])
    assert (told.blocked, told.reruns, told.lost_s) == (0, 0, 3)
    [one] = told.impacts
    assert one[3:] == (0, 0, 1, 0, 3)


def test_a_job_that_was_started_again() -> None:
    jobs = [job(0, 60), job(0, 50, attempt=2), job(1, 40)]
    told = losses(jobs, [trouble("a", 0), trouble("b", 1)])
    assert (told.jobs, told.blocked, told.reruns) == (3, 2, 1)
    assert named(told.impacts)["a"].reruns == 1
    assert named(told.impacts)["b"].reruns == 0
    assert (told.taken_s, told.lost_s) == (150, 100)


def test_an_outage_counts_against_no_test() -> None:
    told = losses([job(0), job(1)], [trouble("a", 0), trouble("a", 1)], void=[1])
    assert (told.lost_s, told.outage_s) == (120, 60)
    [one] = told.impacts
    assert (one.blocked, one.lost_s) == (1, 60)


def test_nothing_was_lost_without_failures() -> None:
    assert losses([job(0)], []) == (1, 0, 0, 60, 0, 0, [])
    assert losses([], []) == (0, 0, 0, 0, 0, 0, [])


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2)), unique=True),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(1, 2), st.booleans()),
        unique_by=lambda one: one[:3],
    ),
    st.sets(st.integers(0, 3)),
)
def test_no_second_is_lost_twice(
    places: list[tuple[int, int]], failed: list[tuple[str, int, int, bool]], void: set[int]
) -> None:
    jobs = [job(step, 30, attempt) for step, attempt in places]
    troubles = [
        # Three tests of 10 s at most take the 30 s of their job.
        trouble(name, step, attempt=attempt, red=red, again_s=10)
        for name, step, attempt, red in failed
    ]
    told = losses(jobs, troubles, void)
    assert 0 <= told.lost_s <= told.taken_s + 1e-9
    assert told.lost_s == pytest.approx(told.outage_s + sum(o.lost_s for o in told.impacts))


def test_the_critical_path() -> None:
    jobs = [
        job(0, 10, workers=2, tests_s=16, longest_s=10),
        job(1, 12, workers=2, tests_s=16, longest_s=12),
        job(2, 8, workers=2, tests_s=16, longest_s=8),
        job(3, 0),
    ]
    on_path = [OnPath("p", "a", "", 3, 6), OnPath("p", "b", "", 1, 12), OnPath("q", "c", "", 1, 9)]
    [path] = critical_paths(jobs, on_path, ["p", "p", "p", "q"])
    assert path[:6] == ("p", "", 3, 2, 10, 8)
    assert path.unevenness == 1.25
    assert [one[:3] for one in path.tests] == [("b", 1, 12), ("a", 3, 2)]
    assert [one.share for one in path.tests] == pytest.approx([0.4, 0.2])


def told_of(letters: str, name: str = "a") -> list[Judged]:
    return judged(series(name, letters))


def test_a_broken_test_is_to_be_fixed() -> None:
    rows = told_of("P" * 20 + "F" * 6)
    told = losses([job(step) for step in range(26)], [trouble("a", step) for step in range(20, 26)])
    [one] = advice(rows, told, [])
    assert (one.kind, one.test_id, one.judged, one.impact) == ("fix", "a", rows[0], told.impacts[0])


@pytest.mark.parametrize(
    ("letters", "kind"),
    [("PLPPLPPPLPPLPPPLPPPP", "quarantine"), ("PFPPPPFPPPPPPFPPPPPP", "confirm")],
)
def test_flaky_tests(letters: str, kind: str) -> None:
    rows = told_of(letters)
    assert rows[0].status == "flaky"
    assert (rows[0].grade == "suspected") == (kind == "confirm")
    steps = [step for step, letter in enumerate(letters) if letter in "FL"]
    troubles = [trouble("a", step, red=letters[step] == "F", tries=2) for step in steps]
    told = losses([job(step) for step in range(20)], troubles)
    assert [one.kind for one in advice(rows, told, [])] == [kind]


def test_nothing_is_said_of_a_test_that_is_not_judged_or_stable() -> None:
    told = losses([job(0)], [trouble("a", 0)])
    assert advice([], told, []) == []
    assert advice(told_of("P"), told, []) == []


def test_at_most_so_many_of_a_kind() -> None:
    names = [f"t{number}" for number in range(9)]
    rows = [one for name in names for one in told_of("P" * 20 + "F" * 6, name)]
    told = losses([job(25)], [trouble(name, 25) for name in names])
    assert len(advice(rows, told, [])) == ImpactOptions().named
    assert len(advice(rows, told, [], ImpactOptions(named=2))) == 2


def suite(*, workers: int, longest_s: float, tests_s: float, jobs: int = 5) -> list[Job]:
    return [
        job(step, 60, workers=workers, longest_s=longest_s, tests_s=tests_s) for step in range(jobs)
    ]


def kinds(jobs: list[Job], *on_path: OnPath) -> list[str]:
    paths = critical_paths(jobs, on_path, ["p"] * len(jobs))
    return [one.kind for one in advice([], losses(jobs, []), paths)]


def test_a_test_longer_than_an_even_share_is_to_be_split() -> None:
    jobs = suite(workers=4, longest_s=30, tests_s=80)
    assert kinds(jobs, OnPath("p", "a", "", 5, 5 * 21)) == ["split"]
    # It fits into an even share of 20 s: the work can be spread.
    assert kinds(jobs, OnPath("p", "a", "", 5, 5 * 19)) == ["spread"]
    # Seen too seldom.
    assert kinds(jobs, OnPath("p", "a", "", 2, 2 * 21)) == ["spread"]


def test_an_even_suite_and_one_worker_need_nothing() -> None:
    assert kinds(suite(workers=4, longest_s=25, tests_s=80)) == []
    assert kinds(suite(workers=1, longest_s=80, tests_s=80), OnPath("p", "a", "", 5, 350)) == []
    assert kinds(suite(workers=4, longest_s=40, tests_s=80, jobs=2)) == []
