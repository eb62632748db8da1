"""`testlytics report --slowest --by`, for people and programs."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.command import command
from tests.factories import attempt, run_file

HOSTILE = "evil/\x1b[31m\u202e|=x.py::t"
SPEEDS = {"project", "variant", "samples", "median_s", "p95_s", "total_s"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("costs")
    (folder / "pyproject.toml").touch()
    (folder / "CODEOWNERS").write_text("/tests/db/ @org/db @bob\n/tests/ui/ @org/ui\n")
    for number in range(8):
        rows = [
            attempt("tests/db/a.py::x[1]", setup_us=60_000, call_us=30_000, teardown_us=10_000),
            attempt("tests/db/a.py::x[2]", setup_us=60_000, call_us=30_000, teardown_us=10_000),
            attempt("tests/ui/b.py::y", setup_us=0, call_us=900_000, teardown_us=0),
            attempt(
                "tests/ui/b.py::z", markers={"owner": "@tagged"}, setup_us=None, teardown_us=None
            ),
            attempt("tests/ui/b.py::bad", "failed" if number % 3 else "passed"),
            attempt(HOSTILE),
        ]
        run_file(folder / f"{number}.jsonl", rows, number)
    assert command("ingest", ".", cwd=folder).code == 0
    return folder


def rows(project: Path, *options: str) -> list[dict[str, object]]:
    told = command("report", "--slowest", *options, "--format", "json", cwd=project).json
    found: list[dict[str, object]] = told["slowest"]
    return found


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("family", {"family", "tests", "share", "setup_share"}),
        ("file", {"file", "tests", "share", "setup_share"}),
        ("folder", {"folder", "tests", "share", "setup_share"}),
        ("owner", {"owner", "tests", "share", "setup_share"}),
        ("phase", {"phase", "share"}),
    ],
)
def test_every_grouping_adds_up(project: Path, by: str, keys: set[str]) -> None:
    whole = sum(float(str(row["total_s"])) for row in rows(project))
    told = rows(project, "--by", by, "--sort", "total")
    assert set(told[0]) == SPEEDS | keys
    totals = [float(str(row["total_s"])) for row in told]
    assert sum(totals) == pytest.approx(whole)
    assert totals == sorted(totals, reverse=True)
    assert sum(float(str(row["share"])) for row in told) == pytest.approx(1)


def test_the_share_of_set_up(project: Path) -> None:
    told = {row["test_id"]: row for row in rows(project, "--by", "test")}
    assert told["tests/db/a.py::x[1]"]["setup_share"] == pytest.approx(0.6)
    assert told["tests/ui/b.py::y"]["setup_share"] == 0
    assert told["tests/ui/b.py::z"]["setup_share"] is None
    plain = {row["test_id"]: row for row in rows(project)}
    for test, row in told.items():
        assert {**plain[test], "setup_share": row["setup_share"]} == row
    [family] = [r for r in rows(project, "--by", "family") if r["family"] == "tests/db/a.py::x"]
    assert (family["tests"], family["samples"], family["median_s"]) == (2, 8, 0.2)
    assert family["setup_share"] == pytest.approx(0.6)


def test_owners_come_from_tags_and_files(project: Path) -> None:
    told = {row["owner"]: row["tests"] for row in rows(project, "--by", "owner")}
    assert told == {"@org/db @bob": 2, "@org/ui": 2, "@tagged": 1, None: 1}
    table = command("report", "--slowest", "--by", "owner", cwd=project).out
    assert "(no owner)" in table
    assert "Slowest owners a run, by median (4)" in table


def test_lists_of_one_owner(project: Path) -> None:
    assert {row["test_id"] for row in rows(project, "--owner", "ORG/ui")} == {
        "tests/ui/b.py::y",
        "tests/ui/b.py::bad",
    }
    assert [row["test_id"] for row in rows(project, "--owner", "@tagged", "--limit", "1")] == [
        "tests/ui/b.py::z"
    ]
    assert rows(project, "--owner", "nobody") == []
    lists = ("report", "--flaky", "--broken", "--format", "json")
    every = command(*lists, cwd=project).json
    others = command(*lists, "--owner", "bob", cwd=project).json
    mine = command(*lists, "--owner", "@org/ui", cwd=project).json
    found = every["flaky"] + every["broken"]
    assert [row["test_id"] for row in found] == ["tests/ui/b.py::bad"]
    assert mine["flaky"] + mine["broken"] == found
    assert others["flaky"] + others["broken"] == []
    assert others["summary"] == every["summary"]
    told = command("report", "--broken", "--owner", "bob", cwd=project).out
    assert "tests/ui" not in told


@pytest.mark.parametrize("by", ["test", "family", "file", "folder", "owner", "phase"])
def test_for_people(project: Path, by: str) -> None:
    table = command("report", "--slowest", "--fastest", "--by", by, cwd=project).out
    assert max(map(len, table.splitlines())) <= 80
    assert "\x1b" not in table
    assert "\u202e" not in table
    markdown = command("report", "--slowest", "--by", by, "--format", "markdown", cwd=project).out
    assert "\x1b" not in markdown
    assert "31m" not in markdown or "&#124;=x.py" in markdown


def test_csv(project: Path) -> None:
    out = command("report", "--slowest", "--by", "phase", "--format", "csv", cwd=project).out
    told = list(csv.DictReader(io.StringIO(out)))
    assert {row["phase"] for row in told} == {"setup", "call", "teardown", ""}


@pytest.mark.parametrize(
    "options", [["--by", "file"], ["--flaky", "--by", "file"], ["--owner", "@bob"]]
)
def test_an_option_that_changes_nothing_is_refused(project: Path, options: list[str]) -> None:
    done = command("report", *options, cwd=project)
    assert (done.code, done.out) == (2, "")
    assert "report-lists" in done.err or "without a list" in done.err
