"""What is said about the coverage of each package. The percentages are counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.branch_coverage import by_file, judged, together


def measured(lines: int, ran: int, branches: int, taken: int) -> dict[str, Any]:
    summary = {
        "num_statements": lines,
        "covered_lines": ran,
        "num_branches": branches,
        "covered_branches": taken,
    }
    return {"summary": summary}


REPORT = {
    "files": {
        "app/house/door.py": measured(100, 99, 10, 8),
        "app/house/rooms/hall.py": measured(100, 100, 10, 10),
        "app/house_of_others/door.py": measured(10, 0, 10, 0),
        "app/empty/__init__.py": measured(0, 0, 0, 0),
    }
}


def test_files_of_a_package_are_those_in_its_folder_the_worst_first() -> None:
    files = by_file(REPORT, "house")
    assert [file.name for file in files] == ["app/house/door.py", "app/house/rooms/hall.py"]
    assert [file.missing for file in files] == [2, 0]


def test_percentages_are_of_the_sum_and_not_a_mean_of_percentages() -> None:
    report = {"files": {"a/b/x.py": measured(1, 1, 90, 90), "a/b/y.py": measured(9, 4, 10, 0)}}
    whole = together("b", by_file(report, "b"))
    assert whole.line_percent == pytest.approx(50)
    assert whole.branch_percent == pytest.approx(90)


@pytest.mark.parametrize(("least", "is_below"), [(90, False), (90.01, True)])
def test_a_package_below_the_bound_is_told_with_what_is_missing(
    least: float, is_below: bool
) -> None:
    lines, below = judged(REPORT, ["house"], least)
    assert lines[1].split() == ["house", "99.5", "%", "90.0", "%", "2"]
    assert bool(below) == is_below
    if is_below:
        assert "app/house/door.py (2)" in below[0]


@pytest.mark.parametrize("package", ["empty", "nowhere"])
def test_a_package_of_which_nothing_was_measured_is_no_success(package: str) -> None:
    lines, below = judged(REPORT, ["house", package], 0)
    assert len(lines) == 2
    assert below == [f"{package}: nothing was measured"]
