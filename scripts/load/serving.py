"""A service of its own over a store of its own, and what it takes while it is used."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from testlytics.service.tokens import create_token

START_S = 60.0
END_S = 60.0
PROJECTS = 20


class Sample(NamedTuple):
    """What the service took up to a moment.

    Attributes:
        at_s: Seconds since the first sample.
        cpu_s: User and system seconds of the process so far.
        loop_s: How much of that was the event loop's thread.
        delayed_s: Seconds in which threads could run and had no processor, because it was another
            process's turn; 0 where the system does not tell.
        rss: Resident bytes.
        files: Open files and sockets.
        threads: How many.
        queued: Uploads without an answer; -1 where it did not tell.
        results: Results stored so far, as it tells.
        commits: Transactions so far.
        commit_s: Seconds in them so far.
    """

    at_s: float
    cpu_s: float
    loop_s: float
    delayed_s: float
    rss: int
    files: int
    threads: int
    queued: int
    results: int
    commits: int
    commit_s: float


class Service:
    """A service that runs: `testlytics serve` in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, admin: str) -> None:
        self.process, self.port, self._admin = process, port, admin

    def figures(self) -> dict[str, float]:
        """Return what it tells of itself, without the series that have labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(
                "GET", "/metrics", headers={"Authorization": f"Bearer {self._admin}"}
            )
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        rows = [line.split(" ") for line in text.splitlines() if not line.startswith("#")]
        return {row[0]: float(row[1]) for row in rows if "{" not in row[0] and len(row) == 2}

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(END_S)


def make_tokens(store: Path) -> tuple[list[str], str]:
    """Make a token for each of some projects, as CI jobs have them; and one for the figures."""
    projects = [
        create_token(store, f"p{n}", project=f"p{n}", scopes=["ingest", "read"], created="")
        for n in range(PROJECTS)
    ]
    return projects, create_token(store, "figures", project=None, scopes=["admin"], created="")


@contextlib.contextmanager
def serving(store: Path, admin: str, *options: str, port: int = 0) -> Iterator[Service]:
    """Serve a store while the block runs; the process ends with it, whatever happens."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("TESTLYTICS")}
    log = store.parent / f"service-{time.time_ns()}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "testlytics", "serve"),
                *("--store", str(store), "--port", str(port), *options),
            ],
            cwd=store.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=outer,
        )
    try:
        yield Service(process, _port_of(process, log), admin)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(END_S)


def _port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().rpartition("\n")[0].splitlines():
            told = json.loads(line)
            if told.get("event") == "listening":
                return int(told["port"])
        time.sleep(0.02)
    raise RuntimeError(f"The service does not listen: {log.read_text()}")


class Watch:
    """Takes a sample of a service every so often, in a thread, while the block runs.

    Args:
        service: Which.
        every_s: Seconds between two samples.
    """

    def __init__(self, service: Service, every_s: float = 0.5) -> None:
        self._service, self._every_s = service, every_s
        self._process = psutil.Process(service.process.pid)
        self._began = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with contextlib.suppress(psutil.Error):
                self.samples.append(self.take())
            if self._ending.wait(self._every_s):
                return

    def take(self) -> Sample:
        """Take one sample."""
        told: dict[str, float] = {}
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            told = self._service.figures()
        process = self._process
        with process.oneshot():
            cpu, memory = process.cpu_times(), process.memory_info()
            files, threads = process.num_fds(), process.threads()
        loop = next((one for one in threads if one.id == process.pid), None)
        return Sample(
            time.monotonic() - self._began,
            cpu.user + cpu.system,
            loop.user_time + loop.system_time if loop else 0.0,
            _delayed_s(process.pid),
            memory.rss,
            files,
            len(threads),
            int(told.get("testlytics_queue_length", -1)),
            int(told.get("testlytics_results_total", 0)),
            int(told.get("testlytics_commit_seconds_count", 0)),
            told.get("testlytics_commit_seconds_sum", 0.0),
        )


def _delayed_s(pid: int) -> float:
    """Return how long the threads of a process have waited for a processor; Linux tells."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # the thread has just ended
            total += int(path.read_text().split()[1])
    return total / 1e9
