"""Writing the rows of a view, and files that are there wholly or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics.cli._output import progress, write_all
from testlytics_collector.errors import ConfigError, unwritable

if TYPE_CHECKING:
    from testlytics_collector.store.reader import Window


def export(
    store: Path, window: Window, view: str, form: str, output: Path | None, *, wait_s: float
) -> None:
    """Write the rows of a view as csv, json or parquet.

    Raises:
        ConfigError: Parquet was asked for without a file, or the file is the store.
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
        Error: The file cannot be written.
    """
    from testlytics.api import no_runs
    from testlytics.report import rows as written
    from testlytics_collector.store.store import open_store

    if output is None and form == "parquet":
        raise ConfigError(
            "Parquet goes to a file.", slug="export-what", hint="Name it with --output FILE."
        )
    if output is not None and output.resolve() == store.resolve():
        raise ConfigError("--output names the store itself.", slug="output-kind")
    with open_store(store, wait_s=wait_s) as opened, opened.extract(window, view) as extract:
        if not extract.runs:
            raise no_runs(store)
        if output is not None and form == "parquet":
            # DuckDB is asked how far it is only where somebody looks.
            with progress(100, "export") as step:
                extract.save_parquet(output, step if sys.stderr.isatty() else None)
            return
        columns, rows = extract.read()
        with progress(extract.runs, "export") as step:
            counted = _counted(rows, step)
            texts = (
                written.as_csv(columns, counted)
                if form == "csv"
                else written.as_json(view, columns, counted)
            )
            if output is None:
                write_all(texts)
            else:
                save(output, texts)


def _counted(
    rows: Iterable[tuple[Any, ...]], step: Callable[[], None]
) -> Iterator[tuple[Any, ...]]:
    """Call `step` after each run; rows begin with project and run id."""
    run = None
    for row in rows:
        if run is not None and row[:2] != run:
            step()
        run = row[:2]
        yield row


def save(output: Path, texts: Iterable[str]) -> None:
    """Write a file while its texts come, and put it in its place when it is whole.

    Raises:
        Error: The file cannot be written.
    """
    part = output.absolute().with_name(f"{output.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            stream.writelines(texts)
        part.replace(output)
    except OSError as error:
        raise unwritable(output, error) from error
    finally:
        part.unlink(missing_ok=True)
