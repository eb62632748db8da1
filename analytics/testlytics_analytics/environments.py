"""Which ways of running a test depends on: "fails only on windows".

Each pair of a variant (`os=windows`) splits the legs of a test in two. How often it failed on
either side is compared by Fisher's exact test (Fisher 1934), only where both sides ran on the same
sources: a leg that came late must not be blamed for what broke before it. The chances are corrected
for the number of splits (Holm 1979). Standard library only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, lgamma
from typing import NamedTuple

_EQUAL = 1 + 1e-7
"""Tables whose chances differ by rounding alone are as likely."""


@dataclass(frozen=True, slots=True)
class EnvironmentOptions:
    """Constants of the judgement.

    Attributes:
        level: A pair is named whose corrected chance is at most this.
    """

    level: float = 0.05


class Leg(NamedTuple):
    """What became of a test in one run and variant.

    Attributes:
        variant: In canonical form, `k=v` with commas between.
        sources: Equal for equal sources; those of a run alone where not known.
        failed: Whether an attempt failed.
    """

    variant: str
    sources: Hashable
    failed: bool


class Dependence(NamedTuple):
    """A way of running in which a test fails more often.

    Attributes:
        pairs: `key=value`; several where they always come together, by name.
        failed: States of the sources on which it failed there, each variant counted …
        of: … of so many.
        failed_elsewhere: The same for all other variants, on the same sources …
        of_elsewhere: … of so many.
        chance: That the two differ so much if the way of running did not matter, after Holm.
    """

    pairs: tuple[str, ...]
    failed: int
    of: int
    failed_elsewhere: int
    of_elsewhere: int
    chance: float

    @property
    def only_there(self) -> bool:
        """Whether it fails nowhere else."""
        return not self.failed_elsewhere


def fisher_exact(table: tuple[int, int, int, int]) -> float:
    """Return the two-sided chance of a table of two by two with its margins given.

    The sum over all tables that are at most as likely as this one.

    Args:
        table: a, b, c, d: a of a + b on one side, c of c + d on the other; each from 0.

    Returns:
        Above 0, at most 1; 1 where a margin is empty.
    """
    a, b, c, d = table
    side, hits, whole = a + b, a + c, a + b + c + d
    least, most = max(0, hits - (c + d)), min(side, hits)
    logs = {
        at: _log_ways(side, at) + _log_ways(whole - side, hits - at)
        for at in range(least, most + 1)
    }
    every = _log_ways(whole, hits)
    own = exp(logs[a] - every)
    return min(1.0, sum(p for one in logs.values() if (p := exp(one - every)) <= own * _EQUAL))


def _log_ways(of: int, some: int) -> float:
    return lgamma(of + 1) - lgamma(some + 1) - lgamma(of - some + 1)


def holm(chances: Sequence[float]) -> list[float]:
    """Correct chances for their number, so that at most `level` of all families have a false one.

    Args:
        chances: Of each test by itself.

    Returns:
        In the same order, each at least as large as before and at most 1.
    """
    corrected = [0.0] * len(chances)
    largest = 0.0
    order = sorted(range(len(chances)), key=lambda at: chances[at])
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[at]))
        corrected[at] = largest
    return corrected


def dependences(legs: Iterable[Leg], options: EnvironmentOptions | None = None) -> list[Dependence]:
    """Name the ways of running in which a test fails more often than in others.

    Args:
        legs: What became of it, without skips. Several runs of one variant on the same sources
            count once: failed where one of them failed.
        options: Constants; the defaults where None.

    Returns:
        The clearest first; equal ones by name. Empty where there is only one variant.
    """
    options = options or EnvironmentOptions()
    failed: dict[tuple[str, Hashable], bool] = defaultdict(bool)
    for leg in legs:
        failed[leg.variant, leg.sources] |= leg.failed
    tables = {
        side: table
        for side in _sides({variant for variant, _ in failed})
        if (table := _table(failed, side)) is not None
    }
    chances = holm([fisher_exact(table) for table in tables.values()])
    found = []
    for (side, (a, b, c, d)), chance in zip(tables.items(), chances, strict=True):
        if chance > options.level:
            continue
        worse, elsewhere = ((a, b), (c, d)) if a * (c + d) > c * (a + b) else ((c, d), (a, b))
        pairs = side.pairs if worse == (a, b) else side.others
        if pairs:  # else it is better there than elsewhere, and no pair names the others
            counts = worse[0], sum(worse), elsewhere[0], sum(elsewhere)
            found.append(Dependence(pairs, *counts, chance))
    return sorted(found, key=lambda one: (one.chance, one.pairs))


class _Side(NamedTuple):
    """One split of the variants: those on one side, and what names either side."""

    variants: frozenset[str]
    pairs: tuple[str, ...]
    others: tuple[str, ...]


def _sides(variants: set[str]) -> list[_Side]:
    """Return the splits that a pair makes, each once, however many pairs make it."""
    holding: dict[frozenset[str], list[str]] = defaultdict(list)
    for pair in sorted({pair for one in variants for pair in one.split(",") if pair}):
        holding[frozenset(one for one in variants if pair in one.split(","))].append(pair)
    found = []
    done: set[frozenset[str]] = set()
    for held, pairs in holding.items():
        rest = frozenset(variants) - held
        if rest and held not in done:
            done |= {held, rest}
            found.append(_Side(held, tuple(pairs), tuple(holding.get(rest, ()))))
    return found


def _table(
    failed: dict[tuple[str, Hashable], bool], side: _Side
) -> tuple[int, int, int, int] | None:
    """Count on the sources that both sides ran on; None where there are none."""
    here = {sources for variant, sources in failed if variant in side.variants}
    there = {sources for variant, sources in failed if variant not in side.variants}
    counts = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for (variant, sources), bad in failed.items():
        if sources in here and sources in there:
            counts[variant in side.variants, bad] += 1
    table = counts[True, True], counts[True, False], counts[False, True], counts[False, False]
    return table if sum(table) else None
