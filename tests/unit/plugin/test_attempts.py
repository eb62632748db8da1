"""What becomes of reports in orders in which the usual plugins do not send them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.plugin.recorded import running_at_the_end
from tests.unit.plugin.reports import USUAL, Bench, Node


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def crew(tmp_path: Path) -> Bench:
    """A bench with two workers."""
    crew = Bench(tmp_path, workers=True)
    crew.attempts.pytest_testnodeready(Node("gw0"))
    crew.attempts.pytest_testnodeready(Node("gw1"))
    return crew


@contextmanager
def sleeping(bench: Bench, seconds: float) -> Iterator[None]:
    """Let the clock say that time went by."""
    bench.slept += seconds
    yield


def test_plain_pass(bench: Bench) -> None:
    bench.go("test_a")
    (attempt,) = bench.recorded().attempts
    assert {key: attempt[key] for key in ("test_id", "attempt", "outcome")} == {
        "test_id": "t.py::test_a",
        "attempt": 1,
        "outcome": "passed",
    }
    assert set(attempt) == {
        "type", "test_id", "attempt", "outcome", "started_us", "setup_us", "call_us", "teardown_us"
    }  # fmt: skip


def test_durations_are_those_of_the_reports_where_they_are_possible(bench: Bench) -> None:
    bench.start("test_a")
    with sleeping(bench, 10.0):
        bench.report("test_a", "setup", duration=1.5)
        bench.report("test_a", "call", duration=2.25)
        bench.report("test_a", "teardown", duration=0.000002)
    (attempt,) = bench.recorded().attempts
    phases = [attempt[f"{phase}_us"] for phase in ("setup", "call", "teardown")]
    assert phases == [1_500_000, 2_250_000, 2]
    assert "clock" not in attempt


@pytest.mark.parametrize("nonsense", [0.0, -1.33e9, 1.33e9, float("nan"), float("inf")])
def test_impossible_durations_are_replaced(bench: Bench, nonsense: float) -> None:
    bench.start("test_a")
    bench.report("test_a", "setup")
    with sleeping(bench, 3.0):
        bench.report("test_a", "call", duration=nonsense)
        bench.report("test_a", "teardown")
    (attempt,) = bench.recorded().attempts
    assert attempt["clock"] == "mocked"
    assert 3_000_000 <= attempt["call_us"] < 4_000_000


def test_frozen_start_in_a_worker_is_not_believed(crew: Bench) -> None:
    crew.start("test_a")
    crew.report("test_a", "setup", worker_id="gw0")
    with sleeping(crew, 2.0):
        crew.report("test_a", "call", worker_id="gw0", duration=1.9, stop=0.0)
    (began,) = [lane.started_us for lane in crew.lanes.busy()]
    assert began > 1_600_000_000_000_000


def test_late_reports_of_busy_workers_are_believed(crew: Bench) -> None:
    with sleeping(crew, 60.0):
        crew.start("test_a")
        for when in ("setup", "call", "teardown"):
            crew.report("test_a", when, worker_id="gw1", duration=15.0)
    (attempt,) = crew.recorded().attempts
    assert (attempt["call_us"], attempt["worker"]) == (15_000_000, "gw1")
    assert "clock" not in attempt


def test_attempt_without_teardown_ends_when_the_next_begins(bench: Bench) -> None:
    bench.start("test_a")
    bench.report("test_a", "setup")
    bench.report("test_a", "call", "rerun", rerun=0)
    bench.go("test_a")
    assert bench.recorded().ends == {"test_a": "failed@call|passed"}


def test_second_setup_without_a_start_is_another_attempt(bench: Bench) -> None:
    bench.start("test_a")
    for _ in range(2):
        bench.report("test_a", "setup")
        bench.report("test_a", "call", "rerun")
    bench.report("test_a", "setup")
    bench.report("test_a", "call")
    bench.report("test_a", "teardown")
    assert bench.recorded().ends == {"test_a": "failed@call|failed@call|passed"}


def test_reports_without_any_start_are_recorded(bench: Bench) -> None:
    for when in ("setup", "call", "teardown"):
        bench.report("test_a", when)
    assert bench.recorded().ends == {"test_a": "passed"}


def test_start_without_any_report_leaves_nothing(bench: Bench) -> None:
    bench.start("test_ghost")
    bench.go("test_a")
    bench.start("test_ghost")
    bench.attempts.finish(None)
    assert bench.recorded().ends == {"test_a": "passed"}
    assert bench.running() == {None: None}


def test_tests_that_run_side_by_side_in_one_process(bench: Bench) -> None:
    bench.start("test_a")
    bench.report("test_a", "setup")
    bench.start("test_b")
    bench.start("test_c")
    for when in ("setup", "call", "teardown"):
        for test in ("test_c", "test_b", "test_a"):
            if (test, when) != ("test_a", "setup"):
                bench.report(
                    test, when, "failed" if (test, when) == ("test_b", "call") else "passed"
                )
    assert bench.recorded().ends == {
        "test_a": "passed",
        "test_b": "failed@call",
        "test_c": "passed",
    }
    assert running_at_the_end(bench.recorded().records) == []
    assert bench.attempts.finish(None) == 3


def test_unknown_word_is_kept(bench: Bench) -> None:
    bench.go("test_a", call="muted")
    (attempt,) = bench.recorded().attempts
    assert (attempt["outcome"], attempt["raw_outcome"]) == ("unknown", "muted")


def test_call_that_nobody_reports_is_unknown(bench: Bench) -> None:
    bench.start("test_a")
    bench.report("test_a", "setup")
    bench.report("test_a", "teardown")
    (attempt,) = bench.recorded().attempts
    assert (attempt["outcome"], attempt["raw_outcome"]) == ("unknown", "not reported")
    assert "call_us" not in attempt


def test_rerun_counts_from_what_the_report_says(tmp_path: Path) -> None:
    bench = Bench(tmp_path, customs=USUAL._replace(late=True))
    bench.start("test_a")
    for when in ("setup", "call", "teardown"):
        bench.report("test_a", when, rerun=2)
    assert [attempt["attempt"] for attempt in bench.recorded().attempts] == [3]


def test_repeated_tests_are_counted_though_others_run_between(tmp_path: Path) -> None:
    bench = Bench(tmp_path, customs=USUAL._replace(repeats=True))
    for test in ("test_a", "test_b", "test_a"):
        bench.go(test)
    assert bench.recorded().ends == {"test_a": "passed|passed", "test_b": "passed"}


def test_wrong_guess_about_workers_is_put_right(crew: Bench) -> None:
    crew.start("test_a")
    crew.start("test_b")
    assert crew.running() == {"gw0": "test_a", "gw1": "test_b"}
    crew.report("test_a", "setup", worker_id="gw1")
    assert crew.running() == {"gw0": "test_b", "gw1": "test_a"}
    assert running_at_the_end(crew.recorded().records) == ["t.py::test_b", "t.py::test_a"]
    crew.report("test_b", "setup", worker_id="gw0")
    for test, worker in (("test_b", "gw0"), ("test_a", "gw1")):
        crew.report(test, "call", worker_id=worker)
        crew.report(test, "teardown", worker_id=worker)
    assert {entry["test_id"]: entry["worker"] for entry in crew.recorded().attempts} == {
        "t.py::test_a": "gw1",
        "t.py::test_b": "gw0",
    }
    assert running_at_the_end(crew.recorded().records) == []


def test_guess_into_an_idle_lane_is_put_right(crew: Bench) -> None:
    crew.start("test_a")
    crew.report("test_a", "setup", worker_id="gw1")
    assert crew.running() == {"gw0": None, "gw1": "test_a"}


def test_same_test_in_every_worker(tmp_path: Path) -> None:
    each = Bench(tmp_path, workers=True, customs=USUAL._replace(repeats=True))
    for worker in ("gw0", "gw1"):
        each.attempts.pytest_testnodeready(Node(worker))
        each.start("test_a")
    for when in ("setup", "call", "teardown"):
        for worker in ("gw1", "gw0"):
            each.report("test_a", when, worker_id=worker)
    assert [(entry["attempt"], entry["worker"]) for entry in each.recorded().attempts] == [
        (1, "gw1"),
        (2, "gw0"),
    ]


def test_crash_takes_over_what_is_known(crew: Bench) -> None:
    crew.start("test_a")
    crew.report("test_a", "setup", worker_id="gw0")
    crew.attempts.pytest_testnodedown(Node("gw0"))
    with sleeping(crew, 5.0):
        crew.report("test_a", "???", "failed", duration=0, worker_id="gw0", longrepr="crashed")
    (attempt,) = crew.recorded().attempts
    assert (attempt["outcome"], attempt["phase"], attempt["worker"]) == ("crashed", "call", "gw0")
    assert 5_000_000 <= attempt["call_us"] < 6_000_000
    crew.start("test_b")
    assert running_at_the_end(crew.recorded().records) == ["t.py::test_b"]


def test_crash_of_which_nothing_else_is_known_has_no_duration(crew: Bench) -> None:
    crew.report("test_a", "???", "failed", duration=0, worker_id="gw7", longrepr="crashed")
    (attempt,) = crew.recorded().attempts
    assert (attempt["outcome"], attempt["worker"]) == ("crashed", "gw7")
    assert not {"setup_us", "call_us", "teardown_us"} & set(attempt)


def test_interruption_keeps_a_failure_that_came_before(bench: Bench) -> None:
    bench.start("test_a")
    bench.report("test_a", "setup")
    bench.report("test_a", "call", "failed")
    bench.attempts.finish({"type": "KeyboardInterrupt"})
    assert bench.recorded().ends == {"test_a": "failed@call"}


def test_groups_are_no_part_of_the_id(tmp_path: Path) -> None:
    bench = Bench(tmp_path, groups=True)
    for test in ("test_a@first", "test_b[x@y]", "test_c[x@y]@second group"):
        bench.go(test)
    assert set(bench.recorded().ends) == {"test_a", "test_b[x@y]", "test_c[x@y]"}
    assert bench.lanes.test_id("pkg@1/t.py::test_a") == "pkg@1/t.py::test_a"


def test_report_that_makes_no_sense_is_left_out_and_counted(bench: Bench) -> None:
    bench.go("test_a")
    bench.attempts.pytest_runtest_logreport("no report")  # type: ignore[arg-type]
    bench.attempts.pytest_runtest_logreport("no report either")  # type: ignore[arg-type]
    bench.attempts.pytest_runtest_logstart(3, None)  # type: ignore[arg-type]
    bench.go("test_b")
    assert bench.attempts.finish(None) == 2
    assert bench.recorded().ends == {"test_a": "passed", "test_b": "passed"}
    assert bench.attempts.left_out == 3
    assert bench.attempts.problem.startswith("AttributeError: ")


def test_report_that_a_plugin_makes_up_in_the_controller_is_recorded(crew: Bench) -> None:
    for when in ("setup", "call", "teardown"):
        crew.report("test_made_up", when)
    (attempt,) = crew.recorded().attempts
    assert (attempt["outcome"], attempt.get("worker")) == ("passed", None)
