"""The demo, run for real, and the example project that it runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from scripts.demo import MARKER, Plan, Planted, UsageError, claim, commits, environment, read_plan

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = {
    "BOOKSHOP_SEED": "not a number",
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_RUN_ID": "1",
    "GITHUB_SHA": "0" * 40,
    "PATH": "/nowhere",
    "PYTEST_ADDOPTS": "--no-such-option",
    "PYTHONPATH": "/nowhere",
    "TESTLYTICS_STORE": "/nowhere/store.duckdb",
    "TESTLYTICS_PROJECT": "another",
}
# The customers of this seed come one after the other, those of the next pair of them together.
FRIENDLY_SEED, UNFRIENDLY_SEED = "165", "170"


def planted(plan: Plan, verdict: str) -> Planted:
    (found,) = (each for each in plan.planted if each.verdict == verdict)
    return found


def report(store: Path, section: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "testlytics", "report", f"--{section}", "--format", "json"]
    result = subprocess.run(
        [*command, "--store", str(store)],
        cwd=store.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    rows: list[dict[str, Any]] = json.loads(result.stdout)[section]
    return rows


@pytest.mark.timeout(400)
def test_the_demo_names_the_planted_tests_and_no_others(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    # One test with parts, so that parallel workers do not run the demo once each.
    work = tmp_path / "a demo's work"
    home = tmp_path / "no home"
    demo = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), "--work", str(work)],
        cwd=tmp_path,
        env=os.environ | HOSTILE | {"HOME": str(home), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert demo.returncode == 0, demo.stderr + demo.stdout
    plan = read_plan()
    store = work / "history.duckdb"

    with subtests.test("flaky"):
        (row,) = report(store, "flaky")
        assert row["test_id"] == planted(plan, "flaky").test
        assert row["disagreements"] >= 2
        assert row["flaky"] >= 3
    with subtests.test("broken"):
        (row,) = report(store, "broken")
        assert row["test_id"] == planted(plan, "broken").test
        assert row["failing_streak"] == 6
    with subtests.test("slower"):
        (row,) = report(store, "regressions")
        assert row["test_id"] == planted(plan, "slower").test
        assert row["ratio"] > 3
    with subtests.test("a line for each run"):
        lines = re.findall(r"(?m)^run +(\d+)/25  commit [0-9a-f]{8}  \d+ tests", demo.stderr)
        assert [int(number) for number in lines] == list(range(1, 26))
    with subtests.test("what it shows"):
        for command in ("ingest", "report", "report --flaky", "report --regressions"):
            assert re.search(rf"(?m)^\$ testlytics {command} .*--store", demo.stdout)
        compared, following = demo.stdout.partition("What was planted")[2].split("Next, try:")
        assert all(each.test in compared for each in plan.planted)
        assert len(re.findall(r"(?m)^  [^ #]", following)) == 3
    with subtests.test("the README shows what is printed"):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        session = readme.partition("```console\n")[2].partition("```")[0]
        shown = [line for line in session.splitlines() if line and not line.startswith("$")]
        assert len(shown) == 8
        assert set(shown) <= set(demo.stdout.splitlines())
    with subtests.test("leaves nothing at home"):
        assert not home.exists()


def test_the_history_is_the_same_every_time(tmp_path: Path) -> None:
    plan = read_plan()
    first = list(commits(plan, tmp_path / "first"))
    assert first == list(commits(plan, tmp_path / "second one"))
    assert len(set(first)) == len(plan.patches) == 18
    assert plan.runs == 25


@pytest.mark.parametrize(
    ("commit", "seed", "expected"),
    [
        (1, FRIENDLY_SEED, set()),
        (1, UNFRIENDLY_SEED, {"flaky"}),
        (14, FRIENDLY_SEED, set()),
        (15, FRIENDLY_SEED, {"broken"}),
        (18, UNFRIENDLY_SEED, {"broken", "flaky"}),
    ],
)
def test_the_example_fails_where_it_was_made_to(
    tmp_path: Path, commit: int, seed: str, expected: set[str]
) -> None:
    plan = read_plan()
    project = tmp_path / "the project"
    list(islice(commits(plan, project), commit))
    result = run_example(project, seed)
    failed = re.findall(r"(?m)^FAILED (\S+)", result)
    assert sorted(failed) == sorted(planted(plan, verdict).test for verdict in expected)
    assert re.search(r"\b1 skipped, 1 xfailed, 5 subtests passed", result)


def test_the_slower_test_is_slower(tmp_path: Path) -> None:
    plan = read_plan()
    slower = planted(plan, "slower")
    project = tmp_path / "project"
    taken = {
        number: slowest(run_example(project, FRIENDLY_SEED, slower.test))
        for number, _ in enumerate(commits(plan, project), start=1)
        if number in {slower.since - 1, slower.since}
    }
    assert taken[slower.since - 1] >= 0.05
    assert taken[slower.since] >= 3 * taken[slower.since - 1]


def slowest(output: str) -> float:
    (seconds,) = re.findall(r"(?m)^([\d.]+)s call", output)
    return float(seconds)


def run_example(project: Path, seed: str, *tests: str) -> str:
    options = ["--disable-plugin-autoload", "-p", "no:cacheprovider", "--durations=1", "-q"]
    result = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *options, *tests],
        cwd=project,
        env=environment(BOOKSHOP_SEED=seed, NO_COLOR="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode in {0, 1}, result.stdout + result.stderr
    return result.stdout


class TestClaim:
    def test_a_new_folder_is_made(self, tmp_path: Path) -> None:
        claim(tmp_path / "a" / "b")
        assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [MARKER]

    def test_an_earlier_demo_is_replaced(self, tmp_path: Path) -> None:
        claim(tmp_path)
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "1.jsonl").write_text("{}")
        (tmp_path / "link").symlink_to(ROOT)
        claim(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [MARKER]
        assert (ROOT / "scripts").is_dir()

    def test_somebody_elses_folder_stays_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("all of it")
        with pytest.raises(UsageError, match="not a demo's"):
            claim(tmp_path)
        assert (tmp_path / "thesis.txt").read_text() == "all of it"

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match="is not a folder"):
            claim(tmp_path / "file")


def test_a_wrong_folder_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    result = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), "--work", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert str(tmp_path) in result.stderr
