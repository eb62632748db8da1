"""What a quarantine changes of a gate's answer: failures that do not count, until they do again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from testlytics.gate.findings import Finding, GateResult
from testlytics.quarantine_file import Entry
from testlytics.reviewed import by_test, in_one_line

if TYPE_CHECKING:
    from testlytics.gate.judge import Excused

FAILURES = frozenset(
    {
        "new-failure",
        "flaky-new-failure",
        "systemic",
        "new-flake",
        "known-flake",
        "broken-before",
        "quarantined",
    }
)
"""Kinds of findings that are about failures; only a quarantine makes these harmless."""

_NAMED = 5


def excused_by(entries: Sequence[Entry], today: date) -> Excused:
    """Return what says of a test and variant why its failure does not count.

    Args:
        entries: The quarantine.
        today: The day, UTC; what has expired by then excuses nothing.
    """
    entries_of = by_test(one for one in entries if not one.is_expired(today))

    def why(test_id: str, variant: str) -> str | None:
        for one in entries_of(test_id):
            if one.fits(variant):
                told = f"({in_one_line(one.owner)}): {in_one_line(one.reason)}"
                return f"quarantined until {one.expires} {told}"
        return None

    return why


def with_expired(result: GateResult, entries: Sequence[Entry], today: date) -> GateResult:
    """Say where a quarantine has expired: of each failure that counts again, and in a note."""
    expired = [one for one in entries if one.is_expired(today)]
    if not expired:
        return result
    named = ", ".join(in_one_line(one.test) for one in expired[:_NAMED])
    more = f" and {len(expired) - _NAMED} more" if len(expired) > _NAMED else ""
    note = f"The quarantine has expired of {named}{more}: failures count again."
    entries_of = by_test(expired)
    return replace(
        result,
        findings=[_told(one, entries_of) for one in result.findings],
        notes=[*result.notes, note],
    )


def _told(finding: Finding, entries_of: Callable[[str], list[Entry]]) -> Finding:
    if finding.test_id is None or finding.kind not in FAILURES:
        return finding
    for one in entries_of(finding.test_id):
        if one.fits(finding.variant) and finding.kind != "quarantined":
            reason = f"{finding.reason}; its quarantine expired on {one.expires}"
            details = {**finding.details, "quarantine_expired": one.expires.isoformat()}
            return finding._replace(reason=reason, details=details)
    return finding
