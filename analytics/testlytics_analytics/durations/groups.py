"""Since when each slow test is slow, as an interval, and which slowdowns are one regression.

The onset is a change point with the levels before and after it known: the likelihood that a run is
the first slow one is the product of the likelihood ratios of the values from there on (Hinkley
1970), here of Student's distribution, for which one odd value is little evidence. Slowdowns whose
intervals share a run began at one place. Pure arithmetic on matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from testlytics_analytics.durations.robust import Matrix, row_medians, row_spreads
from testlytics_analytics.scopes import Scope

Logs = npt.NDArray[np.float64]

_HARDLY = -200.0
"""Log weight of what is all but impossible: slowdowns that exclude each other add up to it."""


@dataclass(frozen=True, slots=True)
class OnsetOptions:
    """Constants of the onset and of the groups.

    Attributes:
        level: Probability that an interval holds the onset.
        freedom: Degrees of freedom of Student's distribution of a value.
        tick: Least standard deviation of a series, in log seconds.
        most_memory: Values resemble their neighbours; no correlation is taken for larger.
        event_share: More than this share of the tests of a suite at one place are an event of the
            environment …
        event_least: … if they are so many at least.
    """

    level: float = 0.95
    freedom: float = 6.0
    tick: float = 0.004
    most_memory: float = 0.8
    event_share: float = 0.01
    event_least: int = 10


def onsets(steadied: Matrix, starts: Sequence[int], options: OnsetOptions | None = None) -> Logs:
    """Weigh for each run how likely it is the first slow one.

    Args:
        steadied: Log durations without what the machine did, a row per slowdown, a column per run,
            NaN where there is no value.
        starts: The likeliest first slow column of each.
        options: Constants; the defaults where None.

    Returns:
        Log weights, rows by columns; -inf where the onset cannot be: behind the newest value, and
        up to the oldest one. Without a value in some runs all of these are as likely.
    """
    options = options or OnsetOptions()
    columns = np.arange(steadied.shape[1])
    late = columns >= np.asarray(starts, np.int64)[:, None]
    hole = np.float32(np.nan)
    before = row_medians(np.where(late, hole, steadied))
    after = row_medians(np.where(late, steadied, hole))
    left = steadied - np.where(late, after, before)
    spread = row_spreads(left, least=options.tick)
    kernel = (options.freedom + 1) / 2
    with np.errstate(invalid="ignore"):
        told = kernel * (
            np.log1p(((steadied - before) / spread) ** 2 / options.freedom)
            - np.log1p(((steadied - after) / spread) ** 2 / options.freedom)
        )
    known = np.isfinite(told)
    evidence = np.where(known, told, 0).astype(np.float64)
    memory = _memory(left / spread, options)[:, None]
    evidence *= (1 - memory) / (1 + memory)
    logs: Logs = np.cumsum(evidence[:, ::-1], axis=1)[:, ::-1]
    first = np.where(known.any(1), known.argmax(1), len(columns))
    last = len(columns) - 1 - known[:, ::-1].argmax(1)
    fits = (columns > first[:, None]) & (columns <= last[:, None])
    return np.where(fits, logs, -np.inf)


def _memory(left: Matrix, options: OnsetOptions) -> Logs:
    """Estimate each row's correlation of neighbouring values, of those that are no outliers."""
    cut = np.clip(np.where(np.isfinite(left), left, 0), -3, 3).astype(np.float64)
    both = np.isfinite(left[:, 1:]) & np.isfinite(left[:, :-1])
    mass = (cut * cut).mean(1) * np.maximum(both.sum(1), 1) * left.shape[1]
    mass /= np.maximum(np.isfinite(left).sum(1), 1)
    found = (cut[:, 1:] * cut[:, :-1] * both).sum(1) / np.maximum(mass, 1e-12)
    clipped: Logs = np.clip(found, 0, options.most_memory)
    return clipped


def interval(logs: Logs, level: float) -> tuple[int, int]:
    """Return the first and last column of the shortest range that holds the onset.

    Args:
        logs: Log weights by column, at least one of them finite.
        level: With at least this probability. The likeliest columns are taken until it is reached,
            and what lies between them.
    """
    weights = np.exp(logs - logs.max())
    order = np.argsort(-weights, kind="stable")
    enough = int(np.searchsorted(np.cumsum(weights[order]), level * weights.sum()))
    chosen = order[: enough + 1]
    return int(chosen.min()), int(chosen.max())


class Late(NamedTuple):
    """One slowdown, to be grouped with others of its project.

    Attributes:
        test_id: The test.
        variant: The variant.
        ratio: How many times as long it takes.
        steps: Step of each column's run, rising: an index of the runs that all variants share.
        logs: Log weights of the onset by column, see `onsets`.
    """

    test_id: str
    variant: str
    ratio: float
    steps: npt.NDArray[np.int64]
    logs: Logs


class Onset(NamedTuple):
    """Where a slowdown began; steps.

    Attributes:
        after: It began after this run …
        until: … and at or before this one, with 95 % probability.
    """

    after: int
    until: int


class Regression(NamedTuple):
    """Slowdowns that began at one place.

    Attributes:
        members: Indexes of the slowdowns given, rising.
        onset: Where it began, with what all of them say taken together.
        ratio: Median of their ratios.
        many: Whether so much of the suite got slower at once that it is hardly its tests.
    """

    members: tuple[int, ...]
    onset: Onset
    ratio: float
    many: bool


def onset_of(late: Late, options: OnsetOptions | None = None) -> Onset:
    """Return the interval of one slowdown's onset."""
    first, last = interval(late.logs, (options or OnsetOptions()).level)
    return Onset(int(late.steps[first - 1]), int(late.steps[last]))


def regressions(
    found: Sequence[Late], judged: int, options: OnsetOptions | None = None
) -> list[Regression]:
    """Put slowdowns together that began at one place.

    The run that is most likely an onset, all slowdowns taken together, is a place: those whose
    interval holds it belong there. Then the same with those that are left.

    Args:
        found: The slowdowns of one project, of all variants, in any order.
        judged: How many tests and variants were judged.
        options: Constants; the defaults where None.

    Returns:
        Each slowdown in one group; the largest groups first, equal ones by their first place.
    """
    options = options or OnsetOptions()
    if not found:
        return []
    steps = np.unique(np.concatenate([one.steps for one in found]))
    logs = np.array([_on_steps(one, steps) for one in found])
    weights = np.exp(logs)
    weights /= weights.sum(axis=1, keepdims=True)
    ends = np.array([interval(one, options.level) for one in logs])
    left = np.arange(len(found))
    made = []
    while len(left):
        # Sums of the same numbers in another order differ in their last digits.
        place = int(weights[left].sum(axis=0).round(9).argmax())
        inside = (ends[left, 0] <= place) & (place <= ends[left, 1])
        if not inside.any():
            inside = weights[left, place] == weights[left, place].max()
        members = left[inside]
        left = left[~inside]
        many = options.event_least <= len(members) > options.event_share * judged
        ratio = float(np.median([found[at].ratio for at in members]))
        first, last = interval(logs[members].sum(axis=0), options.level)
        onset = Onset(int(steps[first - 1]) if first else int(steps[0]) - 1, int(steps[last]))
        made.append(Regression(tuple(members.tolist()), onset, ratio, many))
    return sorted(made, key=lambda one: (-len(one.members), one.onset))


def _on_steps(late: Late, steps: npt.NDArray[np.int64]) -> Logs:
    """Return the log weights by step, the largest 0: one without a run is as the run behind it."""
    column = np.searchsorted(late.steps, steps)
    there = column < len(late.steps)
    own = np.maximum(late.logs - late.logs.max(), _HARDLY)
    return np.where(there, own[column.clip(max=len(late.steps) - 1)], _HARDLY)


def is_environment(regression: Regression, causes: Sequence[Scope]) -> bool:
    """Tell whether a regression is an event of the environment.

    Args:
        regression: Many tests that got slower at once.
        causes: What they have in common, see `scopes`: where most of them are in one folder, file
            or class, it is that.
    """
    return regression.many and not any(one.hit * 2 > len(regression.members) for one in causes)
