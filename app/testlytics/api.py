"""The public functions: what the command does, for programs.

Heavy libraries are imported when a function is called, not before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics_collector.errors import NotFoundError

if TYPE_CHECKING:
    from testlytics.owners import Owners
    from testlytics.report.sections import Report, Section
    from testlytics_analytics.status import Judgement
    from testlytics_collector.formats.interface import Limits
    from testlytics_collector.ingest import FileResult, Stated
    from testlytics_collector.store.archive import Exported, Progress
    from testlytics_collector.store.merge import Merged
    from testlytics_collector.store.reader import Window
    from testlytics_collector.store.store import Store
    from testlytics_collector.store.windowed import Failing, RunRow, WindowReader

_SPOOLED_US = 3_600_000_000
"""How far back uploads are looked at that this call may have taken in from the spool."""

SECTIONS = (
    "flaky",
    "broken",
    "slowest",
    "fastest",
    "regressions",
    "trends",
    "impact",
    "benchmarks",
    "coverage",
)
"""The lists a report can hold, in the order they are shown."""


def ingest(
    paths: Iterable[str],
    store: Path,
    *,
    stated: Stated | None = None,
    limits: Limits | None = None,
    wait_s: float = 10.0,
    on_file: Callable[[FileResult], None] = lambda _: None,
) -> list[FileResult]:
    """Read result files and keep them in a store.

    Args:
        paths: Files, as `testlytics_collector.ingest.find` gives them; `-` is standard input.
        store: The store's file; made where it is missing.
        stated: What is known of all of the files.
        limits: Bounds on what is kept of a file, and whether bad XML is repaired; the defaults
            where None.
        wait_s: How long to wait for others who use the store, in seconds. Where one of them takes
            the results over, not that long: they are `spooled` then, safe but not yet stored.
        on_file: Called with each answer as soon as it is there.

    Returns:
        One answer for each file, in the same order; a refused file costs no other.

    Raises:
        StoreError: The store cannot be opened or written.
    """
    from testlytics_collector.delivery import Delivery
    from testlytics_collector.formats.interface import Limits
    from testlytics_collector.ingest import Stated

    began_us = time.time_ns() // 1000 - _SPOOLED_US
    delivery = Delivery(
        store,
        stated=stated or Stated(),
        limits=limits or Limits(),
        wait_s=wait_s,
        on_file=on_file,
        on_stored=lambda opened: _place_commits(opened, began_us),
    )
    return delivery.bring(paths)


def _place_commits(opened: Store, since_us: int) -> None:
    """Note where the commits of new runs stand in the history, as far as git here knows."""
    from testlytics.commits import commit_order

    commits, known = opened.unplaced_commits(since_us)
    opened.place_commits(commit_order(commits, known))


def export_junit(store: Path, window: Window, *, wait_s: float = 10.0) -> bytes:
    """Write runs as JUnit XML: a suite for each run and variant, a testcase for each test.

    Args:
        store: The store's file.
        window: Which runs.
        wait_s: How long to wait for a writer, in seconds.

    Returns:
        The document, UTF-8; see `testlytics_collector.formats.junit_writer`.

    Raises:
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
    """
    from testlytics_collector.formats.junit_writer import SuiteAttempts, write
    from testlytics_collector.store.store import open_store

    with open_store(store, wait_s=wait_s) as opened:
        suites = [
            SuiteAttempts(
                " ".join(filter(None, [suite.run_id, suite.variant])), suite.started_us, attempts
            )
            for suite, attempts in opened.attempts(window)
        ]
    if not suites:
        raise no_runs(store)
    return write(suites)


def export_archive(
    store: Path,
    window: Window,
    archive: str,
    *,
    wait_s: float = 10.0,
    progress: Progress = lambda _: nullcontext(lambda: None),
) -> Exported:
    """Add the runs of a window to a run archive, each as a file that is never changed.

    Args:
        store: The store's file.
        window: Which runs; each is added with all of its variants.
        archive: A folder, `s3://BUCKET/PREFIX` (also `gs://`, `az://`) or `git:[REMOTE#]BRANCH`.
        wait_s: How long to wait for a writer, in seconds.
        progress: Shows how far it is.

    Returns:
        How many files were added, and how many runs were there already.

    Raises:
        ConfigError: The archive is of no known kind.
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
        Error: The archive cannot be read or written.
    """
    from testlytics_collector.store.archive import export, place
    from testlytics_collector.store.store import open_store

    target = place(archive)
    with open_store(store, wait_s=wait_s) as opened:
        return export(opened, window, target, progress)


def merge(
    sources: Iterable[str],
    store: Path,
    *,
    wait_s: float = 10.0,
    on_run: Callable[[], None] = lambda: None,
) -> list[Merged]:
    """Take everything that archives and other stores know into a store.

    Args:
        sources: Archives as in `export_archive`, single archive files, other stores.
        store: The store's file; made where it is missing.
        wait_s: How long to wait for others who use the store or a source, in seconds.
        on_run: Called after each run.

    Returns:
        One answer for each source, in the same order; what is refused costs nothing else.

    Raises:
        ConfigError: An archive is of no known kind.
        StoreError: The store cannot be opened or written.
    """
    from testlytics_collector.store.merge import merge as take_in
    from testlytics_collector.store.store import open_store

    with open_store(store, write=True, wait_s=wait_s) as opened:
        return take_in(sources, opened, wait_s=wait_s, on_run=on_run)


def doctor(store: Path, *, rebuild: bool = False, wait_s: float = 10.0) -> dict[str, Any]:
    """Compare what is kept beside the facts with the facts; bring an older store up to date.

    Args:
        store: The store's file.
        rebuild: Put right what differs.
        wait_s: How long to wait for others who use the store, in seconds.

    Returns:
        `store` (path), `store_schema`, `duckdb` (version), `runs`, `tests`, `attempts` (counts),
        and `differences`: rows by derived table, empty where all is as it should be.

    Raises:
        NotFoundError: There is no store.
        StoreError: It cannot be opened or written.
    """
    from testlytics_collector.store.store import open_store

    with open_store(store, write=True, create=False, wait_s=wait_s) as opened:
        differences = opened.differences(mend=rebuild)
        return {"store": str(store), **opened.facts(), "differences": differences}


def report(  # noqa: PLR0913 - keywords with defaults
    store: Path,
    window: Window,
    *,
    sections: Iterable[str] = (),
    sort: str = "median",
    by: str | None = None,
    owner: str | None = None,
    owners: Owners | None = None,
    limits: Mapping[str, int | None] | None = None,
    summary: bool = True,
    wait_s: float = 10.0,
) -> Report:
    """Judge the tests of a window and report on them.

    Args:
        store: The store's file.
        window: Which runs to look at.
        sections: Names from `SECTIONS`; without any the summary alone, which then also says how
            many tests got slower.
        sort: How the slowest and fastest are ordered: `median`, `p95` or `total`.
        by: What the slowest, the fastest and trends are told of: see `costs.timed_section` and
            `trends.trend_sections` of the reports.
        owner: Only tests of this owner are listed, all where None; the summary is of all.
        owners: Who owns which file; without, only tags say it.
        limits: At most this many of the slowest and the fastest, by section, and at least this
            many of the flaky; all where None.
        summary: Whether the summary is made, which takes a look at all tests; else it is empty.
        wait_s: How long to wait for a writer, in seconds.

    Raises:
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
    """
    from testlytics.report import sections as build
    from testlytics.report.groupings import Chosen
    from testlytics.report.measurements import measured_sections
    from testlytics_analytics import outcome_verdicts
    from testlytics_collector.store.store import open_store

    wanted = [name for name in SECTIONS if name in set(sections)]
    limits = limits or {}
    made: dict[str, Section]
    told: tuple[dict[str, Any], list[str]] = {}, []
    with open_store(store, wait_s=wait_s) as opened, opened.window(window) as asked:
        if asked.is_empty():
            raise no_runs(store)
        chosen = Chosen(asked, owners, owner)
        made = measured_sections(asked, wanted)
        for name in {"slowest", "fastest"}.intersection(wanted):
            from testlytics.report.costs import timed_section

            made[name] = timed_section(
                asked, chosen, name, by=by, sort=sort, limit=limits.get(name)
            )
        several: list[Section] = []
        if "trends" in wanted:
            from testlytics.report.trends import trend_sections

            several = trend_sections(asked, chosen, by)
        if not wanted or "regressions" in wanted:
            from testlytics.report.slowdowns import slower_tests

            made["regressions"] = slower_tests(asked)
        if summary or {"flaky", "broken", "impact"}.intersection(wanted):
            runs = asked.runs()
            # Those of one owner are found among all, and those that cost most.
            most = None if owner is not None or "impact" in wanted else limits.get("flaky")
            counted = {"flaky", "impact"}.intersection(wanted)
            judged, void = judge_window(asked, runs, most if counted else 0)
            made["flaky"] = build.flaky_section(chosen.judged(judged))
            if "broken" in wanted:
                from testlytics.report.breakages import broken_places

                ours = chosen.judged(judged).rows
                made["broken"] = build.broken_section(ours, broken_places(asked, ours, runs))
            if "impact" in wanted:
                from testlytics.report.impact import find_impact, impact_sections

                found = find_impact(asked, judged.rows, runs, void)
                several += impact_sections(found, judged.rows, chosen)
            if summary:
                calm = asked.calm(outcome_verdicts.VerdictOptions().settled, void)
                told = build.summarise(runs, judged, calm, made.get("regressions"), void)
        if "regressions" in wanted:
            made["regressions"] = chosen.kept(made["regressions"])
    return build.Report(*told, [*(made[name] for name in wanted if name in made), *several])


def html_report(
    store: Path,
    window: Window,
    *,
    owner: str | None = None,
    owners: Owners | None = None,
    wait_s: float = 10.0,
) -> str:
    """Report on everything in a window, as one HTML page that fetches nothing.

    Args:
        store: The store's file.
        window: Which runs to look at.
        owner: Only tests of this owner are listed, all where None; the summary is of all.
        owners: Who owns which file; without, only tags say it.
        wait_s: How long to wait for a writer, in seconds.

    Returns:
        The document: the same text for the same store and window.

    Raises:
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
    """
    from testlytics.report.html import gather, page
    from testlytics_collector.store.store import open_store

    with open_store(store, wait_s=wait_s) as opened, opened.window(window) as asked:
        if asked.is_empty():
            raise no_runs(store)
        found = gather.gather(asked, owners, owner)
    return page.html(found)


def judge_window(
    asked: WindowReader,
    runs: Sequence[RunRow],
    most: int | None,
    failing: Sequence[Failing] | None = None,
) -> tuple[Judgement, Collection[int]]:
    """Judge the tests that failed; return also the runs that do not count, by index.

    Args:
        asked: The window.
        runs: Its runs.
        most: At least so many flaky ones are judged in full; all where None.
        failing: What `histories` of the window gave, where it was asked already.
    """
    from testlytics_analytics import status
    from testlytics_analytics.evidence import Tried, outages
    from testlytics_analytics.histories import History, Run

    failing = asked.histories() if failing is None else failing
    suites = asked.suites()
    void = outages(
        [run.project for run in runs],
        [suite.failing for suite in suites],
        [suite.told for suite in suites],
    )
    tests = (Tried(History(*one[:5]), one.tries) for one in failing)
    told = [Run(run.run_id, run.commit, run.sources) for run in runs]
    return status.judge(tests, told, void, most=most), void


def no_runs(store: Path) -> NotFoundError:
    """Say that a window of the store is empty."""
    return NotFoundError(
        f"The store {store} holds no run that fits.",
        slug="no-runs",
        hint="Widen --project, --branch, --variant, --since or --last, or ingest results.",
    )
