"""`testlytics sql`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testlytics.cli import _output
from testlytics.cli._options import FormatOption, StoreOption, WaitOption, store_path
from testlytics.cli._output import Format
from testlytics.cli._rows import save
from testlytics_collector.errors import ConfigError

if TYPE_CHECKING:
    from testlytics_collector.store.query import Answer

_LONGEST = 1 << 20


def sql(
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="SQL",
            help="One statement that reads. [default: standard input]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to FILE instead: .parquet, .csv or .json.",
        ),
    ] = None,
    store: StoreOption = None,
    format_: FormatOption = Format.TABLE,
    wait: WaitOption = 10.0,
) -> None:
    """Ask the store in SQL (DuckDB's), over its public views.

    runs, tests, attempts, verdicts, failures, notes: see docs/reference/store-schema.md.
    Nothing can be changed, and no other file can be reached.
    """
    from testlytics_collector.store import query as run

    text, path = _statement(query), store_path(store)
    if output is None:
        with run.ask(path, text, wait_s=wait) as answer:
            _output.write_all(_written(answer, format_))
        return
    form = output.suffix.lower()
    if form not in {".parquet", ".csv", ".json"}:
        raise ConfigError(
            f"--output {output}: its name should end with .parquet, .csv or .json.",
            slug="output-kind",
        )
    if output.absolute() == path.absolute():
        raise ConfigError("--output names the store itself.", slug="output-kind")
    if form == ".parquet":
        run.save_parquet(path, text, output, wait_s=wait)
        return
    with run.ask(path, text, wait_s=wait) as answer:
        save(output, _written(answer, Format(form[1:])))


def _statement(query: str | None) -> str:
    if query is None and not sys.stdin.isatty():
        read = sys.stdin.buffer.read(_LONGEST + 1)
        if len(read) > _LONGEST:
            raise ConfigError(
                f"The query on standard input is longer than {_LONGEST} bytes.",
                slug="sql-long",
                hint="Ask for less at once.",
            )
        query = read.decode("utf-8", "replace")
    if not query or not query.strip():
        raise ConfigError(
            "There is no query.",
            slug="sql-one-statement",
            hint="For example: testlytics sql 'from runs limit 10'",
        )
    return query


def _written(answer: Answer, form: Format) -> Iterator[str]:
    from testlytics.report import rows

    if form is Format.JSON:
        return rows.as_json("rows", rows.distinct(answer.columns), answer)
    write = {
        Format.CSV: rows.as_csv,
        Format.MARKDOWN: rows.as_markdown,
        Format.TABLE: rows.as_table,
    }[form]
    return write(answer.columns, answer)
