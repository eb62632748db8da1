from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pytest_testlytics import ACTIVE
from pytest_testlytics.activation import Settings, is_wanted, read_settings


class FakeConfig:
    """As much of pytest's configuration as is read."""

    def __init__(self, options: dict[str, object], ini: dict[str, object]) -> None:
        self._options = {
            "testlytics_mode": None,
            "testlytics_dir": None,
            "testlytics_file": None,
            "testlytics_tags": [],
            "testlytics_project": None,
            "testlytics_resources": False,
            **options,
        }
        self._ini = ini
        self.rootpath = Path("/root/project")
        self.invocation_params = SimpleNamespace(dir=Path("/root/project/sub"))

    def getoption(self, name: str, default: object = None) -> object:
        return self._options.get(name, default)

    def getini(self, name: str) -> object:
        value = self._ini.get(name, [] if name in ("testlytics_tags", "testlytics_markers") else "")
        if isinstance(value, Exception):
            raise value
        return value


def config(ini: dict[str, object] | None = None, **options: object) -> pytest.Config:
    return cast(pytest.Config, FakeConfig(options, ini or {}))


@pytest.mark.parametrize(
    ("mode", "environ", "ini", "wanted"),
    [
        (None, {}, "off", False),
        (None, {}, "", False),
        (None, {}, "on", True),
        (None, {}, "ci", False),
        (None, {"CI": "true"}, "ci", True),
        (None, {"TESTLYTICS": "1"}, "off", True),
        (None, {"TESTLYTICS": "0"}, "on", False),
        (None, {"TESTLYTICS": ""}, "on", True),
        ("on", {"TESTLYTICS": "0"}, "off", True),
        ("off", {"TESTLYTICS": "1"}, "on", False),
        (None, {ACTIVE: "/outer.jsonl", "TESTLYTICS": "1"}, "on", False),
        ("on", {ACTIVE: "/outer.jsonl"}, "off", True),
    ],
)
def test_precedence_of_the_mode(
    mode: str | None, environ: dict[str, str], ini: str, *, wanted: bool
) -> None:
    assert is_wanted(config({"testlytics": ini}, testlytics_mode=mode), environ) is wanted


def test_unknown_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="'perhaps' is none of off, on, ci"):
        is_wanted(config({"testlytics": "perhaps"}), {})


def test_session_without_tests_is_never_wanted() -> None:
    assert not is_wanted(config(testlytics_mode="on", collectonly=True), {})


def settings(
    environ: dict[str, str], ini: dict[str, object] | None = None, **options: object
) -> Settings:
    return read_settings(config(ini, **options), environ)


def test_defaults() -> None:
    found = settings({})
    assert found.folder == "/root/project/.testlytics"
    assert (found.file, found.project, found.tags, found.problems) == (None, "default", {}, ())
    assert found.own_folder
    assert found.limits == (2_000, 8_000, "/root/project/", "/root/project/sub")


def test_folders_are_relative_to_where_they_were_given() -> None:
    assert settings({"TESTLYTICS_DIR": "out"}).folder == "/root/project/out"
    assert settings({}, {"testlytics_dir": "out"}).folder == "/root/project/out"
    assert settings({}, testlytics_dir="out").folder == "/root/project/sub/out"
    assert settings({}, testlytics_file="a.jsonl").file == "/root/project/sub/a.jsonl"
    assert not settings({"TESTLYTICS_DIR": "out"}).own_folder


def test_tags_are_merged_key_by_key() -> None:
    found = settings(
        {"TESTLYTICS_TAGS": "b=env, c = env ,"},
        {"testlytics_tags": ["a=ini", "b=ini", "c=ini"]},
        testlytics_tags=["c=cli", "d=x=y", "empty="],
    )
    assert found.tags == {"a": "ini", "b": "env", "c": "cli", "d": "x=y", "empty": ""}
    assert found.problems == ()


def test_what_cannot_be_read_is_named_and_left_out() -> None:
    found = settings(
        {"TESTLYTICS_TAGS": "nothing"},
        {"testlytics_text_chars": "-1", "testlytics_project": TypeError("expects a string")},
        testlytics_tags=["=v"],
    )
    assert found.limits.text_chars == 8_000
    assert found.project == "default"
    assert len(found.problems) == 4
