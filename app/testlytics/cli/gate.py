"""`testlytics gate`."""

from __future__ import annotations

import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testlytics.cli import _output
from testlytics.cli._options import ProjectOption, StoreOption, WaitOption, store_path
from testlytics.cli._reviewed import AllowancesFileOption, QuarantineFileOption, today
from testlytics_collector.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from testlytics.gate.findings import GateResult


class GateFormat(StrEnum):
    """How the answer is written."""

    AUTO = "auto"
    TABLE = "table"
    GITHUB = "github"
    MARKDOWN = "markdown"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"


def gate(
    store: StoreOption = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", envvar="TESTLYTICS_RUN_ID", metavar="ID", help="The run. [default: the newest]"
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            envvar="TESTLYTICS_BASE",
            metavar="BRANCH",
            help="Branch to compare with. [default: main, master or the commonest]",
        ),
    ] = None,
    last: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Runs of the baseline at most.")
    ] = 100,
    block: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="What blocks; may be given several times."),
    ] = None,
    warn: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="What is told and does not block; likewise."),
    ] = None,
    least_runs: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Nothing blocks with fewer runs in the baseline. [default: 5]",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        GateFormat,
        typer.Option(
            "--format",
            envvar="TESTLYTICS_FORMAT",
            help="How to write the answer; auto is github in GitHub Actions, else table.",
        ),
    ] = GateFormat.AUTO,
    summary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write Markdown to the end of this file, such as $GITHUB_STEP_SUMMARY.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the answer as JSON to a file.")
    ] = None,
    rerun_list: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the tests whose failures block, one a line, to run them again.",
        ),
    ] = None,
    quarantine: QuarantineFileOption = None,
    allowances: AllowancesFileOption = None,
    project: ProjectOption = None,
    wait: WaitOption = 10.0,
) -> None:
    """Say whether a run broke or slowed something: exit code 0, or 1 with a reason for each test.

    The run is compared with several runs where its change branched off, each variant (os, python,
    ...) for itself. With too little history nothing blocks.
    """
    from testlytics.gate import findings, judge, quarantined, render
    from testlytics.gate.allowances import read_allowances, with_allowed
    from testlytics.quarantine_file import read_quarantine

    day = today()
    entries = read_quarantine(quarantine, day)
    allowed = read_allowances(allowances, day)
    policy = findings.policy(block, warn, least_runs)
    result = judge.gate(
        store_path(store),
        project=project,
        run_id=run,
        base=base,
        limit=last,
        policy=policy,
        excused=quarantined.excused_by(entries, day),
        wait_s=wait,
    )
    result = with_allowed(quarantined.with_expired(result, entries, day), allowed, day)
    if output is not None:
        _output.save(output, render.as_json(result).encode())
    if rerun_list is not None:
        again = findings.to_run_again(result)
        lines = "".join(f"{one}\n" for one in again)
        _output.save(rerun_list, lines.encode(), option="--rerun-list")
    if summary is not None:
        from testlytics.gate.markdown import as_markdown

        _output.save(summary, as_markdown(result).encode(), append=True, option="--summary")
    _mark(store_path(store), result, wait)
    _write(result, format_)
    if result.verdict == "blocked":
        raise typer.Exit(1)


def _mark(store: Path, result: GateResult, wait: float) -> None:
    """Write down what was said; that this cannot be done is no reason to say something else."""
    from testlytics.gate import judge

    try:
        judge.mark(store, result, time.time_ns() // 1000, wait_s=wait)
    except StoreError as error:
        print(f"testlytics: not marked in the store: {error}", file=sys.stderr)  # noqa: T201


def _write(result: GateResult, format_: GateFormat) -> None:
    from testlytics.gate import exchange, github, markdown, render

    if format_ is GateFormat.AUTO:
        in_actions = os.environ.get("GITHUB_ACTIONS") == "true"
        format_ = GateFormat.GITHUB if in_actions else GateFormat.TABLE
    if format_ is GateFormat.JUNIT:
        _output.write_bytes(exchange.as_junit(result))
    elif format_ is GateFormat.TABLE:
        _output.write(render.as_text(result, width=_output.width(), colour=_output.colour()))
    else:
        writers: dict[GateFormat, Callable[[GateResult], str]] = {
            GateFormat.GITHUB: github.as_github,
            GateFormat.MARKDOWN: markdown.as_markdown,
            GateFormat.JSON: render.as_json,
            GateFormat.SARIF: exchange.as_sarif,
        }
        _output.write(writers[format_](result))
