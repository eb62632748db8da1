"""The benchmark of the plugin works; what it measures is nobody's business here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench_plugin import OURS, PEER, in_hooks, name_of

SCRIPT = Path(__file__).parents[3] / "scripts" / "bench_plugin.py"


def bench(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="what a process used is asked of POSIX")
def test_every_recorder_is_a_row() -> None:
    output = bench("--tests", "20", "--rounds", "1", "--workers", "0", "--memory", "1100")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in output.splitlines()
        if line.startswith((f"| {OURS} |", f"| {PEER} |"))
    ]
    assert [row[0] for row in rows] == [OURS, PEER]
    assert all(float(row[1]) > 0 for row in rows)
    assert "tests wrote 1,100 attempts" in output


def test_help_names_the_options() -> None:
    assert "--update" in bench("--help")


def test_what_a_plugin_that_does_nothing_costs_is_subtracted() -> None:
    probe: dict[str, dict[str, float]] = {
        "nothing:pytest_runtest_logstart": {"calls": 2, "median": 100, "sum": 200},
        "nothing:pytest_runtest_logreport:call": {"calls": 2, "median": 200, "sum": 400},
        "target:pytest_runtest_logreport:call": {"calls": 2, "median": 5_200, "sum": 10_400},
        "target:pytest_runtest_protocol:before": {"calls": 2, "median": 1_150, "sum": 2_300},
        "target:pytest_sessionfinish": {"calls": 1, "median": 3e6, "sum": 3e6},
    }
    assert in_hooks(probe, tests=2) == (6.0, 3.0)


def test_ids_are_as_long_as_the_limit_on_bytes_speaks_of() -> None:
    assert {len(name_of(number)) for number in (0, 4_999, 999_999)} == {60}
