"""Makes visible what plugins that retry tests keep to themselves.

pytest-retry and flaky run a test again without reporting every try. Only where one of them is
loaded, a witness is registered in the process that runs the tests. It attaches what was not
reported to the report of the teardown, which takes it to the process that records.
"""

from __future__ import annotations

from typing import Dict, Generator, Protocol, TypedDict

import pytest

from pytest_testlytics.attempt import outcome_of
from pytest_testlytics.failure import Failure, Limits, read_failure

HIDDEN = "testlytics_hidden"
"""The attribute of a teardown's report: a list of `Hidden`, plain values that xdist can send."""

_RETRYING_PLUGINS = (
    "pytest-retry",
    "pytest_retry.retry_plugin",
    "flaky",
    "flaky.flaky_pytest_plugin",
)
_NAME = "testlytics-witness"


class Hidden(TypedDict):
    """One phase that was not reported.

    Attributes:
        phase: `setup` or `call`.
        further: Whether this is a try beside the one whose teardown carries it.
        outcome: As in the run file.
        duration_us: How long it took, microseconds.
        failure: Empty where it passed.
    """

    phase: str
    further: bool
    outcome: str
    duration_us: int
    failure: Failure


def is_needed(config: pytest.Config) -> bool:
    """Tell whether a plugin is loaded that does not report every try."""
    return any(config.pluginmanager.hasplugin(name) for name in _RETRYING_PLUGINS)


def watch(config: pytest.Config, limits: Limits) -> None:
    """Register a witness in this process where one is needed."""
    if is_needed(config):
        config.pluginmanager.register(Witness(limits), _NAME)


class _Result(Protocol):
    def get_result(self) -> pytest.TestReport: ...


class Witness:
    """Compares the reports that are made with those that are sent."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._made: Dict[str, pytest.TestReport] = {}
        self._unsent: Dict[str, pytest.TestReport] = {}
        self._tries: list[pytest.TestReport] = []

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, _Result, None]:
        """Keep the report of each phase; attach what is missing to the last."""
        result = yield
        try:
            self._keep(result.get_result())
        except BaseException:
            pass  # whoever asked for the report gets the same exception

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what is reported."""
        if self._unsent.get(report.when) is report:
            del self._unsent[report.when]
        # The last try of pytest-retry is reported, in the report of the first.
        if self._tries and self._tries[-1].longrepr is report.longrepr:
            self._tries.pop()

    def pytest_exception_interact(self, report: object) -> None:
        """See a try of pytest-retry, which does not ask for a report of it."""
        if report.__class__ is pytest.TestReport and all(
            report is not made for made in self._made.values()
        ):
            self._tries.append(report)

    def _keep(self, report: pytest.TestReport) -> None:
        phase = report.when
        if phase != "teardown":
            if phase == "setup":
                self._made, self._unsent, self._tries = {}, {}, []
            self._made[phase] = self._unsent[phase] = report
            return
        hidden = [self._describe(entry, further=True) for entry in self._tries]
        hidden += [self._describe(entry, further=False) for entry in self._unsent.values()]
        if hidden:
            report.__dict__[HIDDEN] = hidden

    def _describe(self, report: pytest.TestReport, *, further: bool) -> Hidden:
        expected = hasattr(report, "wasxfail")
        return {
            "phase": report.when,
            "further": further,
            "outcome": outcome_of(report.outcome, report.when, expected_failure=expected),
            "duration_us": int(report.duration * 1e6),
            "failure": {} if report.passed else read_failure(report, self._limits),
        }
