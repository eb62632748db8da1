"""Times and timestamps: what can be read in one way only is read, everything else is unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_collector.formats.junit.instants import instant_of
from testlytics_collector.formats.junit.numbers import Durations
from tests.unit.junit.reports import read

NOON = 1_709_985_600_000_000  # 2024-03-09T12:00:00Z


def us(*spellings: str) -> list[int | None]:
    durations = Durations(lambda kind, example: None)
    return [durations.us(spelling) for spelling in spellings]


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("0", 0),
        ("0.", 0),
        ("0.0000004", 0),
        ("0.0000006", 1),
        (" 1.5 ", 1_500_000),
        ("+2", 2_000_000),
        ("1e-3", 1_000),
        ("12,345,678.901", 12_345_678_901_000),
        ("12'345.6", 12_345_600_000),
        ("1.234,5", 1_234_500_000),
        ("1 234,5", 1_234_500_000),
        ("1\u00a0234,5", 1_234_500_000),
        (",5", 500_000),
        ("1234,567", 1_234_567_000),
        ("1,29e-05", 13),
        ("2m39.18758888s", 159_187_589),
        ("1h2m3s", 3_723_000_000),
        ("15ms", 15_000),
        ("15 ms", 15_000),
        ("20 µs", 20),
        ("5m", 300_000_000),
        ("00:01:30.5", 90_500_000),
        ("1:30", None),
        ("1,234", None),
        ("1.2.3", None),
        ("1,2,3", None),
        ("1_000", None),
        ("0x10", None),
        ("٣", 3_000_000),
        ("²", None),
        ("1710037800", None),
        ("-0.5", None),
        ("--", None),
    ],
)
def test_durations(spelling: str, expected: int | None) -> None:
    assert us(spelling) == [expected]


def test_a_comma_means_what_it_meant_before() -> None:
    assert us("1,234", "0,5", "1,234") == [None, 500_000, 1_234_000]
    assert us("1,234.5", "1,234") == [1_234_500_000, 1_234_000_000]
    assert us("1,234.5", "0,5", "1,234") == [1_234_500_000, 500_000, None]


def test_a_comma_of_the_suite_tells_too() -> None:
    cases = '<testcase name="a" classname="c" time="1,234"/>'
    found = read(f'<testsuite name="s" time="0,288">{cases}</testsuite>')
    assert found.attempts[0].duration_us == 1_234_000


@given(st.text(max_size=70) | st.from_regex(r"[-+]?[\d.,eE' hmsu:]{0,70}"))
def test_no_text_raises(text: str) -> None:
    (found,) = us(text)
    assert found is None or 0 <= found <= 10**15


@given(st.integers(0, 10**12))
def test_microseconds_come_back(micros: int) -> None:
    assert us(f"{micros // 10**6}.{micros % 10**6:06}") == [micros]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            (
                '<testsuites time="1"><testsuite>'
                '<testcase name="Command Test: x" time="548392417"/>'
                '<testcase name="Metadata Test" time="0"/></testsuite></testsuites>'
            ),
            [548_392, 0],
        ),
        (
            (
                '<testsuite name="Elixir.A"><testcase classname="Elixir.A" name="t" time="46983"/>'
                '<testcase classname="Elixir.A" name="u" time="3"/></testsuite>'
            ),
            [46_983, None],
        ),
        (
            (
                '<testsuite name="Front.P" tests="1" failures="0" disabled="0" errors="0">'
                '<testcase name="Front.P.Page" assertions="10" time="2018"/></testsuite>'
            ),
            [2_018_000],
        ),
        (
            (
                '<testsuite name="Elixir.A"><testcase classname="Elixir.A" name="t" time="0.0469"/>'
                "</testsuite>"
            ),
            [46_900],
        ),
    ],
)
def test_tools_that_count_in_something_else(document: str, expected: list[int | None]) -> None:
    assert [row.duration_us for row in read(document).attempts] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-09T12:00:00Z", (NOON, True)),
        ("2024-03-09T12:00:00", (NOON, False)),
        ("2024-03-09 12:00:00", (NOON, False)),
        ("2024-03-09T12:00:00 UTC", (NOON, True)),
        ("2024-03-09T17:30:00+0530", (NOON, True)),
        ("2024-03-09T17:30:00+05:30", (NOON, True)),
        ("2024-03-09T05:00:00GMT-07:00", (NOON, True)),
        ("2024-03-09T12:00:00.123456789", (NOON + 123_456, False)),
        ("2024-03-09T12:00:00,5Z", (NOON + 500_000, True)),
        ("9 Mar 2024 12:00:00 GMT", (NOON, True)),
        ("Sat, 09 Mar 2024 12:00:00 GMT", (NOON, True)),
        ("Sat Mar 09 12:00:00 2024", (NOON, False)),
        ("Sat Mar 09 2024 13:00:00 GMT+0100 (CET)", (NOON, True)),
        ("1709985600", (NOON, True)),
        ("1709985600000", (NOON, True)),
        ("0", (None, True)),
        ("0001-01-01T00:00:00", (None, True)),
        ("1970-01-01T00:00:00Z", (None, True)),
    ],
)
def test_instants(text: str, expected: tuple[int | None, bool]) -> None:
    assert instant_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2024-13-01T00:00:00",
        "3/9/2024 12:00",
        "2024-03-09T25:00:00",
        "2024-03-09T12:00:00+99:00",
        "9 Foo 2024 12:00:00",
        "17099856000",
        "²",
    ],
)
def test_what_is_no_instant(text: str) -> None:
    assert instant_of(text) is None


@given(st.text(max_size=40))
def test_no_instant_raises(text: str) -> None:
    instant_of(text)


def test_zones_are_told_unless_the_tool_is_known_to_write_utc() -> None:
    case = '<testcase name="a" classname="c" time="1"/>'
    unknown = read(f'<testsuite name="s" timestamp="2024-03-09T12:00:00">{case}</testsuite>')
    assert (unknown.reading.upload.started_us, "taken as UTC" in unknown.problems) == (NOON, True)
    jest = read(
        '<testsuites name="jest tests"><testsuite name="s" timestamp="2024-03-09T12:00:00">'
        f"{case}</testsuite></testsuites>"
    )
    assert (jest.reading.upload.started_us, jest.problems) == (NOON, "")


def test_a_run_begins_with_its_earliest_suite_and_ends_only_where_that_is_told() -> None:
    suite = (
        '<testsuite name="{}" timestamp="2024-03-09T{}Z" time="60"><testcase name="a"/></testsuite>'
    )
    both = suite.format("pytest", "12:00:00") + suite.format("pytest", "11:00:00")
    upload = read(f"<testsuites>{both}</testsuites>").reading.upload
    assert upload.started_us == NOON - 3_600_000_000
    assert upload.ended_us == NOON + 60_000_000
    other = suite.format("x", "12:00:00")
    assert read(other).reading.upload.ended_us is None


def test_a_testcases_own_instant_is_kept() -> None:
    case = '<testcase name="a" classname="c" timestamp="2024-03-09T12:00:00Z"/>'
    assert read(f"<testsuite>{case}</testsuite>").attempts[0].started_us == NOON
