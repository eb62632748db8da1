"""What a gate blocks: changes that change nothing, bugs in sound tests, bugs in flaky ones.

A change is judged as `testlytics gate` does it, by the same functions: the hundred runs before it
are the baseline, the next one to three its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from scripts.accuracy.outcome_data import Shape, SimulatedTest, Suite, burst_of, simulate
from scripts.accuracy.outcome_rivals import RULES, Seen, everybody_failed
from scripts.accuracy.table import Table
from testlytics.gate.failures import Past, judge_failure
from testlytics.gate.findings import Policy
from testlytics_analytics.evidence import Tried, outages
from testlytics_analytics.fingerprints import FailureText, fingerprint
from testlytics_analytics.histories import History, Run
from testlytics_analytics.status import judge
from testlytics_collector.store.gating import FailedNow

BASELINE = 100
SIZES = (200, 1_000, 5_000)
POLICY = Policy()
RIVALS_EVERY = 10
"""Rivals judge one change in so many: some of them take their time."""

BUG = "assert result is not None"


@dataclass(frozen=True, slots=True)
class Setting:
    """How a pipeline tries tests.

    Attributes:
        name: What it is called.
        retries: Share of the runs that try a failed test once more.
        confirmed: How often a test that would block is tried again, before it does.
        bursty: Share of the flaky tests that fail in bursts: within them like a broken test.
    """

    name: str
    retries: float
    confirmed: int = 0
    bursty: float = 0.0


SETTINGS = (
    Setting("each test is tried once", 0.0),
    Setting("failed tests are tried once more", 1.0),
    Setting("failed tests are tried once more, what would block three times", 1.0, 3),
    Setting("the same, and 15 % of the flaky tests fail in bursts", 1.0, 3, 0.15),
)


class Change(NamedTuple):
    """A change, and what is known when it is judged.

    Attributes:
        start: First run of the change.
        end: The run to judge is the one before this.
        void: Runs of the baseline in which the machine failed, as far as one can tell.
    """

    start: int
    end: int
    void: frozenset[int]


def changes(suite: Suite, random: Random) -> Iterator[Change]:
    """Yield changes that change nothing; none of their runs is an outage."""
    at = BASELINE
    while at + 3 <= len(suite.runs):
        end = at + random.choice((1, 1, 2, 3))
        if not any(suite.runs[step].outage for step in range(at, end)):
            void = outages(
                ["p"] * BASELINE, suite.failing[at - BASELINE : at], [suite.size] * BASELINE
            )
            yield Change(at, end, frozenset(step + at - BASELINE for step in void))
        at = end


def says(seed: int, test: SimulatedTest, step: int) -> str:
    """Return what a flaky test says in one run: one of its few ways, the first the commonest."""
    ways = 1
    random = Random(f"{seed}/{test.number}")  # noqa: S311 - a simulation
    while ways < 5 and random.random() < 0.3:
        ways += 1
    random = Random(f"{seed}/{test.number}/{step}")  # noqa: S311
    way = random.choices(range(ways), [0.4**n for n in range(ways)])[0]
    return f"flake of {'abcde'[way] * 8} after {step} s"


def ours(seed: int, test: SimulatedTest, change: Change, said: str | None = None) -> bool:
    """Tell whether our gate blocks a test that failed in the newest run of a change."""
    first = change.start - BASELINE
    letters = test.letters[first : change.start]
    tried = tries_of(test, first, change.start)
    runs = [Run(f"r{step}", f"c{step}", f"s{step}") for step in range(first, change.start)]
    void = frozenset(step - first for step in change.void)
    steps = list(range(BASELINE))
    judged = judge([Tried(History("p", "t", "", steps, letters), tried)], runs, void).rows
    known = Counter(
        fingerprint(FailureText("E", says(seed, test, first + step)))
        for step, letter in enumerate(letters)
        if letter != "P"
    )
    [newest] = tries_of(test, change.end - 1, change.end)
    text = says(seed, test, change.end - 1) if said is None else said
    now = FailedNow("t", "", newest[0], newest[1], "E", text, None, None)
    before = "".join(x for step, x in enumerate(letters) if step not in void)
    failed_before = set(letters) != {"P"}
    past = Past(
        before, test.letters[change.start : change.end], judged[0] if failed_before else None
    )
    finding = judge_failure(now, past, known)
    return finding is not None and POLICY.level(finding.kind) == "block"


def tries_of(test: SimulatedTest, first: int, behind: int) -> list[tuple[int, int]]:
    """Return (passes, failures) of the failing runs of a part of a history."""
    skipped = sum(letter != "P" for letter in test.letters[:first])
    count = sum(letter != "P" for letter in test.letters[first:behind])
    return list(test.tries[skipped : skipped + count])


def by_rule(rule: str, suite: Suite, test: SimulatedTest, change: Change) -> bool:
    """Tell whether a gate blocks that excuses each test which a rule calls flaky."""
    if test.letters[change.end - 1] != "F":
        return False
    score, threshold = RULES[rule]
    part = test._replace(
        letters=test.letters[change.start - BASELINE : change.start],
        tries=tries_of(test, change.start - BASELINE, change.start),
    )
    runs = suite.runs[change.start - BASELINE : change.start]
    if set(part.letters) == {"P"}:
        return True
    return score(Seen(part, runs, everybody_failed(suite))) < threshold


Blocks = Callable[[int, Suite, SimulatedTest, Change], bool]


def gates() -> dict[str, Blocks]:
    """Return the gates by name."""
    found: dict[str, Blocks] = {
        "testlytics": lambda seed, _suite, test, change: ours(seed, test, change),
        "every failure blocks": lambda _seed, _suite, test, change: (
            test.letters[change.end - 1] == "F"
        ),
    }
    for rule in RULES:
        found[f"excuses what is flaky by {rule}"] = _excusing(rule)
    return found


def _excusing(rule: str) -> Blocks:
    def blocks(_seed: int, suite: Suite, test: SimulatedTest, change: Change) -> bool:
        return by_rule(rule, suite, test, change)

    return blocks


class Score(NamedTuple):
    """What one gate did.

    Attributes:
        changes: Changes that change nothing …
        red: … and were blocked.
        flakes: Failures of tests that are flaky and failed before …
        blocked: … that were blocked.
    """

    changes: int
    red: int
    flakes: int
    blocked: int


def replay(setting: Setting, seeds: Sequence[int], commits: int) -> dict[str, Score]:
    """Judge changes that change nothing; return what each gate did. Rivals judge a part of them."""
    told = {name: [0, 0, 0, 0] for name in gates()}
    count = 0
    for seed in seeds:
        shape = Shape(
            tests=SIZES[seed % len(SIZES)],
            commits=commits,
            reruns=0,
            retries=setting.retries,
            bursty=setting.bursty,
            breaking=0.01,
        )
        suite = simulate(seed, shape)
        for change in changes(suite, Random(seed)):  # noqa: S311
            count += 1
            newest = change.end - 1
            fell = [
                test
                for test in suite.tests
                if test.letters[newest] != "P" and not _is_change(test, change)
            ]
            for name, blocks in gates().items():
                if name != "testlytics" and count % RIVALS_EVERY:
                    continue
                stopped = [
                    test
                    for test in fell
                    if blocks(seed, suite, test, change)
                    and fails_again(seed, shape, test, newest, setting.confirmed)
                ]
                plain = [test for test in fell if _is_known_flake(test, change)]
                told[name][0] += 1
                told[name][1] += bool(stopped)
                told[name][2] += len(plain)
                told[name][3] += sum(test in stopped for test in plain)
    return {name: Score(*counts) for name, counts in told.items()}


def fails_again(seed: int, shape: Shape, test: SimulatedTest, step: int, times: int) -> bool:
    """Tell whether a test that failed in a run also fails when it is tried again there."""
    if step in test.broken:
        chance = 0.995
    else:
        chance = burst_of(shape, test.rate)[1] if test.bursty else test.rate
    random = Random(f"{seed}/{test.number}/{step}/again")  # noqa: S311
    return all(random.random() < chance for _ in range(times))


def _is_change(test: SimulatedTest, change: Change) -> bool:
    """Tell whether a test breaks in the change itself: then it is none that changes nothing."""
    return change.end - 1 in test.broken and test.letters[change.start - 1] == "P"


def _is_known_flake(test: SimulatedTest, change: Change) -> bool:
    newest = change.end - 1
    before = test.letters[change.start - BASELINE : change.start]
    return (
        test.rate > 0
        and test.letters[newest] == "F"
        and newest not in test.broken
        and any(
            letter != "P" and change.start - BASELINE + at not in test.broken
            for at, letter in enumerate(before)
        )
    )


def bugs(setting: Setting, rate: float, *, new_text: bool, count: int, seed: int) -> dict[str, str]:
    """Break a test of a flake rate; return how often its first and second failure is blocked."""
    random = Random(f"{seed}/{rate}/{setting.name}")  # noqa: S311
    caught = {name: [0, 0] for name in gates()}
    for number in range(count):
        test = _broken_test(number, rate, setting, random)
        suite = Suite(
            simulate(seed, Shape(tests=1, commits=BASELINE + 3, reruns=0, outages=0)).runs,
            [test],
            [],
            [0] * (BASELINE + 3),
            1_000,
        )
        said = BUG if new_text else says(seed, test, 7)
        for name, blocked in caught.items():
            first, second = (
                ours(seed, test, Change(BASELINE, BASELINE + runs, frozenset()), said)
                if name == "testlytics"
                else gates()[name](
                    seed, suite, test, Change(BASELINE, BASELINE + runs, frozenset())
                )
                for runs in (1, 2)
            )
            blocked[0] += first
            blocked[1] += first or second
    return {
        name: f"{first / count:.3f} / {second / count:.3f}"
        for name, (first, second) in caught.items()
    }


def _broken_test(number: int, rate: float, setting: Setting, random: Random) -> SimulatedTest:
    letters, tries = [], []
    for step in range(BASELINE + 3):
        sure = step >= BASELINE
        if not sure and random.random() >= rate:
            letters.append("P")
            continue
        again = setting.retries > 0
        mended = again and not sure and random.random() >= rate
        letters.append("L" if mended else "F")
        tries.append((int(mended), 1 + int(again and not mended)))
    return SimulatedTest(number, "".join(letters), tries, rate, False, frozenset())


def tables(*, seeds: int, small: bool = False) -> list[Table]:
    """Measure all settings."""
    numbers = range(500, 502 if small else 500 + 3 * max(seeds // 2, 1))
    count = 40 if small else 400
    found = []
    for setting in SETTINGS:
        told = replay(setting, numbers, 140 if small else 400)
        rates = {
            "sound": bugs(setting, 0.0, new_text=True, count=count // 4, seed=1),
            "new": bugs(setting, 0.05, new_text=True, count=count, seed=2),
            "same": bugs(setting, 0.05, new_text=False, count=count, seed=3),
        }
        rows = [
            [
                name,
                f"{500 * one.red / max(one.changes, 1):.1f}",
                f"{one.changes:,}",
                f"{one.blocked / one.flakes:.3f}" if one.flakes else "-",
                rates["sound"][name].partition(" ")[0],
                rates["new"][name],
                rates["same"][name],
            ]
            for name, one in told.items()
        ]
        found.append(
            Table(
                f"Gates on outcomes: {setting.name}",
                (
                    "gate",
                    "red of 500",
                    "changes",
                    "known flakes blocked",
                    "new failure",
                    "bug in a 5 % flake, new text",
                    "the same text",
                ),
                rows,
                note=(
                    "Changes that change nothing, suites of "
                    f"{', '.join(f'{size:,}' for size in SIZES)} tests, flake rates by "
                    "FlakeFlagger; then bugs: blocked in the first failing run / by the second."
                ),
            )
        )
    return found
