"""Asking everything about one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testlytics_collector.records import Attempt, Note, NoteKind, Outcome
from testlytics_collector.store.one_test import OneTest, Seen
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from tests.gating import History, failing, passing

NAMES = ("a.py::test_pay[1]", "a.py::test_pay[2]", "b.py::test_pay", "b.py::test_repay", "c.py::x]")


@contextmanager
def asked(store: Path, **window: object) -> Iterator[OneTest]:
    chosen = Window(**window)  # type: ignore[arg-type]
    with open_store(store) as opened, opened.window(chosen) as reader:
        yield reader.one_test()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "h.duckdb"
    with History(path) as history:
        history.run(passing(*NAMES), variant={"os": "linux"})
        again = Attempt(
            NAMES[2], 2, Outcome.PASSED, 900, 100, 200, notes=(Note(NoteKind.TAG, "owner", "@me"),)
        )
        told = [*failing({NAMES[2]: "no"}, place="b.py:7"), again]
        history.run(told, variant={"os": "linux"})
        history.run(passing(NAMES[2], us=400), variant={"os": "mac"})
    return path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("b.py::test_pay", ["b.py::test_pay"]),
        ("a.py::test_pay", ["a.py::test_pay[1]", "a.py::test_pay[2]"]),
        ("test_pay", ["a.py::test_pay[1]", "a.py::test_pay[2]", "b.py::test_pay"]),
        ("pay[2]", ["a.py::test_pay[2]"]),
        ("repay", ["b.py::test_repay"]),
        ("%", []),
        ("", []),
        ("test_PAY", []),
    ],
)
def test_what_a_text_means(store: Path, text: str, names: list[str]) -> None:
    with asked(store) as one:
        assert [test.test_id for test in one.fitting(text)] == names


def test_near_misses_come_by_likeness(store: Path) -> None:
    with asked(store) as one:
        assert one.alike("b.py::test_repai", 2)[0] == "b.py::test_repay"
        assert len(one.alike("anything", 3)) == 3


def test_attempts_times_and_words_of_each_run(store: Path) -> None:
    with asked(store) as one:
        [test] = one.fitting("b.py::test_pay")
        found = one.seen([test.key])
        assert one.owner_tags([test.key]) == {("p", "b.py::test_pay"): "@me"}
        assert one.variant_steps("p", "os=linux") == [0, 1]
        assert one.variant_steps("q", "os=linux") == []
    none = (None, None, None)
    assert found == {
        ("p", "b.py::test_pay", "os=linux"): [
            Seen(0, ["passed"], 1, 0, 0, 100_000, None, None, *none),
            Seen(1, ["failed", "passed"], 1, 1, 0, 900, 100, 200, "AssertionError", "no", "b.py:7"),
        ],
        ("p", "b.py::test_pay", "os=mac"): [Seen(2, ["passed"], 1, 0, 0, 400, None, None, *none)],
    }


def test_others_beside_it_are_of_the_same_variant(store: Path) -> None:
    with asked(store) as one:
        [test] = one.fitting("test_repay")
        # The newest upload on linux holds one other test that passed.
        [pay] = one.fitting("b.py::test_pay")
        assert one.beside("os=linux", [0, 1], [test.key], 5) == {
            (pay.key, 0): 100_000,
            (pay.key, 1): 900,
        }
        assert one.beside("os=mac", [2], [pay.key], 5) == {}


def test_old_name_is_found_under_the_new_one(store: Path) -> None:
    pairs = (("b.py::test_repay", "b.py::test_refund"),)
    with asked(store, aliases=pairs) as one:
        [test] = one.fitting("test_refund")
        assert list(one.seen([test.key])) == [("p", "b.py::test_refund", "os=linux")]
        assert one.fitting("test_repay") == []
