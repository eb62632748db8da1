"""`testlytics prune`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from testlytics.cli import _output
from testlytics.cli._options import (
    FormatOption,
    ProjectOption,
    StoreOption,
    WaitOption,
    instant_us,
    store_path,
)
from testlytics.cli._output import Format
from testlytics_collector.errors import ConfigError


def prune(
    store: StoreOption = None,
    keep_runs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Keep the newest N runs of each project."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Remove runs that began before: 90d, or 2026-01-31."),
    ] = None,
    project: ProjectOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Write the file anew, so that it becomes smaller.")
    ] = False,
    format_: FormatOption = Format.TABLE,
    wait: WaitOption = 10.0,
) -> None:
    """Remove old runs; how often each test passed and failed stays, by month.

    With both bounds, what is beyond either goes. A pruned run that comes again is not taken in.
    The file keeps its size without --compact: its free room is used for what comes next.
    """
    from testlytics import upkeep
    from testlytics_collector.store.retention import Policy

    if format_ not in {Format.TABLE, Format.JSON}:
        raise ConfigError(
            f"prune cannot answer as {format_.value}.",
            slug="format",
            hint="Use --format table or json.",
        )
    if keep_runs is None and older_than is None:
        raise ConfigError(
            "Nothing says which runs may go.",
            slug="prune-no-bound",
            hint="Give --keep-runs N or --older-than 90d, here or in [tool.testlytics.prune].",
        )
    policy = Policy(keep_runs, instant_us(older_than, option="--older-than"), project)
    done = upkeep.prune(store_path(store), policy, dry_run=dry_run, compact=compact, wait_s=wait)
    if format_ is Format.JSON:
        _output.write(json.dumps({"schema": 1, "dry_run": dry_run, **done}, indent=2) + "\n")
    else:
        _output.write(_line(done, dry_run=dry_run))


def _line(done: dict[str, Any], *, dry_run: bool) -> str:
    if not done["runs"]:
        return "No run is beyond the bounds.\n"
    told = f"{done['runs']} runs, {done['uploads']} uploads, {done['attempts']} attempts"
    if dry_run:
        return f"Would remove {told}.\n"
    size = f"{done['bytes_before'] / 2**20:.1f} MiB, now {done['bytes_after'] / 2**20:.1f} MiB"
    return f"Removed {told}, {done['messages']} messages. The file had {size}.\n"
