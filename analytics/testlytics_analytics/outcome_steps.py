"""Stretches of a history as the steps that the model of `hidden_states` walks through."""

from __future__ import annotations

from collections.abc import Sequence

from testlytics_analytics.evidence import Stretch

Chain = list[Stretch]
"""Stretches in which the test may be broken, in order: failures, and at most one pass between."""

_HEAD = 3
_MOST = 3
_PASSED_RUN = (0, 1, 1)
_PINS = 30


def chained(stretches: Sequence[Stretch]) -> tuple[list[Chain], int, int, int]:
    """Take the chains out of a history.

    Two passes in a row, or sources with many attempts that also passed, end a breakage for sure:
    the healthy test behind them has forgotten what was before, and only the counts matter.

    Returns:
        The chains, and of what lies between them the passed attempts, failed attempts and runs.
    """
    chains: list[Chain] = []
    passes = fails = runs = 0
    joined = False
    for one in stretches:
        sure = one.runs > 1 if not one.fails else one.passes + one.fails[0] > _PINS
        if sure and one.passes:
            passes += one.passes
            fails += sum(one.fails)
            runs += one.runs
        elif joined:
            chains[-1].append(one)
        else:
            chains.append([one])
        joined = not (sure and one.passes)
    return chains, passes, fails, runs


def is_linked(chain: Chain) -> bool:
    """Tell whether a test can have been broken through the passes of a chain.

    Else every stretch of failures in it stands alone, which is cheaper.
    """
    return len(chain) > 1 and any(sum(one.fails) > 1 for one in chain if not one.passes)


def can_break(chain: Chain) -> bool:
    """Tell whether there are sources in a chain on which the test only failed."""
    return any(one.fails and not one.passes for one in chain)


def folded(fails: tuple[int, ...]) -> tuple[int, ...]:
    """Return failures by sources in a form that few stretches differ in.

    Where the test began to fail the order tells; behind that only the counts do, and of many
    failures on equal sources the first few.
    """
    few = tuple([min(_MOST, one) for one in fails])
    return few if len(few) <= _HEAD else few[:_HEAD] + tuple(sorted(few[_HEAD:]))


def steps(one: Stretch) -> list[tuple[int, int, int]]:
    """Return (failures, passes, times) of a stretch, like steps taken together."""
    if not one.fails:
        return [_PASSED_RUN] * one.runs
    if one.passes:
        return [(one.fails[0], one.passes, 1)]
    few = folded(one.fails)
    made = [(fails, 0, 1) for fails in few[:_HEAD]]
    tail = few[_HEAD:]
    return made + [(fails, 0, tail.count(fails)) for fails in dict.fromkeys(tail)]


def single(one: Stretch) -> list[tuple[int, int, int]]:
    """Return (step, failures, passes) of a stretch, one for each sources."""
    if not one.fails:
        return [(one.steps[0], 0, one.passes)]
    return [
        (at, min(fails, _MOST) if not one.passes else fails, one.passes)
        for at, fails in zip(one.steps, one.fails, strict=True)
    ]
