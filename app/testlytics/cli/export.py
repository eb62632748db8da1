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
    store_path,
    variant_pairs,
)
from testlytics.cli._output import write_bytes
from testlytics_collector.errors import Error


class ExportFormat(StrEnum):
    """What is written."""

    JUNIT = "junit"


def export(
    format_: Annotated[  # noqa: ARG001 - there is one so far
        ExportFormat, typer.Option("--format", help="What to write.")
    ],
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
        typer.Option(metavar="ID", help="The run to write. [default: the newest of each project]"),
    ] = None,
    wait: WaitOption = 10.0,
) -> None:
    """Write a run for other tools.

    junit: one document in which shards and re-runs are merged, a suite for each variant.
    Further attempts of a test stand inside its testcase, as Maven Surefire writes them.
    """
    from testlytics import api
    from testlytics_collector.store.reader import Window

    window = Window(
        project=project,
        branch=branch,
        variant=variant_pairs(variant),
        run_id=run_id,
        last=1,
    )
    document = api.export_junit(store_path(store), window, wait_s=wait)
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
