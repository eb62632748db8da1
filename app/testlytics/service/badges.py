"""Badges: one figure of a project as a small picture, for a page that shows it as an image."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from testlytics_collector.errors import NotFoundError
from testlytics_collector.store.reader import Window

KINDS = ("tests", "flaky", "broken", "regressions")
"""What a badge can tell."""

MAX_AGE_S = 300
"""How long a badge may be shown before it is asked for again."""

_GOOD, _BAD, _DOUBTFUL, _NOTHING = "#2a7a3b", "#b3261e", "#8a5a00", "#5f6368"
_WIDTH = 6.6
_PADDING = 12

_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label="{label}: {value}">
<title>{label}: {value}</title>
<rect width="{whole}" height="20" rx="3" fill="#3c4043"/>
<path fill="{colour}" d="M{left} 0h{bend}q3 0 3 3v14q0 3 -3 3h-{bend}z"/>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
<text x="{label_at}" y="14" textLength="{label_long}">{label}</text>
<text x="{value_at}" y="14" textLength="{value_long}">{value}</text>
</g></svg>
"""  # noqa: E501 - a template


class Badge(NamedTuple):
    """What a badge says.

    Attributes:
        label: What is counted.
        value: How many, or that nothing is known.
        colour: `#rrggbb`, dark enough for white text.
    """

    label: str
    value: str
    colour: str


def draw(badge: Badge) -> str:
    """Draw a badge as SVG without scripts, styles or anything from elsewhere."""
    label_long, value_long = (round(len(text) * _WIDTH) for text in badge[:2])
    left, right = label_long + _PADDING, value_long + _PADDING
    return _SVG.format(
        label=escape(badge.label),
        value=escape(badge.value),
        colour=badge.colour,
        whole=left + right,
        left=left,
        bend=right - 3,
        label_at=left / 2,
        value_at=left + right / 2,
        label_long=label_long,
        value_long=value_long,
    )


def ask(store: Path, project: str | None, asked: Mapping[str, Any]) -> str:
    """Answer with a badge; one that says so where nothing is known."""
    window = Window(
        project=project,
        branch=asked["branch"],
        variant=asked["variant"],
        since_us=asked["since"],
        last=asked["last"],
    )
    kind = asked["kind"]
    try:
        badge = _of_run(store, window) if kind == "tests" else _of_report(store, window, kind)
    except NotFoundError:
        badge = Badge(kind, "no runs", _NOTHING)
    return draw(badge)


def _of_run(store: Path, window: Window) -> Badge:
    from testlytics import browse

    row = browse.list_runs(store, window, limit=1).rows[0]
    bad, flaky, passed = row["failed"], row["flaky"], row["passed"]
    if bad:
        return Badge("tests", f"{bad} failed, {passed + flaky} passed", _BAD)
    if flaky:
        return Badge("tests", f"{passed} passed, {flaky} flaky", _DOUBTFUL)
    if not passed:
        return Badge("tests", "none passed or failed", _NOTHING)
    return Badge("tests", f"{passed} passed", _GOOD)


def _of_report(store: Path, window: Window, kind: str) -> Badge:
    from testlytics import api

    told = api.report(store, window, sections=[kind])
    number = len(told.sections[0].rows)
    label = {"flaky": "flaky tests", "broken": "broken tests", "regressions": "slower tests"}[kind]
    worse = _DOUBTFUL if kind == "flaky" else _BAD
    return Badge(label, str(number), worse if number else _GOOD)
