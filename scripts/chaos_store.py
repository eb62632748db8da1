"""Kills writers and fills disks at random moments, and counts what of the store's promises breaks.

Promises: what was acknowledged is there, wholly and once; no run is there in part; the store opens.
Each writer, and each check, is a process of its own, forked so that a thousand take minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import duckdb  # noqa: F401 - loaded before the forks, each of which would load it again

from testlytics import api
from testlytics_collector.errors import StoreError
from testlytics_collector.store.lock import hold
from testlytics_collector.store.store import open_store

WAIT_S = 60.0
RUNS_A_STORE = 25


@dataclass
class Tally:
    """What happened, and what broke.

    Attributes:
        kills: Writers that were killed.
        in_checkpoint: How many of them inside a checkpoint.
        in_drain: How many of them while they took in a spool.
        full: Writers that met a full disk.
        acknowledged: Runs that a writer had called stored or spooled.
        lost: Acknowledged runs that are not there.
        torn: Runs that are there in part.
        twice: Runs that are there more than once.
        closed: Stores that did not open, or failed their check.
        wrong: Other broken promises, in words.
    """

    kills: int = 0
    in_checkpoint: int = 0
    in_drain: int = 0
    full: int = 0
    acknowledged: int = 0
    lost: int = 0
    torn: int = 0
    twice: int = 0
    closed: int = 0
    wrong: list[str] = field(default_factory=list)

    def is_clean(self) -> bool:
        """Tell whether every promise was kept."""
        return not (self.lost or self.torn or self.twice or self.closed or self.wrong)


def run_file(path: Path, name: str, rows: int) -> Path:
    """Write a run of so many results; two in a hundred fail."""
    lines = [
        {
            "type": "run",
            "schema_version": "1.0",
            "upload_id": name,
            "run_id": name,
            "started_us": 1_780_000_000_000_000 + int(name.partition("-")[0]) * 1_000_000,
            "variant": {"os": "linux"},
        }
    ]
    for number in range(rows):
        line: dict[str, object] = {
            "type": "attempt",
            "test_id": f"tests/test_{number // 50}.py::test_{number}",
            "attempt": 1,
            "outcome": "failed" if number % 50 == 7 else "passed",
            "call_us": 1_000 + number,
            "worker": f"gw{number % 4}",
        }
        if number % 50 == 7:
            line["failure"] = {"type": "AssertionError", "message": f"{name} {number}"}
        lines.append(line)
    lines.append({"type": "end", "ended_us": 1_780_000_000_000_000, "attempts": rows})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@contextlib.contextmanager
def forked(work: Callable[[int], None]) -> Iterator[tuple[int, int]]:
    """Run `work` in a process of its own; give its pid and what it writes to its pipe."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _leave(work, writer)
    os.close(writer)
    try:
        yield pid, reader
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _leave(work: Callable[[int], None], writer: int) -> NoReturn:
    code = 1
    try:
        work(writer)
        code = 0
    except BaseException as error:  # noqa: BLE001 - told to the parent, whatever it is
        with contextlib.suppress(OSError):
            os.write(writer, f"error {type(error).__name__} {error}\n".encode())
    finally:
        os._exit(code)


def _lines(reader: int, until: float | None = None, stop: str | None = None) -> list[str]:
    """Read lines up to a moment, a line that begins with `stop`, or the end of the pipe."""
    end, data = until if until is not None else time.monotonic() + WAIT_S, b""
    while (left := end - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            break
        chunk = os.read(reader, 65_536)
        if not chunk:
            break
        data += chunk
        if stop is not None and data.decode().splitlines()[-1].startswith(stop):
            break
    return data.decode().splitlines()


class Chaos:
    """One series of faults.

    Args:
        folder: Where to work.
        seed: Of the random moments.
        rows: Results a run.
    """

    def __init__(self, folder: Path, *, seed: int, rows: int = 300) -> None:
        self.folder, self.rows = folder, rows
        self.random = random.Random(seed)  # noqa: S311 - moments, not secrets
        self.tally = Tally()
        self._number = 0
        self._renew()

    def _renew(self) -> None:
        self._number += 1
        self.base = self.folder / f"store-{self._number}"
        self.base.mkdir()
        self.store = self.base / "h.duckdb"
        self.acknowledged: set[str] = set()
        self._kills = 0

    def _ingest(
        self, writer: int, store: Path, name: str, rows: int, room: int | None = None
    ) -> None:
        path = run_file(self.folder / f"{os.getpid()}.jsonl", name, rows)
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        [result] = api.ingest([str(path)], store, wait_s=WAIT_S)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        path.unlink()
        if result.status in {"stored", "spooled"}:
            os.write(writer, f"stored {name}\n".encode())
        else:
            os.write(writer, f"error {result}\n".encode())

    def kill_somewhere(self) -> None:
        """Kill a writer at any moment of a loop of ingests, the making of the store included."""

        def work(writer: int) -> None:
            for number in range(1_000):
                self._ingest(writer, self.store, f"{number}-{os.getpid()}", self.rows)

        with forked(work) as (pid, reader):
            until = time.monotonic() + self.random.uniform(0.0, 0.4)
            lines = _lines(reader, until)
            os.kill(pid, signal.SIGKILL)
            lines += _lines(reader)
        self._killed(lines)

    def kill_in_checkpoint(self) -> None:
        """Kill a writer inside a checkpoint: it says when it begins and when it is through."""

        def work(writer: int) -> None:
            self._ingest(writer, self.store, f"0-{os.getpid()}", self.rows * 4)
            with open_store(self.store, write=True, wait_s=WAIT_S) as store:
                connection = store._connection  # noqa: SLF001 - no one else forces a checkpoint
                for _ in range(8):
                    connection.execute(_MUCH).fetchall()
                    os.write(writer, b"begin\n")
                    connection.execute("checkpoint").fetchall()
                    os.write(writer, b"end\n")

        with forked(work) as (pid, reader):
            lines = _lines(reader, stop="begin")
            time.sleep(self.random.uniform(0, 0.002))
            os.kill(pid, signal.SIGKILL)
            lines += _lines(reader)
        marks = [line for line in lines if line in {"begin", "end"}]
        self.tally.in_checkpoint += marks[-1:] == ["begin"]
        self._killed([line for line in lines if line not in {"begin", "end"}])

    def kill_in_drain(self) -> None:
        """Kill a writer while it takes in what others left in the spool."""

        def fill(writer: int) -> None:
            for number in range(6):
                self._ingest(writer, self.store, f"{number}-{os.getpid()}", self.rows)

        with hold(self.store, write=True, wait_s=WAIT_S), forked(fill) as (_, reader):
            lines = _lines(reader)

        def work(writer: int) -> None:
            os.write(writer, b"begin\n")
            with open_store(self.store, write=True, wait_s=WAIT_S):
                pass
            os.write(writer, b"end\n")

        with forked(work) as (pid, reader):
            marks = _lines(reader, stop="begin")
            time.sleep(self.random.uniform(0, 0.3))
            os.kill(pid, signal.SIGKILL)
            marks += _lines(reader)
        self.tally.in_drain += "end" not in marks
        self._killed(lines)

    def _killed(self, lines: list[str]) -> None:
        self.tally.kills += 1
        self._kills += 1
        self._note(lines)
        self.check()
        if self._kills >= RUNS_A_STORE:
            self._renew()

    def _note(self, lines: list[str]) -> None:
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "stored":
                self.acknowledged.add(rest)
                self.tally.acknowledged += 1
            elif word != "full":
                self.tally.wrong.append(line)

    def fill_disk(self, *, mount: bool) -> None:
        """Let a writer run into a full disk; then there is room again, and it works again.

        Args:
            mount: On a small file system of its own (root only), else by the largest file size
                that the writer may write.
        """
        self._renew()
        room = self.random.randrange(600_000, 6_000_000)
        limit = None if mount else room
        with _small_disk(self.base, room) if mount else contextlib.nullcontext():

            def work(writer: int) -> None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                try:
                    for number in range(1_000):
                        rows = self.random.randrange(100, 20_000)
                        self._ingest(
                            writer, self.store, f"{number}-{os.getpid()}-{rows}", rows, limit
                        )
                except StoreError as error:
                    os.write(writer, f"{_kind(error)}\n".encode())

            with forked(work) as (_, reader):
                lines = _lines(reader)
            self._note(lines)
            self.tally.full += "full" in lines
            if "full" not in lines:
                self.tally.wrong.append("the disk never was full")
            self.check()
            if mount:
                subprocess.run(["mount", "-o", "remount,size=64m", self.base], check=True)
            with forked(lambda w: self._ingest(w, self.store, "5000-after", 100)) as (_, reader):
                self._note(_lines(reader))
            self.check()

    def check(self) -> None:
        """Open the store, as the next command would, and compare it with what was acknowledged."""
        store, seen = self.store, self.tally.kills

        def work(writer: int) -> None:
            if not store.exists() and not self.acknowledged:
                os.write(writer, b"{}\n")
                return
            with open_store(store, write=True, wait_s=WAIT_S) as opened:
                opened.take_in_spool()
                found = {
                    name: (uploads, told, rows)
                    for name, uploads, told, rows in opened._rows(_CENSUS)  # noqa: SLF001
                }
                if seen % 10 == 0 and (differences := opened.differences(mend=False)):
                    raise AssertionError(str(differences))
            os.write(writer, f"{json.dumps(found)}\n".encode())

        with forked(work) as (_, reader):
            answer = _lines(reader)
        if not answer or answer[-1].startswith("error"):
            self.tally.closed += 1
            self.tally.wrong += answer or ["the check died"]
            return
        found: dict[str, list[int]] = json.loads(answer[-1])
        self.tally.lost += len(self.acknowledged - set(found))
        self.tally.torn += sum(told != rows for _, told, rows in found.values())
        self.tally.twice += sum(uploads != 1 for uploads, _, _ in found.values())


_MUCH = "create or replace table main.kept as select *, random() from raw.attempts, range(20)"
"""Makes the next checkpoint take long enough to be killed in."""

_CENSUS = """
select r.run_id, count(*), sum(u.attempts)::bigint,
       coalesce(sum(a.rows), 0)::bigint
from raw.runs r
left join raw.uploads u using (run_key)
left join (select upload_key, count(*) as rows from raw.attempts group by all) a using (upload_key)
group by r.run_id
"""


def _kind(error: StoreError) -> str:
    full = error.slug == "store-disk-full" and "\n" not in str(error)
    return "full" if full else f"error {error.slug} {error}"


@contextlib.contextmanager
def _small_disk(folder: Path, room: int) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "chaos", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Tell whether a small file system can be mounted at a folder."""
    try:
        with contextlib.redirect_stderr(None), _small_disk(folder, 1 << 20):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def run(chaos: Chaos, *, kills: int, full: int) -> None:
    """Kill so many writers, a fifth of them inside checkpoints, and fill so many disks."""
    while chaos.tally.kills < kills or chaos.tally.in_checkpoint * 5 < kills:
        left = kills - chaos.tally.in_checkpoint * 5
        if (chaos.tally.kills % 4 == 0 and left > 0) or chaos.tally.kills >= kills:
            chaos.kill_in_checkpoint()
        elif chaos.tally.kills % 10 == 1:
            chaos.kill_in_drain()
        else:
            chaos.kill_somewhere()
        if chaos.tally.kills % 100 == 0:
            print(chaos.tally, file=sys.stderr)
    mount = full > 0 and can_mount(chaos.folder / "store-1")
    for number in range(full):
        chaos.fill_disk(mount=mount and number % 2 == 0)


def main() -> None:
    """Run what the command line asks for; exit code 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--disk-full", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        chaos = Chaos(Path(folder), seed=options.seed)
        tally = chaos.tally
        with contextlib.suppress(KeyboardInterrupt):  # what was done so far is told
            run(chaos, kills=options.kills, full=options.disk_full)
    for name, value in vars(tally).items():
        print(f"{name:<14} {value}")
    print(f"{'seconds':<14} {time.monotonic() - began:.0f}")
    sys.exit(not tally.is_clean())


if __name__ == "__main__":
    main()
