"""What a gate finds, and which of it blocks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from testlytics_collector.errors import ConfigError

BLOCK = "block"
WARN = "warn"
IGNORE = "ignore"

KINDS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "new-failure": (BLOCK, "new failure", "A test fails that passed before, or is new."),
        "flaky-new-failure": (
            BLOCK,
            "flaky test, new failure",
            "A flaky test fails in a new way, or more often than its flake rate explains.",
        ),
        "systemic": (BLOCK, "systemic failure", "Much of the suite failed at once."),
        "slower": (BLOCK, "slower", "A test got slower than the runs before explain."),
        "new-flake": (WARN, "new flake", "A test failed and passed that did not flake before."),
        "known-flake": (WARN, "known flake", "A flaky test fails as it is known to."),
        "broken-before": (WARN, "broken before", "A test fails that failed in the baseline."),
        "quarantined": (WARN, "quarantined", "A test fails that is in quarantine."),
        "removed": (WARN, "removed", "A test is gone that the baseline has."),
        "newly-skipped": (WARN, "newly skipped", "A test is skipped that ran in the baseline."),
        "measurement": (WARN, "worse", "A measurement got worse than its spread explains."),
    }
)
"""By name: whether it blocks by default, what it is called, and what it means."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What blocks, what is only told, and from how much history on anything is.

    Attributes:
        block: Kinds that block.
        warn: Kinds that are told and do not block; the others are passed over.
        least_runs: Nothing blocks in a variant with fewer runs in the baseline.
    """

    block: frozenset[str] = frozenset(k for k, (level, _, _) in KINDS.items() if level == BLOCK)
    warn: frozenset[str] = frozenset(k for k, (level, _, _) in KINDS.items() if level == WARN)
    least_runs: int = 5

    def level(self, kind: str) -> str:
        """Return `block`, `warn` or `ignore`."""
        return BLOCK if kind in self.block else WARN if kind in self.warn else IGNORE


def policy(
    block: Collection[str] | None, warn: Collection[str] | None, least_runs: int | None = None
) -> Policy:
    """Make a policy out of what somebody asks for.

    Args:
        block: Kinds that block; the defaults where None. What blocks by default and is not in it
            is only told.
        warn: Kinds that are told; where None, all that do not block.
        least_runs: See `Policy`; the default where None.

    Raises:
        ConfigError: A kind is not known.
    """
    for kind in (*(block or ()), *(warn or ())):
        if kind not in KINDS:
            raise ConfigError(
                f"{kind!r} is nothing that a gate finds.",
                slug="gate-kind",
                hint=f"Known are: {', '.join(KINDS)}.",
            )
    default = Policy()
    blocking = default.block if block is None else frozenset(block)
    told = frozenset(KINDS) if warn is None else frozenset(warn)
    return Policy(
        blocking, told - blocking, default.least_runs if least_runs is None else least_runs
    )


class Finding(NamedTuple):
    """One thing that a gate has to say; one reason where it blocks.

    Attributes:
        kind: A key of `KINDS`.
        level: block or warn.
        test_id: The test, or what was measured; None where it is about the whole run.
        variant: The variant in canonical form; empty where nothing is known.
        reason: Why, in one line, with the numbers behind it.
        message: What the failure says, one line; None where there is none.
        details: The numbers for programs: plain values by name.
        place: `file:line` of the failure; None where unknown.
    """

    kind: str
    level: str
    test_id: str | None
    variant: str
    reason: str
    message: str | None = None
    details: Mapping[str, Any] = MappingProxyType({})
    place: str | None = None


class Cause(NamedTuple):
    """Failures of the run with one likely cause.

    Attributes:
        text: Their normalised text.
        tests: Ids of the tests, in order, each once.
        failures: How many there are: tests by variant.
        first_run: Run of the window in which it was seen first, of these tests.
        first_commit: Its commit; None where unknown.
        is_new: Whether that is this run.
    """

    text: str
    tests: list[str]
    failures: int
    first_run: str
    first_commit: str | None
    is_new: bool


class LegResult(NamedTuple):
    """What became of one variant of the run.

    Attributes:
        variant: In canonical form; empty where nothing is known.
        tests: All of its tests …
        passed: … that passed …
        failed: … that failed in each attempt …
        flaky: … that failed and passed …
        skipped: … that were skipped.
        baseline_runs: Runs of the baseline in this variant.
        needed_runs: How many more are needed before anything can block; 0 where there are enough.
        run_factor: How slow the machine was, 1 is usual; None where nobody can tell.
    """

    variant: str
    tests: int
    passed: int
    failed: int
    flaky: int
    skipped: int
    baseline_runs: int
    needed_runs: int
    run_factor: float | None = None


@dataclass(frozen=True, slots=True)
class GateResult:
    """The answer of a gate.

    Attributes:
        project: Namespace of the tests.
        run_id: The run that was judged …
        commit: … its commit, None where unknown …
        branch: … its branch …
        pull_request: … and its pull request; None likewise.
        complete: Whether the run ended.
        baseline_branch: Branch that the baseline's runs are of; None for any.
        baseline_runs: How many there are.
        baseline_from: Commit of the oldest one; None where unknown.
        baseline_to: Commit of the newest one.
        change_runs: Earlier runs of the same change that were looked at as well.
        legs: Its variants.
        findings: What it found: what blocks first, then by kind, test and variant.
        causes: Failures by cause, the commonest first.
        notes: What a reader should know of the judgement itself.
        said_before: What a gate said of the run last; None where it never blocked.
        measurements: Series of measurements that were judged.
    """

    project: str
    run_id: str
    commit: str | None
    branch: str | None
    pull_request: str | None
    complete: bool
    baseline_branch: str | None
    baseline_runs: int
    baseline_from: str | None
    baseline_to: str | None
    change_runs: int
    legs: list[LegResult]
    findings: list[Finding]
    causes: list[Cause] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    said_before: str | None = None
    measurements: int = 0

    @property
    def blocking(self) -> list[Finding]:
        """The findings that block."""
        return [one for one in self.findings if one.level == BLOCK]

    @property
    def verdict(self) -> str:
        """`blocked`, `passed`, or `not judged` where no variant has history enough.

        A run without tests is judged by its measurements.
        """
        if self.blocking:
            return "blocked"
        judged = any(not leg.needed_runs for leg in self.legs)
        return "passed" if judged or (not self.legs and self.measurements) else "not judged"


def to_run_again(result: GateResult) -> list[str]:
    """Return the tests whose failures block, sorted, each once.

    One that passes when it is run again, within the same run, is a flake and blocks no more. Ids
    that do not fit in a line are left out.
    """
    found = {
        one.test_id
        for one in result.blocking
        if one.kind in {"new-failure", "flaky-new-failure"} and one.test_id
    }
    return sorted(name for name in found if name.isprintable())


def in_order(findings: list[Finding]) -> list[Finding]:
    """Sort findings: what blocks first, then by kind, test and variant."""
    kinds = list(KINDS)
    return sorted(
        findings,
        key=lambda one: (
            one.level != BLOCK,
            kinds.index(one.kind),
            one.test_id or "",
            one.variant,
        ),
    )
