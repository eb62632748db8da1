"""Suites are recorded in the repository's own history; what comes of it costs no exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.recorded_suite import summary
from tests.command import command
from tests.factories import history

ROOT = Path(__file__).parents[2]
# Other plugins only cost seconds at each start.
PYTEST = ["-q", "--disable-plugin-autoload", "-p", "testlytics", "-p", "no:cacheprovider"]
SUITES = ("unit", "property", "contract", "chaos", "performance", "load", "e2e", "oldest")
MEASURED = ("test", "test-all", "bench", "accuracy", "scale", "fuzz", "profile")


def ran(folder: Path, store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script on the tests of a folder, with its history in `store`."""
    ours = [sys.executable, "-m", "scripts.recorded_suite", "--store", str(store), *arguments]
    return subprocess.run(
        [
            *ours,
            "--",
            *PYTEST,
            f"--rootdir={folder}",
            "-c",
            str(folder / "pytest.ini"),
            str(folder),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]", encoding="utf-8")
    (folder / "test_some.py").write_text(text, encoding="utf-8")
    return folder


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("testlytics: ")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def test_a(): pass", 0),
        ("def test_a(): assert 0", 1),
        ("", 5),
        ("import os, signal\ndef test_a(): os.kill(os.getpid(), signal.SIGKILL)", 137),
    ],
)
def test_the_exit_code_is_that_of_the_tests(text: str, code: int, tmp_path: Path) -> None:
    store = tmp_path / "history" / "h.duckdb"
    done = ran(write(tmp_path / "suite", text), store)
    assert done.returncode == code, done.stdout + done.stderr
    assert [path for path in store.parent.iterdir() if path.is_dir()] == []
    if code in {0, 1}:
        assert "1 tests recorded" in done.stdout


@pytest.mark.parametrize("code", [0, 1])
def test_a_history_that_cannot_be_written_costs_nothing(code: int, tmp_path: Path) -> None:
    suite = write(tmp_path / "suite", f"def test_a(): assert not {code}")
    store = tmp_path / "history" / "h.duckdb"
    store.mkdir(parents=True)
    done = ran(suite, store)
    assert done.returncode == code
    assert "not taken into the history, and kept as" in done.stdout
    assert len(list(store.parent.rglob("run.jsonl"))) == 1
    done = ran(suite, tmp_path / "suite" / "pytest.ini" / "h.duckdb")
    assert done.returncode == code
    assert "not recorded" in done.stderr


def test_it_ends_with_what_the_history_shows(tmp_path: Path) -> None:
    suite = write(tmp_path / "suite", "def test_calm(): pass")
    tests = {"test_some.py::test_calm": "P" * 9, "test_some.py::test_moody": "PFPLPFPLP"}
    store = tmp_path / ".testlytics" / "history.duckdb"
    assert command("ingest", *history(tmp_path, tests), "--store", store, cwd=tmp_path).code == 0
    done = ran(suite, store)
    assert done.returncode == 0
    lines = [line.removeprefix("testlytics: ") for line in told(done)[-3:]]
    assert lines[0].startswith("2 tests in 10 runs of ")
    assert lines[1].startswith("1 flaky   0 broken   0 slower")
    assert lines[2].startswith("test_some.py::test_moody: flaky, fails in ")
    assert lines[2].endswith("(testlytics report --flaky)")


def test_without_recording_nothing_is_left(tmp_path: Path) -> None:
    store = tmp_path / "history" / "h.duckdb"
    done = ran(write(tmp_path / "suite", "def test_a(): assert 0"), store, "--no-record")
    assert (done.returncode, told(done), store.parent.exists()) == (1, [], False)


def test_only_the_tests_see_the_folder_of_modules(tmp_path: Path) -> None:
    """A store written by an older DuckDB must not be opened by it."""
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "duckdb.py").write_text("raise ImportError('the old one')")
    suite = write(
        tmp_path / "suite",
        "def test_a():\n    try:\n        import duckdb\n    except ImportError as error:\n"
        "        assert str(error) == 'the old one'\n    else:\n        assert False",
    )
    done = ran(suite, tmp_path / "h.duckdb", "--path", str(tmp_path / "first"))
    assert done.returncode == 0, done.stdout
    assert "1 tests recorded" in done.stdout


def test_names_cannot_reach_the_terminal(tmp_path: Path) -> None:
    history(tmp_path, {"\x1b[31m\u202e.py::t": "PFPLFPFPLP", "b.py::t": "P" * 10})
    assert command("ingest", ".", cwd=tmp_path).code == 0
    lists = ("--flaky", "--broken", "--regressions", "--format", "json")
    lines = summary(command("report", *lists, cwd=tmp_path).json)
    assert len(lines) == 3
    assert "[31m" in lines[2]
    assert not {"\x1b", "\u202e"} & set("".join(lines))


def test_every_suite_is_there_recorded_and_can_be_switched_off() -> None:
    text = (ROOT / "Makefile.test.mk").read_text(encoding="utf-8")
    for name in (*(f"test-{suite}" for suite in SUITES), *MEASURED):
        assert re.search(rf"^{name}:.* ## .", text, re.MULTILINE), name
    for suite in SUITES:
        [recipe] = re.findall(rf"^test-{suite}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
        assert "$(SUITE)" in recipe
    dry = subprocess.run(
        ["make", "-n", "-o", ".venv/ready", "test-unit", "RECORD=0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert dry.stdout == ".venv/bin/python -m scripts.recorded_suite --no-record -- -q tests/unit\n"
