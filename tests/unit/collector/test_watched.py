"""Asking for a few tests by name."""

from __future__ import annotations

from pathlib import Path

from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from testlytics_collector.store.watched import Said, Seen, Watched
from tests.gating import History, failing, passing


def asked(store: Path, *names: str, **window: object) -> Watched:
    chosen = Window(**window)  # type: ignore[arg-type]
    with open_store(store) as opened, opened.window(chosen) as reader:
        return reader.watched(list(names))


def filled(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    store = folder / "h.duckdb"
    with History(store) as history:
        linux, windows = {"os": "linux"}, {"os": "windows"}
        history.run(passing("a::t[1]", "a::t[2]", "a::other"), variant=linux)
        history.run(failing({"a::t[1]": "no", "a::t[2]": "never"}), variant=windows)
        history.run([*failing({"a::t[1]": "no"}), *passing("a::t[1]", "a::late")], variant=linux)
    return store


def test_family_stands_for_its_tests_and_variants_stay_apart(tmp_path: Path) -> None:
    store = filled(tmp_path)
    found = asked(store, "a::t", "a::late", "a::none", "a::t[1")
    assert found.known == [("p", "a::late"), ("p", "a::t[1]"), ("p", "a::t[2]")]
    assert found.seen == {
        ("p", "a::late", "os=linux"): [Seen(2, 1, 0, 0)],
        ("p", "a::t[1]", "os=linux"): [Seen(0, 1, 0, 0), Seen(2, 1, 1, 0)],
        ("p", "a::t[1]", "os=windows"): [Seen(1, 0, 1, 0)],
        ("p", "a::t[2]", "os=linux"): [Seen(0, 1, 0, 0)],
        ("p", "a::t[2]", "os=windows"): [Seen(1, 0, 1, 0)],
    }
    assert found.said == {
        ("p", "a::t[1]", "os=linux"): [Said(2, "AssertionError", "no", None)],
        ("p", "a::t[1]", "os=windows"): [Said(1, "AssertionError", "no", None)],
        ("p", "a::t[2]", "os=windows"): [Said(1, "AssertionError", "never", None)],
    }


def test_window_bounds_the_runs_and_not_what_is_known(tmp_path: Path) -> None:
    found = asked(filled(tmp_path), "a::t[2]", "a::late", last=1)
    assert found.known == [("p", "a::late"), ("p", "a::t[2]")]
    assert found.seen == {("p", "a::late", "os=linux"): [Seen(0, 1, 0, 0)]}
    assert asked(filled(tmp_path / "x"), last=1) == Watched([], {}, {})


def test_history_of_a_renamed_test_goes_on(tmp_path: Path) -> None:
    found = asked(filled(tmp_path), "a::late", aliases=(("a::t[2]", "a::late"),))
    assert found.seen["p", "a::late", "os=linux"] == [Seen(0, 1, 0, 0), Seen(2, 1, 0, 0)]
    assert found.said["p", "a::late", "os=windows"] == [Said(1, "AssertionError", "never", None)]
