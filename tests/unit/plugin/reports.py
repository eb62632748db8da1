"""Feeds reports to the recorder of attempts without running pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_testlytics.attempts import Attempts, Customs
from pytest_testlytics.clock import Clock
from pytest_testlytics.failure import Limits
from pytest_testlytics.lanes import Lanes
from pytest_testlytics.runfile import RunFile
from tests.unit.plugin.recorded import Recording, read

LIMITS = Limits(message_chars=200, text_chars=400, root="/root/", here="/root")
USUAL = Customs(repeats=False, retry_word=None, late=False, carried=False)


class Gateway:
    def __init__(self, name: str) -> None:
        self.id = name


class Node:
    """A worker, as xdist hands it out."""

    def __init__(self, name: str) -> None:
        self.gateway = Gateway(name)


class Bench:
    """A recorder of attempts with a file of its own.

    Attributes:
        clock: Its clock.
        slept: What its clock is ahead of the real one, seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        workers: bool = False,
        groups: bool = False,
        customs: Customs = USUAL,
        at: float | None = None,
    ) -> None:
        self._places: dict[str, tuple[str, int, str]] = {}
        self._file = RunFile(str(path / "run.jsonl"), overwrite=True)
        self._file.append(b'{"type":"run"}\n')
        self.clock, self.slept = Clock(), 0.0
        if at is not None:  # the clock stands still, at this instant
            self.clock.opened = self.clock.epoch_s = at
        now = self.clock.now
        self.clock.now = lambda: (now() if at is None else at) + self.slept
        self.lanes = Lanes(self._file, self.clock, with_workers=workers, strip_groups=groups)
        self.attempts = Attempts(self._file, self.lanes, self.clock, LIMITS, customs)

    def start(self, test: str, *, place: str | None = None) -> None:
        location = self._location(test, place)
        self.attempts.pytest_runtest_logstart(f"t.py::{test}", location)

    def report(
        self,
        test: str,
        when: str,
        outcome: str = "passed",
        duration: float = 1e-9,
        **more: Any,  # noqa: ANN401
    ) -> None:
        worker = more.get("worker_id")
        report = pytest.TestReport(
            nodeid=f"t.py::{test}",
            location=self._location(test, more.pop("place", None)),
            keywords={},
            outcome=outcome,  # type: ignore[arg-type]
            longrepr=more.pop("longrepr", None if outcome == "passed" else f"{outcome} {when}"),
            when=when,  # type: ignore[arg-type]
            duration=duration,
            start=self.clock.epoch_s + self.clock.now(),
            **more,
        )
        if worker is not None:
            report.node = Node(worker)  # type: ignore[attr-defined]
        self.attempts.pytest_runtest_logreport(report)

    def _location(self, test: str, place: str | None) -> tuple[str, int, str]:
        """Return one object for the whole test where there are no workers, as pytest does."""
        location = ("t.py", 1, place or test)
        return location if self.lanes.serial is None else self._places.setdefault(test, location)

    def go(self, test: str, **outcomes: str) -> None:
        """Run a whole test; `call="failed"` says how a phase ended."""
        self.start(test)
        for when in ("setup", "call", "teardown"):
            self.report(test, when, outcomes.get(when, "passed"))

    def recorded(self) -> Recording:
        """Return what is in the file so far."""
        assert self._file.trouble is None, self._file.trouble
        path = Path(self._file.path)
        return Recording(0, "", path, read(path))

    @property
    def trouble(self) -> str | None:
        """Why writing stopped."""
        return self._file.trouble

    def running(self) -> dict[str | None, str | None]:
        """Return what each slot says."""
        return {
            slot["worker"]: slot["test_id"] and slot["test_id"].partition("::")[2]
            for slot in self.recorded().of_type("running")
        }
