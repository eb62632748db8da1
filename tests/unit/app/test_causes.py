"""How tests that changed together are told."""

from __future__ import annotations

from typing import Any

import pytest

from testlytics.report.causes import between, shared
from testlytics.report.render import as_json, as_markdown, as_table
from testlytics.report.sections import Report, Row, Section
from testlytics.report.slowdowns import regression_section

HOSTILE = "tests/<b>\x1b[31m|@you\u202e/"


def place(after: str | None, until: str | None, run: str | None = "r1") -> Row:
    return {
        "since_after_run": run,
        "since_after_commit": after,
        "since_until_run": "r2",
        "since_until_commit": until,
    }


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (place("a" * 40, "b" * 40), "since between aaaaaaaa and bbbbbbbb, 95 %"),
        (place("a" * 40, "a" * 40), "since between two runs of aaaaaaaa, 95 %"),
        # Equal beginnings are not equal commits.
        (place("a" * 40, "a" * 39 + "b"), "since between aaaaaaaa and aaaaaaaa, 95 %"),
        (place(None, None), "since between run r1 and run r2, 95 %"),
        (place(None, "b" * 40), "since between run r1 and bbbbbbbb, 95 %"),
        (place(None, "b" * 40, None), "since bbbbbbbb or before, 95 %"),
    ],
)
def test_since_when(row: Row, text: str) -> None:
    assert between(row, "95 %") == text


def test_one_cause_is_likely_where_most_share_it() -> None:
    causes = [{"scope": "a/", "hit": 4, "size": 5}, {"scope": "b.py", "hit": 2, "size": 2}]
    assert shared(causes, 7) == "one cause likely: a/ (4 of 5), b.py (2 of 2)"
    assert shared(causes, 8) == "in a/ (4 of 5), b.py (2 of 2)"
    assert shared([], 8) == ""


def slower(number: int, group: int, lost_s: float) -> Row:
    return {
        "project": "p",
        "test_id": f"{HOSTILE}test_{number}.py::t",
        "variant": "",
        "baseline_s": 1.0,
        "current_s": 1.0 + lost_s,
        "ratio": 1.0 + lost_s,
        "held": 9,
        "since_commit": "c" * 40,
        "group": group,
    }


def group(number: int, increase_s: float, *, folded: bool = False) -> Row:
    text = f"group {number}: {HOSTILE}"
    return {"group": number, "text": text, "folded": folded, "increase_s": increase_s}


def section() -> Section:
    rows = [slower(1, 1, 0.5), slower(2, 2, 0.9), slower(3, 1, 0.6), slower(4, 3, 5.0)]
    groups = [group(1, 1.1), group(2, 0.9), group(3, 5.0, folded=True)]
    return regression_section(rows, 0, "No test got slower.", groups)


def test_the_group_that_lost_most_comes_first_and_folded_ones_last() -> None:
    assert [row["group"] for row in section().rows] == [1, 1, 2, 3]
    assert [row["current_s"] for row in section().rows][:2] == [1.6, 1.5]


def test_a_table_has_a_line_for_each_group_and_none_of_a_folded_ones_tests() -> None:
    told = as_table(Report({}, [], [section()]), width=80, colour=False)
    lines = told.splitlines()
    assert lines[0] == "Slower tests (3)"
    assert lines[1].startswith("  group 3: ")
    heads = [line for line in lines if line.startswith("  group")]
    assert [line[:9] for line in heads] == ["  group 3", "  group 1", "  group 2"]
    assert "test_4.py" not in told
    assert all(line.isprintable() and len(line) <= 80 for line in lines)


def test_markdown_escapes_the_lines_of_groups() -> None:
    told = as_markdown(Report({}, [], [section()]))
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3 + 2
    assert all(line.count("|") == 7 for line in rows)
    assert "group 3: tests/&#60;b&#62;" in told
    assert not set("<>\x1b\u202e@") & set(told)


def test_json_has_the_groups_and_all_rows() -> None:
    told: Any = as_json(Report({}, [], [section()]))
    assert told.count('"test_id"') == 4
    assert '"groups": {\n    "regressions": [' in told


def test_a_cut_list_counts_no_test_of_a_folded_group() -> None:
    cut = section().cut(1)
    assert ([row["group"] for row in cut.rows], cut.left_out) == ([1], 2)
    assert section().cut(None).rows == section().rows
    assert "Slower tests (3)" in as_table(Report({}, [], [cut]), width=80, colour=False)


def test_a_list_of_an_event_alone_does_not_say_that_nothing_got_slower() -> None:
    only = regression_section(
        [slower(1, 1, 0.5)], 0, "No test got slower.", [group(1, 1, folded=True)]
    )
    assert "No test got slower." not in as_table(Report({}, [], [only]), width=80, colour=False)
    assert "No test got slower." not in as_markdown(Report({}, [], [only]))
