"""Every address of the service: what it takes, what it answers, who may ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics.service import badges
from testlytics.service.answers import Alive, Uploaded
from testlytics.service.query import Parameter, commit_time, commits, instant, number, pairs, text
from testlytics_collector.store.reader import Window

if TYPE_CHECKING:
    from testlytics.report.sections import Section

JSON = "application/json"

Ask = Callable[[Path, str | None, Mapping[str, Any]], str]
"""Answers a question with JSON: the store, the project, and the values of the parameters."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address with one method.

    Attributes:
        method: GET or POST.
        path: The address's path.
        scope: What a token must allow; None where nobody is asked for one.
        about: What it is for, one sentence.
        parameters: What its query may hold.
        ask: Answers it, where it is a question to the store.
        answer: The shape of its answer; None where that is a document of the command line.
        media: The type of its answer.
    """

    method: str
    path: str
    scope: str | None
    about: str
    parameters: tuple[Parameter, ...] = ()
    ask: Ask | None = None
    answer: type | None = None
    media: str = JSON


_PROJECT = text("project", "namespace of the tests; what the token opens where it is not given")
_BRANCH = text("branch", "only runs of this branch")
_VARIANT = pairs("variant", "a way of running, such as os=linux; may come several times")
_SINCE = instant("since", "only runs since then: a date, or an age such as 30d")
_LAST = number("last", "only the newest runs of each project", least=1, most=10_000, default=100)
_LIMIT = number("limit", "at most so many rows; all where it is not given", least=1, most=1_000_000)
_RUN = text("run", "only this run")
_PATTERN = text("pattern", "a part of the test id, or a glob of all of it")
_WINDOW = (_PROJECT, _BRANCH, _VARIANT, _SINCE, _LAST)

_STATED = (
    text("project", "namespace of the tests; wins over what the upload says"),
    text("run_id", "the run that the upload belongs to; uploads with one id make one run"),
    number("run_attempt", "the CI's re-run counter, first = 1", least=1, most=1_000_000),
    text("shard", "which part of the run"),
    text("commit", "the commit that was tested, without other changes"),
    commit_time(
        "commit_time",
        "the committer's date of the commit, which places the run among others: seconds since 1970 "
        "(git show -s --format=%ct), or a date with its zone",
    ),
    commits("parent", "beside commit_time: a parent of the commit; may come several times"),
    text("branch", "name of the branch"),
    text("pull_request", "the pull request it was of"),
    _VARIANT,
    text("name", "the file's name, for dialects that speak through it"),
)


def _window(project: str | None, asked: Mapping[str, Any]) -> Window:
    return Window(
        project=project,
        branch=asked["branch"],
        variant=asked["variant"],
        since_us=asked["since"],
        run_id=asked.get("run"),
        last=asked["last"],
    )


def _runs(store: Path, project: str | None, asked: Mapping[str, Any]) -> str:
    from testlytics import browse
    from testlytics.report.lists import runs_section

    page = browse.list_runs(store, _window(project, asked), limit=asked["limit"])
    return _listed(runs_section(page.rows, page.total - len(page.rows)))


def _cases(store: Path, project: str | None, asked: Mapping[str, Any]) -> str:
    from testlytics import browse
    from testlytics.report.lists import cases_section

    page = browse.list_cases(
        store,
        _window(project, asked),
        asked["pattern"],
        sort=asked["sort"],
        limit=asked["limit"],
    )
    return _listed(cases_section(page.rows, page.total - len(page.rows)))


def _failures(store: Path, project: str | None, asked: Mapping[str, Any]) -> str:
    from testlytics import browse
    from testlytics.report.lists import failures_section

    window, pattern = _window(project, asked), asked["pattern"]
    page = browse.list_failures(store, window, pattern, limit=asked["limit"])
    return _listed(failures_section(page.rows, page.total - len(page.rows)))


def _verdicts(store: Path, project: str | None, asked: Mapping[str, Any]) -> str:
    from testlytics.api import no_runs
    from testlytics.report import rows
    from testlytics_collector.store.store import open_store

    window = Window(project=project, run_id=asked["run"], variant=asked["variant"])
    with open_store(store) as opened, opened.extract(window, "verdicts") as found:
        if not found.runs:
            raise no_runs(store)
        columns, told = found.read()
        return "".join(rows.as_json("verdicts", columns, islice(told, asked["limit"])))


def _explain(store: Path, project: str | None, asked: Mapping[str, Any]) -> str:
    from testlytics.explain import explained, written

    window = _window(project, asked)
    return written.as_json(explained.explain(store, window, asked["test"], limit=asked["limit"]))


def _listed(section: Section) -> str:
    from testlytics.report import rows

    columns = list(section.rows[0]) if section.rows else []
    return "".join(rows.as_json(section.name, columns, (row.values() for row in section.rows)))  # type: ignore[misc]


def _report(name: str) -> Ask:
    def ask(store: Path, project: str | None, asked: Mapping[str, Any]) -> str:
        from testlytics import api
        from testlytics.report import render

        told = api.report(
            store,
            _window(project, asked),
            sections=[name],
            sort=asked.get("sort") or "median",
            limits={name: asked["limit"]},
        )
        held = [section.cut(asked["limit"]) for section in told.sections]
        return render.as_json(replace(told, sections=held))

    return ask


def _gate(store: Path, project: str | None, asked: Mapping[str, Any]) -> str:
    from testlytics.gate import judge, render

    result = judge.gate(
        store, project=project, run_id=asked["run"], base=asked["base"], limit=asked["last"]
    )
    return render.as_json(result)


_SPEED = text("sort", "order: median, p95 or total", choices=("median", "p95", "total"))
_ORDER = text(
    "sort",
    "order: name, failures, duration or last",
    choices=("name", "failures", "duration", "last"),
)._replace(default="name")

UPLOAD = Endpoint(
    "POST",
    "/api/v1/runs",
    "ingest",
    "Keep the results of a run: a run file, JUnit XML or any other format that ingest reads, gzip "
    "or not; or a file of a run archive, which says all of its run itself.",
    _STATED,
    answer=Uploaded,
)
HEALTH = Endpoint("GET", "/healthz", None, "Tell whether the service is there.", answer=Alive)
READY = Endpoint("GET", "/readyz", None, "Tell whether it can take uploads now.", answer=Alive)
BACKUP = Endpoint(
    "GET",
    "/api/v1/backup",
    "admin",
    "The whole store as it is at one moment, as a file; a token of all projects is needed.",
    media="application/vnd.duckdb",
)
METRICS = Endpoint(
    "GET",
    "/metrics",
    "admin",
    "Figures of the service itself, for Prometheus; a token of all projects is needed.",
    media="text/plain; version=0.0.4; charset=utf-8",
)
OPENAPI = Endpoint("GET", "/api/v1/openapi.json", None, "This interface, as OpenAPI 3.1.")


BADGE = Endpoint(
    "GET",
    "/api/v1/badge.svg",
    "read",
    "One figure of a project as a picture; `no runs` where nothing is known.",
    (
        text(
            "kind",
            "what it tells: tests (of the newest run, the default), flaky, broken or regressions",
            choices=badges.KINDS,
        )._replace(default="tests"),
        *_WINDOW,
    ),
    badges.ask,
    media="image/svg+xml",
)


def _question(name: str, about: str, ask: Ask, *parameters: Parameter) -> Endpoint:
    return Endpoint("GET", f"/api/v1/{name}", "read", about, parameters, ask)


ENDPOINTS = (
    UPLOAD,
    _question("runs", "List runs, the newest first.", _runs, _RUN, *_WINDOW, _LIMIT),
    _question(
        "tests",
        "List tests with how often they fail.",
        _cases,
        _PATTERN,
        *_WINDOW[:-1],
        number("last", "only the newest runs of each project; all by default", least=1, most=10**4),
        _ORDER,
        _LIMIT,
    ),
    _question(
        "failures",
        "List failed and flaky verdicts, the newest run first.",
        _failures,
        _PATTERN,
        _RUN,
        *_WINDOW,
        _LIMIT,
    ),
    _question(
        "verdicts",
        "Every verdict of one run.",
        _verdicts,
        _PROJECT,
        text("run", "the run")._replace(required=True),
        _VARIANT,
        _LIMIT,
    ),
    _question(
        "explain",
        "Everything behind the verdict on one test, each variant apart.",
        _explain,
        text("test", "a test id, the end of one, or an id without parameters")._replace(
            required=True
        ),
        *_WINDOW,
        _LIMIT,
    ),
    _question("flaky", "Tests that pass and fail by turns.", _report("flaky"), *_WINDOW, _LIMIT),
    _question("broken", "Tests that fail since some run.", _report("broken"), *_WINDOW, _LIMIT),
    _question("regressions", "Tests that got slower.", _report("regressions"), *_WINDOW, _LIMIT),
    _question("slowest", "Tests that take longest.", _report("slowest"), *_WINDOW, _SPEED, _LIMIT),
    _question(
        "benchmarks",
        "Benchmarks and load tests, what got worse first.",
        _report("benchmarks"),
        *_WINDOW,
        _LIMIT,
    ),
    _question("coverage", "Coverage, what got worse first.", _report("coverage"), *_WINDOW, _LIMIT),
    _question(
        "gate",
        "Say whether a run broke or slowed something; the verdict is in the answer.",
        _gate,
        _PROJECT,
        text("run", "the run; the one that came last where it is not given"),
        text("base", "branch to compare with; found out where it is not given"),
        number("last", "runs of the baseline at most", least=1, most=1_000, default=100),
    ),
    BADGE,
    BACKUP,
    HEALTH,
    READY,
    METRICS,
    OPENAPI,
)
"""All of them."""
