"""A CI job with a matrix, shards and a re-run; and a hundred commands at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command import command
from tests.factories import attempt, end, header, lines, run_file

AT_ONCE = 100

# Processes of their own that have loaded everything before they begin: so that all are at the store
# at once, and a hundred starts of Python are not what is measured.
ALL_AT_ONCE = """
import json, os, sys
import duckdb
from testlytics.cli import ingest, main, runs
pids = []
for arguments in json.load(sys.stdin):
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv[1:] = arguments
        code = 9
        try:
            main.run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            sys.stderr.flush()
            os._exit(code)
    pids.append(pid)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]))
"""
PATIENCE_S = 240


def leg(folder: Path, name: str, attempts: list[dict[str, object]], **more: object) -> Path:
    path = folder / f"{name}.jsonl"
    head = header(1, upload_id=name, run_id="ci-77", **more)
    path.write_bytes(lines(head, *attempts, end(len(attempts))))
    return path


def rows(view: str, store: Path, *columns: str) -> list[tuple[Any, ...]]:
    """Ask a view in SQL, as somebody with a question of their own does."""
    asked = f"select {', '.join(columns)} from {view} order by all"
    done = command("sql", asked, "--format", "json", "--store", store, cwd=store.parent)
    assert done.code == 0, done.err
    [found] = [one for one in done.json.values() if isinstance(one, list)]
    return [tuple(row.values()) for row in found]


def test_a_matrix_with_shards_and_a_re_run_is_one_run_wherever_it_is_merged(tmp_path: Path) -> None:
    failed = {"failure": {"message": "no"}}
    legs = {}
    for system in ("linux", "windows"):
        variant = {"os": system}
        legs[system] = [
            leg(
                tmp_path,
                f"{system}-1",
                [
                    attempt("a"),
                    attempt("b", "failed" if system == "windows" else "passed", **failed),
                ],
                variant=variant,
                ci={"shard": "1/2"},
            ),
            leg(tmp_path, f"{system}-2", [attempt("c")], variant=variant, ci={"shard": "2/2"}),
        ]
    again = leg(
        tmp_path,
        "windows-again",
        [attempt("a"), attempt("b")],
        variant={"os": "windows"},
        ci={"shard": "1/2", "run_attempt": 2},
    )
    # Each leg keeps a store of its own and hands on an archive; the last job merges.
    for name, paths in (*legs.items(), ("again", [again])):
        store = tmp_path / f"{name}.duckdb"
        assert command("ingest", *paths, "--store", store, cwd=tmp_path).code == 0
        archive = ("--archive", tmp_path / f"archive-{name}")
        assert command("export", *archive, "--store", store, cwd=tmp_path).code == 0
    merged, straight = tmp_path / "merged.duckdb", tmp_path / "straight.duckdb"
    parts = [tmp_path / f"archive-{name}" for name in ("again", "windows", "linux", "windows")]
    done = command("merge", *parts, "--store", merged, cwd=tmp_path)
    assert done.code == 0, done.err
    everything = [*legs["linux"], *legs["windows"], again]
    assert command("ingest", *everything, "--store", straight, cwd=tmp_path).code == 0
    expected = [
        *(("os=linux", test, "passed") for test in "abc"),
        ("os=windows", "a", "passed"),
        ("os=windows", "b", "flaky"),  # failed, and passed when it was started again
        ("os=windows", "c", "passed"),
    ]
    for store in (merged, straight):
        assert rows("verdicts", store, "variant", "test_id", "verdict") == expected
        assert rows("runs", store, "run_id", "uploads", "attempts") == [("ci-77", 5, 8)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.timeout(PATIENCE_S + 30)
def test_a_hundred_commands_at_once_lose_nothing_and_stop_nobody(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    run_file(tmp_path / "0.jsonl", [attempt("t")], 0)
    assert command("ingest", "0.jsonl", "--store", store, cwd=tmp_path).code == 0
    commands = []
    for number in range(1, AT_ONCE + 1):
        path = run_file(tmp_path / f"{number}.jsonl", [attempt("t")], number)
        asked = ["runs"] if number % 5 == 0 else ["ingest", str(path)]
        commands.append([*asked, "--store", str(store), "--wait", "200"])
    done = subprocess.run(
        [sys.executable, "-c", ALL_AT_ONCE],
        cwd=tmp_path,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0] * AT_ONCE
    assert "Traceback" not in done.stderr
    brought = {f"run-{number}" for number in range(AT_ONCE + 1) if number % 5 or number == 0}
    # What had to wait in the spool is taken in by the next command.
    assert {run for (run,) in rows("runs", store, "run_id")} == brought
    assert rows("attempts", store, "count(*)") == [(len(brought),)]
    assert not list(tmp_path.glob("*.spool/*.upload"))
