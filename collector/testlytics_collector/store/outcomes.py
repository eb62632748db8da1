"""What outcomes speak for and against a test, as SQL.

Members of the enum: compared with plain texts, each outcome would be turned into a text first, row
by row.
"""

from __future__ import annotations

BAD_OUTCOMES = frozenset({"failed", "errored", "crashed"})

PASSED = "'passed'::raw.outcome"
GOOD = f"({PASSED}, 'xpassed'::raw.outcome, 'xfailed'::raw.outcome)"
BAD = "('failed'::raw.outcome, 'errored'::raw.outcome, 'crashed'::raw.outcome)"
