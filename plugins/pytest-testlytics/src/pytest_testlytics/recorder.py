"""The plugin that records a session: opens the file, writes what is not about a test, closes it.

Registered only in the process that sees all reports. A hook of ours never raises; what goes wrong
is one line in the terminal summary.
"""

from __future__ import annotations

import os
import weakref
from datetime import datetime, timezone
from typing import Any, Sequence
from uuid import uuid4

import pytest

from pytest_testlytics import ACTIVE
from pytest_testlytics.activation import Settings
from pytest_testlytics.attempts import Attempts, Customs
from pytest_testlytics.clock import Clock
from pytest_testlytics.failure import Failure, read_failure
from pytest_testlytics.header import run_record
from pytest_testlytics.lanes import Lanes
from pytest_testlytics.marked import attempts_of
from pytest_testlytics.retries import is_needed
from pytest_testlytics.runfile import RunFile
from pytest_testlytics.text import clean, dump, shorten, to_text

_REPORT_LATE = ("rerunfailures", "pytest_rerunfailures")


class Recorder:
    """Records one session."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._clock = Clock()
        self._with_workers = bool(config.getoption("tx", None)) and (
            config.getoption("dist", "no") != "no"
        )
        self._here = str(config.invocation_params.dir)
        self._problems = list(settings.problems)
        self._file: RunFile | None = None
        self._attempts: Attempts | None = None
        self._session: weakref.ref[pytest.Session] | None = None
        self._outer: str | None = None
        self._collected: set[tuple[str, str]] = set()
        self._deselected = 0
        self._warnings = 0
        self._stopped: Failure | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Open the file and write its first lines."""
        try:
            self._open(session)
        except Exception as error:
            self._problems.append(f"nothing recorded: {_reason(error)}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Write a collector that failed or was skipped."""
        if report.outcome == "passed" or self._file is None:
            return
        try:
            outcome = "skipped" if report.outcome == "skipped" else "errored"
            test_id = clean(report.nodeid) or "."
            if (test_id, outcome) in self._collected:
                return  # every worker collects, and xdist lets some reports through twice
            self._collected.add((test_id, outcome))
            record: dict[str, Any] = {"type": "collect", "test_id": test_id, "outcome": outcome}
            failure = read_failure(report, self._limits)
            if failure:
                record["failure"] = failure
            self._file.append(dump(record))
        except Exception as error:
            self._file.give_up(_reason(error))

    def pytest_deselected(self, items: Sequence[object]) -> None:
        """Count what is not going to run."""
        self._deselected += len(items)

    def pytest_warning_recorded(self) -> None:
        """Count the warnings."""
        self._warnings += 1

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep why the session ends early."""
        self._stop_because(excinfo)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep why the session ends early."""
        self._stop_because(excinfo)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say in one line where the file is, or why there is none."""
        try:
            problems, text = self._summary()
            terminalreporter.write_line(f"testlytics: {text}", yellow=problems)
        except Exception:
            pass  # there is nowhere left to say it

    def _summary(self) -> tuple[bool, str]:
        """Return whether there are problems, and the one line for the terminal."""
        problems = list(self._problems)
        if self._file is not None and self._file.trouble:
            problems.append(self._file.trouble)
        attempts = self._attempts
        if attempts is not None and attempts.left_out:
            problems.append(f"{attempts.left_out} reports left out ({attempts.problem})")
        where = [os.path.relpath(self._file.path, self._here)] if self._file is not None else []
        return bool(problems), clean("; ".join([*where, *problems]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """Write the last line and close the file."""
        run_file = self._file
        session = self._session() if self._session is not None else None
        if run_file is None:
            return
        if self._outer is None:
            os.environ.pop(ACTIVE, None)
        else:
            os.environ[ACTIVE] = self._outer
        try:
            if self._attempts is not None and session is not None:
                written = self._attempts.finish(self._stopped)
                run_file.append(dump(self._end_record(session, written)))
        except Exception as error:
            run_file.give_up(_reason(error))
        run_file.close()

    def _open(self, session: pytest.Session) -> None:
        config, settings = session.config, self._settings
        started_us = self._clock.wall_us(self._clock.opened)
        upload_id = uuid4().hex
        record = run_record(
            config,
            os.environ,
            upload_id=upload_id,
            started_us=started_us,
            project=settings.project,
            tags=settings.tags,
        )
        path = settings.file or _new_path(settings, started_us, upload_id)
        outer = os.environ.get(ACTIVE)
        if outer is not None and os.path.realpath(path) == os.path.realpath(outer):
            raise RuntimeError(f"{path} belongs to the session around this one")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._file = RunFile(path, overwrite=settings.file is not None)
        self._file.append(dump(record))
        self._session = weakref.ref(session)
        self._outer, os.environ[ACTIVE] = outer, path
        dist = config.getoption("dist", "no")
        lanes = Lanes(
            self._file,
            self._clock,
            with_workers=self._with_workers,
            strip_groups=dist == "loadgroup",
        )
        self._attempts = attempts_of(config)(
            self._file,
            lanes,
            self._clock,
            self._limits,
            Customs(
                repeats=dist == "each" or bool(config.getoption("keepduplicates", False)),
                retry_word=_retry_word(config),
                late=any(map(config.pluginmanager.hasplugin, _REPORT_LATE)),
                carried=is_needed(config) or bool(settings.markers) or settings.resources,
            ),
        )
        config.pluginmanager.register(self._attempts, "testlytics-attempts")

    def _stop_because(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        try:
            self._stopped = {
                "type": to_text(excinfo.typename),
                "message": shorten(to_text(excinfo.value), self._limits.message_chars),
            }
        except Exception:
            self._stopped = {}

    def _end_record(self, session: pytest.Session, attempts: int) -> dict[str, Any]:
        record: dict[str, Any] = {
            "type": "end",
            "ended_us": self._clock.wall_us(self._clock.now()),
            "exit_status": int(session.exitstatus),
            "attempts": attempts,
            "collected": session.testscollected,
            # Workers deselect on their own and do not say how many.
            "deselected": None if self._with_workers else self._deselected,
            "warnings": self._warnings,
        }
        stopped = session.shouldfail or session.shouldstop
        if self._stopped is not None:
            stopped = ": ".join(filter(None, self._stopped.values()))
        if stopped:
            record["stopped"] = shorten(to_text(stopped), self._limits.message_chars)
        return record


def _new_path(settings: Settings, started_us: int, upload_id: str) -> str:
    if settings.own_folder:
        os.makedirs(settings.folder, exist_ok=True)
        try:
            with open(os.path.join(settings.folder, ".gitignore"), "x", encoding="ascii") as file:
                file.write("*\n")
        except OSError:
            pass
    start = datetime.fromtimestamp(started_us // 1_000_000, timezone.utc)
    return os.path.join(settings.folder, f"{start:%Y%m%dT%H%M%SZ}-{upload_id}.jsonl")


def _retry_word(config: pytest.Config) -> str | None:
    """Return the word of pytest-retry, which an option or setting of its own can change."""
    word = config.getoption("retry_outcome", None)
    try:
        return word or to_text(config.getini("retry_outcome"))
    except Exception:
        return None  # pytest-retry is not loaded


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {to_text(error)}"
