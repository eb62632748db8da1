"""Annotations of GitHub Actions: a value is never more than a value."""

from __future__ import annotations

from testlytics.gate import github
from testlytics.gate.findings import BLOCK, Finding

HOSTILE = "a.py::test[x,line=1::warning file=b%0A\n::set-env]"


def test_no_name_adds_a_property_or_ends_the_command() -> None:
    finding = Finding("new-failure", BLOCK, HOSTILE, "", "why, and: how\r\n::error::x")
    [written] = github._annotations([finding], "")
    command, _, text = written.removeprefix("::error ").partition("::")
    named = dict(pair.split("=", 1) for pair in command.split(","))
    assert set(named) == {"file", "title"}
    assert ":" not in named["title"]
    assert "\n" not in written
    assert "\r" not in text
    assert "%250A" in named["title"]
