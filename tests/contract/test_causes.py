"""What `testlytics report` says of tests that changed together."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.command import Done, command
from tests.factories import attempt, end, header, lines

RUNS = 40
DB = [f"tests/db/test_rows.py::test_{n}" for n in range(6)]
UI = [f"tests/ui/test_page.py::test_{n}" for n in range(30)]
FAR = [f"tests/far_{n}/test_far.py::test_{n}" for n in range(30)]
OTHER = "tests/net/test_url.py::TestUrl::test_join[a/b::c]"


def sha(number: int) -> str:
    return f"{number:02x}" * 20


def write(folder: Path, number: int, rows: list[dict[str, object]]) -> None:
    sources = {"commit": sha(number), "tree_sha": sha(number), "dirty": False, "branch": "main"}
    told = lines(header(number, sources=sources), *rows, end(len(rows)))
    (folder / f"{number:03}.jsonl").write_bytes(told)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fixture of one folder gets slower, another test some runs before, by itself."""
    folder = tmp_path_factory.mktemp("slow")
    dice = random.Random(5)
    for number in range(RUNS):
        rows = []
        for test in [*DB, *UI, OTHER]:
            setup = 0.02 + (0.3 if test in DB and number >= 30 else 0)
            call = 0.2 + (0.5 if test == OTHER and number >= 24 else 0)
            parts = [int(one * dice.uniform(0.97, 1.03) * 1e6) for one in (setup, call)]
            rows.append(attempt(test, setup_us=parts[0], call_us=parts[1]))
        write(folder, number, rows)
    command("ingest", ".", cwd=folder)
    return folder


def report(folder: Path, *words: str) -> Done:
    return command("report", *words, cwd=folder)


def test_a_fixture_that_got_slower_is_one_regression(slow: Path) -> None:
    told = report(slow, "--regressions", "--format", "json").json
    first, second = told["groups"]["regressions"]
    assert [row["group"] for row in told["regressions"]] == [first["group"]] * 6 + [second["group"]]
    assert (first["tests"], first["phase"], first["folded"]) == (6, "setup", False)
    assert first["causes"] == [{"scope": "tests/db/test_rows.py", "hit": 6, "size": 6}]
    assert [first["since_after_commit"], first["since_until_commit"]] == [sha(29), sha(30)]
    assert (second["tests"], second["causes"], second["phase"]) == (1, [], "call")
    assert [second["since_after_commit"], second["since_until_commit"]] == [sha(23), sha(24)]
    assert first["increase_s"] == pytest.approx(6 * 0.3, rel=0.05)
    for row in told["regressions"]:
        assert row["phase_share"] > 0.9
        assert row["since_after_run"].startswith("run-")


def test_people_read_a_line_for_each_cause(slow: Path) -> None:
    out = report(slow, "--regressions").out.splitlines()
    assert out[0] == "Slower tests (7)"
    lead = " ".join(line.strip() for line in out[2:4])
    assert lead == (
        "6 tests since between 1d1d1d1d and 1e1e1e1e, 95 %, one cause likely:"
        " tests/db/test_rows.py (6 of 6), mostly in set-up"
    )
    assert sum("tests/db" in line for line in out[4:]) == 6
    assert "  Since between 17171717 and 18181818, 95 %" in out
    assert max(map(len, out)) <= 80
    marked = report(slow, "--regressions", "--format", "markdown").out
    assert "| | | | | | **6 tests since between" in marked
    assert all(line.count("|") == 7 for line in marked.splitlines() if line.startswith("|"))


def test_many_tests_at_once_are_an_event_of_one_line(tmp_path: Path) -> None:
    dice = random.Random(6)
    hit = dice.sample(FAR, 12)
    # Tests of the other folders make up the suite; the slow ones share nothing.
    for number in range(RUNS):
        rows: list[dict[str, object]] = []
        for test in [*FAR, *UI, *DB]:
            call = 0.2 * dice.uniform(0.97, 1.03) * (1.5 if test in hit and number >= 25 else 1)
            rows.append(attempt(test, call_us=int(call * 1e6)))
        write(tmp_path, number, rows)
    command("ingest", ".", cwd=tmp_path)
    told = report(tmp_path, "--regressions", "--format", "json").json
    [group] = told["groups"]["regressions"]
    assert (group["tests"], group["folded"], told["summary"]["slower"]) == (12, True, 0)
    assert {row["test_id"] for row in told["regressions"]} == set(hit)
    out = report(tmp_path, "--regressions", "--limit", "1").out.splitlines()
    assert out[0] == "Slower tests (0)"
    assert out[1].startswith("  12 of 66 tests at once, since between 18181818 and 19191919, 95 %")
    assert not any("test_far.py" in line for line in out)
    marked = report(tmp_path, "--regressions", "--format", "markdown").out
    assert "12 of 66 tests at once" in marked
    assert "No test got slower." not in marked


def test_runs_of_one_commit_are_told_apart(tmp_path: Path) -> None:
    for number in range(44):
        rows = [
            attempt(f"a.py::test_{n}", call_us=200_000 + 97 * (number * n % 7) * (n + 1))
            for n in range(3)
        ]
        rows.append(attempt("b.py::test", call_us=1_500_000 if number >= 30 else 500_000))
        told = header(number, sources={"commit": "c" * 40, "dirty": False})
        (tmp_path / f"{number}.jsonl").write_bytes(lines(told, *rows, end(len(rows))))
    command("ingest", ".", cwd=tmp_path)
    out = report(tmp_path, "--regressions").out
    assert "  Since between two runs of cccccccc, 95 %\n" in out


def outcome(test: str, number: int) -> str:
    """Half of a folder breaks at once, a test of another one later."""
    since = 30 if test in DB[:3] else 35 if test == OTHER else RUNS
    return "failed" if number >= since else "passed"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    for number in range(RUNS):
        tests = [*DB, *UI, *FAR, OTHER]
        write(folder, number, [attempt(test, outcome(test, number)) for test in tests])
    # The newest run is of a few tests: it does not say how large the suite is.
    write(folder, RUNS, [attempt(DB[0], "failed")])
    command("ingest", ".", cwd=folder)
    return folder


def test_tests_that_broke_at_one_place_are_told_together(broken: Path) -> None:
    told = report(broken, "--broken", "--format", "json").json
    groups = {one["tests"]: one for one in told["groups"]["broken"]}
    assert set(groups) == {3, 1}
    assert groups[3]["causes"] == [{"scope": "tests/db/test_rows.py", "hit": 3, "size": 6}]
    assert [groups[3][f"since_{end}_commit"] for end in ("after", "until")] == [sha(29), sha(30)]
    assert [row["group"] for row in told["broken"]] == [groups[1]["group"]] + [
        groups[3]["group"]
    ] * 3
    assert told["broken"][1]["broken_last_run"] == "run-30"
    assert told["broken"][1]["last_good_run"] == "run-29"


def test_people_read_what_broke_together(broken: Path) -> None:
    out = report(broken, "--broken").out.splitlines()
    assert out[0] == "Broken tests (4)"
    text = " ".join(line.strip() for line in out)
    assert (
        "3 tests broken since between 1d1d1d1d and 1e1e1e1e, 99 %, one cause likely:"
        " tests/db/test_rows.py (3 of 6)"
    ) in text
    assert "  Since between 22222222 and 23232323, 99 %" in out
    assert max(map(len, out)) <= 80


def test_a_test_that_broke_alone_has_no_line_of_its_own(tmp_path: Path) -> None:
    for number in range(12):
        rows = [attempt("a.py::t", "failed" if number > 8 else "passed"), attempt("b.py::t")]
        write(tmp_path, number, rows)
    command("ingest", ".", cwd=tmp_path)
    assert "Since between" not in report(tmp_path, "--broken").out
    [group] = report(tmp_path, "--broken", "--format", "json").json["groups"]["broken"]
    assert (group["tests"], group["text"], group["causes"]) == (1, "", [])
