"""Whether a failure may pass as a known flake: only if it is one of those that were seen before.

A test that is known to flake fails at its rate and in its ways. More failures than that rate makes
plausible, or a failure that says something new, are news, whatever the test did before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, lgamma
from typing import NamedTuple

NEW_FAILURE = "new-failure"
"""Fails, and did not before."""
FLAKY_NEW_FAILURE = "flaky-new-failure"
"""A flaky test that fails in a new way, or more often than it does."""
KNOWN_FLAKE = "known-flake"
"""A flaky test that fails as it is known to."""
BROKEN_BEFORE = "broken-before"
"""Failed in the baseline already, and still does."""


@dataclass(frozen=True, slots=True)
class ExcuseOptions:
    """Constants of the excuse.

    Attributes:
        plausible: So many failed runs or more must be at least this likely for the test's rate …
        plausible_once: … and the first one at least this: of many flaky tests some fail anyway.
        prior: Failures and passes that the rate's prior is worth, each (Jeffreys).
        new_text: What a test never said is news where it would say something new at most this
            often, by the share of its failures whose text came once (Good 1953).
        spell: Failures before count as flakes where at most so many runs in a row failed; more in
            a row were a breakage.
    """

    plausible: float = 0.01
    plausible_once: float = 0.002
    prior: float = 0.5
    new_text: float = 0.25
    spell: int = 2


class Known(NamedTuple):
    """What the baseline knows of a test that fails now.

    Attributes:
        status: flaky, broken, stable or unknown in the baseline; None where it never failed there.
        failed_runs: Runs of the baseline that count in which it failed.
        runs: All runs that count in which it passed or failed.
        spell: Most runs in a row in which it failed.
        failing: Whether it failed in the newest run of the baseline.
        fingerprints: What its failures said, and in how many runs.
    """

    status: str | None
    failed_runs: int
    runs: int
    spell: int
    failing: bool
    fingerprints: Mapping[str, int]


class Excuse(NamedTuple):
    """What is made of a failure.

    Attributes:
        kind: One of the constants of this module.
        likelihood: Probability that a test which flakes at the known rate fails so often or more
            often, or so often in a row, whichever is less likely; None where it is not known to
            flake.
        new_text: Whether the failure says what was not seen of this test before.
    """

    kind: str
    likelihood: float | None
    new_text: bool


def excuse(
    known: Known, since: str, fingerprint: str, options: ExcuseOptions | None = None
) -> Excuse:
    """Say whether a failure is news.

    Besides flaky tests, one is taken for a flake that failed before and passed again, and says the
    same.

    Args:
        known: What the baseline knows.
        since: The runs since then in which it passed or failed, the newest last: F where it
            failed, as in the newest, P where not.
        fingerprint: What the newest failure says.
        options: Constants; the defaults where None.
    """
    options = options or ExcuseOptions()
    new_text = fingerprint not in known.fingerprints
    if known.status == "broken" or (known.failing and (known.status != "flaky" or not new_text)):
        return Excuse(BROKEN_BEFORE, None, new_text)
    again = known.failed_runs > 0 and known.spell <= options.spell and not new_text
    if known.status != "flaky" and not again:
        return Excuse(NEW_FAILURE, None, new_text)
    bad = known.failed_runs + options.prior
    good = known.runs - known.failed_runs + options.prior
    row = len(since) - len(since.rstrip("F"))
    failed = since.count("F")
    likelihood = min(at_least(failed, len(since), bad, good), at_least(row, row, bad, good))
    least = options.plausible if failed > 1 else options.plausible_once
    news = likelihood < least or (new_text and _says_all(known, options))
    return Excuse(FLAKY_NEW_FAILURE if news else KNOWN_FLAKE, likelihood, new_text)


def _says_all(known: Known, options: ExcuseOptions) -> bool:
    """Tell whether nearly all that a test says when it flakes is known."""
    told = sum(known.fingerprints.values())
    once = sum(times == 1 for times in known.fingerprints.values())
    return told > 0 and once <= options.new_text * told


def at_least(failed: int, runs: int, bad: float, good: float) -> float:
    """Return the probability of so many failed runs or more: the tail of a beta-binomial.

    The rate is not known but by what was seen: its posterior is Beta(bad, good).

    Args:
        failed: From 0 to `runs`.
        runs: From 0.
        bad: Failed runs that were seen, and the prior's; above 0.
        good: Likewise, passed ones.
    """
    if failed <= 0:
        return 1.0
    told = sum(_chance(count, runs, bad, good) for count in range(failed, runs + 1))
    return min(1.0, told)


def _chance(count: int, of: int, bad: float, good: float) -> float:
    ways = lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)
    return exp(ways + _log_beta(count + bad, of - count + good) - _log_beta(bad, good))


def _log_beta(one: float, other: float) -> float:
    return lgamma(one) + lgamma(other) - lgamma(one + other)
