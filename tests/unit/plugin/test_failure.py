from __future__ import annotations

from types import SimpleNamespace as Object

import pytest

from pytest_testlytics.failure import Limits, read_failure

LIMITS = Limits(message_chars=50, text_chars=100, root="/project/", here="/project/sub")


class Repr:
    """What pytest makes of an exception."""

    def __init__(self, message: str, path: str, line: int, text: str) -> None:
        self.reprcrash = Object(message=message, path=path, lineno=line)
        self._text = text

    def __str__(self) -> str:
        return self._text


def failure(longrepr: object, **more: object) -> dict[str, str]:
    return read_failure(Object(longrepr=longrepr, **more), LIMITS)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("ValueError: no", "ValueError"),
        ("requests.exceptions.Timeout: slow", "requests.exceptions.Timeout"),
        ("KeyError", "KeyError"),
        ("assert 1 == 2", "AssertionError"),
        ("_pytest.outcomes.XFailed", "XFailed"),
        ("File 'x.py', line 3\n  (\nSyntaxError: never closed", "SyntaxError"),
        ("just words without a class", None),
        ("", None),
    ],
)
def test_type_is_read_from_the_message(message: str, kind: str | None) -> None:
    assert failure(Repr(message, "/project/t.py", 3, "text")).get("type") == kind


def test_place_is_relative_to_the_root() -> None:
    assert failure(Repr("E: x", "/project/a/t.py", 3, ""))["place"] == "a/t.py:3"


def test_place_in_a_library_gives_way_to_the_last_own_line() -> None:
    text = "t.py:4: in test\n    self.check()\n../base.py:9: in check\n/lib/case.py:7: E"
    assert failure(Repr("E: x", "/lib/case.py", 7, text))["place"] == "base.py:9"
    assert failure(Repr("E: x", "/lib/case.py", 7, "nothing"))["place"] == "/lib/case.py:7"


def test_long_texts_lose_their_middle_and_output_its_beginning() -> None:
    found = failure(
        Repr("E: " + "x" * 500, "/project/t.py", 1, "y" * 500),
        sections=[("Captured stdout call", "z" * 500 + "the end"), "odd"],
    )
    assert len(found["message"]) == 50
    assert len(found["text"]) == 100
    assert len(found["output"]) == 100
    assert found["output"].endswith("the end")


def test_skip() -> None:
    assert failure(("/project/t.py", 7, "Skipped: not today")) == {
        "type": "Skipped",
        "message": "not today",
        "place": "t.py:7",
    }


def test_expected_failure_says_its_reason() -> None:
    found = failure(Repr("ValueError: x", "/project/t.py", 1, "text"), wasxfail="reason: known")
    assert found == {"type": "ValueError", "message": "known", "place": "t.py:1"}
    assert failure(None, wasxfail="") == {}


def test_texts_without_structure() -> None:
    assert failure("worker 'gw0' crashed") == {"message": "worker 'gw0' crashed"}
    assert failure("ImportError while importing\nE   ModuleNotFoundError: No module 'x'") == {
        "type": "ModuleNotFoundError",
        "message": "ModuleNotFoundError: No module 'x'",
        "text": "ImportError while importing\nE   ModuleNotFoundError: No module 'x'",
    }


def test_worker_line_is_no_part_of_the_text() -> None:
    found = failure("[gw3] linux -- Python 3.11 /bin/python\nTypeError: x")
    assert found["message"] == "TypeError: x"


class Broken:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("longrepr", [None, "", (), Broken(), 3, ("a", "b", "c")])
def test_nothing_raises(longrepr: object) -> None:
    assert isinstance(failure(longrepr), dict)
    assert isinstance(read_failure(Object(), LIMITS), dict)
