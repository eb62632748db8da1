"""`testlytics alerts`: what is told, to whom, and that nothing is told twice or lost."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from testlytics.alerts.delivery import deliver
from testlytics_collector.errors import ConfigError, Error
from tests.command import Done, command
from tests.factories import attempt, history, run_file

SECRET = "s3cret"


@dataclass
class Hook:
    """Plays a webhook: answers with the codes given, then 200."""

    url: str = ""
    codes: list[int] = field(default_factory=list)
    location: str = ""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    told = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(told.codes.pop(0) if told.codes else 200)
            if told.location:
                self.send_header("Location", told.location)
                told.location = ""
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}/hook?key=hidden"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


class Project:
    """A project whose store gets runs, a letter for each test.

    Some tests besides always pass.
    """

    def __init__(self, folder: Path, calm: int = 20) -> None:
        self.folder = folder
        self.calm = calm
        self.runs = 0
        (folder / "pyproject.toml").touch()

    def ran(self, **tests: str) -> None:
        """Store a run for each letter."""
        part = self.folder / f"part-{self.runs}"
        part.mkdir()
        calm = {
            f"calm{number}": "P" * len(next(iter(tests.values()))) for number in range(self.calm)
        }
        letters = {**calm, **tests}
        shifted = {f"a.py::{name}": "P" * self.runs + told for name, told in letters.items()}
        files = history(part, shifted)
        for path in files[: self.runs]:
            path.unlink()
        self.runs = len(files)
        done = command("ingest", part, cwd=self.folder)
        assert done.code == 0, done.err

    def alerts(self, *options: object, **env: str) -> Done:
        return command("alerts", *options, cwd=self.folder, env=env)

    def told(self, *options: object) -> list[dict[str, Any]]:
        done = self.alerts(*options)
        assert done.code == 0, done.err
        assert done.json["schema"] == 1
        events: list[dict[str, Any]] = done.json["events"]
        return events

    def kinds(self, *options: object) -> list[str]:
        return [event["kind"] for event in self.told(*options)]

    @property
    def state(self) -> Path:
        return self.folder / ".testlytics" / "alerts.json"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_break_is_told_once_and_its_end_once(project: Project) -> None:
    project.ran(x="P" * 20)
    assert project.kinds() == []
    project.ran(x="FFF")
    [event] = project.told()
    assert (event["kind"], event["test_id"], event["run_id"]) == ("broken", "a.py::x", "run-22")
    assert event["values"]["broken_run"] == "run-20"
    project.ran(x="F")
    assert project.kinds() == []
    project.ran(x="P")
    assert project.kinds() == []
    assert project.kinds() == []
    project.ran(x="PPPP")
    assert project.kinds() == ["fixed"]
    assert project.kinds() == []
    assert json.loads(project.state.read_text())["open"] == []


def test_flaky_test_is_told_once_until_it_has_proven_its_recovery(project: Project) -> None:
    project.ran(x="PPPLPPPLPPLPPPLPPPPL")
    assert project.kinds() == ["flaky"]
    project.ran(x="PPPLPP")
    assert project.kinds() == []
    # At its rate of about 30 % a dozen passes would be a rare row.
    project.ran(x="P" * 30)
    assert project.kinds() == ["fixed"]
    project.ran(x="PL")
    assert project.kinds() == ["flaky"]


def test_slowdown_and_its_end(tmp_path: Path) -> None:
    project = Project(tmp_path)
    names = [f"a.py::t{n}" for n in range(12)]

    def ran(first: int, last: int, slow_s: float) -> None:
        for number in range(first, last):
            rows = []
            for at, name in enumerate(names):
                scatter = 1 + ((number * 7 + at * 13) % 11) / 300
                took_s = (slow_s if at == 0 else 0.2) * scatter
                rows.append(attempt(name, call_us=round(took_s * 1e6)))
            run_file(tmp_path / f"{number:03}.jsonl", rows, number)
        assert command("ingest", *sorted(tmp_path.glob("*.jsonl")), cwd=tmp_path).code == 0

    ran(0, 30, 0.2)
    assert project.kinds() == []
    ran(30, 45, 0.4)
    [event] = project.told()
    assert (event["kind"], event["test_id"]) == ("slower", "a.py::t0")
    assert event["values"]["ratio"] == pytest.approx(2, rel=0.05)
    ran(45, 48, 0.2)
    assert project.kinds() == []
    ran(48, 65, 0.2)
    told = project.told() + project.told()
    ran(65, 72, 0.2)
    told += project.told() + project.told()
    assert [event["kind"] for event in told] == ["faster"]
    assert told[0]["values"]["now_s"] == pytest.approx(0.2, rel=0.05)


def test_removed_test_is_told_of_no_more(project: Project) -> None:
    project.ran(x="P" * 20 + "FFF")
    assert project.kinds() == ["broken"]
    project.ran(y="P" * 6)
    assert project.kinds("--last", 5) == []
    assert json.loads(project.state.read_text())["open"] == []


def test_retries_of_the_suite(tmp_path: Path) -> None:
    project = Project(tmp_path, calm=1)
    project.ran(x="P" * 10)
    assert project.kinds() == []
    project.ran(x="LLLL")
    rates = [event for event in project.told() if event["kind"] == "retry-rate"]
    assert [event["values"]["retry_rate"] for event in rates] == [pytest.approx(4 / 20)]
    assert rates[0]["test_id"] is None


def test_expired_quarantine_is_told_once(project: Project) -> None:
    project.ran(x="P" * 3)
    file = project.folder / "quarantine.toml"
    entry = '[[quarantine]]\ntest = "a.py::x"\nowner = "me"\nreason = "why"\n'
    file.write_text(f"schema = 1\n{entry}expires = 2001-01-01\n")
    [event] = project.told()
    assert (event["kind"], event["owner"]) == ("quarantine-expired", "me")
    assert project.kinds() == []
    file.write_text("schema = 1\n")
    assert project.kinds() == []
    assert json.loads(project.state.read_text())["open"] == []


def test_what_was_so_at_a_run_counts_as_told(project: Project) -> None:
    project.ran(old="P" * 10 + "F" * 10, new="P" * 20)
    project.ran(old="FFF", new="FFF")
    assert [one["test_id"] for one in project.told("--since-run", "run-19")] == ["a.py::new"]
    assert project.kinds("--since-run", "run-19") == []
    other = project.folder / "other.json"
    assert len(project.told("--state", other)) == 2
    done = project.alerts("--since-run", "run-99", "--state", project.folder / "third.json")
    assert (done.code, done.out) == (5, "")


def test_webhook_is_signed_and_secrets_stay_secret(project: Project, hook: Hook) -> None:
    project.ran(x="P" * 20 + "FFF")
    to = ("--to", "webhook", "--url", hook.url)
    done = project.alerts(*to, TESTLYTICS_WEBHOOK_SECRET=SECRET)
    assert done.code == 0, done.err
    [(path, headers, body)] = hook.got
    assert path == "/hook?key=hidden"
    # Independent: what a receiver computes.
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-testlytics-signature"] == f"sha256={digest}"
    assert headers["content-type"].startswith("application/json")
    assert [event["kind"] for event in json.loads(body)["events"]] == ["broken"]
    assert SECRET not in done.out + done.err + body.decode() + project.state.read_text()
    assert project.alerts(*to).err == "Nothing new.\n"
    assert len(hook.got) == 1


def test_undelivered_is_not_lost(project: Project, hook: Hook) -> None:
    project.ran(x="P" * 20)
    assert project.kinds() == []
    before = project.state.read_bytes()
    project.ran(x="FFF")
    hook.codes = [400]
    done = project.alerts("--to", "webhook", "--url", hook.url)
    assert (done.code, len(hook.got)) == (3, 1)
    assert "answered 400" in done.err
    assert "hidden" not in done.err
    assert project.state.read_bytes() == before
    assert project.alerts("--to", "webhook", TESTLYTICS_ALERTS_URL=hook.url).code == 0
    first, second = (json.loads(body)["events"] for _, _, body in hook.got)
    assert first == second != []


def test_slack_and_issue(project: Project, hook: Hook) -> None:
    project.ran(x="P" * 20 + "FFF")
    done = project.alerts("--to", "slack", "--url", hook.url, TESTLYTICS_WEBHOOK_SECRET=SECRET)
    assert done.code == 0, done.err
    [(_, headers, body)] = hook.got
    assert "x-testlytics-signature" not in headers
    assert "a.py::x (os=linux)" in json.loads(body)["blocks"][1]["text"]["text"]
    project.state.unlink()
    issue = project.alerts("--to", "github-issue")
    assert issue.out.startswith("## testlytics: 1 alert\n\n- **a.py::x (os=linux)** broke")
    assert (project.alerts("--to", "github-issue").out, issue.code) == ("", 0)


def test_server_in_trouble_is_asked_again(hook: Hook) -> None:
    waited: list[float] = []
    hook.codes = [503, 429]
    deliver(hook.url, b"{}", sleep=waited.append)
    assert (len(hook.got), waited) == (3, [1.0, 4.0])
    hook.codes = [500] * 9
    with pytest.raises(Error, match=r"127.0.0.1 answered 500"):
        deliver(hook.url, b"{}", sleep=waited.append)
    assert len(hook.got) == 6


def test_redirects_stay_on_the_host_and_keep_the_message(hook: Hook) -> None:
    hook.codes, hook.location = [307], "/other"
    deliver(hook.url, b'{"a":1}', secret=SECRET, sleep=lambda _: None)
    assert [(path, body) for path, _, body in hook.got][1] == ("/other", b'{"a":1}')
    assert hook.got[0][1]["x-testlytics-signature"] == hook.got[1][1]["x-testlytics-signature"]
    port = hook.url.split(":")[2].split("/")[0]
    elsewhere = [
        f"http://localhost:{port}/x",
        "http://127.0.0.1:1/x",
        "file:///etc/passwd",
        f"https://127.0.0.1:{port}/x",
    ]
    for place in elsewhere:
        before = len(hook.got)
        hook.codes, hook.location = [307], place
        with pytest.raises(Error, match="answered 307"):
            deliver(hook.url, b"{}", sleep=lambda _: None)
        assert len(hook.got) == before + 1
    hook.codes, hook.location = [307], "//["
    with pytest.raises(Error, match="nobody can follow"):
        deliver(hook.url, b"{}", sleep=lambda _: None)
    hook.codes, hook.location = [302], "/other"
    with pytest.raises(Error, match="answered 302"):
        deliver(hook.url, b"{}", sleep=lambda _: None)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/y", "http://u:pw@x/", "http://", "x", "http://x/\ny"]
)
def test_only_plain_web_addresses(project: Project, url: str) -> None:
    with pytest.raises(ConfigError) as error:
        deliver(url, b"{}")
    assert "pw" not in str(error.value)
    if url != "x":
        return
    assert project.alerts("--to", "slack", "--url", url).code == 2
    assert project.alerts("--to", "webhook").code == 2


def test_nobody_there_is_exit_code_three(project: Project) -> None:
    with pytest.raises(Error, match="cannot be reached"):
        deliver("http://127.0.0.1:1/x", b"{}", sleep=lambda _: None)
    assert project.alerts().code == 5


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": 9, "runs": {}, "open": []}', '{"schema": 1}', "[" * 5_000]
)
def test_foreign_state_is_refused_and_left_alone(project: Project, text: str) -> None:
    project.ran(x="P")
    project.state.write_text(text)
    done = project.alerts()
    assert (done.code, done.out) == (2, "")
    assert "alerts.json is not what alerts has written" in done.err
    assert project.state.read_text() == text


def test_state_that_cannot_be_written_says_so(project: Project) -> None:
    project.ran(x="P")
    done = project.alerts("--state", project.folder / "no" / "folder" / "s.json")
    assert done.code == 3
    assert "Cannot write" in done.err
