"""Reports in the formats people and programs read."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testlytics.report.render import as_csv, as_json, as_markdown, as_table, visible
from testlytics.report.sections import (
    Report,
    Section,
    broken_section,
    flaky_section,
    percent,
    seconds,
    speed_section,
)
from testlytics.report.slowdowns import regression_section
from testlytics_analytics.status import Judgement
from testlytics_collector.store.speeds import Speeds
from tests.factories import judged, series

SERIES = (
    series("tests/test_a.py::test_race[1]", "PLPPFPPPPPPP"),
    series("tests/test_b.py::test_gone", "P" * 9 + "FFF"),
    series("tests/test_c.py::test_slow", "P" * 12, durations=[0.1] * 11 + [0.5]),
)
TIMED = [
    {"project": "p", "test_id": test, "variant": "", "samples": 9, "median_s": s, "p95_s": s}
    | {"variance_s2": 0.0, "total_s": 9 * s, "newest_s": s}
    for test, s in (("tests/test_c.py::test_slow", 0.5), ("tests/test_a.py::test_race[1]", 0.1))
]
SLOWER = {
    "project": "p",
    "test_id": "tests/test_c.py::test_slow",
    "variant": "",
    "baseline_s": 0.1,
    "baseline_runs": 20,
    "current_s": 0.5,
    "newest_s": 0.6,
    "ratio": 5.0,
    "score": 7.5,
    "held": 6,
    "since_run": "r11",
    "since_commit": "c11",
    "beyond_factor": True,
}


def whole() -> Report:
    told = judged(*SERIES)
    return Report(
        {"runs": 12},
        ["3 tests"],
        [
            flaky_section(Judgement(told, 0)),
            broken_section(told),
            speed_section(Speeds(TIMED, 2), slowest=True, sort="p95"),
            speed_section(Speeds(TIMED[::-1], 2), slowest=False, sort="median"),
            regression_section([SLOWER], 0.2, "No test got slower."),
        ],
    )


def test_sections_name_the_right_tests() -> None:
    names = {s.name: [row["test_id"] for row in s.rows] for s in whole().sections}
    assert names["flaky"] == ["tests/test_a.py::test_race[1]"]
    assert names["broken"] == ["tests/test_b.py::test_gone"]
    assert names["slowest"][0] == "tests/test_c.py::test_slow"
    assert names["fastest"][-1] == "tests/test_c.py::test_slow"
    assert names["regressions"] == ["tests/test_c.py::test_slow"]


def test_table() -> None:
    told = as_table(whole(), width=80, colour=False)
    assert "  flake rate  95 % interval  runs  evidence\n" in told
    assert "        16 %     2 % - 43 %    12  proven: 1 run failed and passed\n" in told
    assert "  broken  failed runs  since  last good  test\n" in told
    assert "    97 %            3  c9     c8         tests/test_b.py::test_gone\n" in told
    assert "  100 ms  500 ms   5.00  6 runs  c11" in told


def test_json_holds_whole_rows_under_their_lists() -> None:
    told = json.loads(as_json(whole()))
    assert told["schema"] == 1
    assert told["flaky"][0]["disagreements"] == 1
    assert set(told) == {
        "schema",
        "summary",
        "flaky",
        "broken",
        "slowest",
        "fastest",
        "regressions",
    }


def test_csv_of_the_summary() -> None:
    assert as_csv(Report({"runs": 3, "tests": 2}, [], [])) == "runs,tests\r\n3,2\r\n"


def test_empty_lists_say_so() -> None:
    report = Report({}, [], [flaky_section(Judgement([], 0))])
    assert "No flaky tests." in as_table(report, width=80, colour=False)
    assert "No flaky tests." in as_markdown(report)
    assert as_csv(report) == ""


def test_what_is_undecided_is_told_with_its_probability() -> None:
    tests = [series(f"t{n}[<b>]\x1b", "PPPPF", variant="os=a" * (n == 0)) for n in range(7)]
    report = Report({}, [], [broken_section(judged(*tests))])
    assert report.sections[0].rows == []
    told = as_table(report, width=80, colour=False).splitlines()
    assert told[:3] == [
        "Broken tests (0)",
        "  No broken tests.",
        "  Too early to say, broken with 53 %: t0[<b>]\\x1b (os=a)",
    ]
    assert max(map(len, as_table(report, width=40, colour=False).splitlines())) <= 40
    assert told[-1].endswith("too early to say.")
    marked = as_markdown(report)
    assert "t1[&#60;b&#62;]&#92;x1b" in marked
    assert "... and 2 more for which it is too early to say." in marked


def test_a_break_between_two_commits_names_both() -> None:
    row = judged(series("t", "P" * 9 + "FPFFF"))[0]._replace(status="broken")
    wide = row._replace(broken_first_commit="a" * 40, broken_last_commit="b" * 40, p_broken=1.0)
    told = as_table(Report({}, [], [broken_section([wide])]), width=80, colour=False)
    assert "aaaaaaaa..bbbbbbbb" in told
    assert "99.9 %" in told


def test_cut_lists_say_how_many_are_missing() -> None:
    section = speed_section(Speeds(TIMED[:1], 3), slowest=True, sort="median")
    told = as_table(Report({}, [], [section]), width=80, colour=False)
    assert "Slowest tests, by median (3)" in told
    assert "... and 2 more; --limit 0 shows all." in told


def test_projects_and_variants_are_shown_where_they_tell_rows_apart() -> None:
    rows = judged(series("t", "P" * 10 + "FFF", variant="os=linux"), series("t", "FFF", variant=""))
    told = as_table(Report({}, [], [broken_section(rows)]), width=80, colour=False)
    assert "t (os=linux)" in told
    assert "t (no variant)" in told


@given(st.text(min_size=1), st.integers(40, 120))
def test_a_table_never_loses_a_sign_of_a_name_nor_leaves_its_width(name: str, width: int) -> None:
    rows = judged(series(name, "PLP"))
    told = as_table(Report({}, [], [flaky_section(Judgement(rows, 0))]), width=width, colour=False)
    body = told.splitlines()[2:]
    assert visible(name).replace(" ", "") in "".join("".join(body).split())
    assert all(line.isprintable() for line in told.splitlines())
    assert max(map(len, body)) <= max(width, 80)


@given(st.text(min_size=1))
@example("a|b")
@example("<b>`c`")
def test_markdown_never_gains_a_cell_or_markup(name: str) -> None:
    rows = judged(series(name, "PLP"))
    told = as_markdown(Report({}, [], [flaky_section(Judgement(rows, 0))]))
    row = next(line for line in told.splitlines() if " % - " in line)
    assert row.count("|") == 6
    assert not set("<>`") & set(row)
    assert len(told.splitlines()) == 9


@given(st.text(min_size=1))
def test_csv_is_read_back(name: str) -> None:
    section = Section("flaky", "", [{"test_id": name, "n": 1}], (), "")
    (row,) = csv.DictReader(io.StringIO(as_csv(Report({}, [], [section])), newline=""))
    assert row["test_id"].removeprefix("'") == name.removeprefix("'")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0 µs"),
        (1e-6, "1 µs"),
        (0.00099999, "1 ms"),
        (0.01234, "12.3 ms"),
        (0.9996, "1 s"),
        (12.345, "12.3 s"),
        (1234.5, "1,234 s"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, "-"),
        (0.0, "0 %"),
        (0.004, "0.4 %"),
        (0.25, "25 %"),
        (0.996, "99.6 %"),
        (1.0, "100 %"),
    ],
)
def test_percent(rate: float | None, text: str) -> None:
    assert percent(rate) == text
