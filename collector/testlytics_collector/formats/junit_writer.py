"""Writes JUnit XML that every reader takes: one testcase a test, further attempts inside of it.

The convention is Maven Surefire's. A test that passed in the end holds its failed attempts as
`flakyFailure` and `flakyError`; one that never passed holds its first failure as `failure` or
`error` and the others as `rerunFailure` and `rerunError`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from testlytics_collector.records import Attempt, Failure, Outcome

if TYPE_CHECKING:
    from junitparser import xunit2
    from junitparser.junitparser import FinalResult

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PASSED = {Outcome.PASSED, Outcome.XPASSED}
_FAILED = {Outcome.FAILED, Outcome.ERRORED, Outcome.CRASHED}
_NOTHING = Failure(None, None, None, None)


class SuiteAttempts(NamedTuple):
    """All attempts of one run and variant.

    Attributes:
        name: Name of the suite.
        started_us: When the run began, microseconds since the epoch, or None.
        attempts: Each test's in the order they were made; tests in the order to be written.
    """

    name: str
    started_us: int | None
    attempts: Sequence[Attempt]


def write(suites: Iterable[SuiteAttempts]) -> bytes:
    """Return the document, UTF-8 with an XML declaration.

    Args:
        suites: What to write, in this order.
    """
    from junitparser import xunit2

    document = xunit2.JUnitXml("testlytics")
    for suite in suites:
        element = xunit2.TestSuite(_legal(suite.name))
        if suite.started_us is not None:
            began = datetime.fromtimestamp(suite.started_us / 1e6, UTC)
            element.timestamp = began.isoformat(timespec="milliseconds")
        tests: dict[str, list[Attempt]] = {}
        for attempt in suite.attempts:
            tests.setdefault(attempt.test_id, []).append(attempt)
        element.add_testcases([_case(test_id, made) for test_id, made in tests.items()])
        document.add_testsuite(element)
    document.update_statistics()
    out = io.BytesIO()
    document.write(out)
    return out.getvalue()


def _case(test_id: str, attempts: list[Attempt]) -> xunit2.TestCase:
    from junitparser import xunit2

    file, owner, name = split(test_id)
    case = xunit2.TestCase(_legal(name), _legal(owner))
    if file:
        case._elem.set("file", _legal(file))  # noqa: SLF001 - it has no attribute for it
    failed = [attempt for attempt in attempts if attempt.outcome in _FAILED]
    passed = [attempt for attempt in attempts if attempt.outcome in _PASSED]
    telling = (passed or failed or attempts)[-1 if passed else 0]
    if telling.duration_us is not None:
        # Not as a float: 2e-05 is more than many readers expect.
        case._elem.set("time", f"{telling.duration_us / 1e6:.6f}")  # noqa: SLF001
    if not passed and not failed:
        case.result = [_skipped(telling)]
        return case
    if not passed:
        first, *failed = failed
        case.result = [_final(first)]
    for attempt in failed:
        case.add_interim_result(_interim(attempt, passed_later=bool(passed)))
    return case


def split(test_id: str) -> tuple[str, str, str]:
    """Take a test id apart.

    Returns:
        File (empty where there is none), class and name. The class of a test that has only a file
        is the file with dots, as pytest writes it: many readers want one.
    """
    start = test_id.find("[", max(test_id.find("::"), 0)) if test_id.endswith("]") else -1
    head, parameters = (test_id[:start], test_id[start:]) if start > 0 else (test_id, "")
    *owners, name = head.split("::")
    name += parameters
    if owners and ("/" in owners[0] or owners[0].endswith(".py")):
        file, *classes = owners
        stem, dot, extension = file.rpartition(".")
        dotted = (stem if dot and "/" not in extension else file).replace("/", ".")
        return file, "::".join(classes) or dotted, name
    return "", "::".join(owners), name


def _interim(attempt: Attempt, *, passed_later: bool) -> xunit2.InterimResult:
    from junitparser import xunit2

    kinds: tuple[type[xunit2.InterimResult], type[xunit2.InterimResult]] = (
        (xunit2.RerunFailure, xunit2.FlakyFailure)
        if attempt.outcome is Outcome.FAILED
        else (xunit2.RerunError, xunit2.FlakyError)
    )
    kind = kinds[passed_later]
    why = attempt.failure or _NOTHING
    result = kind(_legal(why.message or attempt.outcome), _legal(why.type or attempt.outcome))
    if why.text:
        result.stack_trace = _legal(why.text)
    return result


def _final(attempt: Attempt) -> FinalResult:
    import junitparser

    kind = junitparser.Failure if attempt.outcome is Outcome.FAILED else junitparser.Error
    why = attempt.failure or _NOTHING
    result = kind(_legal(why.message or attempt.outcome), _legal(why.type or attempt.outcome))
    result.text = _legal(why.text or "")
    return result


def _skipped(attempt: Attempt) -> FinalResult:
    from junitparser import Skipped

    message = (attempt.failure or _NOTHING).message or ""
    if attempt.outcome is Outcome.XFAILED:
        return Skipped(_legal(message), "pytest.xfail")
    if attempt.outcome is Outcome.SKIPPED:
        return Skipped(_legal(message))
    return Skipped(_legal(message or f"outcome {attempt.outcome}"), "testlytics.unknown")


def _legal(text: str) -> str:
    """Replace what XML cannot hold."""
    return _ILLEGAL.sub("\ufffd", text)
