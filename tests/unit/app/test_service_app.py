"""The service's bounds in time and number, without a network."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn

from testlytics.service import connections
from testlytics.service.access import Access, Buckets
from testlytics.service.app import Most, Service
from testlytics.service.tokens import Keyring
from testlytics.service.uploads import Bounds
from testlytics_collector.errors import Error, StoreError
from testlytics_collector.records import Problem
from testlytics_collector.store import spool
from testlytics_collector.store.store import open_store
from tests.factories import attempt, end, header, lines

RUN = lines(header(1), attempt(), end(1))


class Told(NamedTuple):
    status: int
    headers: dict[str, str]
    slug: str | None


class Stuck:
    """A writer that answers as a test wants it, or never."""

    is_ready = True

    def __init__(self, answer: Callable[[Future[spool.Answer]], None]) -> None:
        self._answer = answer

    def submit(self, ticket: spool.Ticket) -> Future[spool.Answer]:
        future: Future[spool.Answer] = Future()
        self._answer(future)
        return future


def made(
    tmp_path: Path,
    *,
    bounds: Bounds | None = None,
    most: Most | None = None,
    answer: Callable[[Future[spool.Answer]], None] = lambda _: None,
) -> Service:
    store = tmp_path / "h.duckdb"
    with open_store(store, write=True):
        pass
    access = Access(Keyring(store, is_open=True), Buckets(1000, 1000))
    service = Service(store, access, bounds or Bounds(), most or Most())
    service.writer = Stuck(answer)  # type: ignore[assignment]
    return service


def ask(
    service: Service, method: str = "POST", path: str = "/api/v1/runs", *parts: bytes | None
) -> Told:
    """Send a request whose body comes in these parts; None is a client that sends no more."""
    left = list(parts)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not left:
            return {"type": "http.request", "body": b"", "more_body": False}
        part = left.pop(0)
        if part is None:
            await asyncio.Event().wait()
        if part == b"gone":
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
    }
    app: Callable[..., Awaitable[None]] = service.application()
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    service.close()
    if not sent:
        return Told(0, {}, None)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = json.loads(b"".join(one.get("body", b"") for one in sent[1:]))
    return Told(sent[0]["status"], headers, body.get("error", {}).get("slug"))


def left_behind(service: Service, tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "h.duckdb.spool").glob(".*.body")]


def test_a_body_that_stops_coming_is_given_up(tmp_path: Path) -> None:
    service = made(tmp_path, bounds=Bounds(pause_s=0.05))
    told = ask(service, "POST", "/api/v1/runs", RUN[:10], None)
    assert (told.status, told.slug) == (408, "http-body-slow")
    assert left_behind(service, tmp_path) == []


def test_a_body_that_comes_drop_by_drop_is_given_up(tmp_path: Path) -> None:
    told = ask(made(tmp_path, bounds=Bounds(body_s=0)), "POST", "/api/v1/runs", *[b" "] * 9)
    assert (told.status, told.slug) == (408, "http-body-slow")


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    service = made(tmp_path)
    assert ask(service, "POST", "/api/v1/runs", RUN[:10], b"gone").status == 0
    assert left_behind(service, tmp_path) == []
    assert spool.entries(tmp_path / "h.duckdb") == []
    assert 'errors_total{slug="http-gone"} 1' in service.figures.text()
    assert "queue_length 0" in service.figures.text()


@pytest.mark.parametrize(
    ("method", "most"), [("POST", Most(uploads=0)), ("GET", Most(questions=0))]
)
def test_too_many_at_once_are_sent_away(tmp_path: Path, method: str, most: Most) -> None:
    told = ask(made(tmp_path, most=most), method, "/api/v1/runs", RUN)
    assert (told.status, told.slug) == (503, "http-busy")
    assert int(told.headers["retry-after"]) >= 1


def test_a_writer_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    told = ask(made(tmp_path, bounds=Bounds(answer_s=0.05)), "POST", "/api/v1/runs", RUN)
    assert (told.status, told.slug) == (503, "service-slow")
    # It was handed over: the writer may yet store it.
    assert len(spool.entries(tmp_path / "h.duckdb")) == 1


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (StoreError("full", slug="store-disk-full"), 507, "store-disk-full"),
        (StoreError("broken", slug="store-failed"), 500, "store-failed"),
        (RuntimeError("secret"), 500, "service-internal"),
        (OSError(28, "No space left"), 507, "store-disk-full"),
    ],
)
def test_what_the_writer_failed_with_reaches_the_client(
    tmp_path: Path, error: Exception, status: int, slug: str
) -> None:
    service = made(tmp_path, answer=lambda future: future.set_exception(error))
    told = ask(service, "POST", "/api/v1/runs", RUN)
    assert (told.status, told.slug) == (status, slug)
    assert f'errors_total{{slug="{slug}"}} 1' in service.figures.text()


def test_a_spooled_upload_that_was_damaged_is_an_error(tmp_path: Path) -> None:
    refused = spool.Answer("refused", None, (Problem("its checksum differs"),))
    service = made(tmp_path, answer=lambda future: future.set_result(refused))
    told = ask(service, "POST", "/api/v1/runs", RUN)
    assert (told.status, told.slug) == (500, "store-failed")


def test_it_is_not_ready_without_its_store(tmp_path: Path) -> None:
    service = made(tmp_path)
    service.writer.is_ready = False  # type: ignore[union-attr, misc]
    assert ask(service, "GET", "/readyz").status == 503
    assert ask(made(tmp_path), "GET", "/readyz").status == 200


def test_a_bucket_fills_up_again() -> None:
    now = [0.0]
    buckets = Buckets(2.0, 3, clock=lambda: now[0])
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(Error):
        buckets.take("a")
    buckets.take("b")
    now[0] = 0.5  # one more, at two a second
    buckets.take("a")
    with pytest.raises(Error):
        buckets.take("a")
    now[0] = 1000.0  # no more than the burst
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(Error):
        buckets.take("a")


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nX: "])
def test_headers_that_do_not_come_close_the_connection(
    monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 0.1)

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request came")

    config = uvicorn.Config(
        app, http=connections.Protocol, lifespan="off", log_config=None, ws="none"
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
            raw.sendall(first)
            with pytest.raises(ConnectionResetError):
                if raw.recv(100) == b"":
                    raise ConnectionResetError
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()
