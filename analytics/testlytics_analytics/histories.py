"""What became of a test, run by run: the input of the judgement on tests that fail.

Plain tuples and no frames: those tests are few, and a report must not wait for the import of a
library that it needs for nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

PASSED = "P"
FAILED = "F"
FLAKY = "L"
"""Failed and passed in one run."""
SKIPPED = "S"
UNKNOWN = "?"
"""Nothing that was seen speaks for or against the test."""


class Run(NamedTuple):
    """One run that histories refer to.

    Attributes:
        run_id: Its name.
        commit: The commit it ran on, None where unknown.
        sources: Equal text, exactly equal sources; None where not known exactly.
    """

    run_id: str
    commit: str | None
    sources: str | None


class History(NamedTuple):
    """One test in one variant over a window of runs.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant in canonical form; empty where nothing is known.
        steps: Indexes of the runs it was in, rising with time.
        verdicts: A letter for each of them: P, F, L, S or ?.
    """

    project: str
    test_id: str
    variant: str
    steps: Sequence[int]
    verdicts: str
