"""Every way in which an attempt can end comes out as the table in tests/data/plugin says."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest

from tests.unit.plugin.recorded import DATA, Recording, record
from tests.unit.plugin.schema import violations

SERIAL = ("--doctest-modules",)
WORKERS = (*SERIAL, "-p", "xdist", "-n2")
RERUNS = (*SERIAL, "-p", "rerunfailures", "--reruns", "1")


class Mode(NamedTuple):
    arguments: tuple[str, ...]
    column: str


MODES = {
    "serial": Mode(SERIAL, "once"),
    "workers": Mode(WORKERS, "once"),
    "no terminal, random order": Mode((*SERIAL, "-p", "no:terminal", "-p", "randomly"), "once"),
    "reruns": Mode(RERUNS, "with --reruns 1"),
    "reruns in workers": Mode((*RERUNS, "-p", "xdist", "-n2"), "with --reruns 1"),
}


def expected(column: str) -> dict[str, str]:
    with (DATA / "expected_outcomes.csv").open(encoding="utf-8", newline="") as file:
        return {row["test"]: row[column] for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def recording_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Recording]:
    """Record the scenarios once per mode, however the tests are ordered."""

    @cache
    def recorded(mode: str) -> Recording:
        folder = tmp_path_factory.mktemp("outcomes")
        shutil.copy(DATA / "scenario_outcomes.py", folder / "test_outcomes.py")
        return record(folder, *MODES[mode].arguments)

    return recorded


@pytest.fixture(params=["serial", "workers"])
def recording(
    request: pytest.FixtureRequest, recording_of: Callable[[str], Recording]
) -> Recording:
    return recording_of(str(request.param))


@pytest.mark.parametrize("mode", MODES)
def test_every_attempt_ends_as_the_table_says(
    mode: str, recording_of: Callable[[str], Recording]
) -> None:
    recorded = recording_of(mode)
    assert recorded.ends == expected(MODES[mode].column), recorded.output
    assert [found for line in recorded.records for found in violations(line)] == []
    check_numbers(recorded)
    check_times(recorded)
    check_totals(recorded)
    workers = {"gw0", "gw1"} if "workers" in mode else {None}
    assert {attempt.get("worker") for attempt in recorded.attempts} == workers


def check_numbers(recorded: Recording) -> None:
    numbers: dict[str, list[int]] = {}
    for attempt in recorded.attempts:
        numbers.setdefault(attempt["test_id"], []).append(attempt["attempt"])
    assert all(found == [*range(1, len(found) + 1)] for found in numbers.values()), numbers


def check_times(recorded: Recording) -> None:
    (run,), (end,) = recorded.of_type("run"), recorded.of_type("end")
    whole = end["ended_us"] - run["started_us"]
    for attempt in recorded.attempts:
        phases = [attempt.get(f"{phase}_us") for phase in ("setup", "call", "teardown")]
        assert all(took is None or 0 <= took <= whole for took in phases), attempt
        assert run["started_us"] <= attempt["started_us"] <= end["ended_us"], attempt
        assert attempt.get("clock") == ("mocked" if "frozen" in attempt["test_id"] else None)


def check_totals(recorded: Recording) -> None:
    (end,) = recorded.of_type("end")
    assert recorded.exit_status == end["exit_status"] == 1
    assert end["attempts"] == len(recorded.attempts)
    assert end["collected"] == len(expected("once"))
    assert end["deselected"] == (None if recorded.attempts[0].get("worker") else 0)
    assert end["warnings"] >= 1
    workers = {attempt["worker"] for attempt in recorded.attempts if "worker" in attempt}
    assert recorded.records[0]["context"]["workers"] == len(workers)
    assert all(slot["test_id"] is None for slot in recorded.of_type("running"))


def test_failures_say_why_and_where(recording: Recording) -> None:
    found = {
        name: recording.named(name).get("failure", {})
        for name in (
            "test_raise",
            "test_fail",
            "test_skip_in_call",
            "test_skip_in_teardown",
            "test_xfail",
            "test_xpass_strict",
            "test_subtests_fail",
            "Old::test_fail",
            "test_outcomes.wrongly_documented",
            "test_pass",
        )
    }
    brief = {name: (why.get("type"), why.get("message")) for name, why in found.items()}
    assert brief == {
        "test_raise": ("ValueError", "ValueError: bad value"),
        "test_fail": ("AssertionError", "assert 1 == 2"),
        "test_skip_in_call": ("Skipped", "on second thought"),
        "test_skip_in_teardown": ("Skipped", "not worth cleaning"),
        "test_xfail": ("KeyError", "known"),
        "test_xpass_strict": (None, "[XPASS(strict)] must fail"),
        "test_subtests_fail": ("AssertionError", "assert 1 != 1"),
        "Old::test_fail": ("AssertionError", "AssertionError: 1 != 2"),
        "test_outcomes.wrongly_documented": (
            "DocTestFailure",
            "Expected:\n    3\nGot:\n    2\n",
        ),
        "test_pass": (None, None),
    }
    source = (DATA / "scenario_outcomes.py").read_text(encoding="utf-8").splitlines()
    lines = {text.strip(): number for number, text in enumerate(source, start=1)}
    for name, line in {
        "test_raise": 'raise ValueError("bad value")',
        "Old::test_fail": "self.assertEqual(1, 2)",
        "test_skip_in_call": 'pytest.skip("on second thought")',
    }.items():
        assert found[name]["place"] == f"test_outcomes.py:{lines[line]}"
    assert "seen on the way" in found["test_raise"]["output"]
    assert "ValueError: bad value" in found["test_raise"]["text"]
    assert "[gw" not in found["test_raise"]["text"]


def test_subtests_are_counted(recording: Recording) -> None:
    for name, counts in {
        "test_subtests_pass": (3, None),
        "test_subtests_fail": (3, 1),
        "test_subtests_and_test_fail": (1, 1),
        "Old::test_subtests_fail": (3, 1),
        "test_flaky_subtests": (2, 1),
        "test_pass": (None, None),
    }.items():
        attempt = recording.named(name)
        assert (attempt.get("subtests"), attempt.get("subtests_failed")) == counts, name


def test_texts_are_clean_and_bounded(recording: Recording) -> None:
    lone = "?" if recording.attempts[0].get("worker") else "\ufffd"
    odd = recording.named("test_odd_text")["failure"]["message"]
    assert odd == f"Failed: lone {lone}, pair \U0001f600, nul \ufffd, é"
    long = recording.named("test_long_text")["failure"]
    assert len(long["message"]) == 2_000
    assert len(long["text"]) == 8_000
    properties = recording.named("test_properties")["properties"]
    assert (properties["number"], properties["text"]) == ("3", "a\ufffdb")
    assert properties.get("mute", "<unprintable Mute>") == "<unprintable Mute>"


def test_run_file_is_named_after_its_upload(recording: Recording) -> None:
    assert recording.path is not None
    assert recording.path.name.endswith(f"Z-{recording.records[0]['upload_id']}.jsonl")
    assert (recording.path.parent / ".gitignore").read_text(encoding="ascii") == "*\n"


def test_table_has_enough_rows() -> None:
    assert len(expected("once")) >= 28
