"""`testlytics explain`: every piece of evidence behind a verdict."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from testlytics.report.sections import seconds
from tests.command import Done, command
from tests.factories import attempt, end, header, history, lines

NOTHING: dict[str, object] = {}
FLAKY = "PPPPLPPPPPFPPPPLPPPP" * 2
BROKEN = "P" * 30 + "F" * 10


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty runs of a flaky, a broken, a slower and many other tests."""
    folder = tmp_path_factory.mktemp("explain")
    (folder / "pyproject.toml").touch()
    (folder / "CODEOWNERS").write_text("a.py @team/a\n")
    draw = Random(3)
    others = {f"c.py::t{n}": "P" * 40 for n in range(14)}
    tests = {"a.py::test_flaky[x]": FLAKY, "a.py::test_flaky[y]": "P" * 40}
    tests |= {"b.py::test_broken": BROKEN, "b.py::test_slow": "P" * 40, **others}
    took = {name: [0.2 * (1 + 0.05 * draw.random()) for _ in range(40)] for name in others}
    took["b.py::test_slow"] = [
        (0.1 if n < 25 else 0.15) * (1 + 0.03 * draw.random()) for n in range(40)
    ]
    history(folder, tests, took)
    assert command("ingest", ".", cwd=folder).code == 0
    return folder


def told(project: Path, *arguments: object) -> list[dict[str, Any]]:
    done = command("explain", *arguments, "--format", "json", cwd=project)
    assert done.code == 0, done.err
    assert done.json["schema"] == 1
    tests: list[dict[str, Any]] = done.json["tests"]
    return tests


def test_flaky_test_with_its_evidence(project: Path) -> None:
    [test] = told(project, "test_flaky[x]")
    assert (test["test_id"], test["family"], test["owner"]) == (
        "a.py::test_flaky[x]",
        "a.py::test_flaky",
        "@team/a",
    )
    [one] = test["variants"]
    assert (one["variant"], one["status"], one["grade"]) == ("os=linux", "flaky", "proven")
    assert one["strip"] == FLAKY.replace("P", ".").replace("L", "~")
    proven = [pair["failed_run"] for pair in one["pairs"] if pair["grade"] == "proven"]
    assert proven == ["run-35", "run-24", "run-15", "run-4"]
    assert one["pairs"][0]["failed_attempts"] == ["failed", "passed"]
    suspected = [pair for pair in one["pairs"] if pair["grade"] == "suspected"]
    assert [(pair["failed_run"], pair["passed_run"]) for pair in suspected] == [
        ("run-30", "run-31"),
        ("run-10", "run-11"),
    ]
    [cause] = one["causes"]
    assert (cause["runs"], cause["first_run"], cause["last_run"]) == (6, "run-4", "run-35")
    assert len(one["runs_seen"]) == 40
    assert [failure["run_id"] for failure in one["failures"]][:2] == ["run-35", "run-30"]


def test_verdict_is_that_of_the_report(project: Path) -> None:
    flaky = command("report", "--flaky", "--format", "json", cwd=project).json["flaky"]
    [test] = told(project, "a.py::test_flaky[x]")
    [one] = test["variants"]
    [row] = [row for row in flaky if row["test_id"] == test["test_id"]]
    assert {name: one[name] for name in row if name in one} == {
        name: value for name, value in row.items() if name not in {"project", "test_id"}
    }


def test_broken_test_says_since_when(project: Path) -> None:
    [test] = told(project, "test_broken")
    [one] = test["variants"]
    assert one["status"] == "broken"
    assert one["last_good_run"] == "run-29"
    [change] = one["changes"]
    assert (change["at_run"], change["before_failed"], change["behind_failed"]) == ("run-30", 0, 10)
    place = [int(change[f"{end}_run"].removeprefix("run-")) for end in ("after", "at", "until")]
    assert place[0] < place[1] <= place[2]
    table = command("explain", "test_broken", cwd=project).out
    assert "Broken since" in table
    assert "FFFFFFFFFF" in table


def test_slower_test_says_by_how_much(project: Path) -> None:
    [test] = told(project, "test_slow")
    [one] = test["variants"]
    first, second = one["levels"]
    assert not first["matters"]
    assert second["matters"]
    assert second["ratio"] == pytest.approx(1.5, rel=0.03)
    assert second["from_run"] == "run-25"
    assert one["machine"]
    base = one["baseline"]
    assert base["low_s"] < base["median_s"] == second["median_s"] < base["high_s"]
    assert sum(part["share"] for part in one["phases"]) == pytest.approx(1)
    said = f"Slower by {second['ratio']:.2f}, to {seconds(second['median_s'])} for 15 runs"
    assert said in " ".join(command("explain", "test_slow", cwd=project).out.split())


def test_family_is_told_with_the_worst_first(project: Path) -> None:
    tests = told(project, "test_flaky")
    assert [test["test_id"] for test in tests] == ["a.py::test_flaky[x]", "a.py::test_flaky[y]"]
    limited = command("explain", "test_flaky", "--limit", 1, cwd=project).out
    assert "test_flaky[y]" not in limited


def test_text_that_means_several_tests_says_which(project: Path) -> None:
    done = command("explain", "1", cwd=project)
    assert done.code == 2
    assert "'1' means 2 tests: c.py::t1, c.py::t11." in done.err


def test_unknown_test_gets_near_misses(project: Path) -> None:
    done = command("explain", "test_brokn", cwd=project)
    assert (done.code, done.out) == (5, "")
    assert "Near it: b.py::test_broken" in done.err


def test_known_test_that_is_not_in_the_window(project: Path) -> None:
    assert command("explain", "test_broken", "--variant", "os=mac", cwd=project).code == 5
    assert command("explain", "test_broken", "--branch", "none", cwd=project).code == 5


@pytest.mark.parametrize("name", ["test_flaky", "test_broken", "test_slow"])
def test_table_fits_into_eighty_columns(project: Path, name: str) -> None:
    table = command("explain", name, cwd=project).out
    assert max(map(len, table.splitlines())) <= 80


def test_markdown_has_a_heading_for_each_test(project: Path) -> None:
    text = command("explain", "test_flaky", "--format", "markdown", cwd=project).out
    assert text.startswith("## a.py::test_flaky[x]\n\n- Owner: &#64;team/a\n\n### os=linux: flaky")
    assert "```text\n....~" in text


def run_of(number: int, variant: str, rows: list[dict[str, object]], **more: object) -> bytes:
    top = header(
        number, run_id=f"run-{number}", upload_id=f"{number}-{variant}", variant={"os": variant}
    )
    return lines({**top, **more}, *rows, end(len(rows)))


def ingested(folder: Path, files: list[bytes]) -> None:
    (folder / "pyproject.toml").touch()
    for number, content in enumerate(files):
        (folder / f"{number:03}.jsonl").write_bytes(content)
    done = command("ingest", ".", cwd=folder)
    assert done.code == 0, done.err


def test_environment_and_quarantine_are_told(tmp_path: Path) -> None:
    files = []
    for number in range(20):
        for variant in ("linux", "windows"):
            failed = variant == "windows" and number % 3 == 0
            outcome = "failed" if failed else "passed"
            failure = {"failure": {"type": "E", "message": "no socket 1"}} if failed else NOTHING
            files.append(run_of(number, variant, [attempt("a::t", outcome, **failure)]))
    ingested(tmp_path, files)
    day = '[[quarantine]]\ntest = "a::t"\nowner = "me"\nreason = "why"\nexpires = 2001-01-01\n'
    (tmp_path / "quarantine.toml").write_text(f"schema = 1\n{day}")
    [test] = told(tmp_path, "a::t")
    [found] = test["environments"]
    assert (found["pairs"], found["failed"], found["of"]) == (["os=windows"], 7, 20)
    assert (found["failed_elsewhere"], found["of_elsewhere"], found["only_there"]) == (0, 20, True)
    assert test["quarantine"]["expired"]
    assert [one["variant"] for one in test["variants"]] == ["os=windows", "os=linux"]
    table = command("explain", "a::t", cwd=tmp_path).out
    assert "Fails only with os=windows: 7 of 20 there, 0 of 20 elsewhere" in table
    assert "Quarantine expired on 2001-01-01, me: why" in table


def test_equal_sources_that_disagree_are_strong_evidence(tmp_path: Path) -> None:
    sources = {"commit": "a" * 40, "tree_sha": "b" * 40, "dirty": False, "branch": "main"}
    outcomes = ["passed", "failed", "passed"]
    files = [
        run_of(n, "linux", [attempt("a::t", outcome)], sources=sources)
        for n, outcome in enumerate(outcomes)
    ]
    ingested(tmp_path, files)
    [test] = told(tmp_path, "a::t")
    [one] = test["variants"]
    assert [(p["grade"], p["failed_run"], p["passed_run"]) for p in one["pairs"]] == [
        ("strong", "run-1", "run-0")
    ]


HOSTILE = "t[\x1b[31m\u202e|`<b>@me]"


def test_hostile_names_and_messages_do_no_harm(tmp_path: Path) -> None:
    said = {"type": "E\x1b[2J", "message": "<img>|\x1b]0;x\x07 @all\n```"}
    ingested(
        tmp_path,
        [run_of(n, "x\u202e|", [attempt(HOSTILE, "failed", failure=said)]) for n in range(3)],
    )
    for form in ("table", "markdown"):
        done: Done = command("explain", "t", "--format", form, cwd=tmp_path)
        assert done.code == 0, done.err
        assert not {"\x1b", "\u202e", "\x07"} & set(done.out)
        if form == "markdown":
            assert "<img>" not in done.out
            assert "@all" not in done.out
    assert told(tmp_path, "t")[0]["test_id"] == HOSTILE


def test_test_that_was_only_skipped_has_no_verdict(tmp_path: Path) -> None:
    ingested(tmp_path, [run_of(n, "linux", [attempt("a::t", "skipped")]) for n in range(3)])
    [test] = told(tmp_path, "a::t")
    [one] = test["variants"]
    assert (one["status"], one["p_flaky"], one["strip"]) == ("unknown", None, "sss")
    assert "No run counts" in command("explain", "a::t", cwd=tmp_path).out


def test_run_in_which_much_of_the_suite_failed_does_not_count(tmp_path: Path) -> None:
    names = [f"a::t{number}" for number in range(30)]
    files = [
        run_of(n, "linux", [attempt(name, "failed" if n == 12 else "passed") for name in names])
        for n in range(20)
    ]
    ingested(tmp_path, files)
    [test] = told(tmp_path, "a::t7")
    [one] = test["variants"]
    assert one["strip"] == "." * 12 + "x" + "." * 7
    assert (one["status"], one["ignored"], one["pairs"]) == ("stable", 1, [])
    assert [(row["run_id"], row["counts"]) for row in one["failures"]] == [("run-12", False)]


def test_runs_without_the_test_leave_a_gap(tmp_path: Path) -> None:
    rows = [attempt("a::other"), attempt("a::t")]
    ingested(tmp_path, [run_of(n, "linux", rows[: 1 + (n in {1, 3})]) for n in range(5)])
    [test] = told(tmp_path, "a::t")
    assert test["variants"][0]["strip"] == ".-.-"


def test_renamed_test_keeps_its_past(tmp_path: Path) -> None:
    ids = ["a::old"] * 3 + ["a::new"] * 2
    ingested(tmp_path, [run_of(n, "linux", [attempt(name)]) for n, name in enumerate(ids)])
    names = '[[rename]]\nold = "a::old"\nnew = "a::new"\n'
    (tmp_path / "testlytics-renames.toml").write_text(names)
    [test] = told(tmp_path, "a::new")
    assert test["variants"][0]["strip"] == "....."
