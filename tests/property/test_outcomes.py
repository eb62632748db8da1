"""Rules that hold for the verdict on any outcomes."""

from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from testlytics_analytics.evidence import RunOrder, Tried, outages, systemic_runs
from testlytics_analytics.histories import History, Run
from testlytics_analytics.outcome_changes import Position, changes
from testlytics_analytics.outcome_verdicts import OutcomeVerdict, judge_outcomes
from testlytics_analytics.status import is_surely_flaky, judge

RUNS = 24
ORDER = RunOrder([Run(str(at), str(at // 2), str(at // 2)) for at in range(RUNS)], {5})
letters = st.text("PPPPFFLS?", min_size=1, max_size=RUNS)


def tried(name: str, told: str) -> Tried:
    return Tried(History("default", name, "", range(len(told)), told))


def judged(*tests: Tried) -> dict[str, OutcomeVerdict]:
    return {one.test_id: one for one in judge_outcomes(tests, ORDER)}


suites = st.lists(letters, min_size=1, max_size=6).map(
    lambda some: [tried(f"t{number}", told) for number, told in enumerate(some)]
)


@given(suites.flatmap(lambda tests: st.tuples(st.just(tests), st.permutations(tests))))
def test_order_does_not_matter(both: tuple[list[Tried], list[Tried]]) -> None:
    tests, shuffled = both
    assert judge_outcomes(tests, ORDER) == judge_outcomes(shuffled, ORDER)


@given(suites)
def test_nobody_has_a_say_in_the_verdict_on_another(tests: list[Tried]) -> None:
    together = judged(*tests)
    for one in tests:
        alone = judged(one)
        assert together[one.history.test_id] == alone[one.history.test_id]


@given(suites, st.integers(0, 50))
def test_stable_tests_change_no_verdict(tests: list[Tried], many: int) -> None:
    calm = [tried(f"calm{number}", "P" * RUNS) for number in range(many)]
    together = judged(*tests, *calm)
    assert {name: together[name] for name in judged(*tests)} == judged(*tests)


@given(letters, st.text(min_size=1, max_size=9))
def test_names_do_not_matter(told: str, name: str) -> None:
    assert judged(tried(name, told))[name]._replace(test_id="t") == judged(tried("t", told))["t"]


@given(letters)
def test_evidence_seen_twice_counts_once(told: str) -> None:
    first, second = judge_outcomes([tried("t", told), tried("t", told)], ORDER)
    assert first == second == judged(tried("t", told))["t"]


@given(letters)
def test_probabilities_are_probabilities(told: str) -> None:
    found = judged(tried("t", told))["t"]
    if found.runs:
        shares = (found.p_flaky, found.p_broken, found.p_healthy)
        assert all(share is not None and 0 <= share <= 1 for share in shares)
        assert sum(share or 0.0 for share in shares) == pytest.approx(1)
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.high <= 1
    else:
        assert (found.status, found.p_flaky, found.low) == ("unknown", None, None)


@given(letters.filter(lambda told: len(told) > 5), st.sampled_from("PFL"))
def test_what_happens_in_a_void_run_does_not_matter(told: str, letter: str) -> None:
    def judgement(of: str) -> OutcomeVerdict:
        return judged(tried("t", of))["t"]._replace(ignored=0)

    assert judgement(told) == judgement(told[:5] + letter + told[6:])


@given(st.integers(2, 20), st.integers(60, 1000), st.integers(0, 20_000))
def test_stable_tests_make_a_run_systemic_no_more_only_below_the_floor(
    runs: int, hit: int, stable: int
) -> None:
    failing = [hit, *[0] * runs]
    assert systemic_runs(failing, [1000] * (runs + 1)) == {0}
    more = systemic_runs(failing, [1000 + stable] * (runs + 1))
    assert more == ({0} if hit / (1000 + stable) > 0.05 else set())


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60))
def test_changes_are_in_order_and_within_their_intervals(fails: list[int]) -> None:
    positions = [Position(2, some) for some in fails]
    found = changes(positions)
    assert [one.at for one in found] == sorted({one.at for one in found})
    assert all(-1 <= one.after < one.until < len(positions) for one in found)


@given(
    st.lists(st.sampled_from(["LFF", "F", "P", "L", "S", "?", "P" * 9, "F" * 8]), max_size=30),
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from([1] * 9 + [2])), min_size=260, max_size=260
    ),
    st.integers(1, 3),
    st.sets(st.integers(0, 30), max_size=3),
    st.integers(0, 400),
)
def test_what_is_flaky_beyond_doubt_is_flaky_to_the_model(
    parts: list[str], some: list[tuple[int, int]], per_sources: int, void: set[int], calm: int
) -> None:
    told = "PPLPP" + "".join(parts) + "P" * calm
    runs = [Run(str(at), None, str(at // per_sources)) for at in range(len(told))]
    bad = [letter for letter in told if letter in "FL"]
    tries = [
        (passes if letter == "L" else 0, fails)
        for letter, (passes, fails) in zip(bad, some, strict=False)
    ]
    test = Tried(History("default", "t", "", range(len(told)), told), tries)
    order = RunOrder(runs, {step for step in void if step < len(told)})
    event(str(is_surely_flaky(test, order)))
    if is_surely_flaky(test, order):
        [found] = judge_outcomes([test], order)
        assert found.status == "flaky"


@given(suites, st.integers(0, 3))
def test_fewer_judged_in_full_are_told_as_many_and_as_the_same(
    tests: list[Tried], most: int
) -> None:
    runs = [Run(str(at), str(at // 2), str(at // 2)) for at in range(RUNS)]
    whole, short = judge(tests, runs), judge(tests, runs, most=most)
    assert set(short.rows) <= set(whole.rows)
    assert len(short.rows) + short.more_flaky == len(whole.rows)
    assert {one.status for one in set(whole.rows) - set(short.rows)} <= {"flaky"}


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), min_size=1, max_size=40),
    st.integers(0, 3),
)
def test_outages_are_short_and_of_one_project(runs: list[tuple[str, int]], longest: int) -> None:
    projects, failing = [name for name, _ in runs], [some for _, some in runs]
    found = outages(projects, failing, [40] * len(runs), longest=longest)
    for name in "ab":
        steps = [step for step, one in enumerate(projects) if one == name]
        alone = outages(
            [name] * len(steps),
            [failing[step] for step in steps],
            [40] * len(steps),
            longest=longest,
        )
        assert {steps[at] for at in alone} == found & set(steps)
        row = "".join("x" if step in found else " " for step in steps)
        assert max(map(len, row.split())) <= longest if row.strip() else True
