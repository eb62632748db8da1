"""The records that readers produce and the store keeps.

Standard library only. Times are whole microseconds: instants since the Unix epoch in UTC
(`…_us` fields that name an instant), durations since nothing (`setup_us`, `duration_us`, …).
None always means "not known", never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """How one attempt of one test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


class Failure(NamedTuple):
    """Why an attempt did not simply pass: of a failure, an error, a skip or an xfail.

    Attributes:
        type: Class or kind of the failure (`AssertionError`), None where not given.
        message: The short message, None where not given.
        text: The long text (traceback, captured detail), already bounded by the reader.
        place: `file:line` where it happened, None where not known.
    """

    type: str | None
    message: str | None
    text: str | None
    place: str | None


class NoteKind(StrEnum):
    """What a note is."""

    PROPERTY = "property"
    ATTACHMENT = "attachment"
    TAG = "tag"


class Note(NamedTuple):
    """Something that an attempt says of itself beyond its outcome.

    Attributes:
        kind: What it is: a property of a name and a value; an attachment, whose value is its path
            or address; a tag (a marker, an owner), whose value may be empty.
        name: Its name, empty for an attachment without one.
        value: Its value, bounded and with secrets taken out by the reader.
    """

    kind: NoteKind
    name: str
    value: str


class Attempt(NamedTuple):
    """One execution of one test.

    Attributes:
        test_id: Stable name of the test without the variant, never empty.
        attempt: Which execution of this test within its upload, first = 1.
        outcome: How it ended.
        duration_us: setup + call + teardown, or None where not measured.
        setup_us: Duration of the setup phase, or None where not told apart.
        teardown_us: Duration of the teardown phase, or None where not told apart.
        started_us: Instant at which it began, or None.
        worker: Name of the parallel worker that ran it, or None.
        failure: Why it did not pass, or None.
        notes: What else it says of itself, in document order.
    """

    test_id: str
    attempt: int
    outcome: Outcome
    duration_us: int | None = None
    setup_us: int | None = None
    teardown_us: int | None = None
    started_us: int | None = None
    worker: str | None = None
    failure: Failure | None = None
    notes: tuple[Note, ...] = ()


class Good(StrEnum):
    """Which values of a measurement are good."""

    LOWER = "lower"
    HIGHER = "higher"


class Measurement(NamedTuple):
    """A number of a run that is no outcome of a test: a benchmark, a percentile, a coverage.

    Attributes:
        name: What was measured: a benchmark, an endpoint, a file; never empty.
        metric: What of it, such as `time-median` or `line-coverage`.
        unit: Of the value: `s`, `1/s`, `percent`, or `ratio` for a share from 0 to 1.
        value: Always finite: what was not measured is no measurement.
        good: Which values are good.
    """

    name: str
    metric: str
    unit: str
    value: float
    good: Good


class Problem(NamedTuple):
    """Something in an input that a person should know of, though the input was readable.

    Attributes:
        text: What was found, which value, what was made of it.
        line: 1-based line, or None.
        column: 1-based column, or None.
    """

    text: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """One delivery of results of one run: a run file, a JUnit XML document.

    A run may arrive in several uploads (shards, matrix legs, attempts of the CI job). Two uploads
    with equal `project` and `run_id` belong to one run.

    Attributes:
        upload_id: Unique name of this delivery, the same whenever the same bytes come again.
        run_id: Name of the run this belongs to.
        project: Namespace of the tests.
        producer: What wrote it, `name version`; None where unknown.
        started_us: Instant at which this delivery's tests began, or None.
        ended_us: Instant at which they ended, or None.
        complete: False when the writer died before it could say that it had finished; None where
            the format cannot tell.
        exit_status: Exit status of the test runner, or None.
        run_attempt: The CI's re-run counter, first = 1.
        shard: Which part of the run this is (`1/4`, a job name), or None.
        variant: key=value ways of running (`os`, `python`, …); empty where unknown.
        commit: Full commit id of the tested sources, or None.
        tree_sha: The git tree the commit points to, or None.
        dirty: Whether the sources differed from the commit; None where unknown.
        branch: Branch name, or None (detached, unknown).
        pull_request: Number of the pull request, or None.
        ci: Name of the CI provider, or None outside of one.
        ci_url: Address of the CI job without credentials, or None.
    """

    upload_id: str
    run_id: str
    project: str = "default"
    producer: str | None = None
    started_us: int | None = None
    ended_us: int | None = None
    complete: bool | None = None
    exit_status: int | None = None
    run_attempt: int = 1
    shard: str | None = None
    variant: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    tree_sha: str | None = None
    dirty: bool | None = None
    branch: str | None = None
    pull_request: str | None = None
    ci: str | None = None
    ci_url: str | None = None


@dataclass(slots=True)
class Counts:
    """How many results one input held, by their one status each.

    For JUnit XML `testcases` counts testcase elements, for a run file attempts. The seven statuses
    add up to `testcases`. A crashed attempt counts as `errored`, an interrupted one as `unknown`.
    `attempts` adds the reruns recorded inside testcases and the failures that stand outside of
    any testcase. `measurements` counts apart from all these.
    """

    testcases: int = 0
    passed: int = 0
    failed: int = 0
    errored: int = 0
    skipped: int = 0
    xfailed: int = 0
    xpassed: int = 0
    unknown: int = 0
    tests: int = 0
    attempts: int = 0
    measurements: int = 0


def variant_text(variant: dict[str, str]) -> str:
    """Write a variant in its canonical form.

    Args:
        variant: Keys and values, any order.

    Returns:
        `key=value` pairs sorted by key and joined with commas (`os=linux,python=3.11`); an empty
        text for an empty variant. `%`, `,` and `=` inside keys and values are percent-encoded, so
        that different variants never get the same text.
    """

    def quote(text: str) -> str:
        return text.replace("%", "%25").replace(",", "%2C").replace("=", "%3D")

    return ",".join(f"{quote(k)}={quote(v)}" for k, v in sorted(variant.items()))
