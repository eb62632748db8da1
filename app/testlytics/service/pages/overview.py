"""All projects at a glance, and the wall-board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from testlytics.report.html import svg
from testlytics.report.html.tables import badge
from testlytics.report.html.tiles import Tile
from testlytics.report.sections import Column, Row, Section, commit, count, percent, seconds
from testlytics.service.pages import judging
from testlytics.service.pages.asking import Asked, Block, Part, Shown
from testlytics.service.pages.project import health_rows
from testlytics.service.pages.tables import listed

if TYPE_CHECKING:
    from testlytics_collector.store.dashboard import Newest, Project

PROJECTS = 200
"""Projects of the overview at most, those that ran last."""

ON_WALL = 24
"""Projects of the wall-board at most."""

RUNS = 40
"""Runs of each project's strip."""


def overview(asked: Asked) -> Shown:
    """List the projects, those that ran last first."""
    found = _projects(asked, PROJECTS)
    if not found:
        return Shown("Projects", [_nothing()], lists={"projects": []})
    rows = [_row(one) for one in found]
    section = Section("projects", "Projects", rows, _columns(), "No projects.")
    part = listed(
        asked,
        section,
        "Projects, those that ran last first",
        href=lambda row: asked.links.to("/project", project=row["project"]),
        drawings=[Column("runs", _drawing({one.name: one.newest for one in found}))],
    )
    lead = f"{count(len(found), 'project')}, {count(sum(one.runs for one in found), 'run')}"
    block = Block("projects", "Projects", [part, Part("legend", legend())], quiet=True)
    return Shown("Projects", [block], lead, lists={"projects": rows})


def wall(asked: Asked) -> Shown:
    """Show few figures, large, for a screen on a wall."""
    found = _projects(asked, ON_WALL)
    rows = [_row(one) for one in found]
    cards = [
        Card(
            one.name,
            asked.links.to("/project", project=one.name),
            Tile("failed", f"{row['failed']:,}", "", "bad" if row["failed"] else "good"),
            f"{count(row['flaky'], 'flaky test')}, {row['attempts']:,} results"
            f" in {seconds(row['took_s'])}",
            _strip(one.newest),
            f"{str(row['last_run_at'])[:16]} {commit(row['commit'])} {row['branch'] or ''}".strip(),
        )
        for one, row in zip(found, rows, strict=True)
        if one.newest
    ]
    values = _more(asked) if cards and asked.project is not None else {}
    cards += _more_cards(asked, values) if values else []
    blocks = [Block("wall", "Newest runs", [Part("cards", cards)], quiet=True)]
    return Shown(
        asked.project or "Newest runs",
        blocks if cards else [_nothing()],
        values=values,
        lists={"projects": rows},
        template="wall.html.j2",
    )


def _more(asked: Asked) -> Row:
    """Say of one project how many tests are broken and flaky, and how the newest run fared."""
    with judging.window_of(asked) as window:
        status = Counter(one.status for one in judging.judge(asked, window).rows.rows)
        newest = health_rows(window)[-1]
    counts = {name: status[name] for name in ("broken", "flaky")}
    return counts | {name: newest[name] for name in ("pass_rate", "retry_rate", "tests_s")}


def _more_cards(asked: Asked, values: Row) -> list[Card]:
    told = [
        ("broken", f"{values['broken']:,}", "/broken", "bad" if values["broken"] else "good"),
        ("flaky", f"{values['flaky']:,}", "/flaky", "warn" if values["flaky"] else "good"),
        ("passed", _share(values["pass_rate"]), "/project", ""),
        ("tried again", _share(values["retry_rate"]), "/project", ""),
        ("of tests a run", seconds(values["tests_s"]), "/slowest", ""),
    ]
    return [
        Card("", asked.links.to(path), Tile(label, value, "", kind), "", "", "")
        for label, value, path, kind in told
    ]


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate * 100:.1f} %"


class Card(NamedTuple):
    """A project on the wall-board.

    Attributes:
        name: Its name, untrusted; empty where it is said already, as all texts below.
        href: Where more of it stands.
        tile: The number.
        note: What is to be known of it.
        strip: Its newest runs.
        run: The newest one.
    """

    name: str
    href: str
    tile: Tile
    note: str
    strip: str
    run: str


def _nothing() -> Block:
    lines = [
        "There are no results yet.",
        "Upload some: POST a run file or JUnit XML to /api/v1/runs, or use testlytics ingest.",
    ]
    return Block("empty", "Nothing here yet", [Part("lines", lines)])


def _projects(asked: Asked, limit: int) -> list[Project]:
    from testlytics_collector.store.store import open_store

    with open_store(asked.store) as opened, opened.overview() as found:
        if asked.project is None and asked.who.public is not None:
            several = (found.projects(name, limit=1, runs=RUNS) for name in asked.who.public)
            told = [one for some in several for one in some]
            return sorted(told, key=lambda one: one.last_run_at, reverse=True)[:limit]
        return found.projects(asked.project, limit=limit, runs=RUNS)


def _row(one: Project) -> Row:
    newest = one.newest[-1] if one.newest else None
    row: Row = {"project": one.name, "runs": one.runs, "last_run_at": one.last_run_at}
    told = newest._asdict() if newest else {}
    for name in ("run_id", "branch", "commit", "complete", "attempts", "failed", "flaky"):
        row[name] = told.get(name)
    failing = [run for run in one.newest if run.failed]
    row["took_s"] = told.get("took_s")
    row["failed_share"] = len(failing) / len(one.newest) if one.newest else None
    return row


def _columns() -> tuple[Column, ...]:
    return (
        Column("last", _state),
        Column("failed", lambda r: f"{r['failed'] or 0:,}", right=True),
        Column("flaky", lambda r: f"{r['flaky'] or 0:,}", right=True),
        Column("results", lambda r: f"{r['attempts'] or 0:,}", right=True),
        Column("took", lambda r: seconds(r["took_s"]), right=True),
        Column("red runs", lambda r: percent(r["failed_share"]), right=True),
        Column("when (UTC)", lambda r: str(r["last_run_at"])[:16]),
        Column("project", lambda r: r["project"]),
    )


def _state(row: Row) -> str:
    if row["complete"] is False:
        return badge("died")
    return badge("failed" if row["failed"] else "passed")


def _drawing(newest: dict[str, list[Newest]]) -> _Drawing:
    return _Drawing(newest)


class _Drawing:
    def __init__(self, newest: dict[str, list[Newest]]) -> None:
        self._newest = newest

    def __call__(self, row: Row) -> str:
        return _strip(self._newest[row["project"]])


def _strip(runs: Sequence[Newest]) -> str:
    letters = "".join(letter(run.failed, run.flaky, complete=run.complete) for run in runs)
    titles = [f"{run.started_at[:16]}, run {run.run_id}: {run.failed} failed" for run in runs]
    return svg.strip(letters, strip_label(letters), titles)


def letter(failed: int, flaky: int, *, complete: bool) -> str:
    """Return what a run is drawn as: F with a failure, L with a flake, else P, ? where it died."""
    return "F" if failed else "?" if not complete else "L" if flaky else "P"


def strip_label(letters: str) -> str:
    """Say in words what a strip of runs shows."""
    words = {"P": "passed", "F": "with failures", "L": "with flaky tests", "?": "died"}
    told = [f"{letters.count(one)} {word}" for one, word in words.items() if one in letters]
    return f"{count(len(letters), 'run')}: {', '.join(told) or 'none'}"


def legend() -> list[tuple[str, str]]:
    """Say which shape means what in a strip of runs."""
    words = {"P": "passed", "F": "with failures", "L": "with flaky tests", "?": "died"}
    return [(svg.strip(one, word), word) for one, word in words.items()]
