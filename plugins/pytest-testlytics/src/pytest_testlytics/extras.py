"""What only the process that runs a test can know of it: its markers, what it used.

Off unless asked for. Then these hooks are registered in the process that runs the tests, and what
they find travels with the report of the teardown to the process that records.
"""

from __future__ import annotations

import sys
from typing import Dict, Generator, Protocol, Tuple, Union

import pytest

from pytest_testlytics.text import shorten, to_text

EXTRAS = "testlytics_extras"
"""The attribute of a teardown's report: keys of an attempt's line, plain values."""

_NAME = "testlytics-extras"
_MARKER_CHARS = 200

Extras = Dict[str, Union[int, Dict[str, str]]]


class _Result(Protocol):
    def get_result(self) -> pytest.TestReport: ...


def carry(config: pytest.Config, markers: tuple[str, ...], *, resources: bool) -> None:
    """Register the hooks in this process where something was asked for.

    Args:
        config: Of the process that runs the tests.
        markers: Names of the markers to record.
        resources: Whether to record CPU time and memory.
    """
    if resources:
        try:
            import resource  # noqa: F401
        except ImportError:
            resources = False  # not on Windows
    if markers or resources:
        config.pluginmanager.register(Carrier(markers, resources=resources), _NAME)


class Carrier:
    """Attaches markers and resources to the report of each teardown."""

    def __init__(self, markers: tuple[str, ...], *, resources: bool) -> None:
        self._markers = markers
        self._resources = resources
        self._before = (0, 0)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Note what was used until now."""
        if self._resources:
            self._before = _used()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, _Result, None]:
        """Attach what is known to the last report of an attempt."""
        result = yield
        if call.when != "teardown":
            return
        try:
            result.get_result().__dict__[EXTRAS] = self._extras(item)
        except BaseException:
            pass  # whoever asked for the report gets the same exception

    def _extras(self, item: pytest.Item) -> Extras:
        extras: Extras = {}
        markers = {name: item.get_closest_marker(name) for name in self._markers}
        found = {name: _value(marker) for name, marker in markers.items() if marker is not None}
        if found:
            extras["markers"] = found
        if self._resources:
            cpu_us, peak_bytes = _used()
            extras["cpu_us"] = cpu_us - self._before[0]
            extras["peak_growth_bytes"] = peak_bytes - self._before[1]
        return extras


def _value(marker: pytest.Mark) -> str:
    return shorten(" ".join(to_text(argument) for argument in marker.args), _MARKER_CHARS)


def _used() -> Tuple[int, int]:
    """Return CPU time in microseconds and peak memory in bytes of this process so far."""
    from resource import RUSAGE_SELF, getrusage

    usage = getrusage(RUSAGE_SELF)
    cpu_us = int((usage.ru_utime + usage.ru_stime) * 1e6)
    try:
        # The peak of `getrusage` begins with that of the process which started this one.
        with open("/proc/self/status", "rb") as file:
            peak = next(line for line in file if line.startswith(b"VmHWM:"))
        return cpu_us, int(peak.split()[1]) * 1_024
    except (OSError, StopIteration):
        return cpu_us, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
