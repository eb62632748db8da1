"""The reviewed file of accepted regressions, and what it changes of a gate's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

from testlytics.config import project_root
from testlytics.gate.findings import KINDS, WARN, Finding, GateResult, in_order
from testlytics.gate.quarantined import FAILURES
from testlytics.reviewed import (
    A_DAY,
    A_TEXT,
    A_VARIANT,
    Form,
    by_test,
    fits,
    in_one_line,
    read_strictly,
)
from testlytics_collector.errors import ConfigError

FILE = "testlytics-allowances.toml"
"""Its name, at the project's root."""

LONGEST_DAYS = 90
"""No entry lasts longer, in days."""

FORM = Form(
    table="allowance",
    keys={
        "test": A_TEXT,
        "kind": A_TEXT,
        "link": A_TEXT,
        "reason": A_TEXT,
        "since": A_DAY,
        "expires": A_DAY,
        "variant": A_VARIANT,
    },
    required=("test", "kind", "link", "reason", "expires"),
    longest_days=LONGEST_DAYS,
    slug="allowances-wrong",
)

_NAMED = 5


class Allowance(NamedTuple):
    """A regression that is accepted for a while.

    Attributes:
        test: The test's id, or the id without parameters: then all of them.
        kind: What is allowed, a key of `findings.KINDS`.
        link: Where it was decided.
        reason: Why.
        expires: The first day, UTC, on which it counts again.
        variant: It is allowed where the variant has all of these; empty for everywhere.
    """

    test: str
    kind: str
    link: str
    reason: str
    expires: date
    variant: dict[str, str]

    def allows(self, finding: Finding) -> bool:
        """Tell whether it allows a finding about its test."""
        return finding.kind == self.kind and fits(self.variant, finding.variant)


def read_allowances(given: Path | None, today: date) -> tuple[Allowance, ...]:
    """Read a file in which nothing may be wrong.

    Args:
        given: The file that was asked for; the one at the project's root, if it is there, where
            None.
        today: The day, UTC.

    Raises:
        ConfigError: It is not there, or something in it is wrong.
    """
    path = given or project_root() / FILE
    allowed = []
    entries = read_strictly(path, FORM, today, needed=given is not None)
    for number, fields in enumerate(entries, start=1):
        kind = fields["kind"]
        if kind not in KINDS or kind in FAILURES:
            known = [one for one in KINDS if one not in FAILURES]
            hint = f"Known are: {', '.join(known)}."
            if kind in KINDS:
                hint = "Tests that fail belong into the quarantine."
            raise ConfigError(
                f"{path}, entry {number} ({fields['test']!r}): kind {kind!r} cannot be allowed.",
                slug="allowances-wrong",
                hint=hint,
            )
        allowed.append(
            Allowance(
                fields["test"],
                kind,
                fields["link"],
                fields["reason"],
                fields["expires"],
                fields.get("variant", {}),
            )
        )
    return tuple(allowed)


def with_allowed(result: GateResult, allowed: Sequence[Allowance], today: date) -> GateResult:
    """Turn what is allowed into warnings, and say in a note which allowances have expired.

    Args:
        result: The gate's answer.
        allowed: All allowances.
        today: The day, UTC.
    """
    if not allowed:
        return result
    good = [one for one in allowed if one.expires > today]
    bad = [one for one in allowed if one.expires <= today]
    notes = list(result.notes)
    if bad:
        named = ", ".join(
            f"{in_one_line(one.test)} ({one.kind}, {one.expires})" for one in bad[:_NAMED]
        )
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        notes.append(f"Allowances have expired and count no more: {named}{more}.")
    allowed_of = by_test(good)
    findings = [_told(one, allowed_of) for one in result.findings]
    return replace(result, findings=in_order(findings), notes=notes)


def _told(finding: Finding, allowed_of: Callable[[str], list[Allowance]]) -> Finding:
    if finding.test_id is None:
        return finding
    for one in allowed_of(finding.test_id):
        if one.allows(finding):
            told = f"({in_one_line(one.link)}): {in_one_line(one.reason)}"
            details = {
                **finding.details,
                "allowance_link": one.link,
                "allowance_expires": one.expires.isoformat(),
            }
            reason = f"{finding.reason}; allowed until {one.expires} {told}"
            return finding._replace(level=WARN, reason=reason, details=details)
    return finding
