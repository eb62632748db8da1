"""How a suite's duration moved over a window of runs, and by what: parts that add up to the whole.

The first and the last part of the window are compared. What a test takes in a part is its median
over the part's runs, once as measured and once without what the machine did to it; the difference
of the two is the machine's. What is left is told apart by tests that came, went, and clearly got
slower or faster; all others go into the rest. The whole is the sum over tests of what was measured,
so that a run in which tests are missing does not look faster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from testlytics_analytics.durations.robust import Matrix, row_medians
from testlytics_analytics.durations.run_factor import Steadied, steady
from testlytics_analytics.durations.slowdowns import SlowdownOptions, scaled_shifts

PARTS = ("added", "removed", "slower", "faster", "rest", "machine")
"""What a change is put down to; columns of `SuiteTrend.before` and `after`."""

ADDED, REMOVED, SLOWER, FASTER, REST, MACHINE = range(6)

Sums = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TrendOptions:
    """Constants of trends.

    Attributes:
        runs: The newest so many runs are looked at.
        part: Share of the runs that are the first part, and the last; at least one run each.
        share: A new test is slow where it takes at least this share of the suite's duration …
        rank: … or is among so many slowest …
        floor_s: … and takes at least so many seconds.
        retries: A share of tests that are tried again above this is a finding.
        slow: What makes a test clearly slower or faster.
    """

    runs: int = 500
    part: float = 0.25
    share: float = 0.01
    rank: int = 10
    floor_s: float = 0.1
    retries: float = 0.05
    slow: SlowdownOptions = field(default_factory=SlowdownOptions)


class SuiteTrend(NamedTuple):
    """How one suite's duration moved.

    Attributes:
        compared: Runs in the first part, and in the last; 0 where there are less than two runs.
        before: Seconds that each test took in the first part, by what the change is put down to …
        after: … and in the last; the sums of both are the whole.
        kinds: Which of `PARTS` each test's own change is; -1 for a test in neither part.
        typical: Seconds each test usually takes at the end of its stay, without the machine.
        measured: Seconds that all tests of the suite took in each run; a missing value (failed, not
            selected) counts as what the test usually takes.
        steadied: The same without what the machine did.
        tests: Tests in the suite at each run.
        factor: Run factor of each run, 1 is the usual speed, 2 is twice as slow.
    """

    compared: int
    before: Sums
    after: Sums
    kinds: Whole
    typical: Sums
    measured: Sums
    steadied: Sums
    tests: Whole
    factor: Sums


class Newcomer(NamedTuple):
    """A new test that is slow.

    Attributes:
        row: Its row in the matrix.
        typical_s: Seconds it usually takes, without the machine.
        share: That as a share of what all tests take at the end of the window.
        rank: Its place among them, the slowest is 1.
    """

    row: int
    typical_s: float
    share: float
    rank: int


class RetryTrend(NamedTuple):
    """How often tests are tried again.

    Attributes:
        before: Share of the tests of the first part's runs; None without any …
        after: … and of the last part's.
        is_finding: Whether the last one is too large.
    """

    before: float | None
    after: float | None
    is_finding: bool


class _Ends(NamedTuple):
    """Log seconds in the first or the last part, and which tests are in it."""

    clean: Sums
    measured: Sums
    there: Mask


def suite_trend(
    durations: Matrix,
    first: Whole,
    last: Whole,
    among: Mask | None = None,
    options: TrendOptions | None = None,
) -> SuiteTrend:
    """Take a suite's change apart.

    Args:
        durations: Log seconds, series by runs, NaN where there is no value. All of one project and
            variant.
        first: Column of the first run that each series was in, whatever became of it …
        last: … and of the last one.
        among: Which series are summed up, all where None; the machine is estimated from all.
        options: Constants; the defaults where None.
    """
    options = options or TrendOptions()
    runs = durations.shape[1]
    if not runs:
        return _nothing(len(durations))
    columns = np.arange(runs)
    held = np.atleast_1d(np.isfinite(durations).any(axis=1))
    if among is not None:
        held = np.logical_and(held, among)
    there = (columns >= first[:, None]) & (columns <= last[:, None]) & held[:, None]
    clean, machine, steadied = _without_machine(durations, options)
    compared = compared_runs(runs, options)
    ends = _ends(durations, clean, machine, there, compared)
    before, after, kinds = _parts(*ends, steadied, options)
    level = row_medians(clean)
    filled = np.where(np.isfinite(clean), clean, level).astype(np.float64)
    return SuiteTrend(
        compared,
        before,
        after,
        kinds,
        np.where(there.any(axis=1), np.exp(ends[1].clean), 0),
        np.where(there, np.exp(filled + machine), 0).sum(axis=0),
        np.where(there, np.exp(filled), 0).sum(axis=0),
        there.sum(axis=0),
        np.exp(steadied.factor.astype(np.float64)),
    )


def compared_runs(runs: int, options: TrendOptions | None = None) -> int:
    """Return how many of so many runs are the first part, and the last; 0 of less than two."""
    options = options or TrendOptions()
    return max(1, int(runs * options.part)) if runs > 1 else 0


def by_group(values: Sums, labels: Whole, groups: int) -> Sums:
    """Sum up the rows of groups; the sum over the groups is that over the rows.

    Args:
        values: `before` or `after` of a trend.
        labels: The group of each row, from 0.
        groups: How many there are.
    """
    summed = [np.bincount(labels, column, groups) for column in values.T]
    return np.stack(summed, axis=1)


def slow_newcomers(
    trend: SuiteTrend,
    first: Whole,
    last: Whole,
    fresh: Mask,
    options: TrendOptions | None = None,
) -> list[Newcomer]:
    """Find the new tests that are slow, the slowest first; equal ones by row.

    Args:
        trend: Of the suite.
        first: As of `suite_trend`.
        last: As of `suite_trend`.
        fresh: Which tests were not known before the window.
        options: Constants; the defaults where None.
    """
    options = options or TrendOptions()
    now = (last >= len(trend.tests) - trend.compared) & (trend.typical > 0)
    ordered = np.sort(trend.typical[now])
    whole = ordered.sum()
    found = []
    for row in np.flatnonzero(now & fresh & (first > 0) & (trend.typical >= options.floor_s)):
        typical = float(trend.typical[row])
        rank = 1 + len(ordered) - int(np.searchsorted(ordered, typical, "right"))
        share = typical / float(whole)
        if rank <= options.rank or share >= options.share:
            found.append(Newcomer(int(row), typical, share, rank))
    return sorted(found, key=lambda one: (-one.typical_s, one.row))


def retry_trend(tests: Whole, retried: Whole, options: TrendOptions | None = None) -> RetryTrend:
    """Compare how often tests were tried again in the first and the last part of a window.

    Args:
        tests: How many tests each run holds, the oldest run first.
        retried: How many of them were tried again.
        options: Constants; the defaults where None.
    """
    options = options or TrendOptions()
    compared = compared_runs(len(tests), options) or len(tests)
    before, after = (
        float(retried[end].sum() / tests[end].sum()) if tests[end].sum() else None
        for end in (slice(0, compared), slice(len(tests) - compared, None))
    )
    return RetryTrend(before, after, after is not None and after > options.retries)


def _nothing(tests: int) -> SuiteTrend:
    parts, none = np.zeros((tests, len(PARTS))), np.zeros(0)
    kinds = np.full(tests, -1)
    return SuiteTrend(
        0, parts, parts, kinds, np.zeros(tests), none, none, np.zeros(0, np.int64), none
    )


def _without_machine(durations: Matrix, options: TrendOptions) -> tuple[Matrix, Sums, Steadied]:
    """Return log seconds at the machine's usual speed, and what it made of them in each run."""
    slow = options.slow
    long = np.exp(row_medians(durations)[:, 0]) >= slow.trusted_s
    trusted = long if long.sum() >= slow.factor.tests else None
    steadied = steady(durations, trusted, slow.factor)
    common = steadied.sensitivity[:, None] * steadied.factor
    clean = steadied.residuals + row_medians(durations - steadied.residuals - common)
    machine = np.where(np.isfinite(durations), durations - clean, common).astype(np.float64)
    return clean, machine, steadied


def _ends(
    durations: Matrix, clean: Matrix, machine: Sums, there: Mask, compared: int
) -> tuple[_Ends, _Ends]:
    """Return what tests took in the first and the last part.

    A test is in a part where it is in the suite at half of its runs. What is not known of one part
    is as in the other: nothing changed that anybody saw.
    """
    runs = durations.shape[1]
    slices = slice(0, compared), slice(runs - compared, runs)
    own = [row_medians(clean[:, part])[:, 0].astype(np.float64) for part in slices]
    usual = row_medians(clean)[:, 0].astype(np.float64)
    found = []
    for part, mine, other in zip(slices, own, own[::-1], strict=True):
        value = np.where(np.isfinite(mine), mine, np.where(np.isfinite(other), other, usual))
        taken = row_medians(durations[:, part])[:, 0].astype(np.float64)
        unseen = ~np.isfinite(taken)
        if compared and unseen.any():
            taken[unseen] = value[unseen] + np.median(machine[unseen][:, part], axis=1)
        found.append(_Ends(value, taken, there[:, part].sum(axis=1) * 2 >= max(compared, 1)))
    return found[0], found[1]


def _parts(
    first: _Ends, last: _Ends, steadied: Steadied, options: TrendOptions
) -> tuple[Sums, Sums, Whole]:
    """Put what each test took in either part under what its change is put down to."""
    rows = np.arange(len(first.there))
    before, after = np.zeros((2, len(rows), len(PARTS)))
    kinds = np.full(len(rows), REST)
    rose, fell = _clear(first, last, steadied, options)
    kinds[rose], kinds[fell] = SLOWER, FASTER
    kinds[~first.there] = ADDED
    kinds[~last.there] = REMOVED
    neither = ~first.there & ~last.there
    for held, end in ((before, first), (after, last)):
        clean = np.where(end.there, np.exp(end.clean), 0)
        held[rows, kinds] = clean
        held[:, MACHINE] = np.where(end.there, np.exp(end.measured), 0) - clean
    kinds[neither] = -1
    return before, after, kinds


def _clear(
    first: _Ends, last: _Ends, steadied: Steadied, options: TrendOptions
) -> tuple[Mask, Mask]:
    """Tell which tests clearly got slower, and which faster; see `slowdowns`."""
    slow = options.slow
    by_machine = np.abs((last.measured - last.clean) - (first.measured - first.clean))
    apart = np.exp(last.clean) - np.exp(first.clean)
    usual_s = np.exp(last.clean).astype(np.float32)
    scaled = scaled_shifts(steadied.residuals, usual_s, slow)
    found = []
    for sign, shifts in ((1, scaled.up), (-1, scaled.down)):
        with np.errstate(invalid="ignore"):
            clear = (shifts.score >= slow.threshold) & (shifts.effect >= np.log(slow.ratio))
            clear &= (shifts.effect >= slow.apart * by_machine) & (sign * apart >= slow.floor_s)
        found.append(clear)
    return found[0], found[1]
