"""`testlytics push` as people call it, against the real service."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testlytics.push import address
from testlytics.push.outbox import Outbox
from tests import scripted as server
from tests.command import Done, command
from tests.factories import attempt, end, header, lines, run_file
from tests.scripted import Scripted, scripted
from tests.serving import Serving, serving

JUNIT = b"""<testsuite name="s"><testcase classname="shop.TestPay" name="test_card" time="0.1"/>
<testcase classname="shop.TestPay" name="test_cash"><failure message="no">at x.py:1</failure>
</testcase></testsuite>"""
WHO = ("AUTHOR", "COMMITTER")
BUSY = server.says(503, b"busy")


def push(*arguments: object, url: str, cwd: Path, stdin: bytes = b"", **env: str) -> Done:
    more = {f"TESTLYTICS_{name.upper()}": value for name, value in env.items()}
    return command("push", *arguments, "--url", url, cwd=cwd, stdin=stdin, env=more)


def url_of(service: Serving) -> str:
    return f"http://127.0.0.1:{service.port}"


def waiting(folder: Path) -> list[Path]:
    return sorted((folder / ".testlytics" / "outbox").glob("*/*.push"))


def stored(store: Path) -> dict[str, int]:
    """Return how many attempts each run has."""
    done = command("export", "--format", "json", "--store", store, cwd=store.parent)
    return dict(Counter(row["run_id"] for row in done.json["attempts"]))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("service")
    with serving(folder / "h.duckdb", "--max-body", 1, "--max-attempts", 5) as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".testlytics").mkdir()
    return tmp_path


def test_files_are_brought_with_what_is_stated_of_them(service: Serving, folder: Path) -> None:
    (folder / "TEST-a.xml").write_bytes(JUNIT)
    (folder / "b.xml.gz").write_bytes(gzip.compress(JUNIT.replace(b"Pay", b"Buy")))
    options = ["--run-id", "r-1", "--project", "said", "--variant", "os=linux", "--branch", "dev"]
    more = ["--commit", "a" * 40, "--run-attempt", 2, "--shard", "s1", "--format", "json"]
    done = push("TEST-a.xml", "b.xml.gz", *options, *more, url=url_of(service), cwd=folder)
    assert (done.code, done.err) == (0, "")
    first, second = done.json["files"]
    assert (first["path"], first["status"], first["format"]) == ("TEST-a.xml", "stored", "junit")
    assert (first["run_id"], first["passed"], first["failed"]) == ("r-1", 1, 1)
    assert second["status"] == "stored"
    assert (done.json["earlier"], done.json["waiting"], done.json["schema"]) == ([], 0, 1)
    [row] = service.ask("/api/v1/runs?project=said").json["runs"]
    assert (row["run_id"], row["branch"], row["commit"]) == ("r-1", "dev", "a" * 40)
    assert row["variants"] == ["os=linux"]
    assert waiting(folder) == []


def test_the_same_again_changes_nothing(service: Serving, folder: Path) -> None:
    run_file(folder / ".testlytics" / "r.jsonl", [attempt()], 41)
    first = push(url=url_of(service), cwd=folder, project="again")
    assert first.out == "stored          .testlytics/r.jsonl  1 passed\n"
    second = push(url=url_of(service), cwd=folder, project="again")
    assert (second.code, second.out.split("  ")[0]) == (0, "already stored")
    assert second.err == ""
    [row] = service.ask("/api/v1/tests?project=again").json["tests"]
    assert row["passed"] == 1


def test_standard_input_is_brought_too(service: Serving, folder: Path) -> None:
    done = push("-", "--project", "stdin", url=url_of(service), cwd=folder, stdin=JUNIT)
    assert done.out == "stored          -  1 passed, 1 failed\n"


def test_runs_stand_where_git_has_their_commits(tmp_path: Path) -> None:
    made, store = [], tmp_path / "h.duckdb"
    for number in range(3):
        who = {f"GIT_{one}_{what}": "x@y" for one in WHO for what in ("NAME", "EMAIL")}
        env = os.environ | who | {"GIT_COMMITTER_DATE": f"{1_780_000_000 + number} +0000"}
        for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", str(number)]):
            subprocess.run(["git", *words], cwd=tmp_path, env=env, check=True)
        told = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path, text=True)
        made.append(told.strip())
    (tmp_path / "a.xml").write_bytes(JUNIT)
    with serving(store) as service:
        for number in (2, 0, 1):
            options = ["--run-id", f"r-{number}", "--commit", made[number]]
            assert push("a.xml", *options, url=url_of(service), cwd=tmp_path).code == 0
        assert service.end() == 0
    query = "select run_id from runs order by position"
    told = command("sql", query, "--store", store, "--format", "json", cwd=tmp_path).out
    assert re.findall(r"r-\d", told) == ["r-0", "r-1", "r-2"]


def test_what_cannot_be_taken_is_an_error_at_once(service: Serving, folder: Path) -> None:
    (folder / "bad.xml").write_bytes(b"<testsuite>")
    (folder / "good.xml").write_bytes(JUNIT)
    (folder / "many.jsonl").write_bytes(
        lines(header(9), *[attempt(f"t{n}") for n in range(6)], end(6))
    )
    (folder / "large.xml").write_bytes(os.urandom(2 << 20))
    names = ["bad.xml", "good.xml", "many.jsonl", "large.xml", "none.xml"]
    options = ["--project", "bad", "--format", "json"]
    done = push(*names, *options, url=url_of(service), cwd=folder)
    assert done.code == 3
    told = {row["path"]: row for row in done.json["files"]}
    assert {name: row["status"] for name, row in told.items()} == {
        name: "stored" if name == "good.xml" else "refused" for name in names
    }
    assert "--max-body" in told["large.xml"]["problems"][0]["text"]
    assert "5 attempts" in told["many.jsonl"]["problems"][0]["text"]
    assert waiting(folder) == []


def test_wrong_usage_is_said_before_anything_is_sent(folder: Path) -> None:
    (folder / "a.xml").write_bytes(JUNIT)
    (folder / "empty").write_text("")
    with scripted(BUSY) as seen:
        near = seen.url.removeprefix("http://")
        for options, url, word in [
            ([], f"http://me:hunter2@{near}", "--url"),
            (["--token-file", "none"], seen.url, "No such file"),
            (["--token-file", "empty"], seen.url, "empty"),
            (["--format", "csv"], seen.url, "csv"),
            (["--variant", "os"], seen.url, "key=value"),
        ]:
            done = push("a.xml", *options, url=url, cwd=folder)
            assert (done.code, done.out) == (2, ""), word
            assert word in done.err
            assert "hunter2" not in done.err
        done = push("a.xml", url="http://t.example.com", cwd=folder, token="tly_x")
        assert (done.code, "--plain-http" in done.err) == (2, True)
        assert command("push", "a.xml", cwd=folder).code == 2
        nothing = push(url=seen.url, cwd=folder)
        assert (nothing.code, "nothing to push" in nothing.err) == (5, True)
    assert seen.connections == 0
    assert waiting(folder) == []


def test_a_token_is_shown_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    made = command(
        "serve", "token", "create", "ci", "--project", "p", "--store", store, cwd=tmp_path
    )
    (tmp_path / "token").write_text(made.out)
    (tmp_path / "a.xml").write_bytes(JUNIT)
    with serving(store) as service:
        url = url_of(service)
        missing = push("a.xml", url=url, cwd=tmp_path)
        assert (missing.code, "A token is needed" in missing.err) == (2, True)
        wrong = push("a.xml", url=url, cwd=tmp_path, token="tly_wrong")
        assert (wrong.code, "not known here" in wrong.err) == (2, True)
        assert "tly_wrong" not in wrong.err + wrong.out
        other = push("a.xml", "--project", "q", "--token-file", "token", url=url, cwd=tmp_path)
        assert (other.code, "another project" in other.err) == (2, True)
        assert waiting(tmp_path) == []
        done = push("a.xml", "--token-file", "token", url=url, cwd=tmp_path)
        assert (done.code, done.out.split()[0]) == (0, "stored")
        done = push("a.xml", url=url, cwd=tmp_path, token=made.out.strip())
        assert (done.code, done.out.split()[0]) == (0, "already")


def test_while_the_service_is_away_the_job_stays_green_and_nothing_is_lost(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    files = [run_file(tmp_path / f"{n}.jsonl", [attempt()], n) for n in range(3)]
    with serving(store) as service:
        port = service.port
    url = f"http://127.0.0.1:{port}"
    first = push(files[0], "--within", 1, url=url, cwd=tmp_path)
    assert first.code == 0
    assert first.out.startswith("spooled ")
    assert "1 file waits in .testlytics/outbox/" in first.err
    assert "Connection refused" in first.err
    assert (tmp_path / ".testlytics" / "outbox" / ".gitignore").read_text() == "*\n"
    strict = push(files[1], "--within", 1, "--strict", url=url, cwd=tmp_path)
    assert strict.code == 3
    assert len(waiting(tmp_path)) == 2
    with serving(store, "--port", port, log="again.log"):
        # The files themselves may have gone: what waits is a copy.
        files[0].unlink()
        # The circuit is open by now, for a minute: as if that had passed.
        for memory in (tmp_path / ".testlytics" / "outbox").glob("*/circuit.json"):
            memory.unlink()
        done = push(files[2], "--strict", "--format", "json", url=url, cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        told = [(row["path"], row["status"]) for row in done.json["earlier"]]
        assert told == [(str(files[0]), "stored"), (str(files[1]), "stored")]
        again = push(files[1], files[2], "--format", "json", url=url, cwd=tmp_path)
        assert [row["status"] for row in again.json["files"]] == ["already stored"] * 2
    assert waiting(tmp_path) == []
    assert stored(store) == {"run-0": 1, "run-1": 1, "run-2": 1}


def test_an_open_circuit_fails_fast_without_a_connection(folder: Path) -> None:
    files = [run_file(folder / f"{n}.jsonl", [attempt()], n) for n in range(5)]
    with scripted(BUSY) as seen:
        for path in files[:2]:
            push(path, "--within", 1, url=seen.url, cwd=folder)
        before = seen.connections
        assert before >= 3
        done = push(*files, url=seen.url, cwd=folder)
        assert seen.connections == before
        assert (done.code, done.out.count("spooled  ")) == (0, 5)
        assert "is not asked before" in done.err
        assert len(waiting(folder)) == 5
        # What costs time is loading; of that there must be next to nothing.
        code = (
            "import sys; sys.argv = ['testlytics', 'push', *sys.argv[1:]]\n"
            "from testlytics.cli.main import main\n"
            "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code\n"
            "heavy = {'duckdb', 'polars', 'numpy', 'rich', 'starlette', 'http.client', 'ssl'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
        )
        words = [sys.executable, "-c", code, str(files[0]), "--url", seen.url]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        assert seen.connections == before


def start(folder: Path, url: str, *paths: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "testlytics", "push", *map(str, paths), "--url", url]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_two_pushes_at_once_send_each_waiting_file_once(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    count = 12
    with serving(store) as service, scripted(server.forwards(service.port)) as seen:
        fill(tmp_path, seen, count)
        pushes = [start(tmp_path, seen.url) for _ in range(2)]
        told = [one.communicate(timeout=100) for one in pushes]
        assert [one.returncode for one in pushes] == [0, 0], told
        assert seen.connections == count
        bodies = Counter(one.body for one in seen.asked)
    assert len(bodies) == count
    assert set(bodies.values()) == {1}
    assert waiting(tmp_path) == []
    assert stored(store) == {f"run-{n}": 1 for n in range(count)}


def fill(folder: Path, seen: Scripted, count: int) -> None:
    """Let files wait, as pushes do while the service is away."""
    base = folder / ".testlytics" / "outbox" / address.service(seen.url, None).folder
    for n in range(count):
        Outbox(base).put(str(run_file(folder / "r.jsonl", [attempt()], n)), []).leave()
    assert len(waiting(folder)) == count


@pytest.mark.chaos
@pytest.mark.parametrize("is_stored", [False, True])
def test_a_push_that_is_killed_loses_nothing_and_doubles_nothing(
    tmp_path: Path, is_stored: bool
) -> None:
    store = tmp_path / "h.duckdb"
    files = [run_file(tmp_path / f"{n}.jsonl", [attempt()], n) for n in range(3)]
    with serving(store) as service:
        first = server.forwards(service.port, swallow=True) if is_stored else server.hangs
        with scripted(first, server.forwards(service.port)) as seen:
            one = start(tmp_path, seen.url, *files)
            if is_stored:
                wait_for(lambda: service.ask("/api/v1/runs").status == 200)
            else:
                wait_for(lambda: seen.connections == 1)
            one.send_signal(signal.SIGKILL)
            one.communicate(timeout=60)
            assert len(waiting(tmp_path)) == 1
            done = push(*files, "--format", "json", url=seen.url, cwd=tmp_path)
    assert done.code == 0
    [earlier] = done.json["earlier"]
    assert earlier["status"] == ("already stored" if is_stored else "stored")
    told = [row["status"] for row in done.json["files"]]
    assert told == ["already stored", "stored", "stored"]
    assert waiting(tmp_path) == []
    assert stored(store) == {f"run-{n}": 1 for n in range(3)}


@pytest.mark.chaos
def test_pushes_that_are_killed_at_any_moment_lose_nothing(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    files = [run_file(tmp_path / f"{n}.jsonl", [attempt()], n) for n in range(8)]
    with serving(store) as service, scripted(server.forwards(service.port)) as seen:
        for kill in range(4):
            before = seen.connections
            one = start(tmp_path, seen.url, *files)
            wait_for(lambda: seen.connections >= before + 1 + kill or one.poll() is not None)  # noqa: B023
            with contextlib.suppress(ProcessLookupError):
                one.kill()
            one.communicate(timeout=60)
        done = push(*files, url=seen.url, cwd=tmp_path)
        assert done.code == 0
    assert waiting(tmp_path) == []
    assert stored(store) == {f"run-{n}": 1 for n in range(8)}
