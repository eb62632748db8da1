"""Runs the real service in a process of its own, on a port of this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.command import outer_environment

START_S = 60.0
END_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What a request got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def slug(self) -> str:
        document = self.json
        assert document["schema"] == 1
        assert set(document["error"]) == {"slug", "message", "hint"}
        return str(document["error"]["slug"])


class Serving:
    """A service that runs."""

    def __init__(self, process: subprocess.Popen[bytes], store: Path, log: Path) -> None:
        self.process, self.store, self._log = process, store, log
        self.port = 0

    def wait_until_it_listens(self) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            for line in self.log():
                if line.get("event") == "listening":
                    self.port = line["port"]
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"it does not listen: {self._log.read_text()}")

    def log(self) -> list[dict[str, Any]]:
        """Return what it has logged; every line is JSON."""
        whole = self._log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        token: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = dict(headers)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())
        finally:
            connection.close()

    def upload(
        self,
        body: bytes,
        query: str = "",
        *,
        token: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        path = f"/api/v1/runs{query and '?' + query}"
        return self.ask(path, method="POST", body=body, token=token, headers=headers)

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(END_S)


@contextlib.contextmanager
def serving(
    store: Path, *options: object, env: Mapping[str, str] = {}, log: str = "service.log"
) -> Iterator[Serving]:
    """Serve a store while the block runs."""
    path = store.parent / log
    with path.open("wb") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "testlytics", "serve"),
                *("--store", str(store), "--port", "0", *map(str, options)),
            ],
            cwd=store.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            env={**outer_environment(), **env},
        )
    one = Serving(process, store, path)
    try:
        one.wait_until_it_listens()
        yield one
    finally:
        if process.poll() is None:
            _stop(process)
        process.wait(END_S)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # What is killed cannot tell coverage what it ran.
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_S / 4)
    process.kill()
