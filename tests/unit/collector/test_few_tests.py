"""What the store tells of the few tests that a report found: their phases, and their suite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from testlytics_collector.ingest import ingest
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from tests.factories import attempt, end, header, lines


def write(
    path: Path, number: int, rows: list[dict[str, object]], system: str = "linux", **more: object
) -> str:
    told = header(number, run_id=f"run-{number % 10}", variant={"os": system}, **more)
    path = path / f"{number}.jsonl"
    path.write_bytes(lines(told, *rows, end(len(rows))))
    return str(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    files = []
    for number in range(6):
        rows = [attempt(f"a/x.py::t[{n}]", setup_us=1_000 * (n + 1)) for n in range(3)]
        rows.append(attempt("a/y.py::t", "failed" if number == 2 else "passed", setup_us=7))
        if number == 3:
            rows.append(attempt("a/y.py::t", attempt=2, setup_us=9))
        if number == 4:
            rows[-1].pop("teardown_us")
            rows[-1].pop("setup_us")
        files.append(write(folder, number, rows))
        files.append(write(folder, number + 10, rows[:2], "mac"))
    # The newest run is a small one; a project of its own has a test of the same name.
    files.append(write(folder, 6, [attempt("a/x.py::t[0]")]))
    files.append(write(folder, 20, [attempt("a/x.py::t[0]")], project="other"))
    with open_store(folder / "h.duckdb", write=True) as opened:
        ingest(files, opened)
    return folder / "h.duckdb"


def test_tests_are_counted_by_scope_each_variant_apart(store: Path) -> None:
    scopes = ["", "a/", "a/x.py::", "a/y.py::", "a/x.py::t[", "os=mac", "os=linux", "nobody"]
    with open_store(store) as opened:
        with opened.window(Window()) as asked:
            told = asked.scope_sizes("default", scopes)
            other = asked.scope_sizes("other", scopes[:2])
        with opened.window(Window(variant={"os": "mac"})) as asked:
            mac = asked.scope_sizes("default", scopes[:4])
    assert told == {
        "": 6,
        "a/": 6,
        "a/x.py::": 5,
        "a/y.py::": 1,
        "a/x.py::t[": 5,
        "os=mac": 2,
        "os=linux": 4,
    }
    assert other == {"": 1, "a/": 1}
    assert mac == {"": 2, "a/": 2, "a/x.py::": 2}


def test_phases_are_those_of_the_attempt_that_stands(store: Path) -> None:
    with open_store(store) as opened, opened.window(Window()) as asked:
        durations = next(
            one
            for one in asked.durations(150)
            if (one.project, one.variant) == ("default", "os=linux")
        )
        names = asked.names(durations.tests.tolist())
        keys = [key for key, name in names.items() if name in {"a/x.py::t[2]", "a/y.py::t"}]
        keys.sort(key=lambda key: names[key])
        told = asked.phases(durations, keys)
        nothing = asked.phases(durations, [])
    hole = np.nan
    # It failed in the third run, was tried again in the fourth, and told nothing in the fifth.
    setup = [[3e-3] * 6 + [hole], [7e-6, 7e-6, hole, 9e-6, hole, 7e-6, hole]]
    assert np.allclose(told.setup, setup, equal_nan=True)
    assert np.nanmax(told.teardown) == np.nanmin(told.teardown) == np.float32(1e-3)
    assert np.allclose(told.call[0], [0.098] * 6 + [hole], equal_nan=True)
    assert nothing.setup.shape == (0, 7)
    for row, key in enumerate(keys):
        whole = durations.seconds[durations.tests.tolist().index(key)]
        known = np.isfinite(told.setup[row])
        parts = (told.setup + told.call + told.teardown)[row]
        assert np.allclose(parts[known], whole[known])
