"""What is asked of the service: how many clients, when, and of which kind."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """A part of a scenario.

    Attributes:
        until: Its end, as a share of the whole time.
        users: Virtual users, as a share of the most.
    """

    until: float
    users: float


class Scenario(NamedTuple):
    """One way to load the service.

    Attributes:
        about: What it is for, one sentence.
        seconds: How long it lasts unless told.
        users: The most virtual users at once unless told.
        steps: How many there are, in the order of time.
        ramp_s: How long it takes to start or to end them all.
        tests: Tests in a run file.
        bulk: Whether they upload one file after the other, without a pause and without questions.
        results: Stop once so many results are stored; 0 where only time counts.
    """

    about: str
    seconds: float
    users: int
    steps: tuple[Step, ...]
    ramp_s: float = 10.0
    tests: int = 500
    bulk: bool = False
    results: int = 0


_FLAT = (Step(0.9, 1.0), Step(1.0, 0.1))

SCENARIOS = {
    "normal": Scenario("a busy day: CI jobs upload, people look", 120, 100, _FLAT),
    "stress": Scenario(
        "more and more clients, to see what gives way first",
        160,
        400,
        (Step(0.2, 0.125), Step(0.4, 0.25), Step(0.6, 0.5), Step(0.9, 1.0), Step(1.0, 0.1)),
    ),
    "spike": Scenario(
        "all at once, and back: does it recover?",
        90,
        200,
        (Step(0.3, 0.1), Step(0.6, 1.0), Step(1.0, 0.1)),
        ramp_s=1.0,
    ),
    "endurance": Scenario(
        "the busy day for long (DURATION=4h): does anything grow?", 300, 100, _FLAT
    ),
    "volume": Scenario(
        "a million results in large files",
        600,
        4,
        (Step(1.0, 1.0),),
        ramp_s=1.0,
        tests=20_000,
        bulk=True,
        results=1_000_000,
    ),
    "smoke": Scenario(
        "a few seconds, for the tests", 6, 20, (Step(1.0, 1.0),), ramp_s=1.0, tests=50
    ),
}


def users_at(steps: tuple[Step, ...], share: float) -> float | None:
    """Return the share of the users at a share of the time, None after the end."""
    return next((step.users for step in steps if share < step.until), None)


def seconds_of(text: str) -> float:
    """Read a duration: seconds, or a number with s, m or h.

    Raises:
        ValueError: It is none, or not above 0.
    """
    factor = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:])
    value = float(text if factor is None else text[:-1]) * (factor or 1.0)
    if not 0 < value < 1e6:
        raise ValueError(f"not a duration: {text}")
    return value
