"""`testlytics report`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from testlytics.cli import _output
from testlytics.cli._options import (
    BranchOption,
    FormatOption,
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
from testlytics_collector.errors import ConfigError


class Sort(StrEnum):
    """How the slowest and fastest tests are ordered."""

    MEDIAN = "median"
    P95 = "p95"
    TOTAL = "total"


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
            help="Rows a list, 0 for all. [default: 10 of the slowest and fastest, else 50; "
            "all in json and csv]",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        Sort, typer.Option(help="Order of the slowest and fastest tests.")
    ] = Sort.MEDIAN,
    format_: FormatOption = Format.TABLE,
    renames_file: RenamesFileOption = None,
    wait: WaitOption = 10.0,
) -> None:
    """Tell which tests are flaky, broken, slow or getting slower; a summary where nothing is asked.

    Verdicts are made for each variant (os, python, ...) apart.
    """
    from testlytics import api, renames
    from testlytics.report import render
    from testlytics_collector.store.reader import Window

    asked = (flaky, broken, slowest, fastest, regressions)
    wanted = [name for name, on in zip(api.SECTIONS, asked, strict=True) if on]
    if format_ is Format.CSV and len(wanted) > 1:
        raise ConfigError(
            "CSV holds one list at a time.",
            slug="csv-one-list",
            hint=f"Ask for one of: {', '.join('--' + name for name in wanted)}.",
        )
    window = Window(
        project=project,
        branch=branch,
        variant=variant_pairs(variant),
        since_us=instant_us(since),
        last=last,
        aliases=renames.aliases(renames_file),
    )
    told = api.report(
        store_path(store),
        window,
        sections=wanted,
        sort=sort.value,
        limits={name: _rows(name, limit, format_) for name in wanted},
        # Beside lists it is shown only in some formats.
        summary=not wanted or format_ in {Format.JSON, Format.MARKDOWN},
        wait_s=wait,
    )
    told = replace(told, sections=[s.cut(_rows(s.name, limit, format_)) for s in told.sections])
    if format_ is Format.JSON:
        _output.write(render.as_json(told))
    elif format_ is Format.CSV:
        _output.write(render.as_csv(told))
    elif format_ is Format.MARKDOWN:
        _output.write(render.as_markdown(told))
    else:
        _output.write(render.as_table(told, width=_output.width(), colour=_output.colour()))


def _rows(section: str, limit: int | None, form: Format) -> int | None:
    """Return how many rows of a list are shown; None for all."""
    if limit is not None:
        return limit or None
    if form in {Format.JSON, Format.CSV}:
        return None
    return 10 if section in {"slowest", "fastest"} else 50
