"""The screen of one run finds what the rule says, looked up without it."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import pytest

from testlytics_collector.records import Attempt, Outcome, Upload
from testlytics_collector.store import baselines
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import Store, open_store

HOUR_US = 3_600_000_000
RUNS = 34
Told = dict[tuple[str, str], tuple[int, float, list[int]]]


def fill(path: Path, dice: random.Random) -> dict[tuple[int, str], dict[str, list[int]]]:
    """Make runs in two variants and any order; return durations that passed, in order of attempts.

    Tests come and go, get slower, are retried, fail, skip, and take next to nothing.
    """
    passed: dict[tuple[int, str], dict[str, list[int]]] = {}
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


def by_the_rule(
    passed: dict[tuple[int, str], dict[str, list[int]]], number: int, looked_back: int
) -> Told:
    known = sorted({run for run, _ in passed if run < number}, reverse=True)[:looked_back]
    found: Told = {}
    for variant in ("os=linux", "os=mac"):
        for test, taken in passed.get((number, variant), {}).items():
            earlier = [
                us for run in known for us in reversed(passed.get((run, variant), {}).get(test, []))
            ]
            if earlier and taken[-1] > 1.2 * statistics.median(earlier) + 5_000:
                found[variant, test] = taken[-1], statistics.median(earlier), earlier
    return found


def screened(store: Store, number: int, looked_back: int) -> Told:
    found = store.screen("p", f"run-{number:02}", runs=looked_back)
    assert [(one.variant, one.test_id) for one in found] == sorted(
        (one.variant, one.test_id) for one in found
    )
    return {
        (one.variant, one.test_id): (one.duration_us, one.median_us, one.earlier_us)
        for one in found
    }


@pytest.mark.parametrize("seed", range(6))
def test_screen_is_what_the_rule_says(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    passed = fill(tmp_path / "h.duckdb", dice)
    found = 0
    with open_store(tmp_path / "h.duckdb") as store:
        for number in (0, 1, 7, 20, RUNS - 2, RUNS - 1):
            for looked_back in (1, 5, 100):
                told = screened(store, number, looked_back)
                assert told == by_the_rule(passed, number, looked_back)
                found += len(told)
    assert found > 20


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
