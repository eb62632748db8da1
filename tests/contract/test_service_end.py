"""How the service ends: in order by a signal, or killed with nothing lost that was acknowledged."""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.command import command
from tests.factories import attempt, end, header, lines
from tests.serving import Serving, serving

RUNS = 12
SENDERS = 3


def body(number: int) -> bytes:
    tests = [attempt(f"a.py::t{n}") for n in range(20)]
    return lines(header(number), *tests, end(len(tests)))


def send_all(service: Serving, on_stored: Callable[[int], None]) -> list[threading.Thread]:
    """Send all runs from several clients; those that get no answer are left."""

    def send(first: int) -> None:
        for number in range(first, RUNS, SENDERS):
            try:
                answer = service.upload(body(number))
            except (OSError, HTTPException):
                return
            if answer.status in {200, 201}:
                on_stored(number)

    threads = [threading.Thread(target=send, args=(first,)) for first in range(SENDERS)]
    for thread in threads:
        thread.start()
    return threads


def stored(store: Path) -> dict[str, int]:
    """Return how many attempts each run has, by the command."""
    done = command("export", "--format", "json", "--store", store, cwd=store.parent)
    found: dict[str, int] = {}
    for row in done.json["attempts"]:
        found[row["run_id"]] = found.get(row["run_id"], 0) + 1
    return found


@pytest.mark.chaos
@pytest.mark.parametrize("after", [1, 5])
def test_a_kill_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path, after: int) -> None:
    store = tmp_path / "h.duckdb"
    acknowledged: set[int] = set()
    enough = threading.Event()

    def note(number: int) -> None:
        acknowledged.add(number)
        if len(acknowledged) >= after:
            enough.set()

    with serving(store) as service:
        threads = send_all(service, note)
        assert enough.wait(60)
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
        for thread in threads:
            thread.join(60)
    assert len(acknowledged) >= after
    with serving(store, log="again.log") as service:
        runs = service.ask("/api/v1/runs").json["runs"]
        there = [row["run_id"] for row in runs]
        assert len(there) == len(set(there))
        assert {f"run-{number}" for number in acknowledged} <= set(there)
        again: set[int] = set()
        for thread in send_all(service, again.add):
            thread.join(60)
        assert again == set(range(RUNS))
        assert service.end() == 0
    assert stored(store) == {f"run-{number}": 20 for number in range(RUNS)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: int) -> None:
    store = tmp_path / "h.duckdb"
    acknowledged: set[int] = set()
    first = threading.Event()

    def note(one: int) -> None:
        acknowledged.add(one)
        first.set()

    with serving(store) as service:
        threads = send_all(service, note)
        assert first.wait(60)
        assert service.end(number) == 0
        for thread in threads:
            thread.join(60)
        assert service.log()[-1]["event"] == "stopped"
    assert stored(store) == {f"run-{one}": 20 for one in sorted(acknowledged)}
    assert list(tmp_path.glob("*.wal")) == []
    assert list((tmp_path / "h.duckdb.spool").iterdir()) == []


def test_a_store_that_cannot_be_opened_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "h.duckdb").write_text("no database")
    done = command("serve", "--store", "h.duckdb", "--port", 0, cwd=tmp_path)
    assert done.code == 3
    assert "not a testlytics store" in done.err
    assert "Traceback" not in done.err
    done = command("serve", "--store", "none.duckdb", "--read-only", "--port", 0, cwd=tmp_path)
    assert done.code == 5


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with serving(tmp_path / "h.duckdb") as service:
        done = command("serve", "--store", "x.duckdb", "--port", service.port, cwd=tmp_path)
    assert done.code == 3
    assert "--port" in done.err


@pytest.mark.chaos
def test_a_full_disk_is_told_and_the_service_goes_on_once_there_is_room(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    acknowledged: list[int] = []
    with serving(store) as service:
        pid, (soft, hard) = service.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        # No file may grow beyond this: as if the disk were full, for this process alone.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, hard))
        answer = service.upload(body(0))
        while answer.status == 201 and len(acknowledged) < 100:
            acknowledged.append(len(acknowledged))
            answer = service.upload(body(len(acknowledged)))
        assert (answer.status, answer.slug) == (507, "store-disk-full")
        assert int(answer.headers["retry-after"]) >= 1
        assert service.ask("/healthz").status == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        again = range(len(acknowledged), len(acknowledged) + 3)
        for number in again:
            assert service.upload(body(number)).status == 201
        assert service.end() == 0
    assert stored(store) == {f"run-{one}": 20 for one in sorted([*acknowledged, *again])}
