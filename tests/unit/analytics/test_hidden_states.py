"""The model of healthy, flaky and broken: beside a sum over all hidden paths, and its limits."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from testlytics_analytics.evidence import RunOrder, Stretch, Tried, weigh
from testlytics_analytics.hidden_states import HiddenStates, Posterior
from testlytics_analytics.histories import History, Run
from testlytics_analytics.outcome_priors import Priors

PLAIN = Priors(rates=((0.1, 1.0), (0.4, 1.0)), flaky=0.3, spells=0.0, breaks=((0.01, 1.0),))
LASTING = replace(PLAIN, lasting=3, mended_late=0.01)


def judged(letters: str, priors: Priors | None = None) -> Posterior:
    """Judge a test whose runs are of a commit each."""
    runs = [Run(str(at), str(at), str(at)) for at in range(len(letters))]
    history = History("", "t", "", range(len(letters)), letters)
    told = HiddenStates(priors).judge(weigh(Tried(history), RunOrder(runs)).stretches)
    assert told is not None
    return told


def by_paths(letters: str, priors: Priors) -> tuple[float, float]:
    """Return P(broken now) and P(prone) of a sum over every path of hidden states."""
    kinds = [(1e-6, 0.7), (0.1, 0.15), (0.4, 0.15)]
    [(breaks, _)] = priors.breaks
    whole = broken = prone = 0.0
    for rate, weight in kinds:
        for path in product((False, True), repeat=len(letters)):
            chance = weight
            row = 0
            for at, (ill, letter) in enumerate(zip(path, letters, strict=True)):
                if at == 0:
                    born = priors.born_broken if letter == "F" else 0.0
                    begin = born * (1 - priors.mended) + (1 - born) * breaks
                    chance *= begin if ill else 1 - begin
                elif path[at - 1]:
                    mended = priors.mended if row < priors.lasting else priors.mended_late
                    chance *= 1 - mended if ill else mended
                else:
                    chance *= breaks if ill else 1 - breaks
                row = row + 1 if letter == "F" else 0
                fails = priors.broken_rate if ill else rate
                chance *= fails if letter == "F" else 1 - fails
            whole += chance
            broken += chance * path[-1]
            prone += chance * (rate > 1e-6)
    return broken / whole, prone / whole


@pytest.mark.parametrize("priors", [PLAIN, LASTING])
@pytest.mark.parametrize(
    "letters",
    [
        *("PPPPPF", "PPPFFF", "PPFPPF", "PFPFPF", "FFFPFF", "PPFFPFFF", "PPFFPPPP", "FPPPPP"),
        *("FFFFFFFF", "PFFFFFFF", "FFFFFPFF", "PFFFFPFF", "FFFFPFFF"),
    ],
)
def test_agrees_with_a_sum_over_all_paths(letters: str, priors: Priors) -> None:
    told = judged(letters, priors)
    broken, prone = by_paths(letters, priors)
    # Behind two passes in a row nobody is broken any more: that is all the model leaves out.
    assert told.broken == pytest.approx(broken, abs=0.01)
    assert told.prone == pytest.approx(prone, abs=0.01)


def test_probabilities_add_up() -> None:
    for letters in ("P", "F", "PPFPPF", "P" * 50 + "F" * 9, "PF" * 40):
        told = judged(letters)
        assert told.broken + told.flaky + told.healthy == pytest.approx(1)


def test_nothing_seen_nothing_said() -> None:
    assert HiddenStates().judge([]) is None


def test_long_passing_makes_a_first_failure_a_break_and_more_failures_surer() -> None:
    first, third = judged("P" * 200 + "F"), judged("P" * 200 + "FFF")
    assert 0.6 < first.broken < third.broken
    assert third.broken > 0.95


def test_a_mended_break_is_no_flake() -> None:
    told = judged("P" * 60 + "F" * 8 + "P" * 60)
    assert told.prone < 0.1
    assert told.rates.at_least < 0.05
    assert told.broken < 0.001


def test_the_rate_of_a_steady_flake_is_found() -> None:
    told = judged(("P" * 9 + "F") * 40)
    assert told.flaky > 0.9
    assert told.rates.mean == pytest.approx(0.1, rel=0.1)
    assert 0.06 < told.rates.low < 0.1 < told.rates.high < 0.14


def test_a_single_pass_within_a_break_is_not_the_end_of_it() -> None:
    told = judged("P" * 80 + "F" * 10 + "P" + "F" * 10)
    assert told.broken > 0.9
    assert told.prone < 0.5


def test_bad_spells_are_told_from_breaks_by_those_before() -> None:
    spell = "FFPFFF"
    told = judged(("P" * 30 + spell) * 5 + "P" * 30 + "FF")
    assert told.broken < 0.5 < judged("P" * 200 + "FF").broken


def test_where_it_broke() -> None:
    told = judged("P" * 50 + "FFFF")
    assert sum(share for _, share in told.since) == pytest.approx(told.broken)
    assert max(told.since, key=lambda one: one[1])[0] == 50


@pytest.mark.parametrize("runs", [30, 60, 100, 400])
@pytest.mark.parametrize("before", ["", "P", "PPPPP"])
def test_what_fails_for_long_is_broken_and_not_a_flake_of_a_high_rate(
    before: str, runs: int
) -> None:
    told = judged(before + "F" * runs)
    assert told.broken > 0.85
    assert told.rates.at_least < 0.15


def test_extreme_histories_have_verdicts() -> None:
    model = HiddenStates()
    for stretches in (
        [Stretch(500, (500,), 1000, (0,))],
        [Stretch(0, (1,) * 5000, 5000, tuple(range(5000)))],
        [Stretch(10**6, (), 10**6, (0,)), Stretch(0, (40,), 40, (10**6,))],
        [Stretch(2000, (3,), 1000, (0,)), Stretch(0, (9, 9), 2, (1000, 1001))],
    ):
        told = model.judge(stretches)
        assert told is not None
        assert told.broken + told.flaky + told.healthy == pytest.approx(1)
        assert 0 <= told.rates.low <= told.rates.high <= 1
