"""Locust in a process of its own: it replaces parts of the standard library, so it stays there."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from scripts.load.scenarios import Scenario

ROOT = Path(__file__).resolve().parents[2]
_FILE = Path("tests") / "load" / "locustfile.py"
_TOGETHER = "Aggregated"


class Moment(NamedTuple):
    """What all clients saw in one second.

    Attributes:
        at_s: Seconds since the epoch.
        users: Virtual users.
        rate: Requests a second, over the last ten.
        failures: Of these, how many failed.
        p50_s: Median of the time to an answer, over the last ten seconds; None without one.
        p95_s: 95th percentile of the same.
        p99_s: 99th percentile.
    """

    at_s: float
    users: int
    rate: float
    failures: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


class Entry(NamedTuple):
    """What became of all requests of one name; times are seconds, None without a request."""

    name: str
    requests: int
    failures: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    most_s: float | None
    rate: float


class Failure(NamedTuple):
    """How often requests of one name failed in one way."""

    name: str
    kind: str
    times: int


class Acknowledged(NamedTuple):
    """An upload that was acknowledged: when (seconds since the epoch), its run, its results."""

    at_s: float
    run_id: str
    results: int


class Clients:
    """A Locust that runs, and what it writes; `cpu_s` is what it has taken."""

    def __init__(self, process: subprocess.Popen[bytes], prefix: Path) -> None:
        self.process, self._prefix = process, prefix
        self._seen = psutil.Process(process.pid)
        self.cpu_s = 0.0

    @property
    def statistics(self) -> Path:
        """What became of all requests, as Locust writes it; there when it has ended."""
        return self._prefix.with_name(f"{self._prefix.name}_stats.json")

    @property
    def began_s(self) -> float | None:
        """When the virtual users began, seconds since the epoch; None where they did not."""
        times = [one.at_s for one in self.moments()]
        return min(times, default=None)

    def is_done(self) -> bool:
        """Tell whether it has ended."""
        with contextlib.suppress(psutil.Error):
            cpu = self._seen.cpu_times()
            self.cpu_s = max(self.cpu_s, cpu.user + cpu.system)
        return self.process.poll() is not None

    def _rows(self, name: str) -> list[dict[str, str]]:
        path = self._prefix.with_name(f"{self._prefix.name}_{name}.csv")
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file, restval=""))

    def moments(self) -> list[Moment]:
        """Return the seconds so far."""
        return [
            Moment(
                float(row["Timestamp"]),
                int(row["User Count"]),
                float(row["Requests/s"]),
                float(row["Failures/s"]),
                *(_seconds(row[f"{percent}%"]) for percent in (50, 95, 99)),
            )
            for row in self._rows("stats_history")
            if row["Name"] == _TOGETHER and row["99%"]
        ]

    def entries(self) -> list[Entry]:
        """Return what became of the requests by name, all together last."""
        told = json.loads(self.statistics.read_bytes())
        if not told:
            return []
        first = min(one["start_time"] for one in told)
        last = max(one["last_request_timestamp"] or first for one in told)
        span_s = max(last - first, 1e-9)
        times = Counter[str]()
        for one in told:
            times.update(one["response_times"])
        whole: dict[str, Any] = {"method": "", "name": _TOGETHER, "response_times": times}
        for name in ("num_requests", "num_failures"):
            whole[name] = sum(one[name] for one in told)
        rows = sorted(told, key=lambda one: (one["method"], one["name"]))
        return [_entry(one, span_s) for one in (*rows, whole)]

    def acknowledged(self) -> list[Acknowledged]:
        """Return the uploads that were acknowledged as stored, in their order."""
        path = self._prefix.with_name(f"{self._prefix.name}_acknowledged.txt")
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rows = [line.split(" ") for line in lines]
        return [Acknowledged(float(at), run_id, int(n)) for at, run_id, n in rows]

    def failures(self) -> list[Failure]:
        """Return the failures by name and kind, the commonest first."""
        found = [
            Failure(row["Name"], row["Error"], int(row["Occurrences"]))
            for row in self._rows("failures")
        ]
        return sorted(found, key=lambda one: (-one.times, one.name, one.kind))


def _entry(told: Mapping[str, Any], span_s: float) -> Entry:
    times = sorted((float(text), count) for text, count in told["response_times"].items())
    return Entry(
        f"{told['method']} {told['name']}".strip(),
        told["num_requests"],
        told["num_failures"],
        percentile(times, 50),
        percentile(times, 95),
        percentile(times, 99),
        times[-1][0] / 1000 if times else None,
        told["num_requests"] / span_s,
    )


def percentile(times: Sequence[tuple[float, int]], percent: int) -> float | None:
    """Return the least time, seconds, within which at least this percentage was answered.

    Args:
        times: Milliseconds, rising, and how often each was met.
        percent: Which, 1 to 100.
    """
    # Of whole numbers: a product of fractions may fall on the wrong side of a count.
    left = -(-sum(count for _, count in times) * percent // 100)
    for time, count in times:
        left -= count
        if left <= 0:
            return time / 1000
    return None


def _seconds(text: str) -> float | None:
    return None if text in {"", "N/A"} else float(text) / 1000


@contextlib.contextmanager
def clients(
    name: str, scenario: Scenario, port: int, tokens: Sequence[str], prefix: Path
) -> Iterator[Clients]:
    """Let the virtual users at a service while the block runs; they end with it.

    Args:
        name: Of the scenario.
        scenario: What they do.
        port: Where the service listens.
        tokens: One for each project.
        prefix: How the CSV files begin.
    """
    secrets = prefix.with_name(f"{prefix.name}.tokens")
    acknowledged = prefix.with_name(f"{prefix.name}_acknowledged.txt")
    secrets.touch(0o600)
    secrets.write_text(json.dumps(list(tokens)), encoding="utf-8")
    kinds = ["Bulk"] if scenario.bulk else ["Job", "Person"]
    with prefix.with_name(f"{prefix.name}_locust.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "locust", "-f", str(_FILE), *kinds, "--headless"),
                *("--host", f"http://127.0.0.1:{port}", "--csv", str(prefix)),
                *("--only-summary", "--stop-timeout", "30", "--exit-code-on-error", "0"),
                *("--json-file", f"{prefix}_stats"),
                *("--scenario", name, "--tokens", str(secrets)),
                *("--acknowledged", str(acknowledged)),
                *("--seconds", str(scenario.seconds), "--most-users", str(scenario.users)),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        yield Clients(process, prefix)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        secrets.unlink(missing_ok=True)
