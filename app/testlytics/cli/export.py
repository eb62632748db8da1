"""`testlytics export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from testlytics.cli import _rows
from testlytics.cli._options import (
    BranchOption,
    ProjectOption,
    StoreOption,
    VariantOption,
    WaitOption,
    instant_us,
    store_path,
    variant_pairs,
)
from testlytics.cli._output import progress, save, write, write_bytes
from testlytics_collector.errors import ConfigError


class ExportFormat(StrEnum):
    """What is written."""

    JUNIT = "junit"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


class View(StrEnum):
    """Which rows are written."""

    ATTEMPTS = "attempts"
    VERDICTS = "verdicts"
    FAILURES = "failures"
    MEASUREMENTS = "measurements"


def export(
    format_: Annotated[
        ExportFormat | None, typer.Option("--format", help="Write one document.")
    ] = None,
    what: Annotated[
        View | None,
        typer.Option(help="Rows of which view; csv, json, parquet. [default: attempts]"),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Add runs to a run archive: a folder, s3://BUCKET/PREFIX, git:BRANCH.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to. [default: standard output]"),
    ] = None,
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    variant: VariantOption = None,
    run_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="The run to write. [default: junit: the newest of each project; else: all]",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Runs from a date or an age on, such as 30d."),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Only the newest N runs of a project. [default: junit: 1]"
        ),
    ] = None,
    wait: WaitOption = 10.0,
) -> None:
    """Write runs for other tools, or add them to an archive that others merge from.

    junit: one document in which shards and re-runs are merged, a suite for each variant.
    Further attempts of a test stand inside its testcase, as Maven Surefire writes them.

    csv, json, parquet: a row for each attempt (--what: or verdict, or failure), oldest run first.
    The columns are those of the public views in docs/reference/store-schema.md.

    archive: a Parquet file for each run, never changed again, with all that is known of it.
    """
    from testlytics import api
    from testlytics_collector.store.reader import Window

    if (format_ is None) == (archive is None):
        raise ConfigError(
            "export writes a document or to an archive: one of --format and --archive.",
            slug="export-what",
            hint="For example: --format junit, or --archive FOLDER",
        )
    if archive is not None and (variant or output is not None):
        raise ConfigError(
            "--archive adds whole runs to a place; --variant and --output do not go with it.",
            slug="export-what",
            hint="Leave them out.",
        )
    table = format_ is not None and format_ is not ExportFormat.JUNIT
    if what is not None and not table:
        raise ConfigError("--what goes with --format csv, json or parquet.", slug="export-what")
    window = Window(
        project=project,
        branch=branch,
        variant=variant_pairs(variant),
        run_id=run_id,
        since_us=instant_us(since),
        last=last or 1 if format_ is ExportFormat.JUNIT else last,
    )
    if format_ is not None and table:
        view = what or View.ATTEMPTS
        _rows.export(store_path(store), window, view.value, format_.value, output, wait_s=wait)
        return
    if archive is None:
        _write(api.export_junit(store_path(store), window, wait_s=wait), output)
        return
    done = api.export_archive(
        store_path(store),
        window,
        archive,
        wait_s=wait,
        progress=lambda total: progress(total, "export"),
    )
    write(f"{archive}: {done.written} runs added, {done.present} there already\n")


def _write(document: bytes, output: Path | None) -> None:
    if output is None:
        write_bytes(document)
    else:
        save(output, document)
