"""A session that is killed at any moment leaves a file that says what had happened until then.

KILL_MOMENTS=200 kills as many sessions of each kind; KILL_SEED chooses other moments.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from testlytics import api
from tests.unit.plugin.recorded import Recording, read_newest, running_at_the_end, start

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signals")

MOMENTS = int(os.environ.get("KILL_MOMENTS", "6"))
SEED = int(os.environ.get("KILL_SEED", "1"))
LATEST_S = 0.7

SUITE = """\
import os
import pytest

DIARY = os.open("diary", os.O_WRONLY | os.O_APPEND)

@pytest.mark.parametrize("number", range(6_000))
def test_it(number, request):
    os.write(DIARY, b"begun %d\\n" % number)
    assert number % 40
    os.write(DIARY, b"ended %d\\n" % number)
"""

# The controller may hear of a test only after it has ended: its own diary counts.
CONTROLLER = """\
import os
import pytest

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Diary())

class Diary:
    def __init__(self):
        self.file = os.open("heard", os.O_WRONLY | os.O_APPEND)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logstart(self, nodeid):
        os.write(self.file, b"begun %s\\n" % nodeid[len("test_kill.py::test_it["):-1].encode())

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid):
        os.write(self.file, b"ended %s\\n" % nodeid[len("test_kill.py::test_it["):-1].encode())
"""


class Diary(NamedTuple):
    """What is known of a session without the run file: numbers of tests, in order."""

    begun: list[int]
    ended: list[int]


def read_diary(path: Path) -> Diary:
    whole, _, _ = path.read_text(encoding="ascii").rpartition("\n")
    entries = [line.split() for line in whole.splitlines()]
    begun, ended = (
        [int(number) for word, number in entries if word == kind] for kind in ("begun", "ended")
    )
    return Diary(begun, ended)


def killed(folder: Path, diary: str, delay_s: float, *arguments: str) -> tuple[Recording, Diary]:
    """Run a suite and kill it some time after its first test began."""
    (folder / "test_kill.py").write_text(SUITE, encoding="utf-8")
    for name in ("diary", "heard"):
        (folder / name).touch()
    with start(folder, "-q", "--testlytics", *arguments) as process:
        patience = time.monotonic() + 60
        while not (folder / diary).stat().st_size and time.monotonic() < patience:
            time.sleep(0.001)
        time.sleep(delay_s)
        process.kill()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, output
    recording = Recording(process.returncode, output, *read_newest(folder / ".testlytics"))
    return recording, read_diary(folder / diary)


def numbers(test_ids: list[str]) -> set[int]:
    return {int(test_id.partition("[")[2].rstrip("]")) for test_id in test_ids}


def ingested(recording: Recording, store: Path) -> int:
    """Return how many attempts the collector takes out of the file."""
    (result,) = api.ingest([str(recording.path)], store)
    assert result.counts is not None, result
    return result.counts.attempts


def moments(kind: str) -> list[float]:
    chance = random.Random(f"{kind} {SEED}")
    return [chance.uniform(0, LATEST_S) for _ in range(MOMENTS)]


@pytest.mark.timeout(0)
@pytest.mark.parametrize("delay_s", moments("serial"), ids=lambda delay_s: f"{delay_s:.4f}s")
def test_killed_session(tmp_path: Path, delay_s: float) -> None:
    recording, diary = killed(tmp_path, "diary", delay_s)
    recorded = numbers([attempt["test_id"] for attempt in recording.attempts])
    running = running_at_the_end(recording.records)
    last = diary.begun[-1]
    assert recorded >= set(diary.begun[:-1])
    assert last in recorded or numbers(running) == {last}
    # Between two tests the next one may be named, and it has not yet written into the diary.
    assert recorded | numbers(running) <= {*diary.begun, last + 1}
    assert len(running) <= 1
    assert ingested(recording, tmp_path / "store.duckdb") == len(recorded) + len(running)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("delay_s", moments("workers"), ids=lambda delay_s: f"{delay_s:.4f}s")
def test_killed_session_with_workers(tmp_path: Path, delay_s: float) -> None:
    (tmp_path / "conftest.py").write_text(CONTROLLER, encoding="utf-8")
    recording, heard = killed(tmp_path, "heard", delay_s, "-p", "xdist", "-n2")
    recorded = numbers([attempt["test_id"] for attempt in recording.attempts])
    running = running_at_the_end(recording.records)
    assert recorded >= set(heard.ended)
    assert recorded | numbers(running) >= set(heard.begun)
    assert recorded.isdisjoint(numbers(running))
    assert len(running) <= 2
    assert ingested(recording, tmp_path / "store.duckdb") == len(recorded) + len(running)
