"""Makes whole histories in which something is planted, and so the truth is known.

Deterministic: the same seed makes the same bytes, whatever was made before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import exp
from pathlib import Path
from random import Random

import factory
import factory.random

from tests.factories import HOUR_US, attempt, end, header, lines

Line = dict[str, object]


@dataclass(frozen=True)
class Case:
    """A test of a made-up suite.

    Attributes:
        test_id: Its name.
        usual_us: How long it usually takes, microseconds.
        says: What it says when it fails.
    """

    test_id: str
    usual_us: int
    says: str


class CaseFactory(factory.Factory[Case]):
    """Makes tests with names of words, no two alike, from 1 ms to a few seconds."""

    class Meta:
        model = Case

    class Params:
        number = 0
        place = factory.Faker("word")
        what = factory.Faker("word")
        log_s = factory.LazyFunction(lambda: factory.random.randgen.gauss(-2.5, 1.2))

    test_id = factory.LazyAttribute(
        lambda made: f"tests/test_{made.place}.py::test_{made.what}_{made.number}"
    )
    usual_us = factory.LazyAttribute(lambda made: 1_000 + round(exp(made.log_s) * 1e6))
    says = factory.Faker("sentence")


class RunFactory(factory.DictFactory):
    """Makes first lines of run files: one run after another, each of a commit of its own."""

    class Params:
        number = 0
        sha = factory.Faker("sha1")
        tree = factory.Faker("sha1")
        branch = "main"
        runs_a_day = 4

    run_id = factory.LazyAttribute(lambda made: f"run-{made.number:03}")
    upload_id = factory.Faker("md5")
    started_us = factory.LazyAttribute(
        lambda made: header()["started_us"] + made.number * 24 * HOUR_US // made.runs_a_day
    )
    sources = factory.LazyAttribute(
        lambda made: {
            "commit": made.sha,
            "tree_sha": made.tree,
            "dirty": False,
            "branch": made.branch,
        }
    )


@dataclass
class Told:
    """One execution of a test, which plants may change before it is written.

    Attributes:
        run: Number of the run, first = 0.
        day: Number of the day, first = 0.
        case: The test.
        test_id: Under which name it is recorded.
        fails: Whether the first attempt fails …
        retried: … and whether a second one passes then.
        us: What it takes, microseconds.
    """

    run: int
    day: int
    case: Case
    test_id: str
    us: float
    fails: bool = False
    retried: bool = False

    def rows(self) -> Iterator[Line]:
        """Return the attempts as lines of a run file."""
        told: Line = {"setup_us": 0, "call_us": max(round(self.us), 1), "teardown_us": 0}
        if self.fails:
            failure = {"type": "AssertionError", "message": self.case.says}
            yield attempt(self.test_id, "failed") | told | {"failure": failure}
        if self.retried or not self.fails:
            yield attempt(self.test_id) | told | {"attempt": 1 + self.fails}


@dataclass(frozen=True)
class Plant:
    """Something that is wrong with a suite.

    Attributes:
        test: Number of the test, first = 0; None for all.
        since: From which run on, first = 0 …
        until: … and before which; None for ever.
    """

    test: int | None = None
    since: int = 0
    until: int | None = None

    def change(self, told: Told, random: Random) -> None:
        """Do to an execution what is wrong."""


@dataclass(frozen=True)
class Flaky(Plant):
    """Fails at a rate, and passes where it is tried again."""

    rate: float = 0.2
    retries: bool = True

    def change(self, told: Told, random: Random) -> None:
        """Fail now and then."""
        if random.random() < self.rate:
            told.fails, told.retried = True, self.retries


@dataclass(frozen=True)
class Broken(Plant):
    """Fails always."""

    def change(self, told: Told, random: Random) -> None:
        """Fail."""
        told.fails, told.retried = True, False


@dataclass(frozen=True)
class Slower(Plant):
    """Takes longer."""

    times: float = 2.0

    def change(self, told: Told, random: Random) -> None:
        """Take longer."""
        told.us *= self.times


@dataclass(frozen=True)
class SlowMachine(Plant):
    """The machine is slow on one day; no test is."""

    day: int = 0
    times: float = 2.5

    def change(self, told: Told, random: Random) -> None:
        """Take longer on that day."""
        told.us *= self.times if told.day == self.day else 1


@dataclass(frozen=True)
class Renamed(Plant):
    """Has another name from a run on: it stands in another file."""

    file: str = "tests/test_moved.py"

    def change(self, told: Told, random: Random) -> None:
        """Use the new name."""
        told.test_id = f"{self.file}::{told.test_id.partition('::')[2]}"


@dataclass(frozen=True)
class UnstableId(Plant):
    """Has an address in its name, which is another one in each run."""

    def change(self, told: Told, random: Random) -> None:
        """Append a parameter with the representation of an object."""
        told.test_id += f"[<object object at 0x7f{random.getrandbits(40):010x}>]"


@dataclass(frozen=True)
class Suite:
    """A suite, and its runs.

    Attributes:
        seed: Of all that is random.
        tests: How many.
        runs: How many, each of a commit of its own.
        runs_a_day: How many.
        noise: Standard deviation of a duration's logarithm.
        plants: What is wrong, done one after another.
    """

    seed: int = 1
    tests: int = 20
    runs: int = 30
    runs_a_day: int = 4
    noise: float = 0.05
    plants: Sequence[Plant] = field(default=())

    def cases(self) -> list[Case]:
        """Make the tests."""
        with seeded(self.seed):
            return [CaseFactory.build(number=number) for number in range(self.tests)]

    def headers(self) -> list[Line]:
        """Make the first lines of the runs."""
        with seeded(self.seed + 1):
            return [
                header(number, **RunFactory.build(number=number, runs_a_day=self.runs_a_day))
                for number in range(self.runs)
            ]

    def commits(self) -> list[str]:
        """Return the commit of each run."""
        return [str(one["sources"]["commit"]) for one in self.headers()]  # type: ignore[index]

    def told(self) -> Iterator[list[Told]]:
        """Make the executions of each run."""
        # A plant draws from numbers of its own, so that it changes nothing but what it is about.
        durations = Random(f"{self.seed} durations")
        chances = [Random(f"{self.seed} plant {number}") for number in range(len(self.plants))]
        cases = self.cases()
        for run in range(self.runs):
            made = []
            for number, case in enumerate(cases):
                usual = case.usual_us * durations.lognormvariate(0, self.noise)
                one = Told(run, run // self.runs_a_day, case, case.test_id, usual)
                for plant, random in zip(self.plants, chances, strict=True):
                    if plant.test in {None, number} and _is_within(plant, run):
                        plant.change(one, random)
                made.append(one)
            yield made

    def files(self) -> Iterator[bytes]:
        """Make the run files."""
        for first, made in zip(self.headers(), self.told(), strict=True):
            yield run_file_of(first, made)

    def write(self, folder: Path) -> list[Path]:
        """Write the run files; return them in order."""
        paths = []
        for number, content in enumerate(self.files()):
            paths.append(folder / f"run-{number:03}.jsonl")
            paths[-1].write_bytes(content)
        return paths


def run_file_of(first: Line, executions: Iterable[Told]) -> bytes:
    """Make a whole run file."""
    rows = [row for one in executions for row in one.rows()]
    return lines(first, *rows, end(len(rows)))


def _is_within(plant: Plant, run: int) -> bool:
    return plant.since <= run and (plant.until is None or run < plant.until)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let factories start from a seed, and leave their state as it was."""
    before = factory.random.get_random_state()
    factory.random.reseed_random(seed)
    try:
        yield
    finally:
        factory.random.set_random_state(before)
