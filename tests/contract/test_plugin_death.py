"""Whatever ends a session early, what was finished is in the file and what ran is named."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.unit.plugin.recorded import DATA, Recording, record, running_at_the_end
from tests.unit.plugin.schema import violations

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="POSIX signals")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(DATA / "scenario_death.py", tmp_path / "test_death.py")
    # Workers inherit the number of the process that a test is to kill.
    (tmp_path / "conftest.py").write_text(
        "import os\nos.environ.setdefault('CONTROLLER', str(os.getpid()))\n", encoding="utf-8"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("how", "when", "status"),
    [
        ("exit", "call", 3),
        ("exit", "setup", 3),
        ("SIGKILL", "teardown", -9),
        ("SIGTERM", "call", -15),
        ("segfault", "call", -11),
        ("hang", "call", 1),
    ],
)
def test_dead_process_leaves_its_victim_named(
    folder: Path, how: str, when: str, status: int
) -> None:
    timeout = ("-p", "timeout", "--timeout=0.5", "--timeout-method=thread") if how == "hang" else ()
    recorded = record(folder, *timeout, HOW=how, WHEN=when)
    assert recorded.exit_status == status, recorded.output
    assert recorded.ends == {"test_before": "passed"}
    assert recorded.of_type("end") == []
    assert running_at_the_end(recorded.records) == ["test_death.py::test_victim"]
    assert [found for line in recorded.records for found in violations(line)] == []
    assert recorded.path is not None
    content = recorded.path.read_bytes()
    begin = content.index(b'{"type":"running"')
    assert (begin % 2_048, content[begin + 2_047 : begin + 2_048]) == (0, b"\n")
    assert content.endswith(b"\n")


@pytest.mark.parametrize(
    ("how", "when", "status", "why"),
    [
        ("interrupt", "setup", 2, "KeyboardInterrupt"),
        ("interrupt", "call", 2, "KeyboardInterrupt"),
        ("interrupt", "teardown", 2, "KeyboardInterrupt"),
        ("pytest.exit", "call", 7, "Exit: enough"),
    ],
)
def test_interrupted_session_ends_properly(
    folder: Path, how: str, when: str, status: int, why: str
) -> None:
    recorded = record(folder, HOW=how, WHEN=when)
    (end,) = recorded.of_type("end")
    assert recorded.exit_status == end["exit_status"] == status
    assert end["stopped"] == why
    assert recorded.ends == {"test_before": "passed", "test_victim": f"interrupted@{when}"}
    assert recorded.named("test_victim")["failure"]["type"] == why.partition(":")[0]
    assert [found for line in recorded.records for found in violations(line)] == []


def crashed_in_worker(recorded: Recording) -> None:
    victim = recorded.named("test_victim")
    assert victim["worker"].startswith("gw")
    assert victim["call_us"] > 0
    assert "crashed while running" in victim["failure"]["message"]
    assert [found for line in recorded.records for found in violations(line)] == []


def test_dead_worker_is_a_crash_and_the_rest_goes_on(folder: Path) -> None:
    recorded = record(folder, "-p", "xdist", "-n2", HOW="exit", WHEN="call")
    (end,) = recorded.of_type("end")
    assert recorded.exit_status == end["exit_status"] == 1
    assert recorded.ends == {
        "test_before": "passed",
        "test_victim": "crashed@call",
        "test_after": "passed",
    }
    assert end["attempts"] == 3
    crashed_in_worker(recorded)


def test_worker_that_dies_in_every_rerun_crashes_every_time(folder: Path) -> None:
    recorded = record(
        folder, "-p", "xdist", "-n2", "-p", "rerunfailures", "--reruns=1", HOW="exit", WHEN="call"
    )
    # Its reports would have come at its end: nobody knows how far it got. Whether it is run again
    # is up to whether the dying worker's last word came through; pytest's summary says so.
    again = re.search(r"\b(\d+) rerun\b", recorded.output)
    deaths = 1 + int(again[1] if again else 0)
    assert recorded.ends["test_victim"] == "|".join(["crashed"] * deaths)
    crashed_in_worker(recorded)


def test_killed_controller_leaves_the_tests_of_its_workers_named(folder: Path) -> None:
    recorded = record(folder, "-p", "xdist", "-n1", HOW="controller", WHEN="call")
    assert recorded.exit_status == -9
    assert recorded.of_type("end") == []
    assert running_at_the_end(recorded.records) == ["test_death.py::test_victim"]
