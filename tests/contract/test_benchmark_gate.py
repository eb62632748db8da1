"""Benchmarks of this repository are judged by their own history, as a gate with an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from testlytics import api

ROOT = Path(__file__).parents[2]
HOT, OTHER = "tests/performance/test_hot.py::test_hot", "tests/performance/test_hot.py::test_other"


def measured(folder: Path, number: int, hot: float) -> str:
    """What pytest-benchmark writes about two benchmarks, with noise of a few percent."""
    noise = 1 + 0.01 * (number * 7 % 5 - 2)
    path = folder / f"{number}.json"
    stats = {HOT: hot * noise, OTHER: 0.5 / noise}
    document = {
        "benchmarks": [
            {"fullname": name, "stats": {"median": value, "min": value * 0.98}}
            for name, value in stats.items()
        ],
        "commit_info": {"id": f"{number:02x}" * 20, "dirty": False, "branch": "main"},
        "datetime": f"2026-11-{number + 1:02}T12:00:00+00:00",
        "version": "5.3.1",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def gate(folder: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.benchmark_gate", "--store", str(folder / "h.duckdb")]
        + [str(one) for one in more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history in which one benchmark takes half as long again since its nineteenth run."""
    folder = tmp_path_factory.mktemp("slower")
    paths = [measured(folder, number, 0.2 if number < 18 else 0.3) for number in range(26)]
    api.ingest(paths, folder / "h.duckdb")
    return folder


def test_what_got_worse_blocks_and_is_named_with_its_commit(slower: Path) -> None:
    done = gate(slower)
    assert done.returncode == 1, done.stdout + done.stderr
    first, *_, last = done.stdout.splitlines()
    # The newest is 0.3 s less 2 % of noise, the median before it 0.2 s; 0x12 is 18.
    assert first == f"benchmarks: {HOT}: time-median +47% for good, since commit 12121212"
    assert last == "benchmarks: 1 of 2 got worse"


@pytest.mark.parametrize(("days", "code"), [(20, 0), (-1, 1)])
def test_what_is_accepted_blocks_again_once_that_has_expired(
    slower: Path, tmp_path: Path, days: int, code: int
) -> None:
    today = datetime.now(UTC).date()
    allowances = tmp_path / "allowances.toml"
    allowances.write_text(
        f'schema = 1\n[[allowance]]\ntest = "{HOT}"\nkind = "slower"\n'
        f'link = "https://example.org/1"\nreason = "safer"\nsince = {today - timedelta(days=9)}\n'
        f"expires = {today + timedelta(days=days)}\n",
        encoding="utf-8",
    )
    done = gate(slower, "--allowances", allowances)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("allowed until" in done.stdout) == (code == 0)


def test_a_steady_history_and_a_short_one_pass(tmp_path: Path) -> None:
    assert gate(tmp_path).stdout == "benchmarks: no history yet, nothing is judged\n"
    paths = [measured(tmp_path, number, 0.2) for number in range(26)]
    api.ingest(paths[:2], tmp_path / "h.duckdb")
    done = gate(tmp_path)
    assert (done.returncode, "2 of 2 have too few values" in done.stdout) == (0, True)
    api.ingest(paths, tmp_path / "h.duckdb")
    done = gate(tmp_path)
    assert (done.returncode, done.stdout) == (0, "benchmarks: 0 of 2 got worse\n")
    (tmp_path / "h.duckdb").write_bytes(b"no store")
    assert gate(tmp_path).returncode == 3
