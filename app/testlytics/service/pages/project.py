"""The health of one project over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from testlytics.report.html.tiles import Tile
from testlytics.report.sections import Row, commit, count, percent, seconds, summarise
from testlytics.service.pages import charts, judging
from testlytics.service.pages.asking import Asked, Block, Part, Shown
from testlytics.service.pages.runs import run_rows, runs_part

if TYPE_CHECKING:
    from testlytics_collector.store.dashboard import PageReader

RUNS = 12
"""Runs listed below the curves."""


def project(asked: Asked) -> Shown:
    """Show how the suite of a project fares: newest run, durations, passes and retries."""
    from testlytics_analytics.outcome_verdicts import VerdictOptions

    with judging.window_of(asked) as window:
        judged = judging.judge(asked, window)
        rows = health_rows(window)
        calm = window.calm(VerdictOptions().settled, judged.void)
    summary, lines = summarise(judged.runs, judged.rows, calm, None, judged.void)
    blocks = [
        Block("summary", "Summary", [Part("tiles", _tiles(asked, summary, rows))], quiet=True),
        Block(
            "duration",
            "Suite duration",
            _durations(rows),
            note="Seconds of all tests of a run, one after another, as measured. Blue steps are"
            " levels; a dashed line is where one changed.",
        ),
        Block("outcomes", "Passes and retries", _rates(rows)),
        Block("runs", "Newest runs", [runs_part(asked, rows[::-1][:RUNS], len(rows[:RUNS]))]),
    ]
    lead = f"{lines[0]}. {'. '.join(lines[2:])}".strip()
    return Shown(asked.name, blocks, lead, summary, {"runs": rows[::-1]})


def health_rows(window: PageReader) -> list[Row]:
    """Return the runs of a window with their health, the oldest first.

    Returns:
        What `runs.run_rows` gives, and `tests_s` (sum of all attempts; null where unknown),
        `judged` (tests that passed or failed), `pass_rate` (share of these that did not fail) and
        `retry_rate` (share that failed and was tried again); both null without any. After
        `judging.judge`.
    """
    rows = run_rows(window)
    seconds_of = window.suite_seconds()
    for step, (row, suite) in enumerate(zip(rows, window.suites(), strict=True)):
        told = suite.told
        row["tests_s"] = seconds_of.get(step)
        row["judged"] = told
        # Of those that ended failed: one that passed when tried again passed.
        row["pass_rate"] = max(0.0, 1 - row["failed"] / told) if told else None
        row["retry_rate"] = min(1.0, row["retried"] / told) if told else None
    return rows


def _tiles(asked: Asked, summary: Row, rows: Sequence[Row]) -> list[Tile]:
    newest = rows[-1]
    links = asked.links
    undecided = summary["undecided"]
    return [
        Tile(
            "Newest run",
            "failed" if newest["failed"] else "passed",
            f"{count(newest['failed'], 'test')} failed, {newest['flaky']} flaky",
            "bad" if newest["failed"] else "good",
            links.to("/run", run=newest["run_id"]),
        ),
        Tile(
            "Tests",
            f"{summary['tests']:,}",
            f"{summary['stable']:,} stable, {summary['unknown']:,} unknown",
            "",
            links.to("/tests"),
        ),
        Tile(
            "Broken",
            f"{summary['broken']:,}",
            f"{undecided} more failed last" if undecided else "",
            "bad" if summary["broken"] else "good",
            links.to("/broken"),
        ),
        Tile(
            "Flaky",
            f"{summary['flaky']:,}",
            f"{percent(summary['flaky'] / summary['tests'])} of tests" if summary["tests"] else "",
            "warn" if summary["flaky"] else "good",
            links.to("/flaky"),
        ),
        Tile("Passed", _rate(newest["pass_rate"]), "of tests, in the newest run"),
        Tile("Retried", _rate(newest["retry_rate"]), "of tests, in the newest run"),
        Tile(
            "Suite time",
            seconds(newest["tests_s"]),
            "of tests, in the newest run",
            "",
            links.to("/slowest"),
        ),
    ]


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate * 100:.1f} %"


def _durations(rows: Sequence[Row]) -> list[Part]:
    timed = [row for row in rows if row["tests_s"]]
    if not timed:
        return [Part("lines", ["No durations: no test has been timed yet."])]
    import numpy as np

    from testlytics_analytics.durations.segments import segments

    values = [row["tests_s"] for row in timed]
    names = [run_name(row) for row in timed]
    drawn = charts.of_segments(segments(np.log(np.array(values, np.float32))), names)
    return [charts.chart("", values, names, drawn=drawn)]


def _rates(rows: Sequence[Row]) -> list[Part]:
    told = [row for row in rows if row["pass_rate"] is not None]
    if not told:
        return [Part("lines", ["No outcomes: no test has passed or failed yet."])]
    names = [run_name(row) for row in told]
    return [
        charts.chart(
            title, [row[key] * 100 for row in told], names, text=lambda v: f"{v:.4g} %", most=100
        )
        for title, key in (("Passed", "pass_rate"), ("Tried again", "retry_rate"))
    ]


def run_name(row: Row) -> str:
    """Return what a run is called on a curve; may hold untrusted text."""
    return f"{str(row['started_at'])[:16]} {commit(row['commit']) if row['commit'] else ''}".strip()
