"""The runs that are timed: of a suite in which little fails and little gets slower."""

from __future__ import annotations

from tests.factories import attempt, end, header, lines

TESTS, RUNS = 200, 30
"""Size of the small store."""


def run_of(number: int, tests: int) -> bytes:
    """A run file; one test in a hundred fails in every third run, another got slower."""
    rows = []
    for test in range(tests):
        name = f"tests/test_{test // 50}.py::test_that_{test}"
        if test % 100 == 7 and number % 3 == 0:
            rows.append(attempt(name, "failed", failure={"message": f"assert {number} == 2"}))
        elif test % 100 == 11 and number > 2 * RUNS // 3:
            rows.append(attempt(name, call_us=900_000))
        else:
            rows.append(attempt(name, call_us=90_000 + 37 * (test * number % 101)))
    return lines(header(number), *rows, end(len(rows)))
