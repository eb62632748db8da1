"""Tests that are fine for long and then fail often for a while: the part of the model for them."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

from testlytics_analytics.evidence import Stretch
from testlytics_analytics.outcome_priors import Priors, Spell
from testlytics_analytics.outcome_steps import Step, folded, steps

_Triple = tuple[float, float, float]
_Cube = tuple[float, float, float, float, float, float, float, float, float]
_TINY = 1e-300
_RESCALE = 8


class BadSpells:
    """Likelihoods of histories under each kind of test with bad spells.

    The states are calm, within a spell, and broken. A spell may begin at any run, also of the same
    sources; a breakage only where the sources change.

    Args:
        priors: Which kinds there are.
    """

    def __init__(self, priors: Priors) -> None:
        self._priors = priors
        whole = sum(kind.weight for kind in priors.kinds) or 1.0
        share = priors.flaky * priors.spells / whole
        self._prior = [log(kind.weight * share) for kind in priors.kinds] if share else []
        self._kinds = priors.kinds if share else ()
        self._cubes: dict[tuple[int, ...], list[_Cube]] = {}
        self._calm: dict[int, list[_Cube]] = {}
        self._scales: dict[tuple[int, int], list[float]] = {}

    def judge(self, stretches: Sequence[Stretch]) -> tuple[list[float], list[float]]:
        """Return log prior times likelihood, and the probability of being broken now, by kind."""
        if not self._kinds:
            return [], []
        begin = 0.0 if stretches[0].passes else self._priors.born_broken
        states = [
            (
                (1 - begin) * k.leave / (k.enter + k.leave),
                (1 - begin) * k.enter / (k.enter + k.leave),
                begin,
            )
            for k in self._kinds
        ]
        logs = list(self._prior)
        for number, one in enumerate(stretches, 1):
            cubes = self._stretch(one, logs) if one.fails else self._calm.get(one.runs)
            if cubes is None:
                cubes = self._calm[one.runs] = self._power(Step(0, 1, one.runs))
            states = [
                (
                    h * c[0] + s * c[3] + b * c[6],
                    h * c[1] + s * c[4] + b * c[7],
                    h * c[2] + s * c[5] + b * c[8],
                )
                for (h, s, b), c in zip(states, cubes, strict=True)
            ]
            if not number % _RESCALE:
                states = self._rescaled(states, logs)
        states = self._rescaled(states, logs)
        return logs, [broken for _, _, broken in states]

    def _rescaled(self, states: list[_Triple], logs: list[float]) -> list[_Triple]:
        """Move the size of the states into the logs."""
        made = []
        for at, (calm, spell, broken) in enumerate(states):
            whole = calm + spell + broken or _TINY
            logs[at] += log(whole)
            made.append((calm / whole, spell / whole, broken / whole))
        return made

    def _stretch(self, one: Stretch, logs: list[float]) -> list[_Cube]:
        """Return the transitions of failures; what is too small for them goes into the logs."""
        if one.passes:
            key = (one.fails[0], one.passes)
            cubes = self._cubes.get((0, *key)) or self._mixed(key)
            for at, scale in enumerate(self._scales[key]):
                logs[at] += scale
            return cubes
        few = (-1, *folded(one.fails))
        known = self._cubes.get(few)
        if known is None:
            parts = steps(one, self._priors.lasting)
            known = self._power(parts[0])
            for step in parts[1:]:
                known = _joined(known, self._power(step))
            self._cubes[few] = known
        return known

    def _mixed(self, key: tuple[int, int]) -> list[_Cube]:
        fails, passes = key
        # Many attempts on equal sources are less likely than a float can say.
        self._scales[key] = scales = [
            max(_log_chance(kind.calm, *key), _log_chance(kind.high, *key)) for kind in self._kinds
        ]
        made = [
            self._cube(kind, Step(fails, passes, 1), scale)
            for kind, scale in zip(self._kinds, scales, strict=True)
        ]
        self._cubes[0, fails, passes] = made
        return made

    def _power(self, step: Step) -> list[_Cube]:
        """Return the transitions of so many like steps."""
        key = (-2, *step)
        known = self._cubes.get(key)
        if known is None:
            if step.times == 1:
                known = [self._cube(kind, step, 0.0) for kind in self._kinds]
            else:
                half = step.times // 2
                known = _joined(
                    self._power(step._replace(times=half)),
                    self._power(step._replace(times=step.times - half)),
                )
            self._cubes[key] = known
        return known

    def _cube(self, kind: Spell, step: Step, scale: float) -> _Cube:
        priors, fails, passes = self._priors, step.fails, step.passes
        breaks = priors.breaks_in_spells
        mended = priors.mended_late if step.late else priors.mended
        calm = exp(_log_chance(kind.calm, fails, passes) - scale) * (1 - breaks)
        high = exp(_log_chance(kind.high, fails, passes) - scale) * (1 - breaks)
        ill = exp(_log_chance(priors.broken_rate, fails, passes) - scale)
        return (
            (1 - kind.enter) * calm,
            kind.enter * high,
            breaks * ill,
            kind.leave * calm,
            (1 - kind.leave) * high,
            breaks * ill,
            mended * calm,
            0.0,
            (1 - mended) * ill,
        )


def _log_chance(rate: float, fails: int, passes: int) -> float:
    return fails * log(rate) + passes * log(1 - rate)


def _joined(first: Sequence[_Cube], second: Sequence[_Cube]) -> list[_Cube]:
    """Multiply the transitions, kind by kind."""
    return [
        (
            a * j + b * m + c * p,
            a * k + b * n + c * q,
            a * o + b * r + c * t,
            d * j + e * m + f * p,
            d * k + e * n + f * q,
            d * o + e * r + f * t,
            g * j + h * m + i * p,
            g * k + h * n + i * q,
            g * o + h * r + i * t,
        )
        for (a, b, c, d, e, f, g, h, i), (j, k, o, m, n, r, p, q, t) in zip(
            first, second, strict=True
        )
    ]
