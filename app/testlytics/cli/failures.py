"""`testlytics failures`."""

from __future__ import annotations

from typing import Annotated

import typer

from testlytics.cli._options import (
    BranchOption,
    FormatOption,
    LimitOption,
    ProjectOption,
    RenamesFileOption,
    SinceOption,
    StoreOption,
    VariantOption,
    WaitOption,
    instant_us,
    rows_shown,
    store_path,
    variant_pairs,
)
from testlytics.cli._output import Format
from testlytics.cli._show import show


def list_failures(
    pattern: Annotated[
        str | None,
        typer.Argument(help="A part of the test id, or a glob of all of it: '*::test_pay*'."),
    ] = None,
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    variant: VariantOption = None,
    since: SinceOption = None,
    last: Annotated[
        int, typer.Option(min=1, metavar="N", help="Only the newest N runs of each project.")
    ] = 100,
    limit: LimitOption = None,
    format_: FormatOption = Format.TABLE,
    renames_file: RenamesFileOption = None,
    wait: WaitOption = 10.0,
) -> None:
    """List failed and flaky tests with what they said, the newest run first."""
    from testlytics import browse, renames
    from testlytics.report.lists import failures_section
    from testlytics_collector.store.reader import Window

    window = Window(
        project=project,
        branch=branch,
        variant=variant_pairs(variant),
        since_us=instant_us(since),
        last=last,
        aliases=renames.aliases(renames_file),
    )
    page = browse.list_failures(
        store_path(store), window, pattern, limit=rows_shown(limit, format_), wait_s=wait
    )
    show(failures_section(page.rows, page.total - len(page.rows)), format_)
