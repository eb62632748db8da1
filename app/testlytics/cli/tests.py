"""`testlytics tests`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from testlytics.cli._options import (
    BranchOption,
    FormatOption,
    LimitOption,
    ProjectOption,
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
from testlytics.config import project_root


class CaseSort(StrEnum):
    """How the tests are ordered."""

    NAME = "name"
    FAILURES = "failures"
    DURATION = "duration"
    LAST = "last"


def list_cases(
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
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Only the newest N runs of each project. [default: the whole history]",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        CaseSort,
        typer.Option(help="By name, or first those that fail most often, take longest, ran last."),
    ] = CaseSort.NAME,
    limit: LimitOption = None,
    format_: FormatOption = Format.TABLE,
    wait: WaitOption = 10.0,
) -> None:
    """List tests with how often they fail, each variant apart.

    Without --branch, --since and --last over the whole history, pruned runs included. The owner is
    the value of a test's tag `owner`, else what CODEOWNERS says of its file.
    """
    from testlytics import browse
    from testlytics.owners import read_owners
    from testlytics.report.lists import cases_section
    from testlytics_collector.store.reader import Window

    window = Window(
        project=project,
        branch=branch,
        variant=variant_pairs(variant),
        since_us=instant_us(since),
        last=last,
    )
    page = browse.list_cases(
        store_path(store),
        window,
        pattern,
        sort=sort.value,
        limit=rows_shown(limit, format_),
        wait_s=wait,
    )
    owners = read_owners(project_root())
    if owners is not None:
        browse.add_owners(page.rows, owners)
    show(cases_section(page.rows, page.total - len(page.rows)), format_)
