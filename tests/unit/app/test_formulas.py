"""No cell of a CSV file is a formula to a spreadsheet."""

from __future__ import annotations

import csv
import io

import pytest

from testlytics.report import rows
from testlytics.report.render import as_csv
from testlytics.report.sections import Report, Section


@pytest.mark.parametrize("begins", list("=+-@\t\r"))
def test_a_name_that_begins_as_a_formula_is_a_text(begins: str) -> None:
    name = f'{begins}HYPERLINK("http://evil","x")'
    section = Section("flaky", "", [{"test_id": name}], (), "")
    written = as_csv(Report({}, [], [section]))
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert row["test_id"] == f"'{name}"
    listed = "".join(rows.as_csv(["test_id"], [[name]]))
    [_, [cell]] = csv.reader(io.StringIO(listed, newline=""))
    assert cell[:1] not in "=+-@\t\r"
