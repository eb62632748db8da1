"""The script that meets faults drawn by a seed: its plan, its books, and some faults in earnest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.chaos_test_runner import FAULTS, broken, plan
from tests.chaos.script import ROOT

pytestmark = pytest.mark.chaos


def runner(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/chaos_test_runner.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_a_plan_is_that_of_its_seed_and_holds_every_fault() -> None:
    assert [plan(7, number) for number in range(1, 50)] == [plan(7, n) for n in range(1, 50)]
    assert plan(7, 1) != plan(8, 1)
    assert {plan(7, number).fault for number in range(1, 200)} == set(FAULTS)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"a": 3, "b": 3}, []),
        ({"a": 3, "b": 3, "c": 3}, []),  # stored by one that died before it could say so
        ({"a": 3}, ["b was acknowledged and is lost"]),
        ({"a": 3, "b": 2}, ["b is there in part: 2 of 3 attempts"]),
        ({"a": 6, "b": 3}, ["a is there more than once: 6 of 3 attempts"]),
        ({"a": 3, "b": 3, "c": 1}, ["c is there in part: 1 of 3 attempts"]),
    ],
)
def test_what_is_broken_is_said(found: dict[str, int], words: list[str]) -> None:
    assert broken({"a", "b"}, found, rows=3) == words


def test_the_promises_hold_under_some_faults(tmp_path: Path) -> None:
    """Promise: lose nothing. Seeded faults one after the other, each followed by a look."""
    done = runner("--seed", 24, "--faults", 8, "--seconds", 80, "--json", tmp_path / "told.json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert (told["verdict"], told["violated"], told["seed"]) == ("survived", [], 24)
    assert told["acknowledged"] > 0
    assert "replay with --seed 24" in done.stdout


def test_help_says_how_to_replay() -> None:
    done = runner("--help")
    assert done.returncode == 0
    assert "--seed" in done.stdout
