"""The page of limits says what the code does."""

from __future__ import annotations

import dataclasses
import re
from importlib import import_module
from typing import Any

import pytest
import typer

from testlytics.cli._options import rows_shown
from testlytics.cli._output import Format
from testlytics.cli.main import app
from tests.documents import DOCS

ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| `([^`|]+)` \|$", re.MULTILINE)
ROWS = ROW.findall((DOCS / "explanation" / "limits.md").read_text(encoding="utf-8"))
SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
# Options say their unit in their metavar, so their number is that of the page.
MEBIBYTES = ("--max-body", "--max-size")


def said(value: str) -> float:
    """Read a value as the page writes it."""
    number, _, unit = value.partition(" ")
    return float(number.replace(",", "")) * SIZES.get(unit, 1)


def held(place: str) -> float:
    """Return the value that the code has at a place: a constant, a default of a field or option."""
    if place == "testlytics.cli._options.rows_shown":
        return float(rows_shown(None, Format.TABLE) or 0)
    if place.startswith("testlytics "):
        _, name, option = place.split(" ")
        root: Any = typer.main.get_command(app)
        [found] = [one for one in root.commands[name].params if option in one.opts]
        return float(found.default) * (SIZES["MiB"] if option in MEBIBYTES else 1)
    module, _, name = place.rpartition(".")
    owner, _, kind = module.rpartition(".")
    if kind[0].isupper():
        fields = dataclasses.fields(getattr(import_module(owner), kind))
        defaults: dict[str, Any] = {one.name: one.default for one in fields}
        return float(defaults[name])
    return float(getattr(import_module(module), name))


@pytest.mark.parametrize(("bound", "value", "place"), ROWS, ids=[place for *_, place in ROWS])
def test_the_page_says_what_the_code_does(bound: str, value: str, place: str) -> None:
    assert said(value) == held(place), bound


def test_no_row_is_passed_over() -> None:
    text = (DOCS / "explanation" / "limits.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    heads = [line for line in lines if line.endswith("| in the code |")]
    assert len(ROWS) == len(lines) - len(heads) >= 40


@pytest.mark.parametrize(
    ("value", "number"),
    [("2,048 MiB", 2 << 30), ("1e18", 1e18), ("10 s", 10), ("256 KiB", 262_144)],
)
def test_values_are_read(value: str, number: float) -> None:
    assert said(value) == number
