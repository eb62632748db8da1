"""What one would use instead of the store, on the same results: how large, and how quick.

Each answers the same question over the whole history, for every test that ever failed: in how many
runs it was, in how many it failed, how often that changed from run to run, in how many it failed
and passed, and on how many commits it did both. All answers are compared by their sums.

Standard library only at the top: some of these run in an environment of their own.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    import duckdb

Answer = list[tuple[int, ...]]
"""Runs, failed, flips, both in one run, commits with both (0 where none); one row a test."""

WIDE_COLUMNS = (
    'run_id, test_id, variant, "commit" as commit_id, tree_sha, branch, outcome, attempt, '
    "duration_s, started_us"
)
"""A row as one would write it: texts, and where it came from in each row."""

_WIDE = f"""
select {WIDE_COLUMNS}, type, message, text
from (
    select a.*, u.started_us, m.type, m.message, m.text
    from (
        select r.run_id, t.test_id, v.variant, u.commit_id as "commit", u.tree_sha, u.branch,
               a.outcome::varchar as outcome, a.attempt, a.duration_us / 1e6 as duration_s,
               a.message_key, a.upload_key
        from raw.attempts a
        join raw.uploads u using (upload_key)
        join raw.runs r using (run_key)
        join raw.tests t using (test_key)
        join raw.variants v using (variant_key)
    ) a
    join raw.uploads u using (upload_key)
    left join raw.messages m using (message_key)
)
"""  # noqa: S608 - constants


def make(store: Path, folder: Path) -> dict[str, float]:
    """Copy the facts of a store into each of the rivals, but chdb; return bytes a result."""
    import duckdb

    wide = folder / "wide.duckdb"
    wide.unlink(missing_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "storage_compatibility_version": "v1.5.0",  # as the store's: the ways to compress are equal
        "memory_limit": "4GB",
    }
    with duckdb.connect(str(wide), config=config) as connection:
        connection.execute(f"attach '{store}' as s (read_only)").fetchall()
        connection.execute("use s").fetchall()
        connection.execute(f"create or replace table wide.main.results as {_WIDE}").fetchall()
        parquet = folder / "results.parquet"
        connection.execute(f"copy (from wide.main.results) to '{parquet}'").fetchall()
        [(results,)] = connection.execute("select count(*) from raw.attempts").fetchall()
        _make_star(connection, folder / "star.sqlite")
        _make_wide_sqlite(connection, folder / "wide.sqlite")
        xml = _make_junit(connection, folder / "junit")
    files = {name: folder / name for name in ("wide.duckdb", "star.sqlite", "wide.sqlite")}
    sizes = {name: path.stat().st_size / results for name, path in files.items()}
    return {**sizes, "junit": xml / results, "results": results}


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[list[tuple[Any, ...]]]:
    cursor = connection.execute(sql)
    while part := cursor.fetchmany(100_000):
        yield part


def _make_star(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """The same star as the store's, clustered by test; messages and test ids included."""
    path.unlink(missing_ok=True)
    tables = {
        "runs": ("run_key integer primary key, commit_id text", "run_key, commit_id", "uploads"),
        "tests": ("test_key integer primary key, test_id text", "test_key, test_id", "tests"),
        "messages": (
            "message_key integer primary key, type text, message text, text text",
            "message_key, type, message, text",
            "messages",
        ),
        "results": (
            """test_key integer, run_key integer, attempt integer, failed integer,
               duration_us integer, message_key integer,
               primary key (test_key, run_key, attempt)""",
            """test_key, upload_key, attempt, (outcome = 'failed')::integer, duration_us,
               message_key""",
            "attempts",
        ),
    }
    with sqlite3.connect(path) as star:
        for name, (columns, chosen, source) in tables.items():
            kind = "without rowid" if name == "results" else ""
            star.execute(f"create table {name} ({columns}) {kind}")
            places = ", ".join("?" * (chosen.count(",") + 1))
            for part in _rows(connection, f"select {chosen} from raw.{source} order by 1, 2"):  # noqa: S608
                star.executemany(f"insert into {name} values ({places})", part)  # noqa: S608


def _make_wide_sqlite(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as wide:
        wide.execute(
            "create table results (run_id text, test_id text, variant text, commit_id text, "
            "tree_sha text, branch text, outcome text, attempt integer, duration_s real, "
            "started_us integer, type text, message text, text text)"
        )
        places = ", ".join("?" * 13)
        for part in _rows(connection, "select * from wide.main.results"):
            wide.executemany(f"insert into results values ({places})", part)  # noqa: S608


def _make_junit(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Write one file a run, as pytest would; return the bytes of all."""
    folder.mkdir(exist_ok=True)
    runs = connection.execute("select upload_key, commit_id from raw.uploads order by 1").fetchall()
    total = 0
    for key, commit in runs:
        cursor = connection.execute(
            """select t.test_id, a.outcome::varchar, a.duration_us / 1e6, m.message, m.text
               from raw.attempts a join raw.tests t using (test_key)
               left join raw.messages m using (message_key)
               where a.upload_key = $1 order by a.test_key, a.attempt""",
            [key],
        )
        lines = [
            '<?xml version="1.0"?><testsuites><testsuite name="pytest">',
            f'<properties><property name="commit" value="{commit}"/></properties>',
        ]
        for test_id, outcome, seconds, message, text in cursor.fetchall():
            name, _, case = test_id.rpartition("::")
            head = f"<testcase classname={quoteattr(name)} name={quoteattr(case)}"
            why = f"<failure message={quoteattr(message)}>{text}</failure>" if message else ""
            end = "/>" if outcome == "passed" else f">{why}</testcase>"
            lines.append(f'{head} time="{seconds}"{end}')
        lines.append("</testsuite></testsuites>")
        path = folder / f"run-{key:06}.xml"
        path.write_text("\n".join(lines), encoding="utf-8")
        total += path.stat().st_size
    return total


def make_chdb(folder: Path) -> dict[str, float]:
    """Load the wide rows into a MergeTree table of chdb, in the order and types that suit it."""
    session = _chdb(folder)
    session.query("create database if not exists d")
    session.query("drop table if exists d.results sync")
    session.query(
        """create table d.results (
               test_id LowCardinality(String), run_id LowCardinality(String),
               commit_id LowCardinality(String), outcome LowCardinality(String),
               attempt UInt8, duration_s Float64, started_us Int64, message Nullable(String),
               text Nullable(String)
           ) engine = MergeTree order by (test_id, started_us)"""
    )
    session.query(
        f"""insert into d.results
            select test_id, run_id, commit_id, outcome, attempt, duration_s, started_us, message,
                   text
            from file('{folder / "results.parquet"}', Parquet)"""  # noqa: S608 - our own path
    )
    session.query("optimize table d.results final")
    told = session.query(
        "select sum(bytes_on_disk), sum(rows) from system.parts "
        "where database = 'd' and table = 'results' and active",
        "JSONCompact",
    )
    [[size, rows]] = json.loads(str(told))["data"]
    session.close()
    return {"chdb": int(size) / int(rows)}


def _chdb(folder: Path) -> Any:  # noqa: ANN401 - not there in the environment that checks types
    from chdb import session

    return session.Session(str(folder / "chdb"))


_SQL = """
with v as (
    select {test} as test, {run} as run, min({at}) as began, {commit} as com,
           max({passed}) as good, max({failed}) as bad
    from {source} {where} group by {test}, {run}
),
f as (
    select test, bad, good * bad as mixed,
           abs(lag(bad) over (partition by test order by began) - bad) as flip
    from v
),
c as (
    select test, count(*) as n
    from (
        select test, com from v group by test, com having max(good) = 1 and max(bad) = 1
    ) x
    group by test
)
select s.runs, s.failed, s.flips, s.mixed, coalesce(c.n, 0)
from (
    select test, count(*) as runs, sum(bad) as failed, coalesce(sum(flip), 0) as flips,
           sum(mixed) as mixed
    from f group by test having sum(bad) > 0
) s left join c on c.test = s.test
"""
_NARROW = "where {test} in (select {test} from {source} where {failed} = 1)"
_WIDE_ASKED = {"test": "test_id", "run": "run_id", "at": "started_us", "source": "results"} | {
    "passed": "case when outcome = 'passed' then 1 else 0 end",
    "failed": "case when outcome = 'failed' then 1 else 0 end",
}


def _sql(names: dict[str, str], *, narrow: bool) -> str:
    """Put the question; `narrow`: look first which tests failed, and then only at these."""
    where = _NARROW.format(**names) if narrow else ""
    return _SQL.format(**names, where=where)


def ask_duckdb_wide(folder: Path, *, narrow: bool) -> Answer:
    """SQL over one wide table of texts in DuckDB."""
    import duckdb

    sql = _sql({**_WIDE_ASKED, "commit": "any_value(commit_id)"}, narrow=narrow)
    with duckdb.connect(str(folder / "wide.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def ask_sqlite_star(folder: Path, *, narrow: bool) -> Answer:
    """SQL over the star in SQLite, clustered by test."""
    names = {"test": "test_key", "run": "a.run_key", "at": "a.run_key", "failed": "failed"}
    names |= {"commit": "max(commit_id)", "passed": "1 - failed"}
    sql = _sql({**names, "source": "results a join runs r on r.run_key = a.run_key"}, narrow=narrow)
    with sqlite3.connect(folder / "star.sqlite") as connection:
        return connection.execute(sql).fetchall()


def ask_sqlite_wide(folder: Path, *, narrow: bool) -> Answer:
    """SQL over one wide table of texts in SQLite."""
    sql = _sql({**_WIDE_ASKED, "commit": "max(commit_id)"}, narrow=narrow)
    with sqlite3.connect(folder / "wide.sqlite") as connection:
        return connection.execute(sql).fetchall()


def ask_pandas_wide(folder: Path, **_other: bool) -> Answer:
    """The columns that are needed of the wide SQLite table, read into pandas."""
    return _pandas(
        folder / "wide.sqlite",
        "select test_id as test, started_us as at, commit_id as com, outcome <> 'failed' as good, "
        "outcome = 'failed' as bad from results",
    )


def ask_pandas_star(folder: Path, **_other: bool) -> Answer:
    """The columns that are needed of the SQLite star, read into pandas."""
    return _pandas(
        folder / "star.sqlite",
        "select test_key as test, a.run_key as at, commit_id as com, 1 - failed as good, "
        "failed as bad from results a join runs r on r.run_key = a.run_key",
    )


def _pandas(path: Path, sql: str) -> Answer:
    import pandas as pd

    with sqlite3.connect(path) as connection:
        told = pd.read_sql(sql, connection)
    for name in ("test", "com"):
        told[name] = told[name].astype("category").cat.codes
    kept = {"good": ("good", "max"), "bad": ("bad", "max")}
    v = told.groupby(["test", "at"]).agg(com=("com", "first"), **kept).reset_index()
    before = v.groupby("test")["bad"].shift()
    v["flip"] = (before.notna() & (before != v["bad"])).astype(int)
    v["mixed"] = v["good"] * v["bad"]
    commits = v.groupby(["test", "com"]).agg(**kept)
    n = (commits["good"] * commits["bad"]).groupby("test").sum()
    sums = v.groupby("test").agg(
        runs=("bad", "size"), bad=("bad", "sum"), flip=("flip", "sum"), mixed=("mixed", "sum")
    )
    sums["n"] = n
    return list(sums[sums["bad"] > 0].itertuples(index=False, name=None))


def ask_chdb(folder: Path, *, narrow: bool) -> Answer:
    """SQL over a sorted MergeTree table in chdb, flips by arrays: quicker there than windows."""
    session = _chdb(folder)
    session.query("set optimize_aggregation_in_order = 1")
    where = _NARROW.format(test="test_id", source="d.results", failed="(outcome = 'failed')")
    told = session.query(
        f"""with v as (
               select test_id, started_us, any(commit_id) as com,
                      max(outcome = 'passed') as good, max(outcome = 'failed') as bad
               from d.results {where if narrow else ""} group by test_id, started_us
           ),
           c as (
               select test_id, count() as n
               from (
                   select test_id, com from v group by test_id, com
                   having max(good) = 1 and max(bad) = 1
               ) group by test_id
           )
           select f.runs, f.failed, f.flips, f.mixed, c.n
           from (
               select test_id, count() as runs, sum(bad) as failed, sum(good * bad) as mixed,
                      arrayMap(x -> x.2, arraySort(groupArray((started_us, bad)))) as s,
                      arraySum(arrayMap((x, y) -> x != y, arrayPopBack(s), arrayPopFront(s)))
                          as flips
               from v group by test_id having failed > 0
           ) f left join c on c.test_id = f.test_id""",  # noqa: S608 - constants
        "JSONCompact",
    )
    return [tuple(map(int, row)) for row in json.loads(str(told))["data"]]


def ask_junit(folder: Path, **_other: bool) -> Answer:
    """All files parsed, each time one asks: what a folder of reports and a script come to."""
    tests: dict[tuple[str, str], list[int]] = {}
    commits: dict[tuple[tuple[str, str], str], int] = {}
    for path in sorted((folder / "junit").iterdir()):
        commit, seen = "", dict[tuple[str, str], int]()
        for _, element in ET.iterparse(path):  # noqa: S314 - our own files
            if element.tag == "property":
                commit = element.get("value", "")
            elif element.tag == "testcase":
                test = (element.get("classname", ""), element.get("name", ""))
                seen[test] = seen.get(test, 0) | (1 if element.find("failure") is None else 2)
                element.clear()
        for test, bits in seen.items():
            # runs, failed, flips, mixed, failed the last time
            known = tests.setdefault(test, [0, 0, 0, 0, -1])
            bad = bits >> 1
            known[0] += 1
            known[1] += bad
            known[2] += known[4] not in {-1, bad}
            known[3] += bits == 3
            known[4] = bad
            commits[test, commit] = commits.get((test, commit), 0) | bits
    mixed: dict[tuple[str, str], int] = {}
    for (test, _), bits in commits.items():
        mixed[test] = mixed.get(test, 0) + (bits == 3)
    return [(*known[:4], mixed[test]) for test, known in tests.items() if known[1]]


ASK: dict[str, Callable[..., Answer]] = {
    name.removeprefix("ask_"): value for name, value in globals().items() if name.startswith("ask_")
}


def main() -> None:
    """Do `ask NAME [narrow] FOLDER`, `make STORE FOLDER` or `make_chdb FOLDER`."""
    work, *names, folder = sys.argv[1:]
    if work == "make":
        print(json.dumps(make(Path(names[0]), Path(folder))))
        return
    if work == "make_chdb":
        print(json.dumps(make_chdb(Path(folder))))
        return
    imported = {"pandas_wide": "pandas", "pandas_star": "pandas", "duckdb_wide": "duckdb"}
    __import__(imported.get(names[0], "chdb" if names[0] == "chdb" else "json"))
    began = time.process_time()
    answer = ASK[names[0]](Path(folder), narrow="narrow" in names)
    cpu = time.process_time() - began
    sums = [len(answer), *(int(sum(column)) for column in zip(*answer, strict=True))]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": cpu, "peak": peak, "sums": sums}))


if __name__ == "__main__":
    main()
