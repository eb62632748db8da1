"""`testlytics report`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from testlytics.cli import _output
from testlytics.cli._options import (
    BranchOption,
    ProjectOption,
    RenamesFileOption,
    StoreOption,
    VariantOption,
    WaitOption,
    instant_us,
    store_path,
    variant_pairs,
)
from testlytics.cli._output import Format
from testlytics.config import project_root
from testlytics_collector.errors import ConfigError


class Sort(StrEnum):
    """How the slowest and fastest tests are ordered."""

    MEDIAN = "median"
    P95 = "p95"
    TOTAL = "total"


class By(StrEnum):
    """What costs are summed up by."""

    TEST = "test"
    FAMILY = "family"
    FILE = "file"
    FOLDER = "folder"
    OWNER = "owner"
    PHASE = "phase"
    RUN = "run"


class ReportFormat(StrEnum):
    """How a report is written: as lists are, or as a page."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"


ReportFormatOption = Annotated[
    ReportFormat,
    typer.Option("--format", envvar="TESTLYTICS_FORMAT", help="How to write the answer."),
]


def report(
    store: StoreOption = None,
    flaky: Annotated[
        bool, typer.Option("--flaky", help="Tests that pass and fail by turns.")
    ] = False,
    broken: Annotated[
        bool, typer.Option("--broken", help="Tests that fail since some run.")
    ] = False,
    slowest: Annotated[bool, typer.Option("--slowest", help="Tests that take longest.")] = False,
    fastest: Annotated[bool, typer.Option("--fastest", help="Tests that take least.")] = False,
    regressions: Annotated[
        bool, typer.Option("--regressions", help="Tests that got slower than their baseline.")
    ] = False,
    trends: Annotated[
        bool,
        typer.Option(
            "--trends", help="How the suite grew and slowed down, by cause, folder and owner."
        ),
    ] = False,
    impact: Annotated[
        bool,
        typer.Option(
            "--impact", help="What failures and long tests cost, and what is worth doing."
        ),
    ] = False,
    benchmarks: Annotated[
        bool,
        typer.Option("--benchmarks", help="Benchmarks and load tests, those that got worse first."),
    ] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Coverage by file, what it lost first.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write everything as one page that needs no network and no script.",
        ),
    ] = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    variant: VariantOption = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only runs since then: 2026-01-31, or an age like 30d."),
    ] = None,
    last: Annotated[
        int, typer.Option(min=1, metavar="N", help="Only the newest N runs of each project.")
    ] = 100,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Rows a list, 0 for all. [default: 10 of the slowest, fastest and trends, else "
            "50; all in json and csv]",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        Sort, typer.Option(help="Order of the slowest and fastest tests.")
    ] = Sort.MEDIAN,
    by: Annotated[
        By | None,
        typer.Option(
            help="What the slowest, fastest and trends are told of: tests with their share of "
            "set-up, or what all tests of a group take together in a run.",
            show_default=False,
        ),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only tests of this owner in the lists: tag `owner` or CODEOWNERS."
        ),
    ] = None,
    format_: ReportFormatOption = ReportFormat.TABLE,
    renames_file: RenamesFileOption = None,
    wait: WaitOption = 10.0,
) -> None:
    """Tell which tests are flaky, broken, slow or getting slower; a summary where nothing is asked.

    Verdicts are made for each variant (os, python, ...) apart.
    """
    from testlytics import api, renames
    from testlytics.owners import read_owners
    from testlytics.report import render
    from testlytics_collector.store.reader import Window

    asked = (flaky, broken, slowest, fastest, regressions, trends, impact, benchmarks, coverage)
    wanted = [name for name, on in zip(api.SECTIONS, asked, strict=True) if on]
    paged = html is not None or format_ is ReportFormat.HTML
    form = Format(format_.value) if format_ is not ReportFormat.HTML else Format.TABLE
    if form is Format.CSV and len(wanted) > 1:
        raise ConfigError(
            "CSV holds one list at a time.",
            slug="csv-one-list",
            hint=f"Ask for one of: {', '.join('--' + name for name in wanted)}.",
        )
    if paged:
        _refuse_lists([*wanted, *(["by"] if by else [])])
    else:
        _refuse_alone(wanted, by, owner)
    window = Window(
        project=project,
        branch=branch,
        variant=variant_pairs(variant),
        since_us=instant_us(since),
        last=last,
        aliases=renames.aliases(renames_file),
    )
    if paged:
        owners = read_owners(project_root())
        page = api.html_report(store_path(store), window, owners=owners, owner=owner, wait_s=wait)
        if html is not None:
            _output.save(html, page.encode(), option="--html")
        else:
            _output.write_bytes(page.encode())
        return
    told = api.report(
        store_path(store),
        window,
        sections=wanted,
        sort=sort.value,
        by=by and by.value,
        owner=owner,
        owners=read_owners(project_root()) if owner or trends or by is By.OWNER else None,
        limits={name: _rows(name, limit, form) for name in wanted},
        # Beside lists it is shown only in some formats.
        summary=not wanted or form in {Format.JSON, Format.MARKDOWN},
        wait_s=wait,
    )
    held = [
        section.cut(_rows(section.name, limit, form))
        for section in told.sections
        # People see the runs as a curve.
        if section.name != "trends_by_run" or by is By.RUN or form is Format.JSON
    ]
    told = replace(told, sections=held)
    if form is Format.JSON:
        _output.write(render.as_json(told))
    elif form is Format.CSV:
        _output.write(render.as_csv(told))
    elif form is Format.MARKDOWN:
        _output.write(render.as_markdown(told))
    else:
        _output.write(
            render.as_table(told, width=_output.width(), colour=_output.colour(), blocks=_blocks())
        )


def _blocks() -> bool:
    """Tell whether stdout can hold the signs of which curves are made."""
    from testlytics.report.curves import BLOCKS

    try:
        BLOCKS.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


_SPEEDS = frozenset({"slowest", "fastest"})
_GROUPED = _SPEEDS | {"trends"}
_UNOWNED = frozenset({"benchmarks", "coverage"})
"""Lists of what is no test."""


def _refuse_alone(wanted: Collection[str], by: By | None, owner: str | None) -> None:
    """Refuse options that say something of lists nobody asked for."""
    lists = {By.PHASE: _SPEEDS, By.RUN: {"trends"}}.get(by, _GROUPED) if by else _GROUPED
    asked = _GROUPED.intersection(wanted)
    if by is not None and (not asked or asked - lists):
        raise ConfigError(
            f"--by {by.value} without a list that it goes with.",
            slug="report-lists",
            hint=f"Ask for {' or '.join(sorted('--' + name for name in lists))} alone.",
        )
    if owner is not None and (not wanted or _UNOWNED.intersection(wanted)):
        raise ConfigError(
            f"--owner {owner} without a list that it goes with.",
            slug="report-lists",
            hint="Ask for --slowest, or any other list.",
        )


def _refuse_lists(options: Sequence[str]) -> None:
    """Refuse options about lists beside the page, which holds them all."""
    if options:
        raise ConfigError(
            f"--{options[0]} beside a page that holds every list.",
            slug="report-lists",
            hint="Ask for the page alone: testlytics report --html FILE.",
        )


def _rows(section: str, limit: int | None, form: Format) -> int | None:
    """Return how many rows of a list are shown; None for all."""
    if section in {"trends", "advice"}:  # parts of a whole, and never many
        return None
    if limit is not None:
        return limit or None
    if form in {Format.JSON, Format.CSV}:
        return None
    many = {"flaky", "broken", "regressions", "trends_by_run", "benchmarks", "coverage"}
    return 50 if section in many else 10
