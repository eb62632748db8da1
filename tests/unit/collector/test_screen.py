"""The screen of one run finds what the rule says, looked up without it."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import pytest

from testlytics_collector.records import Attempt, Outcome, Upload
from testlytics_collector.store import baselines
from testlytics_collector.store.reader import Window
from testlytics_collector.store.screen import Screen
from testlytics_collector.store.store import Store, open_store

HOUR_US = 3_600_000_000
RUNS = 34
Told = dict[tuple[str, str], tuple[int, float, float, list[int]]]
Passed = dict[tuple[int, str], dict[str, list[int]]]


def fill(path: Path, dice: random.Random) -> Passed:
    """Make runs in two variants and any order; return durations that passed, in order of attempts.

    Tests come and go, get slower, are retried, fail, skip, and take next to nothing.
    """
    passed: Passed = {}
    order = list(range(RUNS))
    dice.shuffle(order)
    with open_store(path, write=True) as store:
        for number in order:
            for variant in ("linux", "mac"):
                if dice.random() < 0.1:
                    continue
                rows, kept = a_run(dice, number)
                passed[number, f"os={variant}"] = kept
                upload = Upload(
                    f"u{number}{variant}",
                    f"run-{number:02}",
                    project="p",
                    started_us=1_780_000_000_000_000 + number * HOUR_US,
                    complete=True,
                    variant={"os": variant},
                )
                with store.intake() as intake:
                    intake.begin("p")
                    intake.write(rows)
                    store.keep(intake, upload, digest=upload.upload_id, form="junit", now_us=1)
    return passed


def a_run(dice: random.Random, number: int) -> tuple[list[Attempt], dict[str, list[int]]]:
    rows: list[Attempt] = []
    kept: dict[str, list[int]] = {}
    for test in range(24):
        if dice.random() < 0.1 or (test == 1 and number < RUNS - 3):
            continue
        for attempt in range(1, dice.choice([1, 1, 1, 2, 3]) + 1):
            outcome = dice.choice([Outcome.PASSED] * 6 + [Outcome.FAILED, Outcome.SKIPPED])
            usual = [2_000, 6_000, 50_000, 1_000_000][test % 4] * (1 + (test > 15 and number > 20))
            us = None if dice.random() < 0.05 else dice.choice([usual, int(usual * dice.random())])
            if test == 2:  # on the edge of the rule
                us = 100_000 if number < RUNS - 1 else 125_000 + dice.choice([-1, 0, 1])
            rows.append(Attempt(f"t{test:02}", attempt, outcome, us))
            if outcome is Outcome.PASSED and us is not None:
                kept.setdefault(f"t{test:02}", []).append(us)
    return rows, kept


def by_the_rule(passed: Passed, number: int, screen: Screen) -> Told:
    known = sorted({run for run, _ in passed if run < number}, reverse=True)[: screen.runs]
    found: Told = {}
    for variant in ("os=linux", "os=mac"):
        ran = passed.get((number, variant), {})
        before = {
            test: [
                us for run in known for us in reversed(passed.get((run, variant), {}).get(test, []))
            ]
            for test in ran
        }
        usual = {test: statistics.median(values) for test, values in before.items() if values}
        ratios = [ran[test][-1] / median for test, median in usual.items()]
        factor = middle(ratios) if len(ratios) >= 10 else 1.0
        for test, median in usual.items():
            steady = ran[test][-1] / factor
            as_long = sum(us >= steady for us in before[test])
            if steady > screen.ratio * median + 5_000 and (
                as_long <= screen.beyond * len(before[test])
            ):
                found[variant, test] = ran[test][-1], factor, median, before[test]
    return found


def middle(values: list[float]) -> float:
    """As the store interpolates, to the last bit."""
    values = sorted(values)
    low, high = values[(len(values) - 1) // 2], values[len(values) // 2]
    return low + (high - low) * 0.5


def screened(store: Store, number: int, screen: Screen) -> Told:
    found = store.screen("p", f"run-{number:02}", screen)
    assert [(one.variant, one.test_id) for one in found] == sorted(
        (one.variant, one.test_id) for one in found
    )
    return {
        (one.variant, one.test_id): (
            one.duration_us,
            one.run_factor,
            one.median_us,
            one.earlier_us,
        )
        for one in found
    }


@pytest.mark.parametrize("seed", range(6))
def test_screen_is_what_the_rule_says(seed: int, tmp_path: Path) -> None:
    beyond = [0.02, 0.5, 1.0][seed % 3]
    passed = fill(tmp_path / "h.duckdb", random.Random(seed))
    found: set[str] = set()
    with open_store(tmp_path / "h.duckdb") as store:
        for number in (0, 1, 7, 20, RUNS - 2, RUNS - 1):
            for looked_back in (1, 5, 100):
                screen = Screen(runs=looked_back, beyond=beyond)
                told = screened(store, number, screen)
                assert told == by_the_rule(passed, number, screen)
                found.update(test for _, test in told)
    assert found


def test_a_slow_machine_is_no_slow_test(tmp_path: Path) -> None:
    usual = {f"t{test:02}": 200_000 + 10_000 * test for test in range(20)}
    runs = [usual] * 12 + [{test: us * 2 for test, us in usual.items()}]
    runs[-1]["t07"] = usual["t07"] * 4
    keep(tmp_path / "h.duckdb", runs)
    with open_store(tmp_path / "h.duckdb") as store:
        [slower] = store.screen("p", "run-12")
        assert (slower.test_id, slower.run_factor) == ("t07", 2.0)
        assert slower.earlier_us == [usual["t07"]] * 12


def test_few_tests_say_nothing_of_the_machine(tmp_path: Path) -> None:
    usual = {f"t{test}": 200_000 for test in range(9)}
    keep(tmp_path / "h.duckdb", [usual] * 5 + [{test: us * 2 for test, us in usual.items()}])
    with open_store(tmp_path / "h.duckdb") as store:
        assert [one.run_factor for one in store.screen("p", "run-05")] == [1.0] * 9


def keep(path: Path, runs: list[dict[str, int]]) -> None:
    """Store runs of tests that all passed, with their microseconds."""
    with open_store(path, write=True) as store:
        for number, taken in enumerate(runs):
            upload = Upload(
                f"u{number}",
                f"run-{number:02}",
                project="p",
                started_us=1_780_000_000_000_000 + number * HOUR_US,
                complete=True,
            )
            with store.intake() as intake:
                intake.begin("p")
                intake.write([Attempt(test, 1, Outcome.PASSED, us) for test, us in taken.items()])
                store.keep(intake, upload, digest=upload.upload_id, form="junit", now_us=1)


def test_a_run_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "h.duckdb", random.Random(1))
    with open_store(tmp_path / "h.duckdb") as store:
        assert store.screen("p", "no such run") == []
        assert store.screen("no such project", "run-20") == []


@pytest.mark.parametrize("order", ["median", "p95"])
def test_the_slowest_are_the_same_by_what_they_took_before(
    order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Baselines that are missing, old, or of other runs than the window's are a guess, no more.
    monkeypatch.setattr(baselines, "BASELINE_EVERY", 8)
    monkeypatch.setattr(baselines, "BASELINE_RUNS", 12)
    fill(tmp_path / "h.duckdb", random.Random(order))
    windows = [
        Window(),
        Window(last=3),
        Window(last=20),
        Window(variant={"os": "mac"}),
        Window(since_us=1_780_000_000_000_000 + 25 * HOUR_US),
    ]
    with open_store(tmp_path / "h.duckdb") as store:
        for window in windows:
            with store.window(window) as asked:
                whole = asked.speeds(order=order, slowest=True, limit=None)
                assert whole.series == len(whole.rows)
                for limit in (1, 4, 10, 100):
                    short = asked.speeds(order=order, slowest=True, limit=limit)
                    assert (short.rows, short.series) == (whole.rows[:limit], whole.series)
