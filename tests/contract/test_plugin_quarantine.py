"""A quarantined test runs, is recorded as what it was, and cannot fail the session."""

from __future__ import annotations

import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.contract.test_plugin_outcomes import MODES, check_numbers, expected
from tests.unit.plugin.recorded import DATA, Recording, record, run
from tests.unit.plugin.schema import violations

ENTRY = '[[quarantine]]\ntest = "{}"\nowner = "team"\nreason = "races"\nexpires = {}\n'
LATER = (datetime.now(UTC).date() + timedelta(days=20)).isoformat()
SUITE = """
import pytest

@pytest.mark.parametrize("n", [1, 2])
def test_known(n): assert n == 1
def test_last(): pass
"""


def quarantine(folder: Path, *tests: str, expires: str = LATER, more: str = "") -> None:
    (folder / "quarantine.toml").write_text(
        "schema = 1\n" + "".join(ENTRY.format(test, expires) + more for test in tests),
        encoding="utf-8",
    )


def said(recorded: Recording) -> list[str]:
    lines = [line for line in recorded.output.splitlines() if line.startswith("testlytics: ")]
    return [line.partition(": ")[2] for line in lines if ".jsonl" not in line]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_it.py").write_text(SUITE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return tmp_path


FLAG = ("--testlytics-quarantine", "quarantine.toml")


@pytest.mark.parametrize("mode", ["serial", "workers", "reruns", "reruns in workers"])
def test_every_failure_is_recorded_and_harmless(mode: str, tmp_path: Path) -> None:
    shutil.copy(DATA / "scenario_outcomes.py", tmp_path / "test_outcomes.py")
    outcomes = expected(MODES[mode].column)
    families = sorted({name.partition("[")[0] for name in outcomes})
    quarantine(tmp_path, *(f"test_outcomes.py::{name}" for name in families))
    recorded = record(tmp_path, *MODES[mode].arguments, *FLAG, "-x")
    assert recorded.ends == outcomes, recorded.output
    assert recorded.exit_status == recorded.records[-1]["exit_status"] == 0
    assert {attempt.get("quarantined") for attempt in recorded.attempts} == {True}
    assert [found for line in recorded.records for found in violations(line)] == []
    check_numbers(recorded)
    last = [words.rpartition("|")[2].partition("@")[0] for words in outcomes.values()]
    failed = sum(word in ("failed", "errored") for word in last)
    skipped = last.count("skipped")
    passed = len(last) - failed - skipped
    assert said(recorded)[0] == (
        f"quarantined: {failed} failed, {passed} passed, {skipped} skipped"
    )
    assert not re.search(r"\d+ (failed|error)", recorded.output.splitlines()[-1])


def test_other_failures_count(folder: Path) -> None:
    quarantine(folder, "test_it.py::test_known[1]", "test_it.py::test_last")
    recorded = record(folder, *FLAG)
    assert recorded.exit_status == 1
    assert said(recorded) == ["quarantined: 0 failed, 2 passed"]
    marks = {line["test_id"]: line.get("quarantined") for line in recorded.attempts}
    assert marks == {
        "test_it.py::test_known[1]": True,
        "test_it.py::test_known[2]": None,
        "test_it.py::test_last": True,
    }


@pytest.mark.parametrize("arguments", [("--maxfail=1",), ("-x", "-p", "xdist", "-n1")])
def test_quarantined_failure_does_not_stop(folder: Path, arguments: tuple[str, ...]) -> None:
    quarantine(folder, "test_it.py::test_known")
    recorded = record(folder, *FLAG, *arguments, "--junitxml=junit.xml")
    assert recorded.exit_status == 0, recorded.output
    assert recorded.ends["test_known[2]"] == "failed@call"
    assert recorded.ends["test_last"] == "passed"
    assert said(recorded) == ["quarantined: 1 failed, 1 passed"]
    why = f"quarantined until {LATER} (team): races"
    assert f"  test_it.py::test_known[2]: {why}" in recorded.output.splitlines()
    document = ET.parse(folder / "junit.xml")
    assert [suite.get("failures") for suite in document.iter("testsuite")] == ["0"]
    (skipped,) = document.iter("skipped")
    assert (skipped.get("type"), skipped.get("message")) == ("pytest.xfail", why)


def test_expired_entry_counts_again_and_is_named(folder: Path) -> None:
    quarantine(folder, "test_it.py::test_known", expires="2020-01-01")
    (folder / "conftest.py").write_text(
        "import time\nreal = time.time\ntime.time = lambda: 0.0\n"
        "def pytest_sessionstart(): time.time = real\n",
        encoding="utf-8",
    )
    recorded = record(folder, *FLAG)
    assert recorded.exit_status == 1
    assert said(recorded) == [
        "quarantine expired on 2020-01-01, failures count again: test_it.py::test_known (team)"
    ]
    assert "quarantined" not in recorded.attempts[0]


@pytest.mark.parametrize(("tag", "status"), [("browser=lynx", 0), ("browser=w3m", 1)])
def test_entry_of_a_variant_is_effective_only_there(folder: Path, tag: str, status: int) -> None:
    quarantine(folder, "test_it.py::test_known", more='variant = { browser = "lynx" }\n')
    assert record(folder, *FLAG, "--testlytics-tag", tag).exit_status == status


def test_file_may_be_named_in_environment_or_settings(folder: Path) -> None:
    quarantine(folder, "test_it.py::test_known")
    (folder / "deep").mkdir()
    (folder / "deep" / "empty.toml").write_text("schema = 1\n", encoding="utf-8")
    from_environment = {"TESTLYTICS_QUARANTINE": "quarantine.toml"}
    recorded = run(folder, **from_environment)
    assert (recorded.exit_status, recorded.path) == (0, None)
    assert said(recorded) == ["quarantined: 1 failed, 1 passed"]
    (folder / "pytest.ini").write_text(
        "[pytest]\ntestlytics_quarantine = quarantine.toml\n", encoding="utf-8"
    )
    assert run(folder).exit_status == 0
    assert run(folder, TESTLYTICS_QUARANTINE="deep/empty.toml").exit_status == 1
    other = ("--testlytics-quarantine", "deep/empty.toml")
    assert run(folder, *other, **from_environment).exit_status == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "quarantine.toml: No such file or directory; nothing is quarantined"),
        ("schema = [", "quarantine.toml: .*; nothing is quarantined"),
        (
            "schema = 1\n" + ENTRY.format("test_it.py::test_known", LATER) + "ower = 1\n",
            r"quarantine.toml, entry 1 \(test_it.py::test_known\): unknown key 'ower'; .*",
        ),
    ],
)
def test_unusable_file_is_one_line_and_hides_nothing(
    folder: Path, content: str | None, why: str
) -> None:
    if content is not None:
        (folder / "quarantine.toml").write_text(content, encoding="utf-8")
    recorded = record(folder, *FLAG, "-W", "error")
    assert recorded.exit_status == 1
    assert len(recorded.attempts) == 3
    (line,) = said(recorded)
    assert re.fullmatch(why, line), line


def test_death_of_the_worker_is_harmless_too(folder: Path) -> None:
    (folder / "test_it.py").write_text(
        "import os\ndef test_dies(): os._exit(3)\ndef test_lives(): pass\n", encoding="utf-8"
    )
    quarantine(folder, "test_it.py::test_dies")
    recorded = record(folder, *FLAG, "-p", "xdist", "-n1")
    assert recorded.exit_status == 0, recorded.output
    assert recorded.ends == {"test_dies": "crashed@call", "test_lives": "passed"}
    assert recorded.named("test_dies")["quarantined"] is True
    assert said(recorded) == ["quarantined: 1 failed, 0 passed"]


def test_sessions_inside_do_not_inherit_it(folder: Path) -> None:
    quarantine(folder, "test_it.py::test_known")
    (folder / "test_it.py").write_text(
        "import os\n"
        "def test_known(pytester):\n"
        "    assert 'TESTLYTICS_QUARANTINE' not in os.environ\n"
        "    pytester.makepyfile('def test_inner(): pass')\n"
        "    result = pytester.runpytest_inprocess('-p', 'testlytics')\n"
        "    result.assert_outcomes(passed=1)\n"
        "    result.stdout.no_fnmatch_line('testlytics:*')\n",
        encoding="utf-8",
    )
    recorded = run(folder, "-p", "pytester", TESTLYTICS_QUARANTINE="quarantine.toml")
    assert said(recorded) == ["quarantined: 0 failed, 1 passed"], recorded.output


def test_session_that_runs_no_test_does_not_mention_it(folder: Path) -> None:
    assert said(run(folder, *FLAG, "--collect-only")) == []


CRASHES = "import os\ndef test_0(): pass\ndef test_1(): os._exit(1)\ndef test_2(): assert 0\n"


@pytest.mark.parametrize(
    ("suite", "arguments", "lost"),
    [
        (CRASHES, ("-n2", "--dist", "loadfile", "--max-worker-restart=2"), ["test_2"]),
        (
            "import os\ndef test_1(): os._exit(1)\ndef test_2(): assert 0\ntest_3 = test_2\n",
            ("-n1", "--max-worker-restart=0"),
            ["test_2", "test_3"],
        ),
    ],
)
def test_deaths_after_which_tests_never_ran_fail_the_session(
    folder: Path, suite: str, arguments: tuple[str, ...], lost: list[str]
) -> None:
    (folder / "test_it.py").write_text(suite, encoding="utf-8")
    (folder / "test_other.py").write_text(
        "import time\ndef test_b(): time.sleep(0.3)\n" if len(lost) == 1 else "", encoding="utf-8"
    )
    quarantine(folder, "test_it.py::test_1")
    recorded = record(folder, *FLAG, "-p", "xdist", *arguments)
    assert recorded.exit_status == recorded.records[-1]["exit_status"] == 1, recorded.output
    assert said(recorded)[-1] == (
        "quarantine: the session fails, a quarantined test ended workers and "
        f"{len(lost)} never ran: test_it.py::{lost[0]}"
    )


WIDE = """
import pytest

@pytest.fixture(scope="{scope}")
def wide(request):
    request.addfinalizer(lambda: {end})
    yield

@pytest.fixture
def narrow():
    yield
    assert not "narrow"

def test_fine(wide): pass
def test_known(wide, narrow): pass
"""


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")])
@pytest.mark.parametrize(
    ("scope", "end", "status"),
    [("module", "1 / 0", 1), ("session", "1 / 0", 1), ("function", "1 / 0", 0), ("module", "0", 0)],
)
def test_failed_teardown_of_a_wider_scope_is_no_test_s(
    folder: Path, scope: str, end: str, status: int, workers: tuple[str, ...]
) -> None:
    suite = WIDE.format(scope=scope, end=end)
    if scope == "function":
        suite = suite.replace("test_fine(wide)", "test_fine()")
    if pytest.version_tuple < (8,) and status:
        suite = suite.replace('assert not "narrow"', "")  # there only the first error is reported
    (folder / "test_it.py").write_text(suite, encoding="utf-8")
    quarantine(folder, "test_it.py::test_known")
    recorded = record(folder, *FLAG, *workers)
    assert recorded.exit_status == status, recorded.output
    assert ("ZeroDivisionError" in recorded.output) is bool(status)
    assert not any("wider scope" in line for line in said(recorded))


def test_teardown_outside_of_fixtures_is_named_where_a_wider_scope_ended(folder: Path) -> None:
    (folder / "test_it.py").write_text(
        "def test_known(request): request.node.parent.addfinalizer(lambda: 1 / 0)\n",
        encoding="utf-8",
    )
    quarantine(folder, "test_it.py::test_known")
    recorded = record(folder, *FLAG)
    assert recorded.exit_status == 0, recorded.output
    assert said(recorded)[-1] == (
        "quarantine: the teardown of a wider scope may have been defused "
        "with test_it.py::test_known"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_pipe_does_not_hold_up_the_start(folder: Path) -> None:
    os.mkfifo(folder / "quarantine.toml")
    recorded = record(folder, *FLAG)
    assert said(recorded) == ["quarantine.toml: is no regular file; nothing is quarantined"]


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")])
def test_entries_without_a_test_are_named(folder: Path, workers: tuple[str, ...]) -> None:
    quarantine(folder, "test_it.py::test_known", "test_it.py::test_gone", "old.py::test_gone")
    line = "quarantine: 2 entries match no collected test: old.py::test_gone"
    assert said(run(folder, *FLAG, *workers)) == ["quarantined: 1 failed, 1 passed", line]
    for fewer in (("-k", "known"), ("test_it.py",), ("--deselect", "test_it.py::test_last")):
        assert said(run(folder, *FLAG, *workers, *fewer)) == ["quarantined: 1 failed, 1 passed"]
