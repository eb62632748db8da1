"""How often a test has to be run again to settle a suspicion.

For a slowdown: the sample size of a comparison of two means with known noise, and the sequential
probability ratio test (A. Wald, Sequential Analysis, 1947), which needs about half of it. For a
failure: the smallest binomial plan that tells a broken test from one that flakes at a known rate.
For a fix: as many passes as a test that still fails would hardly manage (Clopper and Pearson 1934;
Hanley and Lippman-Hand 1983). Repeats are taken for independent, given the run that they are in.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, exp, inf, lgamma, log, log1p
from statistics import NormalDist
from typing import NamedTuple

SLOWER = "slower"
SAME = "same"

_NORMAL = NormalDist()
_ROUNDING = 1e-12
_OVERSHOOT = 0.5826
"""Mean of what a walk of standard normal steps goes beyond a bound (Siegmund 1985, Sequential
Analysis), in steps."""


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """How often a confirmation may be wrong.

    Attributes:
        confirmed: Chance that a suspicion is confirmed that is none.
        dismissed: Chance that one is dismissed that holds.
        most: No plan asks for more repeats.
    """

    confirmed: float = 0.01
    dismissed: float = 0.05
    most: int = 200


def repeats_for_slowdown(
    effect: float,
    noise: float,
    *,
    shared: float = 0.0,
    baseline: float = inf,
    errors: ErrorRates | None = None,
) -> int | None:
    """Say how many repeats tell a slowdown from noise, where their number is fixed beforehand.

    With n repeats in one run the mean has the variance shared² + noise² / n, and the baseline the
    variance (shared² + noise²) / baseline; the effect must be as many standard deviations of the
    difference as both errors ask for.

    Args:
        effect: The slowdown suspected, log units, above 0: log(1.2) is 20 %.
        noise: Standard deviation of repeats in one run, log units.
        shared: Standard deviation of what all repeats of a run share, log units: what is left of
            the machine. More repeats do not help against it, more runs do.
        baseline: Runs that the usual duration was taken from.
        errors: How often it may be wrong; the defaults where None.

    Returns:
        At least 1; None where no number of repeats in one run is enough.
    """
    errors = errors or ErrorRates()
    apart = _NORMAL.inv_cdf(1 - errors.confirmed) + _NORMAL.inv_cdf(1 - errors.dismissed)
    room = (effect / apart) ** 2 - shared**2 - (shared**2 + noise**2) / baseline
    if effect <= 0 or room <= 0:
        return None
    needed = max(1, ceil(noise**2 / room - 1e-9))
    return needed if needed <= errors.most else None


def sequential_slowdown(
    increases: Iterable[float], effect: float, noise: float, errors: ErrorRates | None = None
) -> tuple[str | None, int]:
    """Decide after each repeat whether it is enough: Wald's test of `effect` against none.

    Args:
        increases: Log duration of each repeat less the usual one, in the order they were made.
        effect: The slowdown suspected, log units, above 0.
        noise: Standard deviation of a repeat, log units, above 0.
        errors: How often it may be wrong; the defaults where None.

    Returns:
        `SLOWER`, `SAME` or None where more repeats are needed, and how many were looked at.
    """
    errors = errors or ErrorRates()
    low, high = _bounds(errors)
    told, count = 0.0, 0
    for count, increase in enumerate(increases, 1):
        told += effect * (increase - effect / 2) / noise**2
        if told >= high:
            return SLOWER, count
        if told <= low:
            return SAME, count
    return None, count


def expected_repeats(
    effect: float, noise: float, errors: ErrorRates | None = None
) -> tuple[float, float]:
    """Return how many repeats `sequential_slowdown` needs on average.

    Wald's approximation with Siegmund's correction: the last repeat goes beyond the bound.

    Args:
        effect: The slowdown suspected, log units, above 0.
        noise: Standard deviation of a repeat, log units, above 0.
        errors: How often it may be wrong; the defaults where None.

    Returns:
        The number where the test is slower, and where it is not; at least 1 each.
    """
    errors = errors or ErrorRates()
    low, high = _bounds(errors)
    beyond = _OVERSHOOT * effect / noise
    low, high = low - beyond, high + beyond
    per_repeat = effect**2 / (2 * noise**2)
    slower = (1 - errors.dismissed) * high + errors.dismissed * low
    same = -(errors.confirmed * high + (1 - errors.confirmed) * low)
    return max(1.0, slower / per_repeat), max(1.0, same / per_repeat)


def _bounds(errors: ErrorRates) -> tuple[float, float]:
    low = log(errors.dismissed / (1 - errors.confirmed))
    return low, log((1 - errors.dismissed) / errors.confirmed)


class Repeats(NamedTuple):
    """How often a failed test is to be repeated, and how to read what comes of it.

    Attributes:
        repeats: So often.
        passes: Broken where at most so many of them pass, else it only flaked.
    """

    repeats: int
    passes: int


def repeats_for_failure(
    flake_rate: float, *, broken_rate: float = 0.995, errors: ErrorRates | None = None
) -> Repeats | None:
    """Say how many repeats tell a test that is broken from one that flakes.

    The fewest n, with a bound c, for which Binomial(n, 1 - flake_rate) is at most c with
    `confirmed`, and Binomial(n, 1 - broken_rate) above c with `dismissed`, at most.

    Args:
        flake_rate: How often it fails where it is not broken, from 0 to below 1; best the upper
            bound of what is known of it.
        broken_rate: How often a broken test fails.
        errors: How often it may be wrong; the defaults where None.

    Returns:
        None where the two are too alike for `errors.most` repeats.
    """
    errors = errors or ErrorRates()
    for repeats in range(1, errors.most + 1):
        passes = 0
        # What a broken test passes by chance must be allowed to it.
        while 1 - _at_most(passes, repeats, 1 - broken_rate) > errors.dismissed:
            passes += 1
        if _at_most(passes, repeats, 1 - flake_rate) <= errors.confirmed + _ROUNDING:
            return Repeats(repeats, passes)
    return None


def passes_for_fix(flake_rate: float, *, level: float = 0.95) -> int | None:
    """Say how many passes in a row prove that a test no longer fails at a rate.

    A test that still does passes n times with (1 - flake_rate)^n: 59 passes at 5 % and 95 %.

    Args:
        flake_rate: The rate before the fix, from 0 to 1.
        level: One less the chance of such a row all the same.

    Returns:
        At least 1; None for a rate of 0, which nothing disproves.
    """
    if flake_rate <= 0:
        return None
    if flake_rate >= 1:
        return 1
    return max(1, ceil(log(1 - level) / log1p(-flake_rate) - 1e-9))


def highest_rate(passes: int, *, level: float = 0.95) -> float:
    """Return the highest failure rate that so many passes in a row leave possible.

    The upper bound of Clopper and Pearson without a failure; about 3 / passes at 95 %.

    Args:
        passes: Passes without a failure among them.
        level: Probability that a higher rate would have shown.

    Returns:
        From 0 to 1; 1 without any.
    """
    return 1 - (1 - level) ** (1 / passes) if passes > 0 else 1.0


def _at_most(hits: int, trials: int, rate: float) -> float:
    """Return the probability of at most so many hits."""
    if hits >= trials or rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    return min(
        1.0,
        sum(
            exp(
                lgamma(trials + 1)
                - lgamma(k + 1)
                - lgamma(trials - k + 1)
                + k * log(rate)
                + (trials - k) * log1p(-rate)
            )
            for k in range(hits + 1)
        ),
    )
