"""Small drawings as SVG: pure functions of their values.

Every number is rounded to what can be seen, so that pages stay small. Colours are classes, which
the page's style gives in dark and light; what a colour says is also said by shape and by text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from math import ceil, floor, isfinite, log10
from typing import NamedTuple

from markupsafe import Markup

from testlytics.report.render import visible

CELL = 3
"""Width of a run in a strip."""

TALL = 12
"""Height of a strip."""

SPARK = (120, 24)
"""Width and height of a sparkline."""

WIDE = 1000
"""Columns that a curve is drawn in, before it is stretched to the room there is."""

HIGH = 180
"""Height of a curve."""

_SHAPES = {"F": f"v{TALL}", "L": "v4m0 4v4", "S": "m0 8v1", "?": "m0 8v1"}
_CLASSES = {"F": "f", "L": "l", "S": "s", "?": "s"}


class Mark(NamedTuple):
    """A place on a curve where its level changed.

    Attributes:
        at: Index of the first value on the new level.
        text: What stands beside it.
        bad: Whether the change is for the worse.
    """

    at: int
    text: str
    bad: bool


class Level(NamedTuple):
    """A stretch of a curve with one level.

    Attributes:
        start: Index of its first value.
        stop: Index behind its last value.
        value: The level.
    """

    start: int
    stop: int
    value: float


class Band(NamedTuple):
    """A stretch of a curve where its values are expected between two.

    Attributes:
        start: Index of its first value.
        stop: Index behind its last value.
        low: Lower edge.
        high: Upper edge.
    """

    start: int
    stop: int
    low: float
    high: float


def strip(letters: str, label: str, titles: Sequence[str] | None = None) -> Markup:
    """Draw the outcomes of one test, one cell for each run.

    A run that passed is low, one that failed is high, one that did both is high with a gap, one
    that was skipped is a dot, and one the test was not in is empty.

    Args:
        letters: One for each run, the oldest first: P passed, F failed, L both, S skipped, `.` not
            there, ? neither.
        label: What is seen, in words: its accessible name.
        titles: What each cell is about, for those that did not pass; without, the cells have none.
    """
    width = len(letters) * CELL
    passed = "".join(
        f"M{start * CELL} 10h{(stop - start) * CELL - 1}"
        for letter, start, stop in _stretches(letters)
        if letter == "P"
    )
    parts = [Markup('<path class="p" d="{}"/>').format(passed)] if passed else []
    for name in ("f", "l", "s"):
        places = [at for at, one in enumerate(letters) if _CLASSES.get(one) == name]
        if places:
            parts.append(_cells(name, places, letters, titles))
    return Markup(
        '<svg class="strip" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img">'
        "<title>{2}</title>{3}</svg>"
    ).format(width, TALL, visible(label), Markup().join(parts))


def _stretches(letters: str) -> list[tuple[str, int, int]]:
    told, start = [], 0
    for letter, some in groupby(letters):
        stop = start + len(list(some))
        told.append((letter, start, stop))
        start = stop
    return told


def _cells(name: str, places: Sequence[int], letters: str, titles: Sequence[str] | None) -> Markup:
    paths = [f"M{at * CELL + 1} 0{_SHAPES[letters[at]]}" for at in places]
    if titles is None or name == "s":
        return Markup('<path class="{}" d="{}"/>').format(name, "".join(paths))
    cells = (
        Markup('<path d="{}"><title>{}</title></path>').format(path, visible(titles[at]))
        for at, path in zip(places, paths, strict=True)
    )
    return Markup('<g class="{}">{}</g>').format(name, Markup().join(cells))


def spark(values: Sequence[float], levels: Sequence[Level], label: str) -> Markup:
    """Draw the values of one test in few pixels, with its levels.

    Args:
        values: One for each run; not finite where there is none.
        levels: What it is compared with, and where it is now.
        label: What is seen, in words: its accessible name.
    """
    width, height = SPARK
    known = [value for value in values if isfinite(value)]
    high = max([*known, *(level.value for level in levels)], default=0.0)
    low = min([*known, *(level.value for level in levels)], default=0.0)
    scale = _Scale(len(values), low, high, width, height - 2, 1)
    drawn = Markup().join(
        Markup('<path class="{}" d="{}"/>').format("g" if number == 0 else "n", scale.flat(level))
        for number, level in enumerate(levels)
    )
    return Markup(
        '<svg class="spark" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img">'
        '<title>{2}</title><path class="v" d="{3}"/>{4}</svg>'
    ).format(width, height, visible(label), scale.path(values), drawn)


def curve(
    values: Sequence[float],
    levels: Sequence[Level],
    marks: Sequence[Mark],
    label: str,
    bands: Sequence[Band] = (),
) -> Markup:
    """Draw values in order, with their levels and where these changed; as wide as there is room.

    Args:
        values: At least one.
        levels: Their levels, the oldest first.
        marks: Where the level changed.
        label: What is seen, in words: its accessible name.
        bands: Where values are expected.
    """
    low, high = curve_bounds(values, bands)
    scale = _Scale(len(values), low, high, WIDE, HIGH, 0)
    grid = Markup().join(
        Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(scale.y(tick))
        for tick in ticks(low, high)
    )
    drawn = Markup().join(
        Markup('<path class="n" d="{}"/>').format(scale.flat(level)) for level in levels
    )
    usual = Markup().join(
        Markup('<path class="band" d="{}"/>').format(scale.area(band)) for band in bands
    )
    noted = Markup().join(_mark(mark, scale) for mark in marks)
    return Markup(
        '<svg class="plot" width="100%" height="{0}" role="img"><title>{1}</title>{2}'
        '<svg width="100%" height="{0}" viewBox="0 0 {3} {0}" preserveAspectRatio="none">'
        '{7}<path class="v" d="{4}"/>{5}</svg>{6}</svg>'
    ).format(HIGH, visible(label), grid, WIDE, scale.path(values), drawn, noted, usual)


def _mark(mark: Mark, scale: _Scale) -> Markup:
    at = scale.x(mark.at - 0.5) * 100 / WIDE
    end = at > 70
    return Markup(
        '<line class="{0}" x1="{1:.1f}%" x2="{1:.1f}%" y1="0" y2="{2}"/>'
        '<text class="{0}" x="{1:.1f}%" dx="{3}" y="11" text-anchor="{4}">{5}</text>'
    ).format(
        "worse" if mark.bad else "better",
        at,
        HIGH,
        -4 if end else 4,
        "end" if end else "start",
        visible(mark.text),
    )


def axis(labels: Sequence[tuple[float, str]], low: float, high: float) -> Markup:
    """Draw what the heights of a curve mean; hidden from readers, whom the curve's name tells.

    Args:
        labels: Values with what stands at their height.
        low: Value at the bottom …
        high: … and at the top.
    """
    scale = _Scale(2, low, high, 60, HIGH, 0)
    texts = Markup().join(
        Markup('<text x="56" y="{}">{}</text>').format(
            min(max(scale.y(value) + 4, 10), HIGH - 1), text
        )
        for value, text in labels
    )
    return Markup('<svg class="axis" width="60" height="{}" aria-hidden="true">{}</svg>').format(
        HIGH, texts
    )


def bar(share: float, kind: str = "bar") -> Markup:
    """Draw a share from 0 to 1 as a bar; hidden from readers, as its number stands beside it."""
    return Markup(
        '<svg class="{}" width="100" height="8" aria-hidden="true">'
        '<rect class="back" width="100" height="8"/><rect width="{:.0f}" height="8"/></svg>'
    ).format(kind, min(max(share, 0), 1) * 100)


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Return between which values a curve is drawn; from zero where that is not far off."""
    low, high = min(values), max(values)
    if high <= 0:
        return 0.0, 1.0
    room = (high - low) * 0.1 or high * 0.1
    return (0.0 if low < high * 0.6 else max(low - room, 0.0)), high + room


def curve_bounds(values: Sequence[float], bands: Sequence[Band] = ()) -> tuple[float, float]:
    """Return between which values a curve with its bands is drawn."""
    return bounds([*values, *(edge for band in bands for edge in (band.low, band.high))])


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Return round values between two, at most so many; the two are apart."""
    step = 10.0 ** floor(log10((high - low) / most))
    step *= next(times for times in (1, 2, 5, 10) if (high - low) / (step * times) <= most)
    first, last = ceil(low / step), floor(high / step)
    return [step * number for number in range(first, last + 1)][:most]


def thinned(values: Sequence[float], most: int) -> list[float]:
    """Return at most so many values: neighbours share one, by the mean of those that are known."""
    signs = min(len(values), most)
    edges = [len(values) * place // signs for place in range(signs + 1)] if signs else []
    told = []
    for start, stop in pairwise(edges):
        known = [value for value in values[start:stop] if isfinite(value)]
        told.append(sum(known) / len(known) if known else float("nan"))
    return told


class _Scale(NamedTuple):
    """Where values stand in a drawing."""

    values: int
    low: float
    high: float
    width: int
    height: int
    above: int

    def x(self, index: float) -> float:
        return min(max((index + 0.5) / max(self.values, 1), 0), 1) * self.width

    def y(self, value: float) -> int:
        span = self.high - self.low
        part = (value - self.low) / span if span > 0 else 0.5
        return self.above + round((1 - part) * self.height)

    def flat(self, level: Level) -> str:
        start, stop = self.x(level.start - 0.5), self.x(level.stop - 0.5)
        return f"M{start:.0f} {self.y(level.value)}H{stop:.0f}"

    def area(self, band: Band) -> str:
        start, stop = self.x(band.start - 0.5), self.x(band.stop - 0.5)
        return f"M{start:.0f} {self.y(band.high)}H{stop:.0f}V{self.y(band.low)}H{start:.0f}Z"

    def path(self, values: Sequence[float]) -> str:
        parts, pen = [], "M"
        for index, value in enumerate(values):
            if not isfinite(value):
                pen = "M"
                continue
            parts.append(f"{pen}{self.x(index):.0f} {self.y(value)}")
            pen = "L"
        # A lone value is a dot: a line of no length with round ends.
        return "".join(parts) + ("h0" if len(parts) == 1 else "")
