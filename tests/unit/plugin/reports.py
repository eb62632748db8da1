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
        clock: Its clock; `now` can be replaced before anything is recorded.
    """

    def __init__(
        self,
        path: Path,
        *,
        workers: bool = False,
        groups: bool = False,
        customs: Customs = USUAL,
    ) -> None:
        self._file = RunFile(str(path / "run.jsonl"), overwrite=True)
        self._file.append(b'{"type":"run"}\n')
        self.clock = Clock()
        self.lanes = Lanes(self._file, self.clock, with_workers=workers, strip_groups=groups)
        self.attempts = Attempts(self._file, self.lanes, self.clock, LIMITS, customs)

    def start(self, test: str) -> None:
        self.attempts.pytest_runtest_logstart(f"t.py::{test}", ("t.py", 1, test))

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
            location=("t.py", 1, test),
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

    def running(self) -> dict[str | None, str | None]:
        """Return what each slot says."""
        return {
            slot["worker"]: slot["test_id"] and slot["test_id"].partition("::")[2]
            for slot in self.recorded().of_type("running")
        }
