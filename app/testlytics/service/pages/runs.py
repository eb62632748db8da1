"""The list of runs, and one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from markupsafe import Markup

from testlytics.report.html.tables import badge
from testlytics.report.render import visible
from testlytics.report.sections import (
    Column,
    Row,
    Section,
    commit,
    count,
    failure,
    name_column,
    seconds,
)
from testlytics.service.pages import judging
from testlytics.service.pages.asking import DATA_ROWS, Asked, Block, Part, Shown
from testlytics.service.pages.tables import Href, link, listed, table
from testlytics_collector.errors import NotFoundError

if TYPE_CHECKING:
    from testlytics_collector.store.dashboard import PageReader, RunFacts
    from testlytics_collector.store.store import Store

SLOWEST = 20
"""Slowest tests that are listed of a run."""

_LONGEST = 900

FAILURES = 100
"""Failures that are listed of a run; its data has more."""


def runs(asked: Asked) -> Shown:
    """List the runs of a project, the newest first."""
    with judging.window_of(asked) as window:
        rows = run_rows(window)[::-1]
    lead = f"{count(len(rows), 'run')}, the newest first"
    part = runs_part(asked, rows, len(rows))
    return Shown("Runs", [Block("runs", "Runs", [part], quiet=True)], lead, lists={"runs": rows})


def run_rows(window: PageReader) -> list[Row]:
    """Return the runs of a window, the oldest first.

    Returns:
        `project`, `run_id`, `started_at`, `branch`, `commit`, `complete`, `variants` (list),
        `exit_status`, `attempts`, `failed`, `flaky` (verdicts, each variant counted), `retried`
        (failed, and tried more than once) and `took_s`; null where not known.
    """
    told = window.runs()
    rows = []
    for one in window.counts():
        run = told[one.step]
        row: Row = {name: getattr(run, name) for name in ("project", "run_id", "started_at")}
        row |= {"branch": run.branch, "commit": run.commit, "complete": run.complete}
        counted = one._asdict()
        del counted["step"]
        rows.append(row | counted)
    return rows


def runs_part(asked: Asked, rows: list[Row], total: int) -> Part:
    """Make a table of runs."""
    section = Section("runs", "Runs", rows, _columns(rows), "No runs.")
    return listed(
        asked,
        section,
        "Runs, the newest first",
        href=lambda row: asked.links.to("/run", run=row["run_id"]),
        total=total,
    )


def _columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    several = len({tuple(row["variants"]) for row in rows}) > 1
    return (
        Column("state", state),
        Column("failed", lambda r: f"{r['failed']:,}", right=True),
        Column("flaky", lambda r: f"{r['flaky']:,}", right=True),
        Column("results", lambda r: f"{r['attempts']:,}", right=True),
        Column("took", lambda r: seconds(r["took_s"]), right=True),
        Column("when (UTC)", lambda r: str(r["started_at"])[:16]),
        Column("commit", lambda r: commit(r["commit"])),
        Column("branch", lambda r: r["branch"] or "-"),
        *(
            [Column("variants", lambda r: "; ".join(filter(None, r["variants"])))]
            if several
            else []
        ),
        Column("run", lambda r: r["run_id"]),
    )


def state(row: Row) -> str:
    """Write what became of a run in one word."""
    if not row["complete"]:
        return badge("died")
    return badge("failed" if row["failed"] else "passed")


def run(asked: Asked) -> Shown:
    """Show one run: what failed in it, and what took longest."""
    from testlytics_collector.store.store import open_store

    with open_store(asked.store) as opened:
        facts = facts_of(opened, asked, asked.values["run"])
        window = asked.window(run_id=facts.run_id, last=None, since_us=None, branch=None)
        with opened.lists(window) as lists:
            failures = lists.failures(DATA_ROWS if asked.is_data else FAILURES)
        with opened.pages(window) as reader:
            counted = run_rows(reader)
            timed = reader.speeds(order="total", slowest=True, limit=SLOWEST)
    row = counted[0] if counted else {}
    blocks = [
        Block("facts", "What is known", [Part("facts", _facts(asked, facts, row))], quiet=True),
        Block("failures", "Failures", [_failures(asked, failures.rows, failures.total)]),
        Block("slowest", "Slowest tests", [_slowest(asked, timed.rows)]),
    ]
    values = {**facts._asdict(), **row}
    lists_of = {"failures": failures.rows, "slowest": timed.rows}
    return Shown(f"Run {facts.run_id}", blocks, _told(row), values, lists_of)


def facts_of(opened: Store, asked: Asked, run_id: str | None) -> RunFacts:
    """Return what is known of a run.

    Raises:
        NotFoundError: There is none of that name.
    """
    if run_id is None:
        raise NotFoundError(
            "This page is about one run.", slug="no-runs", hint="Choose it in the list of runs."
        )
    with opened.overview() as found:
        facts = found.run(asked.name, run_id)
    if facts is None:
        raise NotFoundError(
            f"The project {asked.name!r} has no run {run_id!r}.",
            slug="no-runs",
            hint="It may have been pruned; the list of runs has those that are there.",
        )
    return facts


def _told(row: Row) -> str:
    if not row:
        return "No results of the variant that is asked for."
    return f"{row['attempts']:,} results: {row['failed']:,} failed, {row['flaky']:,} flaky"


def _facts(asked: Asked, facts: RunFacts, row: Row) -> list[tuple[str, str]]:
    links = asked.links

    def other(name: str | None) -> str:
        return link(links.here(run=name), name) if name else "-"

    told = [
        ("State", state(row) if row else "-"),
        ("Began (UTC)", facts.started_at[:19]),
        ("Took", seconds(row.get("took_s")) if row else "-"),
        ("Commit", facts.commit or "-"),
        ("Branch", facts.branch or "-"),
        ("Pull request", facts.pull_request or "-"),
        ("Variants", "; ".join(one or "no variant" for one in row.get("variants", [])) or "-"),
        ("CI", _ci(facts)),
        ("Gate", facts.gate or "-"),
        ("Before it", other(facts.before)),
        ("Behind it", other(facts.behind)),
    ]
    if facts.before:
        href = links.to("/compare", base=facts.before, run=facts.run_id)
        told.append(("Compare", link(href, "with the run before it")))
    return [(name, value) for name, value in told if value != "-"]


def _ci(facts: RunFacts) -> str:
    name = facts.ci or facts.ci_url or "-"
    try:
        fits = urlsplit(facts.ci_url or "").scheme in {"http", "https"}
    except ValueError:
        fits = False
    if not fits:
        return name
    return Markup('<a href="{}" rel="noreferrer nofollow">{}</a>').format(
        facts.ci_url, visible(name)
    )


def _failures(asked: Asked, rows: list[Row], total: int) -> Part:
    variants = len({row["variant"] for row in rows}) > 1

    columns = (
        Column("verdict", lambda r: badge(r["verdict"])),
        Column("said", lambda r: failure(r["type"], r["message"]) or "-"),
        Column("at", lambda r: r["place"] or "-"),
        *([Column("variant", lambda r: r["variant"] or "-")] if variants else []),
        Column("test", lambda r: r["test_id"]),
    )
    section = Section("failures", "Failures", rows, columns, "Nothing failed.", total - len(rows))
    return table(section, "Tests that failed in this run", href=case_link(asked))


def _slowest(asked: Asked, rows: list[Row]) -> Part:
    columns = (
        Column("took", lambda r: seconds(r["total_s"]), right=True),
        name_column(rows),
    )
    section = Section("slowest", "Slowest", rows, columns, "No durations.")
    return table(section, "Tests that took longest in this run", href=case_link(asked))


def case_link(asked: Asked) -> Href:
    """Return what gives the address of a row's test."""
    # The end of an id says enough where all of it is too long for an address.
    return lambda row: asked.links.to("/test", test=row["test_id"][-_LONGEST:])
