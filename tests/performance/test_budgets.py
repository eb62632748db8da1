"""What commands cost, as multiples of a reference operation of the same run, and what they may."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path

import pytest

from tests.command import command
from tests.performance.hot_data import run_of
from tests.performance.processes import Cost, cost

# Many processes: where the machine is busy they take long, and nothing hangs.
pytestmark = pytest.mark.timeout(600)
BUDGETS = tomllib.loads(Path(__file__).with_name("budgets.toml").read_text(encoding="utf-8"))
MARGIN = Cost(BUDGETS["margin"]["cpu"], BUDGETS["margin"]["memory"])
USUAL: Mapping[str, Cost] = {
    name: Cost(told["cpu"], told["memory"]) for name, told in BUDGETS["usual"].items()
}
REFERENCE = [sys.executable, "-c", "import duckdb"]
TESTLYTICS = [sys.executable, "-m", "testlytics"]
# Noise only adds: the least of a few is asked, and of more where it is over the budget.
FEW, MOST = 3, 7

# Runs the command, and then as much again as makes it three times as expensive.
THRICE = """
import atexit, os, resource, runpy, sys, time

def burn():
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kib //= 1 if sys.platform == "linux" else 1024
    weight = b"x" * (2 * kib * 1024)
    spent = time.process_time()
    while time.process_time() < 3 * spent:
        pass

def leave(code, leave_at_once=os._exit):
    burn()
    leave_at_once(code)

os._exit = leave
atexit.register(burn)
runpy.run_module("testlytics", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a small store, and run files that are not in it."""
    made = tmp_path_factory.mktemp("budgets")
    for number in range(30):
        (made / f"run-{number:02}.jsonl").write_bytes(run_of(number, 200))
    assert command("ingest", *sorted(made.glob("run-*.jsonl")), cwd=made).code == 0
    for tests in (1_000, 100_000):
        (made / f"{tests}.jsonl").write_bytes(run_of(tests, tests))
    return made


def overspent(started: Sequence[str], name: str, folder: Path) -> dict[str, str]:
    """Run a command a few times beside the reference; say of what it took too much."""
    usual = USUAL[name]
    own, reference = Cost(inf, inf), Cost(inf, inf)
    for number in range(MOST):
        more = []
        if name.startswith("ingest"):  # into a store of its own: what is known is not stored again
            more = ["--store", f"new-{number}.duckdb"]
        own = own.least(cost([*started, *name.split(), *more], folder))
        reference = reference.least(cost(REFERENCE, folder))
        for made in folder.glob("new-*.duckdb*"):
            made.unlink()
        found = own.over(reference)
        if number + 1 >= FEW and found.cpu_s <= usual.cpu_s * MARGIN.cpu_s:
            break
    found = own.over(reference)
    return {
        what: f"{is_:.2f} times the reference, usually {was:.2f}"
        for what, is_, was, margin in zip(Cost._fields, found, usual, MARGIN, strict=True)
        if is_ > was * margin
    }


@pytest.mark.parametrize("name", USUAL)
def test_commands_stay_within_their_budgets(name: str, folder: Path) -> None:
    assert overspent(TESTLYTICS, name, folder) == {}


def test_a_command_that_costs_three_times_as_much_is_seen(folder: Path) -> None:
    assert set(overspent([sys.executable, "-c", THRICE], "--help", folder)) == {"cpu_s", "memory"}


def test_no_budget_sleeps_through_a_command_that_costs_three_times_as_much() -> None:
    assert max(MARGIN) <= 2
    assert set(USUAL) == {
        "--help",
        "report --flaky",
        "gate",
        "ingest 1000.jsonl",
        "ingest 100000.jsonl",
    }
