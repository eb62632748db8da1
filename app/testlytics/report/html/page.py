"""The page: what was gathered, in the order that people read it, as one HTML document."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import resources
from itertools import pairwise
from math import exp
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from testlytics.report.html import svg
from testlytics.report.html.strips import Strips
from testlytics.report.html.tables import Grid, grid
from testlytics.report.html.tiles import tiles
from testlytics.report.render import visible
from testlytics.report.sections import Column, Row, Section, commit, count, percent, seconds

if TYPE_CHECKING:
    from testlytics.report.html.gather import Cause, Gathered, Series, SuiteCurve
    from testlytics_collector.store.windowed import RunRow

SUITES = 4
"""Suites whose curve is drawn, the longest; the others are counted."""

CAUSES = 25
"""Causes of failures that are listed, the commonest."""

SHARES = 40
"""Rows of the tables of shares."""

LARGEST = 500_000
"""Bytes of a page."""

FELT = 0.01
"""Slowdowns that make the suite longer by this share are worth looking into …"""

FELT_NAMED = 3
"""… at most so many."""

_CUTS = (250, 125, 60, 30, 10)
"""Rows of the long lists, tried in turn."""

POINTS = 60
"""Values of a sparkline at most."""


class Chart(NamedTuple):
    """The curve of one suite.

    Attributes:
        title: Its heading.
        axis: What the heights mean, as markup.
        plot: The curve, as markup.
        first: When its first run was, and …
        last: … its last one.
        changes: Where its level changed, in sentences.
        runs: Its runs as a table.
    """

    title: str
    axis: Markup
    plot: Markup
    first: str
    last: str
    changes: list[str]
    runs: Grid


class CauseRow(NamedTuple):
    """A cause of failures, as it is read.

    Attributes:
        told: How many failures it has, of how many tests, in how many runs.
        since: The run it was first seen in, and the last one.
        text: What the failures say.
        place: Where one of them was raised; empty where unknown.
    """

    told: str
    since: str
    text: str
    place: str


def html(found: Gathered) -> str:
    """Write the page.

    Args:
        found: What it tells; the same gives the same text.

    Returns:
        The document, below `LARGEST` bytes unless the least lists are larger: where it would be
        larger, the long lists are cut.
    """
    page = ""
    for most in _CUTS:
        page = _written(found, most)
        if len(page.encode()) < LARGEST:
            break
    return page


def _written(found: Gathered, most: int) -> str:
    style, script = _asset("page.css"), _asset("page.js")
    section = found.section
    curves = found.curves[:SUITES]
    several = len(found.curves) > 1
    advised = [(row["kind"], row["text"]) for row in section("advice").rows]
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            title=_title(found),
            summary=found.report.summary,
            lines=found.report.lines,
            tiles=tiles(found),
            style=Markup(style),  # noqa: S704 - a file of ours
            script=Markup(script),  # noqa: S704 - a file of ours
            legend=_legend(),
            policy=_policy(style, script),
            advice=[*advised, *_slower_advice(found)],
            charts=[_chart(one, section("trends_by_run"), several=several) for one in curves],
            more_suites=len(found.curves) - len(curves),
            causes=[_cause(one, found) for one in found.causes[:CAUSES]],
            more_causes=max(len(found.causes) - CAUSES, 0),
            slow={
                name: grid(one, f"The slowest tests, by {name}") for name, one in found.slow.items()
            },
            **_grids(found, most),
        )
    )


def _grids(found: Gathered, most: int) -> dict[str, Grid]:
    """Make the tables, by their names in the template."""
    strips = Column("runs", Strips(found).draw)
    section = found.section

    def listed(name: str, caption: str, drawing: Column) -> Grid:
        one = section(name)
        return grid(one, caption, drawings=[drawing], last=_owned(found, one), most=most)

    def shared(one: Section, caption: str) -> Grid:
        drawing = Column("share", lambda row: svg.bar(row["share"] or 0))
        return grid(one, caption, drawings=[drawing], most=SHARES)

    return {
        "trends": grid(_felt(section("trends")), "What the change of the suite is put down to"),
        "newcomers": grid(section("new_slow"), "New tests that are slow", most=SHARES),
        "broken": listed("broken", "Broken tests, those that broke last first", strips),
        "flaky": listed("flaky", "Flaky tests, the highest flake rate first", strips),
        "slower": listed(
            "regressions",
            "Tests that got slower and stayed so",
            Column("durations", _spark_of(found)),
        ),
        "folders": shared(found.folders, "What the tests of each folder take in a run"),
        "impact": grid(section("impact"), "Tests whose failures cost most", most=SHARES),
        "path": shared(section("critical_path"), "Tests that take most of the critical path"),
    }


def _felt(trends: Section) -> Section:
    """Leave out the parts that there are none of."""
    rows = [row for row in trends.rows if row["before_s"] or row["after_s"]]
    return replace(trends, rows=rows)


def _slower_advice(found: Gathered) -> list[tuple[str, str]]:
    """Tell of the slowdowns that the suite feels, those that cost most first."""
    slower = found.section("regressions")
    suite_s = sum(one.rows[-1]["steady_s"] for one in found.curves)
    # Of one owner's tests there may be none in a group.
    names = {row["group"]: row["test_id"] for row in slower.shown() if "group" in row}
    groups = [one for one in slower.groups or () if one["group"] in names]
    groups.sort(key=lambda one: -one["increase_s"])
    told = []
    for one in groups[:FELT_NAMED]:
        if one["increase_s"] >= suite_s * FELT:
            what = f"{names[one['group']]}: " if one["tests"] == 1 else ""
            share = percent(one["increase_s"] / suite_s) if suite_s else "-"
            cost = f"{seconds(one['increase_s'])} more a run, {share} of the suite"
            since = f"{one['text'][0].lower()}{one['text'][1:]}"
            text = f"Look into {what}{since}: slower by {one['ratio']:.2f}, {cost}."
            told.append(("slower", text))
    return told


def _title(found: Gathered) -> str:
    projects = sorted({run.project for run in found.runs})
    named = ", ".join(projects[:3]) + (" …" if len(projects) > 3 else "")
    return f"Tests of {named}" if projects != ["default"] else "Tests"


def _legend() -> Markup:
    """Say which shape means what in a strip."""
    words = {"P": "passed", "F": "failed", "L": "failed and passed", "S": "skipped"}
    shown = (
        Markup("<li>{} {}</li>").format(svg.strip(letter, word), word)
        for letter, word in words.items()
    )
    return Markup('<ul class="legend">{}<li>empty: not in the run</li></ul>').format(
        Markup().join(shown)
    )


def _owned(found: Gathered, section: Section) -> list[Column]:
    """Return the column of owners, where any of a list has one."""
    owners = found.owner_of

    def owner(row: Row) -> str:
        return owners.get((row["project"], row["test_id"]), "")

    return [Column("owner", owner)] if any(map(owner, section.rows)) else []


def _chart(one: SuiteCurve, runs: Section, *, several: bool) -> Chart:
    values = [row["steady_s"] for row in one.rows]
    levels = [svg.Level(part.start, part.stop, exp(part.level)) for part in one.levels]
    changes, marks = [], []
    for number, (before, after) in enumerate(pairwise(one.levels), 1):
        ratio = exp(after.level - before.level)
        change = f"{'+' if ratio > 1 else '-'}{abs(ratio - 1) * 100:.0f} %"
        marks.append(svg.Mark(after.start, change, ratio > 1))
        first, last = one.rows[max(after.first - 1, 0)], one.rows[after.last]
        changes.append(
            f"{number}. {change}, from {seconds(exp(before.level))} to {seconds(exp(after.level))},"
            f" between {_run(first)} and {_run(last)} (95 %)"
        )
    suite = " ".join(filter(None, [one.project, one.variant]))
    label = (
        f"Seconds of tests a run, {count(len(values), 'run')}: from {seconds(values[0])} to"
        f" {seconds(values[-1])}; {count(len(changes), 'change')} of level"
    )
    low, high = svg.bounds(values)
    return Chart(
        f"Suite duration: {suite}" if several else "Suite duration",
        svg.axis([(tick, seconds(tick)) for tick in svg.ticks(low, high)], low, high),
        svg.curve(values, levels, marks, label),
        _when(one.rows[0]),
        _when(one.rows[-1]),
        changes,
        _runs(one, suite, runs),
    )


def _runs(one: SuiteCurve, suite: str, runs: Section) -> Grid:
    section = replace(runs, rows=one.rows[::-1])
    return grid(section, f"Runs of {suite}, the newest first", most=100)


def _run(row: Row) -> str:
    return commit(row["commit"]) if row["commit"] else f"run {row['run_id']}"


def _when(row: Row) -> str:
    return f"{str(row['started_at'])[:16]} {commit(row['commit']) if row['commit'] else ''}".strip()


def _spark_of(found: Gathered) -> Callable[[Row], str]:
    def draw(row: Row) -> str:
        return _spark(row, found.series.get((row["project"], row["test_id"], row["variant"])))

    return draw


def _spark(row: Row, series: Series | None) -> str:
    if series is None:
        return ""
    values = svg.thinned(series.seconds, POINTS)
    whole = len(values)
    start = max(whole - max(round(row["held"] * whole / max(len(series.seconds), 1)), 1), 0)
    levels = [
        svg.Level(0, start, row["baseline_s"]),
        svg.Level(start, whole, row["current_s"]),
    ]
    label = f"{seconds(row['baseline_s'])} before, {seconds(row['current_s'])} now"
    return svg.spark(values, levels, label)


def _cause(one: Cause, found: Gathered) -> CauseRow:
    first, last = found.runs[one.first], found.runs[one.last]
    since = f"first seen in {_named(first)} ({first.started_at[:16]})"
    if one.last != one.first:
        newest = max(step for step, run in enumerate(found.runs) if run.project == one.project)
        since += ", last in the newest run" if one.last == newest else f", last in {_named(last)}"
    tests = count(one.tests, "test")
    told = f"{count(one.failures, 'failure')} of {tests} in {count(one.runs, 'run')}"
    return CauseRow(told, since, one.example or one.text or "No message.", one.place or "")


def _named(run: RunRow) -> str:
    return commit(run.commit) if run.commit else f"run {run.run_id}"


@cache
def _asset(name: str) -> str:
    return resources.files("testlytics.report.html").joinpath(name).read_text(encoding="utf-8")


def _policy(*inline: str) -> str:
    """Return what the page may do: use these texts of its own, and reach nothing."""
    style, script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def environment(*packages: str) -> Environment:
    """Return what makes pages of templates.

    Args:
        packages: Where templates are looked for before those of the report.
    """
    return Environment(
        loader=ChoiceLoader([PackageLoader(one) for one in (*packages, "testlytics.report.html")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Whatever is printed shows what is in it: no sign of it turns around or hides others.
        finalize=lambda value: (
            visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        ),
    )
