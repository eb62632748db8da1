"""`testlytics purge`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from testlytics.cli import _output
from testlytics.cli._options import FormatOption, StoreOption, WaitOption, store_path
from testlytics.cli._output import Format
from testlytics_collector.errors import ConfigError


def purge(
    test_id: Annotated[
        str | None,
        typer.Option("--test", metavar="ID", help="Remove this test with all that is known of it."),
    ] = None,
    messages: Annotated[
        bool, typer.Option("--messages", help="Blank all failure messages and texts.")
    ] = False,
    text: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Blank what holds TEXT, such as a person's name: branches, pull requests, CI "
            "addresses, shards, workers, notes and failures.",
        ),
    ] = None,
    store: StoreOption = None,
    format_: FormatOption = Format.TABLE,
    wait: WaitOption = 10.0,
) -> None:
    """Remove for good what should not be kept, and look whether it is gone.

    Exit code 1: the id or TEXT still stands somewhere, such as in the name of another test. Copies
    of the store, archives and the files that were taken in are not touched.
    """
    from testlytics import upkeep

    if format_ not in {Format.TABLE, Format.JSON}:
        raise ConfigError(
            f"purge cannot answer as {format_.value}.",
            slug="format",
            hint="Use --format table or json.",
        )
    if (test_id is not None) + messages + (text is not None) != 1 or "" in {test_id, text}:
        raise ConfigError("One of --test, --messages and --text was expected.", slug="purge-what")
    done = upkeep.purge(store_path(store), test_id=test_id, text=text, wait_s=wait)
    if format_ is Format.JSON:
        _output.write(json.dumps({"schema": 1, **done}, indent=2) + "\n")
    else:
        _output.write("\n".join(_lines(done)) + "\n")
    if done["remaining"]:
        raise typer.Exit(1)


def _lines(done: dict[str, Any]) -> list[str]:
    from testlytics.report.render import visible

    def told(counts: dict[str, int]) -> str:
        return ", ".join(f"{name} ({count})" for name, count in counts.items())

    lines = [f"Removed or blanked: {told(done['removed']) or 'nothing'}."]
    if done["remaining"]:
        lines.append(f"Still standing: {told(done['remaining'])}.")
    lines += [visible(f"May hold it as well: {path}") for path in done["copies"]]
    return lines
