"""Measures the store on 3, 10 and 100 million results, beside what a user would pick instead.

Every measurement is a process of its own; CPU seconds are user + system, the least of the rounds;
memory is the process's peak. The data is made up (scripts/scale_data.py) and the same every time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import scale_data
from testlytics_collector.store.store import Store, open_store

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "scale.md"
REPORTS = {"flaky": ["--flaky", "--broken"], "slowest": ["--slowest"]}


# --- work that is measured, in a process of its own ----------------------------------------------


def work_fill(store: Path, runs: str) -> dict[str, float]:
    """Make a store with so many runs; not measured for itself."""
    with open_store(store, write=True) as opened:
        scale_data.fill(_rows(opened), int(runs))
        [(results,)] = _rows(opened)("select count(*) from raw.attempts")
    return {"results": results, "bytes": store.stat().st_size}


def work_ingest(store: Path, first: str) -> dict[str, float]:
    """Take in ten more runs of 20,000 results, each in one go, on one connection."""
    import duckdb

    source = duckdb.connect()

    def rows(sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return source.execute(sql, values).fetchall()

    taken = []
    made = list(scale_data.further_runs(rows, int(first), 10))
    with open_store(store, write=True) as opened:
        for upload, attempts in made:
            began = time.process_time()
            with opened.intake() as intake:
                for start in range(0, len(attempts), 10_000):
                    intake.write(attempts[start : start + 10_000])
                opened.keep(
                    intake,
                    upload,
                    digest=upload.upload_id,
                    form="junit",
                    now_us=upload.started_us or 0,
                )
            taken.append(time.process_time() - began)
    return {"mean": sum(taken) / len(taken), "least": min(taken), "results": len(made[0][1])}


def work_separately(store: Path, runs: str) -> dict[str, float]:
    """Take in so many runs, each with a connection of its own, as a CI job does."""
    import duckdb

    source = duckdb.connect()

    def rows(sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return source.execute(sql, values).fetchall()

    results = 0
    for upload, attempts in scale_data.further_runs(rows, 0, int(runs)):
        with open_store(store, write=True) as opened, opened.intake() as intake:
            intake.begin("scale")
            intake.write(attempts)
            opened.keep(intake, upload, digest=upload.upload_id, form="junit", now_us=1)
        results += len(attempts)
    return {"results": results, "bytes": store.stat().st_size}


def work_report(store: Path, name: str) -> dict[str, float]:
    """Report once for the imports, then once more for the figure."""
    from testlytics import api
    from testlytics_collector.store.reader import Window

    sections = ["flaky", "broken"] if name == "flaky" else [name]
    taken = []
    for _ in range(2):
        began = time.process_time()
        api.report(store, Window(last=100), sections=sections, limits={name: 10})
        taken.append(time.process_time() - began)
    return {"cpu": taken[1]}


def work_rebuild(store: Path, _: str) -> dict[str, float]:
    """Make all that follows from the facts anew."""
    from testlytics_collector.store import derived

    with open_store(store, write=True) as opened:
        rows = _rows(opened)
        rows("begin")
        began = time.process_time()
        derived.rebuild(rows)
        taken = time.process_time() - began
        rows("rollback")
    return {"cpu": taken}


def work_sql(store: Path, _: str) -> dict[str, float]:
    """Answer the flaky question by SQL over all facts, as one would without derived tables."""
    with open_store(store) as opened:
        began = time.process_time()
        found = _rows(opened)(FLAKY_SQL)
        return {"cpu": time.process_time() - began, "rows": len(found)}


def work_duckdb_wide(folder: Path, _: str) -> dict[str, float]:
    """The same by SQL over one wide table of texts in DuckDB."""
    import duckdb

    with duckdb.connect(str(folder / "wide.duckdb"), read_only=True) as connection:
        began = time.process_time()
        found = connection.execute(WIDE_SQL).fetchall()
        return {"cpu": time.process_time() - began, "rows": len(found)}


def work_sqlite_star(folder: Path, _: str) -> dict[str, float]:
    """The same by SQL over the same star in SQLite, clustered by test."""
    with sqlite3.connect(folder / "star.sqlite") as connection:
        began = time.process_time()
        found = connection.execute(STAR_SQL).fetchall()
        return {"cpu": time.process_time() - began, "rows": len(found)}


FLAKY_SQL = """
with v as (
    select u.run_key, u.commit_id, a.test_key,
           bool_or(a.outcome = 'passed') as good, bool_or(a.outcome = 'failed') as bad
    from raw.attempts a join raw.uploads u using (upload_key)
    group by all
),
f as (
    select test_key, bad, good and bad as agreed_not,
           lag(bad) over (partition by test_key order by run_key) <> bad as flip
    from v
),
c as (
    select test_key, count(*) as n
    from (
        select test_key, commit_id from v
        group by all having bool_or(good) and bool_or(bad)
    ) group by test_key
)
select f.test_key, count(*), count_if(bad), count_if(flip), count_if(agreed_not), any_value(c.n)
from f left join c using (test_key)
group by f.test_key
having count_if(bad) > 0
"""
WIDE_SQL = """
with v as (
    select run_id, commit_id, test_id,
           bool_or(outcome = 'passed') as good, bool_or(outcome = 'failed') as bad
    from results group by all
),
f as (
    select test_id, bad, good and bad as agreed_not,
           lag(bad) over (partition by test_id order by run_id) <> bad as flip
    from v
),
c as (
    select test_id, count(*) as n
    from (select test_id, commit_id from v group by all having bool_or(good) and bool_or(bad))
    group by test_id
)
select f.test_id, count(*), count_if(bad), count_if(flip), count_if(agreed_not), any_value(c.n)
from f left join c using (test_id) group by f.test_id having count_if(bad) > 0
"""
STAR_SQL = """
with v as (
    select a.run_key, r.commit_id, a.test_key, max(a.failed = 0) as good, max(a.failed) as bad
    from results a join runs r on r.run_key = a.run_key
    group by a.test_key, a.run_key
),
f as (
    select test_key, bad, good and bad as agreed_not,
           lag(bad) over (partition by test_key order by run_key) <> bad as flip
    from v
),
c as (
    select test_key, count(*) as n
    from (
        select test_key, commit_id from v
        group by test_key, commit_id having max(good) and max(bad)
    ) group by test_key
)
select f.test_key, count(*), sum(bad), sum(flip), sum(agreed_not), max(c.n)
from f left join c on c.test_key = f.test_key group by f.test_key having sum(bad) > 0
"""


def work_rivals(store: Path, _: str) -> dict[str, float]:
    """Copy the facts into what a user would pick instead; returns bytes a result."""
    import duckdb

    folder = store.parent
    wide, star = folder / "wide.duckdb", folder / "star.sqlite"
    with duckdb.connect(str(wide)) as connection:

        def rows(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        rows(f"attach '{store}' as s (read_only)")
        rows("use s")
        rows(
            """create table wide.main.results as
               select run_id, test_id, variant, "commit" as commit_id, branch, outcome, attempt,
                      duration_s, started_at
               from attempts"""
        )
        with sqlite3.connect(star) as other:
            other.execute("create table runs (run_key integer primary key, commit_id text)")
            other.execute(
                "create table results (test_key integer, run_key integer, attempt integer, "
                "failed integer, duration_us integer, primary key (test_key, run_key, attempt)) "
                "without rowid"
            )
            other.executemany(
                "insert into runs values (?, ?)",
                rows("select run_key, commit_id from raw.uploads"),
            )
            cursor = connection.execute(
                """select test_key, upload_key, attempt, (outcome = 'failed')::integer, duration_us
                   from raw.attempts order by test_key, upload_key, attempt"""
            )
            results = 0
            while part := cursor.fetchmany(100_000):
                other.executemany("insert into results values (?, ?, ?, ?, ?)", part)
                results += len(part)
    return {"wide": wide.stat().st_size / results, "star": star.stat().st_size / results}


def _rows(store: Store) -> Callable[..., list[tuple[Any, ...]]]:
    return store._rows  # noqa: SLF001 - the benchmark looks inside


WORK: dict[str, Callable[[Path, str], dict[str, float]]] = {
    name.removeprefix("work_"): value
    for name, value in globals().items()
    if name.startswith("work_")
}


# --- measuring -----------------------------------------------------------------------------------


def measure(name: str, path: Path, argument: str = "", rounds: int = 1) -> dict[str, float]:
    """Do one piece of work in a process of its own, some times; return the least disturbed."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        command = [sys.executable, __file__, "--work", name, str(path), argument]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, float] = json.loads(done.stdout)
        best = min(best or found, found, key=lambda one: one.get("cpu", one.get("mean", 0)))
    return best


def whole(arguments: list[str], rounds: int) -> tuple[float, float]:
    """Run the real command; return its least CPU seconds and its peak MiB."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
    )
    command = [sys.executable, "-c", code, str(Path(sys.executable).with_name("testlytics"))]
    taken = []
    for _ in range(rounds):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
        taken.append(tuple(map(float, done.stdout.split())))
    return min(taken)[0], min(peak for _, peak in taken)


def reports(store: Path, rounds: int) -> list[str]:
    """Return the cells of a store's reports: after imports, whole process, memory."""
    cells = []
    for name, options in REPORTS.items():
        inside = measure("report", store, name, rounds)["cpu"]
        outside, peak = whole(["report", *options, "--store", str(store)], rounds)
        cells.append(f"{inside:.3f} / {outside:.2f} s, {peak:.0f} MiB")
    return cells


def one_shot(store: Path, folder: Path, rounds: int) -> float:
    """Return the CPU seconds of `testlytics ingest` of a JUnit file of 19,000 tests."""
    from scripts.bench_junit import write_lean

    report = folder / "junit.xml"
    write_lean(report, 19_000)
    taken = []
    for number in range(rounds):
        copy = folder / f"copy-{number}.duckdb"
        shutil.copy(store, copy)
        taken.append(whole(["ingest", str(report), "--store", str(copy)], 1)[0])
        copy.unlink()
    return min(taken)


def scale_table(folder: Path, sizes: list[int], rounds: int) -> str:
    """Measure stores of these sizes, in millions of results."""
    lines = [
        "| | " + " | ".join(f"{size} million" for size in sizes) + " |",
        "|---|" + "---:|" * len(sizes),
    ]
    columns = []
    for size in sizes:
        store = folder / f"{size}.duckdb"
        filled = measure("fill", store, str(size * 50))
        [flaky, slowest] = reports(store, rounds)
        rebuilt = measure("rebuild", store)
        once = one_shot(store, folder, rounds)
        taken = measure("ingest", store, str(size * 50))
        columns.append(
            [
                f"{filled['results']:,.0f}",
                f"{filled['bytes'] / filled['results']:.2f}",
                flaky,
                slowest,
                f"{taken['mean'] * 1000:.0f} ms",
                f"{once:.2f} s",
                f"{rebuilt['cpu']:.1f} s, {rebuilt['peak']:.0f} MiB",
            ]
        )
        print(f"{size} million: {columns[-1]}", file=sys.stderr)
    names = [
        "results",
        "bytes a result, messages and all that follows included",
        "`report --flaky --broken` (after imports / whole process, peak)",
        "`report --slowest` (the same)",
        "take in a run of 20,000 results (mean of 10)",
        "`testlytics ingest junit.xml`, 19,000 tests, whole process",
        "rebuild all that follows from the facts",
    ]
    for name, cells in zip(names, zip(*columns, strict=True), strict=True):
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rivals_table(folder: Path, size: int) -> str:
    """Answer the flaky question over the whole history, here and elsewhere."""
    store = folder / f"{size}.duckdb"
    sizes = measure("rivals", store)
    here = measure("report", store, "flaky", 3)["cpu"]
    wide, star = measure("duckdb_wide", folder)["cpu"], measure("sqlite_star", folder)["cpu"]
    rows: list[tuple[str, float, float | None]] = [
        ("**testlytics report --flaky**", here, None),
        ("SQL over all facts of the same store", measure("sql", store)["cpu"], None),
        ("DuckDB, one wide table of texts", wide, sizes["wide"]),
        ("SQLite, the same star", star, sizes["star"]),
    ]
    lines = ["| | CPU s | × testlytics | bytes a result |", "|---|---:|---:|---:|"]
    for name, cpu, size_of in rows:
        held = "" if size_of is None else f"{size_of:.1f}"
        lines.append(f"| {name} | {cpu:.3f} | {cpu / here:,.0f} | {held} |")
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark, or with --work one measurement of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=int, nargs="+", default=[3, 10, 100])
    parser.add_argument("--separately", type=int, default=500, help="runs taken in one by one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to, with some GB free")
    parser.add_argument("--update", action="store_true", help=f"write the tables to {PAGE.name}")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        name, path, argument = options.work
        found = WORK[name](Path(path), argument)
        print(json.dumps({**found, "peak": _peak_mib()}))
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = Path(made)
        blocks = [scale_table(folder, options.millions, options.rounds)]
        apart = measure("separately", folder / "apart.duckdb", str(options.separately))
        blocks.append(
            f"After {options.separately} separate ingests of 20,000 results: "
            f"{apart['bytes'] / apart['results']:.2f} bytes a result."
        )
        middle = min(options.millions, key=lambda millions: abs(millions - 10))
        blocks += [
            f"The flaky question over all runs, on {middle} million results:",
            rivals_table(folder, middle),
        ]
    text = "\n\n".join(blocks) + "\n"
    print(text)
    if options.update:
        about = (__doc__ or "").strip()
        PAGE.write_text(f"# Scale\n\n{about}\n\n{text}", encoding="utf-8")
    return 0


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
