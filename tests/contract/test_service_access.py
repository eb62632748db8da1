"""Who may do what at the service: tokens, scopes, projects, and how often."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import command
from tests.factories import attempt, end, header, lines
from tests.serving import Serving, serving


def run(number: int, test_id: str) -> bytes:
    return lines(header(number), attempt(test_id), end(1))


class Guarded:
    """A service with tokens, and a store with one run in each of two projects."""

    def __init__(self, service: Serving, tokens: dict[str, str]) -> None:
        self.service, self.tokens = service, tokens


def make(store: Path, name: str, *options: str) -> str:
    done = command("serve", "token", "create", name, "--store", store, *options, cwd=store.parent)
    assert done.code == 0, done.err
    assert done.err == ""
    return done.out.strip()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    store = tmp_path_factory.mktemp("guarded") / "h.duckdb"
    tokens = {
        "ci-a": make(store, "ci-a", "--project", "a"),
        "ci-b": make(store, "ci-b", "--project", "b"),
        "ci-c": make(store, "ci-c", "--project", "c"),
        "ci-d": make(store, "ci-d", "--project", "d"),
        "read-a": make(store, "read-a", "--project", "a", "--scope", "read", "--scope", "admin"),
        "all": make(store, "all", "--all-projects", *("--scope", "read", "--scope", "admin")),
    }
    with serving(store) as service:
        assert service.upload(run(1, "a.py::of_a"), token=tokens["ci-a"]).status == 201
        assert service.upload(run(2, "b.py::of_b"), token=tokens["ci-b"]).status == 201
        yield Guarded(service, tokens)


def test_a_token_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    secret = make(store, "ci", "--project", "p")
    file = tmp_path / "h.duckdb.tokens"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in file.read_text()
    assert len(secret) > 43  # 32 bytes in base64
    told = command(
        "serve", "token", "list", "--store", store, "--format", "json", cwd=tmp_path
    ).json
    [row] = told["tokens"]
    assert (row["name"], row["project"], row["scopes"]) == ("ci", "p", "ingest")
    assert secret not in json.dumps(told)
    assert json.loads(file.read_text())["tokens"][0]["sha256"] not in json.dumps(told)


def test_tokens_are_listed_for_people_too(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    make(store, "ci", "--project", "p")
    make(store, "whole", "--all-projects")
    done = command("serve", "token", "list", "--store", store, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    _, *rows = [line.split()[:2] for line in done.out.splitlines() if line.split()[1:]]
    assert [row for row in rows if row[0] in {"ci", "whole"}] == [["ci", "p"], ["whole", "all"]]


@pytest.mark.parametrize(
    ("options", "code", "slug"),
    [
        (["create", "x"], 2, "opens one project"),
        (["create", "x", "--project", "p", "--all-projects"], 2, "opens one project"),
        (["create", "x/../y", "--project", "p"], 2, "letters, digits"),
        (["create", "x", "--project", "p", "--scope", "root"], 2, "'root'"),
        (["create", "there", "--project", "p"], 2, "already"),
        (["revoke", "gone"], 5, "'gone'"),
    ],
)
def test_what_a_token_cannot_be_is_said(
    options: list[str], code: int, slug: str, tmp_path: Path
) -> None:
    make(tmp_path / "h.duckdb", "there", "--project", "p")
    done = command("serve", "token", *options, "--store", tmp_path / "h.duckdb", cwd=tmp_path)
    assert done.code == code
    assert slug in done.err


def test_without_a_token_or_with_a_wrong_one_nothing_is_told(guarded: Guarded) -> None:
    right = guarded.tokens["read-a"]
    for path in ("/api/v1/runs", "/api/v1/gate", "/metrics"):
        missing = guarded.service.ask(path)
        assert (missing.status, missing.slug) == (401, "token-missing")
        assert missing.headers["www-authenticate"].startswith("Bearer")
        for wrong in (right[:-1], right + "x", right.upper(), "tly_", "\xff"):
            answer = guarded.service.ask(path, token=wrong)
            assert (answer.status, answer.slug) == (401, "token-wrong")
    basic = guarded.service.ask("/api/v1/runs", headers={"Authorization": f"Basic {right}"})
    assert basic.slug == "token-missing"
    assert guarded.service.upload(run(9, "x")).slug == "token-missing"
    for path in ("/healthz", "/readyz", "/api/v1/openapi.json"):
        assert guarded.service.ask(path).status == 200


def test_a_token_does_only_what_it_is_for(guarded: Guarded) -> None:
    service, tokens = guarded.service, guarded.tokens
    assert service.ask("/api/v1/runs", token=tokens["ci-a"]).slug == "token-scope"
    assert service.upload(run(9, "x"), token=tokens["read-a"]).slug == "token-scope"
    assert service.ask("/metrics", token=tokens["ci-a"]).slug == "token-scope"
    # Figures of the service are of all projects.
    assert service.ask("/metrics", token=tokens["read-a"]).slug == "token-project"
    assert service.ask("/metrics", token=tokens["all"]).status == 200


@pytest.mark.parametrize("name", ["runs", "tests", "flaky", "broken", "regressions", "slowest"])
def test_a_token_sees_only_its_project(guarded: Guarded, name: str) -> None:
    service, tokens = guarded.service, guarded.tokens
    told = service.ask(f"/api/v1/{name}", token=tokens["read-a"])
    assert told.status == 200
    assert b"of_b" not in told.body
    assert b"run-2" not in told.body
    assert service.ask(f"/api/v1/{name}?project=a", token=tokens["read-a"]).body == told.body
    other = service.ask(f"/api/v1/{name}?project=b", token=tokens["read-a"])
    assert (other.status, other.slug) == (403, "token-project")
    if name in {"runs", "tests"}:
        both = service.ask(f"/api/v1/{name}", token=tokens["all"]).json[name]
        assert {row["project"] for row in both} >= {"a", "b"}
        assert [row["project"] for row in told.json[name]] == ["a"]


def test_the_gate_judges_only_runs_of_the_project(guarded: Guarded) -> None:
    service, tokens = guarded.service, guarded.tokens
    assert service.ask("/api/v1/gate", token=tokens["read-a"]).json["run"]["run_id"] == "run-1"
    answer = service.ask("/api/v1/gate?run=run-2", token=tokens["read-a"])
    assert (answer.status, answer.slug) == (404, "no-runs")


def test_an_upload_goes_to_the_project_of_its_token(guarded: Guarded) -> None:
    service, tokens = guarded.service, guarded.tokens
    body = lines(header(7, project="d"), attempt("c.py::mine"), end(1))
    refused = service.upload(body, "project=d", token=tokens["ci-c"])
    assert (refused.status, refused.slug) == (403, "token-project")
    assert service.upload(body, token=tokens["ci-c"]).status == 201
    of_d = service.ask("/api/v1/tests?project=d", token=tokens["all"])
    assert of_d.slug == "no-tests"
    # That one project has the bytes tells another nothing, and keeps it from nothing.
    again = service.upload(body, token=tokens["ci-d"])
    assert (again.status, again.json["status"]) == (201, "stored")


def test_secrets_are_in_no_log_line(guarded: Guarded) -> None:
    service, tokens = guarded.service, guarded.tokens
    service.ask("/api/v1/runs", token=tokens["read-a"])
    # What is asked wrongly is refused before anybody looks at the token.
    service.ask("/api/v1/runs?nonsense=secret-in-query", token=tokens["read-a"])
    service.ask("/secret-in-path")
    log = json.dumps(service.log())
    assert "read-a" in log
    for secret in (
        *tokens.values(),
        "secret-in-query",
        "secret-in-path",
        str(service.store.parent),
    ):
        assert secret not in log


def test_a_token_that_is_made_or_revoked_counts_at_once(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    with serving(store) as service:
        assert service.upload(run(1, "t")).status == 201
        secret = make(store, "first", "--project", "default", "--scope", "read")
        assert service.ask("/api/v1/runs").slug == "token-missing"
        assert service.ask("/api/v1/runs", token=secret).status == 200
        done = command("serve", "token", "revoke", "first", "--store", store, cwd=tmp_path)
        assert done.code == 0
        assert service.ask("/api/v1/runs", token=secret).slug == "token-wrong"
        # It does not become open again because its last token has gone.
        assert service.ask("/api/v1/runs").slug == "token-missing"
        (tmp_path / "h.duckdb.tokens").write_text("{")
        answer = service.ask("/api/v1/runs", token=secret)
        assert (answer.status, answer.slug) == (503, "tokens-unreadable")


def test_a_service_without_tokens_answers_no_web_page(tmp_path: Path) -> None:
    with serving(tmp_path / "h.duckdb") as service:
        for headers in (
            {"Host": "evil.example"},
            {"Host": f"evil.example:{service.port}"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Host": "["},
        ):
            answer = service.upload(run(1, "t"), headers=headers)
            assert (answer.status, answer.slug) == (403, "http-host"), headers
        own = f"127.0.0.1:{service.port}"
        ours = {"Host": own, "Origin": f"http://{own}"}
        assert service.upload(run(1, "t"), headers=ours).status == 201


def test_it_listens_beyond_the_machine_only_with_tokens(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    for host in ("0.0.0.0", "::", "example.org", "192.0.2.1"):
        done = command("serve", "--store", store, "--host", host, cwd=tmp_path)
        assert done.code == 2
        assert "token create" in done.err
    assert not store.exists()
    secret = make(store, "ci", "--project", "p", "--scope", "read")
    with serving(store, "--host", "0.0.0.0") as service:
        assert service.ask("/api/v1/runs").slug == "token-missing"
        assert service.ask("/api/v1/runs", token=secret).slug == "no-runs"


def test_who_asks_too_often_is_told_to_wait(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    one = make(store, "one", "--all-projects", "--scope", "admin")
    two = make(store, "two", "--all-projects", "--scope", "admin")
    with serving(store, "--rate", "0.1", "--burst", "3") as service:
        told = [service.ask("/metrics", token=one) for _ in range(4)]
        assert [answer.status for answer in told] == [200, 200, 200, 429]
        assert told[-1].slug == "http-rate"
        assert int(told[-1].headers["retry-after"]) >= 1
        assert service.ask("/metrics", token=two).status == 200
        wrong = [service.ask("/metrics", token="tly_x").status for _ in range(4)]
        assert wrong == [401, 401, 401, 429]


def test_options_may_stand_in_the_projects_settings(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.testlytics]\nstore = "own.duckdb"\n[tool.testlytics.serve]\nhost = "192.0.2.1"\n'
    )
    done = command("serve", cwd=tmp_path)
    assert done.code == 2
    assert "192.0.2.1" in done.err
    assert command("serve", "token", "create", "x", "--project", "p", cwd=tmp_path).code == 0
    assert (tmp_path / "own.duckdb.tokens").exists()
