"""Curves of runs, with levels, the band of what is usual, and where the level changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from testlytics.report.html import svg
from testlytics.report.sections import count, seconds
from testlytics.service.pages.asking import Part

if TYPE_CHECKING:
    from testlytics_analytics.durations.segments import Segment


class Chart(NamedTuple):
    """A curve.

    Attributes:
        title: Its heading; empty for none.
        axis: What the heights mean, as markup.
        plot: The curve, as markup.
        first: What its first value is of …
        last: … and its last one; both may hold untrusted text.
        changes: Where its level changed, in sentences.
    """

    title: str
    axis: Markup
    plot: Markup
    first: str
    last: str
    changes: Sequence[str]


class Drawn(NamedTuple):
    """What is drawn over the values.

    Attributes:
        levels: Levels, the oldest first.
        marks: Where they changed.
        changes: The same in sentences.
        bands: Where values are expected.
    """

    levels: Sequence[svg.Level] = ()
    marks: Sequence[svg.Mark] = ()
    changes: Sequence[str] = ()
    bands: Sequence[svg.Band] = ()


def chart(
    title: str,
    values: Sequence[float],
    names: Sequence[str],
    *,
    text: Callable[[float], str] = seconds,
    drawn: Drawn | None = None,
    most: float | None = None,
) -> Part:
    """Draw values of runs in order.

    Args:
        title: Its heading.
        values: At least one, all finite.
        names: Of their runs, for people.
        text: Writes a value.
        drawn: What is drawn over them.
        most: No value can be above this.
    """
    drawn = drawn or Drawn()
    low, high = svg.curve_bounds(values, drawn.bands)
    # What is written alike is written once.
    ticks = {text(tick): tick for tick in svg.ticks(low, high) if most is None or tick <= most}
    label = f"{title or 'Durations'}, {count(len(values), 'run')}: from {text(values[0])} to"
    label += f" {text(values[-1])}"
    if drawn.changes:
        label += f"; {count(len(drawn.changes), 'change')} of level"
    made = Chart(
        title,
        svg.axis([(tick, name) for name, tick in ticks.items()], low, high),
        svg.curve(values, drawn.levels, drawn.marks, label, drawn.bands),
        names[0],
        names[-1],
        drawn.changes,
    )
    return Part("chart", made)


def of_segments(found: Sequence[Segment], names: Sequence[str]) -> Drawn:
    """Draw the levels of a series.

    Args:
        found: The levels, in log seconds.
        names: Of the runs.
    """
    levels = [svg.Level(one.start, one.stop, exp(one.level)) for one in found]
    marks, changes = [], []
    for number, (before, after) in enumerate(pairwise(found), 1):
        ratio = exp(after.level - before.level)
        marks.append(mark(after.start, ratio))
        first, last = names[max(after.first - 1, 0)], names[after.last]
        changes.append(
            f"{number}. {marks[-1].text}, from {seconds(exp(before.level))} to"
            f" {seconds(exp(after.level))}, between {first} and {last} (95 %)"
        )
    return Drawn(levels, marks, changes)


def mark(at: int, ratio: float) -> svg.Mark:
    """Mark a change of level by a ratio."""
    sign = "+" if ratio > 1 else "-"
    return svg.Mark(at, f"{sign}{abs(ratio - 1) * 100:.0f} %", ratio > 1)
