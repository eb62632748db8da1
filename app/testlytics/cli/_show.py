"""Showing one list in the format that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testlytics.cli import _output
from testlytics.cli._output import Format

if TYPE_CHECKING:
    from testlytics.report.sections import Section


def show(section: Section, form: Format) -> None:
    """Write a list to stdout: programs get whole rows, people the columns of the section."""
    from testlytics.report import render, rows
    from testlytics.report.sections import Report

    if form in {Format.JSON, Format.CSV}:
        columns = list(section.rows[0]) if section.rows else []
        values = (list(row.values()) for row in section.rows)
        if form is Format.JSON:
            _output.write_all(rows.as_json(section.name, columns, values))
        else:
            _output.write_all(rows.as_csv(columns, values))
    elif form is Format.MARKDOWN:
        _output.write("\n\n".join(render.markdown_blocks(section)) + "\n")
    else:
        report = Report({}, [], [section])
        _output.write(render.as_table(report, width=_output.width(), colour=_output.colour()))
