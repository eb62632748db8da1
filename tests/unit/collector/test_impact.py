"""What jobs took, which tests failed in them, and what they said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from testlytics_collector.ingest import ingest
from testlytics_collector.store.impact import Job, OnPath, Said, Trouble
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from tests.factories import START_US, attempt, end, header, history, lines

S = 1_000_000
VARIANT = "os=linux"


def upload(
    folder: Path,
    rows: Sequence[Mapping[str, object]],
    *,
    run: int = 0,
    shard: str | None = None,
    run_attempt: int = 1,
    took_us: int = 0,
    exit_status: int | None = 1,
) -> None:
    """Write a run file that took so long; one that does not say where that is 0."""
    number = len(list(folder.glob("*.jsonl")))
    ci = {"provider": "github", "run_attempt": run_attempt, "shard": shard}
    head = header(run, upload_id=f"{number:032x}", ci=ci)
    began = START_US + run * 3_600 * S
    text = lines(head, *rows, end(len(rows), ended_us=began + took_us, exit_status=exit_status))
    (folder / f"{number:02}.jsonl").write_bytes(text)


def took(name: str, seconds: float, outcome: str = "passed", **more: object) -> dict[str, object]:
    phases = {"setup_us": 0, "call_us": round(seconds * S), "teardown_us": 0}
    return attempt(name, outcome, **{**phases, **more})


class Asked:
    """What a store of the files of a folder says."""

    def __init__(self, folder: Path, window: Window | None = None) -> None:
        store = folder / "h.duckdb"
        if not store.exists():
            with open_store(store, write=True) as opened:
                ingest([str(path) for path in sorted(folder.glob("*.jsonl"))], opened)
        with open_store(store) as opened, opened.window(window or Window()) as asked:
            self.jobs = asked.jobs()
            self.troubles = asked.troubles()
            self.path = asked.critical_path(3)
            self.said = asked.said()


def test_a_job_takes_its_longest_worker(tmp_path: Path) -> None:
    rows = [took("a", 4, worker="gw0"), took("b", 3, worker="gw1"), took("c", 2, worker="gw1")]
    upload(tmp_path, rows)
    asked = Asked(tmp_path)
    assert asked.jobs == [Job(0, VARIANT, 1, 5, 9, 5, 2, passed=False)]
    assert asked.path == [
        OnPath("default", "b", VARIANT, 1, 3),
        OnPath("default", "c", VARIANT, 1, 2),
    ]


def test_a_job_takes_from_its_start_to_its_end_where_that_is_known(tmp_path: Path) -> None:
    upload(tmp_path, [took("a", 4)], took_us=9 * S)
    assert Asked(tmp_path).jobs == [Job(0, VARIANT, 1, 9, 4, 4, 1, passed=False)]


def test_shards_are_machines_of_one_job(tmp_path: Path) -> None:
    upload(tmp_path, [took("a", 4)], shard="1/2", took_us=6 * S)
    upload(tmp_path, [took("b", 5)], shard="2/2", took_us=7 * S)
    asked = Asked(tmp_path)
    assert asked.jobs == [Job(0, VARIANT, 1, 13, 9, 5, 2, passed=False)]
    assert [one.test_id for one in asked.path] == ["b"]


@pytest.mark.parametrize(
    ("statuses", "passed"), [([0, 0], True), ([0, 1], False), ([0, None], False), ([None], False)]
)
def test_a_job_passed_where_all_of_it_says_so(
    tmp_path: Path, statuses: list[int | None], passed: bool
) -> None:
    for number, status in enumerate(statuses):
        upload(tmp_path, [took("a", 1, "failed")], shard=f"{number}/2", exit_status=status)
    assert [job.passed for job in Asked(tmp_path).jobs] == [passed]


def test_a_run_started_again_is_another_job(tmp_path: Path) -> None:
    upload(tmp_path, [took("a", 4, "failed"), took("b", 1)])
    upload(tmp_path, [took("a", 3)], run_attempt=2)
    asked = Asked(tmp_path)
    assert [one[:4] for one in asked.jobs] == [(0, VARIANT, 1, 5), (0, VARIANT, 2, 3)]
    assert asked.troubles == [Trouble("default", "a", VARIANT, 0, 1, 1, 1, True, 4)]
    assert asked.path[0] == OnPath("default", "a", VARIANT, 2, 7)


def test_attempts_made_again(tmp_path: Path) -> None:
    rows = [
        took("red", 2, "failed"),
        took("red", 3, "errored", attempt=2),
        took("green", 2, "failed"),
        took("green", 3, attempt=2),
        took("skipped", 1, "skipped"),
        took("calm", 1),
    ]
    upload(tmp_path, rows)
    assert Asked(tmp_path).troubles == [
        Trouble("default", "green", VARIANT, 0, 1, 1, 2, False, 2),
        Trouble("default", "red", VARIANT, 0, 1, 2, 2, True, 5),
    ]


def test_only_the_longest_tests_of_the_path(tmp_path: Path) -> None:
    upload(tmp_path, [took(name, number + 1) for number, name in enumerate("abcde")])
    assert [(one.test_id, one.seconds) for one in Asked(tmp_path).path] == [
        ("e", 5),
        ("d", 4),
        ("c", 3),
    ]


def test_what_failures_say(tmp_path: Path) -> None:
    told = {"type": "KeyError", "message": "no such key", "place": "a.py:3"}
    upload(tmp_path, [took("a", 1, "failed", failure=told), took("b", 1, "failed", failure=told)])
    upload(tmp_path, [took("a", 1), took("b", 1, "failed", failure=told)], run=1)
    said = Asked(tmp_path).said
    assert [(one.step, one.failures) for one in said] == [(0, 1), (0, 1), (1, 1)]
    assert {one[2:5] for one in said} == {("KeyError", "no such key", "a.py:3")}
    assert said[2].key in {one.key for one in said[:2]}
    assert said[0].key != said[1].key
    assert isinstance(said[0], Said)


def test_a_window_and_a_new_name_are_followed(tmp_path: Path) -> None:
    history(tmp_path, {"old": "FP..", "new": "..FP", "b": "PFPF"})
    asked = Asked(tmp_path, Window(aliases=(("old", "new"),)))
    assert [(one.test_id, one.step) for one in asked.troubles] == [
        ("b", 1),
        ("b", 3),
        ("new", 0),
        ("new", 2),
    ]
    newest = Asked(tmp_path, Window(last=1))
    assert [one.step for one in newest.jobs] == [0]
    assert [one.test_id for one in newest.troubles] == ["b"]


@pytest.mark.parametrize("outcome", ["skipped", "interrupted"])
def test_a_job_without_durations(tmp_path: Path, outcome: str) -> None:
    upload(tmp_path, [{"type": "attempt", "test_id": "a", "attempt": 1, "outcome": outcome}])
    asked = Asked(tmp_path)
    assert asked.jobs == [Job(0, VARIANT, 1, 0, 0, 0, 1, passed=False)]
    assert (asked.troubles, asked.path, asked.said) == ([], [], [])
