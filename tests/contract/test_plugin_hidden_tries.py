"""Tries that a retrying plugin keeps to itself are attempts like others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.plugin.recorded import record

# What flaky does: each try is set up and torn down, and only a call that is to count is reported.
FLAKY = """\
import pytest
from _pytest.runner import call_and_report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for left in (2, 1, 0):
        item._initrequest()
        setup = call_and_report(item, "setup", log=True)
        if setup.passed:
            call = call_and_report(item, "call", log=False)
            if not call.failed or not left:
                item.ihook.pytest_runtest_logreport(report=call)
        call_and_report(item, "teardown", log=True, nextitem=None)
        if not setup.passed or not call.failed:
            break
    return True
"""
TESTS = """\
import pytest

tries = []


def test_mends():
    tries.append(1)
    assert len(tries) > 2, f"try {len(tries)}"


def test_never():
    assert 0, "never"


def test_good():
    pass


def test_skipped():
    pytest.skip("no")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")])
def test_calls_that_flaky_does_not_report_are_attempts(
    folder: Path, workers: tuple[str, ...]
) -> None:
    (folder / "flaky.py").write_text(FLAKY, encoding="utf-8")
    recorded = record(folder, "-p", "flaky", *workers)
    assert recorded.ends == {
        "test_mends": "failed@call|failed@call|passed",
        "test_never": "failed@call|failed@call|failed@call",
        "test_good": "passed",
        "test_skipped": "skipped@call",
    }
    said = [
        one["failure"]["message"].splitlines()[0] for one in recorded.attempts if "failure" in one
    ]
    assert [text.partition(": ")[2] for text in said[:2]] == ["try 1", "try 2"]
