"""The pieces of work of the scale benchmark that are done on a store, each in a process of its own.

`python -m scripts.scale_work NAME PATH ARGUMENT` does one and prints figures as JSON: `cpu` is
user + system seconds without imports, `peak` the most memory in MiB.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts import scale_data, scale_truth
from testlytics_collector.store.store import Store, open_store

Figures = dict[str, Any]


def fill(store: Path, runs: str) -> Figures:
    """Make a store with so many runs, anew."""
    for rest in store.parent.glob(f"{store.name}*"):
        shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
    with open_store(store, write=True) as opened:
        scale_data.fill(_rows(opened), int(runs))
        [(results,)] = _rows(opened)("select count(*) from raw.attempts")
    return {"results": results, "bytes": store.stat().st_size}


def ingest(store: Path, first: str) -> Figures:
    """Take in ten more runs of 20,000 results, each in one go, on one connection."""
    taken = []
    made = list(scale_data.further_runs(_source(), int(first), 10))
    with open_store(store, write=True) as opened:
        for upload, attempts in made:
            began = time.process_time()
            with opened.intake() as intake:
                intake.begin("scale")
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
    return {"mean": sum(taken) / len(taken), "cpu": min(taken), "results": len(made[0][1])}


def separately(store: Path, runs: str) -> Figures:
    """Take in runs, each with a connection of its own, as CI jobs do, until there are so many.

    Goes on where a store has some already. Tells the bytes a result after each tenth.
    """
    have = 0
    if store.exists():
        with open_store(store) as opened:
            [(have,)] = _rows(opened)("select count(*) from raw.runs")
    steps = []
    began = time.process_time()
    for done, (upload, attempts) in enumerate(
        scale_data.further_runs(_source(), have, max(int(runs) - have, 0)), have + 1
    ):
        with open_store(store, write=True) as opened, opened.intake() as intake:
            intake.begin("scale")
            intake.write(attempts)
            opened.keep(intake, upload, digest=upload.upload_id, form="junit", now_us=1)
        if done % max(int(runs) // 10, 1) == 0:
            steps.append((done, store.stat().st_size))
            print(done, store.stat().st_size, file=sys.stderr, flush=True)
    taken = time.process_time() - began
    with open_store(store) as opened:
        [(results,)] = _rows(opened)("select count(*) from raw.attempts")
    size = store.stat().st_size
    return {"results": results, "bytes": size, "runs": int(runs), "steps": steps, "cpu": taken}


def report(store: Path, argument: str) -> Figures:
    """Report once for the imports, then once more for the figure; `name` or `name all`."""
    from testlytics import api
    from testlytics_collector.store.reader import Window

    name, _, span = argument.partition(" ")
    sections = ["flaky", "broken"] if name == "flaky" else [name]
    taken = []
    for _ in range(2):
        began = time.process_time()
        api.report(
            store,
            Window(last=None if span else 100),
            sections=sections,
            limits={name: 10},
            summary=False,  # as the command does where it writes a table of lists
        )
        taken.append(time.process_time() - began)
    return {"cpu": taken[1]}


def gate(store: Path, run_id: str) -> Figures:
    """Look for the tests of a run that took longer than in the 100 runs before it, twice."""
    taken, found = [], 0
    for _ in range(2):
        began = time.process_time()
        with open_store(store) as opened:
            found = len(opened.screen("scale", run_id))
        taken.append(time.process_time() - began)
    return {"cpu": taken[1], "found": found}


def rebuild(store: Path, _: str) -> Figures:
    """Make all that follows from the facts anew."""
    from testlytics_collector.store import rebuild as work

    with open_store(store, write=True) as opened:
        rows = _rows(opened)
        rows("begin")
        began = time.process_time()
        work.rebuild(rows)
        taken = time.process_time() - began
        rows("rollback")
    return {"cpu": taken}


def identity(store: Path, one_in: str) -> Figures:
    """Compare what follows from the facts with a second statement of it in plain SQL.

    Of all tests, or of one in so many.
    """
    with open_store(store) as opened:
        began = time.process_time()
        tables = scale_truth.compare(_rows(opened), int(one_in or 1))
        return {"cpu": time.process_time() - began, "tables": tables}


def compacted(store: Path, _: str) -> Figures:
    """Copy a store, write it anew, and look how large it is, with and without failure texts."""
    from testlytics_collector.store.compaction import compact

    copy = store.with_name(f"copy-{store.name}")
    shutil.copy(store, copy)
    try:
        whole = compact(copy, wait_s=60.0)[1]
        with open_store(copy, write=True) as opened:
            rows = _rows(opened)
            [(raw, texts)] = rows(
                """select sum(strlen(message) + coalesce(strlen(text), 0)), count(*)
                   from raw.messages"""
            )
            rows("update raw.messages set message = null, text = null")
        without = compact(copy, wait_s=60.0)[1]
        with open_store(copy) as opened:
            [(results,)] = _rows(opened)("select count(*) from raw.attempts")
    finally:
        copy.unlink()
    kept = {"bytes": whole, "message_bytes": whole - without}
    return {"results": results, "raw_bytes": int(raw), "texts": texts, **kept}


def sql(store: Path, _: str) -> Figures:
    """Answer the flaky question by SQL over all facts, as one would without derived tables."""
    with open_store(store) as opened:
        began = time.process_time()
        found = _rows(opened)(_FLAKY)
        taken = time.process_time() - began
    return {"cpu": taken, "sums": [len(found), *map(sum, zip(*found, strict=True))]}


_FLAKY = """
with v as (
    select u.run_key, u.commit_id, a.test_key,
           max((a.outcome = 'passed')::int) as good, max((a.outcome = 'failed')::int) as bad
    from raw.attempts a join raw.uploads u using (upload_key)
    group by all
),
f as (
    select test_key, bad, good * bad as mixed,
           abs(lag(bad) over (partition by test_key order by run_key) - bad) as flip
    from v
),
c as (
    select test_key, count(*) as n
    from (
        select test_key, commit_id from v
        group by all having max(good) = 1 and max(bad) = 1
    ) group by test_key
)
select count(*), sum(bad), coalesce(sum(flip), 0), sum(mixed), coalesce(max(c.n), 0)
from f left join c using (test_key)
group by f.test_key having sum(bad) > 0
"""


def _rows(store: Store) -> scale_data.Rows:
    return store._rows  # noqa: SLF001 - the benchmark looks inside


def _source() -> scale_data.Rows:
    import duckdb

    source = duckdb.connect()

    def rows(sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return source.execute(sql, values).fetchall()

    return rows


WORK: dict[str, Callable[[Path, str], Figures]] = {
    work.__name__: work
    for work in (fill, ingest, separately, report, gate, rebuild, identity, compacted, sql)
}


def main() -> None:
    """Do one piece of work."""
    name, path, argument = sys.argv[1:]
    found = WORK[name](Path(path), argument)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**found, "peak": peak}))


if __name__ == "__main__":
    main()
