"""Reports of failures that do not count, and how to read what really happened.

What is attached to them are plain values, so that xdist can send them.
"""

from __future__ import annotations

import copy

import pytest

REAL_OUTCOME = "testlytics_real_outcome"
"""The attribute that holds the outcome of a report before it was made harmless."""


def defuse(report: pytest.TestReport, reason: str) -> None:
    """Turn a failure into an expected one, for everybody who reads the report from now on."""
    report.__dict__[REAL_OUTCOME] = report.outcome
    report.outcome = "skipped"
    report.__dict__["wasxfail"] = reason


def as_it_was(report: pytest.TestReport) -> pytest.TestReport:
    """Return a copy of a harmless report that says what really happened."""
    original = copy.copy(report)
    original.outcome = original.__dict__[REAL_OUTCOME]
    del original.__dict__["wasxfail"]
    return original


def is_skip(report: pytest.TestReport) -> bool:
    """Tell whether a report says that its test was skipped; a subtest or a teardown does not."""
    more = report.__dict__
    return (
        report.skipped
        and report.when != "teardown"
        and "wasxfail" not in more
        and "context" not in more
    )
