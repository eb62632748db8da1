"""When tests come and go, and how many are tried again."""

from __future__ import annotations

from pathlib import Path

from testlytics_collector.ingest import ingest
from testlytics_collector.store.growth import Tries
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from tests.factories import attempt, history, run_file

LETTERS = {
    "always": "PPPPPPPP",
    "broken": "PPPFFFFF",
    "comes": "SSSPPPPP",
    "goes": "PPPPSSSS",
    "never": "FFFFFFFF",
}


def stored(folder: Path, files: list[Path]) -> Path:
    with open_store(folder / "h.duckdb", write=True) as opened:
        ingest([str(path) for path in files], opened)
    return folder / "h.duckdb"


def test_stays(tmp_path: Path) -> None:
    store = stored(tmp_path, history(tmp_path, LETTERS))
    with open_store(store) as opened, opened.window(Window()) as asked:
        [durations] = asked.durations(100)
        told = asked.stays(durations)
        [newest] = asked.durations(3)
        late = asked.stays(newest)
        names = asked.names([int(key) for key in durations.tests])
    by_name = {
        names[key]: (first, last)
        for key, first, last in zip(
            durations.tests.tolist(), told.first.tolist(), told.last.tolist(), strict=True
        )
    }
    assert by_name == {"always": (0, 7), "broken": (0, 7), "comes": (3, 7), "goes": (0, 3)}
    assert late.first.tolist() == [0] * 4
    assert late.last.tolist() == [-1 if names[key] == "goes" else 2 for key in names]


def test_stays_of_each_project_and_variant(tmp_path: Path) -> None:
    files = []
    for number in range(8):
        path = run_file(tmp_path / f"{number}.jsonl", [attempt("t"), attempt("u")], number)
        text = path.read_text().replace('"linux"', '"linux"' if number % 2 else '"mac"')
        path.write_text(text.replace('"default"', '"other"') if number > 5 else text)
        files.append(path)
    with open_store(stored(tmp_path, files)) as opened, opened.window(Window()) as asked:
        told = sorted(
            (one.project, one.variant, *(ends.tolist() for ends in asked.stays(one)))
            for one in asked.durations(100)
        )
    assert told == [
        ("default", "os=linux", [0, 0], [2, 2]),
        ("default", "os=mac", [0, 0], [2, 2]),
        ("other", "os=linux", [0, 0], [0, 0]),
        ("other", "os=mac", [0, 0], [0, 0]),
    ]


def test_fresh_tests(tmp_path: Path) -> None:
    store = stored(tmp_path, history(tmp_path, LETTERS | {"late": "......PP"}))
    with open_store(store) as opened:
        for last, expected in ((3, {"late"}), (2, {"late"}), (1, set())):
            with opened.window(Window(last=last)) as asked:
                fresh = asked.fresh_tests()
                assert set(asked.names(fresh).values()) == expected


def test_tries(tmp_path: Path) -> None:
    runs = [
        [attempt("t", "failed"), attempt("t", attempt=2), attempt("u"), attempt("s", "skipped")],
        [attempt("t"), attempt("t", attempt=2), attempt("u", "failed")],  # repeated, none retried
        [attempt("t", "failed"), attempt("t", "failed", attempt=2), attempt("u")],
    ]
    files = [run_file(tmp_path / f"{n}.jsonl", rows, n) for n, rows in enumerate(runs)]
    with open_store(stored(tmp_path, files)) as opened, opened.window(Window()) as asked:
        told = asked.tries()
    assert told == [
        Tries(0, "os=linux", 2, 1),
        Tries(1, "os=linux", 2, 0),
        Tries(2, "os=linux", 2, 1),
    ]
