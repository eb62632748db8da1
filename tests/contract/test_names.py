"""Public names never look like tests: pytest would collect them in our users' modules."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

PACKAGES = ("testlytics", "testlytics_collector", "testlytics_analytics", "pytest_testlytics")


def modules() -> Iterator[str]:
    for package in PACKAGES:
        root = importlib.import_module(package)
        yield package
        for found in pkgutil.walk_packages(root.__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                yield found.name


def defined_in(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
    ]


@pytest.mark.parametrize("name", list(modules()))
def test_no_public_name_looks_like_a_test(name: str) -> None:
    found = defined_in(importlib.import_module(name))
    assert [one for one in found if one.startswith(("Test", "test"))] == []


@pytest.mark.parametrize("name", list(modules()))
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert (importlib.import_module(name).__doc__ or "").strip()


def test_no_module_is_a_drawer_for_everything() -> None:
    last = {name.rpartition(".")[2] for name in modules()}
    assert last & {"utils", "helpers", "common", "misc"} == set()
