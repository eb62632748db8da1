"""The pacts between `push` and the service hold on both sides.

The client meets them at a server that pact plays, the service by what pact sends it. The file
between them is in `pacts/`; `python -m tests.contract.test_pacts` writes it anew.
"""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pact import Verifier

from testlytics.push.address import service
from testlytics.push.delivery import Push, Pushed
from testlytics.service import tokens
from testlytics.service.app import Most
from testlytics_collector.ingest import Stated
from tests.exchanges import (
    CONSUMER,
    EXCHANGES,
    MOST_ATTEMPTS,
    PACTS,
    PROVIDER,
    TOKEN,
    Exchange,
    name_of,
    packed,
    together,
    written,
)
from tests.serving import Serving, serving

PACT = PACTS / f"{CONSUMER}-{PROVIDER}.json"
STATED = Stated(branch="main", variant={"os": "linux"})


def play(exchange: Exchange, folder: Path) -> tuple[Pushed, dict[str, Any]]:
    """Let the client meet an exchange; return what came of it, and the pact as it is written."""
    pact = exchange.pact()
    path = Path(name_of(exchange))
    path.write_bytes(packed(exchange.body))
    with pact.serve() as server:
        known = service(str(server.url), exchange.token)
        push = Push(known, folder / "outbox", within_s=1.5)
        pushed = push.bring([str(path)], STATED)
    return pushed, written(pact, folder / "written")


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda one: one.name)
def test_the_client_keeps_its_side(
    exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pushed, document = play(exchange, tmp_path)
    [result] = pushed.files
    assert result.status == exchange.outcome
    if exchange.outcome == "refused":
        assert result.problems[0].text == "What happened. Do."
    elif exchange.outcome == "stored":
        assert result.counts is not None
        assert (result.counts.passed, result.counts.failed, result.run_id) == (1, 1, "run-1")
    assert pushed.waiting == (exchange.outcome == "spooled")
    assert pushed.is_misused == (exchange.status == 401)
    [now] = document["interactions"]
    kept = {row["description"]: row for row in json.loads(PACT.read_text())["interactions"]}
    assert kept[exchange.name] == now


def test_the_pact_holds_these_exchanges_and_no_others() -> None:
    document = json.loads(PACT.read_text())
    names = [row["description"] for row in document["interactions"]]
    assert names == [exchange.name for exchange in EXCHANGES]
    assert (document["consumer"]["name"], document["provider"]["name"]) == (CONSUMER, PROVIDER)


class States:
    """Brings the service where an exchange wants it, and back."""

    def __init__(self, served: Serving) -> None:
        self._served = served
        self._held = contextlib.ExitStack()
        self.seen: list[str] = []

    def handle(self, state: str, action: str, parameters: dict[str, Any]) -> None:
        """Set up a state, or take it down. An error here would only be tried again, for minutes."""
        if action == "teardown":
            self._held.close()
            return
        self.seen.append(state)
        by_name: dict[str, Callable[[], None]] = {
            "nothing is stored": lambda: None,
            f"uploads have at most {MOST_ATTEMPTS} attempts": lambda: None,
            "the upload is stored": self._store,
            "the service has as much to do as it takes": self._occupy,
        }
        by_name[state]()

    def close(self) -> None:
        """Let go of what a state holds; where something failed nobody takes it down."""
        self._held.close()

    def _store(self) -> None:
        answer = self._served.upload(packed(EXCHANGES[0].body), token=TOKEN)
        assert answer.status in {200, 201}

    def _occupy(self) -> None:
        """Begin as many uploads as are taken at once, and end none."""
        head = f"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        for _ in range(Most().uploads):
            one = socket.create_connection(("127.0.0.1", self._served.port), timeout=30)
            self._held.enter_context(one)
            one.sendall(f"{head}Content-Length: 9\r\n\r\n".encode() + b"x")
        end_s = time.monotonic() + 30
        while self._served.upload(b"", token=TOKEN).status != 503 and time.monotonic() < end_s:
            time.sleep(0.02)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """The real service with an empty store and the one token of the pacts."""
    store = tmp_path / "h.duckdb"
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: TOKEN.removeprefix("tly_"))
    made = tokens.create_token(
        store, "pact", project="shop", scopes=["ingest"], created="2026-01-01T00:00:00Z"
    )
    assert made == TOKEN
    with serving(store, "--max-attempts", MOST_ATTEMPTS, "--burst", 1_000) as one:
        yield one


def verify(served: Serving, source: Path) -> tuple[States, str]:
    """Send the service what is in a pact; return what was asked for, and what pact says of it."""
    states = States(served)
    verifier = Verifier(PROVIDER, host="127.0.0.1")
    verifier.add_transport(url=f"http://127.0.0.1:{served.port}").add_source(source)
    verifier.state_handler(states.handle, teardown=True)
    failed = ""
    try:
        verifier.verify()
    except RuntimeError:
        failed = str(verifier.output(strip_ansi=True)) or "failed"
    finally:
        states.close()
    with warnings.catch_warnings():
        # Its own server for the states leaves a socket open; that is not for later tests to find.
        warnings.simplefilter("ignore", ResourceWarning)
        del verifier
        gc.collect()
    return states, failed


def test_the_service_keeps_its_side(served: Serving) -> None:
    states, failed = verify(served, PACT)
    assert failed == ""
    assert states.seen == [exchange.state for exchange in EXCHANGES]


def test_a_service_that_answered_otherwise_would_be_found_out(
    served: Serving, tmp_path: Path
) -> None:
    document = json.loads(PACT.read_text())
    for row in document["interactions"]:
        if row["response"]["status"] == 422:
            row["response"]["status"] = 413
    (tmp_path / "other.json").write_text(json.dumps(document))
    _, failed = verify(served, tmp_path / "other.json")
    assert "an upload that is cut off" in failed
    assert "413" in failed


def main() -> int:
    """Write the pact from what the client does now."""
    documents = []
    for exchange in EXCHANGES:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            documents.append(play(exchange, Path(folder))[1])
    PACT.write_text(together(documents))
    return 0


if __name__ == "__main__":
    sys.exit(main())
