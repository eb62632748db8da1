"""Networks that break: what was pushed is stored once, sooner or later, and nobody is held up."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from testlytics.github import client as github_client
from testlytics.github.client import ApiError, GitHub
from testlytics.push.address import service as service_at
from testlytics.push.delivery import Push, Pushed
from testlytics.push.waits import World
from testlytics_collector.ingest import Stated, Status
from tests.chaos.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.factories import attempt, run_file
from tests.github_api import REPOSITORY, TOKEN, FakeGitHub, fake_github
from tests.serving import Serving, serving

pytestmark = pytest.mark.chaos
BROKEN: list[Fault] = [fault for fault in Fault if fault not in {Fault.NONE, Fault.SLOW}]
TESTS = 40
ATTEMPT_S = 0.1
NO_PAUSES = World(sleep=lambda _: None, draw=lambda: 0.0)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served") / "h.duckdb") as one:
        yield one


def made(folder: Path, number: int) -> str:
    rows = [attempt(f"t.py::test_{n}") for n in range(TESTS)]
    return str(run_file(folder / f"run-{number}.jsonl", rows, number))


def push(proxy: FaultProxy, folder: Path, *paths: str, within_s: float = 10.0) -> Pushed:
    bringer = Push(
        service_at(proxy.address, None), folder / "outbox", within_s=within_s, world=NO_PAUSES
    )
    return bringer.bring(paths, Stated())


def address(service: Serving) -> str:
    return f"http://127.0.0.1:{service.port}"


def stored(service: Serving) -> Counter[str]:
    """Count the attempts of each run, all its uploads together, by the time that they took."""
    rows = service.ask("/api/v1/runs?last=1000").json["runs"]
    assert len({row["run_id"] for row in rows}) == len(rows)
    return Counter({row["run_id"]: round(row["tests_s"] / ATTEMPT_S) for row in rows})


@pytest.mark.parametrize(("number", "fault"), list(enumerate(BROKEN, 100)))
def test_a_connection_that_breaks_once_is_tried_again(
    service: Serving, tmp_path: Path, number: int, fault: Fault
) -> None:
    """Promise: recover. One broken connection costs a client nothing but a further try."""
    with fault_proxy(address(service), fault) as proxy:
        told = push(proxy, tmp_path, made(tmp_path, number), within_s=3.0)
        if told.waiting:  # a half-open connection takes all the time that there was
            told = push(proxy, tmp_path)
        assert (told.waiting, len(proxy.met) > 1) == (0, True)
    assert stored(service)[f"run-{number}"] == TESTS


@pytest.mark.parametrize(("number", "fault"), list(enumerate([*BROKEN, Fault.SLOW], 200)))
def test_a_network_that_stays_broken_loses_nothing_and_doubles_nothing(
    service: Serving, tmp_path: Path, number: int, fault: Fault
) -> None:
    """Promise: lose nothing, warn. What could not be brought waits, is told, and comes once."""
    with fault_proxy(address(service), *[fault] * 100) as proxy:
        first = push(proxy, tmp_path, made(tmp_path, number), within_s=1.0)
        if first.waiting:
            assert [one.status for one in first.files] == [Status.SPOOLED]
            assert any("waits" in note for note in first.notes)
        (tmp_path / f"run-{number}.jsonl").unlink()  # the job that made it is over
        proxy.then()
        second = push(proxy, tmp_path)
        assert second.waiting == 0
    assert stored(service)[f"run-{number}"] == TESTS


def test_a_server_that_flaps_gets_every_run_once(service: Serving, tmp_path: Path) -> None:
    """Promise: recover, lose nothing. Up and down by turns, and every run arrives, none twice."""
    turns = [Fault.RESET, Fault.NONE, Fault.ANSWER_LOST, Fault.ANSWER_LOST, Fault.WRONG] * 8
    paths = [made(tmp_path, number) for number in range(300, 306)]
    with fault_proxy(address(service), *turns) as proxy:
        push(proxy, tmp_path, *paths)
        proxy.then()
        assert push(proxy, tmp_path).waiting == 0
        assert {Fault.RESET, Fault.ANSWER_LOST} <= set(proxy.met)
    there = stored(service)
    assert {name: there[name] for name in (f"run-{n}" for n in range(300, 306))} == {
        f"run-{n}": TESTS for n in range(300, 306)
    }


def test_clients_that_hang_or_leave_hold_up_no_other(service: Serving, tmp_path: Path) -> None:
    """Promise: degrade. Connections that say nothing, or half of it, cost the others nothing."""
    idle = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(20)]
    try:
        for number, one in enumerate(idle):
            if number % 2:
                one.sendall(b"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9")
        with fault_proxy(address(service), *[Fault.RESET_IN_BODY] * 4) as proxy:
            push(proxy, tmp_path, made(tmp_path, 400))
        with fault_proxy(address(service)) as proxy:
            assert push(proxy, tmp_path, made(tmp_path, 401)).waiting == 0
        assert service.ask("/readyz").status == 200
    finally:
        for one in idle:
            one.close()
    assert stored(service)["run-401"] == TESTS
    assert not list(service.store.parent.glob("*.spool/.*.body"))


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with fake_github() as server:
        yield server


@pytest.mark.parametrize("fault", BROKEN)
def test_github_that_cannot_be_reached_is_one_error_of_the_known_kind(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Promise: degrade. A comment that cannot be written is a warning, and never an accident."""
    monkeypatch.setattr(github_client, "TIMEOUT_S", 1.0)
    with fault_proxy(github.address, fault) as proxy:
        one = GitHub(REPOSITORY, TOKEN, address=proxy.address)
        with pytest.raises(ApiError) as caught:
            list(one.comments(7))
        assert "\n" not in str(caught.value)
        assert TOKEN not in str(caught.value)
        assert list(one.comments(7)) == []


def test_github_that_is_slow_is_waited_for(github: FakeGitHub) -> None:
    """Promise: degrade. Slow is not broken."""
    github.has("a comment")
    with fault_proxy(github.address, Fault.SLOW) as proxy:
        assert len(list(GitHub(REPOSITORY, TOKEN, address=proxy.address).comments(7))) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"{}", b"[1]", b'[{"id": "x"}]', b"[" * 100_000, b'\xff"', b"<html>"],
)
def test_a_malformed_answer_of_github_is_an_error_of_the_known_kind(
    github: FakeGitHub, body: bytes
) -> None:
    """Promise: degrade. Whatever GitHub answers, the command has words for it."""
    from tests.github_api import Answer

    github.answers = [Answer(200, body=body)]
    with pytest.raises(ApiError, match="is not what it should be"):
        list(GitHub(REPOSITORY, TOKEN, address=github.address).comments(7))
