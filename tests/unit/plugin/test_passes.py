"""The quick way writes what the slow way would write."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from tests.unit.plugin.recorded import Record, running_at_the_end
from tests.unit.plugin.reports import USUAL, Bench, Node

PHASES = ("setup", "call", "teardown")


def still(folder: Path, *, slow: bool, workers: bool, late: bool) -> Bench:
    """Return a bench whose clock only moves by `slept`."""
    folder.mkdir()
    bench = Bench(folder, workers=workers, customs=USUAL._replace(late=late), at=1_000.0)
    if slow:
        bench.attempts.pytest_runtest_logstart = bench.attempts.begin
        bench.attempts.pytest_runtest_logreport = bench.attempts.take
    for worker in ("gw0", "gw1") if workers else ():
        bench.attempts.pytest_testnodeready(Node(worker))
    return bench


def play(bench: Bench, seed: int, *, workers: bool, late: bool) -> list[Record]:
    """Run made-up tests, side by side where there are workers; return what is in the file."""
    chance = random.Random(seed)
    names = [f"test_{number}" for number in range(40)] + ["test_ü", 'test_["\\"]', "x" * 2_500]
    busy: dict[str, list[tuple[str, str]]] = {}
    more: dict[str, object] = {}
    while names or busy:
        bench.slept += chance.choice([0.001, 2.0])
        worker = chance.choice(["gw0", "gw1"] if workers else ["main"])
        if not busy.get(worker):
            busy.pop(worker, None)
            if names:
                name = names.pop()
                bench.start(name)
                busy[worker] = [(name, phase) for phase in PHASES]
            continue
        name, phase = busy[worker].pop(0)
        outcome = chance.choices(["passed", "failed", "skipped", "rerun"], [20, 1, 1, 1])[0]
        more = {"rerun": chance.randrange(3)} if late and chance.random() < 0.2 else {}
        if chance.random() < 0.1:
            more["user_properties"] = [("key", "value")]
        if chance.random() < 0.05:
            more["wasxfail"] = "reason"
        if workers:
            more["worker_id"] = worker
        duration = chance.choice([1e-4, 1e-4, 1e-4, 0.0, 1e9])
        bench.report(name, phase, outcome, duration, **more)
    bench.attempts.finish(None)
    assert bench.attempts.left_out == 0
    return bench.recorded().records


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("workers", [False, True])
@pytest.mark.parametrize("seed", range(15))
def test_quick_way_is_the_slow_way(tmp_path: Path, seed: int, workers: bool, late: bool) -> None:
    quick, slow = (
        play(
            still(tmp_path / str(way), slow=way, workers=workers, late=late),
            seed,
            workers=workers,
            late=late,
        )
        for way in (False, True)
    )
    assert quick == slow


def test_same_place_under_two_names_in_two_workers(tmp_path: Path) -> None:
    crew = still(tmp_path / "crew", slow=False, workers=True, late=False)
    for name in ("TestA::test_base", "TestB::test_base"):
        crew.start(name, place="test_base")
    for when in PHASES:
        for name, worker in (("TestA::test_base", "gw1"), ("TestB::test_base", "gw0")):
            crew.slept += 1.0
            crew.report(name, when, worker_id=worker, place="test_base")
    assert {entry["test_id"][6:]: entry["worker"] for entry in crew.recorded().attempts} == {
        "TestA::test_base": "gw1",
        "TestB::test_base": "gw0",
    }
    assert running_at_the_end(crew.recorded().records) == []


def test_nothing_begins_in_the_lane_of_a_lost_worker(tmp_path: Path) -> None:
    crew = still(tmp_path / "crew", slow=False, workers=True, late=False)
    for when in PHASES:
        if when == "setup":
            crew.start("test_a")
        crew.slept += 1.0
        crew.report("test_a", when, worker_id="gw0")
    crew.attempts.pytest_testnodedown(Node("gw0"))
    crew.start("test_b")
    assert crew.running() == {"gw0": "test_a", "gw1": "test_b"}


def test_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:9]))
    bench = Bench(tmp_path)
    bench.go("test_a")
    assert bench.recorded().ends == {"test_a": "passed"}


@pytest.mark.parametrize("name", ["os.write", "pytest_testlytics.passes.PWRITE"])
def test_failed_write_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(name, fail)
    bench = Bench(tmp_path)
    bench.go("test_a")
    bench.go("test_b")
    assert bench.trouble == "recording stopped: Input/output error"
    assert bench.attempts.left_out == 0
