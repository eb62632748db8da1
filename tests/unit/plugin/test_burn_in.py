"""What is repeated, how often, and what that proves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_testlytics import changes
from pytest_testlytics.burn_in import MOST_REPETITIONS, Amount, Budget, read_amount
from pytest_testlytics.burn_in_summary import REPETITION, BurnInSummary, percent, upper_bound
from pytest_testlytics.changes import WHOLE, Unknown, parse_diff, read_changes


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("20", Amount(20, 0)),
        ("1", Amount(1, 0)),
        ("30s", Amount(0, 30)),
        (" 2m", Amount(0, 120)),
        ("1h", Amount(0, 3_600)),
    ],
)
def test_amount_is_a_number_or_a_time(text: str, amount: Amount) -> None:
    assert read_amount(text) == amount


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-1", "many", "3.5", "2 m", "10001", "999999999", "1d", "٣"]
)
def test_other_amounts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is neither a number from 1 to 10000 nor a time"):
        read_amount(text)


def runs_of(budget: Budget, took_s: float) -> int:
    """Run one test as often as the budget wants."""
    budget.begin_test()
    runs, last = 0, False
    while not last:
        last = budget.next_is_last
        budget.spend(took_s)
        runs += 1
    return runs


@pytest.mark.parametrize("number", [1, 2, 20])
def test_number_is_kept_exactly(number: int) -> None:
    assert runs_of(Budget(Amount(number, 0), 3, 1), 100.0) == number


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_time_is_shared_by_the_tests_of_a_worker(workers: int) -> None:
    budget = Budget(Amount(0, 60), 12, workers)
    in_worker = 12 // workers
    assert [runs_of(budget, 0.5) for _ in range(in_worker)] == [120 // in_worker] * in_worker


def test_time_that_a_test_leaves_goes_to_the_others() -> None:
    budget = Budget(Amount(0, 60), 2, 1)
    assert runs_of(budget, 0.001) == MOST_REPETITIONS
    assert 58 <= runs_of(budget, 1.0) <= 60


def test_time_that_is_used_up_leaves_one_run_each() -> None:
    budget = Budget(Amount(0, 10), 2, 1)
    assert [runs_of(budget, 30.0) for _ in range(3)] == [2, 1, 1]


@pytest.mark.parametrize(
    ("runs", "text"), [(1, "95 %"), (20, "14 %"), (58, "5.1 %"), (59, "5 %"), (299, "1 %")]
)
def test_bound_is_that_of_the_binomial_distribution(runs: int, text: str) -> None:
    # By its definition: that many passes in a row have a probability of 5 %.
    assert (1.0 - upper_bound(runs)) ** runs == pytest.approx(0.05)
    assert percent(upper_bound(runs)) == text


def test_percentage_is_never_rounded_down() -> None:
    assert [percent(share) for share in (0.05, 0.0501, 0.0001)] == ["5 %", "5.1 %", "0.1 %"]


DIFF = rb"""diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1 +1,2 @@ def x():
-+++ b/wrong.py
+++ b/also_wrong.py
+@@ -1 +1 @@
@@ -10,2 +11,0 @@
-    removed_inside()
-
@@ -20 +20 @@
-old
\ No newline at end of file
+new
\ No newline at end of file
diff --git a/gone.py b/gone.py
--- a/gone.py
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git "a/t\303\274r \"x\".py" "b/t\303\274r \"x\".py"
--- /dev/null
+++ "b/t\303\274r \"x\".py"
@@ -0,0 +1,3 @@
+a
+b
+c
diff --git a/with blank.py b/with blank.py
--- a/with blank.py
+++ b/with blank.py<tab>
@@ -4 +3,0 @@
-@decorator
@@ -8,3 +6,0 @@
-def test_gone():
-    pass
-
"""


def test_diff_is_read_whatever_its_lines_look_like() -> None:
    diff = DIFF.replace(b"<tab>", b"\t")
    assert dict(parse_diff(diff)) == {
        b"a.py": [(1, 2), (11, 11), (20, 20)],
        'tür "x".py'.encode(): [(1, 3)],
        b"with blank.py": [(4, 4), (7, 6)],
    }


def test_context_in_a_diff_is_passed_over() -> None:
    # In git's own form and with `diff.suppressBlankEmpty`.
    diff = b"""--- a/a.py
+++ b/a.py
@@ -1,9 +1,10 @@
 one
-two
+2
+2b

 four
--- five
 six
+++ b/seven
 seven
 eight
-nine
+9
@@ -20,3 +21,2 @@ def x():
 twenty
-    removed
 twenty-two
"""
    assert dict(parse_diff(diff)) == {
        b"a.py": [(2, 3), (6, 5), (7, 7), (10, 10), (21, 21)],
    }


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "symbolic-ref", "HEAD", "refs/heads/main")
    (tmp_path / "a.py").write_text("one\ntwo\nthree\n", encoding="utf-8")
    (tmp_path / "b.py").write_text("one\ntwo\nthree\n", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    git(tmp_path, "checkout", "--quiet", "-b", "topic")
    return tmp_path


def found(folder: Path, base: str | None = None) -> dict[str, list[tuple[int, int]]]:
    spans = read_changes(str(folder), base)
    return {Path(path).name: lines for path, lines in spans.items()}


def test_changes_are_those_since_the_merge_base(repository: Path) -> None:
    assert found(repository) == {}
    (repository / "a.py").write_text("one\n2\nthree\n", encoding="utf-8")
    git(repository, "commit", "--quiet", "-am", "second")
    (repository / "b.py").write_text("one\ntwo\nthree\n4\n", encoding="utf-8")
    (repository / "new.py").touch()
    (repository / "new.txt").touch()
    (repository / "deep").mkdir()
    (repository / "deep" / "é ü.py").touch()
    expected = {"a.py": [(2, 2)], "b.py": [(4, 4)], "new.py": [WHOLE], "é ü.py": [WHOLE]}
    assert found(repository) == expected
    assert found(repository / "deep") == expected
    assert found(repository, "HEAD") == {key: expected[key] for key in expected if key != "a.py"}


def test_configuration_of_diffs_does_not_matter(repository: Path) -> None:
    for setting in (
        "diff.noprefix=true",
        "diff.mnemonicPrefix=true",
        "diff.external=false",
        "color.ui=always",
        "diff.context=5",
        "diff.interHunkContext=9",
        "diff.suppressBlankEmpty=true",
        "diff.relative=true",
    ):
        git(repository, "config", *setting.split("="))
    (repository / ".git" / "info" / "attributes").write_text("*.py -diff\n", encoding="ascii")
    (repository / "a.py").write_text("1\ntwo\n3\n", encoding="utf-8")
    assert found(repository) == {"a.py": [(1, 1), (3, 3)]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_DIFF_OPTS", "-u9"),
        ("GIT_DIFF_OPTS", "--unified=9"),
        ("GIT_EXTERNAL_DIFF", "false"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_GLOB_PATHSPECS", "1"),
        ("GIT_NOGLOB_PATHSPECS", "1"),
        ("GIT_ICASE_PATHSPECS", "1"),
    ],
)
def test_environment_of_diffs_does_not_matter(
    repository: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    (repository / "a.py").write_text("1\ntwo\n3\n", encoding="utf-8")
    (repository / "deep" / "er").mkdir(parents=True)
    (repository / "deep" / "er" / "new.py").touch()
    assert found(repository) == {"a.py": [(1, 1), (3, 3)], "new.py": [WHOLE]}


def test_file_that_only_moved_has_not_changed(repository: Path) -> None:
    git(repository, "mv", "a.py", "c.py")
    assert found(repository) == {}


@pytest.mark.parametrize("base", ["none", "--output=x", "-x"])
def test_base_that_is_none_is_said(repository: Path, base: str) -> None:
    with pytest.raises(Unknown, match=f"no merge base with {base}"):
        read_changes(str(repository), base)


def test_no_repository_and_no_default_branch_are_said(repository: Path) -> None:
    git(repository, "branch", "-m", "main", "trunk")
    with pytest.raises(Unknown, match="no merge base with a default branch"):
        read_changes(str(repository), None)
    (repository / ".git").rename(repository / "hidden")
    with pytest.raises(Unknown, match="no git repository"):
        read_changes(str(repository), None)


def test_git_that_hangs_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = repository / "tools"
    tools.mkdir()
    (tools / "git").write_text("#!/bin/sh\nexec sleep 60\n", encoding="ascii")
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setattr(changes, "LIMIT_S", 0.2)
    with pytest.raises(Unknown, match="git took longer than"):
        read_changes(str(repository), None)
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(Unknown, match="git does not answer"):
        read_changes(str(repository), None)


def whole(test: str, number: int, outcome: str) -> list[tuple[str, int, str, str]]:
    """Return what is reported of a run that comes to its end."""
    return [(test, number, "call", outcome), (test, number, "teardown", "passed")]


def summary_of(*outcomes: tuple[str, int, str, str], worker: str = "") -> list[str]:
    summary = BurnInSummary()
    for test, number, when, outcome in outcomes:
        known = {"xfailed": "skipped", "xpassed": "passed"}
        report = pytest.TestReport(
            nodeid=test,
            location=("t.py", 1, test),
            keywords={},
            outcome=known.get(outcome, outcome),  # type: ignore[arg-type]
            longrepr=None,
            when=when,  # type: ignore[arg-type]
        )
        if number:
            report.__dict__[REPETITION] = number
            report.__dict__.update({"worker_id": worker} if worker else {})
        if outcome in known:
            report.__dict__["wasxfail"] = ""
        summary.pytest_runtest_logreport(report)
    return summary.lines()


def test_summary_counts_runs_and_not_phases() -> None:
    runs = [part for number in range(1, 60) for part in whole("t::a", number, "passed")]
    flaky = [("t::b", 1, "setup", "failed"), ("t::b", 1, "teardown", "failed")]
    flaky += [*whole("t::b", 2, "passed"), *whole("t::b", 3, "failed")]
    broken = [*whole("t::c", 1, "failed"), *whole("t::c", 2, "failed")]
    other = [("t::d", 0, "call", "failed"), *whole("t::e", 1, "skipped")]
    assert summary_of(*runs, *flaky, *broken, *other) == [
        "testlytics: burn-in: 3 tests, failed 4 of 64",
        "  t::b: flaky, failed 2 of 3",
        "  t::c: failed 2 of 2",
        "  t::a: passed 59 of 59: fails at most 5 % of the time (95 %)",
    ]


@pytest.mark.parametrize("worker", ["", "gw0"])
@pytest.mark.parametrize("begun", [[], [("t::a", 2, "setup", "passed")]])
def test_summary_counts_the_death_of_a_worker(
    worker: str, begun: list[tuple[str, int, str, str]]
) -> None:
    death = ("t::a", 0, "???", "failed")
    lines = summary_of(*whole("t::a", 1, "passed"), *begun, death, worker=worker)
    assert lines[1] == "  t::a: flaky, failed 1 of 2"


def test_summary_leaves_out_what_was_interrupted() -> None:
    begun = [("t::a", 3, "setup", "passed"), ("t::b", 1, "setup", "passed")]
    failed = [*whole("t::c", 1, "passed"), ("t::c", 2, "call", "failed")]
    assert summary_of(*whole("t::a", 1, "passed"), *whole("t::a", 2, "passed"), *begun) == [
        "testlytics: burn-in: 1 test, passed 2 of 2: fails at most 77.7 % of the time (95 %)",
        "  t::a: passed 2 of 2: fails at most 77.7 % of the time (95 %)",
    ]
    assert summary_of(*failed)[1] == "  t::c: flaky, failed 1 of 2"
    assert summary_of(*begun) == ["testlytics: burn-in: no new or changed test ran"]


def test_summary_does_not_count_an_expected_failure_as_passed() -> None:
    always = [part for number in range(1, 10) for part in whole("t::a", number, "xfailed")]
    turns = [*whole("t::z", 1, "xfailed"), *whole("t::z", 2, "xpassed")]
    assert summary_of(*always) == [
        "testlytics: burn-in: 1 test, xfailed 9 of 9",
        "  t::a: xfailed 9 of 9",
    ]
    assert summary_of(*always, *turns) == [
        "testlytics: burn-in: 2 tests, passed 1, xfailed 10 of 11",
        "  t::z: flaky, passed 1, xfailed 1 of 2",
        "  t::a: xfailed 9 of 9",
    ]
    strict = [*whole("t::a", 10, "failed"), *whole("t::a", 11, "failed")]
    assert summary_of(*always, *strict)[1] == "  t::a: flaky, failed 2 of 11"


def test_summary_says_when_nothing_was_repeated() -> None:
    assert summary_of() == ["testlytics: burn-in: no new or changed test ran"]
