"""The virtual users: CI jobs that upload, and people and gates that ask.

Runs under Locust, which `python -m scripts.load SCENARIO` starts beside a service of its own:

    locust -f tests/load/locustfile.py --headless --host http://127.0.0.1:8321 --scenario normal
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TextIO

from locust import FastHttpUser, LoadTestShape, between, constant_pacing, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from scripts.load.bodies import Bodies
from scripts.load.scenarios import SCENARIOS, Scenario, users_at

# What people look at: name in the report, address, how often. Append what the service learns.
QUESTIONS: list[tuple[str, str, int]] = [
    ("flaky", "/api/v1/flaky?limit=50", 3),
    ("slowest", "/api/v1/slowest?limit=50", 2),
    ("regressions", "/api/v1/regressions?limit=50", 1),
    ("runs", "/api/v1/runs?limit=50", 2),
    ("gate", "/api/v1/gate", 2),
    ("page overview", "/", 2),
    ("page project", "/project", 3),
    ("page flaky", "/flaky", 1),
    ("page slowest", "/slowest", 1),
    ("page runs", "/runs", 1),
    ("page wall", "/wall", 1),
]

_KINDS = 4
_LOOK_S = 0.2
_USERS_A_PROJECT = 5
_JOB_EVERY_S = 1.6
"""Ninety jobs that upload so often make 56 uploads a second."""

_stored = itertools.count(1)


class Load:
    """What all users of this process share; filled when the load begins."""

    scenario: ClassVar[Scenario]
    bodies: ClassVar[list[Bodies]]
    tokens: ClassVar[list[str]]
    name: ClassVar[str]
    stored: ClassVar[int] = 0
    there: ClassVar[set[str]] = set()
    acknowledged: ClassVar[TextIO]


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="normal", help="which load")
    parser.add_argument("--tokens", default="", help="a file with tokens, a JSON list")
    parser.add_argument("--acknowledged", default=os.devnull, help="a file for what was stored")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long; 0: its own time")
    parser.add_argument("--most-users", type=int, default=0, help="how many; 0: its own number")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Environment, **_: object) -> None:
    options = environment.parsed_options
    assert options is not None
    scenario = SCENARIOS[options.scenario]
    Load.scenario = scenario._replace(
        seconds=options.seconds or scenario.seconds, users=options.most_users or scenario.users
    )
    kinds = range(1 if scenario.bulk else _KINDS)
    Load.bodies = [Bodies(scenario.tests, kind * 8) for kind in kinds]
    tokens = json.loads(Path(options.tokens).read_text()) if options.tokens else [""]
    Load.tokens = tokens[: max(1, Load.scenario.users // _USERS_A_PROJECT)]
    # Line by line: what was acknowledged is known also where this process is killed.
    path = Path(options.acknowledged)
    Load.acknowledged = path.open("w", buffering=1)
    Load.name = f"{os.getpid():x}-{os.urandom(4).hex()}"


class Shape(LoadTestShape):
    """How many users there are, as the scenario says."""

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there should be now, and how many to start a second."""
        one = Load.scenario
        spent_s: float = self.get_run_time()  # type: ignore[no-untyped-call]
        share = users_at(one.steps, spent_s / one.seconds)
        if share is None or (one.results and Load.stored >= one.results):
            return None
        return max(1, round(one.users * share)), max(1.0, one.users / one.ramp_s)


class _Client(FastHttpUser):
    abstract = True
    # Each kind counts for itself: else all who look might share the projects of nobody who uploads.
    numbers: ClassVar[Iterator[int]]

    def on_start(self) -> None:
        self.number = next(self.numbers)
        self.secret = Load.tokens[self.number % len(Load.tokens)]

    def _headers(self, **more: str) -> dict[str, str]:
        return {**more, "Authorization": f"Bearer {self.secret}"} if self.secret else more

    def _ask(self, name: str, path: str) -> None:
        with self.client.get(path, name=name, headers=self._headers(), catch_response=True) as got:
            if got.status_code != 200:
                got.failure(_kind(got))

    def _upload(self, name: str, run: tuple[str, int], least: int) -> bool:
        """Upload a run; tell whether it was acknowledged."""
        body, results = Load.bodies[self.number % len(Load.bodies)].body(*run)
        headers = self._headers(**{"Content-Encoding": "gzip"})
        with self.client.post(
            "/api/v1/runs",
            data=body,  # type: ignore[arg-type]
            name=name,
            headers=headers,
            catch_response=True,
        ) as got:
            if got.status_code not in {least, 201}:
                got.failure(_kind(got))
                return False
            told = got.json()
            if got.status_code == 201 and told["counts"]["attempts"] != results:
                got.failure(f"{told['counts']['attempts']} results stored instead of {results}")
            if got.status_code == 201:
                Load.stored += results
                Load.there.add(self.secret)
                Load.acknowledged.write(f"{time.time():.3f} {run[0]} {results}\n")
        return True


def _slug(got: Any) -> str:  # noqa: ANN401 - Locust's own
    try:
        return str(got.json()["error"]["slug"])
    except Exception:  # noqa: BLE001 - the connection broke, or it is no answer of ours
        return type(got.error).__name__ if got.error else "no answer"


def _kind(got: Any) -> str:  # noqa: ANN401 - Locust's own
    """Name an error by its status and slug, so that the report counts by kind."""
    return f"{got.status_code} {_slug(got)}"


class Job(_Client):
    """A CI job: uploads its run; now and then twice, because an answer was lost."""

    weight = 9
    numbers = itertools.count(1)
    wait_time = constant_pacing(_JOB_EVERY_S)

    def on_start(self) -> None:
        """Begin without a run that was acknowledged."""
        super().on_start()
        self.sent: list[tuple[str, int]] = []

    @task(19)
    def upload(self) -> None:
        """Upload a run that is new; what was not acknowledged is sent again the next time."""
        number = next(_stored)
        run = (f"{Load.name}-{number}", number)
        if self._upload("run", run, 201):
            self.sent = [run]

    @task(1)
    def upload_again(self) -> None:
        """Upload a run that was acknowledged: it must change nothing."""
        if self.sent:
            self._upload("run again", self.sent[0], 200)


class Person(_Client):
    """Somebody who looks, and thinks before the next look."""

    weight = 1
    numbers = itertools.count(1)
    wait_time = between(2, 8)

    @task
    def look(self) -> None:
        """Ask one of the questions, once there is something of the project to be seen."""
        while self.secret not in Load.there:
            time.sleep(_LOOK_S)  # lets the other users go on: Locust has put its own in its place
        weights = [often for *_, often in QUESTIONS]
        [(name, path, _)] = random.choices(QUESTIONS, weights)
        self._ask(name, path)


class Bulk(_Client):
    """Brings a long history, one large file after the other."""

    numbers = itertools.count(1)

    @task
    def upload(self) -> None:
        """Upload a large run."""
        number = next(_stored)
        self._upload("bulk run", (f"{Load.name}-{number}", number), 201)
