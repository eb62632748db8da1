"""Decides whether this session is recorded, and with which settings.

Precedence of every setting: command line, environment, ini file, default.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, NamedTuple

import pytest

from pytest_testlytics import ACTIVE
from pytest_testlytics.ci import is_in_ci
from pytest_testlytics.extras import carry
from pytest_testlytics.failure import Limits
from pytest_testlytics.retries import watch
from pytest_testlytics.text import to_text

PLUGIN_NAME = "testlytics-recorder"

_RECORDS_NOTHING = (
    "help",
    "version",
    "markers",
    "collectonly",
    "showfixtures",
    "show_fixtures_per_test",
    "setuponly",
    "setupplan",
    "cacheshow",
)
_MODES = {
    "on": "on", "1": "on", "true": "on", "yes": "on",
    "off": "off", "0": "off", "false": "off", "no": "off", "": "off",
    "ci": "ci",
}  # fmt: skip


class Settings(NamedTuple):
    """How a session is recorded.

    Attributes:
        folder: Where run files go, absolute.
        file: Exact path of the run file, absolute; None for a new file in `folder`.
        project: Namespace of the tests.
        tags: What is added to the variant.
        limits: Bounds of what is kept of failures.
        markers: Names of the markers to record.
        resources: Whether to record CPU time and memory of every test.
        own_folder: Whether `folder` is the default one, which hides itself from git.
        problems: Settings that were unusable and what was done instead, one line each.
    """

    folder: str
    file: str | None
    project: str
    tags: dict[str, str]
    limits: Limits
    markers: tuple[str, ...]
    resources: bool
    own_folder: bool
    problems: tuple[str, ...]


class Notice:
    """Stands in for the recorder where it could not start, to say so once."""

    def __init__(self, text: str) -> None:
        self._text = text

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why nothing was recorded."""
        terminalreporter.write_line(f"testlytics: {self._text}", yellow=True)


def activate(config: pytest.Config) -> None:
    """Register what this session asks for: a recorder, a quarantine, a burn-in.

    Args:
        config: Of this process; a worker of xdist only helps its controller.
    """
    plugin: object
    worker = hasattr(config, "workerinput")
    if worker:
        join(config)
    elif _runs_tests(config):
        begin(config, os.environ)
    try:
        if worker:
            if ACTIVE in os.environ:
                _help(config, read_settings(config, os.environ))
            return
        if not is_wanted(config, os.environ):
            return
        from pytest_testlytics.recorder import Recorder

        settings = read_settings(config, os.environ)
        _help(config, settings)
        plugin = Recorder(config, settings)
    except Exception as error:
        plugin = Notice(f"nothing recorded: {type(error).__name__}: {to_text(error)}")
    config.pluginmanager.register(plugin, PLUGIN_NAME)


def begin(config: pytest.Config, environ: Mapping[str, str]) -> None:
    """Begin quarantine and burn-in where they are asked for; recording is another matter."""
    register, option = config.pluginmanager.register, config.getoption
    try:
        path = _quarantine_file(config, environ)
        if path:
            from pytest_testlytics import quarantine
            from pytest_testlytics.header import variant_of

            quarantine.begin(config, path, variant_of(read_settings(config, environ).tags))
    except Exception as error:
        register(Notice(f"no quarantine: {to_text(error)}"), "testlytics-quarantine-notice")
    try:
        if option("testlytics_burn_in"):
            from pytest_testlytics import burn_in

            burn_in.begin(config, option("testlytics_burn_in"), option("testlytics_burn_in_base"))
    except Exception as error:
        register(Notice(f"no burn-in: {to_text(error)}"), "testlytics-burn-in-notice")


def join(config: pytest.Config) -> None:
    """Take part, in a worker, in what its controller has begun."""
    try:
        handed: Dict[str, Any] = getattr(config, "workerinput", {})
        if "testlytics_quarantine" in handed:
            from pytest_testlytics import quarantine

            quarantine.join(config, handed["testlytics_quarantine"])
        if "testlytics_burn_in" in handed:
            from pytest_testlytics import burn_in

            workers = int(handed.get("workercount", 1))
            burn_in.join(config, handed["testlytics_burn_in"], workers)
    except Exception:
        pass  # the controller defuses what its workers did not


def _quarantine_file(config: pytest.Config, environ: Mapping[str, str]) -> str | None:
    given: str | None = config.getoption("testlytics_quarantine")
    if given:
        return os.path.join(str(config.invocation_params.dir), given)
    given = environ.get("TESTLYTICS_QUARANTINE") or to_text(config.getini("testlytics_quarantine"))
    return os.path.join(str(config.rootpath), given) if given else None


def _runs_tests(config: pytest.Config) -> bool:
    return not any(config.getoption(name, False) for name in _RECORDS_NOTHING)


def _help(config: pytest.Config, settings: Settings) -> None:
    """Register what has to be in the process that runs the tests; nothing, in most sessions."""
    watch(config, settings.limits)
    carry(config, settings.markers, resources=settings.resources)


def is_wanted(config: pytest.Config, environ: Mapping[str, str]) -> bool:
    """Tell whether a session is to be recorded."""
    if not _runs_tests(config):
        return False
    mode = config.getoption("testlytics_mode")
    if mode is None:
        if environ.get(ACTIVE):
            return False
        text = environ.get("TESTLYTICS") or to_text(config.getini("testlytics"))
        mode = _MODES.get(text.strip().lower())
        if mode is None:
            raise ValueError(f"testlytics = {text!r} is none of off, on, ci")
    return mode == "on" or (mode == "ci" and is_in_ci(environ))


class _Ini:
    """Reads ini settings; what cannot be read is empty, and a problem."""

    def __init__(self, config: pytest.Config, problems: list[str]) -> None:
        self._config = config
        self._problems = problems

    def text(self, name: str) -> str:
        try:
            return to_text(self._config.getini(name))
        except Exception as error:
            self._problems.append(f"{name} ignored: {to_text(error)}")
            return ""

    def lines(self, name: str) -> list[str]:
        try:
            return [to_text(line) for line in self._config.getini(name)]
        except Exception as error:
            self._problems.append(f"{name} ignored: {to_text(error)}")
            return []

    def chars(self, name: str, default: int) -> int:
        text = self.text(name) or str(default)
        if text.isdigit() and int(text) > 0:
            return int(text)
        self._problems.append(f"{name} = {text} is not a positive number, {default} is used")
        return default


def read_settings(config: pytest.Config, environ: Mapping[str, str]) -> Settings:
    """Read all settings; unusable ones fall back and are named in `problems`."""
    problems: list[str] = []
    ini, option = _Ini(config, problems), config.getoption
    root, here = str(config.rootpath), str(config.invocation_params.dir)
    cli_folder, cli_file = option("testlytics_dir"), option("testlytics_file")
    folder = os.path.join(here, cli_folder) if cli_folder else None
    folder = folder or environ.get("TESTLYTICS_DIR") or ini.text("testlytics_dir") or None
    tags = [
        ("testlytics_tags", ini.lines("testlytics_tags")),
        ("TESTLYTICS_TAGS", environ.get("TESTLYTICS_TAGS", "").split(",")),
        ("--testlytics-tag", option("testlytics_tags")),
    ]
    return Settings(
        folder=os.path.join(root, folder or ".testlytics"),
        file=os.path.join(here, cli_file) if cli_file else None,
        project=option("testlytics_project")
        or environ.get("TESTLYTICS_PROJECT")
        or ini.text("testlytics_project")
        or "default",
        tags=_read_tags(tags, problems),
        limits=Limits(
            ini.chars("testlytics_message_chars", 2_000),
            ini.chars("testlytics_text_chars", 8_000),
            os.path.join(root, ""),
            here,
        ),
        markers=tuple(" ".join(ini.lines("testlytics_markers")).split()),
        resources=bool(option("testlytics_resources"))
        or _MODES.get(ini.text("testlytics_resources").strip().lower()) == "on",
        own_folder=folder is None,
        problems=tuple(problems),
    )


def _read_tags(sources: list[tuple[str, list[str]]], problems: list[str]) -> dict[str, str]:
    """Merge tags; a later source wins."""
    tags: dict[str, str] = {}
    for name, pairs in sources:
        for pair in pairs:
            key, equals, value = (part.strip() for part in pair.partition("="))
            if key and equals:
                tags[to_text(key)] = to_text(value)
            elif pair.strip():
                problems.append(f"{name} {to_text(pair)!r} is not K=V, ignored")
    return tags
