"""All pages: their addresses, and what they can be asked."""

from __future__ import annotations

from testlytics.service.pages import causes, compare, lists, one_test, overview, project, runs
from testlytics.service.pages.asking import (
    BRANCH,
    LAST,
    OWNER,
    PAGE,
    PROJECT,
    SINCE,
    VARIANT,
    WINDOW,
    Page,
    name,
)
from testlytics.service.query import number, text

_RUN = name("run", "the run, by its id")
_ALL = ("branch", "variant", "since", "last")
_OWNED = (*_ALL, "owner")
_LISTED = (*WINDOW, OWNER, PAGE)
_SLOWER = LAST._replace(default=lists.SLOWER_RUNS)
_MANY = LAST._replace(default=200)
_WHOLE = number(
    "last", "only so many of the newest runs; all where it is not given", least=1, most=200
)
_SPEED = text("sort", "order: total, median or p95", choices=("total", "median", "p95"))
_KIND = text("kind", "what: benchmarks or coverage", choices=("benchmarks", "coverage"))
_ORDER = text(
    "sort",
    "order: name, failures, duration or last",
    choices=("name", "failures", "duration", "last"),
)

OVERVIEW = Page(
    "/", "Projects", "All projects, those that ran last first.", overview.overview, (PAGE,)
)
WALL = Page(
    "/wall",
    "Wall-board",
    "Few figures, large; it renews itself.",
    overview.wall,
    (PROJECT,),
)
SEARCH = "/tests"
"""Where a search leads."""

PAGES = (
    OVERVIEW,
    WALL,
    Page(
        "/project",
        "Health",
        "How a project's suite fares over time.",
        project.project,
        in_menu=True,
        filters=_ALL,
    ),
    Page("/flaky", "Flaky", "Flaky tests with what they cost.", lists.flaky, _LISTED, True, _OWNED),
    Page("/broken", "Broken", "Tests that fail since a run.", lists.broken, _LISTED, True, _OWNED),
    Page(
        "/regressions",
        "Slower",
        "Tests that got slower, by cause.",
        lists.regressions,
        (PROJECT, BRANCH, VARIANT, SINCE, _SLOWER, OWNER, PAGE),
        in_menu=True,
        filters=_OWNED,
    ),
    Page(
        "/slowest",
        "Slowest",
        "Tests that take longest.",
        lists.slowest,
        (*_LISTED, _SPEED._replace(default="total")),
        in_menu=True,
        filters=_OWNED,
    ),
    Page(
        "/measurements",
        "Measured",
        "Benchmarks, load tests and coverage.",
        lists.measurements,
        (*_LISTED, _KIND._replace(default="benchmarks")),
        in_menu=True,
        filters=_ALL,
    ),
    Page(
        "/failures",
        "Causes",
        "Failures that say the same.",
        causes.failures,
        _LISTED,
        in_menu=True,
        filters=_OWNED,
    ),
    Page(
        "/runs",
        "Runs",
        "The runs, the newest first.",
        runs.runs,
        (PROJECT, BRANCH, VARIANT, SINCE, _MANY, OWNER, PAGE),
        in_menu=True,
        filters=_ALL,
    ),
    Page(
        SEARCH,
        "Tests",
        "All tests, or those whose id holds a text.",
        lists.cases,
        (
            *(PROJECT, BRANCH, VARIANT, SINCE, _WHOLE, OWNER, PAGE),
            text("pattern", "a part of the test id, or a glob of all of it"),
            _ORDER._replace(default="name"),
        ),
        in_menu=True,
        filters=("branch", "variant", "since"),
    ),
    Page(
        "/test",
        "Test",
        "One test: verdict, durations, outcomes, evidence.",
        one_test.case,
        (*WINDOW, OWNER, name("test", "its id, or the end of it")),
        filters=_ALL,
    ),
    Page(
        "/run",
        "Run",
        "One run: what failed, what took longest.",
        runs.run,
        (*WINDOW, OWNER, _RUN),
        filters=("variant",),
    ),
    Page(
        "/compare",
        "Compare",
        "Two runs: new failures, fixed, slower, faster, added, removed.",
        compare.compare,
        (*WINDOW, OWNER, _RUN, name("base", "the run to compare with; the one before it if none")),
    ),
    Page(
        "/cluster",
        "Cause",
        "One cause of failures: its tests and runs.",
        causes.cluster,
        (*WINDOW, OWNER, text("cluster", "its fingerprint")),
        filters=_ALL,
    ),
)
"""All of them."""
