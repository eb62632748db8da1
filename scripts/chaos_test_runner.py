"""Runs the command under faults that a seed draws, for as long as it is told, and keeps the books.

Each fault hits one ingest of a new run. After each the store is read: what was acknowledged must be
there, once and whole; nothing may be there in part; and whatever failed must have said so in words.
What breaks is told with the seed and the number of faults that replay it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.chaos_process import run_file  # noqa: E402

FAULTS = (
    "none",
    "killed",
    "stalled",
    "few descriptors",
    "little memory",
    "small files",
    "torn input",
    "wrong clock",
    "store in use",
)
ROWS = 200
_PATIENCE_S = 100.0
_MIB = 1 << 20
_MAY_DIE = frozenset({"killed", "few descriptors", "little memory"})
"""Under these Python itself may not start, or be ended by the system."""

_CLOCK = """
import sys, time
real, apart = time.time_ns, int(sys.argv.pop(1)) * 1_000_000_000
time.time_ns = lambda: real() + apart
from testlytics.cli.main import run
run()
"""
_HOLD = """
import sys, time
from pathlib import Path
from testlytics_collector.store.store import open_store
with open_store(Path(sys.argv[1]), write=True, wait_s=60):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


class Planned(NamedTuple):
    """One fault that is to come.

    Attributes:
        number: First = 1.
        fault: One of `FAULTS`.
        measure: How much of it, from 0 up to, but not including, 1.
    """

    number: int
    fault: str
    measure: float


class Ended(NamedTuple):
    """How an ingest under a fault ended."""

    code: int
    out: str
    err: str


@dataclass
class Books:
    """What happened.

    Attributes:
        seed: Of the plan.
        met: How often each fault was met.
        acknowledged: Runs that were called stored or spooled, or were seen once.
        violated: What broke, in words, each with the number of its fault.
    """

    seed: int
    met: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    violated: list[str] = field(default_factory=list)


def plan(seed: int, number: int) -> Planned:
    """Draw one fault of a plan: the same for the same seed and number, whatever came before."""
    draw = random.Random(f"{seed}/{number}")  # noqa: S311 - faults, not secrets
    return Planned(number, draw.choice(FAULTS), draw.random())


def broken(acknowledged: set[str], found: Mapping[str, int], rows: int = ROWS) -> list[str]:
    """Say what of the store's promises does not hold.

    Args:
        acknowledged: Runs that must be there.
        found: Attempts of each run that is there.
        rows: How many each has.
    """
    told = [f"{run} was acknowledged and is lost" for run in sorted(acknowledged - found.keys())]
    for run, count in sorted(found.items()):
        if count != rows:
            how = "in part" if count < rows else "more than once"
            told.append(f"{run} is there {how}: {count} of {rows} attempts")
    return told


def _limit(kind: int, most: int) -> Callable[[], None]:
    def apply() -> None:
        if kind == resource.RLIMIT_FSIZE:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))

    return apply


class Runner:
    """Meets one fault after the other.

    Args:
        folder: An empty folder.
        seed: Of the plan.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._store = folder, folder / "h.duckdb"
        self._cut: set[str] = set()
        self.books = Books(seed)

    def meet(self, one: Planned) -> None:
        """Meet a fault, and look whether all promises hold."""
        name = f"{one.number}-run"
        path = run_file(self._folder / f"{name}.jsonl", name, ROWS)
        ended = self._ingest(one, path)
        path.unlink()
        self.books.met[one.fault] += 1
        if one.fault == "torn input":
            self._cut.add(name)
        elif ended.code == 0:
            self.books.acknowledged.add(name)
        wrong = self._said(one, ended)
        found = self._found()
        if isinstance(found, str):
            wrong.append(found)
        else:
            # Of a run file that is cut all whole lines count: any number of attempts is right.
            whole = {run: count for run, count in found.items() if run not in self._cut}
            wrong += broken(self.books.acknowledged, whole)
            self.books.acknowledged |= whole.keys()
        self.books.violated += [f"fault {one.number} ({one.fault}): {text}" for text in wrong]

    def _said(self, one: Planned, ended: Ended) -> list[str]:
        accidents = [word for word in ("Traceback", "internal error") if word in ended.err]
        if one.fault in _MAY_DIE and ended.code not in {0, 3}:
            return []
        if ended.code not in {0, 3}:
            return [f"exit code {ended.code}: {ended.err[-300:]}"]
        if ended.code == 3 and not ended.err.strip():
            return ["it failed and did not say why"]
        return [f"{word}: {ended.err[-300:]}" for word in accidents]

    def _ingest(self, one: Planned, path: Path) -> Ended:
        measure, arguments = one.measure, ["ingest", str(path), "--store", str(self._store)]
        if one.fault == "few descriptors":
            return self._run(arguments, before=_limit(resource.RLIMIT_NOFILE, 5 + int(measure * 8)))
        if one.fault == "little memory":
            most = int((100 + measure * 300) * _MIB)
            return self._run(arguments, before=_limit(resource.RLIMIT_AS, most))
        if one.fault == "small files":
            most = int(4_096 + measure * 2 * _MIB)
            return self._run(arguments, before=_limit(resource.RLIMIT_FSIZE, most))
        if one.fault == "torn input":
            path.write_bytes(path.read_bytes()[: int(measure * path.stat().st_size)])
        elif one.fault == "wrong clock":
            apart = int((measure - 0.5) * 100 * 365 * 86_400)
            return self._run([str(apart), *arguments], start=["-c", _CLOCK])
        elif one.fault == "store in use":
            return self._while_held(arguments, measure)
        elif one.fault in {"killed", "stalled"}:
            return self._interrupted(arguments, one)
        return self._run(arguments)

    def _interrupted(self, arguments: Sequence[str], one: Planned) -> Ended:
        with self._start(arguments) as process:
            time.sleep(one.measure)
            if one.fault == "killed":
                process.kill()
            else:
                process.send_signal(signal.SIGSTOP)
                time.sleep(one.measure)
                process.send_signal(signal.SIGCONT)
            return self._end(process)

    def _while_held(self, arguments: Sequence[str], measure: float) -> Ended:
        hold = [str(self._store), str(measure * 3)]
        with self._start(hold, start=["-c", _HOLD]) as holder:
            assert holder.stdout is not None  # noqa: S101 - it was asked for
            holder.stdout.readline()
            ended = self._run(arguments)
            self._end(holder)
        return ended

    def _run(
        self,
        arguments: Sequence[str],
        *,
        before: Callable[[], None] | None = None,
        start: Sequence[str] = ("-m", "testlytics"),
    ) -> Ended:
        with self._start(arguments, before=before, start=start) as process:
            return self._end(process)

    def _start(
        self,
        arguments: Sequence[str],
        *,
        before: Callable[[], None] | None = None,
        start: Sequence[str] = ("-m", "testlytics"),
    ) -> subprocess.Popen[str]:
        kept = {name: one for name, one in os.environ.items() if not name.startswith("TESTLYTICS")}
        return subprocess.Popen(
            [sys.executable, *start, *arguments],
            cwd=self._folder,
            env={**kept, "TESTLYTICS_WAIT": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,  # noqa: PLW1509 - no other thread is here
        )

    def _end(self, process: subprocess.Popen[str]) -> Ended:
        out, err = process.communicate(timeout=_PATIENCE_S)
        return Ended(process.returncode, out, err)

    def _found(self) -> dict[str, int] | str:
        """Count the attempts of each run; in words where the store cannot be read."""
        if not self._store.exists():
            return {}
        asked = "select run_id, count(*)::integer as n from attempts group by run_id"
        ended = self._run(["sql", asked, "--format", "json", "--store", str(self._store)])
        if ended.code:
            return f"the store cannot be read: {ended.err.strip()[-300:]}"
        [rows] = (one for one in json.loads(ended.out).values() if isinstance(one, list))
        return {row["run_id"]: row["n"] for row in rows}

    def finish(self) -> None:
        """Look whether what is derived in the store is what follows from its facts."""
        if (
            self._store.exists()
            and (ended := self._run(["doctor", "--store", str(self._store)])).code
        ):
            self.books.violated.append(f"at the end, doctor: {ended.out}{ended.err}")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long; 60 by default")
    parser.add_argument("--faults", type=int, help="at most so many; this replays what was told")
    parser.add_argument("--seed", type=int, help="of the plan; drawn where not given")
    parser.add_argument("--plan", action="store_true", help="show the plan and meet nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what happened there")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Meet the faults that were asked for; return 1 where a promise was broken."""
    given = _arguments().parse_args(arguments)
    seed = given.seed if given.seed is not None else random.randrange(10**6)  # noqa: S311
    if given.plan:
        for number in range(1, (given.faults or 20) + 1):
            print(*plan(seed, number))
        return 0
    end_s, number = time.monotonic() + given.seconds, 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        runner = Runner(Path(folder), seed)
        while time.monotonic() < end_s and number < (given.faults or sys.maxsize):
            number += 1
            runner.meet(plan(seed, number))
        runner.finish()
    books = runner.books
    for fault, times in sorted(books.met.items()):
        print(f"{fault:<16} {times:>5}")
    print(*books.violated, sep="\n")
    word = "violated" if books.violated else "survived"
    print(f"{word}: {number} faults, replay with --seed {seed} --faults {number}")
    if given.json is not None:
        told: dict[str, object] = {"schema": 1, "verdict": word, "faults": number}
        told |= {"seed": seed, "met": dict(books.met), "violated": books.violated}
        told["acknowledged"] = len(books.acknowledged)
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 1 if books.violated else 0


if __name__ == "__main__":
    sys.exit(main())
