"""Test ids: `file::Class::function[params]`, built from what each tool calls things.

A style is a pair of functions: one for what stands before the name (it depends on the class, the
file and the suite only, and is remembered), one for the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

Attrs = dict[str, str]

LONGEST_ID = 1_000
"""Characters of a test id; longer ones are cut in the middle and told apart by a hash."""

UNNAMED = "(unnamed)"

_TEXT_FILES = frozenset(
    ("rst", "txt", "md", "ipynb", "yaml", "yml", "feature", "json", "toml", "cfg", "ini", "robot")
)
_CLASS = re.compile(r"_*[A-Z].*|describe_.*|context_.*")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/|//")
_RUN_STAMP = re.compile(r"-20\d\d[01]\d[0-3]\d[0-2]\d[0-5]\d[0-5]\d\Z")
_INDEX = re.compile(r"\[(\d{1,9})\]")


@dataclass(slots=True)
class Suite:
    """What of the enclosing suites matters to a test.

    Attributes:
        path: Names of the suites from the outermost inwards; unnamed ones are left out.
        file: The suite's file, or None.
        host: The suite's `hostname` as written, or None.
        started_us: When it began, or None.
        flaky: How many of its tests passed after a retry, by its own count, without saying which.
        retried: Where it counts them: its tests that failed.
        unnamed: By class, for parametrised tests without a method: the number of the method and
            the index of the last one. None before the first.
    """

    path: tuple[str, ...] = ()
    file: str | None = None
    host: str | None = None
    started_us: int | None = None
    flaky: int = 0
    retried: list[str] = field(default_factory=list)
    unnamed: dict[str, tuple[int, int]] | None = None


class Style(NamedTuple):
    """How one family of tools names tests.

    Attributes:
        prefix: Gives what stands before the name, with its `::`.
        tail: Gives the last part from the name, or None where the name is it. An empty prefix
            leaves all of the id to it.
        by_suite: Whether `prefix` depends on the suite even where there is a class.
    """

    prefix: Callable[[Attrs, Suite], str]
    tail: Callable[[str, Attrs, Suite], str] | None = None
    by_suite: bool = False


def clean_file(file: str) -> str:
    """Write a path with `/`, without `./` before it."""
    file = file.strip().removeprefix("file://").replace("\\", "/")
    while file.startswith("./"):
        file = file[2:]
    return file


def shortened(test_id: str) -> str:
    """Bound a test id; the hash keeps different long ids different."""
    if len(test_id) <= LONGEST_ID:
        return test_id
    import hashlib

    digest = hashlib.sha256(test_id.encode("utf-8", "replace")).hexdigest()[:16]
    half = (LONGEST_ID - 24) // 2
    return f"{test_id[:half]}…{digest}…{test_id[-half:]}"


def suite_id(suite: Suite) -> str:
    """Name a suite as if it were a test, for failures that stand outside of any test."""
    parts = [_short(name) for name in suite.path]
    file = clean_file(suite.file) if suite.file else ""
    if file and not _ABSOLUTE.match(file):
        parts = [file, *(part for part in parts if part != file)]
    return shortened("::".join(parts) or UNNAMED)


def _short(name: str) -> str:
    """Take out of a suite's name what differs between machines and runs.

    Of an absolute path that is all but the last part, of unittest-xml-reporting's names the time
    at the end (`test_a.TestX-20260501100000`).
    """
    name = _RUN_STAMP.sub("", name) or name
    slashed = name.replace("\\", "/")
    if _ABSOLUTE.match(slashed) and slashed.rstrip("/"):
        return slashed.rstrip("/").rpartition("/")[2]
    return name


def _suite_prefix(suite: Suite) -> str:
    return "".join(_short(name) + "::" for name in suite.path)


def _dotted(file: str) -> str:
    stem, dot, extension = file.rpartition(".")
    return (stem if dot and "/" not in extension else file).replace("/", ".")


def plain_prefix(attrs: Attrs, suite: Suite) -> str:
    """Name by file and class; by the suites where there is neither."""
    owner = attrs.get("classname") or attrs.get("class") or attrs.get("className") or ""
    if owner and "file" not in attrs and not owner.isspace():
        return f"{owner}::"
    file = clean_file(attrs.get("file") or "")
    if _ABSOLUTE.match(file):
        file = ""
    if not owner.strip():
        return f"{file}::" if file else _suite_prefix(suite)
    if not file:
        return f"{owner}::"
    if owner in (file, _dotted(file)) or clean_file(owner) == file:
        return f"{file}::"
    return f"{file}::{owner}::"


def plain_tail(name: str, attrs: Attrs, suite: Suite) -> str:
    """Tell apart parametrised tests whose report leaves the method's name out (`[1] x = 2`).

    The index begins anew with each method, which is all there is to tell two of them apart.
    """
    index = _INDEX.match(name)
    if index is None:
        return name
    owner = attrs.get("classname", "")
    if suite.unnamed is None:
        suite.unnamed = {}
    method, last = suite.unnamed.get(owner, (1, 0))
    if int(index[1]) <= last:
        method += 1
    if len(suite.unnamed) < 10_000:
        suite.unnamed[owner] = (method, int(index[1]))
    return f"{UNNAMED if method == 1 else f'(unnamed {method})'}[{name}]"


def suite_prefix(attrs: Attrs, suite: Suite) -> str:
    """Name by file and suites: the class says nothing."""
    file = clean_file(attrs.get("file") or "")
    path = _suite_prefix(suite)
    return path if not file or _ABSOLUTE.match(file) else f"{file}::{path}"


def class_prefix(attrs: Attrs, suite: Suite) -> str:
    """Name by class alone: the file is the path of one machine, or changes with tool versions."""
    owner = attrs.get("classname") or (attrs.get("class") or "").replace("\\", ".")
    return f"{owner}::" if owner else _suite_prefix(suite)


# --- pytest ----------------------------------------------------------------------------------


def pytest_prefix(attrs: Attrs, suite: Suite) -> str:  # noqa: ARG001 - the signature of a style
    """Give the part of pytest's node id before the function."""
    owner = attrs.get("classname", "")
    if not owner:
        return ""
    file = clean_file(attrs.get("file") or "")
    if file:
        dotted = file.removesuffix(".py").replace("/", ".")
        if owner == dotted:
            return f"{file}::"
        if owner.startswith(dotted + "."):
            return f"{file}::{owner[len(dotted) + 1 :].replace('.', '::')}::"
    module, classes = split_module(owner)
    return "::".join([module, *classes]) + "::"


def pytest_tail(name: str, attrs: Attrs, suite: Suite) -> str:  # noqa: ARG001
    """Give the function; for an error while collecting, where there is none, the module's path."""
    if attrs.get("classname") or "::" in name:
        return name
    file = clean_file(attrs.get("file") or "")
    if file and name == file.removesuffix(".py").replace("/", "."):
        return file
    return split_module(name)[0] if re.fullmatch(r"[\w.-]+", name) else name


def split_module(dotted: str) -> tuple[str, list[str]]:
    """Find where the module ends and the classes begin in pytest's dotted class name.

    Args:
        dotted: `tests.test_a.TestX`: path and classes with dots between all of them.

    Returns:
        The module's path and the names of the classes. The dots do not tell where one ends and the
        other begins, so names do: the parts at the end that begin with a capital letter are
        classes (so do `describe_*` and `context_*`, which are functions that hold tests), unless
        nothing would be left for the module.
    """
    parts = dotted.split(".")
    if len(parts) > 1 and parts[-1] in _TEXT_FILES:
        return "/".join([*parts[:-2], f"{parts[-2]}.{parts[-1]}"]), []
    end = len(parts)
    while end > 1 and _CLASS.fullmatch(parts[end - 1]):
        end -= 1
    return "/".join(parts[:end]) + ".py", parts[end:]


# --- others ----------------------------------------------------------------------------------


def gtest_tail(name: str, attrs: Attrs, suite: Suite) -> str:  # noqa: ARG001
    """Turn googletest's indices into parameters: `Name/3` and `Suite/0` to `Name[3]`."""
    marks = []
    typed = re.search(r"/(\d+)$", attrs.get("classname", ""))
    if typed:
        marks.append(typed[1])
    base, slash, index = name.rpartition("/")
    if slash and base and (index.isdecimal() or "value_param" in attrs):
        name = base
        marks.append(index)
    return f"{name}[{'/'.join(marks)}]" if marks else name


def gtest_prefix(attrs: Attrs, suite: Suite) -> str:
    """Name by suite without the index of a typed one."""
    return re.sub(r"/\d+::$", "::", class_prefix(attrs, suite))


def phpunit_tail(name: str, attrs: Attrs, suite: Suite) -> str:  # noqa: ARG001
    """Turn PHPUnit's data sets into parameters."""
    method, mark, data = name.partition(" with data set ")
    return f"{method}[{data}]" if mark else name


def dotnet_prefix(attrs: Attrs, suite: Suite) -> str:
    """Name by class; where it is missing, by the part of the full name before the method."""
    owner = attrs.get("classname") or ""
    if owner:
        return f"{owner}::"
    head = attrs.get("name", "").partition("(")[0]
    return f"{head.rpartition('.')[0]}::" if "." in head else _suite_prefix(suite)


def dotnet_tail(name: str, attrs: Attrs, suite: Suite) -> str:
    """Turn the arguments of .NET tests into parameters: `Ns.Class.Method(1)` to `Method[1]`."""
    owner = dotnet_prefix(attrs, suite)[:-2]
    if owner and name.startswith(owner + "."):
        name = name[len(owner) + 1 :]
    found = re.fullmatch(r"([^()\[\]]+)\((.+)\)", name, re.DOTALL)
    return f"{found[1]}[{found[2]}]" if found else name


def browser_tail(name: str, attrs: Attrs, suite: Suite) -> str:  # noqa: ARG001
    """Add Playwright's project, which is what tells the same test in two browsers apart."""
    return f"{name}[{suite.host}]" if suite.host else name


def device_tail(name: str, attrs: Attrs, suite: Suite) -> str:  # noqa: ARG001
    """Add the device that a mobile test ran on, which is the suite's name."""
    return f"{name}[{suite.path[-1]}]" if suite.path else name


def outline_tail(name: str, attrs: Attrs, suite: Suite) -> str:  # noqa: ARG001
    """Turn the examples of a scenario outline into parameters."""
    found = re.fullmatch(r"(.+) (?:- (?:Example )?(#[\d.]+)|-- (@[\d.]+.*))", name, re.DOTALL)
    return f"{found[1]}[{(found[2] or found[3]).strip()}]" if found else name


def go_prefix(attrs: Attrs, suite: Suite) -> str:
    """Name by package, which is the suite; the class is its last part only in old versions."""
    return f"{suite.path[-1]}::" if suite.path else plain_prefix(attrs, suite)


PLAIN = Style(plain_prefix, plain_tail)
BY_SUITE = Style(suite_prefix, by_suite=True)
PYTEST = Style(pytest_prefix, pytest_tail)
GTEST = Style(gtest_prefix, gtest_tail)
PHPUNIT = Style(class_prefix, phpunit_tail)
DOTNET = Style(dotnet_prefix, dotnet_tail)
BROWSER = Style(plain_prefix, browser_tail)
DEVICE = Style(class_prefix, device_tail)
OUTLINE = Style(plain_prefix, outline_tail)
GO = Style(go_prefix, by_suite=True)
