"""What failures and long tests cost, and what follows from that.

A job is one run in one variant and one run attempt of the CI. One that ends red bought nothing: all
that it took is lost, and put down in equal parts to the tests that blocked it. One that ends green
lost only the attempts that had to be made again. So no second is lost twice, and what is lost is
never more than what was taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from testlytics_analytics.status import Judged

Key = tuple[str, str, str]
"""Project, test id and variant."""


@dataclass(frozen=True, slots=True)
class ImpactOptions:
    """Constants of the recommendations.

    Attributes:
        named: At most so many recommendations of a kind.
        share: A test is worth splitting where it takes at least this share of the critical path …
        jobs: … over at least so many jobs, and alone longer than an even share of the work.
        uneven: The work is spread badly where the longest worker takes at least so many times an
            even share, and no single test does.
    """

    named: int = 5
    share: float = 0.1
    jobs: int = 3
    uneven: float = 1.3


class Job(NamedTuple):
    """One run in one variant and one run attempt.

    Attributes:
        step: Index of the run.
        variant: The variant.
        run_attempt: The CI's re-run counter, first = 1.
        seconds: What its machines took.
        tests_s: Sum of all attempts.
        longest_s: Sum of the attempts of its longest worker: its critical path.
        workers: How many there were, on all machines.
        passed: Whether it is known to have ended well, whatever failed: in quarantine.
    """

    step: int
    variant: str
    run_attempt: int
    seconds: float
    tests_s: float
    longest_s: float
    workers: int
    passed: bool = False


class Trouble(NamedTuple):
    """A test that failed in a job.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant.
        step: Index of the run.
        run_attempt: The CI's re-run counter.
        failures: Attempts that failed.
        attempts: All attempts.
        ended_bad: Whether the last attempt failed too: it blocked the job.
        again_s: Seconds of all attempts but the last one that passed.
    """

    project: str
    test_id: str
    variant: str
    step: int
    run_attempt: int
    failures: int
    attempts: int
    ended_bad: bool
    again_s: float


class OnPath(NamedTuple):
    """A test on the longest worker of jobs.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant.
        jobs: Jobs in which it was on it.
        seconds: What it took there, over all of them.
    """

    project: str
    test_id: str
    variant: str
    jobs: int
    seconds: float


class Impact(NamedTuple):
    """What the failures of one test in one variant cost.

    Attributes:
        project: Namespace of the test.
        test_id: The test.
        variant: The variant.
        blocked: Jobs that it blocked: its last attempt failed …
        blocked_alone: … and no other test did so there.
        retries: Its attempts beyond the first, in jobs in which it failed.
        reruns: Jobs it blocked that the CI started again.
        lost_s: Seconds lost by it; see the module.
    """

    project: str
    test_id: str
    variant: str
    blocked: int
    blocked_alone: int
    retries: int
    reruns: int
    lost_s: float


class Losses(NamedTuple):
    """What failures cost over a window.

    Attributes:
        jobs: How many there were …
        blocked: … of which tests blocked …
        reruns: … and which the CI started again then.
        taken_s: Seconds that all took.
        lost_s: … of which lost …
        outage_s: … in jobs that say nothing of any test, as much of the suite failed.
        impacts: By test, those that lost most first.
    """

    jobs: int
    blocked: int
    reruns: int
    taken_s: float
    lost_s: float
    outage_s: float
    impacts: list[Impact]


class Long(NamedTuple):
    """A test's part of the critical path of its suite.

    Attributes:
        test_id: The test.
        jobs: Jobs in which it was on it.
        typical_s: Mean seconds it took there.
        share: Its part of the critical path of all jobs, from 0 to 1.
    """

    test_id: str
    jobs: int
    typical_s: float
    share: float


class Path(NamedTuple):
    """The critical path of one suite: of each job the longest worker.

    Attributes:
        project: Namespace of the tests.
        variant: The variant.
        jobs: How many jobs there were.
        workers: Median number of workers.
        longest_s: Median of what the longest worker took.
        even_s: Median of what each would have taken, were the work spread evenly.
        tests: Those that take most of it first.
    """

    project: str
    variant: str
    jobs: int
    workers: float
    longest_s: float
    even_s: float
    tests: list[Long]

    @property
    def unevenness(self) -> float | None:
        """How many times an even share the longest worker takes, from 1; None without durations."""
        return self.longest_s / self.even_s if self.even_s > 0 else None


class Advice(NamedTuple):
    """Something worth doing, with the numbers behind it.

    Attributes:
        kind: fix, quarantine, confirm, split or spread.
        project: Namespace of the test, or of the suite.
        test_id: The test; None where the suite is meant.
        variant: The variant.
        judged: The judgement on the test; None for split and spread.
        impact: What its failures cost; None likewise.
        path: The critical path that it is on; None for the others.
        long: Its part of it; None for all but split.
    """

    kind: str
    project: str
    test_id: str | None
    variant: str
    judged: Judged | None = None
    impact: Impact | None = None
    path: Path | None = None
    long: Long | None = None


def losses(jobs: Sequence[Job], troubles: Iterable[Trouble], void: Collection[int] = ()) -> Losses:
    """Put down what was lost to the tests that failed.

    Args:
        jobs: All of a window.
        troubles: The tests that failed in them.
        void: Indexes of runs that say nothing of any test, as much of the suite failed.
    """
    void = frozenset(void)
    held: dict[tuple[int, str, int], list[Trouble]] = defaultdict(list)
    for one in troubles:
        held[one.step, one.variant, one.run_attempt].append(one)
    last: dict[tuple[int, str], int] = {}
    for job in jobs:
        place = job.step, job.variant
        last[place] = max(last.get(place, 0), job.run_attempt)
    parts: dict[Key, list[_Part]] = defaultdict(list)
    outage_s, blocked, reruns = 0.0, 0, 0
    for job in jobs:
        failed = held[job[:3]]
        if job.passed:
            failed = [one._replace(ended_bad=False) for one in failed]
        red = sum(one.ended_bad for one in failed)
        again = red > 0 and last[job[:2]] > job.run_attempt
        blocked, reruns = blocked + (red > 0), reruns + again
        if job.step in void:
            outage_s += job.seconds if red else 0.0
            continue
        for one in failed:
            lost_s = one.again_s if not red else job.seconds / red if one.ended_bad else 0.0
            mine = _Part(one.ended_bad, red == 1, one.attempts - 1, again, lost_s)
            parts[one[:3]].append(mine)
    impacts = [_summed(key, some) for key, some in parts.items()]
    impacts.sort(key=lambda one: (-one.lost_s, -one.blocked, one[:3]))
    lost_s = outage_s + sum(one.lost_s for one in impacts)
    taken_s = sum(job.seconds for job in jobs)
    return Losses(len(jobs), blocked, reruns, taken_s, lost_s, outage_s, impacts)


class _Part(NamedTuple):
    """What one test cost in one job: as of `Impact`."""

    blocked: bool
    alone: bool
    retries: int
    again: bool
    lost_s: float


def _summed(key: Key, parts: Sequence[_Part]) -> Impact:
    red = [one for one in parts if one.blocked]
    return Impact(
        *key,
        blocked=len(red),
        blocked_alone=sum(one.alone for one in red),
        retries=sum(one.retries for one in parts),
        reruns=sum(one.again for one in red),
        lost_s=sum(one.lost_s for one in parts),
    )


def critical_paths(
    jobs: Sequence[Job], on_path: Iterable[OnPath], projects: Sequence[str]
) -> list[Path]:
    """Say which tests make the jobs of each suite long.

    Args:
        jobs: All of a window.
        on_path: The tests on the longest worker of each.
        projects: The project of each run, by index.

    Returns:
        A path for each project and variant whose jobs took any time, by project and variant.
    """
    suites: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in jobs:
        if job.longest_s > 0:
            suites[projects[job.step], job.variant].append(job)
    tests: dict[tuple[str, str], list[OnPath]] = defaultdict(list)
    for one in on_path:
        tests[one.project, one.variant].append(one)
    made = []
    for (project, variant), some in sorted(suites.items()):
        whole = sum(job.longest_s for job in some)
        parts = [
            Long(one.test_id, one.jobs, one.seconds / one.jobs, one.seconds / whole)
            for one in tests[project, variant]
            if one.jobs
        ]
        made.append(
            Path(
                project,
                variant,
                len(some),
                float(median(job.workers for job in some)),
                median(job.longest_s for job in some),
                median(job.tests_s / max(job.workers, 1) for job in some),
                sorted(parts, key=lambda one: (-one.share, one.test_id)),
            )
        )
    return made


def advice(
    judged: Iterable[Judged],
    told: Losses,
    paths: Iterable[Path],
    options: ImpactOptions | None = None,
) -> list[Advice]:
    """Say what is worth doing: nothing that a number does not stand behind.

    Args:
        judged: The tests that were judged.
        told: What failures cost.
        paths: The critical paths.
        options: Constants; the defaults where None.

    Returns:
        Broken tests to fix, flaky ones to quarantine (proven or strong evidence) or to confirm
        (suspected), each those that lost most first; then tests to split and suites to spread.
    """
    options = options or ImpactOptions()
    status = {(one.project, one.test_id, one.variant): one for one in judged}
    kinds: dict[str, list[Advice]] = {"fix": [], "quarantine": [], "confirm": []}
    for impact in told.impacts:
        one = status.get(impact[:3])
        if one is None:
            continue
        if one.status == "broken":
            kinds["fix"].append(Advice("fix", *impact[:3], one, impact))
        elif one.status == "flaky" and impact.blocked + impact.retries:
            kind = "confirm" if one.grade == "suspected" else "quarantine"
            kinds[kind].append(Advice(kind, *impact[:3], one, impact))
    found = [one for some in kinds.values() for one in some[: options.named]]
    for path in paths:
        found += _of_path(path, options)
    return found


def _of_path(path: Path, options: ImpactOptions) -> list[Advice]:
    """Say what would make the jobs of a suite shorter; nothing where there is one worker."""
    if path.workers < 2 or path.jobs < options.jobs:
        return []
    found = [
        Advice("split", path.project, one.test_id, path.variant, path=path, long=one)
        for one in path.tests
        if one.share >= options.share and one.jobs >= options.jobs and one.typical_s > path.even_s
    ]
    uneven = path.unevenness
    if not found and uneven is not None and uneven >= options.uneven:
        found = [Advice("spread", path.project, None, path.variant, path=path)]
    return found[: options.named]
