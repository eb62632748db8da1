"""Records every attempt of every test into a run file.

This module is what pytest loads in every session, so it only declares options: everything else is
imported when a run is recorded.
"""

from __future__ import annotations

import os
from time import perf_counter, time

import pytest

__version__ = "0.1.0"

REAL_CLOCKS = (time, perf_counter)
"""The wall clock and the performance counter, both in seconds.

Kept in a tuple because libraries that freeze time rebind the functions they find in modules.
"""


ACTIVE = "TESTLYTICS_ACTIVE"
"""Environment variable that holds the run file of the session that is being recorded.

Sessions that start inside of it (pytester, tox in a test) are recorded only when their own command
line says so, and never into that file.
"""


_CONFIGURED = pytest.StashKey[bool]()


_HANDED = frozenset(["testlytics_quarantine", "testlytics_burn_in"])
"""What a controller hands to workers that take part in more than recording."""

_INI = (
    ("testlytics", "Record sessions: off, on, or ci (only in a CI).", "off"),
    ("testlytics_dir", "Folder of run files.", ""),
    ("testlytics_project", "Namespace of the tests.", ""),
    ("testlytics_quarantine", "File of tests whose failures do not count.", ""),
    ("testlytics_resources", "Record CPU time and memory of every test: on, off.", ""),
    ("testlytics_message_chars", "Longest failure message kept.", "2000"),
    ("testlytics_text_chars", "Longest failure text kept.", "8000"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the command line options and ini settings."""
    group = parser.getgroup("testlytics", "testlytics: record every attempt into a run file")
    if group.options:
        return  # `-p pytest_testlytics` where the plugin is also found by itself
    option = group.addoption
    option(
        "--testlytics",
        dest="testlytics_mode",
        action="store_const",
        const="on",
        default=None,
        help="Record this session into a run file.",
    )
    option(
        "--no-testlytics",
        dest="testlytics_mode",
        action="store_const",
        const="off",
        help="Do not record this session.",
    )
    option(
        "--testlytics-dir",
        metavar="DIR",
        default=None,
        help="Folder of run files (default: .testlytics/ in the root folder).",
    )
    option("--testlytics-file", metavar="FILE", help="Exact path of the run file; overwritten.")
    option(
        "--testlytics-tag",
        metavar="K=V",
        dest="testlytics_tags",
        action="append",
        default=[],
        help="Add a key to the variant; may be given several times.",
    )
    option("--testlytics-project", metavar="NAME", default=None, help="Namespace of the tests.")
    option(
        "--testlytics-resources",
        action="store_true",
        default=False,
        help="Record CPU time and growth of peak memory of every test.",
    )
    _add_protections(group)
    for name, text, default in _INI:
        parser.addini(name, text, default=default)
    parser.addini("testlytics_tags", "Variant keys as k=v, one a line.", type="linelist")
    parser.addini("testlytics_markers", "Names of markers to record.", type="linelist")


def _add_protections(group: pytest.OptionGroup) -> None:
    """Declare what may change how a session ends."""
    group.addoption(
        "--testlytics-quarantine",
        metavar="FILE",
        default=None,
        help="TOML file of tests that run and cannot fail the session.",
    )
    group.addoption(
        "--testlytics-burn-in",
        metavar="N|TIME",
        default=None,
        help="Repeat new and changed tests: so many runs each, or for 30s or 2m in all.",
    )
    group.addoption(
        "--testlytics-burn-in-base",
        metavar="REF",
        default=None,
        help="What new and changed tests are compared with (default: the default branch).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the recorder where this process is to record, and nothing anywhere else."""
    if config.stash.get(_CONFIGURED, False):
        return
    config.stash[_CONFIGURED] = True
    handed = getattr(config, "workerinput", None)
    if handed is not None and ACTIVE not in os.environ and _HANDED.isdisjoint(handed):
        return
    from pytest_testlytics.activation import activate

    activate(config)


class _Entry:
    """What the entry point names: another object than this module.

    Pytest refuses to load one object under two names, and people also write `-p pytest_testlytics`.
    """

    pytest_addoption = staticmethod(pytest_addoption)
    pytest_configure = staticmethod(pytest_configure)


plugin = _Entry()
