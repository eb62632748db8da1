"""What `testlytics report` says of outcomes, for people and programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testlytics_analytics.status import Judged
from tests.command import command
from tests.factories import attempt, history, run_file

MANY = [f"m.py::test_{n:02}" for n in range(30)]
SINCE = ("broken_commit", "broken_first_commit", "broken_last_commit")


def told(folder: Path, tests: dict[str, str]) -> dict[str, Any]:
    history(folder, tests)
    command("ingest", ".", cwd=folder)
    document: dict[str, Any] = command(
        "report", "--flaky", "--broken", "--format", "json", cwd=folder
    ).json
    return document


def statuses(document: dict[str, Any]) -> tuple[int, ...]:
    return tuple(document["summary"][name] for name in ("flaky", "broken", "stable", "unknown"))


def test_rows_hold_what_they_always_held_and_more(tmp_path: Path) -> None:
    document = told(tmp_path, {"t": "PPPLPPPPLPPP", "u": "P" * 9 + "FFF"})
    assert document["schema"] == 1
    [flaky], [broken] = document["flaky"], document["broken"]
    assert list(flaky) == list(Judged._fields)
    assert list(broken) == [*Judged._fields, "group"]
    always: dict[str, object] = {
        "runs": 12,
        "passed": 10,
        "failed": 0,
        "flaky": 2,
        "skipped": 0,
        "flips": 4,
    }
    always |= {"failure_rate": 2 / 12, "disagreements": 2, "simple_flaky": True, "status": "flaky"}
    assert {name: flaky[name] for name in always} == always
    assert flaky["grade"] == "proven"
    assert 0 < flaky["flake_rate_low"] < flaky["flake_rate"] < flaky["flake_rate_high"] < 1
    assert flaky["p_relevant"] > 0.9
    assert [flaky[name] for name in SINCE] == [None] * 3


def test_where_a_test_broke_is_told(tmp_path: Path) -> None:
    document = told(tmp_path, {"t": "P" * 9 + "FFF", "never": "F" * 12, "good": "P" * 12})
    by_id = {row["test_id"]: row for row in document["broken"]}
    assert set(by_id) == {"t", "never"}
    ninth = f"{9:040x}"
    row = by_id["t"]
    assert [row[name] for name in SINCE] == [ninth] * 3
    assert (row["broken_run"], row["last_good_commit"]) == ("run-9", f"{8:040x}")
    assert row["p_broken"] > 0.9
    assert by_id["never"]["last_good_commit"] is None
    table = command("report", "--broken", cwd=tmp_path).out
    assert "  broken  failed runs  since     last good  test" in table
    assert f"            3  {ninth[:8]}  {'0' * 8}" in table


def test_a_first_failure_is_told_with_its_probability(tmp_path: Path) -> None:
    document = told(tmp_path, {"old.py::t": "P" * 12 + "F", "new.py::t": "S" * 9 + "PPPF"})
    [row] = document["broken"]
    assert row["test_id"] == "old.py::t"
    assert 0.6 < row["p_broken"] < 0.9
    assert (document["summary"]["failing"], document["summary"]["undecided"]) == (2, 1)
    out = command("report", "--broken", cwd=tmp_path).out
    assert "Too early to say, broken with 47 %: new.py::t (os=linux)" in out
    summary = command("report", cwd=tmp_path).out
    assert "1 test failed last, too early to say why: --broken." in summary


@pytest.mark.parametrize("letter", ["F", "L"])
def test_an_outage_counts_against_no_test(tmp_path: Path, letter: str) -> None:
    letters = "P" * 7 + letter + "P" * 7
    document = told(tmp_path, {**dict.fromkeys(MANY, letters), "good": "P" * 15})
    assert statuses(document) == (0, 0, 31, 0)
    assert document["summary"]["ignored_runs"] == 1
    out = command("report", cwd=tmp_path).out
    assert "1 run does not count: much of the suite failed at once." in out
    # Of eleven runs one counts less: ten are enough, nine are not.
    short = command("report", "--last", "10", "--format", "json", cwd=tmp_path).json
    assert short["summary"]["stable"] == 0


def test_many_tests_that_stay_broken_are_no_outage(tmp_path: Path) -> None:
    letters = dict.fromkeys(MANY, "P" * 9 + "FFFF") | {"good": "P" * 13}
    document = told(tmp_path, letters)
    assert statuses(document) == (0, 30, 1, 0)
    assert document["summary"]["ignored_runs"] == 0


def test_a_cut_list_counts_the_rest(tmp_path: Path) -> None:
    letters = {
        name: "P" * n + "PLPPPPL" + "P" * (10 + len(MANY) - n) for n, name in enumerate(MANY, 1)
    }
    whole = told(tmp_path, letters)
    assert len(whole["flaky"]) == whole["summary"]["flaky"] == 30
    out = command("report", "--flaky", "--limit", "2", cwd=tmp_path).out
    assert "Flaky tests (30)" in out
    assert "... and 28 more; --limit 0 shows all." in out
    markdown = command("report", "--flaky", "--limit", "2", "--format", "markdown", cwd=tmp_path)
    assert "30 flaky" in markdown.out


@pytest.mark.parametrize("failures", [1, 3])
def test_every_attempt_of_a_run_counts(tmp_path: Path, failures: int) -> None:
    for number in range(12):
        bad = failures if number in {3, 8} else 0
        rows = [attempt("t", "failed", attempt=n + 1) for n in range(bad)]
        run_file(tmp_path / f"{number}.jsonl", [*rows, attempt("t", attempt=bad + 1)], number)
    command("ingest", ".", cwd=tmp_path)
    [row] = command("report", "--flaky", "--format", "json", cwd=tmp_path).json["flaky"]
    assert row["failure_rate"] == 2 / 12
    # 2 of 14 attempts failed, or 6 of 18.
    assert row["flake_rate"] == pytest.approx(2 * failures / (12 + 2 * failures), rel=0.25)
