"""Flaky, broken, stable or unknown: one status per test and variant, with its evidence.

The status, its probabilities and the flake rate are those of `outcome_verdicts`; beside them stand
plain counts, and the simple rule that others use, as a reference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from testlytics_analytics.evidence import RunOrder, Tried, counted
from testlytics_analytics.histories import (
    FAILED,
    FLAKY,
    PASSED,
    SKIPPED,
    UNKNOWN,
    History,
    Run,
)
from testlytics_analytics.interval import wilson
from testlytics_analytics.outcome_verdicts import (
    OutcomeJudge,
    OutcomeVerdict,
    Since,
    VerdictOptions,
)


@dataclass(frozen=True, slots=True)
class SimpleRule:
    """The rule of the column `simple_flaky`: no part of the judgement, for comparison.

    Attributes:
        low: Flaky from above this failure rate …
        high: … and below this one …
        more_than: … over more than this many runs.
    """

    low: float = 0.1
    high: float = 0.9
    more_than: int = 10


class Judged(NamedTuple):
    """The status of one test in one variant, with its evidence.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant.
        runs: Runs with a verdict passed, failed or flaky.
        passed: … of which passed.
        failed: … of which failed.
        flaky: … of which flaky: failed and passed in one run.
        skipped: Runs in which the test was only skipped.
        ignored: … of `runs`, those that say nothing of the test: much of the suite failed.
        failure_rate: (failed + flaky) / runs; None without runs.
        low: Lower bound of its 95 % interval (Wilson); None without runs.
        high: Upper bound; None without runs.
        flips: Changes between passing and not, run to run.
        disagreements: Sources on which it both passed and failed.
        failing_streak: Failed runs in a row up to the newest one.
        last_verdict: passed, failed or flaky, of the newest run with one; None without runs.
        failing_since: Run id of the streak's first run; None without a streak.
        failing_commit: Its commit; None without a streak or where unknown.
        passing_commit: Commit of the last run before the streak; None likewise.
        simple_flaky: The reference rule: low < failure_rate < high over enough runs.
        status: flaky, broken, stable or unknown.
        grade: proven, strong or suspected: what speaks for a flake; None where nothing does.
        flake_rate: Expected share of attempts that fail while the test is not broken; None where
            no run counts.
        flake_rate_low: Lower bound of its 95 % credible interval; None likewise.
        flake_rate_high: Upper bound; None likewise.
        p_flaky: Probability that it is not broken now and fails at times; None likewise.
        p_broken: Probability that it is broken now; None likewise.
        p_relevant: Probability that the flake rate is 1 % or more; None likewise.
        broken_run: Run id of the run at which it broke most likely; None where it does not fail
            now.
        broken_commit: Its commit; None likewise or where unknown.
        broken_first_commit: It broke with this commit at the earliest …
        broken_last_commit: … and with this one at the latest, with 99 % probability.
        last_good_commit: Commit of the newest run before these in which it passed; None where it
            never did.
        broken_first_run: Run id of the run that broken_first_commit is of; None likewise.
        broken_last_run: That of broken_last_commit.
        last_good_run: That of last_good_commit.
    """

    project: str
    test_id: str
    variant: str
    runs: int
    passed: int
    failed: int
    flaky: int
    skipped: int
    ignored: int
    failure_rate: float | None
    low: float | None
    high: float | None
    flips: int
    disagreements: int
    failing_streak: int
    last_verdict: str | None
    failing_since: str | None
    failing_commit: str | None
    passing_commit: str | None
    simple_flaky: bool
    status: str
    grade: str | None
    flake_rate: float | None
    flake_rate_low: float | None
    flake_rate_high: float | None
    p_flaky: float | None
    p_broken: float | None
    p_relevant: float | None
    broken_run: str | None
    broken_commit: str | None
    broken_first_commit: str | None
    broken_last_commit: str | None
    last_good_commit: str | None
    broken_first_run: str | None
    broken_last_run: str | None
    last_good_run: str | None


_WORDS = {PASSED: "passed", FAILED: "failed", FLAKY: "flaky"}

_UNTOLD = str.maketrans("", "", SKIPPED + UNKNOWN)
_AS_FAILED = str.maketrans(FLAKY, FAILED)
_SIMPLE = SimpleRule()
_PROOF = PASSED * 2 + FLAKY + PASSED * 2
_SHORT = 200
_OFTEN = 3
_RECENT = 3


class Judgement(NamedTuple):
    """What was made of the tests of a window.

    Attributes:
        rows: The tests judged, sorted by project, test_id, variant.
        more_flaky: How many tests are flaky besides. The newest run of each passed.
    """

    rows: list[Judged]
    more_flaky: int


def judge(
    tests: Iterable[Tried],
    runs: Sequence[Run],
    void: Collection[int] = (),
    options: VerdictOptions | None = None,
    *,
    most: int | None = None,
) -> Judgement:
    """Judge each test and variant over the runs given.

    Args:
        tests: Any order.
        runs: What the steps of their histories refer to.
        void: Steps of runs that say nothing of any one test; see `evidence.outages`.
        options: Constants; the defaults where None.
        most: Of the tests that are flaky beyond doubt only so many are judged in full, which takes
            its time, those of whose attempts the largest share failed; all where None.
    """
    order = RunOrder(runs, void)
    judge_one = OutcomeJudge(order, options).judge
    tests = list(tests)
    sure = [] if most is None else [one for one in tests if is_surely_flaky(one, order)]
    if sure:
        names = {one.history[:3] for one in sure}
        tests = [one for one in tests if one.history[:3] not in names]
    rows = [_judged(one.history, judge_one(one), runs) for one in tests]
    sure.sort(key=lambda one: (-_share(one), one.history))
    rows += [_judged(one.history, judge_one(one), runs) for one in sure[:most]]
    return Judgement(sorted(rows, key=lambda one: one[:3]), len(sure[most:]))


def is_surely_flaky(tried: Tried, order: RunOrder) -> bool:
    """Tell whether a test is flaky beyond doubt: the model could say nothing else.

    It failed once and then passed in one run, with two runs on either side in which it only passed:
    no breakage explains that. In a long history, where a single flake is too rare for a name, it
    did so twice. And none of its newest three runs failed. Where it did so three times one run on
    either side is enough, and that the newest one passed and at most one of five before failed.
    """
    verdicts = counted(tried.history, order) if order.void else tried.history.verdicts
    letters = verdicts.translate(_UNTOLD)
    return (
        (
            letters.count(PASSED + FLAKY + PASSED) >= _OFTEN
            and letters.endswith(PASSED)
            and letters[-2 * _RECENT :].count(FAILED) < 2
        )
        or (
            letters.count(_PROOF) >= (1 if len(letters) <= _SHORT else 2)
            and FAILED not in letters[-_RECENT:]
        )
    ) and max([fails for passes, fails in tried.tries if passes], default=1) == 1


def _share(tried: Tried) -> float:
    """Return the share of attempts that failed, of a test that failed."""
    fails = sum([some for _, some in tried.tries])
    passes = sum([some for some, _ in tried.tries]) + tried.history.verdicts.count(PASSED)
    return fails / (fails + passes)


def _judged(history: History, told: OutcomeVerdict, runs: Sequence[Run]) -> Judged:
    # By what works on whole texts: there are many tests with many runs each.
    letters = history.verdicts.translate(_UNTOLD)
    passed, failed, flaky = [letters.count(letter) for letter in _WORDS]
    bad, count = failed + flaky, len(letters)
    streak = count - len(letters.rstrip(FAILED))
    rate = bad / count if count else None
    low, high = wilson(bad, count) or (None, None)
    begun, before = _streak(history, runs, streak)
    as_failed = letters.translate(_AS_FAILED)
    broke, first, last, good = _broke(told.since, runs)
    return Judged(
        history.project,
        history.test_id,
        history.variant,
        runs=count,
        passed=passed,
        failed=failed,
        flaky=flaky,
        skipped=history.verdicts.count(SKIPPED),
        ignored=told.ignored,
        failure_rate=rate,
        low=low,
        high=high,
        flips=as_failed.count(PASSED + FAILED) + as_failed.count(FAILED + PASSED),
        disagreements=told.disagreements,
        failing_streak=streak,
        last_verdict=_WORDS[letters[-1]] if letters else None,
        failing_since=begun.run_id if begun else None,
        failing_commit=begun.commit if begun else None,
        passing_commit=before.commit if before else None,
        simple_flaky=_is_simply_flaky(rate, count),
        status=told.status,
        grade=told.grade,
        flake_rate=told.flake_rate,
        flake_rate_low=told.low,
        flake_rate_high=told.high,
        p_flaky=told.p_flaky,
        p_broken=told.p_broken,
        p_relevant=told.p_threshold,
        broken_run=broke and broke.run_id,
        broken_commit=broke and broke.commit,
        broken_first_commit=first and first.commit,
        broken_last_commit=last and last.commit,
        last_good_commit=good and good.commit,
        broken_first_run=first and first.run_id,
        broken_last_run=last and last.run_id,
        last_good_run=good and good.run_id,
    )


def _is_simply_flaky(rate: float | None, count: int) -> bool:
    return rate is not None and _SIMPLE.low < rate < _SIMPLE.high and count > _SIMPLE.more_than


def _broke(
    since: Since | None, runs: Sequence[Run]
) -> tuple[Run | None, Run | None, Run | None, Run | None]:
    """Return the run where a test broke, the first and last it can be, and the last good one."""
    if since is None:
        return None, None, None, None
    good = None if since.after is None else runs[since.after]
    return runs[since.likeliest], runs[since.first], runs[since.last], good


def _streak(history: History, runs: Sequence[Run], streak: int) -> tuple[Run | None, Run | None]:
    """Return the first run of a failing streak of such a length, and the one before it."""
    if not streak:
        return None, None
    told = [
        step
        for step, letter in zip(history.steps, history.verdicts, strict=True)
        if letter in _WORDS
    ]
    return runs[told[-streak]], runs[told[-streak - 1]] if streak < len(told) else None
