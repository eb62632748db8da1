"""Figures of one simulated suite: how right testlytics and the others are on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from scripts.accuracy.outcome_data import WORTH, Shape, SimulatedTest, Suite, simulate
from scripts.accuracy.outcome_oracle import Known, known
from scripts.accuracy.outcome_reference import Judged, outage_shares, reference
from scripts.accuracy.outcome_rivals import (
    RULES,
    SCORES,
    Seen,
    everybody_failed,
    luci_says_broken,
)
from testlytics_analytics.evidence import RunOrder, Tried, systemic_runs
from testlytics_analytics.histories import History, Run
from testlytics_analytics.outcome_verdicts import OutcomeJudge, OutcomeVerdict, VerdictOptions

STREAKS = (1, 2, 3, 5)
OURS, PLAIN = "testlytics", "plain hidden Markov model (reference)"
ORACLE = "ceiling: knows all constants of the simulator"
_EVERY = 3
"""At the first failures, every third test tells."""

_SLOW = {"LUCI, failure rate outside broken segments", "PFS-like mixture"}

Rated = tuple[float, bool]
Figures = dict[str, float]


class Case(NamedTuple):
    """A suite, and what testlytics says of it.

    Attributes:
        suite: The suite.
        shape: What it was simulated with.
        order: Its runs, as testlytics sees them.
        tried: Its tests that failed, in the order of the suite.
        judge: What judges them.
        verdicts: On each of them.
        calm: On a test that never failed.
    """

    suite: Suite
    shape: Shape
    order: RunOrder
    tried: Sequence[Tried]
    judge: OutcomeJudge
    verdicts: Sequence[OutcomeVerdict]
    calm: OutcomeVerdict


def judged_suite(seed: int, shape: Shape) -> Case:
    """Simulate a suite and judge its tests."""
    suite = simulate(seed, shape)
    runs = [Run(str(at), str(run.commit), str(run.commit)) for at, run in enumerate(suite.runs)]
    told = [suite.size] * len(runs)
    order = RunOrder(runs, systemic_runs(suite.failing, told))
    judge = OutcomeJudge(order, VerdictOptions())
    tried = [_tried(test, len(runs)) for test in suite.tests]
    calm = judge.judge(Tried(History("", "calm", "", range(len(runs)), "P" * len(runs))))
    return Case(suite, shape, order, tried, judge, [judge.judge(one) for one in tried], calm)


def _tried(test: SimulatedTest, runs: int) -> Tried:
    """Return a test as it was known after so many runs."""
    letters = test.letters[:runs]
    known = len(letters) - letters.count("P")
    return Tried(History("", str(test.number), "", range(runs), letters), test.tries[:known])


def figures_of(case: Case, *, small: bool) -> Figures:
    """Return all figures of one suite.

    Args:
        case: The suite.
        small: Without the rivals that take long, and without the ceiling.

    Returns:
        By names: rank/METHOD/ap|broken, rule/METHOD/flaky|broken|healthy, trust/…,
        first/STREAK/METHOD/precision|recall|at recall and first/STREAK/share.
    """
    suite = case.suite
    shares = outage_shares(suite)
    plain = _reference(suite, shares)
    everybody = everybody_failed(suite)
    seen = [Seen(test, suite.runs, everybody) for test in suite.tests]
    figures: Figures = {}
    oracle = [] if small else _ceiling(figures, case)
    _rank(
        figures,
        OURS,
        case,
        [one.p_threshold or 0.0 for one in case.verdicts],
        case.calm.p_threshold,
    )
    quiet = "P" * len(suite.runs)
    calm = reference(quiet, (), suite.runs, shares)
    _rank(figures, PLAIN, case, [one.rate for one in plain], calm.rate)
    for name, score in SCORES.items():
        if not (small and name in _SLOW):
            _rank(figures, name, case, _remembered(score, seen), score(_calm(suite, everybody)))
    for name, (rule, least) in RULES.items():
        _flag(figures, name, case, [one >= least for one in _remembered(rule, seen)])
    _flag(figures, OURS, case, [one.status == "flaky" for one in case.verdicts])
    _calibrate(figures, case)
    _streaks(figures, case, (plain, oracle), seen)
    return figures


def _ceiling(figures: Figures, case: Case) -> list[Known]:
    """Enter what can be known at all of the suite's tests, and return it."""
    suite = case.suite
    keys = [(test.letters, tuple(test.tries)) for test in suite.tests]
    calm = ("P" * len(suite.runs), ())
    patterns = list(dict.fromkeys([*keys, calm]))
    told = dict(zip(patterns, known(suite, case.shape, patterns), strict=True))
    found = [told[key] for key in keys]
    _rank(figures, ORACLE, case, [one.at_least for one in found], told[calm].at_least)
    pairs = [
        (one.at_least - (test.rate >= WORTH)) ** 2
        for one, test, verdict in zip(found, suite.tests, case.verdicts, strict=True)
        if verdict.failures
    ]
    figures["trust/ceiling"] = sum(pairs) / len(pairs)
    return found


def _calm(suite: Suite, everybody: frozenset[int]) -> Seen:
    test = SimulatedTest(-1, "P" * len(suite.runs), (), 0.0, False, frozenset())
    return Seen(test, suite.runs, everybody)


def _remembered(score: Callable[[Seen], float], seen: Sequence[Seen]) -> list[float]:
    """Score each test; most failed in an outage only, and many of these look alike."""
    known: dict[object, float] = {}
    scores = []
    for one in seen:
        key = (one.letters, tuple(one.counts))
        if key not in known:
            known[key] = score(one)
        scores.append(known[key])
    return scores


def _reference(suite: Suite, shares: Sequence[float]) -> list[Judged]:
    known: dict[object, Judged] = {}
    found = []
    for test in suite.tests:
        key = (test.letters, tuple(test.tries))
        if key not in known:
            known[key] = reference(test.letters, test.tries, suite.runs, shares)
        found.append(known[key])
    return found


def _rank(
    figures: Figures, name: str, case: Case, scores: Sequence[float], calm: float | None
) -> None:
    """Enter the average precision, and how many broken tests stand above 90 % recall."""
    tests = case.suite.tests
    rated = [(score, test.rate >= WORTH) for score, test in zip(scores, tests, strict=True)]
    rated += [(calm or 0.0, rate >= WORTH) for rate in case.suite.calm_rates]
    figures[f"rank/{name}/ap"] = average_precision(rated)
    flaky = sorted((score for score, worth in rated if worth), reverse=True)
    cut = flaky[-(-9 * len(flaky) // 10) - 1]
    above = [
        s >= cut for s, test in zip(scores, tests, strict=True) if test.broken and not test.rate
    ]
    figures[f"rank/{name}/broken"] = 1000 * sum(above) / len(above)


def average_precision(rated: Sequence[Rated]) -> float:
    """Return the mean precision at each positive; equal scores stand in random order."""
    positives = sum(worth for _, worth in rated)
    blocks: dict[float, tuple[int, int]] = {}
    for score, worth in rated:
        some, good = blocks.get(score, (0, 0))
        blocks[score] = (some + 1, good + worth)
    seen = hits = 0
    total = 0.0
    for score in sorted(blocks, reverse=True):
        some, good = blocks[score]
        seen, hits = seen + some, hits + good
        total += good * hits / seen
    return total / positives


def _flag(figures: Figures, name: str, case: Case, flagged: Sequence[bool]) -> None:
    """Enter how many tests of each sort a rule calls flaky."""
    sorts: dict[str, list[bool]] = {"flaky": [], "broken": [], "healthy": []}
    for flag, test in zip(flagged, case.suite.tests, strict=True):
        if test.rate >= WORTH:
            sorts["flaky"].append(flag)
        elif not test.rate:
            sorts["broken" if test.broken else "healthy"].append(flag)
    quiet = sum(not rate for rate in case.suite.calm_rates)
    missed = sum(rate >= WORTH for rate in case.suite.calm_rates)
    figures[f"rule/{name}/flaky"] = sum(sorts["flaky"]) / (len(sorts["flaky"]) + missed)
    figures[f"rule/{name}/broken"] = 1000 * sum(sorts["broken"]) / len(sorts["broken"])
    figures[f"rule/{name}/healthy"] = 1000 * sum(sorts["healthy"]) / (len(sorts["healthy"]) + quiet)


def _calibrate(figures: Figures, case: Case) -> None:
    """Enter how far the probabilities and intervals can be trusted, of tests with failures."""
    told = [
        (one, test)
        for one, test in zip(case.verdicts, case.suite.tests, strict=True)
        if one.failures
    ]
    figures["trust/brier"] = sum(
        ((one.p_threshold or 0.0) - (test.rate >= WORTH)) ** 2 for one, test in told
    ) / len(told)
    held = [
        (one.low or 0.0) <= test.rate <= (1.0 if one.high is None else one.high)
        for one, test in told
        if test.rate
    ]
    figures["trust/cover"] = sum(held) / len(held)
    steady = [
        hold
        for hold, bursty in zip(held, (t.bursty for _, t in told if t.rate), strict=True)
        if not bursty
    ]
    figures["trust/steady"] = sum(steady) / len(steady)


def _streaks(
    figures: Figures,
    case: Case,
    others: tuple[Sequence[Judged], Sequence[Known]],
    seen: Sequence[Seen],
) -> None:
    """Enter precision and recall of "broken" at the k-th failing run in a row."""
    rows: dict[int, list[tuple[bool, dict[str, float]]]] = {k: [] for k in STREAKS}
    void = set(case.order.void)
    plain, oracle = others
    for number in range(0, len(seen), _EVERY if oracle else 1):
        test, streak = case.suite.tests[number], 0
        for at, letter in enumerate(test.letters):
            if at in void:
                continue
            streak = 0 if letter == "P" else streak + 1
            if streak not in rows:
                continue
            tried = _tried(test, at + 1)
            said = {OURS: case.judge.judge(tried).p_broken or 0.0, PLAIN: plain[number].broken[at]}
            if oracle:
                past = test._replace(letters=tried.history.verdicts, tries=tried.tries)
                now = Seen(past, case.suite.runs[: at + 1], frozenset())
                said |= {ORACLE: oracle[number].broken[at], "LUCI": float(luci_says_broken(now))}
            rows[streak].append((at in test.broken, said))
    for streak, some in rows.items():
        truth = [broken for broken, _ in some]
        figures[f"first/{streak}/share"] = sum(truth) / len(truth)
        for name in some[0][1]:
            least = VerdictOptions().broken if name == OURS else 0.5
            key, scores = f"first/{streak}/{name}", [said[name] for _, said in some]
            _score(figures, key, truth, [score >= least for score in scores])
            if name != "LUCI":
                rated = list(zip(scores, truth, strict=True))
                figures[f"{key}/at recall"] = precision_at(rated, 0.97)


def precision_at(rated: Sequence[Rated], recall: float) -> float:
    """Return the best precision that a threshold reaches with at least this recall."""
    positives = sum(worth for _, worth in rated)
    best, hits = 0.0, 0
    ranked = sorted(rated, reverse=True)
    for at, (score, worth) in enumerate(ranked, 1):
        hits += worth
        ends = at == len(ranked) or ranked[at][0] < score
        if ends and hits >= recall * positives:
            best = max(best, hits / at)
    return best


def _score(figures: Figures, name: str, truth: Sequence[bool], said: Sequence[bool]) -> None:
    hits = sum(a and b for a, b in zip(truth, said, strict=True))
    figures[f"{name}/precision"] = hits / sum(said) if any(said) else 0.0
    figures[f"{name}/recall"] = hits / sum(truth)
