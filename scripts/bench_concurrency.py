"""Times processes that ingest into one store at once, and counts what of it is in there.

Beside it, in the same run: the same processes that open the database file themselves and try again
while DuckDB says that another process has it. Each run is a file written beforehand. What
a writer waits is the time in which it only waits for others; reading its file is not in it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb

from testlytics_collector.delivery import Delivery
from testlytics_collector.formats.interface import Limits
from testlytics_collector.ingest import Stated, ingest
from testlytics_collector.store import migration
from testlytics_collector.store.store import Store, open_store

WAIT_S = 600.0


class Call(NamedTuple):
    """One run brought to the store.

    Attributes:
        name: The run.
        seconds: From the call to its answer.
        status: `stored` or `spooled`.
        waited: Seconds of these in which it only waited for others.
    """

    name: str
    seconds: float
    status: str
    waited: float


def run_file(path: Path, name: str, results: int) -> Path:
    """Write a run as the plugin does; two in a hundred fail, each with a message of its own."""
    began = 1_780_000_000_000_000 + int(name.partition("-")[0]) * 3_600_000_000
    lines: list[dict[str, object]] = [
        {
            "type": "run",
            "schema_version": "1.0",
            "upload_id": name,
            "run_id": name,
            "producer": "pytest-testlytics 0.1.0",
            "started_us": began,
            "project": "default",
            "sources": {"commit": f"{began:040x}", "dirty": False, "branch": "main"},
            "variant": {"os": "linux", "python": "3.13"},
        }
    ]
    for number in range(results):
        line: dict[str, object] = {
            "type": "attempt",
            "test_id": f"tests/package_{number // 900}/test_{number // 50}.py::test_that_{number}",
            "attempt": 1,
            "outcome": "failed" if number % 50 == 7 else "passed",
            "started_us": began + number * 2_000,
            "setup_us": 90 + number % 60,
            "call_us": 1_000 + number,
            "teardown_us": 110,
            "worker": f"gw{number % 4}",
        }
        if number % 50 == 7:
            place = f"tests/package_{number // 900}/test_{number // 50}.py:7"
            failure = {"type": "AssertionError", "message": f"{name} {number}", "place": place}
            line |= {"phase": "call", "failure": failure}
        lines.append(line)
    lines.append({"type": "end", "ended_us": began + results * 2_000, "attempts": results})
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
    return path


def through_the_spool(store: Path, path: Path, name: str) -> Call:
    """Bring a run as `testlytics ingest` does."""
    waited = 0.0

    class Timed(Delivery):
        def _await(self) -> None:
            nonlocal waited
            began = time.monotonic()
            super()._await()
            waited = time.monotonic() - began

    began = time.monotonic()
    [result] = Timed(
        store,
        stated=Stated(),
        limits=Limits(),
        wait_s=WAIT_S,
        on_file=lambda _: None,
        on_stored=lambda _: None,
    ).bring([str(path)])
    return Call(name, time.monotonic() - began, result.status.value, waited)


def by_trying_again(store: Path, path: Path, name: str) -> Call:
    """Bring a run with nothing but DuckDB's own lock: open, and try again with jitter."""
    began, pause = time.monotonic(), 0.01
    connection: duckdb.DuckDBPyConnection | None = None
    while connection is None:
        try:
            connection = duckdb.connect(str(store), config={"threads": 1})
        except duckdb.IOException:
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(pause * 1.5, 0.5)
    waited = time.monotonic() - began
    with contextlib.closing(connection):
        migration.settle(connection, store, write=True)
        [result] = ingest([str(path)], Store(store, connection))
    return Call(name, time.monotonic() - began, result.status.value, waited)


def _work(
    bring: Callable[[Path, Path, str], Call], store: Path, files: list[tuple[str, Path]]
) -> list[Call]:
    return [bring(store, path, name) for name, path in files]


def measure(
    name: str,
    bring: Callable[[Path, Path, str], Call],
    store: Path,
    shares: list[list[tuple[str, Path]]],
) -> bool:
    """Let each process bring its share; print a row of the table.

    Returns:
        Whether all is stored once.
    """
    with open_store(store, write=True):
        pass
    began, cpu = time.monotonic(), _cpu_s()
    with multiprocessing.get_context("spawn").Pool(len(shares)) as pool:
        calls = [
            call
            for share in pool.starmap(_work, [(bring, store, share) for share in shares], 1)
            for call in share
        ]
        pool.close()
        pool.join()
    brought = time.monotonic() - began
    with open_store(store, write=True) as opened:
        opened.take_in_spool()
    seconds, cpu = time.monotonic() - began, _cpu_s() - cpu
    with duckdb.connect(str(store), read_only=True) as connection:
        rows = connection.execute(
            """select r.run_id, count(*) from raw.runs r join raw.uploads u using (run_key)
               join (select upload_key, count(*) as n from raw.attempts group by all) a
                 using (upload_key)
               where a.n = u.attempts group by all"""
        ).fetchall()
    there = dict(rows)
    lost = sum(call.name not in there for call in calls)
    twice = sum(count != 1 for count in there.values())
    waits = [call.waited for call in calls]
    print(
        f"| {name} | {len(calls)} | {seconds:.1f} | {len(calls) / seconds:.1f} "
        f"| {len(calls) / brought:.1f} | {cpu / len(calls):.3f} | {statistics.median(waits):.2f} "
        f"| {max(waits):.2f} | {statistics.median(c.seconds for c in calls):.2f} "
        f"| {sum(c.status == 'spooled' for c in calls)} | {len(there)} | {twice} | {lost} |",
        flush=True,
    )
    return not lost and not twice


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Print the table; exit code 1 where a run is missing, or there twice."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--results", type=int, default=20_000)
    parser.add_argument("--no-rival", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        shares = []
        for process in range(options.processes):
            names = [f"{run}-{process}" for run in range(options.runs)]
            shares.append(
                [
                    (name, run_file(folder / f"{name}.jsonl", name, options.results))
                    for name in names
                ]
            )
        print(
            "| way | runs | s | runs/s | runs brought/s | CPU s a run | wait s, median | max "
            "| call s, median | spooled | stored | twice | lost |"
        )
        print("|---" * 13 + "|")
        good = measure("spool", through_the_spool, folder / "spool.duckdb", shares)
        if not options.no_rival:
            good &= measure("try again", by_trying_again, folder / "again.duckdb", shares)
    sys.exit(not good)


if __name__ == "__main__":
    main()
