"""Stretches of a history as the steps that the model of `hidden_states` walks through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from testlytics_analytics.evidence import Stretch

Chain = list[Stretch]
"""Stretches in which the test may be broken, in order: failures, and at most one pass between."""

_HEAD = 3
_MOST = 3
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


class Step(NamedTuple):
    """Like sources, one after the other.

    Attributes:
        fails: Failed attempts on each of them.
        passes: Passed ones.
        times: How many sources.
        late: Whether the test has failed for so long that it is not soon mended.
    """

    fails: int
    passes: int
    times: int
    late: bool = False


_PASSED, _PASSED_LATE = Step(0, 1, 1), Step(0, 1, 1, late=True)


def is_late(one: Stretch | None, lasting: int) -> bool:
    """Tell whether behind a stretch a test has failed on so many sources in a row."""
    return one is not None and len(one.fails) >= lasting and not one.passes


def steps(one: Stretch, lasting: int, before: Stretch | None = None) -> list[Step]:
    """Return a stretch as steps, like ones taken together.

    Args:
        one: The stretch.
        lasting: On so many sources in a row a test must have failed for `Step.late`.
        before: The stretch in front of it, None where that does not matter.
    """
    if not one.fails:
        first = _PASSED_LATE if is_late(before, lasting) else _PASSED
        return [first, *[_PASSED] * (one.runs - 1)]
    if one.passes:
        return [Step(one.fails[0], one.passes, 1, is_late(before, lasting))]
    few = folded(one.fails)
    made = [Step(fails, 0, 1) for fails in few[:_HEAD]]
    if len(few) <= _HEAD:
        return made
    young, old = few[_HEAD:lasting], few[max(_HEAD, lasting) :]
    made += [Step(fails, 0, young.count(fails)) for fails in dict.fromkeys(young)]
    return made + [Step(fails, 0, old.count(fails), late=True) for fails in dict.fromkeys(old)]


def single(one: Stretch, lasting: int) -> list[tuple[int, Step]]:
    """Return where each of the sources of a stretch stands, and its step."""
    if not one.fails:
        return [(one.steps[0], Step(0, one.passes, 1))]
    return [
        (at, Step(fails if one.passes else min(fails, _MOST), one.passes, 1, number >= lasting))
        for number, (at, fails) in enumerate(zip(one.steps, one.fails, strict=True))
    ]
