"""What is planted in a made-up history is what the command finds in it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.command import command
from tests.planted import (
    Broken,
    Flaky,
    Plant,
    Renamed,
    RunFactory,
    Slower,
    SlowMachine,
    Suite,
    UnstableId,
    seeded,
)


def reported(suite: Suite, folder: Path) -> dict[str, Any]:
    (folder / "pyproject.toml").touch()
    assert command("ingest", *suite.write(folder), cwd=folder).code == 0
    lists = ("--flaky", "--broken", "--regressions", "--format", "json")
    return command("report", *lists, cwd=folder).json


def found(told: dict[str, Any]) -> dict[str, list[str]]:
    return {
        name: [row["test_id"] for row in told[name]] for name in ("flaky", "broken", "regressions")
    }


def test_each_plant_is_found_and_nothing_else(tmp_path: Path) -> None:
    plants = [
        Flaky(3, rate=0.25),
        Broken(7, since=35),
        Slower(11, since=25, times=2.5),
        SlowMachine(day=4),
        UnstableId(15),
    ]
    suite = Suite(seed=5, tests=40, runs=40, plants=plants)
    told, ids = reported(suite, tmp_path), [case.test_id for case in suite.cases()]
    assert found(told) == {"flaky": [ids[3]], "broken": [ids[7]], "regressions": [ids[11]]}
    assert told["summary"]["tests"] == 40, "an address in a name makes no new test"

    [flaky], [broken], [slower] = (told[name] for name in ("flaky", "broken", "regressions"))
    assert flaky["flake_rate_low"] <= 0.25 <= flaky["flake_rate_high"]
    # The only commit at which it can have broken: it had run on each.
    assert broken["broken_commit"] == suite.commits()[35]
    assert broken["last_good_commit"] == suite.commits()[34]
    # A run to either side is within the interval that such a place is told with.
    assert slower["since_commit"] in suite.commits()[24:27]
    assert slower["ratio"] == pytest.approx(2.5, rel=0.1)


def test_a_new_name_is_found_as_one(tmp_path: Path) -> None:
    suite = Suite(tests=15, runs=16, plants=[Renamed(4, since=8)])
    reported(suite, tmp_path)
    told = command("tests", "--renames", "--format", "json", cwd=tmp_path).json
    old = suite.cases()[4].test_id
    new = f"tests/test_moved.py::{old.partition('::')[2]}"
    assert [(row["old"], row["new"]) for row in told["renames"]] == [(old, new)]


@pytest.mark.parametrize("plants", [[], [SlowMachine(day=2)]])
def test_where_nothing_is_planted_nothing_is_found(plants: list[Plant], tmp_path: Path) -> None:
    told = reported(Suite(seed=9, tests=30, runs=30, plants=plants), tmp_path)
    assert found(told) == {"flaky": [], "broken": [], "regressions": []}


def test_a_seed_says_all_whatever_was_made_before() -> None:
    plants = [Flaky(0), UnstableId(1)]
    first = list(Suite(seed=3, plants=plants).files())
    with seeded(99):
        RunFactory.build_batch(5)
    assert list(Suite(seed=3, plants=plants).files()) == first
    assert list(Suite(seed=4, plants=plants).files()) != first
    # A plant changes the tests it is about, and no other.
    plain = list(Suite(seed=3, plants=[]).files())
    assert plain[0].splitlines()[4:] == first[0].splitlines()[4:]
