"""`testlytics doctor`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from testlytics.cli import _output
from testlytics.cli._options import FormatOption, StoreOption, WaitOption, store_path
from testlytics.cli._output import Format
from testlytics_collector.errors import ConfigError


def doctor(
    store: StoreOption = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Put right what does not follow from the facts.")
    ] = False,
    format_: FormatOption = Format.TABLE,
    wait: WaitOption = 10.0,
) -> None:
    """Look whether a store is sound; bring one of an older version up to date.

    What reports read is kept beside the facts. This compares it with the facts.
    """
    from testlytics import api

    if format_ not in {Format.TABLE, Format.JSON}:
        raise ConfigError(
            f"doctor cannot answer as {format_.value}.",
            slug="format",
            hint="Use --format table or json.",
        )
    found = api.doctor(store_path(store), rebuild=rebuild, wait_s=wait)
    if format_ is Format.JSON:
        _output.write(json.dumps({"schema": 1, **found}, indent=2) + "\n")
    else:
        _output.write("\n".join(_lines(found, rebuild=rebuild)) + "\n")
    if found["differences"] and not rebuild:
        raise typer.Exit(1)


def _lines(found: dict[str, Any], *, rebuild: bool) -> list[str]:
    differences = found["differences"]
    lines = [
        f"{found['store']}: schema {found['store_schema']}, DuckDB {found['duckdb']}",
        f"{found['attempts']} attempts of {found['tests']} tests in {found['runs']} runs",
    ]
    if not differences:
        return [*lines, "What is kept beside the facts follows from them."]
    told = ", ".join(f"{table} ({count} rows)" for table, count in differences.items())
    if rebuild:
        return [*lines, f"Put right: {told}."]
    return [*lines, f"Does not follow from the facts: {told}.", "Put it right with: --rebuild"]
