"""A row of values as one line of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

BLOCKS = "▁▂▃▄▅▆▇█"
"""Signs for values from the least to the largest."""


class Curve(NamedTuple):
    """Values in order, such as one for each run.

    Attributes:
        title: What they are; may hold untrusted text.
        values: At least one.
        text: Writes a value with its unit.
    """

    title: str
    values: Sequence[float]
    text: Callable[[float], str]


def line(curve: Curve, width: int, *, blocks: bool) -> str:
    """Write a curve.

    Args:
        curve: What to write.
        width: Signs for the values at most; more values share one, by their mean.
        blocks: Whether `BLOCKS` can be written; else only the least and the largest value are.
    """
    low, high = min(curve.values), max(curve.values)
    span = f"{curve.text(low)} to {curve.text(high)}"
    drawn = f"{bars(curve.values, width)}  " if blocks else ""
    return f"{curve.title}  {drawn}{span}"


def bars(values: Sequence[float], width: int) -> str:
    """Draw values, the least as the lowest block and the largest as the highest."""
    signs = min(len(values), width)
    bounds = [len(values) * place // signs for place in range(signs + 1)]
    means = [sum(values[start:stop]) / (stop - start) for start, stop in pairwise(bounds)]
    low, high = min(means), max(means)
    if high <= low:
        return BLOCKS[0] * signs
    return "".join(BLOCKS[round((mean - low) / (high - low) * (len(BLOCKS) - 1))] for mean in means)
