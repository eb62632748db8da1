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
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.chaos_process import (
    WAIT_S,
    can_mount,
    forked,
    lines,
    remount,
    run_file,
    small_disk,
    until_full,
)
from scripts.chaos_upkeep import Kind, Seen, census, compare, kinds
from testlytics import api
from testlytics_collector.store.lock import hold
from testlytics_collector.store.store import open_store

RUNS_A_STORE = 25
SHARES = {"checkpoint": 0.2, "drain": 0.08, "migration": 0.04, "migration-log": 0.04} | {
    "prune": 0.06,
    "compact": 0.06,
    "merge": 0.08,
}
"""How many of all kills hit which work; the others hit a loop of ingests anywhere."""


@dataclass
class Tally:
    """What happened, and what broke.

    Attributes:
        kills: Writers that were killed.
        inside: How many of them inside of which work; only that counts for its share.
        full: Writers that met a full disk, by what they did.
        acknowledged: Runs that a writer had called stored or spooled.
        lost: Acknowledged runs, or runs that were seen once, that are not there.
        torn: Runs that are there in part, or not as they were.
        twice: Runs that are there more than once.
        closed: Stores that did not open, or failed their check.
        wrong: Other broken promises, in words.
    """

    kills: int = 0
    inside: Counter[str] = field(default_factory=Counter)
    full: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: int = 0
    torn: int = 0
    twice: int = 0
    closed: int = 0
    wrong: list[str] = field(default_factory=list)

    def is_clean(self) -> bool:
        """Tell whether every promise was kept."""
        return not (self.lost or self.torn or self.twice or self.closed or self.wrong)

    def add(self, broken: tuple[int, int, int]) -> None:
        """Count what `chaos_upkeep.compare` has found."""
        self.lost += broken[0]
        self.torn += broken[1]
        self.twice += broken[2]


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
        self.kinds = {kind.name: kind for kind in kinds()}
        self.base = folder
        self._number = 0
        self._renew()

    def _renew(self) -> None:
        if self._number:
            shutil.rmtree(self.base)
        self._number += 1
        self.base = self.folder / f"store-{self._number}"
        self.base.mkdir()
        self.store = self.base / "h.duckdb"
        self.acknowledged: dict[str, int] = {}
        self.seen: Seen = {}
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
            os.write(writer, f"stored {name} {rows}\n".encode())
        else:
            os.write(writer, f"error {result}\n".encode())

    def kill(self, what: str) -> None:
        """Kill a writer inside of the work that is named, or anywhere in a loop of ingests."""
        if what in self.kinds:
            self._kill_upkeep(what)
        elif what == "checkpoint":
            self._kill_in_checkpoint()
        elif what == "drain":
            self._kill_in_drain()
        else:
            self._kill_anywhere()

    def _kill_anywhere(self) -> None:
        """Kill a writer at any moment of a loop of ingests, the making of the store included."""

        def work(writer: int) -> None:
            for number in range(1_000):
                self._ingest(writer, self.store, f"{number}-{os.getpid()}", self.rows)

        with forked(work) as (pid, reader):
            until = time.monotonic() + self.random.uniform(0.0, 0.4)
            told = lines(reader, until)
            os.kill(pid, signal.SIGKILL)
            told += lines(reader)
        self._killed("ingest", told)

    def _kill_in_checkpoint(self) -> None:
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

        self._kill_between("checkpoint", work, 0.002)

    def _kill_in_drain(self) -> None:
        """Kill a writer while it takes in what others left in the spool."""

        def fill(writer: int) -> None:
            for number in range(6):
                self._ingest(writer, self.store, f"{number}-{os.getpid()}", self.rows)

        with hold(self.store, write=True, wait_s=WAIT_S), forked(fill) as (_, reader):
            self._note(lines(reader))

        def work(writer: int) -> None:
            os.write(writer, b"begin\n")
            with open_store(self.store, write=True, wait_s=WAIT_S):
                pass
            os.write(writer, b"end\n")

        self._kill_between("drain", work, 0.3)

    def _kill_between(self, what: str, work: Callable[[int], None], most_s: float) -> bool:
        """Kill a writer so many seconds after it said `begin`; tell whether it said `end`."""
        with forked(work) as (pid, reader):
            told = lines(reader, stop="begin")
            time.sleep(self.random.uniform(0, most_s))
            os.kill(pid, signal.SIGKILL)
            told += lines(reader)
        marks = [line for line in told if line in {"begin", "end"}]
        inside = marks[-1:] == ["begin"]
        rest = [line for line in told if line not in {"begin", "end"}]
        self._killed(what if inside else "", rest, check=what not in self.kinds)
        return not inside

    def _killed(self, inside: str, told: list[str], *, check: bool = True) -> None:
        self.tally.kills += 1
        self.tally.inside[inside or "after"] += 1
        self._kills += 1
        self._note(told)
        if check:
            self.check()
        if self._kills >= RUNS_A_STORE:
            self._renew()

    def _kill_upkeep(self, name: str) -> None:
        """Kill what changes a store as a whole; see `chaos_upkeep`."""
        kind = self._prepared(name)
        base = self.folder / "upkeep"
        shutil.copytree(kind.folder, base)

        def work(writer: int) -> None:
            os.write(writer, b"begin\n")
            kind.act(base)
            os.write(writer, b"end\n")

        self._check_kind(kind, base, acknowledged=self._kill_between(name, work, kind.takes_s))
        shutil.rmtree(base)

    def _prepared(self, name: str) -> Kind:
        kind = self.kinds[name]
        if not kind.final:
            kind.prepare(self.folder)
            self.tally.acknowledged += len(kind.before)
        return kind

    def _check_kind(self, kind: Kind, base: Path, *, acknowledged: bool) -> None:
        def work(writer: int) -> None:
            broken = kind.check(base, acknowledged=acknowledged)
            os.write(writer, f"{json.dumps(broken)}\n".encode())

        with forked(work) as (_, reader):
            answer = lines(reader)
        if not answer or answer[-1].startswith("error"):
            self.tally.closed += 1
            self.tally.wrong += [f"{kind.name}: {' '.join(answer) or 'the check died'}"]
            return
        broken: tuple[int, int, int] = tuple(json.loads(answer[-1]))
        self.tally.add(broken)
        if any(broken):
            self.tally.wrong.append(f"{kind.name}: {broken} lost, torn, twice")

    def _note(self, told: list[str]) -> None:
        for line in told:
            word, _, rest = line.partition(" ")
            if word == "stored":
                name, _, rows = rest.partition(" ")
                self.acknowledged[name] = int(rows)
                self.tally.acknowledged += 1
            elif word != "full":
                self.tally.wrong.append(line)

    def fill_disk(self, what: str, *, mount: bool) -> None:
        """Let a writer run into a full disk; then there is room again, and it works again.

        Args:
            what: A kind of work on a whole store, or `ingest`.
            mount: On a small file system of its own (root only), else by the largest file size
                that the writer may write.
        """
        if what in self.kinds:
            self._fill_disk_of_upkeep(self._prepared(what), mount=mount)
            return
        self._renew()
        room = self.random.randrange(600_000, 6_000_000)
        limit = None if mount else room
        with small_disk(self.base, room) if mount else contextlib.nullcontext():

            def work(writer: int) -> None:
                for number in range(1_000):
                    rows = self.random.randrange(100, 20_000)
                    name = f"{number}-{os.getpid()}-{rows}"
                    self._ingest(writer, self.store, name, rows, limit)

            told = until_full(work)
            self._note(told)
            self.tally.full["ingest"] += "full" in told
            if "full" not in told:
                self.tally.wrong.append("the disk never was full")
            self.check()
            if mount:
                remount(self.base, "size=64m")
            with forked(lambda w: self._ingest(w, self.store, "5000-after", 100)) as (_, reader):
                self._note(lines(reader))
            self.check()

    def _fill_disk_of_upkeep(self, kind: Kind, *, mount: bool) -> None:
        base = self.folder / "upkeep"
        base.mkdir()
        held = sum(path.stat().st_size for path in kind.folder.iterdir())
        # Between nothing to spare and too little for a copy of all; a merge makes no copy.
        spare = self.random.uniform(0, held if kind.name != "merge" else held / 8)
        room = int((held if mount else held * 0.3) + spare) + 20_000
        with small_disk(base, room) if mount else contextlib.nullcontext():
            shutil.copytree(kind.folder, base, dirs_exist_ok=True)

            def work(_: int) -> None:
                if not mount:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
                kind.act(base)

            told = until_full(work)
            self.tally.full[kind.name] += "full" in told
            self._note(told)
            if mount:
                remount(base, "size=64m")
            self._check_kind(kind, base, acknowledged=not told)
        shutil.rmtree(base)

    def check(self) -> None:
        """Open the store, as the next command would, and compare it with what was acknowledged."""
        store, kills = self.store, self.tally.kills

        def work(writer: int) -> None:
            if not store.exists() and not self.acknowledged:
                os.write(writer, b"{}\n")
                return
            with open_store(store, write=True, wait_s=WAIT_S) as opened:
                for _ in range(10):  # a slow machine needs more than one turn for all
                    opened.take_in_spool()
                found = census(opened)
                if kills % 10 == 0 and (differences := opened.differences(mend=False)):
                    raise AssertionError(str(differences))
            os.write(writer, f"{json.dumps(found)}\n".encode())

        with forked(work) as (_, reader):
            answer = lines(reader)
        if not answer or answer[-1].startswith("error"):
            self.tally.closed += 1
            self.tally.wrong += answer or ["the check died"]
            return
        found: Seen = json.loads(answer[-1])
        missing = sorted((self.acknowledged.keys() | self.seen.keys()) - found.keys())
        if missing:
            self.tally.wrong.append(f"missing: {missing}")
        self.tally.lost += len(self.acknowledged.keys() - found.keys() - self.seen.keys())
        self.tally.add(compare(self.seen, found))  # what was there once stays as it was
        for name in found.keys() - self.seen.keys():
            uploads, told, rows, _ = found[name]
            self.tally.torn += told != rows or rows != self.acknowledged.get(name, rows)
            self.tally.twice += uploads != 1
        self.seen = found


_MUCH = "create or replace table main.kept as select *, random() from raw.attempts, range(20)"
"""Makes the next checkpoint take long enough to be killed in."""


def run(chaos: Chaos, *, kills: int, full: int, works: Sequence[str]) -> None:
    """Kill so many writers, each kind of work its share of them, and fill so many disks."""
    inside = chaos.tally.inside
    shares = {name: int(SHARES[name] * kills) for name in SHARES if name in works}
    while chaos.tally.kills < kills or any(inside[name] < shares[name] for name in shares):
        missing = [name for name in shares if inside[name] < shares[name]]
        anywhere = chaos.tally.kills < kills and chaos.random.random() > sum(SHARES.values())
        if (anywhere or not missing) and "ingest" in works:
            chaos.kill("ingest")
        else:
            chaos.kill(chaos.random.choice(missing or [*shares]))
        if chaos.tally.kills % 100 == 0:
            print(chaos.tally, file=sys.stderr, flush=True)
    mount = full > 0 and can_mount(chaos.base)
    fillable = [name for name in ("ingest", *chaos.kinds, "ingest") if name in works]
    for number in range(full * 3):  # not every lack of room is met
        if chaos.tally.full.total() >= full:
            break
        chaos.fill_disk(fillable[number % len(fillable)], mount=mount and number // 2 % 2 == 0)


def main() -> None:
    """Run what the command line asks for; exit code 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--disk-full", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    works = ["ingest", *SHARES]
    parser.add_argument("--only", nargs="+", default=works, choices=works, help="these works")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        chaos = Chaos(Path(folder), seed=options.seed)
        tally = chaos.tally
        with contextlib.suppress(KeyboardInterrupt):  # what was done so far is told
            run(chaos, kills=options.kills, full=options.disk_full, works=options.only)
    for name, value in vars(tally).items():
        print(f"{name:<14} {dict(value) if isinstance(value, Counter) else value}")
    print(f"{'seconds':<14} {time.monotonic() - began:.0f}")
    sys.exit(not tally.is_clean())


if __name__ == "__main__":
    main()
