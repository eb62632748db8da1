"""`testlytics report --trends`, for people and programs."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from testlytics.report.curves import BLOCKS
from tests.command import command
from tests.factories import attempt, run_file

NEW = "tests/ui/new.py::heavy"
HOSTILE = "evil/\x1b[31m\u202e|=x.py::t"
PARTS = ["added", "removed", "slower", "faster", "rest", "machine"]
LINUX, MAC = '"linux"', '"mac"'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty runs: a new slow test, a removed one, a slower one, more and more retries."""
    folder = tmp_path_factory.mktemp("trends")
    (folder / "pyproject.toml").touch()
    (folder / "CODEOWNERS").write_text("/tests/db/ @org/db\n/tests/ui/ @org/ui\n")
    dice = Random(2)
    names = [f"tests/{place}/a.py::t{n}" for place in ("db", "ui") for n in range(8)]
    for number in range(40):
        machine = dice.lognormvariate(0, 0.1)
        rows: list[dict[str, object]] = []
        for name in [*names, HOSTILE]:
            if name.endswith("db/a.py::t7") and number >= 20:
                continue
            took = machine * dice.lognormvariate(0, 0.02) * 200_000
            took *= 2 if name == names[0] and number >= 22 else 1
            if number >= 30 and name in {names[1], names[number % 8 + 8]}:
                rows.append(attempt(name, "failed", call_us=int(took)))
                rows.append(attempt(name, attempt=2, call_us=int(took)))
            else:
                rows.append(attempt(name, call_us=int(took)))
        if number >= 15:
            rows.append(attempt(NEW, call_us=int(2_000_000 * machine)))
        run_file(folder / f"{number:02}.jsonl", rows, number)
    assert command("ingest", ".", cwd=folder).code == 0
    return folder


def told(project: Path, *options: str) -> dict[str, Any]:
    return command("report", "--trends", *options, "--format", "json", cwd=project).json


def test_the_parts_add_up(project: Path) -> None:
    rows = told(project)["trends"]
    assert [row["part"] for row in rows] == [*PARTS, "all"]
    by_part = {row["part"]: row for row in rows}
    for key in ("before_s", "after_s", "change_s"):
        assert sum(by_part[part][key] for part in PARTS) == pytest.approx(by_part["all"][key])
    assert [by_part[part]["tests"] for part in PARTS] == [1, 1, 1, 0, 15, None]
    assert by_part["added"]["change_s"] == pytest.approx(2, rel=0.1)
    assert by_part["removed"]["change_s"] == pytest.approx(-0.2, rel=0.1)
    assert by_part["slower"]["change_s"] == pytest.approx(0.2, rel=0.2)
    assert abs(by_part["rest"]["change_s"]) < 0.1


@pytest.mark.parametrize("by", ["family", "file", "folder", "owner", "test"])
def test_groups_add_up_to_the_suite(project: Path, by: str) -> None:
    document = told(project, "--by", by)
    assert set(document) - {"schema", "summary"} == {f"trends_by_{by}"}
    sums: dict[str, float] = defaultdict(float)
    for row in document[f"trends_by_{by}"]:
        for part in PARTS:
            sums[part] += row[f"{part}_s"]
        change = sum(row[f"{part}_s"] for part in PARTS)
        assert row["after_s"] - row["before_s"] == pytest.approx(change)
        assert row["steady_change_s"] == pytest.approx(change - row["machine_s"])
    for row in told(project)["trends"][:-1]:
        assert sums[row["part"]] == pytest.approx(row["change_s"])


def test_folders_and_owners_are_told_without_asking(project: Path) -> None:
    document = told(project)
    assert document["trends_by_folder"][0]["folder"] == "tests/ui"
    assert {row["owner"] for row in document["trends_by_owner"]} == {"@org/db", "@org/ui", None}


def test_new_slow_tests(project: Path) -> None:
    [row] = told(project)["new_slow"]
    assert (row["test_id"], row["rank"], row["since_run"]) == (NEW, 1, "run-15")
    assert row["since_commit"] == f"{15:040x}"
    assert row["typical_s"] == pytest.approx(2, rel=0.1)
    # It was known before the newest 20 runs.
    assert told(project, "--last", "20")["new_slow"] == []


def test_runs(project: Path) -> None:
    rows = told(project)["trends_by_run"]
    assert [row["run_id"] for row in rows] == [f"run-{n}" for n in reversed(range(40))]
    assert [rows[at]["tests"] for at in (0, 39)] == [17, 17]
    assert (rows[0]["retried"], rows[0]["tests_run"]) == (2, 17)
    assert rows[39]["retry_rate"] == 0
    factors = [row["run_factor"] for row in rows]
    assert max(factors) > 1.2 * min(factors)
    steady = [row["steady_s"] for row in rows[:20]]
    assert max(steady) < 1.1 * min(steady)
    assert told(project, "--by", "run")["trends_by_run"] == rows


def test_of_one_owner(project: Path) -> None:
    rows = {row["part"]: row for row in told(project, "--owner", "@org/db")["trends"]}
    assert [rows[part]["tests"] for part in PARTS] == [0, 1, 1, 0, 6, None]
    by_owner = {row["owner"]: row for row in told(project)["trends_by_owner"]}
    for part in PARTS:
        assert rows[part]["change_s"] == pytest.approx(by_owner["@org/db"][f"{part}_s"])
    runs = told(project, "--owner", "@org/db")["trends_by_run"]
    assert {row["retry_rate"] for row in runs} == {None}
    assert [runs[at]["tests"] for at in (0, 39)] == [7, 8]


@pytest.mark.parametrize("by", [None, "family", "file", "folder", "owner", "test", "run"])
def test_for_people(project: Path, by: str | None) -> None:
    options = ["report", "--trends", *(["--by", by] if by else [])]
    table = command(*options, cwd=project).out
    assert max(map(len, table.splitlines())) <= 80
    assert "\x1b" not in table
    assert "\u202e" not in table
    markdown = command(*options, "--format", "markdown", cwd=project).out
    assert "\x1b" not in markdown
    assert "|=x" not in markdown


def test_the_terminal(project: Path) -> None:
    table = command("report", "--trends", cwd=project, env={"PYTHONIOENCODING": "utf-8"}).out
    assert "tests that got slower" in table
    assert "New slow tests (1)" in table
    assert "First and last 10 runs of 40." in table
    assert "Tried again: 11.8 % of tests in the last 10 runs, 0.0 % in the first." in table
    assert any(sign in table for sign in BLOCKS)
    assert "Trends by run" not in table
    plain = command("report", "--trends", cwd=project, env={"PYTHONIOENCODING": "ascii"}).out
    assert plain.isascii()
    assert "\\u" not in plain.partition("Trends by folder")[0]


def test_csv(project: Path) -> None:
    for options, key in (([], "part"), (["--by", "run"], "run_id"), (["--by", "file"], "file")):
        out = command("report", "--trends", *options, "--format", "csv", cwd=project).out
        assert key in next(csv.reader(io.StringIO(out)))


def test_variants_stay_apart(tmp_path: Path) -> None:
    for number in range(4):
        path = run_file(tmp_path / f"{number}.jsonl", [attempt("a.py::t")], number)
        path.write_text(path.read_text().replace(LINUX, MAC if number % 2 else LINUX))
    command("ingest", ".", cwd=tmp_path)
    document = told(tmp_path)
    assert "trends_by_owner" not in document  # nobody says who owns what
    rows = document["trends"]
    assert [row["variant"] for row in rows] == ["os=linux"] * 7 + ["os=mac"] * 7
    assert (
        "default os=mac: First and last 1 run of 2."
        in command("report", "--trends", cwd=tmp_path).out
    )


@pytest.mark.parametrize("runs", [1, 2])
def test_few_runs(tmp_path: Path, runs: int) -> None:
    for number in range(runs):
        run_file(tmp_path / f"{number}.jsonl", [attempt("a.py::t")], number)
    command("ingest", ".", cwd=tmp_path)
    table = command("report", "--trends", cwd=tmp_path).out
    if runs == 1:
        assert told(tmp_path)["trends"] == []
        assert "A trend takes two runs with tests that passed." in table
    else:
        assert "Slower and faster tests can be told from noise after 10 runs." in table


@pytest.mark.parametrize("options", [["--by", "phase"], ["--slowest", "--by", "run"]])
def test_what_does_not_go_together(project: Path, options: list[str]) -> None:
    done = command("report", "--trends", *options, cwd=project)
    assert (done.code, done.out) == (2, "")
