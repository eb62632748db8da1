"""The service over the years: backup, restore, replica, upgrade, end, and how to install it."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from testlytics_collector.store.schema import SCHEMA_VERSION, STEPS
from tests.command import command
from tests.factories import attempt, end, header, lines
from tests.serving import Serving, serving

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "service"
TESTS = 200


def run(number: int) -> bytes:
    tests = [attempt(f"a.py::t{n}") for n in range(TESTS)]
    return lines(header(number), *tests, end(len(tests)))


def runs(service: Serving, token: str | None = None) -> set[str]:
    rows = service.ask("/api/v1/runs?last=10000", token=token).json["runs"]
    assert all(row["passed"] == TESTS for row in rows)
    return {row["run_id"] for row in rows}


def test_a_backup_of_a_busy_service_is_a_store_that_can_be_served(tmp_path: Path) -> None:
    store, copy = tmp_path / "h.duckdb", tmp_path / "copy.duckdb"
    with serving(store) as service:
        stored = set()
        for number in range(3):
            assert service.upload(run(number)).status == 201
            stored.add(f"run-{number}")
        is_done = threading.Event()
        sent = []

        def send() -> None:
            number = 100
            while not is_done.is_set() and number < 200:
                sent.append(service.upload(run(number)).status)
                number += 1

        thread = threading.Thread(target=send)
        thread.start()
        told = [service.ask("/api/v1/backup") for _ in range(3)]
        is_done.set()
        thread.join()
        assert set(sent) == {201}
        assert {answer.status for answer in told} == {200}
        assert int(told[-1].headers["content-length"]) == len(told[-1].body)
        copy.write_bytes(told[-1].body)
        everything = runs(service)
        assert service.end() == 0
    assert list(Path(f"{store}.spool").iterdir()) == []
    with serving(copy, "--read-only", log="replica.log") as replica:
        there = runs(replica)
        assert stored <= there <= everything
        assert replica.upload(run(0)).slug == "service-read-only"
        # A replica can be backed up as well, and is a backup still.
        assert replica.ask("/api/v1/backup").status == 200
    assert command("doctor", "--store", copy, cwd=tmp_path).code == 0
    # Restored in its place it takes what is sent again, and nothing twice.
    copy.rename(store)
    with serving(store, log="restored.log") as service:
        assert service.upload(run(0)).json["status"] == "already stored"
        assert service.upload(run(300)).status == 201
        assert runs(service) == there | {"run-300"}
        assert service.end() == 0


def test_a_backup_is_for_those_who_may_see_everything(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    tokens = {}
    for name, options in {
        "one": ("--project", "p", "--scope", "admin"),
        "reader": ("--all-projects", "--scope", "read"),
        "all": ("--all-projects", "--scope", "admin"),
    }.items():
        made = command(
            *("serve", "token", "create", name, *options, "--store", store), cwd=tmp_path
        )
        tokens[name] = made.out.strip()
    with serving(store) as service:
        slugs = {
            name: service.ask("/api/v1/backup", token=tokens[name]).slug
            for name in ("one", "reader")
        }
        assert slugs == {"one": "token-project", "reader": "token-scope"}
        assert service.ask("/api/v1/backup").slug == "token-missing"
        assert service.ask("/api/v1/backup", token=tokens["all"]).status == 200


@pytest.mark.parametrize("version", sorted(STEPS))
def test_a_service_brings_an_older_store_up_to_date(tmp_path: Path, version: int) -> None:
    store = tmp_path / "h.duckdb"
    with duckdb.connect(str(store)) as connection:
        schema = ROOT / "tests" / "data" / "store" / f"schema-{version}.sql"
        connection.execute(schema.read_text(encoding="utf-8")).fetchall()
        [(attempts,)] = connection.execute("select count(*) from raw.attempts").fetchall()
    done = command("serve", "--read-only", "--store", store, "--port", 0, cwd=tmp_path)
    assert done.code == 3
    assert "doctor" in done.err
    with serving(store) as service:
        before = service.ask("/api/v1/runs").json["runs"]
        assert before
        assert service.upload(run(50)).status == 201
        after = service.ask("/api/v1/runs").json["runs"]
        assert len(after) == len(before) + 1
        assert service.end() == 0
    told = {}
    for path in (store, tmp_path / f"h.duckdb.schema{version}"):
        with duckdb.connect(str(path), read_only=True) as connection:
            told[path.name] = connection.execute(
                "select (select value from raw.meta where key = 'schema_version'), "
                "(select count(*) from raw.attempts)"
            ).fetchall()
    assert told == {
        "h.duckdb": [(str(SCHEMA_VERSION), attempts + TESTS)],
        f"h.duckdb.schema{version}": [(str(version), attempts)],
    }


def test_what_was_begun_before_the_signal_is_answered(tmp_path: Path) -> None:
    store, body = tmp_path / "h.duckdb", run(1)
    with serving(store) as service:
        assert service.ask("/healthz").status == 200
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as raw:
            raw.sendall(
                b"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body[:50]
            )
            # The service has begun with it once something of it lies in the spool.
            spool = Path(f"{store}.spool")
            waiting = threading.Event()
            for _ in range(600):
                if any(path.stat().st_size for path in spool.glob(".*.body")):
                    break
                waiting.wait(0.05)
            service.process.send_signal(signal.SIGTERM)
            raw.sendall(body[50:])
            told = b""
            while part := raw.recv(65_536):
                told += part
        assert told.startswith(b"HTTP/1.1 201 ")
        assert service.process.wait(60) == 0
    done = command("runs", "--store", store, "--format", "json", cwd=tmp_path)
    assert [row["run_id"] for row in done.json["runs"]] == ["run-1"]


def known_options(*words: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-m", "testlytics", *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "/usr/bin:/bin"},
    )
    return set(re.findall(r"--[a-z][a-z-]+", shown.stdout))


def options(words: list[str]) -> set[str]:
    return {word for word in words if word.startswith("--")}


def test_the_unit_is_one_and_uses_options_that_there_are() -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((EXAMPLES / "testlytics.service").read_text())
    assert unit.sections() == ["Unit", "Service", "Install"]
    service = unit["Service"]
    words = shlex.split(service["ExecStart"])
    assert words[1] == "serve"
    assert options(words) <= known_options("serve")
    assert words[words.index("--store") + 1].startswith(f"/var/lib/{service['StateDirectory']}/")
    assert service["KillSignal"] == "SIGTERM"
    # The service gives those whom it answers 30 s, and the writer as long as it needs.
    assert int(service["TimeoutStopSec"]) > 30
    assert "--host" in words
    assert words[words.index("--host") + 1] == "127.0.0.1"


def test_the_container_file_uses_options_that_there_are() -> None:
    text = re.sub(r"\\\n", " ", (EXAMPLES / "Containerfile").read_text())
    rows = [line.split(None, 1) for line in text.splitlines() if line and line[0] not in "# "]
    steps = dict(rows)
    assert set(steps) <= {
        *("FROM", "RUN", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENV", "HEALTHCHECK"),
        *("ENTRYPOINT", "CMD"),
    }
    words = [*json.loads(steps["ENTRYPOINT"]), *json.loads(steps["CMD"])]
    assert words[:2] == ["testlytics", "serve"]
    assert options(words) <= known_options("serve")
    assert words[words.index("--port") + 1] == steps["EXPOSE"]
    assert steps["STOPSIGNAL"] == "SIGTERM"
    assert steps["USER"] not in {"root", "0"}
    assert steps["ENV"].startswith(f"TESTLYTICS_STORE={steps['VOLUME']}/")
    check = json.loads(steps["HEALTHCHECK"][steps["HEALTHCHECK"].index("CMD") + 3 :])
    compile(check[2], "check", "exec")


def test_the_page_uses_commands_and_options_that_there_are() -> None:
    page = (ROOT / "docs" / "how-to" / "operate.md").read_text()
    said = re.findall(r"testlytics (serve(?: token create)?) ([^\n`]*)", page)
    assert len(said) >= 3
    for words, rest in said:
        if words == "serve" and rest.startswith("token"):
            continue
        assert options(rest.split()) <= known_options(*words.split()), rest
