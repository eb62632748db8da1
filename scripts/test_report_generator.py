"""Write a report on a history: any of its parts, as HTML, Markdown, CSV or JSON.

It asks what `testlytics report` and `testlytics alerts` ask, and tells nothing to anybody: the next
call of `testlytics alerts` says what it would have said.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from testlytics import api
from testlytics.alerts.events import Event, headline, sentence, subject
from testlytics.alerts.tell import alerts
from testlytics.config import default_store
from testlytics.report import render
from testlytics.report.sections import Column, Report, Section
from testlytics_collector.errors import ConfigError, Error, NotFoundError
from testlytics_collector.store.reader import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

PARTS: Mapping[str, str] = {
    "slowest": "slowest",
    "fastest": "fastest",
    "flaky": "flaky",
    "broken": "broken",
    "slower": "regressions",
    "coverage": "coverage",
    "trends": "trends",
    "recommendations": "impact",
}
"""By name: which list of `testlytics report` has it."""

NAMES = ("summary", *PARTS, "alerts")
FORMATS = ("html", "markdown", "csv", "json")
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>testlytics</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }}
body {{ margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
td, th {{ border-bottom: 1px solid; padding: .2rem .6rem; text-align: left }}
.right {{ text-align: right; white-space: nowrap }}
</style>
<body>
<h1>testlytics</h1>
{body}
</body>
</html>
"""


def gather(store: Path, window: Window, parts: Collection[str], limit: int) -> Report:
    """Ask a store for the parts of a report.

    Args:
        store: The store's file.
        window: Which runs.
        parts: Of `NAMES`.
        limit: Rows of each list at most; 0 for all.

    Returns:
        The summary, and the lists in the order of `NAMES`.

    Raises:
        NotFoundError: There is no store, or no run in the window.
        StoreError: It cannot be opened or read.
    """
    asked = [section for part, section in PARTS.items() if part in parts]
    told = api.report(store, window, sections=asked or ["flaky"])
    sections = list(told.sections if asked else ())
    if "alerts" in parts:
        sections.append(alerts_section(store, window))
    return replace(told, sections=[section.cut(limit or None) for section in sections])


def alerts_section(store: Path, window: Window) -> Section:
    """List what is to be alerted of now, as if nothing had been told before."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "alerts.json")
        today = datetime.now(UTC).date()
        events = alerts(store, window, state, lambda _: None, today=today)
    rows = [_row(event) for event in events]
    columns = (
        Column("what", lambda row: row["what"]),
        Column("numbers", lambda row: row["numbers"]),
        Column("about", lambda row: row["about"]),
    )
    return Section("alerts", "Alerts", rows, columns, "Nothing to be alerted of.")


def _row(event: Event) -> dict[str, object]:
    return {
        "kind": event.kind,
        "project": event.project,
        "test_id": event.test_id,
        "variant": event.variant,
        "run_id": event.run_id,
        "commit": event.commit,
        "owner": event.owner,
        "what": headline(event),
        "numbers": sentence(event),
        "about": subject(event),
    }


def as_html(report: Report) -> str:
    """Write a page that fetches nothing and runs nothing."""
    blocks = [f"<p>{'<br>'.join(map(_text, report.lines))}</p>"]
    for section in report.sections:
        blocks.append(f"<h2>{_text(section.heading())}</h2>")
        blocks += [f"<p>{_text(event)}</p>" for event in section.events()]
        rows = section.shown()
        if rows:
            cells = "".join(_cell("th", column, column.title) for column in section.columns)
            lines = [f"<tr>{cells}</tr>"]
            for row in rows:
                cells = "".join(_cell("td", one, one.text(row)) for one in section.columns)
                lines.append(f"<tr>{cells}</tr>")
            blocks.append("\n".join(["<table>", *lines, "</table>"]))
        elif not section.events():
            blocks.append(f"<p>{_text(section.empty)}</p>")
        if section.left_out:
            blocks.append(f"<p>... and {section.left_out} more.</p>")
        blocks += [f"<p>{_text(note)}</p>" for note in section.notes]
    return _PAGE.format(body="\n".join(blocks))


def _cell(tag: str, column: Column, text: str) -> str:
    side = " class=right" if column.right else ""
    return f"<{tag}{side}>{_text(text)}</{tag}>"


def _text(text: str) -> str:
    return escape(render.visible(text))


def documents(report: Report, form: str, summary: bool) -> dict[str, str]:
    """Write a report in a format.

    Args:
        report: What to write.
        form: Of `FORMATS`.
        summary: Whether the summary is one of the tables of CSV.

    Returns:
        The documents by name: of CSV one for each list, of all others one with an empty name.
    """
    if form == "csv":
        alone = [replace(report, sections=[section]) for section in report.sections]
        tables = {one.sections[0].name: render.as_csv(one) for one in alone}
        head = {"summary": render.as_csv(replace(report, sections=[]))} if summary else {}
        return head | tables
    write = {"html": as_html, "markdown": render.as_markdown, "json": render.as_json}[form]
    return {"": write(report)}


def save(found: Mapping[str, str], output: Path | None) -> str | None:
    """Write documents to a file, a folder, or standard output.

    Returns:
        What is wrong with the place, None where nothing is.
    """
    if output is None:
        if len(found) > 1:
            return "CSV has a file for each list: name a folder with --output, or one --part"
        sys.stdout.write("".join(found.values()))
        return None
    try:
        if "" in found:
            output.write_text(found[""], encoding="utf-8", newline="")
            return None
        output.mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            (output / f"{name}.csv").write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        return f"{output} cannot be written: {error.strerror}"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a report as the command line says; return the exit code, as `testlytics` has them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument(
        "--part", action="append", choices=NAMES, help="only this; repeatable (default: all)"
    )
    parser.add_argument("--format", choices=FORMATS, default="markdown", help="(default: markdown)")
    parser.add_argument("--output", type=Path, help="a file; of CSV a folder (default: printed)")
    parser.add_argument("--store", type=Path, help="the store's file (default: the project's)")
    parser.add_argument("--project", help="only this namespace of tests")
    parser.add_argument("--last", type=int, default=100, help="newest runs (default: 100)")
    parser.add_argument("--limit", type=int, default=20, help="rows a list, 0 for all (20)")
    given = parser.parse_args(arguments)
    if given.last < 1 or given.limit < 0:
        parser.error("--last is at least 1, and --limit at least 0")
    parts = set(given.part or NAMES)
    try:
        window = Window(project=given.project, last=given.last)
        report = gather(given.store or default_store(), window, parts, given.limit)
    except Error as error:
        sys.stderr.write(render.visible(f"{error}") + "\n")
        return {ConfigError: 2, NotFoundError: 5}.get(type(error), 3)
    wrong = save(documents(report, given.format, "summary" in parts), given.output)
    if wrong:
        sys.stderr.write(render.visible(wrong) + "\n")
        return 2 if given.output is None else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
