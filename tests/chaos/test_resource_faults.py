"""Machines that fail their programs: what was acknowledged stays, and work goes on afterwards."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.test_places import give_up_power
from tests.command import command
from tests.factories import attempt, end, header, history, lines, run_file
from tests.serving import Serving, serving

pytestmark = pytest.mark.chaos
TESTS = {"a.py::test_a": "PPFPLP", "a.py::test_b": "PFPPPP"}
LATER = {"a.py::test_a": "PPFPLPPP", "a.py::test_b": "PFPPPPPP"}
PATIENCE_S = 60.0
MIB = 1 << 20

# A clock that goes as it likes, from the first line that testlytics runs.
WRONG_CLOCK = """
import sys, time
real, apart = time.time_ns, int(sys.argv.pop(1)) * 1_000_000_000
time.time_ns = lambda: real() + apart
time.time = lambda: time.time_ns() / 1e9
from testlytics.cli.main import run
run()
"""


def run(
    *arguments: object, before: Callable[[], object] | None = None, code: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command, `before` in its process first."""
    start = ["-c", code] if code else ["-m", "testlytics"]
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        env={**os.environ, "TESTLYTICS_WAIT": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        preexec_fn=before,
    )


def runs(store: Path) -> dict[str, Any]:
    """Return the runs of a store, by name."""
    done = command("runs", "--format", "json", "--store", store, cwd=store.parent)
    assert done.code == 0, done.err
    return {row["run_id"]: row for row in done.json["runs"]}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "h.duckdb"
    (tmp_path / "old").mkdir()
    paths = history(tmp_path / "old", TESTS)
    assert command("ingest", *paths, "--store", path, cwd=tmp_path).code == 0
    return path


@pytest.fixture
def later(tmp_path: Path) -> list[Path]:
    """Two runs that come after those of the store."""
    (tmp_path / "later").mkdir()
    return history(tmp_path / "later", LATER)[6:]


def in_order(done: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether it did what it was asked for, or said in words that it could not."""
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert done.returncode in {0, 3}
    assert (done.returncode == 3) == bool(done.stderr)
    return done.returncode == 0


def test_few_descriptors_are_an_error_in_words_or_enough(store: Path, later: list[Path]) -> None:
    """Promise: degrade, lose nothing. Without descriptors a command says so; the store stays."""
    before = runs(store)
    done = []
    for most in range(5, 13):
        limit = (most, most)
        told = run(
            *("ingest", later[0], "--store", store),
            before=lambda limit=limit: resource.setrlimit(resource.RLIMIT_NOFILE, limit),  # type: ignore[misc]
        )
        # With next to none Python itself does not start.
        done.append(told.returncode == 0 if most < 6 else in_order(told))
        there = runs(store)
        assert {name: there[name] for name in before} == before
    assert done[-1]
    assert command("ingest", *later, "--store", store, cwd=store.parent).code == 0
    assert len(runs(store)) == 8


def test_little_memory_costs_no_run_that_was_stored(store: Path, tmp_path: Path) -> None:
    """Promise: lose nothing. A command that gets no memory dies or says so; the store stays."""
    before = runs(store)
    big = run_file(tmp_path / "big.jsonl", [attempt(f"t{n // 50}.py::t{n}") for n in range(9_000)])
    ends = []
    for most in (120, 180, 260, 360):
        limit = (most * MIB, most * MIB)
        told = run(
            *("ingest", big, "--store", store, "--run-id", f"of-{most}"),
            before=lambda limit=limit: resource.setrlimit(resource.RLIMIT_AS, limit),  # type: ignore[misc]
        )
        ends.append(told.returncode)
        there = runs(store)
        assert {name: there[name] for name in before} == before
        # Wholly or not at all: also where it died after it had stored it.
        assert there.get(f"of-{most}", {"tests": 9_000})["tests"] == 9_000
        assert told.returncode != 0 or f"of-{most}" in there
    assert any(ends), "there was memory enough for everything: nothing was tried"
    assert command("doctor", "--store", store, cwd=tmp_path).code == 0


def test_a_clock_that_jumps_changes_no_answer(tmp_path: Path) -> None:
    """Promise: nothing is lost. Runs stand in the order of the tests' own times, not of ours."""
    paths = history(tmp_path, TESTS)
    straight, jumping = tmp_path / "straight.duckdb", tmp_path / "jumping.duckdb"
    year = 365 * 86_400
    for path, apart in zip(paths, (0, -50 * year, 3600, 70 * year, -3600, 10 * year), strict=True):
        assert command("ingest", path, "--store", straight, cwd=tmp_path).code == 0
        done = run(apart, "ingest", path, "--store", jumping, code=WRONG_CLOCK)
        assert (done.returncode, done.stderr) == (0, "")
        again = run(-apart, "ingest", path, "--store", jumping, code=WRONG_CLOCK)
        assert "already stored" in again.stdout
    answers = [
        command(*asked, "--format", "json", "--store", one, cwd=tmp_path).json
        for asked in (["runs"], ["tests"], ["report", "--flaky"])
        for one in (straight, jumping)
    ]
    assert answers[0::2] == answers[1::2]


@pytest.fixture
def stalled(store: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A writer whose disk has stopped: it holds the store, and does not go on."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from testlytics_collector.store.store import open_store\n"
        "with open_store(Path(sys.argv[1]), write=True):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGSTOP)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def test_a_disk_that_stalls_a_writer_stalls_nobody_else(
    stalled: subprocess.Popen[bytes], store: Path, later: list[Path]
) -> None:
    """Promise: degrade, warn, lose nothing. Others are told who holds it; their runs wait."""
    reading = run("report", "--store", store)
    assert reading.returncode == 3
    assert f"process {stalled.pid}" in reading.stderr
    bringing = run("ingest", *later, "--store", store)
    assert bringing.returncode == 0
    assert "spooled" in bringing.stdout
    stalled.send_signal(signal.SIGCONT)
    assert stalled.stdin is not None
    stalled.stdin.close()
    assert stalled.wait(PATIENCE_S) == 0
    assert len(runs(store)) == 8


def body(number: int) -> bytes:
    return lines(header(number), attempt(), end(1))


def test_a_store_that_is_removed_while_it_is_served_takes_no_acknowledged_run_along(
    tmp_path: Path,
) -> None:
    """Promise: warn, recover. What is acknowledged after it was removed is in the new one."""
    store = tmp_path / "h.duckdb"
    with serving(store) as service:
        assert service.upload(body(0)).status == 201
        store.unlink()
        sent = [service.upload(body(number)).status for number in range(1, 4)]
        assert _until_taken(service, body(4))[-1].status == 201
        assert service.end() == 0
    acknowledged = [number for number, status in enumerate([*sent, 201], 1) if status == 201]
    assert set(runs(store)) == {f"run-{number}" for number in acknowledged}


def _until_taken(service: Serving, upload: bytes) -> list[Any]:
    answers = []
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        answers.append(service.upload(upload))
        if answers[-1].status in {200, 201}:
            break
        time.sleep(0.2)
    return answers


def test_a_service_without_descriptors_goes_on_once_there_are_some(tmp_path: Path) -> None:
    """Promise: recover, lose nothing. Too many connections keep others out for as long."""
    store = tmp_path / "h.duckdb"
    with serving(store) as service:
        assert service.upload(body(0)).status == 201
        _, most = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (40, most))
        idle = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(60)]
        time.sleep(0.5)
        for one in idle:
            one.close()
        assert service.process.poll() is None
        assert _until_taken(service, body(1))[-1].status == 201
        assert service.end() == 0
    assert set(runs(store)) == {"run-0", "run-1"}


def test_rights_that_are_pulled_away_and_given_back_cost_nothing(
    store: Path, later: list[Path]
) -> None:
    """Promise: degrade, lose nothing, recover. Without rights it is said; with them it goes on."""
    powerless = give_up_power if os.geteuid() == 0 else None
    files = [store, store.with_name("h.duckdb.lock")]
    before = store.read_bytes()
    for path in files:
        path.chmod(0)
    try:
        done = run("ingest", later[0], "--store", store, before=powerless)
        assert (done.returncode, "Cannot write" in done.stderr) == (3, True)
        assert not in_order(done)
    finally:
        for path in files:
            path.chmod(0o644)
    assert store.read_bytes() == before
    assert run("ingest", *later, "--store", store, before=powerless).returncode == 0
    assert len(runs(store)) == 8
