"""A month of pull requests on a simulated project: what each person sees on each day.

The suite has thirty tests. A flaky, a slow and a broken one come in and are mended. Each day's
results come in through the command, and each question is asked as a person or a CI would ask it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.command import Done, command
from tests.factories import HOUR_US, START_US, attempt, end, lines

STEADY = [f"shop/test_cart.py::test_{number}" for number in range(28)]
FLAKY = "shop/test_mail.py::test_is_sent"
SEARCH = "shop/test_search.py::test_finds"
DAY_US = 24 * HOUR_US
NOTHING: Mapping[str, str] = {}


@dataclass
class Project:
    """A project whose CI stores every run, and judges those of pull requests."""

    folder: Path
    number: int = 0
    slow: bool = False
    has_flaky: bool = False
    commits: list[str] = field(default_factory=list)

    def run(self, letters: Mapping[str, str] = NOTHING, *, pull_request: int = 0) -> str:
        """Store a run; give its id.

        Args:
            letters: What became of tests: F failed, L failed and then passed; all others passed.
            pull_request: Its number, 0 for a run of main.
        """
        self.number += 1
        run_id, rows = f"run-{self.number}", []
        tests = [*STEADY, SEARCH, *([FLAKY] if self.has_flaky else [])]
        tests += [test for test in letters if test not in tests]
        for place, test in enumerate(tests):
            us = 80_000 + 1_000 * ((self.number * 7 + place * 13) % 9)
            us *= 4 if test == SEARCH and self.slow else 1
            letter = letters.get(test, "P")
            why = {"type": "AssertionError", "message": f"{test.rpartition('::')[2]} is wrong"}
            if letter in "FL":
                rows.append(attempt(test, "failed", call_us=us, failure=why))
            if letter in "PL":
                rows.append(attempt(test, attempt=1 + (letter == "L"), call_us=us))
        sources: dict[str, Any] = {"commit": f"{self.number:040x}", "dirty": False}
        sources |= {"branch": f"change-{pull_request}" if pull_request else "main"}
        sources |= {"pull_request": str(pull_request)} if pull_request else {}
        head = {
            "type": "run",
            "schema_version": "1.0",
            "upload_id": f"{self.number:032x}",
            "run_id": run_id,
            "started_us": START_US + self.number * DAY_US // 2,
            "sources": sources,
            "variant": {"os": "linux"},
        }
        path = self.folder / f"{run_id}.jsonl"
        path.write_bytes(lines(head, *rows, end(len(rows))))
        return run_id

    def store(self) -> None:
        """Take in what runs have left, as a job's last step does."""
        assert command("ingest", ".", cwd=self.folder).code == 0
        for path in self.folder.glob("*.jsonl"):
            path.unlink()

    def gate(self, letters: Mapping[str, str] = NOTHING, *, pull_request: int) -> Done:
        """Run the job of a pull request, and give what its author sees."""
        run_id = self.run(letters, pull_request=pull_request)
        self.store()
        return command("gate", "--run", run_id, "--format", "json", cwd=self.folder)

    def listed(self, name: str) -> list[dict[str, Any]]:
        """Give a list of the report, as whoever looks after the tests sees it in the morning."""
        told = command(
            "report", f"--{name}", "--branch", "main", "--format", "json", cwd=self.folder
        )
        assert told.code == 0, told.err
        found: list[dict[str, Any]] = told.json[name]
        return found


def blocking(done: Done) -> dict[str, str]:
    """Give what blocks: kinds of findings by test."""
    found = json.loads(done.out)["findings"]
    return {one["test_id"]: one["kind"] for one in found if one["level"] == "block"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "pyproject.toml").write_text("")
    return Project(tmp_path)


@pytest.mark.timeout(400)
def test_a_month_of_pull_requests(project: Project) -> None:
    # Week 1: main is green, and the gate learns.
    for _ in range(20):
        project.run()
    project.store()
    assert project.listed("flaky") == project.listed("broken") == []

    # Day 8: an author breaks the cart, is told, mends it, and is let through.
    red = project.gate({STEADY[3]: "F"}, pull_request=1)
    assert (red.code, blocking(red)) == (1, {STEADY[3]: "new-failure"})
    green = project.gate(pull_request=1)
    assert (green.code, blocking(green)) == (0, {})

    # Days 9 to 14: a flaky test is merged, and fails now and then on main.
    project.has_flaky = True
    for letter in "PLPPLPPFPPLP":
        project.run({FLAKY: letter})
    project.store()
    assert [row["test_id"] for row in project.listed("flaky")] == [FLAKY]
    assert project.listed("broken") == []

    # Day 15: it fails in a change that has nothing to do with it, and its author is left in peace.
    innocent = project.gate({FLAKY: "F"}, pull_request=2)
    assert (innocent.code, blocking(innocent)) == (0, {})
    # The next author breaks something behind it: only that blocks.
    both = project.gate({FLAKY: "F", STEADY[5]: "F"}, pull_request=3)
    assert (both.code, blocking(both)) == (1, {STEADY[5]: "new-failure"})

    # Days 16 to 20: the search gets four times as slow on main.
    project.slow = True
    first_slow = f"{project.number + 1:040x}"
    for _ in range(10):
        project.run()
    project.store()
    [slower] = project.listed("regressions")
    assert slower["test_id"] == SEARCH
    assert 3.5 < slower["ratio"] < 4.5
    assert first_slow[:10] in json.dumps(slower)

    # Days 21 to 24: it is made quick again, but the cart is broken on main and stays so.
    project.slow = False
    for _ in range(6):
        project.run({STEADY[7]: "F"})
    project.store()
    assert [row["test_id"] for row in project.listed("broken")] == [STEADY[7]]
    # Who opens a pull request now is not blamed for it.
    later = project.gate({STEADY[7]: "F"}, pull_request=4)
    assert (later.code, blocking(later)) == (0, {})

    # Days 25 to 31: all is mended. Nothing is broken, and what was slow is no regression any more.
    for _ in range(16):
        project.run()
    project.store()
    assert project.listed("broken") == []
    assert [row["test_id"] for row in project.listed("regressions")] == []
    final = project.gate({STEADY[7]: "F"}, pull_request=5)
    assert (final.code, STEADY[7] in blocking(final)) == (1, True)
