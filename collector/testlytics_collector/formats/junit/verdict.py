"""What one testcase says: its one status, and the attempts that stand inside it."""

from __future__ import annotations

from typing import NamedTuple

from testlytics_collector.formats.interface import Limits
from testlytics_collector.formats.junit.identity import Attrs
from testlytics_collector.formats.junit.text import place_in
from testlytics_collector.formats.text import bounded
from testlytics_collector.records import Failure, Outcome

SKIPPING_TAGS = frozenset({"skipped", "skip", "ignored", "disabled", "pending"})
SKIPPING_STATUS = frozenset(
    {"notrun", "disabled", "skipped", "suppressed", "ignored", "pending", "notrunnable"}
)
FAILING_STATUS = frozenset({"fail", "failed", "failure", "error", "errored"})
RERUN_TAGS = {
    "flakyFailure": Outcome.FAILED,
    "rerunFailure": Outcome.FAILED,
    "flakyError": Outcome.ERRORED,
    "rerunError": Outcome.ERRORED,
}
MOST_TEXTS = 200
"""How many children of one testcase keep their texts; the others still count."""


class Try(NamedTuple):
    """One attempt as a testcase tells it.

    Attributes:
        outcome: How it ended.
        failure: Why, or None.
        duration_us: How long it took, or None.
        started_us: When it began, or None.
    """

    outcome: Outcome
    failure: Failure | None
    duration_us: int | None
    started_us: int | None


class Detail:
    """The children of one testcase.

    Attributes:
        errors: Its `<error>` elements.
        failures: Its `<failure>` elements.
        skips: Its `<skipped>` elements, under any of their names.
        reruns: Its `<flaky…>` and `<rerun…>` elements.
        output: Name and text of its `<system-out>` and `<system-err>` elements.
    """

    __slots__ = ("_kept", "errors", "failures", "output", "reruns", "skips")

    def __init__(self) -> None:
        self.errors: list[Failure] = []
        self.failures: list[Failure] = []
        self.skips: list[Failure] = []
        self.reruns: list[Try] = []
        self.output: list[tuple[str, str]] = []
        self._kept = 0

    def add_output(self, tag: str, text: str) -> None:
        """Take the text of one `<system-out>` or `<system-err>`."""
        if text.strip() and len(self.output) < MOST_TEXTS:
            self.output.append((tag, text))

    def failure_of(self, attrs: Attrs, text: str, limits: Limits) -> Failure:
        """Build a failure from one child's attributes and text."""
        self._kept += 1
        if self._kept > MOST_TEXTS:
            return Failure(None, None, None, None)
        return Failure(
            (attrs.get("type") or "").strip()[:300] or None,
            bounded(attrs.get("message"), limits.message_chars) or None,
            text.strip("\r\n") if text.strip() else None,
            None,
        )


def status_of(case: Attrs, detail: Detail | None) -> Outcome:
    """Give the one status of a testcase: error, failure, skipped or passed, the first that holds.

    A testcase that says in an attribute that it failed, and has nothing inside to show for it, is
    unknown.
    """
    if detail is not None:
        if detail.errors:
            return Outcome.ERRORED
        if detail.failures:
            return Outcome.FAILED
        if detail.skips:
            return Outcome.SKIPPED
    said = {case.get("status", "").lower(), case.get("result", "").lower()}
    if said & SKIPPING_STATUS:
        return Outcome.SKIPPED
    return Outcome.UNKNOWN if said & FAILING_STATUS else Outcome.PASSED


def stored_outcome(status: Outcome, detail: Detail | None) -> Outcome:
    """Give the outcome to store: expected failures are told apart from skips and failures."""
    if detail is None:
        return status
    kinds = {(skip.type or "").lower().rpartition(".")[2] for skip in detail.skips}
    if status is Outcome.SKIPPED and kinds & {"xfail", "xfailed"}:
        return Outcome.XFAILED
    # node:test marks a failing test that is expected to fail with both elements.
    if status is Outcome.FAILED and "todo" in kinds:
        return Outcome.XFAILED
    return status


def tries_of(
    case: Attrs, detail: Detail, outcome: Outcome, duration_us: int | None, limits: Limits
) -> list[Try]:
    """Put the attempts of a testcase in order.

    Args:
        case: The testcase's attributes.
        detail: Its children.
        outcome: How the testcase ended, as stored.
        duration_us: Its duration.
        limits: Bounds on texts.

    Returns:
        Attempts, the first one first. Where a testcase failed, its own failure came first and the
        reruns after it; where it passed in the end, what failed came before.
    """
    failure = _merged(detail.errors + detail.failures or detail.skips, case, detail, limits)
    main = Try(outcome, failure, duration_us, None)
    reruns = [
        again._replace(failure=_placed(again.failure, case, limits)) for again in detail.reruns
    ]
    if outcome in (Outcome.FAILED, Outcome.ERRORED):
        return [main, *reruns]
    return [*reruns, main]


def _merged(failures: list[Failure], case: Attrs, detail: Detail, limits: Limits) -> Failure | None:
    if not failures:
        return None
    first = failures[0]
    text = "\n\n".join(
        part
        for part in [first.text or "", *(_titled(other) for other in failures[1:MOST_TEXTS])]
        if part
    )
    text = bounded(text, limits.text_chars) or ""
    if detail.errors or detail.failures:
        text = _with_output(text, detail.output, limits.text_chars)
    return _placed(first._replace(text=text or None), case, limits)


def _titled(failure: Failure) -> str:
    title = ": ".join(part for part in (failure.type, failure.message) if part)
    return "\n".join(part for part in (title, failure.text) if part)


def _with_output(text: str, output: list[tuple[str, str]], most: int) -> str:
    for tag, said in output:
        room = most - len(text) - len(tag) - 12
        if room < 200:
            break
        text += f"\n\n--- {tag} ---\n" + (bounded(said.strip("\r\n"), room) or "")
    return text.lstrip("\n")


def _placed(failure: Failure | None, case: Attrs, limits: Limits) -> Failure | None:
    if failure is None:
        return None
    owner = case.get("classname")
    place = place_in(failure.text or "", owner) or place_in(failure.message or "", owner)
    if place is None and case.get("file") and case.get("line", "").isdecimal():
        place = f"{case['file']}:{case['line']}"
    return failure._replace(place=place, text=bounded(failure.text, limits.text_chars))
