"""The service over real HTTP: uploads, questions, and what it refuses."""

from __future__ import annotations

import gzip
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import command
from tests.factories import attempt, end, header, history, lines
from tests.serving import Serving, serving

JUNIT = b"""<testsuite name="s"><testcase classname="shop.TestPay" name="test_card" time="0.1"/>
<testcase classname="shop.TestPay" name="test_cash"><failure message="no">at x.py:1</failure>
</testcase></testsuite>"""


def run(number: int, *attempts: dict[str, object], project: str = "default") -> bytes:
    rows = attempts or (attempt(),)
    return lines(header(number, project=project), *rows, end(len(rows)))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One service for all tests that do not end it; each uses a project of its own."""
    folder = tmp_path_factory.mktemp("service")
    with serving(folder / "h.duckdb", "--max-body", 1, "--max-attempts", 5) as one:
        yield one


def names(service: Serving, project: str) -> set[str]:
    return {row["test_id"] for row in service.ask(f"/api/v1/tests?project={project}").json["tests"]}


def test_an_upload_is_there_once_it_is_acknowledged(service: Serving) -> None:
    answer = service.upload(run(1, project="first"), headers={"Content-Encoding": "identity"})
    assert answer.status == 201
    assert answer.json["status"] == "stored"
    assert answer.json["format"] == "run-file"
    assert answer.json["run_id"] == "run-1"
    assert answer.json["counts"]["passed"] == 1
    assert names(service, "first") == {"test_a.py::test_one"}


def test_the_same_bytes_twice_change_nothing(service: Serving) -> None:
    body = run(2, project="twice")
    assert service.upload(body).status == 201
    for again in (body, gzip.compress(body)):
        answer = service.upload(again)
        assert (answer.status, answer.json["status"]) == (200, "already stored")
        assert answer.json["run_id"] == "run-2"
        assert answer.json["counts"] is None
    [row] = service.ask("/api/v1/tests?project=twice").json["tests"]
    assert row["runs"] == row["passed"] == 1


def test_what_junit_cannot_say_is_said_in_the_query(service: Serving) -> None:
    query = (
        "project=junit&run_id=r-1&branch=dev&commit=" + "a" * 40 + "&variant=os%3Dlinux"
        "&variant=python%3D3.12&pull_request=7&run_attempt=2&shard=a&name=TEST-x.xml"
    )
    answer = service.upload(JUNIT, query)
    assert answer.status == 201
    assert answer.json["counts"]["failed"] == 1
    [row] = service.ask("/api/v1/runs?project=junit").json["runs"]
    assert (row["run_id"], row["branch"], row["commit"]) == ("r-1", "dev", "a" * 40)
    assert row["variants"] == ["os=linux,python=3.12"]
    found = service.ask("/api/v1/runs?project=junit&variant=os%3Dlinux").json["runs"]
    assert len(found) == 1
    assert service.ask("/api/v1/runs?project=junit&variant=os%3Dmac").slug == "no-runs"


@pytest.mark.parametrize("encoding", ["gzip", None])
def test_gzip_is_taken_whether_the_header_says_so_or_not(
    service: Serving, encoding: str | None
) -> None:
    project = f"gzip-{encoding}"
    headers = {"Content-Encoding": encoding} if encoding else {}
    answer = service.upload(gzip.compress(JUNIT), f"project={project}", headers=headers)
    assert answer.status == 201
    assert len(names(service, project)) == 2


BOMB = gzip.compress(b"<testsuite>" + b" " * (80 << 20), mtime=0)


@pytest.mark.parametrize(
    ("body", "headers", "status", "slug"),
    [
        (b"", {}, 422, "empty"),
        (b"hello", {}, 422, "unknown-format"),
        (b"<testsuite>", {}, 422, "junit-xml"),
        (b"<html><body/></html>", {}, 422, "junit-foreign"),
        (b"<testsuite>\xff</testsuite>", {}, 422, "junit-xml"),
        (b'<?xml version="1.0" encoding="none"?><testsuite/>', {}, 422, "junit-encoding"),
        (gzip.compress(JUNIT, mtime=0)[:-9], {}, 422, "http-gzip"),
        (gzip.compress(JUNIT, mtime=0)[:-9], {"Content-Encoding": "gzip"}, 422, "http-gzip"),
        (b"\x1f\x8bnothing that gzip wrote", {}, 422, "http-gzip"),
        (JUNIT, {"Content-Encoding": "gzip"}, 422, "http-gzip"),
        (JUNIT, {"Content-Encoding": "br"}, 415, "http-encoding"),
        (b"x" * ((1 << 20) + 1), {}, 413, "http-body-large"),
        (BOMB, {"Content-Encoding": "gzip"}, 413, "gzip-bomb"),
        (run(90, *[attempt(f"t{n}") for n in range(6)]), {}, 413, "too-many-attempts"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_name(
    service: Serving, body: bytes, headers: dict[str, str], status: int, slug: str
) -> None:
    answer = service.upload(body, "project=refused", headers=headers)
    assert (answer.status, answer.slug) == (status, slug)
    assert b"Traceback" not in answer.body
    assert str(service.store.parent).encode() not in answer.body
    assert service.ask("/api/v1/runs?project=refused").status == 404


def test_a_body_without_a_length_is_bounded_too(service: Serving) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as raw:
        raw.sendall(
            b"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(17):
            raw.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        told = b""
        while b"}}" not in told and (part := raw.recv(65_536)):
            told += part
    assert told.startswith(b"HTTP/1.1 413 ")
    assert b'"http-body-large"' in told


def test_nothing_is_left_of_bodies(service: Serving) -> None:
    service.upload(JUNIT, "project=left")
    service.upload(b"hello")
    spool = Path(service.store).with_name("h.duckdb.spool")
    assert [path.name for path in spool.iterdir()] == []


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nothing", 404, "http-path"),
        ("GET", "/api/v1/runs/", 404, "http-path"),
        ("GET", "/api/v1/%00..%2f", 404, "http-path"),
        ("POST", "/nothing", 404, "http-path"),
        ("DELETE", "/api/v1/runs", 405, "http-method"),
        ("POST", "/api/v1/flaky", 405, "http-method"),
        ("GET", "/api/v1/runs?nonsense=1", 400, "http-parameter"),
        ("GET", "/api/v1/runs?last=0", 400, "http-parameter"),
        ("GET", "/api/v1/runs?last=1&last=2", 400, "http-parameter"),
        ("GET", "/api/v1/runs?last=%C2%B2", 400, "http-parameter"),
        ("GET", "/api/v1/runs?branch=%ff", 400, "http-parameter"),
        ("GET", "/api/v1/runs?branch=%00", 400, "http-parameter"),
        ("GET", "/api/v1/runs?branch=" + "x" * 1001, 400, "http-parameter"),
        ("GET", "/api/v1/runs?since=yesterday", 400, "http-parameter"),
        ("GET", "/api/v1/runs?since=99999999d", 400, "http-parameter"),
        ("GET", "/api/v1/tests?sort=runs;drop", 400, "http-parameter"),
        ("POST", "/api/v1/runs?variant=os", 400, "http-parameter"),
        ("GET", "/api/v1/runs?" + "&".join(["variant=a=b"] * 65), 400, "http-parameter"),
        ("GET", "/api/v1/gate?run=none", 404, "no-runs"),
    ],
)
def test_what_is_not_there_is_an_error_of_the_one_shape(
    service: Serving, method: str, path: str, status: int, slug: str
) -> None:
    answer = service.ask(path, method=method, body=b"" if method == "POST" else None)
    assert (answer.status, answer.slug) == (status, slug)
    assert answer.headers["content-type"] == "application/json"
    if status == 405:
        assert "GET" in answer.headers["allow"]


def test_sql_and_html_in_strings_are_only_strings(service: Serving) -> None:
    hostile = "'; drop table raw.runs; --<script>alert(1)</script>\"\\"
    body = run(3, attempt(f"a.py::{hostile}", "failed", failure={"message": hostile}))
    assert service.upload(body, "project=%27+or+1%3D1--").status == 201
    assert names(service, "%27+or+1%3D1--") == {f"a.py::{hostile}"}
    answer = service.ask("/api/v1/runs?branch=%27+or+%271%27%3D%271")
    assert answer.slug == "no-runs"
    answer = service.ask("/api/v1/tests?pattern=%27%29+or+%281%3D1")
    assert answer.slug == "no-tests"
    answer = service.ask("/api/v1/runs?project=%27+or+1%3D1--")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_no_http_gets_the_same_shape(service: Serving) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as raw:
        raw.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        told = b""
        while part := raw.recv(65_536):
            told += part
        head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["slug"] == "http-invalid"


def test_figures_count_what_was_done(service: Serving) -> None:
    def figure(name: str) -> float:
        text = service.ask("/metrics").body.decode()
        return float(re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[0])

    service.upload(b"hello")
    service.upload(run(4, project="figures"))
    stored = figure('testlytics_uploads_total{status="stored"}')
    refused = figure('testlytics_errors_total{slug="unknown-format"}')
    results = figure("testlytics_results_total")
    commits = figure("testlytics_commit_seconds_count")
    service.upload(b"hello")
    service.upload(run(5, attempt(), attempt("b"), project="figures"))
    assert figure('testlytics_uploads_total{status="stored"}') == stored + 1
    assert figure('testlytics_errors_total{slug="unknown-format"}') == refused + 1
    assert figure("testlytics_results_total") == results + 2
    assert figure("testlytics_commit_seconds_count") == commits + 1
    assert figure("testlytics_queue_length") == 0


def test_every_address_is_in_the_openapi_document(service: Serving) -> None:
    document = service.ask("/api/v1/openapi.json").json
    assert document["openapi"] == "3.1.0"
    # What the service answers, found by asking: it knows a path where it refuses the method.
    for path, methods in document["paths"].items():
        answer = service.ask(path, method="PATCH")
        assert answer.slug == "http-method", path
        assert answer.headers["allow"].lower().split(", ") == sorted(methods), path
    from testlytics.service.routes import ENDPOINTS

    known = {(one.path, one.method.lower()) for one in ENDPOINTS}
    assert known == {
        (path, method) for path, methods in document["paths"].items() for method in methods
    }


def test_answers_have_the_shapes_of_the_openapi_document(service: Serving) -> None:
    from jsonschema import Draft202012Validator

    document = service.ask("/api/v1/openapi.json").json

    def check(shape: str, value: object) -> None:
        schema = {"$ref": f"#/components/schemas/{shape}", "components": document["components"]}
        Draft202012Validator(schema).validate(value)

    check("Uploaded", service.upload(run(6, project="shapes")).json)
    check("Failed", service.ask("/nothing").json)
    check("Alive", service.ask("/healthz").json)
    check("Document", service.ask("/api/v1/runs").json)


LISTS = {
    "runs": ["runs"],
    "tests": ["tests"],
    "flaky": ["report", "--flaky"],
    "broken": ["report", "--broken"],
    "regressions": ["report", "--regressions"],
    "slowest": ["report", "--slowest"],
    "gate": ["gate"],
}


def test_questions_are_answered_as_the_command_does(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    tests = {"a.py::flaky": "PFPPFPPFPP", "a.py::broken": "PPPPPFFFFF", "a.py::good": "P" * 10}
    with serving(store) as service:
        for path in history(tmp_path, tests):
            assert service.upload(path.read_bytes()).status == 201
        told = {name: service.ask(f"/api/v1/{name}").json for name in LISTS}
        assert service.end() == 0
    for name, words in LISTS.items():
        done = command(*words, "--format", "json", "--store", store, cwd=tmp_path)
        assert told[name] == done.json, name
    assert told["gate"]["verdict"] in {"passed", "blocked"}
    assert [row["test_id"] for row in told["flaky"]["flaky"]] == ["a.py::flaky"]


def test_what_ingest_leaves_in_the_spool_is_taken_in(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    with serving(store) as service:
        (tmp_path / "r.jsonl").write_bytes(run(1))
        done = command("ingest", "r.jsonl", "--store", store, "--format", "json", cwd=tmp_path)
        assert done.json["files"][0]["status"] in {"spooled", "stored"}
        end_s = time.monotonic() + 60
        while service.ask("/api/v1/runs").status == 404 and time.monotonic() < end_s:
            time.sleep(0.05)
        assert len(service.ask("/api/v1/runs").json["runs"]) == 1


def test_a_service_that_only_reads_leaves_the_store_to_others(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    (tmp_path / "a.jsonl").write_bytes(run(1))
    (tmp_path / "b.jsonl").write_bytes(run(2))
    assert command("ingest", "a.jsonl", "--store", store, cwd=tmp_path).code == 0
    with serving(store, "--read-only") as service:
        assert service.upload(run(3)).slug == "service-read-only"
        assert len(service.ask("/api/v1/runs").json["runs"]) == 1
        done = command("ingest", "b.jsonl", "--store", store, "--format", "json", cwd=tmp_path)
        assert done.json["files"][0]["status"] == "stored"
        assert len(service.ask("/api/v1/runs").json["runs"]) == 2


def test_only_a_service_that_runs_loads_the_http_libraries() -> None:
    code = (
        "import sys, testlytics.api, testlytics.cli.main, testlytics.cli.serve\n"
        "print({'starlette', 'uvicorn', 'duckdb', 'msgspec'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
