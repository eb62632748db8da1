"""More evidence for something never makes it less likely; rates are rates, within their bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from testlytics_analytics.confirmation import highest_rate, passes_for_fix
from testlytics_analytics.evidence import RunOrder, Tried, weigh
from testlytics_analytics.histories import History, Run
from testlytics_analytics.interval import wilson
from testlytics_analytics.outcome_verdicts import OutcomeVerdict, judge_outcomes

GRADES = [None, "suspected", "strong", "proven"]
ROUNDING = 1e-9
# Where all but one explanation are as good as excluded, what is left is divided among them anew.
NOTHING = 1e-4
# Each run has sources of its own: equal sources make a disagreement of two runs, another evidence.
ORDER = RunOrder([Run(str(at), str(at), str(at)) for at in range(40)])
histories = st.text("PPPPPFFLS?", min_size=1, max_size=38)


def tried(told: str) -> Tried:
    return Tried(History("default", "t", "", range(len(told)), told))


def judged(told: str) -> OutcomeVerdict:
    [found] = judge_outcomes([tried(told)], ORDER)
    return found


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.1, 5))
def test_an_interval_holds_its_estimate_and_grows_with_the_count(a: int, b: int, z: float) -> None:
    successes, trials = sorted((a, b))
    told = wilson(successes, trials, z=z)
    if told is None:
        assert trials == 0
        return
    low, high = told
    assert 0 <= low <= successes / trials <= high <= 1
    more = wilson(min(successes + 1, trials), trials, z=z)
    assert more is not None
    assert more[0] >= low - ROUNDING
    assert more[1] >= high - ROUNDING
    often = wilson(successes * 4, trials * 4, z=z)
    assert often is not None
    assert often[1] - often[0] <= high - low + ROUNDING


@given(st.integers(0, 10_000), st.floats(0.5, 0.999))
def test_more_passes_leave_less_possible(passes: int, level: float) -> None:
    rate = highest_rate(passes, level=level)
    assert 0 <= highest_rate(passes + 1, level=level) <= rate <= 1
    if 0 < rate < 1:
        # Both say the same of one row of passes, one as a rate and one as a count.
        assert passes_for_fix(rate, level=level) in {passes, passes + 1}


@given(histories)
def test_the_flake_rate_is_a_rate(told: str) -> None:
    found = judged(told)
    rates = (found.flake_rate, found.low, found.high, found.failure_rate, found.flip_rate)
    assert all(rate is None or 0 <= rate <= 1 for rate in rates)
    if found.runs:
        assert found.low is not None
        assert found.high is not None
        assert found.flake_rate is not None
        assert found.low - ROUNDING <= found.flake_rate <= found.high + ROUNDING


@given(histories, st.integers(0, 37))
def test_a_flake_proves_what_a_pass_does_not(told: str, at: int) -> None:
    at %= len(told)
    flaked, passed = (told[:at] + letter + told[at + 1 :] for letter in "LP")
    assert weigh(tried(flaked), ORDER).grade == "proven"
    grades = [GRADES.index(weigh(tried(one), ORDER).grade) for one in (passed, flaked)]
    assert grades == sorted(grades)


@given(histories)
def test_who_fails_last_is_at_least_as_likely_broken_as_who_passes(told: str) -> None:
    fails, passes = judged(told + "F"), judged(told + "P")
    assert fails.p_broken is not None
    assert passes.p_broken is not None
    assert fails.p_broken >= passes.p_broken - ROUNDING
    assert fails.failures == passes.failures + 1


@given(histories)
def test_a_flake_makes_no_test_healthier(told: str) -> None:
    flaked, passed = judged(told + "L"), judged(told + "P")
    assert flaked.p_healthy is not None
    assert passed.p_healthy is not None
    assert flaked.p_healthy <= passed.p_healthy + NOTHING
    assert flaked.flake_rate is not None
    assert passed.flake_rate is not None
    assert flaked.flake_rate >= passed.flake_rate - NOTHING
