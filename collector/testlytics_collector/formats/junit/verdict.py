"""What one testcase says: its one status, and the attempts that stand inside it."""

from __future__ import annotations

from typing import NamedTuple

from testlytics_collector.formats.interface import Limits
from testlytics_collector.formats.junit.identity import Attrs
from testlytics_collector.formats.junit.text import place_in
from testlytics_collector.formats.text import bounded
from testlytics_collector.records import Failure, Note, Outcome

SKIPPING_TAGS = frozenset({"skipped", "skip", "ignored", "disabled", "pending"})
KINDS = {"failure": "failure", "error": "error", **dict.fromkeys(SKIPPING_TAGS, "skipped")}
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
MOST_RETRIES = 1_000
"""Attempts of one testcase from which on they are not believed."""

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
        results: Kind (`error`, `failure`, else `skipped`) and content of those that make its
            status, in document order.
        notes: Its properties, and the attachments that its output names.
        reruns: Its `<flaky…>` and `<rerun…>` elements.
        output: Name and text of its `<system-out>` and `<system-err>` elements.
    """

    __slots__ = ("notes", "output", "reruns", "results")

    def __init__(self) -> None:
        self.results: list[tuple[str, Failure]] = []
        self.notes: list[Note] = []
        self.reruns: list[Try] = []
        self.output: list[tuple[str, str]] = []

    def add_output(self, tag: str, text: str) -> None:
        """Take the text of one `<system-out>` or `<system-err>`."""
        if len(self.output) < MOST_TEXTS and text and not text.isspace():
            self.output.append((tag, text))

    def add_result(self, kind: str, failure: Failure) -> None:
        """Take one child that makes the status."""
        results = self.results
        if len(results) < MOST_RETRIES:
            results.append((kind, failure))
        elif kind == "error" or results[-1][0] == "skipped":
            # Too many to keep, but the worst of them must stay.
            results[-1] = (kind, failure)

    def add_rerun(self, rerun: Try) -> bool:
        """Take one rerun; False where there are too many."""
        if len(self.reruns) >= MOST_RETRIES:
            return False
        self.reruns.append(rerun)
        return True

    def failure_of(self, attrs: Attrs, text: str, limits: Limits) -> Failure:
        """Build a failure from one child's attributes and text."""
        if len(self.results) + len(self.reruns) >= MOST_TEXTS:
            return Failure(None, None, None, None)
        kind, message = attrs.get("type"), attrs.get("message")
        if message and len(message) > limits.message_chars:
            message = bounded(message, limits.message_chars)
        return Failure(
            kind.strip()[:300] or None if kind else None,
            message or None,
            text.strip("\r\n") if text and not text.isspace() else None,
            None,
        )


def status_of(case: Attrs, detail: Detail | None) -> Outcome:
    """Give the one status of a testcase: error, failure, skipped or passed, the first that holds.

    A testcase that says in an attribute that it failed, and has nothing inside to show for it, is
    unknown.
    """
    if detail is not None and detail.results:
        kinds = [kind for kind, _ in detail.results]
        if "error" in kinds:
            return Outcome.ERRORED
        return Outcome.FAILED if "failure" in kinds else Outcome.SKIPPED
    said = (case.get("status", "").lower(), case.get("result", "").lower())
    if not SKIPPING_STATUS.isdisjoint(said):
        return Outcome.SKIPPED
    return Outcome.PASSED if FAILING_STATUS.isdisjoint(said) else Outcome.UNKNOWN


def main_try(
    case: Attrs,
    detail: Detail | None,
    status: Outcome,
    duration_us: int | None,
    limits: Limits,
) -> Try:
    """Give the attempt that a testcase itself tells of.

    Args:
        case: The testcase's attributes.
        detail: Its children, None where it has none.
        status: Its status.
        duration_us: Its duration.
        limits: Bounds on texts.
    """
    if detail is None or not detail.results:
        return Try(status, None, duration_us, None)
    results = detail.results
    outcome = status
    for kind, failure in results:
        outcome = stored(outcome, kind, failure.type)
    if status is Outcome.SKIPPED:
        return Try(outcome, results[0][1], duration_us, None)
    failures = [failure for kind, failure in results if kind == "error"]
    failures += [failure for kind, failure in results if kind == "failure"]
    text = failures[0].text
    if len(failures) > 1:
        texts = filter(None, [text, *map(_titled, failures[1:MOST_TEXTS])])
        text = bounded("\n\n".join(texts), limits.text_chars)
    if detail.output:
        text = _with_output(text or "", detail.output, limits.text_chars)
    return Try(outcome, placed(failures[0], case, text), duration_us, None)


def with_reruns(main: Try, case: Attrs, detail: Detail, *, one_each: bool) -> list[Try]:
    """Put the attempts of a testcase in order.

    Args:
        main: What the testcase itself tells of.
        case: Its attributes.
        detail: Its children.
        one_each: Whether it holds one `<failure>` per attempt.

    Returns:
        Attempts, the first one first. Where a testcase failed, its own failure came first and the
        reruns after it; where it passed in the end, what failed came before.
    """
    if one_each and main.outcome is Outcome.FAILED and len(detail.results) > 1:
        return [
            Try(Outcome.FAILED, placed(failure, case, failure.text), None, None)
            for kind, failure in detail.results
            if kind == "failure"
        ]
    reruns = [
        Try(outcome, placed(failure, case, failure.text) if failure else None, duration, started)
        for outcome, failure, duration, started in detail.reruns
    ]
    failed = main.outcome in (Outcome.FAILED, Outcome.ERRORED)
    return [main, *reruns] if failed else [*reruns, main]


def stored(status: Outcome, kind: str, why: str | None) -> Outcome:
    """Tell expected failures apart from skips and failures.

    Args:
        status: The status of the testcase.
        kind: Of one of its children: `skipped`, `failure` or `error`.
        why: The type of that child, or None.
    """
    if kind == "skipped" and why:
        reason = why.lower().rpartition(".")[2]
        if status is Outcome.SKIPPED and reason in ("xfail", "xfailed"):
            return Outcome.XFAILED
        # node:test marks a failing test that is expected to fail with both elements.
        if status is Outcome.FAILED and reason == "todo":
            return Outcome.XFAILED
    return status


def _titled(failure: Failure) -> str:
    title = ": ".join(part for part in (failure.type, failure.message) if part)
    return "\n".join(part for part in (title, failure.text) if part)


def _with_output(text: str, output: list[tuple[str, str]], most: int) -> str:
    for tag, said in output:
        room = most - len(text) - len(tag) - 12
        if room < 200:
            break
        kept = bounded(said.strip("\r\n"), room)
        text += f"\n\n--- {tag} ---\n{kept}"
    return text.lstrip("\n")


def placed(failure: Failure, case: Attrs, text: str | None = None) -> Failure:
    """Add the place to a failure.

    Args:
        failure: Without a place.
        case: The attributes of its testcase.
        text: The text that it is to have.
    """
    owner = case.get("classname")
    place = place_in(failure.text, owner) or place_in(failure.message, owner)
    if place is None and "file" in case and case.get("line", "").isdecimal():
        place = f"{case['file']}:{case['line']}"
    return Failure(failure.type, failure.message, text, place)
