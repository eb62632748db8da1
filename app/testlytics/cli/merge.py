"""`testlytics merge`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from testlytics.cli import _errors
from testlytics.cli._options import FormatOption, StoreOption, WaitOption, store_path
from testlytics.cli._output import Format, write
from testlytics_collector.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from testlytics_collector.store.merge import Merged


def merge(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Archives (a folder, s3://BUCKET/PREFIX, git:BRANCH), .parquet files of one, "
            "other stores.",
        ),
    ],
    store: StoreOption = None,
    wait: WaitOption = 10.0,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Take all that run archives and other stores know into the store.

    In any order, and as often as you like: the store ends with what all of them know. What cannot
    be read costs nothing else, and the exit code is 3.
    """
    from testlytics import api

    if format_ not in {Format.TABLE, Format.JSON}:
        raise ConfigError(f"merge answers as table or json, not as {format_}.", slug="format")
    with _counting() as step:
        merged = api.merge(sources, store_path(store), wait_s=wait, on_run=step)
    if format_ is Format.JSON:
        write(json.dumps({"schema": 1, "sources": [_as_json(one) for one in merged]}, indent=2))
        write("\n")
    else:
        write("".join(f"{_line(one)}\n" for one in merged))
    for one in merged:
        for told in (*one.problems, *one.refused):
            _errors.say(f"testlytics: {told.path}: {told.text}")
    if any(one.refused for one in merged):
        raise typer.Exit(_errors.FAILED)
    if not any(one.stored or one.already_stored for one in merged):
        raise NotFoundError(
            "There is nothing to merge.",
            slug="merge-nothing",
            hint="Fill an archive with: testlytics export --archive PLACE",
        )


@contextmanager
def _counting() -> Iterator[Callable[[], None]]:
    """Show how many runs have come in, on a terminal only: nobody knows how many will."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("merge"), TextColumn("{task.completed} runs"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("merge", total=None)
        yield lambda: shown.advance(task)


def _line(merged: Merged) -> str:
    from testlytics.report.render import visible

    told = f"{merged.stored} uploads stored, {merged.already_stored} already stored"
    if merged.refused:
        told += f", {len(merged.refused)} refused"
    return visible(f"{merged.source}: {told}")


def _as_json(merged: Merged) -> dict[str, object]:
    return {
        **asdict(merged),
        "refused": [told._asdict() for told in merged.refused],
        "problems": [told._asdict() for told in merged.problems],
    }
