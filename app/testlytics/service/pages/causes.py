"""Failures that say the same: all of them, and one cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from testlytics.report.html.gather import example
from testlytics.report.sections import Column, Row, Section, commit, count
from testlytics.service.pages import judging
from testlytics.service.pages.asking import Asked, Block, Part, Shown
from testlytics.service.pages.runs import case_link
from testlytics.service.pages.tables import listed, table
from testlytics_collector.errors import NotFoundError

if TYPE_CHECKING:
    from testlytics_analytics.fingerprints import Cluster
    from testlytics_collector.store.dashboard import PageReader
    from testlytics_collector.store.impact import Said
    from testlytics_collector.store.windowed import RunRow

TESTS = 250
"""Tests and runs of one cause that are listed."""

EXAMPLES = 5
"""Failures of one cause that are shown as they were."""


class _Found(NamedTuple):
    runs: list[RunRow]
    said: list[Said]
    clusters: list[Cluster[int]]


def failures(asked: Asked) -> Shown:
    """List what failures have in common, the commonest first."""
    with judging.window_of(asked) as window:
        found = _found(asked, window)
    rows = [_row(found, one) for one in found.clusters]
    rows.sort(key=lambda row: (-row["failures"], -row["tests"], row["cause"]))
    columns = (
        Column("failures", lambda r: f"{r['failures']:,}", right=True),
        Column("tests", lambda r: f"{r['tests']:,}", right=True),
        Column("runs", lambda r: f"{r['runs']:,}", right=True),
        Column("first seen", lambda r: str(r["first_at"])[:16]),
        Column("last seen", lambda r: str(r["last_at"])[:16]),
        Column("at", lambda r: r["place"] or "-"),
        Column("cause", lambda r: r["example"] or r["cause"] or "No message"),
    )
    section = Section("failures", "Causes", rows, columns, "No failure said why.")
    part = listed(
        asked,
        section,
        "Causes of failures, the commonest first",
        href=lambda row: asked.links.to("/cluster", cluster=row["cluster"]),
    )
    note = "Failures that say the same, but for numbers, times, paths and quoted texts, have one"
    block = Block("failures", "Causes", [part], note=f"{note} likely cause.", quiet=True)
    lead = f"{count(len(rows), 'cause')} of {count(sum(r['failures'] for r in rows), 'failure')}"
    return Shown("Causes of failures", [block], lead, lists={"failures": rows})


def cluster(asked: Asked) -> Shown:
    """Show one cause of failures: which tests, in which runs, and what they said."""
    wanted = asked.values["cluster"]
    with judging.window_of(asked) as window:
        found = _found(asked, window)
        one = next((some for some in found.clusters if wanted in some.fingerprints), None)
        if one is None:
            raise NotFoundError(
                f"No failure of these runs has the cause {wanted!r}.",
                slug="no-cluster",
                hint="Widen the time or the number of runs; the list of causes has what there is.",
            )
        members = [found.said[at] for at in one.members]
        names = window.names(sorted({some.key for some in members}))
    told = _row(found, one)
    tests, runs = _tests(found, members, names), _runs(found, members)
    examples = list(dict.fromkeys(text for some in reversed(members) if (text := _whole(some))))
    blocks = [
        Block("said", "What they said", [Part("texts", examples[:EXAMPLES])]),
        Block("tests", "Tests", [_tests_part(asked, tests)]),
        Block("runs", "Runs", [_runs_part(asked, runs)]),
    ]
    lead = (
        f"{count(told['failures'], 'failure')} of {count(told['tests'], 'test')} in"
        f" {count(told['runs'], 'run')}, {told['first_at'][:16]} to {told['last_at'][:16]}"
    )
    title = told["example"] or told["cause"] or "Failures without a message"
    return Shown(title, blocks, lead, told, {"tests": tests, "runs": runs})


def _found(asked: Asked, window: PageReader) -> _Found:
    from testlytics_analytics.fingerprints import FailureText, clusters

    among = judging.chosen(asked, window).among
    held = None if among is None else set(among)
    said = [one for one in window.said() if held is None or one.key in held]
    texts = ((at, FailureText(one.type, one.message, one.place)) for at, one in enumerate(said))
    return _Found(window.runs(), said, clusters(texts))


def _row(found: _Found, one: Cluster[int]) -> Row:
    members = [found.said[at] for at in one.members]
    steps = [some.step for some in members]
    first, last = found.runs[min(steps)], found.runs[max(steps)]
    return {
        "cluster": one.fingerprints[0],
        "cause": one.text,
        "example": example(members[-1]) or "",
        "place": members[-1].place,
        "failures": sum(some.failures for some in members),
        "tests": len({some.key for some in members}),
        "runs": len(set(steps)),
        "first_run": first.run_id,
        "first_at": first.started_at,
        "last_run": last.run_id,
        "last_at": last.started_at,
    }


def _whole(one: Said) -> str:
    place = f"at {one.place}" if one.place else ""
    return "\n".join(filter(None, [one.type, one.message, place]))


def _tests(found: _Found, members: Sequence[Said], names: dict[int, str]) -> list[Row]:
    times: Counter[int] = Counter()
    last: dict[int, int] = {}
    for one in members:
        times[one.key] += one.failures
        last[one.key] = max(last.get(one.key, 0), one.step)
    rows = [
        {
            "test_id": names[key],
            "failures": number,
            "last_run": found.runs[last[key]].run_id,
            "last_at": found.runs[last[key]].started_at,
        }
        for key, number in times.items()
    ]
    return sorted(rows, key=lambda row: (-int(str(row["failures"])), str(row["test_id"])))


def _tests_part(asked: Asked, rows: list[Row]) -> Part:
    columns = (
        Column("failures", lambda r: f"{r['failures']:,}", right=True),
        Column("last failed (UTC)", lambda r: str(r["last_at"])[:16]),
        Column("test", lambda r: r["test_id"]),
    )
    left = max(len(rows) - TESTS, 0)
    section = Section("tests", "Tests", rows[:TESTS], columns, "None.", left)
    return table(section, "Tests that failed so, the commonest first", href=case_link(asked))


def _runs(found: _Found, members: Sequence[Said]) -> list[Row]:
    times: Counter[int] = Counter()
    for one in members:
        times[one.step] += one.failures
    return [
        {
            "run_id": found.runs[step].run_id,
            "started_at": found.runs[step].started_at,
            "branch": found.runs[step].branch,
            "commit": found.runs[step].commit,
            "failures": times[step],
        }
        for step in sorted(times, reverse=True)
    ]


def _runs_part(asked: Asked, rows: list[Row]) -> Part:
    columns = (
        Column("failures", lambda r: f"{r['failures']:,}", right=True),
        Column("when (UTC)", lambda r: str(r["started_at"])[:16]),
        Column("commit", lambda r: commit(r["commit"])),
        Column("run", lambda r: r["run_id"]),
    )
    left = max(len(rows) - TESTS, 0)
    section = Section("runs", "Runs", rows[:TESTS], columns, "None.", left)
    caption = "Runs with such failures, the newest first"
    return table(section, caption, href=lambda row: asked.links.to("/run", run=row["run_id"]))
