"""What is imported when: the import contracts cannot see it, a fresh process can."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from testlytics import api
from tests.command import command
from tests.factories import attempt, history, run_file

HEAVY = {"duckdb", "polars", "pyarrow", "numpy", "pandas"}


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import testlytics", HEAVY | {"typer", "rich"}),
        ("import testlytics.api", HEAVY | {"typer", "rich"}),
        ("import testlytics_collector", HEAVY | {"typer", "rich"}),
        ("import testlytics_collector.ingest", HEAVY | {"typer", "rich"}),
        ("import testlytics_analytics", HEAVY | {"typer", "rich"}),
        ("import testlytics.cli.main", HEAVY),
        ("import pytest_testlytics", HEAVY | {"typer", "rich", "testlytics"}),
    ],
)
def test_importing_is_light(code: str, heavy: set[str]) -> None:
    assert modules_after(code) & heavy == set()


@pytest.mark.parametrize("arguments", [["--help"], ["report", "--help"], ["--version"]])
def test_help_is_light(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['testlytics', *{arguments!r}]\n"
        "from testlytics.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert modules_after(code) & HEAVY == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", "a.jsonl", "--store", "h.duckdb"],
        ["report", "--flaky", "--broken", "--store", "h.duckdb"],
        ["report", "--slowest", "--fastest", "--store", "h.duckdb"],
        ["report", "--slowest", "--by", "owner", "--owner", "@x", "--store", "h.duckdb"],
        ["doctor", "--store", "h.duckdb"],
    ],
)
def test_the_usual_commands_load_nothing_that_they_do_not_need(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_file(tmp_path / "a.jsonl", [attempt(), attempt("b", "failed")])
    command("ingest", "a.jsonl", "--store", "h.duckdb", cwd=tmp_path)
    code = (
        f"import sys; sys.argv = ['testlytics', *{arguments!r}]\n"
        "from testlytics.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code"
    )
    assert modules_after(code) & (HEAVY - {"duckdb"} | {"rich"}) == set()


def test_no_pyarrow_pandas_or_numpy_is_needed() -> None:
    code = (
        "import sys\n"
        "for name in ('pyarrow', 'pandas', 'numpy'):\n    sys.modules[name] = None\n"
        "import duckdb, polars as pl\n"
        "frame = pl.DataFrame(duckdb.connect().sql('select 1 as x'))\n"
        "assert frame.item() == 1"
    )
    modules_after(code)


@pytest.mark.parametrize(
    "arguments",
    [["runs"], ["tests"], ["failures"], ["prune", "--keep-runs", "9"], ["sql", "from runs"]],
)
def test_lists_load_no_frames(tmp_path: Path, arguments: list[str]) -> None:
    store = tmp_path / "h.duckdb"
    api.ingest(map(str, history(tmp_path, {"a.py::test_x": "PF"})), store)
    code = (
        f"import sys; sys.argv = ['testlytics', *{arguments!r}, '--store', {str(store)!r}]\n"
        "from testlytics.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code"
    )
    assert modules_after(code) & {"polars", "pyarrow", "numpy", "pandas", "rich"} == set()
