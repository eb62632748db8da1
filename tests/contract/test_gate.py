"""What the gate finds, and what of it blocks."""

from __future__ import annotations

import json
import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from testlytics.gate.findings import GateResult, policy
from testlytics.gate.judge import gate, mark
from testlytics.gate.markdown import as_markdown
from testlytics_collector.errors import ConfigError, NotFoundError
from testlytics_collector.records import Attempt, Failure, Outcome
from tests.command import command
from tests.gating import History, failing, passing

TESTS = [f"tests/test_{n % 3}.py::test_{n}" for n in range(20)]
SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "gate.schema.json"
HOSTILE = "::error::x</details><script>alert(1)</script>|`\x1b[31m\u202e\r\n%0A@all #1"


def base(history: History, runs: int = 20, flaky: str | None = None) -> None:
    """Runs of main; where named, a test fails in some of them and says `timeout after N s`."""
    for number in range(runs):
        if flaky and number % 6 == 2:
            others = [name for name in TESTS if name != flaky]
            history.run([*passing(*others), *failing({flaky: f"timeout after {number} s"})])
        else:
            history.run(passing(*TESTS))


def kinds(result: GateResult) -> list[tuple[str, str, str | None]]:
    return [(one.kind, one.level, one.test_id) for one in result.findings]


def judged(path: Path, **options: object) -> GateResult:
    return gate(path, **options)  # type: ignore[arg-type]


def test_a_run_like_those_before_passes(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        base(history)
        history.run(passing(*TESTS), branch="topic", pull_request="7")
    result = judged(tmp_path / "h.duckdb")
    assert (result.verdict, result.findings) == ("passed", [])
    assert (result.baseline_branch, result.baseline_runs, result.pull_request) == ("main", 20, "7")


def test_a_test_that_passed_before_and_a_new_one_block_where_they_fail(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        base(history)
        history.run([*passing(*TESTS[1:]), *failing({TESTS[0]: "no", "new.py::test": "no"})])
    result = judged(tmp_path / "h.duckdb")
    assert result.verdict == "blocked"
    assert kinds(result) == [
        ("new-failure", "block", "new.py::test"),
        ("new-failure", "block", TESTS[0]),
    ]
    new, known = result.findings
    assert new.reason == "a new test, and it fails"
    assert known.reason == "passed in all 20 runs before"
    [cause] = result.causes
    assert (cause.failures, cause.is_new) == (2, True)


def test_too_little_history_blocks_nothing_and_says_what_is_missing(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        base(history, runs=3)
        history.run(failing(dict.fromkeys(TESTS[:2], "no")))
    result = judged(tmp_path / "h.duckdb")
    assert result.verdict == "not judged"
    assert [leg.needed_runs for leg in result.legs] == [2]
    assert {level for _, level, _ in kinds(result)} == {"warn"}
    assert judged(tmp_path / "h.duckdb", policy=policy(None, None, 3)).verdict == "blocked"


def test_a_flake_passes_and_what_it_never_said_blocks(tmp_path: Path) -> None:
    flaky = TESTS[4]
    others = [name for name in TESTS if name != flaky]
    with History(tmp_path / "h.duckdb") as history:
        base(history, runs=40, flaky=flaky)
        history.run(
            [*passing(*others), *failing({flaky: "timeout after 99 s"})], branch="a", run_id="a"
        )
        history.run([*passing(*others), *failing({flaky: "KeyError: 'x'"})], branch="b", run_id="b")
    known = judged(tmp_path / "h.duckdb", run_id="a")
    assert (known.verdict, kinds(known)) == ("passed", [("known-flake", "warn", flaky)])
    news = judged(tmp_path / "h.duckdb", run_id="b")
    assert (news.verdict, kinds(news)) == ("blocked", [("flaky-new-failure", "block", flaky)])
    assert news.findings[0].details["new_text"] is True
    assert judged(tmp_path / "h.duckdb", run_id="a").causes[0].first_run == "run-2"


def test_a_flake_that_fails_too_often_in_one_change_blocks(tmp_path: Path) -> None:
    flaky = TESTS[4]
    others = [name for name in TESTS if name != flaky]
    with History(tmp_path / "h.duckdb") as history:
        base(history, runs=40, flaky=flaky)
        for _ in range(4):
            history.run([*passing(*others), *failing({flaky: "timeout after 1 s"})], branch="a")
    result = judged(tmp_path / "h.duckdb")
    assert result.change_runs == 3
    assert kinds(result) == [("flaky-new-failure", "block", flaky)]
    assert result.findings[0].details["failed"] == 4


def test_what_was_broken_before_is_told_and_blocks_nothing(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        base(history)
        for branch in ("main", "main", "main", "topic"):
            history.run([*passing(*TESTS[1:]), *failing({TESTS[0]: "no"})], branch=branch)
    result = judged(tmp_path / "h.duckdb")
    assert (result.verdict, kinds(result)) == ("passed", [("broken-before", "warn", TESTS[0])])


def test_a_retry_that_passed_is_told_once(tmp_path: Path) -> None:
    retried = [
        Attempt(TESTS[0], 1, Outcome.FAILED, 1, failure=Failure("E", "no", None, None)),
        Attempt(TESTS[0], 2, Outcome.PASSED, 1),
    ]
    with History(tmp_path / "h.duckdb") as history:
        base(history)
        history.run([*passing(*TESTS[1:]), *retried], branch="topic")
    result = judged(tmp_path / "h.duckdb")
    assert (result.verdict, kinds(result)) == ("passed", [("new-flake", "warn", TESTS[0])])


def test_a_suite_that_fails_at_once_is_one_reason(tmp_path: Path) -> None:
    said = {name: f"cannot reach db-{n}: refused" for n, name in enumerate(TESTS[:15])}
    with History(tmp_path / "h.duckdb") as history:
        base(history)
        history.run([*passing(*TESTS[15:]), *failing(said)], branch="topic")
    result = judged(tmp_path / "h.duckdb")
    assert kinds(result) == [("systemic", "block", None)]
    assert "15 tests of 20 failed with one cause" in result.findings[0].reason
    assert [len(one.tests) for one in result.causes] == [15]


def test_removed_and_skipped_tests_are_told(tmp_path: Path) -> None:
    skipped = Attempt(
        TESTS[1], 1, Outcome.SKIPPED, 1, failure=Failure(None, "needs docker", None, None)
    )
    with History(tmp_path / "h.duckdb") as history:
        base(history)
        history.run([*passing(*TESTS[2:]), skipped], branch="topic")
    result = judged(tmp_path / "h.duckdb")
    assert kinds(result) == [("removed", "warn", TESTS[0]), ("newly-skipped", "warn", TESTS[1])]
    assert result.findings[1].message == "needs docker"
    strict = judged(tmp_path / "h.duckdb", policy=policy(["removed"], []))
    assert kinds(strict) == [("removed", "block", TESTS[0])]


def test_part_of_a_suite_is_no_removal(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        base(history)
        history.run(passing(*TESTS[:3]), branch="topic")
    result = judged(tmp_path / "h.duckdb")
    assert (result.verdict, result.findings) == ("passed", [])
    assert any("Only part of the suite ran: 17" in note for note in result.notes)


def test_variants_are_judged_apart(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        for _ in range(8):
            history.run(passing(*TESTS), variant={"os": "linux"})
        run = history.run(passing(*TESTS), branch="topic", variant={"os": "linux"})
        history.run(
            [*passing(*TESTS[1:]), *failing({TESTS[0]: "no"})],
            branch="topic",
            variant={"os": "mac"},
            run_id=run,
        )
    result = judged(tmp_path / "h.duckdb")
    assert [(leg.variant, leg.needed_runs) for leg in result.legs] == [
        ("os=linux", 0),
        ("os=mac", 5),
    ]
    assert [(one.variant, one.level) for one in result.findings] == [("os=mac", "warn")]
    assert result.verdict == "passed"


def test_the_baseline_is_of_the_base_branch_alone(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        base(history, runs=9)
        for number in range(12):
            history.run(
                failing(dict.fromkeys(TESTS[:1], "no")), branch=f"other-{number}", pull_request="1"
            )
        history.run([*passing(*TESTS[1:]), *failing({TESTS[0]: "no"})], pull_request="2")
    result = judged(tmp_path / "h.duckdb")
    assert (result.baseline_runs, result.verdict) == (9, "blocked")
    assert judged(tmp_path / "h.duckdb", base="nowhere").verdict == "not judged"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        judged(tmp_path / "none.duckdb")
    with History(tmp_path / "h.duckdb") as history:
        base(history, runs=1)
    with pytest.raises(NotFoundError, match="'other'"):
        judged(tmp_path / "h.duckdb", run_id="other")
    with pytest.raises(ConfigError, match="'speed'"):
        policy(["speed"], None)


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A store whose newest run has a hostile new failure."""
    with History(tmp_path / "h.duckdb") as history:
        base(history)
        said = {f"tests/t.py::test[{HOSTILE}]": HOSTILE}
        history.run([*passing(*TESTS), *failing(said, "tests/t.py:7")], pull_request="3")
    return tmp_path


def test_exit_codes(blocked: Path) -> None:
    assert command("gate", "--store", "h.duckdb", cwd=blocked).code == 1
    assert command("gate", "--store", "h.duckdb", "--run", "run-3", cwd=blocked).code == 0
    assert command("gate", "--store", "h.duckdb", "--block", "nothing", cwd=blocked).code == 2
    assert command("gate", "--store", "none.duckdb", cwd=blocked).code == 5


def test_a_blocked_run_stays_in_the_history_and_is_marked(tmp_path: Path) -> None:
    bad = [*passing(*TESTS[1:]), *failing({TESTS[0]: "no"})]
    with History(tmp_path / "h.duckdb") as history:
        base(history, runs=8)
        history.run(bad, run_id="bad")

    def gates() -> dict[str, str | None]:
        rows = command("runs", "--store", "h.duckdb", "--format", "json", cwd=tmp_path).json["runs"]
        return {row["run_id"]: row["gate"] for row in rows}

    assert set(gates().values()) == {None}
    for _ in range(2):
        assert command("gate", "--store", "h.duckdb", cwd=tmp_path).code == 1
        assert {run: told for run, told in gates().items() if told} == {"bad": "blocked"}
    assert "bad on main, blocked" in command("runs", "--store", "h.duckdb", cwd=tmp_path).out
    with History(tmp_path / "h.duckdb") as history:
        history.run(bad, branch="topic", number=20)
    later = judged(tmp_path / "h.duckdb")
    assert (later.baseline_runs, kinds(later)) == (9, [("broken-before", "warn", TESTS[0])])
    with History(tmp_path / "h.duckdb") as history:
        history.run(passing(TESTS[0]), run_id="bad", number=21)
    assert command("gate", "--store", "h.duckdb", "--run", "bad", cwd=tmp_path).code == 0
    assert gates()["bad"] == "passed"


def test_what_a_gate_said_is_remembered(blocked: Path) -> None:
    before = judged(blocked / "h.duckdb")
    assert (before.verdict, before.said_before) == ("blocked", None)
    mark(blocked / "h.duckdb", before, 1)
    assert judged(blocked / "h.duckdb").said_before == "blocked"


def test_nothing_of_a_hostile_text_is_a_command(blocked: Path) -> None:
    done = command("gate", "--store", "h.duckdb", "--format", "github", cwd=blocked)
    lines = done.out.splitlines()
    [first, *rest] = [line for line in lines if line.startswith("::")]
    assert first.startswith("::error file=tests/t.py,line=7,title=new failure%3A tests/t.py%3A%3A")
    word = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", rest[0])
    assert word is not None
    assert rest[1:] == [f"::{word[1]}::"]
    assert not set(done.out) & set("\x1b\u202e\r")


def test_nothing_of_a_hostile_text_leaves_its_cell(blocked: Path) -> None:
    text = as_markdown(judged(blocked / "h.duckdb"))
    [row] = [line for line in text.splitlines() if "test[" in line]
    assert row.count("|") == 4
    assert "<script" not in text
    assert "</details>" not in text
    assert not set(text) & set("\x1b\u202e\r")


def test_other_programs_read_the_answer(blocked: Path) -> None:
    junit = command("gate", "--store", "h.duckdb", "--format", "junit", cwd=blocked)
    suite = ET.fromstring(junit.out).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    sarif = command("gate", "--store", "h.duckdb", "--format", "sarif", cwd=blocked).json
    [found] = sarif["runs"][0]["results"]
    assert (found["ruleId"], found["level"]) == ("new-failure", "error")
    place = found["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "tests/t.py"}, "region": {"startLine": 7}}


def test_the_summary_and_the_answer_are_written_beside(blocked: Path) -> None:
    (blocked / "summary.md").write_text("before\n", encoding="utf-8")
    arguments = ["--summary", "summary.md", "--output", "gate.json", "--format", "json"]
    done = command("gate", "--store", "h.duckdb", *arguments, cwd=blocked)
    assert done.code == 1
    assert json.loads((blocked / "gate.json").read_text(encoding="utf-8")) == done.json
    summary = (blocked / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("before\n## ")
    done = command("gate", "--store", "h.duckdb", "--output", "no/where.json", cwd=blocked)
    assert done.code == 3
    assert "where.json" in done.err
    assert "--output" in done.err
    done = command("gate", "--store", "h.duckdb", "--summary", "no/where.md", cwd=blocked)
    assert (done.code, "--summary" in done.err) == (3, True)


def test_a_summary_never_gets_too_large(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        base(history)
        said = {f"t.py::test_{n}": f"{n} " + "long " * 1_000 for n in range(400)}
        history.run([*passing(*TESTS, *(f"u{n}" for n in range(9_000))), *failing(said)])
    result = judged(tmp_path / "h.duckdb")
    assert len(result.blocking) == 400
    for most in (5_000, 60_000, 1_000_000):
        text = as_markdown(result, most=most)
        assert len(text.encode()) <= most
    assert "more, left out for the size" in as_markdown(result, most=60_000)
    assert "t.py::test&#95;0" in as_markdown(result) or "t.py::test_0" in as_markdown(result)


def slowed(history: History, runs: int, *, slow: dict[str, float], seed: int = 3) -> None:
    """Store 30 runs of main, then some of a change in which tests take so many times as long."""
    dice = random.Random(seed)
    for number in range(30 + runs):
        machine = dice.lognormvariate(0, 0.1)
        rows = [
            Attempt(
                name,
                1,
                Outcome.PASSED,
                int(
                    (200_000 + 10_000 * at)
                    * machine
                    * dice.lognormvariate(0, 0.04)
                    * (slow.get(name, 1) if number >= 30 else 1)
                ),
            )
            for at, name in enumerate(TESTS)
        ]
        history.run(rows, branch="main" if number < 30 else "topic")


def test_a_test_that_got_slower_blocks_when_three_runs_agree(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        slowed(history, 3, slow={TESTS[2]: 1.6})
    result = judged(tmp_path / "h.duckdb")
    assert kinds(result) == [("slower", "block", TESTS[2])]
    [slow] = result.findings
    assert 1.45 < slow.details["ratio"] < 1.75
    assert (slow.details["runs"], slow.details["baseline_runs"]) == (3, 30)
    assert result.legs[0].run_factor is not None


def test_before_that_it_says_how_many_more_runs_would_tell(tmp_path: Path) -> None:
    with History(tmp_path / "h.duckdb") as history:
        slowed(history, 1, slow={TESTS[2]: 1.6})
    result = judged(tmp_path / "h.duckdb")
    assert (result.verdict, result.findings) == ("passed", [])
    assert any(f"Maybe slower: {TESTS[2]}" in note for note in result.notes)
    assert any("2 more runs of this change" in note for note in result.notes)


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_machine_is_no_slow_test(tmp_path: Path, seed: int) -> None:
    with History(tmp_path / "h.duckdb") as history:
        slowed(history, 3, slow=dict.fromkeys(TESTS, 2.0), seed=seed)
    result = judged(tmp_path / "h.duckdb")
    assert (result.verdict, result.findings) == ("passed", [])
    assert result.legs[0].run_factor == pytest.approx(2, rel=0.35)


def test_what_to_run_again_is_written(blocked: Path, tmp_path: Path) -> None:
    done = command("gate", "--store", "h.duckdb", "--rerun-list", "again.txt", cwd=blocked)
    assert done.code == 1
    # This id would not fit in a line.
    assert (blocked / "again.txt").read_text(encoding="utf-8") == ""
    with History(tmp_path / "h.duckdb") as history:
        run = history.run([*passing(*TESTS[1:]), *failing({TESTS[0]: "no"})], number=50)
    again = ["--rerun-list", "again.txt"]
    assert command("gate", "--store", "h.duckdb", *again, cwd=blocked).code == 1
    assert (blocked / "again.txt").read_text(encoding="utf-8") == f"{TESTS[0]}\n"
    with History(tmp_path / "h.duckdb") as history:
        history.run(passing(TESTS[0]), run_id=run, number=100)
    assert command("gate", "--store", "h.duckdb", "--run", run, cwd=blocked).code == 0


def test_the_answer_is_as_its_schema_says(blocked: Path, tmp_path: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    arguments = ["--store", "h.duckdb", "--format", "json"]
    for run in ("run-0", "run-20"):
        jsonschema.validate(command("gate", *arguments, "--run", run, cwd=blocked).json, schema)
    slow = tmp_path / "slow"
    slow.mkdir()
    with History(slow / "h.duckdb") as history:
        slowed(history, 3, slow={TESTS[2]: 1.6})
    jsonschema.validate(command("gate", *arguments, cwd=slow).json, schema)
