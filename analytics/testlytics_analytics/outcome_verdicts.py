"""The verdict on the outcomes of each test: flaky, broken, stable or unknown, with probabilities.

Brings together what the outcomes prove (`evidence`), how likely each explanation is
(`hidden_states`) and where a breakage began (`outcome_changes`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from testlytics_analytics.evidence import (
    PROVEN,
    STRONG,
    Evidence,
    RunOrder,
    Stretch,
    Tried,
    entropy,
    weigh,
)
from testlytics_analytics.hidden_states import HiddenStates, Posterior
from testlytics_analytics.histories import FLAKY, PASSED, History
from testlytics_analytics.outcome_changes import broken_since
from testlytics_analytics.outcome_priors import Priors


@dataclass(frozen=True, slots=True)
class VerdictOptions:
    """Constants of the verdict.

    Attributes:
        broken: Broken from this probability of being broken now.
        flaky: Flaky from this probability of failing at times, if it also changed back and forth:
            what has only begun or only ceased to fail is never called so.
        stable: Stable up to this probability of flaking at the threshold or above, and of being
            broken now …
        settled: … and with at least this many runs.
        priors: Constants of the model, the threshold of the flake rate among them.
    """

    broken: float = 0.6
    flaky: float = 0.7
    stable: float = 0.1
    settled: int = 10
    priors: Priors = field(default_factory=Priors)


class Since(NamedTuple):
    """Where a test broke; steps, indexes of runs.

    Attributes:
        after: The newest run before the interval in which it passed; None where there is none.
        first: First run of the interval: it broke with the sources of one of these runs, with
            99 % probability, if it is broken.
        likeliest: The likeliest one.
        last: The last one.
    """

    after: int | None
    first: int
    likeliest: int
    last: int


class OutcomeVerdict(NamedTuple):
    """The verdict on one test in one variant. All but the names and counts: None without runs.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant.
        status: flaky, broken, stable or unknown.
        grade: proven, strong or suspected: what speaks for a flake; None where nothing does.
        p_flaky: Probability that it fails at times, and is not broken now.
        p_broken: Probability that it is broken now.
        p_healthy: Probability of neither; the three add up to 1.
        flake_rate: Expected share of attempts that fail while the test is not broken.
        low: Lower bound of its 95 % credible interval; 0 where it may well not be flaky at all.
        high: Upper bound.
        p_threshold: Probability that the flake rate is at the threshold or above.
        runs: Runs that count.
        attempts: Attempts in them.
        failed_runs: Runs with a failed attempt.
        failures: Failed attempts.
        ignored: Runs with a verdict that do not count: systemic or void.
        failure_rate: failed_runs / runs.
        flip_rate: Changes between runs with and without a failure, per pair of neighbours; None
            with fewer than two runs.
        entropy: Of the failure rate, in bits.
        disagreements: Sources on which it both passed and failed.
        since: Where it broke; None where it does not fail now.
    """

    project: str
    test_id: str
    variant: str
    status: str
    grade: str | None
    p_flaky: float | None
    p_broken: float | None
    p_healthy: float | None
    flake_rate: float | None
    low: float | None
    high: float | None
    p_threshold: float | None
    runs: int
    attempts: int
    failed_runs: int
    failures: int
    ignored: int
    failure_rate: float | None
    flip_rate: float | None
    entropy: float | None
    disagreements: int
    since: Since | None


class OutcomeJudge:
    """Judges the tests of one window; keeps tables that all of them share.

    Args:
        order: The runs of the window.
        options: Constants; the defaults where None.
    """

    def __init__(self, order: RunOrder, options: VerdictOptions | None = None) -> None:
        self._order = order
        self._options = options or VerdictOptions()
        self._model = HiddenStates(self._options.priors)
        self._known: dict[int | tuple[Stretch, ...], Posterior | None] = {}

    def judge(self, tried: Tried) -> OutcomeVerdict:
        """Judge one test in one variant."""
        evidence = weigh(tried, self._order)
        told = self._posterior(evidence)
        runs, history = evidence.runs, tried.history
        return OutcomeVerdict(
            history.project,
            history.test_id,
            history.variant,
            status=self._status(evidence, told),
            grade=evidence.grade,
            p_flaky=told and told.flaky,
            p_broken=told and told.broken,
            p_healthy=told and told.healthy,
            flake_rate=told and told.rates.mean,
            low=told and told.rates.low,
            high=told and told.rates.high,
            p_threshold=told and told.rates.at_least,
            runs=runs,
            attempts=evidence.attempts,
            failed_runs=evidence.failed_runs,
            failures=evidence.failures,
            ignored=evidence.ignored,
            failure_rate=evidence.failed_runs / runs if runs else None,
            flip_rate=evidence.flips / (runs - 1) if runs > 1 else None,
            entropy=entropy(evidence.failed_runs, runs),
            disagreements=evidence.disagreements,
            since=_since(told, history, self._order) if told and evidence.failures else None,
        )

    def _posterior(self, evidence: Evidence) -> Posterior | None:
        """Ask the model once for all tests that are alike to it.

        Those that failed once, or together with others, are so often. Tests that never failed
        differ in the number of their runs only.
        """
        key = tuple(evidence.stretches) if evidence.failures else evidence.runs
        if key not in self._known:
            self._known[key] = self._model.judge(evidence.stretches)
        return self._known[key]

    def _status(self, evidence: Evidence, told: Posterior | None) -> str:
        options = self._options
        if told is None:
            return "unknown"
        if told.broken >= options.broken:
            return "broken"
        # A retry that passed can also be a broken test's rare pass: the model weighs that.
        proven = evidence.grade in (PROVEN, STRONG) and told.prone >= 0.5
        if proven or (evidence.grade is not None and told.flaky >= options.flaky):
            return "flaky"
        if (
            not evidence.last_failed
            and evidence.runs >= options.settled
            and max(told.rates.at_least, told.broken) <= options.stable
        ):
            return "stable"
        return "unknown"


def judge_outcomes(
    tests: Iterable[Tried], order: RunOrder, options: VerdictOptions | None = None
) -> list[OutcomeVerdict]:
    """Judge tests over a window of runs; none has a say in the verdict on another.

    Args:
        tests: Histories in any order.
        order: The runs that their steps refer to.
        options: Constants; the defaults where None.

    Returns:
        One verdict per history, by project, test_id and variant.
    """
    judge = OutcomeJudge(order, options)
    return sorted((judge.judge(one) for one in tests), key=lambda one: one[:3])


def _since(told: Posterior, history: History, order: RunOrder) -> Since | None:
    found = broken_since(told.since)
    if found is None:
        return None
    likeliest, first, last = found
    before = range(bisect_left(history.steps, first) - 1, -1, -1)
    good = (
        history.steps[at]
        for at in before
        if history.verdicts[at] in PASSED + FLAKY and history.steps[at] not in order.void
    )
    return Since(next(good, None), first, likeliest, last)
