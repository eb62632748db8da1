"""Measures the store on 3, 10 and 100 million results, beside what a user would pick instead.

Every measurement is a process of its own. CPU is user + system seconds, the least of the rounds,
and compared within one run only; memory is the most that was resident. The data is made up and the
same every time: see `scripts/scale_data.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import scale_data
from testlytics_collector.store.schema import SCHEMA_VERSION

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "explanation" / "scale.md"
REPORTS = {"flaky": ["--flaky", "--broken"], "slowest": ["--slowest"]}
MOST_MIB, MOST_S = 8192, 600
"""What a rival may take; beyond, that is the result."""

RIVALS = {
    "duckdb_wide": ("DuckDB, one wide table of texts", "wide.duckdb", True),
    "chdb": ("chdb, MergeTree sorted by test", "chdb", True),
    "sqlite_star": ("SQLite, the same star, clustered by test", "star.sqlite", True),
    "pandas_star": ("SQLite, the same star, read into pandas", "star.sqlite", False),
    "sqlite_wide": ("SQLite, one wide table of texts", "wide.sqlite", True),
    "pandas_wide": ("SQLite, one wide table, read into pandas", "wide.sqlite", False),
    "junit": ("JUnit files, a run each, parsed each time", "junit", False),
}
"""Title, where it is kept, and whether it is asked in SQL, which can be put in two ways."""

Figures = dict[str, Any]


_SAMPLE = 25
"""Of very large stores one test in so many is compared."""

_MANY_RUNS = 1_000


class Bench:
    """One run of the benchmark.

    Args:
        folder: Where stores and results are kept.
        sizes: Millions of results.
        rounds: How often a short piece of work is done; the least counts.
        apart: How many runs are taken in one by one.
        peers: A Python with chdb and pandas.
    """

    def __init__(
        self, folder: Path, *, sizes: list[int], rounds: int, apart: int, peers: str
    ) -> None:
        self.folder, self.sizes, self.rounds = folder, sizes, rounds
        self.apart, self.peers = apart, peers
        self.middle = min(sizes, key=lambda millions: abs(millions - 10))

    def work(self, name: str, path: Path, argument: str = "", rounds: int = 1) -> Figures:
        """Do one piece of work on a store in a process of its own; return the least disturbed."""
        command = [sys.executable, "-m", "scripts.scale_work", name, str(path), argument]
        return min((_told(command) for _ in range(rounds)), key=lambda one: one.get("cpu", 0))

    def store(self, millions: int) -> tuple[Path, Figures]:
        """Return a store of that size and what it holds; makes it where it is not kept."""
        return self._kept(
            f"{millions}.duckdb", lambda path: self.work("fill", path, str(millions * 50))
        )

    def _kept(self, name: str, make: Callable[[Path], Figures]) -> tuple[Path, Figures]:
        """Return something that is kept in the folder, with its figures; `make` it where not."""
        path, note = self.folder / name, self.folder / f"{name}.json"
        data = Path(scale_data.__file__).read_bytes()
        of = f"{SCHEMA_VERSION} {hashlib.sha256(data).hexdigest()}"
        known = json.loads(note.read_text()) if note.exists() else {}
        if known.get("of") != of:  # what is half made of the same data is gone on with
            for rest in self.folder.glob(f"{name}*"):
                shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
        elif known["figures"]:
            return path, known["figures"]
        print(f"making {name}", file=sys.stderr, flush=True)
        note.write_text(json.dumps({"of": of, "figures": None}))
        figures = make(path)
        note.write_text(json.dumps({"of": of, "figures": figures}))
        return path, figures

    # --- the parts of the page -------------------------------------------------------------------

    def sizes_part(self) -> str:
        """Measure stores of all sizes."""
        columns = []
        for size in self.sizes:
            store, filled = self.store(size)
            told = [f"{filled['results']:,}", *self._reports(store)]
            screened = self.work("gate", store, f"run-{size * 50 - 1}", self.rounds)
            told += [f"{screened['cpu']:.3f} s, {screened['found']:,} found"]
            copy = self.folder / "copy.duckdb"
            shutil.copy(store, copy)
            rebuilt = self.work("rebuild", copy)
            taken = self.work("ingest", copy, str(size * 50))
            told += [f"{taken['mean'] * 1000:.0f} / {taken['cpu'] * 1000:.0f} ms"]
            told += [f"{self._one_shot(copy):.2f} s"]
            told += [f"{rebuilt['cpu']:.1f} s, {rebuilt['peak']:.0f} MiB"]
            copy.unlink()
            columns.append(told)
            print(f"{size} million: {told}", file=sys.stderr, flush=True)
        names = [
            "results",
            "`report --flaky --broken`, last 100 runs",
            "`report --slowest`, last 100 runs",
            "find what took longer in a run than in the 100 before it",
            "take in a run of 20,000 results (mean / least of 10)",
            "`testlytics ingest junit.xml`, 19,000 tests, whole process",
            "rebuild all that follows from the facts",
        ]
        heads = [f"{size} million" for size in self.sizes]
        rows = zip(names, *columns, strict=True)
        return "Reports: CPU after imports / of the whole process, and its memory.\n\n" + _table(
            ["", *heads], [list(row) for row in rows]
        )

    def _reports(self, store: Path) -> list[str]:
        cells = []
        for name, options in REPORTS.items():
            inside = self.work("report", store, name, self.rounds)["cpu"]
            outside, peak = _whole(["report", *options, "--store", str(store)], self.rounds)
            cells.append(f"{inside:.3f} / {outside:.2f} s, {peak:.0f} MiB")
        return cells

    def _one_shot(self, store: Path) -> float:
        """Return the CPU seconds of `testlytics ingest` of a JUnit file of 19,000 tests."""
        from scripts.bench_junit import write_lean

        taken = []
        for number in range(self.rounds):
            report = self.folder / "junit.xml"
            write_lean(report, 19_000)
            text = report.read_text(encoding="utf-8")
            report.write_text(f"{text}<!-- {number} -->", encoding="utf-8")
            taken.append(_whole(["ingest", str(report), "--store", str(store)], 1)[0])
            report.unlink()
        return min(taken)

    def bytes_part(self) -> str:
        """Measure what a result takes."""
        rows = []
        for size in self.sizes:
            store, filled = self.store(size)
            told = self.work("compacted", store)
            rows.append(
                [
                    f"{size} million",
                    f"{filled['bytes'] / filled['results']:.2f}",
                    f"{told['bytes'] / told['results']:.2f}",
                    f"{told['texts']:,}",
                    f"{told['raw_bytes'] / 2**20:.1f} MiB",
                    f"{told['message_bytes'] / 2**20:.1f} MiB",
                    f"{told['raw_bytes'] / told['message_bytes']:.1f}",
                ]
            )
        heads = ["", "bytes a result", "compacted", "failure texts", "raw", "in the file", "ratio"]
        text = (
            "Everything included: failure texts, and all that is kept beside the facts. What the "
            "texts take in the file is the difference to the same store without them.\n\n"
        )
        return text + _table(heads, rows)

    def separately_part(self) -> str:
        """Take in runs one by one, each with a connection of its own, as CI jobs do."""
        path, told = self._kept(
            f"apart-{self.apart}.duckdb",
            lambda path: self.work("separately", path, str(self.apart)),
        )
        each = told["results"] / told["runs"]
        rows = [[f"{runs:,}", f"{size / (runs * each):.2f}"] for runs, size in told["steps"]]
        after = self.work("compacted", path)["bytes"] / told["results"]
        return (
            f"After {told['runs']:,} ingests of {each:,.0f} results, each a process that opens, "
            f"takes in and closes: **{told['bytes'] / told['results']:.2f} bytes a result**, "
            f"{after:.2f} when it was compacted.\n\n" + _table(["ingests", "bytes a result"], rows)
        )

    def identity_part(self) -> str:
        """Compare what is kept beside the facts with a second statement of it."""
        rows = []
        stores = {"made at once": (self.store(self.middle)[0], 1)}
        largest = self.sizes[-1]
        if largest > self.middle:
            name = f"made at once, {largest} million, one test in {_SAMPLE}"
            stores[name] = self.store(largest)[0], _SAMPLE
        apart = self.folder / f"apart-{self.apart}.duckdb"
        if apart.exists():
            one_in = _SAMPLE if self.apart > _MANY_RUNS else 1
            name = f"taken in one by one, {self.apart:,} runs"
            stores[name if one_in == 1 else f"{name}, one test in {one_in}"] = apart, one_in
        for name, (store, one_in) in stores.items():
            told = self.work("identity", store, str(one_in))["tables"]
            for table, (kept, differing) in told.items():
                rows.append([name, f"`{table}`", f"{kept:,}", f"{differing:,}"])
        text = (
            "All rows of what is kept beside the facts, compared with plain SQL over all facts "
            "(`scripts/scale_truth.py`, which shares no statement with the store). Numbers with a "
            "fraction are equal only where every bit is.\n\n"
        )
        return text + _table(["store", "table", "rows", "rows that differ"], rows)

    def rivals_part(self) -> str:
        """Answer the flaky question over the whole history, here and elsewhere."""
        store, filled = self.store(self.middle)
        rivals, sizes = self._kept("rivals", lambda path: self._make_rivals(store, path))
        ours = self.work("report", store, "flaky all", self.rounds)
        window = self.work("report", store, "flaky", self.rounds)
        facts = self.work("sql", store)
        held = filled["bytes"] / filled["results"]
        rows = [
            _row("**testlytics report --flaky**, all runs", [ours], ours, held, held),
            _row("the same, last 100 runs", [window], ours, None, held),
            _row("SQL over all facts of the same store", [facts], ours, None, held),
        ]
        script = [self.peers, str(ROOT / "scripts" / "scale_rivals.py"), "ask"]
        for name, (title, file, is_sql) in RIVALS.items():
            told = [
                _bounded([*script, name, *how], rivals) for how in [[], ["narrow"]][: is_sql + 1]
            ]
            print(f"{name}: {told}", file=sys.stderr, flush=True)
            if any(one.get("sums", facts["sums"]) != facts["sums"] for one in told):
                raise AssertionError(f"{name} answers {told}, not {facts['sums']}")
            rows.append(_row(title, told, ours, sizes[file], held))
        over = "× testlytics"
        heads = ["", "CPU s", over, "CPU s, narrow", over, "MiB", "bytes a result", over]
        text = (
            f"{self.middle} million results; of each test that ever failed: in how many runs it "
            "was, failed, failed and passed, how often that changed from run to run, and on how "
            "many commits it both failed and passed. All answers were the same, by their sums. "
            "Narrow: the same SQL by somebody who first looks which tests ever failed, and then "
            "counts only these. testlytics judges each of these tests on top of it. "
            f"Bounds: {MOST_MIB // 1024} GB resident, {MOST_S // 60} minutes of CPU. Importing is "
            "not counted, nor is loading the data, but for the JUnit files, which have no loading."
            "\n\n"
        )
        return text + _table(heads, rows)

    def _make_rivals(self, store: Path, folder: Path) -> Figures:
        folder.mkdir(exist_ok=True)
        script = str(ROOT / "scripts" / "scale_rivals.py")
        sizes = _told([sys.executable, script, "make", str(store), str(folder)])
        return {**sizes, **_told([self.peers, script, "make_chdb", str(folder)])}


PARTS: dict[str, tuple[str, Callable[[Bench], str]]] = {
    "sizes": ("From 3 to 100 million results", Bench.sizes_part),
    "bytes": ("What a result takes", Bench.bytes_part),
    "separately": ("One ingest at a time", Bench.separately_part),
    "identity": ("What follows from the facts", Bench.identity_part),
    "rivals": ("Beside what one would use instead", Bench.rivals_part),
}


def _told(command: list[str]) -> Figures:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def _bounded(command: list[str], folder: Path) -> Figures:
    """Ask a rival; kill it, and say so, where it takes more than it may."""
    with subprocess.Popen([*command, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        status = Path(f"/proc/{process.pid}/status")
        used = 0.0
        while process.poll() is None:
            held = status.read_text(encoding="ascii").partition("VmRSS:")[2].split()[:1]
            used = _cpu(process.pid)
            if held and int(held[0]) > MOST_MIB * 1024:
                process.kill()
                return {"over": f"over {MOST_MIB // 1024} GB", "cpu": used, "peak": MOST_MIB}
            if used > MOST_S:
                process.kill()
                return {"over": f"over {MOST_S // 60} min", "cpu": used}
            time.sleep(0.1)
        told = process.communicate()[0]
    if process.returncode:
        return {"over": f"failed after {used:.0f} s"}
    found: Figures = json.loads(told.splitlines()[-1])
    return found


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _row(
    name: str, told: list[Figures], ours: Figures, size: float | None, held: float
) -> list[str]:
    cells = []
    for one in told:
        ratio = "" if "over" in one else f"{one['cpu'] / ours['cpu']:,.1f}"
        cells += [one.get("over") or f"{one['cpu']:.3f}", ratio]
    cells += [""] * (4 - len(cells))
    cells.append(f"{max(one.get('peak', 0) for one in told):,.0f}")
    cells += ["", ""] if size is None else [f"{size:.1f}", f"{size / held:.1f}"]
    return [name, *cells]


def _whole(arguments: list[str], rounds: int) -> tuple[float, float]:
    """Run the real command; return its least CPU seconds and its peak MiB."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "testlytics", *arguments]
    taken = []
    for _ in range(rounds):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        taken.append(tuple(map(float, done.stdout.split())))
    return min(taken)[0], min(peak for _, peak in taken)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> int:
    """Measure the parts that are asked for, and put them together with those measured before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=int, nargs="+", default=[3, 10, 100])
    parser.add_argument("--separately", type=int, default=500, help="runs taken in one by one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts")
    parser.add_argument("--folder", type=Path, help="keeps stores and parts; needs some GB")
    parser.add_argument("--peers", default=sys.executable, help="a Python with chdb and pandas")
    parser.add_argument("--update", action="store_true", help=f"write the parts to {PAGE.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = (options.folder or Path(made)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(
            folder,
            sizes=options.millions,
            rounds=options.rounds,
            apart=options.separately,
            peers=str(Path(options.peers).absolute()),
        )
        for name in options.only:
            text = PARTS[name][1](bench)
            (folder / f"{name}.md").write_text(text, encoding="utf-8")
            print(f"\n{text}", flush=True)
        if options.update:
            _write(folder)
    return 0


def _write(folder: Path) -> None:
    """Put all parts that are there onto the page."""
    about = (__doc__ or "").strip()
    blocks = [f"# Scale\n\nMade by `make scale`. {about}\n"]
    for name, (title, _) in PARTS.items():
        part = folder / f"{name}.md"
        if part.exists():
            blocks.append(f"## {title}\n\n{part.read_text(encoding='utf-8')}\n")
    PAGE.write_text("\n".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
