"""Builds stores for tests of the gate: runs of a base branch, then those of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from testlytics_collector.records import Attempt, Failure, Measurement, Outcome, Upload
from testlytics_collector.store.store import open_store

HOUR_US = 3_600_000_000
NOTHING: Mapping[str, str] = {}


def passing(*names: str, us: int = 100_000) -> list[Attempt]:
    """An attempt of each test that passed."""
    return [Attempt(name, 1, Outcome.PASSED, us) for name in names]


def failing(said: Mapping[str, str], place: str | None = None) -> list[Attempt]:
    """An attempt of each test that failed, with its message."""
    return [
        Attempt(
            name, 1, Outcome.FAILED, 1_000, failure=Failure("AssertionError", text, text, place)
        )
        for name, text in said.items()
    ]


class History:
    """A store that gets one run after another.

    Args:
        path: The store's file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = 0

    def __enter__(self) -> Self:
        self._opening = open_store(self.path, write=True)
        self._store = self._opening.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opening.__exit__(kind, error, trace)

    def run(
        self,
        attempts: Sequence[Attempt],
        *,
        branch: str | None = "main",
        pull_request: str | None = None,
        variant: Mapping[str, str] = NOTHING,
        run_id: str | None = None,
        complete: bool = True,
        number: int | None = None,
        measured: Sequence[Measurement] = (),
    ) -> str:
        """Store a run; give its id. Its number says when it was; the next one where None."""
        number = self._number if number is None else number
        self._number = number + 1
        run_id = run_id or f"run-{number}"
        upload = Upload(
            f"upload-{number}",
            run_id,
            project="p",
            started_us=1_780_000_000_000_000 + number * HOUR_US,
            complete=complete,
            commit=f"{number + 1:040x}",
            dirty=False,
            branch=branch,
            pull_request=pull_request,
            variant=dict(variant),
        )
        with self._store.intake() as intake:
            intake.begin("p")
            intake.write(attempts)
            if measured:
                intake.measure(measured)
            self._store.keep(intake, upload, digest=upload.upload_id, form="junit", now_us=1)
        return run_id
