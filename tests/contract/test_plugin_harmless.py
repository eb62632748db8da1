"""The plugin changes neither exit status nor outcomes, and the output only by one line."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.unit.plugin.recorded import DATA, Recording, record, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(DATA / "scenario_small.py", tmp_path / "test_small.py")
    return tmp_path


def said(recorded: Recording) -> list[str]:
    """Return what the plugin says in the terminal."""
    return [line for line in recorded.output.splitlines() if line.startswith("testlytics: ")]


def without_times(output: str) -> list[str]:
    lines = [line for line in output.splitlines() if not line.startswith("testlytics: ")]
    lines = [re.sub(r"^rootdir: .*", "rootdir", line) for line in lines]
    return [re.sub(r"in \d+\.\d\ds", "in time", line).strip("= ") for line in lines]


def plain_output(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    plain = run(folder, *arguments)
    assert plain.path is None
    return plain.exit_status, without_times(plain.output)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[str]]:
    """Exit status and output of the small scenario without the plugin."""
    folder = tmp_path_factory.mktemp("plain")
    shutil.copy(DATA / "scenario_small.py", folder / "test_small.py")
    return plain_output(folder)


def test_output_is_the_same_but_for_one_line(folder: Path) -> None:
    arguments = ("-W", "error", "-v", "-rA")
    plain = plain_output(folder, *arguments)
    recorded = record(folder, *arguments)
    assert (recorded.exit_status, without_times(recorded.output)) == plain
    assert recorded.path is not None
    assert said(recorded) == [f"testlytics: .testlytics/{recorded.path.name}"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--testlytics-dir", "file/folder"), "Not a directory"),
        (("--testlytics-dir", "sealed/folder"), "Permission denied|File exists|No such file"),
        (("--testlytics-file", "."), "Is a directory"),
    ],
)
def test_unwritable_place_is_one_line(
    folder: Path, arguments: tuple[str, ...], why: str, plain: tuple[int, list[str]]
) -> None:
    (folder / "file").touch()
    (folder / "sealed").mkdir(mode=0o500)
    (folder / "sealed" / "folder").symlink_to("/proc/self/nothing")
    recorded = record(folder, *arguments)
    assert (recorded.exit_status, without_times(recorded.output)) == plain
    (line,) = said(recorded)
    assert re.search(f"nothing recorded: .*({why})", line), line


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file size")
def test_full_disk_is_one_line_and_whole_lines(folder: Path, plain: tuple[int, list[str]]) -> None:
    (folder / "conftest.py").write_text(
        "import resource\n"
        "def pytest_collection_finish(session):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))\n",
        encoding="utf-8",
    )
    # What coverage would write does not fit either.
    recorded = record(folder, COVERAGE_PROCESS_CONFIG="")
    assert (recorded.exit_status, without_times(recorded.output)) == plain
    (line,) = said(recorded)
    assert "recording stopped: File too large" in line
    assert recorded.path is not None
    assert recorded.path.read_bytes().endswith(b"}\n")
    assert 0 < len(recorded.attempts) < 40
    assert recorded.of_type("end") == []
    assert [slot["test_id"] for slot in recorded.of_type("running")] == [None]


def test_closed_descriptors_are_one_line(folder: Path) -> None:
    (folder / "test_close.py").write_text(
        "import os\ndef test_close_all():\n    os.closerange(3, 10_000)\n", encoding="utf-8"
    )
    plain = plain_output(folder, "-s", "test_close.py", "test_small.py")
    recorded = record(folder, "-s", "test_close.py", "test_small.py")
    assert (recorded.exit_status, without_times(recorded.output)) == plain
    assert "recording stopped: Bad file descriptor" in said(recorded)[0]


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on open files")
@pytest.mark.parametrize(
    ("until", "why"),
    [
        ("pytest_sessionstart", "nothing recorded: Too many open files"),
        # The file is open by then, and writing to it takes no other descriptor.
        ("pytest_sessionfinish", None),
    ],
)
def test_exhausted_descriptors_are_one_line(folder: Path, until: str, why: str | None) -> None:
    since = "pytest_configure" if why else "pytest_collection_finish"
    (folder / "conftest.py").write_text(
        "import os, pytest, resource\n"
        "TAKEN = []\n"
        "@pytest.hookimpl(trylast=True)\n"
        f"def {since}():\n"
        "    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))\n"
        "    try:\n"
        "        while True:\n"
        "            TAKEN.append(os.dup(0))\n"
        "    except OSError:\n"
        "        pass\n"
        f"def {until}():\n"
        "    for file in TAKEN:\n"
        "        os.close(file)\n",
        encoding="utf-8",
    )
    arguments = ("--tb=line", "--assert=plain")
    plain = plain_output(folder, *arguments)
    recorded = record(folder, *arguments)
    assert (recorded.exit_status, without_times(recorded.output)) == plain
    (line,) = said(recorded)
    if why:
        assert why in line
        assert recorded.path is None
    else:
        assert recorded.path is not None
        assert line == f"testlytics: .testlytics/{recorded.path.name}"
        assert len(recorded.attempts) == 45


@pytest.mark.parametrize(
    "environment",
    [{"HOME": "/proc/self/nothing"}, {"PATH": "/proc/self/nothing"}, {"TMPDIR": "/proc/self"}],
)
def test_bare_environment_costs_nothing(
    folder: Path, environment: dict[str, str], plain: tuple[int, list[str]]
) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")
    recorded = record(folder, **environment)
    assert (recorded.exit_status, without_times(recorded.output)) == plain
    assert recorded.path is not None
    assert said(recorded) == [f"testlytics: .testlytics/{recorded.path.name}"]
    assert len(recorded.attempts) == 45


def test_git_that_hangs_or_fails_costs_only_knowledge(
    folder: Path, plain: tuple[int, list[str]]
) -> None:
    tools = folder / "tools"
    tools.mkdir()
    git = tools / "git"
    git.write_text("#!/bin/sh\nexec sleep 60\n", encoding="ascii")
    git.chmod(0o755)
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text(f"{'a' * 40}\n", encoding="ascii")
    recorded = record(folder, PATH=f"{tools}:/usr/bin:/bin")
    assert (recorded.exit_status, without_times(recorded.output)) == plain
    sources = recorded.records[0]["sources"]
    assert (sources["commit"], sources["tree_sha"], sources["dirty"]) == ("a" * 40, None, None)


def test_unusable_settings_fall_back_and_are_named_in_one_line(folder: Path) -> None:
    (folder / "pytest.ini").write_text(
        "[pytest]\ntestlytics_message_chars = many\ntestlytics_tags =\n  browser\n",
        encoding="utf-8",
    )
    recorded = record(folder, "--testlytics-tag", "=x", TESTLYTICS_TAGS="lost")
    assert recorded.exit_status == 1
    assert len(recorded.attempts) == 45
    (line,) = said(recorded)
    for text in ("testlytics_message_chars = many", "'browser'", "'=x'", "'lost'"):
        assert text in line


def test_unknown_mode_is_one_line(folder: Path, plain: tuple[int, list[str]]) -> None:
    recorded = run(folder, TESTLYTICS="maybe")
    assert (recorded.exit_status, without_times(recorded.output)) == plain
    assert said(recorded) == [
        "testlytics: nothing recorded: ValueError: testlytics = 'maybe' is none of off, on, ci"
    ]


def test_forked_child_writes_nothing(folder: Path) -> None:
    (folder / "test_fork.py").write_text(
        "import os\n"
        "def test_child_runs_on():\n"
        "    child = os.fork()\n"
        "    assert child, 'the child goes on with the session'\n"
        "    os.waitpid(child, 0)\n",
        encoding="utf-8",
    )
    recorded = record(folder, "test_fork.py", "test_small.py")
    assert recorded.ends["test_child_runs_on"] == "passed"
    assert len(recorded.attempts) == 46
    assert len(recorded.of_type("end")) == 1


def test_plugin_needs_only_pytest_and_the_standard_library(folder: Path) -> None:
    (folder / "conftest.py").write_text(
        "import sys\n"
        "BEFORE = {name.partition('.')[0] for name in sys.modules}\n"
        "def pytest_unconfigure():\n"
        "    new = {name.partition('.')[0] for name in sys.modules} - BEFORE\n"
        "    print(sorted(new - sys.stdlib_module_names))\n",
        encoding="utf-8",
    )
    plain, recorded = run(folder, "-s"), record(folder, "-s")
    assert recorded.output.splitlines()[-1] == plain.output.splitlines()[-1]
    assert "duckdb" not in recorded.output
    assert "polars" not in recorded.output
