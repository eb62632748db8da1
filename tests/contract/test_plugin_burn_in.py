"""New and changed tests are repeated, each time as a whole; the others are not."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.contract.test_plugin_outcomes import check_numbers
from tests.unit.plugin.recorded import DATA, Recording, record, run
from tests.unit.plugin.schema import violations
from tests.unit.plugin.test_burn_in import git

ONCE = {
    "Old::test_fresh": "passed",
    "Old::test_subtests": "passed",
    "OldAsync::test_awaits": "passed",
    "TestClass::test_fresh_instance": "passed",
    "test_always_fails": "failed@call",
    "test_fixtures": "passed",
    "test_parameters[1]": "passed",
    "test_parameters[2]": "passed",
}
RERUNS = ("-p", "rerunfailures", "--reruns", "2")
WORKERS = ("-p", "xdist", "-n2")


def said(recorded: Recording) -> list[str]:
    lines = [line for line in recorded.output.splitlines() if line.startswith("testlytics: ")]
    return [line.partition(": ")[2] for line in lines if ".jsonl" not in line]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository whose default branch has two tests."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("*.xml\n.testlytics\n__pycache__\n", encoding="utf-8")
    (tmp_path / "test_old.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.parametrize('n', [1, 2])\ndef test_one(n):\n    a = n\n    assert a\n\n\n"
        "class TestTwo:\n    def test_two(self):\n        pass\n\n"
        "    def test_three(self):\n        pass\n",
        encoding="utf-8",
    )
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "symbolic-ref", "HEAD", "refs/heads/main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    git(tmp_path, "checkout", "--quiet", "-b", "topic")
    return tmp_path


def repeated(recorded: Recording) -> set[str]:
    counts = Counter(attempt["test_id"] for attempt in recorded.attempts)
    return {test.partition("::")[2] for test, runs in counts.items() if runs > 1}


@pytest.mark.parametrize("arguments", [(), WORKERS, RERUNS, (*RERUNS, *WORKERS)])
def test_each_repetition_is_a_whole_run(folder: Path, arguments: tuple[str, ...]) -> None:
    shutil.copy(DATA / "scenario_repeat.py", folder / "test_new.py")
    options = ("--testlytics-burn-in=8", "--junitxml=junit.xml")
    recorded = record(folder, *options, *arguments, "test_new.py")
    expected = {name: "|".join([word] * 8) for name, word in ONCE.items()}
    expected["test_flaky"] = "|".join(["passed"] * 6 + ["failed@call", "passed"])
    expected["test_skips"] = "skipped@call|skipped@call"
    expected["test_skipped"] = "skipped@setup"
    assert recorded.ends == expected, recorded.output
    assert recorded.exit_status == recorded.records[-1]["exit_status"] == 1
    check_numbers(recorded)
    assert [found for line in recorded.records for found in violations(line)] == []
    marks = {attempt["test_id"]: attempt.get("burn_in") for attempt in recorded.attempts}
    assert {name for name, mark in marks.items() if not mark} == {"test_new.py::test_skipped"}
    assert said(recorded) == ["burn-in: 9 tests, failed 9 of 72"]
    lines = recorded.output.splitlines()
    for line in (
        "  test_new.py::test_flaky: flaky, failed 1 of 8",
        "  test_new.py::test_always_fails: failed 8 of 8",
        "  test_new.py::test_fixtures: passed 8 of 8: fails at most 31.3 % of the time (95 %)",
    ):
        assert line in lines
    document = ET.parse(folder / "junit.xml")
    names = Counter(case.get("name") for case in document.iter("testcase"))
    assert (names["test_flaky"], names["test_fixtures"], names["test_skipped"]) == (8, 8, 1)


LEAVES_SOMETHING = """
import pytest, unittest

RUNS = []

@pytest.fixture(autouse=True)
def leaves(request, record_property):
    RUNS.append(request.node.name)
    number = RUNS.count(request.node.name)
    record_property("run", number)
    print("output of", number)
    assert not {"xfail", "later"} & set(request.keywords), number
    assert request.keywords["kept"]
    if number == 1:
        request.applymarker(pytest.mark.xfail)
        request.node.add_marker("later", append=False)
        request.node.keywords["extra"] = number

@pytest.mark.kept
def test_function():
    assert RUNS.count("test_function") == 2

class TestUnit(unittest.TestCase):
    @pytest.mark.kept
    def test_unit(self):
        assert RUNS.count("test_unit") == 2
"""


@pytest.mark.parametrize("arguments", [(), WORKERS])
def test_nothing_stays_on_a_test(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "test_new.py").write_text(LEAVES_SOMETHING, encoding="utf-8")
    options = ("--junitxml=junit.xml", "-o", "junit_logging=all", "-o", "junit_family=xunit1")
    recorded = record(folder, "--testlytics-burn-in=4", *options, *arguments, "test_new.py")
    assert recorded.exit_status == 1, recorded.output
    ends = "xfailed@call|passed|failed@call|failed@call"
    assert recorded.ends == {"test_function": ends, "TestUnit::test_unit": ends}
    for test in ("test_function", "test_unit"):
        cases = ET.parse(folder / "junit.xml").iterfind(f".//testcase[@name='{test}']")
        for number, case in enumerate(cases, 1):
            values = [found.get("value") for found in case.iter("property")]
            assert values == [str(number)]
            assert (case.findtext("system-out") or "").count("output of") == 1
    lines = recorded.output.splitlines()
    assert "  test_new.py::test_function: flaky, failed 2 of 4" in lines


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", set()),
        ("    a = n\n", "    a = n + 1\n", {"test_one[1]", "test_one[2]"}),
        ("[1, 2]", "[1, 3]", {"test_one[1]", "test_one[3]"}),
        ("    assert a\n", "", {"test_one[1]", "test_one[2]"}),
        ("import pytest\n", "import pytest  # noqa\n", set()),
        ("(self):\n        pass\n\n", "(self):\n        assert 1\n\n", {"TestTwo::test_two"}),
        ("    def test_two(self):\n        pass\n\n", "", set()),
        ("    def test_t", "    @pytest.mark.x\n    def test_t", {"TestTwo::test_two"}),
    ],
)
def test_tests_with_a_changed_line_are_repeated(
    folder: Path, old: str, new: str, expected: set[str]
) -> None:
    source = (folder / "test_old.py").read_text("utf-8")
    (folder / "test_old.py").write_text(source.replace(old, new, 1), encoding="utf-8")
    recorded = record(folder, "--testlytics-burn-in", "3")
    assert recorded.exit_status == 0, recorded.output
    assert repeated(recorded) == expected
    if not expected:
        assert said(recorded) == ["burn-in: no new or changed test ran"]


def test_base_can_be_named(folder: Path) -> None:
    (folder / "test_new.py").write_text("def test_new(): pass\n", encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "second")
    (folder / "test_newer.py").write_text("def test_newer(): pass\n", encoding="utf-8")
    arguments = ("--testlytics-burn-in=2", "--testlytics-burn-in-base")
    assert repeated(record(folder, *arguments, "main")) == {"test_new", "test_newer"}
    assert repeated(record(folder, *arguments, "topic")) == {"test_newer"}
    recorded = record(folder, *arguments, "none")
    assert (recorded.exit_status, repeated(recorded)) == (0, set())
    assert said(recorded) == [
        "no burn-in: no merge base with none (in a shallow clone, fetch more of it)"
    ]


@pytest.mark.parametrize("arguments", [(), WORKERS])
def test_time_is_filled_with_repetitions(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "test_new.py").write_text(
        "import pytest, time\n"
        "@pytest.mark.parametrize('n', range(4))\n"
        "def test_new(n): time.sleep(0.01)\n",
        encoding="utf-8",
    )
    recorded = record(folder, "--testlytics-burn-in=1s", *arguments)
    assert recorded.exit_status == 0, recorded.output
    check_numbers(recorded)
    counts = Counter(attempt["test_id"] for attempt in recorded.attempts)
    new = [runs for test, runs in counts.items() if "test_new" in test]
    assert len(new) == 4
    assert max(new) >= 2, counts
    assert all(1 <= runs <= 299 for runs in new), counts


@pytest.mark.parametrize("arguments", [("-x",), ("-x", "-p", "xdist", "-n1")])
def test_first_failure_stops_where_that_is_wanted(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "test_new.py").write_text(
        "import pytest\nRUNS = []\n"
        "@pytest.fixture(scope='module')\ndef used():\n    yield\n    print('torn down')\n"
        "def test_a(used):\n    RUNS.append(1)\n    assert len(RUNS) != 3\n"
        "def test_b(used): pass\n",
        encoding="utf-8",
    )
    recorded = record(folder, "--testlytics-burn-in=8", *arguments, "test_new.py")
    assert recorded.ends == {"test_a": "passed|passed|failed@call"}
    assert "  test_new.py::test_a: flaky, failed 1 of 3" in recorded.output.splitlines()
    assert recorded.exit_status in (1, 2)


@pytest.mark.parametrize(
    ("how", "status"),
    [("pytest.exit('enough', 7)", 7), ("pytest.exit('enough')", 2), ("raise Stop", 2)],
)
def test_interruption_ends_the_session(folder: Path, how: str, status: int) -> None:
    (folder / "test_new.py").write_text(
        "import pytest\nRUNS = []\nStop = KeyboardInterrupt\n"
        f"def test_a():\n    RUNS.append(1)\n    if len(RUNS) == 3: {how}\n",
        encoding="utf-8",
    )
    recorded = record(folder, "--testlytics-burn-in=8", "test_new.py")
    assert recorded.exit_status == status
    assert recorded.ends == {"test_a": "passed|passed|interrupted@call"}
    # With another status pytest sums nothing up.
    verdict = "passed 2 of 2: fails at most 77.7 % of the time (95 %)"
    summed_up = f"  test_new.py::test_a: {verdict}" in recorded.output.splitlines()
    assert summed_up == (status == 2), recorded.output


def test_timeout_holds_for_each_repetition(folder: Path) -> None:
    (folder / "test_new.py").write_text(
        "import time\ndef test_slow(): time.sleep(0.7)\n", encoding="utf-8"
    )
    timeout = ("-p", "timeout", "--timeout=3", "--timeout-method=thread")
    recorded = record(folder, "--testlytics-burn-in=5", *timeout, "test_new.py")
    assert recorded.ends == {"test_slow": "|".join(["passed"] * 5)}, recorded.output


def test_quarantined_test_can_be_burnt_in(folder: Path) -> None:
    shutil.copy(DATA / "scenario_repeat.py", folder / "test_new.py")
    soon = datetime.now(UTC).date() + timedelta(days=7)
    (folder / "quarantine.toml").write_text(
        "schema = 1\n[[quarantine]]\ntest = 'test_new.py::test_flaky'\nowner = 'me'\n"
        f"reason = 'new'\nexpires = {soon}\n",
        encoding="utf-8",
    )
    options = ("--testlytics-burn-in=8", "--testlytics-quarantine=quarantine.toml")
    recorded = record(folder, *options, "-k", "flaky")
    assert recorded.exit_status == 0, recorded.output
    assert recorded.ends["test_flaky"].split("|")[6] == "failed@call"
    assert "quarantined: 1 failed, 0 passed" in said(recorded)
    assert "  test_new.py::test_flaky: flaky, failed 1 of 8" in recorded.output.splitlines()


@pytest.mark.parametrize(
    ("amount", "hidden", "why"),
    [
        ("often", False, "'often' is neither a number from 1 to 10000 nor a time like 30s"),
        ("3", True, "no git repository"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder: Path, amount: str, hidden: bool, why: str) -> None:
    if hidden:
        (folder / ".git").rename(folder / "hidden")
    recorded = record(folder, "-W", "error", "--testlytics-burn-in", amount)
    assert (recorded.exit_status, repeated(recorded)) == (0, set())
    (line,) = said(recorded)
    assert line.startswith("no burn-in: ")
    assert line.endswith(why)


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ((), set()),
        (("--testlytics-quarantine=none.toml",), {"quarantine", "quarantine-summary"}),
        (
            ("--testlytics-burn-in=2",),
            {"burn-in", "burn-in-finished", "burn-in-messenger", "burn-in-summary"},
        ),
    ],
)
def test_hooks_are_there_only_when_asked_for(
    folder: Path, flags: tuple[str, ...], names: set[str]
) -> None:
    (folder / "conftest.py").write_text(
        "def pytest_sessionfinish(session):\n"
        "    for name, _ in session.config.pluginmanager.list_name_plugin():\n"
        "        print('\\nplugin:', name)\n",
        encoding="utf-8",
    )
    lines = run(folder, *flags).output.splitlines()
    found = {line[len("plugin: ") :] for line in lines if line.startswith("plugin: testlytics-")}
    assert found == {f"testlytics-{name}" for name in names}


def test_recording_is_not_needed(folder: Path) -> None:
    shutil.copy(DATA / "scenario_repeat.py", folder / "test_new.py")
    plain = run(folder, "--testlytics-burn-in=8", "-k", "flaky")
    assert (plain.exit_status, plain.path) == (1, None)
    assert said(plain) == ["burn-in: 1 test, failed 1 of 8"]
