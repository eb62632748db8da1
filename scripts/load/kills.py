"""Kills the service at random moments while clients upload, and counts what it has not kept.

Promises: what was acknowledged is there, wholly and once; the store opens, and `doctor` finds
nothing. Each client sends an upload until it is acknowledged, as CI jobs do; so in the end all are
there, and those that were acknowledged to nobody count as well.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from scripts.load.bodies import Bodies
from scripts.load.serving import Service, make_tokens, serving
from scripts.load.stored import compare

CLIENTS = 8
TESTS = 100
CHECK_EVERY = 10
"""After how many kills the store is looked at; then the next begins, so that each stays small."""

_ANSWER_S = 30.0
_AGAIN_S = 0.05
_ALIVE_S = 1.0
_PATIENCE_S = 60.0


@dataclass
class Tally:
    """What happened, and what broke.

    Attributes:
        kills: How often the service was killed.
        under_load: How many of them while uploads were without an answer.
        acknowledged: Uploads that were acknowledged as stored now or before.
        unanswered: Uploads whose answer was lost, and which were sent again.
        twice: Of these, those that were there already: committed, and not acknowledged.
        lost: Acknowledged uploads that are not there.
        torn: Uploads that are there in part, or with more than they have.
        doubled: Uploads that are there more than once.
        stores: Stores that did not open, or differ from their facts.
        wrong: What was said of that.
    """

    kills: int = 0
    under_load: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    twice: int = 0
    lost: int = 0
    torn: int = 0
    doubled: int = 0
    stores: int = 0
    wrong: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, float | None]:
        """Return all as figures, by the names that targets use."""
        return {
            "kills": self.kills,
            "kills_under_load": self.under_load,
            "acknowledged_uploads": self.acknowledged,
            "unanswered_uploads": self.unanswered,
            "committed_unacknowledged": self.twice,
            "lost_uploads": self.lost,
            "torn_uploads": self.torn,
            "doubled_uploads": self.doubled,
            "broken_stores": self.stores,
        }


class _Senders:
    """Clients that upload, each in a thread, while the block runs."""

    def __init__(self, tokens: list[str], first: int, tally: Tally) -> None:
        self._tokens, self._tally = tokens, tally
        self._bodies = Bodies(TESTS)
        self._lock = threading.Lock()
        self._next = first
        self._ending = threading.Event()
        self.port = 0
        self.waiting = 0
        self.acknowledged: dict[str, int] = {}
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(_PATIENCE_S)

    def _send(self, client: int) -> None:
        token = self._tokens[client % len(self._tokens)]
        while not self._ending.is_set():
            with self._lock:
                number, self._next = self._next, self._next + 1
            run_id = f"{client}-{number}"
            body, results = self._bodies.body(run_id, number)
            tried = False
            while (status := self._upload(token, body)) not in {200, 201}:
                tried = True
                if self._ending.wait(_AGAIN_S):
                    return
            with self._lock:
                self.acknowledged[run_id] = results
                self._tally.unanswered += tried
                self._tally.twice += status == 200

    def _upload(self, token: str, body: bytes) -> int:
        """Upload once; return the status, 0 without an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_S)
        headers = {"Authorization": f"Bearer {token}", "Content-Encoding": "gzip"}
        with self._lock:
            self.waiting += 1
        try:
            connection.request("POST", "/api/v1/runs", body=body, headers=headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return 0
        else:
            return response.status
        finally:
            connection.close()
            with self._lock:
                self.waiting -= 1


def run(folder: Path, *, kills: int, seed: int) -> Tally:
    """Kill the service so many times under load.

    Args:
        folder: Empty; where the stores go.
        kills: How many times.
        seed: Of the random moments.
    """
    chance, tally = random.Random(seed), Tally()  # noqa: S311 - moments, not secrets
    while tally.kills < kills:
        base = folder / f"store-{tally.kills}"
        base.mkdir()
        _one_store(base, min(CHECK_EVERY, kills - tally.kills), chance, tally)
        print(f"{tally.kills} kills: {tally.figures()}", file=sys.stderr)
    return tally


def _one_store(base: Path, kills: int, chance: random.Random, tally: Tally) -> None:
    store = base / "history.duckdb"
    tokens, admin = make_tokens(store)
    with contextlib.ExitStack() as held:
        senders: _Senders | None = None
        for _ in range(kills):
            with serving(store, admin) as service:
                if senders is None:
                    senders = _Senders(tokens, 1, tally)
                    senders.port = service.port
                    held.enter_context(senders)
                senders.port = service.port
                _until_stored(senders)
                time.sleep(chance.uniform(0, _ALIVE_S))
                tally.under_load += senders.waiting > 0
                service.process.send_signal(signal.SIGKILL)
                service.process.wait()
                tally.kills += 1
        # What nobody was told of is sent once more, to a service that lives.
        assert senders is not None  # noqa: S101 - for the types
        with serving(store, admin) as service:
            senders.port = service.port
            _until_stored(senders)
            held.close()
            _end(service, tally)
    broken = compare(store, senders.acknowledged)
    tally.acknowledged += len(senders.acknowledged)
    tally.lost += broken.lost
    tally.torn += broken.torn
    tally.doubled += broken.doubled
    tally.stores += broken.stores
    tally.wrong += [broken.why] if broken.why else []


def _end(service: Service, tally: Tally) -> None:
    if code := service.end():
        tally.wrong.append(f"The service ended with code {code}.")


def _until_stored(senders: _Senders) -> None:
    """Wait until one more upload was acknowledged, so that each kill meets a service at work."""
    before, end = len(senders.acknowledged), time.monotonic() + _PATIENCE_S
    while len(senders.acknowledged) == before:
        if time.monotonic() > end:
            raise RuntimeError("No upload was acknowledged for a minute.")
        time.sleep(0.01)
