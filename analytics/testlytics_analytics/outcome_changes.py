"""Where the outcomes of a test changed: Bayesian segmentation, and changes of many tests at once.

The method is that of Chromium's LUCI Analysis (Bayes factors of beta-binomial segments, re-written
from its published description): each segment has one rate of runs with a failure and one rate of
runs that failed although they were tried again. It is conservative; `hidden_states` says sooner
that a test is broken, and `broken_since` where that began. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from math import exp, inf, lgamma, log
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """Constants of the segmentation; the defaults are LUCI's.

    Attributes:
        prior: Chance of a change, before anything was seen of it.
        failing: Beta prior of the rate of runs with a failure.
        failing_again: Beta prior of the rate of tried runs in which every attempt failed.
        tail: Probability on each side of the interval of a change's position.
        far: In a group, tests next to each other are at most so many ranks apart.
        overlap: In a group, ranges overlap by more than this share of the shorter one.
    """

    prior: float = 1e-4
    failing: tuple[float, float] = (0.3, 0.5)
    failing_again: tuple[float, float] = (0.5, 0.5)
    tail: float = 0.005
    far: int = 64
    overlap: float = 0.4


class Position(NamedTuple):
    """What became of a test on one state of the sources; or the sum of several.

    Attributes:
        runs: Runs with a verdict.
        failed: Runs with a failed attempt.
        retried: Runs with a failed attempt that had two attempts or more.
        failed_again: … in which every attempt failed.
    """

    runs: int
    failed: int
    retried: int = 0
    failed_again: int = 0


class Change(NamedTuple):
    """A place where a test began to behave differently; indexes of positions.

    Attributes:
        at: The first position of the new behaviour, the likeliest one.
        after: The change came after this position …
        until: … and at or before this one, with 99 % probability.
        before: What was counted in the segment before.
        behind: What was counted in the segment that begins here.
    """

    at: int
    after: int
    until: int
    before: Position
    behind: Position


class Placed(NamedTuple):
    """A change of one test, to be grouped with those of others.

    Attributes:
        rank: Place of the test among all tests of the suite, by name: changed or not.
        test_id: The test.
        after: It came after this position …
        until: … and at or before this one.
    """

    rank: int
    test_id: str
    after: int
    until: int


def changes(positions: Sequence[Position], options: ChangeOptions | None = None) -> list[Change]:
    """Find where a test's behaviour changed.

    Args:
        positions: What became of it, by state of the sources, in order. Never split within one.
        options: Constants; the defaults where None.

    Returns:
        The changes, in order; empty where one behaviour explains everything.
    """
    options = options or ChangeOptions()
    sums = _Sums(positions, options)
    edges = [0, *_starts(positions, sums, options), len(positions)]
    return [
        Change(at, *_interval(sums, left, right, options), sums.of(left, at), sums.of(at, right))
        for left, at, right in zip(edges, edges[1:], edges[2:], strict=False)
    ]


class _Sums:
    """Counts of any segment, and its log likelihood with its rates unknown."""

    def __init__(self, positions: Sequence[Position], options: ChangeOptions) -> None:
        columns = zip(*positions, strict=True) if positions else [()] * 4
        self._columns = [[0, *accumulate(column)] for column in columns]
        self._options = options

    def of(self, left: int, right: int) -> Position:
        return Position(*[column[right] - column[left] for column in self._columns])

    def score(self, left: int, right: int) -> float:
        runs, failed, retried, again = self._columns
        options = self._options
        score = _beta_binomial(
            failed[right] - failed[left], runs[right] - runs[left], *options.failing
        )
        tried = retried[right] - retried[left]
        if tried:
            score += _beta_binomial(again[right] - again[left], tried, *options.failing_again)
        return score


def _starts(positions: Sequence[Position], sums: _Sums, options: ChangeOptions) -> list[int]:
    """Return where segments after the first begin, in order."""
    starts: list[int] = []
    todo = [(0, len(positions))]
    while todo:
        left, right = todo.pop()
        best, at = -inf, left
        for cut in _candidates(positions, left, right):
            score = sums.score(left, cut) + sums.score(cut, right)
            if score > best:
                best, at = score, cut
        if best > -inf and best - sums.score(left, right) + log(options.prior) > 0:
            starts.append(at)
            todo += [(left, at), (at, right)]
    return sorted(starts)


def _candidates(positions: Sequence[Position], left: int, right: int) -> Iterable[int]:
    """Return the positions where passing and failing meet: no other place splits better."""
    kinds = [_kind(one) for one in positions[left:right]]
    return (
        left + at
        for at in range(1, right - left)
        if kinds[at] != kinds[at - 1] or kinds[at] == _MIXED
    )


_MIXED = 2


def _kind(one: Position) -> int:
    """Tell positions of passes and of failures from those that have both, or retries."""
    if not one.failed:
        return 0
    return 1 if one.failed == one.runs and not one.retried else _MIXED


def _interval(sums: _Sums, left: int, right: int, options: ChangeOptions) -> tuple[int, int]:
    """Return after which and until which position the change within a segment came."""
    cuts = range(left + 1, right)
    scores = [sums.score(left, cut) + sums.score(cut, right) for cut in cuts]
    top = max(scores)
    weights = [exp(score - top) for score in scores]
    whole = sum(weights)
    low = _reached(weights, options.tail * whole)
    high = len(weights) - 1 - _reached(weights[::-1], options.tail * whole)
    return cuts[low] - 1, cuts[high]


def _reached(weights: Sequence[float], enough: float) -> int:
    """Return where the sum of the weights first comes to more than `enough`."""
    total = 0.0
    for at, weight in enumerate(weights):
        total += weight
        if total > enough:
            return at
    return len(weights) - 1


@lru_cache(maxsize=1 << 16)
def _beta_binomial(hits: int, trials: int, alpha: float, beta: float) -> float:
    return (
        lgamma(alpha + beta)
        - lgamma(alpha)
        - lgamma(beta)
        + lgamma(hits + alpha)
        + lgamma(trials - hits + beta)
        - lgamma(trials + alpha + beta)
    )


def broken_since(
    since: Sequence[tuple[int, float]], *, tail: float = 0.005
) -> tuple[int, int, int] | None:
    """Say where a test broke that fails now.

    Args:
        since: (step, probability that it broke there), in order; see `hidden_states.Posterior`.
        tail: Probability on each side of the interval.

    Returns:
        The likeliest step, and the first and last one of the interval: it broke with the sources of
        one of them, with 99 % probability. None where it does not fail now.
    """
    whole = sum(share for _, share in since)
    if not whole:
        return None
    shares = [share for _, share in since]
    low = _reached(shares, tail * whole)
    high = len(shares) - 1 - _reached(shares[::-1], tail * whole)
    likeliest = max(range(len(shares)), key=shares.__getitem__)
    return since[likeliest][0], since[low][0], since[high][0]


def grouped(
    found: Iterable[Placed], options: ChangeOptions | None = None
) -> list[tuple[Placed, ...]]:
    """Put changes of many tests at one place together: they are one regression.

    Tests with neighbouring names belong together when their ranges overlap: in each partition of
    names the narrowest range is the base, and others that overlap with it join.

    Args:
        found: Changes, in any order.
        options: Constants; the defaults where None.

    Returns:
        Groups, the largest first, and equal ones by their first test; within one by rank.
    """
    options = options or ChangeOptions()
    places = sorted(set(found))
    partitions: list[list[Placed]] = []
    for one in places:
        if partitions and one.rank - partitions[-1][-1].rank <= options.far:
            partitions[-1].append(one)
        else:
            partitions.append([one])
    groups: list[tuple[Placed, ...]] = []
    for partition in partitions:
        left = sorted(partition, key=lambda one: (one.until - one.after, one))
        while left:
            base = left[0]
            same = [one for one in left if one is base or _overlap(base, one) > options.overlap]
            groups.append(tuple(sorted(same)))
            chosen = set(same)
            left = [one for one in left if one not in chosen]
    return sorted(groups, key=lambda group: (-len(group), group))


class Breakage(NamedTuple):
    """Tests that broke at one place.

    Attributes:
        members: The tests, by rank.
        after: They broke after this position …
        until: … and at or before this one: the narrowest range among them.
    """

    members: tuple[Placed, ...]
    after: int
    until: int


def breakages(found: Iterable[Placed], options: ChangeOptions | None = None) -> list[Breakage]:
    """Put tests that broke at one place together, however far apart their names are.

    Args:
        found: Where each test broke, in any order; the ranks differ.
        options: Constants; the defaults where None, `far` does not count.

    Returns:
        The largest first, and equal ones by their first test.
    """
    places = list(found)
    far = max((one.rank for one in places), default=0)
    made = []
    for group in grouped(places, replace(options or ChangeOptions(), far=far)):
        base = min(group, key=lambda one: (one.until - one.after, one))
        made.append(Breakage(group, base.after, base.until))
    return made


def _overlap(one: Placed, other: Placed) -> float:
    """Return the overlap of two ranges as a share of the shorter one."""
    shared = min(one.until, other.until) - max(one.after, other.after)
    shorter = min(one.until - one.after, other.until - other.after)
    return shared / shorter if shorter > 0 else float(shared >= 0)
