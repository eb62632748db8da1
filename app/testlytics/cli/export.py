"""`testlytics export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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
from testlytics.cli._output import progress, write, write_bytes
from testlytics_collector.errors import ConfigError, Error


class ExportFormat(StrEnum):
    """What is written."""

    JUNIT = "junit"


def export(
    format_: Annotated[
        ExportFormat | None, typer.Option("--format", help="Write one document.")
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
            help="The run to write. [default: junit: the newest of each project; archive: all]",
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
    window = Window(
        project=project,
        branch=branch,
        variant=variant_pairs(variant),
        run_id=run_id,
        since_us=instant_us(since),
        last=last if archive is not None else last or 1,
    )
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
        return
    try:
        output.write_bytes(document)
    except OSError as error:
        raise Error(
            f"Cannot write {output}: {error.strerror}.",
            slug="output-unwritable",
            hint="Choose another file with --output.",
        ) from error
