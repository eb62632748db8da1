"""What else the service answers: verdicts, failures, explanations, badges, public projects."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import command
from tests.factories import attempt, end, header, history, lines
from tests.serving import Serving, serving

TESTS = {"a.py::flaky": "PFPPFPPFPP", "a.py::broken": "PPPPPFFFFF", "a.py::good": "P" * 10}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service with a history in the project `default`, and one run in `other`."""
    folder = tmp_path_factory.mktemp("reading")
    with serving(folder / "h.duckdb") as service:
        for path in history(folder, TESTS):
            assert service.upload(path.read_bytes()).status == 201
        secret = attempt("b.py::secret", "failed", failure={"message": "secret"})
        body = lines(header(99, project="other"), secret, attempt("b.py::fine"), end(2))
        assert service.upload(body).status == 201
        yield service


def test_lists_of_one_run_hold_only_that(filled: Serving) -> None:
    for name in ("runs", "failures"):
        rows = filled.ask(f"/api/v1/{name}?run=run-1").json[name]
        assert {row["run_id"] for row in rows} == {"run-1"}, name
        assert filled.ask(f"/api/v1/{name}?run=none").slug == "no-runs"
    told = filled.ask("/api/v1/verdicts?run=run-1").json["verdicts"]
    assert {row["test_id"]: row["verdict"] for row in told} == {
        "a.py::flaky": "failed",
        "a.py::broken": "passed",
        "a.py::good": "passed",
    }
    assert len(filled.ask("/api/v1/verdicts?run=run-1&limit=2").json["verdicts"]) == 2
    assert filled.ask("/api/v1/verdicts?run=run-1&project=other").slug == "no-runs"
    assert filled.ask("/api/v1/verdicts").slug == "http-parameter"


@pytest.mark.parametrize("name", ["explain", "failures"])
def test_they_are_answered_as_the_command_does(tmp_path: Path, name: str) -> None:
    store = tmp_path / "h.duckdb"
    query = {"explain": "?test=flaky", "failures": "?pattern=flaky"}[name]
    with serving(store) as service:
        for path in history(tmp_path, TESTS):
            assert service.upload(path.read_bytes()).status == 201
        told = service.ask(f"/api/v1/{name}{query}").json
        assert service.end() == 0
    done = command(name, "flaky", "--format", "json", "--store", store, cwd=tmp_path)
    assert told == done.json
    assert "a.py::flaky" in done.out


def test_an_explanation_names_no_test_of_another_project(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    tokens = {}
    for project in ("mine", "theirs"):
        options = ("--project", project, "--scope", "ingest", "--scope", "read")
        made = command(
            *("serve", "token", "create", project, *options, "--store", store), cwd=tmp_path
        )
        tokens[project] = made.out.strip()
    with serving(store) as service:
        for project, token in tokens.items():
            body = lines(header(1), attempt(f"a.py::test_of_{project}"), end(1))
            assert service.upload(body, token=token).status == 201
        for test in ("test_of_theirs", "test_of_", "a.py::test_of_their", "*"):
            answer = service.ask(f"/api/v1/explain?test={test}", token=tokens["mine"])
            assert b"of_theirs" not in answer.body.replace(test.encode(), b""), test
        for path in ("verdicts?run=run-1", "failures", "badge.svg?kind=flaky"):
            answer = service.ask(f"/api/v1/{path}", token=tokens["mine"])
            assert answer.status in {200, 404}
            assert b"theirs" not in answer.body
            theirs = service.ask(
                f"/api/v1/{path}{'&' if '?' in path else '?'}project=theirs", token=tokens["mine"]
            )
            assert theirs.slug == "token-project"


def badge(service: Serving, query: str) -> str:
    answer = service.ask(f"/api/v1/badge.svg{query}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    root = ET.fromstring(answer.body)
    label = root.get("aria-label")
    assert label is not None
    assert [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")] == label.split(": ")
    return label


def test_badges_tell_one_figure(filled: Serving) -> None:
    project = "?project=default"
    assert badge(filled, project) == "tests: 1 failed, 2 passed"
    assert badge(filled, f"{project}&kind=flaky") == "flaky tests: 1"
    assert badge(filled, f"{project}&kind=broken") == "broken tests: 1"
    assert badge(filled, f"{project}&kind=regressions") == "slower tests: 0"
    assert badge(filled, "?project=other") == "tests: 1 failed, 1 passed"
    assert badge(filled, f"{project}&branch=none") == "tests: no runs"
    assert badge(filled, "?project=%3Cscript%3E&kind=flaky") == "flaky: no runs"
    assert filled.ask("/api/v1/badge.svg?kind=nothing").slug == "http-parameter"


def test_what_a_badge_says_is_escaped() -> None:
    from testlytics.service.badges import Badge, draw

    text = draw(Badge("<script>\"'&", "</text>", "#000000"))
    root = ET.fromstring(text)
    assert [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")] == [
        "<script>\"'&",
        "</text>",
    ]


def test_a_project_is_public_only_if_asked_for(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    made = command(
        *("serve", "token", "create", "ci", "--all-projects", "--store", store), cwd=tmp_path
    )
    token = made.out.strip()
    with serving(store, "--public", "shown") as service:
        for project in ("shown", "hidden"):
            body = lines(header(1), attempt(f"a.py::of_{project}"), end(1))
            assert service.upload(body, f"project={project}", token=token).status == 201
        for path in ("runs", "tests", "badge.svg", "verdicts?run=run-1", "explain?test=a.py"):
            sign = "&" if "?" in path else "?"
            shown = service.ask(f"/api/v1/{path}{sign}project=shown")
            assert shown.status in {200, 404}
            assert b"hidden" not in shown.body
            for query in ("project=hidden", "project=Shown", "variant=a%3Db"):
                answer = service.ask(f"/api/v1/{path}{sign}{query}")
                assert (answer.status, answer.slug) == (401, "token-missing")
        told = service.ask("/api/v1/badge.svg?project=shown")
        assert told.headers["cache-control"] == "public, max-age=300"
        refused = service.ask("/api/v1/badge.svg?project=shown", token="wrong")
        assert refused.slug == "token-wrong"
        assert service.upload(b"x", "project=shown").slug == "token-missing"
        assert service.ask("/metrics").slug == "token-missing"
