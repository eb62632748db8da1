"""How others tell flaky tests: scores from papers, and the rules of products, from their documents.

Each takes one test and gives a score, higher for flakier; a rule gives 1 or 0. A day is taken as
ten commits where a rule counts in days. None of them knows of outages unless its document says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import groupby, pairwise
from math import exp, log, log2

from scripts.accuracy.outcome_data import SimulatedRun, SimulatedTest, Suite
from testlytics_analytics.outcome_changes import Position, changes

_DAY = 10
_BROKEN = 0.9


class Seen:
    """One test as the rivals see it.

    Args:
        test: The test.
        runs: All runs.
        everybody: Runs in which nearly every test failed.
    """

    def __init__(
        self, test: SimulatedTest, runs: Sequence[SimulatedRun], everybody: frozenset[int]
    ) -> None:
        left = iter(test.tries)
        self.counts = [(1, 0) if letter == "P" else next(left) for letter in test.letters]
        self.letters = test.letters
        self.runs = runs
        self.everybody = everybody

    @cached_property
    def failed(self) -> list[bool]:
        """Runs with a failed attempt."""
        return [letter != "P" for letter in self.letters]

    @cached_property
    def commits(self) -> list[tuple[int, int, int]]:
        """(number, passed attempts, failed attempts) of each commit."""
        by_commit: dict[int, tuple[int, int]] = {}
        for run, (passes, fails) in zip(self.runs, self.counts, strict=True):
            good, bad = by_commit.get(run.commit, (0, 0))
            by_commit[run.commit] = (good + passes, bad + fails)
        return [(number, *both) for number, both in by_commit.items()]

    @cached_property
    def positions(self) -> list[Position]:
        """What the change point analysis counts, by commit."""
        found = []
        for _, some in groupby(zip(self.runs, self.counts, strict=True), key=lambda x: x[0].commit):
            counts = [both for _, both in some]
            retried = [(p, f) for p, f in counts if f and p + f > 1]
            found.append(
                Position(
                    len(counts),
                    sum(f > 0 for _, f in counts),
                    len(retried),
                    sum(not p for p, _ in retried),
                )
            )
        return found


def failure_rate(seen: Seen) -> float:
    """Runs with a failure, per run."""
    return sum(seen.failed) / len(seen.failed)


def entropy(seen: Seen) -> float:
    """Entropy of the failure rate."""
    return _entropy(failure_rate(seen))


def _entropy(rate: float) -> float:
    return -sum(share * log2(share) for share in (rate, 1 - rate) if share > 0)


def flip_rate(seen: Seen) -> float:
    """Changes between neighbouring runs, per pair."""
    return _flips(seen.failed)


def _flips(failed: Sequence[bool]) -> float:
    return sum(one != other for one, other in pairwise(failed)) / max(1, len(failed) - 1)


def apple(seen: Seen) -> float:
    """Apple's flip rate of windows of ten runs, weighted by age with lambda 0.1."""
    score = weight = 0.0
    for at in range(0, len(seen.failed), 10):
        score = _flips(seen.failed[at : at + 10]) + 0.9 * score
        weight = 1 + 0.9 * weight
    return score / weight


def same_commit(seen: Seen) -> float:
    """Commits with both outcomes, per commit."""
    return sum(good > 0 < bad for _, good, bad in seen.commits) / len(seen.commits)


def luci(seen: Seen) -> float:
    """Failure rate outside of the segments in which nearly every run failed."""
    edges = [0, *[one.at for one in changes(seen.positions)], len(seen.positions)]
    runs = failed = 0
    for left, right in pairwise(edges):
        some = sum(one.runs for one in seen.positions[left:right])
        bad = sum(one.failed for one in seen.positions[left:right])
        if bad < _BROKEN * some:
            runs, failed = runs + some, failed + bad
    return failed / runs if runs else 0.0


def luci_says_broken(seen: Seen) -> bool:
    """Whether the newest segment began with a change and nearly every run of it failed."""
    found = changes(seen.positions)
    return bool(found) and found[-1].behind.failed >= _BROKEN * found[-1].behind.runs


_RATES = (1e-5, 1e-4, 1e-3, 3e-3, 0.006, 0.012, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_BAD = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


def pfs(seen: Seen) -> float:
    """Meta's probabilistic flakiness, as a mixture of good and bad commits."""
    kinds: dict[tuple[int, int], int] = {}
    for _, good, bad in seen.commits:
        kinds[good, bad] = kinds.get((good, bad), 0) + 1
    told = [
        (
            rate,
            sum(
                times * log((1 - share) * rate**b * (1 - rate) ** g + share * 0.99**b * 0.01**g)
                for (g, b), times in kinds.items()
            ),
        )
        for rate in _RATES
        for share in _BAD
    ]
    top = max(chance for _, chance in told)
    weights = [exp(chance - top) for _, chance in told]
    return sum(rate * x for (rate, _), x in zip(told, weights, strict=True)) / sum(weights)


def codecov(seen: Seen) -> float:
    """Any failure on the main branch is a flake, until 30 passes in a row."""
    return float(any(seen.failed[-30:]) or "P" * 30 not in seen.letters.lstrip("P"))


def trunk(seen: Seen) -> float:
    """A failure and a success on one commit within seven days."""
    return float(any(good > 0 < bad for _, good, bad in seen.commits[-7 * _DAY :]))


def datadog(seen: Seen) -> float:
    """A failure and a success on one commit within the last 30 days."""
    return float(any(good > 0 < bad for _, good, bad in seen.commits[-30 * _DAY :]))


def buildpulse(seen: Seen) -> float:
    """Both outcomes on one tree, or more than 30 % failures of ten results or more."""
    results = sum(good + bad for _, good, bad in seen.commits)
    bad = sum(some for _, _, some in seen.commits)
    return float(same_commit(seen) > 0 or (results >= 10 and bad > 0.3 * results))


def allure(seen: Seen) -> float:
    """It fails now, and of the last five runs a pass is newer than a failure."""
    last = seen.failed[-6:-1]
    return float(seen.failed[-1] and any(bad and not all(last[at:]) for at, bad in enumerate(last)))


def reportportal(seen: Seen) -> float:
    """Switches within the last 30 launches, of the last retry only."""
    return _flips([not good for good, _ in seen.counts[-30:]])


def testgrid(seen: Seen) -> float:
    """Flips per cell, without three failures in a row and columns in which every test failed."""
    cells = [bad for at, bad in enumerate(seen.failed) if at not in seen.everybody]
    kept: list[bool] = []
    for bad, some in groupby(cells):
        many = list(some)
        kept += [] if bad and len(many) >= 3 else many
    return _flips(kept)


def buildkite(seen: Seen) -> float:
    """Transitions within the last 100 executions, or passed on retry there."""
    recent = [f > 0 for _, f in seen.counts[-100:]]
    again = any(good > 0 < bad for good, bad in seen.counts[-100:])
    return max(float(again), sum(a != b for a, b in pairwise(recent)) / 100)


def flakemetry(seen: Seen) -> float:
    """The weighted blend of its scoring, with a half-life of 14 days."""
    several = [(g, b) for _, g, b in seen.commits if g + b > 1]
    mixed = sum(g > 0 < b for g, b in several) / len(several) if several else 0.0
    newest = seen.commits[-1][0]
    ages: list[tuple[float, int, int]] = [
        (0.5 ** ((newest - at) / (14 * _DAY)), g, b) for at, g, b in seen.commits
    ]
    bad = 1 + sum(weight * b for weight, _, b in ages)
    good = 1 + sum(weight * g for weight, g, _ in ages)
    failing = [at for at, one in enumerate(seen.failed) if one]
    alone = sum(
        not any(seen.failed[near] for near in (at - 1, at + 1) if 0 <= near < len(seen.failed))
        for at in failing
    )
    retried = sum(g > 0 < b for g, b in seen.counts)
    share = len(failing) or 1
    return (
        0.40 * mixed
        + 0.20 * bad / (bad + good)
        + 0.15 * flip_rate(seen)
        + 0.10 * retried / share
        + 0.10 * entropy(seen)
        + 0.05 * alone / share
    )


SCORES: dict[str, Callable[[Seen], float]] = {
    "failure rate": failure_rate,
    "entropy": entropy,
    "flip rate": flip_rate,
    "Apple, weighted flip rate": apple,
    "same-commit disagreement": same_commit,
    "LUCI, failure rate outside broken segments": luci,
    "PFS-like mixture": pfs,
}
"""Scores that rank tests."""

RULES: dict[str, tuple[Callable[[Seen], float], float]] = {
    "Codecov: any failure, until 30 passes": (codecov, 1.0),
    "Trunk: both on one commit in 7 days": (trunk, 1.0),
    "Datadog: both on one commit in 30 days": (datadog, 1.0),
    "BuildPulse: both on one tree, or > 30 %": (buildpulse, 1.0),
    "Allure 3: fails, and passed after a failure in the last 5": (allure, 1.0),
    "ReportPortal: a switch in 30 launches": (reportportal, 1e-9),
    "TestGrid: a flip outside of 3 failures in a row": (testgrid, 1e-9),
    "Buildkite: passed on retry, or transitions >= 0.1": (buildkite, 0.1),
    "Flakemetry: score >= 0.8": (flakemetry, 0.8),
}
"""Rules of products, and the score from which they call a test flaky."""


def everybody_failed(suite: Suite) -> frozenset[int]:
    """Return the runs in which at least 80 % of the tests failed."""
    return frozenset(at for at, some in enumerate(suite.failing) if some >= 0.8 * suite.size)
