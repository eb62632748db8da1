"""Reports of failures that do not count, and how to read what really happened.

What is attached to them are plain values, so that xdist can send them.
"""

from __future__ import annotations

import copy
from typing import Any, Iterator, Optional

import pytest

REAL_OUTCOME = "testlytics_real_outcome"
"""The attribute that holds the outcome of a report before it was made harmless."""


WIDER = "testlytics_wider"
"""The attribute of a teardown's failure that says whether it is one of a wider scope: a bool.

It is missing where nobody can tell, such as for a failure outside of fixtures.
"""


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


def is_wider(error: BaseException) -> Optional[bool]:
    """Tell whether the teardown of a fixture wider than the function failed; None for unknown.

    Args:
        error: What was raised while a test was torn down.
    """
    scopes = [_scope_of(one) for one in _leaves(error)]
    if any(scope not in (None, "function") for scope in scopes):
        return True
    return None if None in scopes else False


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Walk groups, of which the parts know where they were raised; the group does not."""
    parts = getattr(error, "exceptions", None)
    if not isinstance(parts, (list, tuple)) or _scope_of(error) is not None:
        yield error
        return
    for part in parts:
        if isinstance(part, BaseException):
            yield from _leaves(part)


def _scope_of(error: BaseException) -> Optional[str]:
    """Return the scope of the innermost fixture that was being torn down.

    No hook tells which fixture failed, but the traceback leads through it.
    """
    found: Optional[str] = None
    place = error.__traceback__
    while place is not None:
        owner: Any = place.tb_frame.f_locals.get("self")
        if type(owner).__name__ == "FixtureDef" and type(owner).__module__ == "_pytest.fixtures":
            found = str(owner.scope)
        place = place.tb_next
    return found
