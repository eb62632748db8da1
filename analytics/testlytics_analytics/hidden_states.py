"""Is a test flaky, or was it broken: a hidden Markov model of its outcomes.

At each run a test is healthy and fails with its flake rate, or in a bad spell and fails more often
(`bad_spells`), or broken and fails almost surely. Only a change of the sources breaks or mends it.
How often it flakes and how often it breaks are unknown and summed over a grid. The priors are fixed
and no other test of the suite enters, so that nobody's verdict depends on his neighbours.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log
from operator import add, mul
from typing import NamedTuple

from testlytics_analytics.bad_spells import BadSpells
from testlytics_analytics.evidence import Stretch
from testlytics_analytics.flake_rates import Rates, Refinement
from testlytics_analytics.outcome_priors import Priors
from testlytics_analytics.outcome_steps import (
    Chain,
    Step,
    can_break,
    chained,
    folded,
    is_late,
    is_linked,
    single,
    steps,
)

_Pair = tuple[float, float]
_Square = tuple[float, float, float, float]
_TINY = 1e-300
_SURE = 40.0
_NEVER = 1e-6
"""Failure rate of a test that is not flaky: what it fails for is not worth a name."""


class Posterior(NamedTuple):
    """What the model says of one test; the first three add up to 1.

    Attributes:
        broken: Probability that it is broken now.
        flaky: Probability that it is not broken now and fails at times all the same.
        healthy: Probability of neither.
        prone: Probability that it fails at times when it is not broken, broken now or not.
        rates: Its flake rate.
        since: (step, probability that it broke there and stayed so), of the stretch of failures
            that it is in now, in order; empty where it is in none.
    """

    broken: float
    flaky: float
    healthy: float
    prone: float
    rates: Rates
    since: Sequence[tuple[int, float]]


class HiddenStates:
    """The model with its tables: make one, and judge all tests of a window with it.

    Args:
        priors: Its constants; the defaults where None.
    """

    def __init__(self, priors: Priors | None = None) -> None:
        self._priors = priors = priors or Priors()
        whole = sum(weight for _, weight in priors.rates)
        steady = priors.flaky * (1 - priors.spells) / whole
        rates = [(0.0, 1 - priors.flaky)]
        rates += [(rate, weight * steady) for rate, weight in priors.rates]
        kinds = [
            (rate or _NEVER, breaks, weight * share)
            for breaks, share in priors.breaks
            for rate, weight in rates
        ]
        self._size = len(rates)
        self._kinds = [(rate, breaks) for rate, breaks, _ in kinds]
        self._prior = [log(weight) for _, _, weight in kinds]
        self._logs = [(log(1 - rate), log(rate), log(1 - breaks)) for rate, breaks, _ in kinds]
        self._squares: dict[Step, list[_Square]] = {}
        self._by_fails: dict[tuple[tuple[int, ...], bool], list[float]] = {}
        self._all = range(len(kinds))
        self._refinement = Refinement([rate for rate, _ in priors.rates])
        self._spells = BadSpells(priors)

    def judge(self, stretches: Sequence[Stretch]) -> Posterior | None:
        """Judge one test; None where no run counts.

        Args:
            stretches: What became of it, see `evidence.weigh`.
        """
        if not stretches:
            return None
        chains, passes, fails, runs = chained(stretches)
        last: Chain = []
        if chains and chains[-1][-1] is stretches[-1] and can_break(chains[-1]):
            last = chains.pop()
        logs = self._prior
        linked = [chain for chain in chains if is_linked(chain)]
        for one in (one for chain in chains if not is_linked(chain) for one in chain):
            if one.fails and not one.passes:
                logs = list(map(add, logs, self._alone(one, first=one is stretches[0])))
            else:
                passes += one.passes
                fails += sum(one.fails)
                runs += one.runs
        logs = [
            x + passes * p + fails * f + runs * w
            for x, (p, f, w) in zip(logs, self._logs, strict=True)
        ]
        kept: Sequence[int] = self._all
        for chain in linked:
            mended = self._mended(late=is_late(chain[-1], self._priors.lasting))
            pairs = self._after(chain, kept, first=chain[0] is stretches[0])
            for at, (h, b) in zip(kept, pairs, strict=True):
                logs[at] += log(h * (1 - self._kinds[at][1]) + b * mended or _TINY)
            kept = self._possible(logs, kept)
        broken = [0.0] * len(logs)
        if last:
            pairs = self._after(last, kept, first=last[0] is stretches[0])
            for at, (h, b) in zip(kept, pairs, strict=True):
                logs[at] += log(h + b or _TINY)
                broken[at] = b / (h + b or _TINY)
        return self._posterior(stretches, logs, broken, last)

    @staticmethod
    def _possible(logs: list[float], kept: Sequence[int]) -> Sequence[int]:
        """Return the kinds that can still matter; the others lose what chance they had.

        Each kind can be broken at any time, and then is no likelier than the others: one that is
        far behind has no way to catch up.
        """
        least = max(logs) - _SURE
        if all(logs[at] > least for at in kept):
            return kept
        for at, one in enumerate(logs):
            if one <= least:
                logs[at] = -inf
        return [at for at in kept if logs[at] > least]

    def _posterior(
        self, stretches: Sequence[Stretch], logs: list[float], broken: list[float], last: Chain
    ) -> Posterior:
        """Weigh the kinds against each other."""
        spell_logs, spell_broken = self._spells.judge(stretches)
        top = max(*logs, *spell_logs)
        weights = [exp(x - top) for x in logs]
        spells = [exp(x - top) for x in spell_logs]
        whole = sum(weights) + sum(spells)
        weights = [x / whole for x in weights]
        size = self._size
        ill = sum(map(mul, weights, broken))
        now = min(1.0, ill + sum(map(mul, spells, spell_broken)) / whole)
        calm = sum(weights[::size])
        healthy = calm - sum(map(mul, weights[::size], broken[::size]))
        return Posterior(
            broken=now,
            flaky=max(0.0, 1 - now - healthy),
            healthy=healthy,
            prone=max(0.0, 1 - calm),
            rates=self._refinement.rates(
                [sum(weights[at::size]) for at in range(size)],
                sum(spells) / whole,
                stretches,
                self._priors.threshold,
            ),
            since=self._since(last, weights, now, first=bool(last) and last[0] is stretches[0]),
        )

    def _mended(self, *, late: bool) -> float:
        return self._priors.mended_late if late else self._priors.mended

    def _alone(self, one: Stretch, *, first: bool) -> list[float]:
        """Return the log likelihood, by kind, of failures that a pass follows."""
        key = (folded(one.fails), first)
        known = self._by_fails.get(key)
        if known is None:
            mended = self._mended(late=is_late(one, self._priors.lasting))
            pairs = self._after([one], self._all, first=first)
            known = self._by_fails[key] = [
                log(h * (1 - breaks) + b * mended or _TINY)
                for (h, b), (_, breaks) in zip(pairs, self._kinds, strict=True)
            ]
        return known

    def _after(self, chain: Chain, kept: Sequence[int], *, first: bool) -> list[_Pair]:
        """Return how likely a chain is that leaves a test (not broken, broken), by kind kept."""
        begin = self._priors.born_broken if first else 0.0
        pairs = [(1 - begin, begin)] * len(kept)
        every = len(kept) == len(self._all)
        lasting = self._priors.lasting
        before: Stretch | None = None
        for one in chain:
            for step in steps(one, lasting, before):
                squares = self._power(step)
                if not every:
                    squares = [squares[at] for at in kept]
                pairs = [
                    (h * hh + b * bh, h * hb + b * bb)
                    for (h, b), (hh, hb, bh, bb) in zip(pairs, squares, strict=True)
                ]
            before = one
        return pairs

    def _power(self, step: Step) -> list[_Square]:
        """Return transitions times likelihood of so many like steps, by kind."""
        known = self._squares.get(step)
        if known is None:
            if step.times == 1:
                known = [self._square(*kind, step) for kind in self._kinds]
            else:
                half = step.times // 2
                first = self._power(step._replace(times=half))
                known = [
                    (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)
                    for (a, b, c, d), (e, f, g, h) in zip(
                        first, self._power(step._replace(times=step.times - half)), strict=True
                    )
                ]
            self._squares[step] = known
        return known

    def _square(self, rate: float, breaks: float, step: Step) -> _Square:
        sure, mended = self._priors.broken_rate, self._mended(late=step.late)
        well = rate**step.fails * (1 - rate) ** step.passes
        ill = sure**step.fails * (1 - sure) ** step.passes
        return (1 - breaks) * well, breaks * ill, mended * well, (1 - mended) * ill

    def _since(
        self, chain: Chain, weights: Sequence[float], now: float, *, first: bool
    ) -> list[tuple[int, float]]:
        """Return where the test broke, of the kinds that matter."""
        likely = [at for at, weight in enumerate(weights) if weight > 2e-3]
        told = [step for one in chain for step in single(one, self._priors.lasting)]
        if not told or now < 1e-3:
            return []
        begin = self._priors.born_broken if first else 0.0
        shares = [0.0] * len(told)
        for kind in likely:
            well, sick = 1 - begin, begin
            starts: list[float] = []
            stays: list[float] = []
            for _, step in told:
                square = self._power(step)[kind]
                starts.append(well * square[1] + (sick * square[3] if not starts else 0.0))
                stays.append(square[3])
                well, sick = (
                    well * square[0] + sick * square[2],
                    well * square[1] + sick * square[3],
                )
            stay = weights[kind] / (well + sick or _TINY)
            for at in range(len(told) - 1, -1, -1):
                shares[at] += starts[at] * stay
                stay *= stays[at]
        scale = now / (sum(shares) or _TINY)
        return [(at, share * scale) for (at, _), share in zip(told, shares, strict=True)]
