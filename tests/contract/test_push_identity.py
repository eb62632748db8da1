"""`testlytics push --id-token`: a job of GitHub Actions shows what GitHub signs for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from testlytics.push.address import service as service_at
from testlytics.push.delivery import Push
from testlytics.push.identity import FRESH_S, of_job
from testlytics.push.waits import World
from testlytics_collector.errors import ConfigError
from testlytics_collector.ingest import Stated
from tests import scripted as server
from tests.command import Done, command
from tests.factories import attempt, run_file
from tests.issuer import AUDIENCE, Issuer, issuing
from tests.scripted import Scripted, scripted
from tests.serving import Serving, serving

SECRET = "job-secret.x.y"
STORED = server.says(201, b'{"schema": 1, "status": "stored", "run_id": "r", "format": "run-file"}')
AWAY = server.says(503, b"busy")


def gives(token: str, *headers: str) -> server.Act:
    return server.says(200, json.dumps({"count": 1, "value": token}).encode(), *headers)


def job(github: Scripted) -> dict[str, str]:
    """Return what GitHub sets in a job that may ask for tokens."""
    url = f"{github.url}/42//idtoken/a0b1?api-version=2.0"
    return {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": SECRET}


def push(path: Path, *options: object, url: str, env: dict[str, str]) -> Done:
    words = ["push", path, "--id-token", "--audience", AUDIENCE, "--url", url, *options]
    return command(*words, cwd=path.parent, env=env)


def waiting(folder: Path) -> list[Path]:
    return sorted((folder / ".testlytics" / "outbox").glob("*/*.push"))


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as one:
        yield one


@pytest.fixture(scope="module")
def service(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("identity")
    with serving(folder / "h.duckdb", "--oidc", issuer.trusting(folder)) as one:
        yield one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return run_file(tmp_path / "run.jsonl", [attempt()], time.time_ns() % 10**9)


def url_of(service: Serving) -> str:
    return f"http://127.0.0.1:{service.port}"


def test_the_job_gets_a_token_and_the_service_takes_it(
    service: Serving, issuer: Issuer, file: Path
) -> None:
    with scripted(gives(issuer.token())) as github:
        done = push(file, "--format", "json", url=url_of(service), env=job(github))
    assert (done.code, done.err) == (0, "")
    assert [row["status"] for row in done.json["files"]] == ["stored"]
    [asked] = github.asked
    method, target, _ = asked.line.split(" ")
    assert (method, urlsplit(target).path) == ("GET", "/42//idtoken/a0b1")
    assert parse_qs(urlsplit(target).query) == {"api-version": ["2.0"], "audience": [AUDIENCE]}
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert any("oidc:acme/shop" in json.dumps(line) for line in service.log())


def test_the_token_is_for_the_service_unless_told_and_the_secret_is_for_github_alone(
    tmp_path: Path, file: Path
) -> None:
    with scripted(gives("a.b.c")) as github, scripted(STORED) as seen:
        words = ["push", file, "--id-token", "--url", f"{seen.url}/tests/"]
        done = command(*words, cwd=tmp_path, env=job(github))
        (tmp_path / "pyproject.toml").write_text("[tool.testlytics.push]\nid-token = true\n")
        words = ["push", file, "--url", seen.url]
        given = command(*words, cwd=tmp_path, env={**job(github), "TESTLYTICS_TOKEN": "tly_x"})
        by_key = command(*words, cwd=tmp_path, env=job(github))
    assert [one.code for one in (done, given, by_key)] == [0, 0, 0], done.err
    audiences = [
        parse_qs(urlsplit(one.line.split(" ")[1]).query)["audience"] for one in github.asked
    ]
    assert audiences == [[f"{seen.url}/tests"], [seen.url]]
    sent = [one.headers["authorization"] for one in seen.asked]
    assert sent == ["Bearer a.b.c", "Bearer tly_x", "Bearer a.b.c"]
    assert SECRET not in f"{seen.asked} {done} {given} {by_key}"
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"a.b.c" not in kept
    assert SECRET.encode() not in kept


@pytest.mark.parametrize(
    "missing", ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
)
def test_a_job_without_the_permission_is_told_which(file: Path, missing: str) -> None:
    with scripted(gives("a.b.c")) as github, scripted(STORED) as seen:
        done = push(file, url=seen.url, env=job(github) | {missing: ""})
        assert (done.code, done.out) == (2, "")
        assert "permissions: id-token: write" in done.err
        assert SECRET not in done.err
        assert github.connections == seen.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        *("http://github.example.com/x?y=1", "ftp://127.0.0.1/", "https://", "127.0.0.1"),
        *("https://me:pw@github.example.com", "https://git hub.example.com", "file:///etc/passwd"),
        *("https://github.example.com/\r\nX: y", "http://127.0.0.1.example.com/", "https://[::1"),
    ],
)
def test_the_secret_goes_to_no_address_that_others_can_listen_at(url: str) -> None:
    told = {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": SECRET}
    with pytest.raises(ConfigError) as caught:
        of_job(told, AUDIENCE)
    assert caught.value.slug == "push-id-token"
    assert SECRET not in str(caught.value)


def test_a_token_goes_over_plain_http_only_where_that_is_said(tmp_path: Path, file: Path) -> None:
    with scripted(gives("a.b.c")) as github:
        done = push(file, url="http://t.example.com", env=job(github))
        assert (done.code, "--plain-http" in done.err) == (2, True)
        assert github.connections == 0
    assert waiting(tmp_path) == []


def test_one_that_is_not_given_at_once_is_asked_for_once_more(tmp_path: Path, file: Path) -> None:
    with scripted(server.says(500, b"x"), gives("a.b.c")) as github, scripted(STORED) as seen:
        done = push(file, url=seen.url, env=job(github))
    assert (done.code, done.out.split()[0], github.connections) == (0, "stored", 2)


@pytest.mark.parametrize(
    ("act", "word"),
    [
        (server.says(403, b'{"value": "a.b.c"}'), "403"),
        (server.says(302, b"", "Location: http://127.0.0.1:1/"), "302"),
        (server.says(200, b"<html>"), "200"),
        (server.says(200, b'{"value": "a b\\r\\nX: y"}'), "200"),
        (server.says(200, b'{"value": 1}'), "200"),
        (server.says(200, b'{"pad": "' + b"x" * (1 << 20) + b'", "value": "a.b.c"}'), "200"),
        (server.resets(1), "broke off|cannot be reached"),
    ],
)
def test_without_a_token_the_job_stays_green_and_files_wait(
    tmp_path: Path, file: Path, act: server.Act, word: str
) -> None:
    others = [run_file(tmp_path / f"{n}.jsonl", [attempt()], n) for n in range(4)]
    with scripted(act) as github, scripted(STORED) as seen:
        done = push(file, *others, url=seen.url, env=job(github))
        assert (done.code, done.out.count("spooled  ")) == (0, 5), done.err
        assert "5 files wait" in done.err
        assert any(one in done.err for one in word.split("|")), done.err
        assert (github.connections, seen.connections) == (2, 0)
        strict = push(file, "--strict", url=seen.url, env=job(github))
        assert strict.code == 3
    # The service did nothing wrong: it is asked as soon as there is a token.
    assert list(tmp_path.rglob("circuit.json")) == []
    assert SECRET not in done.err + done.out


def test_what_waits_is_brought_with_a_token_of_the_next_push(
    service: Serving, issuer: Issuer, tmp_path: Path, file: Path
) -> None:
    expired = issuer.token(claims={"exp": int(time.time()) - 60})
    with scripted(server.says(500, b"x")) as github:
        away = push(file, url=url_of(service), env=job(github))
        assert (away.code, len(waiting(tmp_path))) == (0, 1)
    with scripted(gives(expired), gives(issuer.token())) as github:
        words = ["push", "--id-token", "--audience", AUDIENCE, "--url", url_of(service)]
        refused = command(*words, cwd=tmp_path, env=job(github))
        assert (refused.code, len(waiting(tmp_path))) == (2, 1)
        assert "not accepted here" in refused.err
        done = command(*words, "--strict", cwd=tmp_path, env=job(github))
    assert (done.code, done.out.split()[0]) == (0, "stored"), done.err
    assert waiting(tmp_path) == []


def test_a_token_that_gets_old_during_a_push_is_replaced(tmp_path: Path) -> None:
    """The clock goes on by each pause; nothing is slept."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    world = World(lambda: 1e9 + now, lambda: now, sleep, lambda: 1.0)
    files = [run_file(tmp_path / f"{n}.jsonl", [attempt()], n) for n in range(3)]
    busy = server.says(503, b"x", f"Retry-After: {FRESH_S:g}")
    with scripted(gives("a.b.1"), gives("a.b.2")) as github, scripted(STORED, busy, STORED) as seen:
        who = of_job(job(github), AUDIENCE)
        one = Push(
            service_at(seen.url, None), tmp_path / "o", within_s=900, identity=who, world=world
        )
        pushed = one.bring([str(path) for path in files], Stated())
    assert [result.status for result in pushed.files] == ["stored"] * 3
    # Each answer is on its way before it is noted what was asked: the notes have no order.
    sent = sorted(asked.headers["authorization"][-1] for asked in seen.asked)
    assert sent == ["1", "1", "2", "2"]
    assert github.connections == 2


def test_an_open_circuit_asks_nobody(tmp_path: Path, file: Path) -> None:
    with (
        scripted(gives("a.b.c")) as github,
        scripted(server.says(503, b"x", "Retry-After: 600")) as seen,
    ):
        push(file, url=seen.url, env=job(github))
        before = (github.connections, seen.connections)
        done = push(file, url=seen.url, env=job(github))
        assert (done.code, done.out.split()[0]) == (0, "spooled")
        assert (github.connections, seen.connections) == before == (1, 1)
