"""Which tool wrote a report, and what follows from that.

A report does not name its writer. Tools differ in the names that they give to suites, in their
attributes and in the order of these, which is as telling as a signature.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from testlytics_collector.formats.junit import identity
from testlytics_collector.formats.junit.identity import Attrs, Style


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is known of one tool's reports.

    Attributes:
        tool: Name of the tool; None where it is not recognised.
        style: How it names tests.
        utc: Whether its timestamps without a zone are in UTC (else in some local time).
        hides_reruns: Whether a failed attempt may look like a passed one, written before the
            verdict of the same test (pytest-rerunfailures).
        repeats_suites: Whether the same test in another suite is another attempt of it.
        wall_time: Whether a suite's `time` is the time that passed, not the sum over its tests.
        plain: Whether a test id is what `style` puts before the name, and the name, for all names
            without `[`, and times are in seconds.
        unit_s: What an integer `time` counts in, in seconds; from `unit_from` on where smaller
            values may be seconds as well.
        unit_from: See `unit_s`; smaller integers except 0 are read as unknown.
    """

    tool: str | None
    style: Style = identity.PLAIN
    utc: bool = False
    hides_reruns: bool = False
    repeats_suites: bool = False
    wall_time: bool = False
    plain: bool = True
    unit_s: float = 1.0
    unit_from: int = 0


@dataclass(frozen=True, slots=True)
class Signs:
    """What a dialect is recognised by.

    Attributes:
        root: Attributes of the document's root, empty where that is the suite itself.
        suite: Attributes of the outermost suite.
        case: Attributes of its first testcase, empty before it.
        go: Whether a property `go.version` was seen.
    """

    root: Attrs
    suite: Attrs
    case: Attrs
    go: bool = False


GENERIC = Dialect(None)
_PYTEST = Dialect("pytest", identity.PYTEST, hides_reruns=True, wall_time=True)
_GTEST = Dialect("googletest", identity.GTEST, plain=False)
_DOTNET = Dialect("dotnet", identity.DOTNET, plain=False)
_OUTLINE = identity.OUTLINE

_PYTEST_SUITE = (
    ("name", "errors", "failures", "skipped", "tests", "time", "timestamp", "hostname"),
    ("errors", "failures", "hostname", "name", "skipped", "tests", "time", "timestamp"),
)
_GRADLE_SUITE = (
    "name",
    "tests",
    "skipped",
    "failures",
    "errors",
    "timestamp",
    "hostname",
    "time",
)
_ANT_SUITE = (
    "errors",
    "failures",
    "hostname",
    "id",
    "name",
    "package",
    "tests",
    "time",
    "timestamp",
)
_DEVICE = re.compile(r"[\w. ]+-\d\d-[a-z]{2}(?:_\w+)?-(?:portrait|landscape|default)\b.*")
_CONTAINER_TEST = re.compile(r"(?:Command|File Existence|File Content) Test: |Metadata Test$")


def _is_pytest(signs: Signs) -> bool:
    if signs.suite.get("name") == "pytest":
        return True
    # The suite's name is an option; then its attributes tell, and names that Python has.
    return (
        tuple(signs.suite) in _PYTEST_SUITE
        and tuple(signs.case)[:2] in (("classname", "name"), ("classname", "file"))
        and re.fullmatch(
            r"(?:[\w.]*\.)?(?:test_\w+|\w+_test|tests)(?:\.[\w.]+)?", signs.case["classname"]
        )
        is not None
        and signs.case.get("name", "").partition("[")[0].isidentifier()
    )


def _is_gtest(signs: Signs) -> bool:
    return signs.root.get("name") == "AllTests" or (
        signs.case.get("status") in ("run", "notrun") and "result" in signs.case
    )


def _is_dotnet(signs: Signs) -> bool:
    return (
        signs.suite.get("name", "").lower().endswith((".dll", ".exe"))
        or "microsoft.com" in str(signs.root)
        or signs.case.get("status") in ("Passed", "Success", "Inconclusive", "NotRunnable")
    )


def _is_node(signs: Signs) -> bool:
    return (
        not signs.root
        and list(signs.case)[:3] == ["name", "time", "classname"]
        and (signs.case["classname"] == "test")
    )


def _is_phpunit(signs: Signs) -> bool:
    return "assertions" in signs.suite and ("class" in signs.case or "warnings" in signs.suite)


def _is_behave(signs: Signs) -> bool:
    if "status" in signs.case and " -- @" in signs.case.get("name", ""):
        return True
    # Ids must not depend on whether the first scenario is one of an outline.
    return (
        list(signs.case) == ["classname", "name", "status", "time"]
        and signs.case["classname"] == signs.suite.get("name")
        and "." in signs.case["classname"]
        and signs.case["status"].islower()
        and signs.case["status"] not in ("run", "notrun", "fail", "disabled")
    )


def _is_old_exunit(signs: Signs) -> bool:
    return (
        signs.case.get("classname", "").startswith("Elixir.")
        and signs.case.get("time", "").isdecimal()
    )


def _is_old_fitnesse(signs: Signs) -> bool:
    return (
        list(signs.case) == ["name", "assertions", "time"]
        and "disabled" in signs.suite
        and signs.case["name"].startswith(signs.suite.get("name", "") + ".")
    )


def _root_named(*names: str) -> Callable[[Signs], bool]:
    return lambda signs: signs.root.get("name") in names


def _suite_named(start: str) -> Callable[[Signs], bool]:
    return lambda signs: signs.suite.get("name", "").startswith(start)


def _schema(part: str) -> Callable[[Signs], bool]:
    return lambda signs: part in signs.suite.get("xsi:noNamespaceSchemaLocation", "")


_TABLE: tuple[tuple[Callable[[Signs], bool], Dialect], ...] = (
    (_is_pytest, _PYTEST),
    (_root_named("nextest-run"), Dialect("cargo-nextest", repeats_suites=True, wall_time=True)),
    (_root_named("jest tests"), Dialect("jest-junit", utc=True)),
    (_root_named("Mocha Tests"), Dialect("mocha-junit-reporter", utc=True)),
    (_root_named("vitest tests"), Dialect("vitest")),
    (_root_named("Catch2"), Dialect("catch2")),
    (_is_gtest, _GTEST),
    (_schema("surefire"), Dialect("maven-surefire")),
    (_suite_named("rspec"), Dialect("rspec")),
    (_suite_named("cucumber.runtime"), Dialect("cucumber", _OUTLINE, plain=False)),
    (_suite_named("Cucumber"), Dialect("cucumber", _OUTLINE, plain=False)),
    (lambda s: tuple(s.suite) == _GRADLE_SUITE, Dialect("gradle", utc=True)),
    (
        lambda s: (
            list(s.root)[:2] == ["id", "name"] and "hostname" in s.suite and "file" not in s.case
        ),
        Dialect("playwright", identity.BROWSER, plain=False),
    ),
    (
        lambda s: _DEVICE.fullmatch(s.suite.get("name", "")) is not None,
        Dialect("flank", identity.DEVICE, repeats_suites=True, plain=False),
    ),
    (lambda s: s.go or "coverage.statements.pct" in s.suite, Dialect("go", identity.GO)),
    (_is_phpunit, Dialect("phpunit", identity.PHPUNIT, plain=False)),
    (_is_node, Dialect("node:test", identity.BY_SUITE)),
    (_is_dotnet, _DOTNET),
    (
        lambda s: tuple(name for name in s.suite if name != "skipped") == _ANT_SUITE,
        Dialect("ant", utc=True),
    ),
    (_is_behave, Dialect("behave", _OUTLINE, plain=False)),
    (
        lambda s: not s.suite and _CONTAINER_TEST.match(s.case.get("name", "")) is not None,
        Dialect("container-structure-test", plain=False, unit_s=1e-9, unit_from=10_000),
    ),
    (_is_old_fitnesse, Dialect("fitnesse", plain=False, unit_s=1e-3)),
    (_is_old_exunit, Dialect("exunit", plain=False, unit_s=1e-6, unit_from=1_000)),
)


def recognise(signs: Signs) -> Dialect:
    """Tell the dialect of a report.

    Args:
        signs: What has been seen of it.

    Returns:
        The first dialect whose signs they are, else `GENERIC`.
    """
    for is_it, dialect in _TABLE:
        if is_it(signs):
            return dialect
    return GENERIC
