"""The scripts for baselines, reports and profiles: what they say, write and answer."""

from __future__ import annotations

import csv
import io
import json
import pstats
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import command
from tests.factories import history
from tests.html_pages import read

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>alert(1)</script>|\x1b[31m\u202e=.py::t"
CALM, MOODY, GONE = "a.py::calm", "a.py::moody", "a.py::gone"


def script(name: str, *arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def project(folder: Path, tests: dict[str, str], slow: float = 0.1) -> Path:
    runs = {CALM: [slow] * 10}
    (folder / "pyproject.toml").touch()
    history(folder, tests, runs)
    assert command("ingest", ".", cwd=folder).code == 0
    return folder


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tests = {CALM: "P" * 10, MOODY: "PFPLPFPLPP", GONE: "P" * 10, HOSTILE: "PFPLPFPLPP"}
    return project(tmp_path_factory.mktemp("before"), tests)


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tests = {CALM: "P" * 10, MOODY: "P" * 10, "a.py::new": "P" * 10, HOSTILE: "PPPF" + "F" * 6}
    return project(tmp_path_factory.mktemp("after"), tests, slow=0.2)


@pytest.mark.parametrize(
    "name", ["test_baseline_manager", "test_report_generator", "profile_command"]
)
def test_each_says_how_it_is_used_and_refuses_what_it_does_not_know(name: str) -> None:
    told = script(name, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("usage: ")
    assert script(name, "--no-such-option").returncode == 2


def test_no_script_is_collected_as_a_test() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "scripts"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stdout


def test_a_frozen_baseline_stays_until_it_is_reset(
    before: Path, after: Path, tmp_path: Path
) -> None:
    file = ("--file", tmp_path / "b.json")
    ours = (*file, "--store", before / ".testlytics" / "history.duckdb")
    theirs = (*file, "--store", after / ".testlytics" / "history.duckdb")
    manager = "test_baseline_manager"
    assert script(manager, "show", *file).returncode == 2
    assert script(manager, "freeze", *ours).returncode == 0
    kept = (tmp_path / "b.json").read_bytes()
    again = script(manager, "freeze", *theirs)
    assert (again.returncode, (tmp_path / "b.json").read_bytes()) == (2, kept)
    shown = script(manager, "show", *file).stdout
    assert shown.startswith("4 tests, ")
    assert "of 10 runs; 2 were flaky or broken then" in shown

    assert script(manager, "compare", *ours).returncode == 0
    told = script(manager, "compare", *theirs)
    assert told.returncode == 1
    worse = [line[7:] for line in told.stdout.splitlines() if line.startswith("worse")]
    # Planted: twice as slow from 0.1 s, and a flaky test that is broken for good.
    assert worse[1] == f"100 ms -> 200 ms (+100%): {CALM} (os=linux)"
    assert worse[0].startswith("flaky -> broken: <script>")
    assert f"flaky -> mended: {MOODY}" in told.stdout
    assert f"gone: {GONE}" in told.stdout
    assert "new: a.py::new" in told.stdout
    assert not {"\x1b", "\u202e"} & set(told.stdout)
    other = script(manager, "compare", *theirs, "--ratio", "2.5").stdout
    assert "100 ms -> 200 ms" not in other

    assert script(manager, "freeze", *theirs, "--replace").returncode == 0
    assert script(manager, "compare", *theirs).returncode == 0
    assert script(manager, "reset", *file).returncode == 0
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2, "tests": []}', '{"tests": [{}]}'])
def test_what_is_no_baseline_is_neither_read_nor_removed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(text, encoding="utf-8")
    for step in ("show", "reset"):
        done = script("test_baseline_manager", step, "--file", path)
        assert done.returncode == 2
        assert str(path) in done.stderr
    assert path.read_text(encoding="utf-8") == text


def test_a_baseline_of_nothing_is_told_so(tmp_path: Path) -> None:
    done = script("test_baseline_manager", "freeze", "--store", tmp_path / "none.duckdb", "--file",
                  tmp_path / "b.json")  # fmt: skip
    assert (done.returncode, (tmp_path / "b.json").exists()) == (5, False)


PARTS = {"slowest", "fastest", "flaky", "broken", "regressions", "coverage", "trends", "alerts"}


def test_a_report_says_what_the_command_says(before: Path) -> None:
    told = json.loads(script("test_report_generator", "--format", "json", cwd=before).stdout)
    assert set(told) >= {"schema", "summary", "impact", "advice", *PARTS}
    asked = command("report", "--flaky", "--slowest", "--format", "json", cwd=before).json
    assert told["flaky"] == asked["flaky"]
    assert told["slowest"] == asked["slowest"]
    assert {row["test_id"] for row in told["alerts"] if row["kind"] == "flaky"} == {MOODY, HOSTILE}
    assert not list(before.rglob("alerts.json")), "a report tells nobody, so nothing is told"


def test_a_report_as_a_page_runs_nothing(before: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    done = script("test_report_generator", "--format", "html", "--output", path, cwd=before)
    assert done.returncode == 0, done.stderr
    text = path.read_text(encoding="utf-8")
    page = read(text)
    assert {cell.text for cell in page.all("td")} >= {CALM, MOODY}
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert not {"\x1b", "\u202e"} & set(text)
    # Two flaky tests, and that much is tried again.
    for heading in ("Flaky tests (2)", "Slowest tests", "Worth doing", "Alerts (3)", "Coverage"):
        assert f"<h2>{heading}" in text


def test_a_report_as_tables(before: Path, tmp_path: Path) -> None:
    done = script(
        "test_report_generator", "--format", "csv", "--output", tmp_path / "t", cwd=before
    )
    assert done.returncode == 0, done.stderr
    names = {path.stem for path in (tmp_path / "t").iterdir()}
    assert names >= {"summary", "impact", *PARTS}
    flaky = list(csv.DictReader(io.StringIO((tmp_path / "t" / "flaky.csv").read_text())))
    assert {row["test_id"] for row in flaky} == {MOODY, HOSTILE}
    alone = script("test_report_generator", "--format", "csv", "--part", "flaky", cwd=before)
    assert list(csv.DictReader(io.StringIO(alone.stdout))) == flaky
    several = script("test_report_generator", "--format", "csv", cwd=before)
    assert (several.returncode, several.stdout) == (2, "")


def test_a_report_in_markdown_keeps_its_cells(before: Path, tmp_path: Path) -> None:
    told = script("test_report_generator", "--part", "flaky", cwd=before).stdout
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert {line.count("|") for line in rows} == {6}
    assert script("test_report_generator", cwd=tmp_path).returncode == 5


def test_a_profile_without_py_spy(before: Path, tmp_path: Path) -> None:
    done = script("profile_command", "--no-py-spy", "--output", tmp_path, "--", "report", "--flaky",
                  cwd=before)  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = pstats.Stats(str(tmp_path / "calls.pstats")).get_stats_profile().func_profiles
    assert seen["flaky_section"].ncalls == "1"
    assert len((tmp_path / "calls.txt").read_text().splitlines()) > 80
    head = (tmp_path / "memory.txt").read_text().splitlines()
    python_mb, process_mb = (float(line.split()[0]) for line in head[:2])
    assert 1 < python_mb < process_mb
    table = (tmp_path / "imports.txt").read_text()
    assert "duckdb and below" in table
    assert "testlytics.report.sections" in table or "testlytics_collector" in table


# A shell's: Python may lie in a folder with a blank, which no first line can name.
FAKE = """#!/bin/sh
while [ "$1" != --output ]; do shift; done
[ {works} = True ] && echo "<svg></svg>" > "$2"
"""


@pytest.mark.parametrize(("works", "file"), [(True, "flame.svg"), (False, "calls.txt")])
def test_py_spy_is_used_where_it_may_trace(
    before: Path, tmp_path: Path, works: bool, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scripts import profile_command

    program = tmp_path / "py-spy"
    program.write_text(FAKE.format(works=works), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(profile_command, "py_spy", lambda: str(program))
    store = str(before / ".testlytics" / "history.duckdb")
    command_ = ["--output", str(tmp_path / "p"), "--only", "time", "--", "runs", "--store", store]
    assert profile_command.main(command_) == 0
    assert (tmp_path / "p" / file).exists()


def test_a_command_that_fails_has_no_profile(tmp_path: Path) -> None:
    done = script("profile_command", "--no-py-spy", "--output", tmp_path, "--", "no-such-command")
    assert done.returncode == 3
    assert "ended with 2" in done.stderr
