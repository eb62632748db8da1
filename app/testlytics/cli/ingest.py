"""`testlytics ingest`."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testlytics.cli import _errors
from testlytics.cli._options import (
    BranchOption,
    ProjectOption,
    StoreOption,
    VariantOption,
    WaitOption,
    store_path,
    variant_pairs,
)
from testlytics.cli._output import Format, progress, write
from testlytics.config import FOLDER, project_root
from testlytics_collector.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from testlytics_collector.ingest import FileResult, Found


class KeptMessages(StrEnum):
    """What is kept of failure texts; as `formats.interface.Messages`, which help need not load."""

    KEEP = "keep"
    HASH = "hash"
    NONE = "none"


_COUNTS = (
    "passed",
    "failed",
    "errored",
    "skipped",
    "xfailed",
    "xpassed",
    "unknown",
    "measurements",
)


def ingest(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Files, folders, globs, or - for standard input. "
            "[default: the run files in .testlytics]",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    variant: VariantOption = None,
    run_id: Annotated[
        str | None,
        typer.Option(
            envvar="TESTLYTICS_RUN_ID",
            metavar="ID",
            help="The run all of these files belong to. [default: what each says; else its own]",
            show_default=False,
        ),
    ] = None,
    run_attempt: Annotated[
        int | None,
        typer.Option(
            envvar="TESTLYTICS_RUN_ATTEMPT", min=1, metavar="N", help="The CI's re-run counter."
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(envvar="TESTLYTICS_SHARD", metavar="NAME", help="Which part of the run."),
    ] = None,
    commit: Annotated[
        str | None,
        typer.Option(
            envvar="TESTLYTICS_COMMIT",
            metavar="SHA",
            help="The commit that was tested, without other changes.",
        ),
    ] = None,
    pull_request: Annotated[
        str | None,
        typer.Option(envvar="TESTLYTICS_PR", metavar="N", help="The pull request it was of."),
    ] = None,
    max_size: Annotated[
        int,
        typer.Option(min=1, metavar="MIB", help="Largest file read, decompressed."),
    ] = 2048,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Read XML with control characters in it, or text around it, all the same.",
        ),
    ] = False,
    messages: Annotated[
        KeptMessages,
        typer.Option(help="Of failure texts keep all, a digest that tells equal ones, or none."),
    ] = KeptMessages.KEEP,
    no_messages: Annotated[
        bool, typer.Option("--no-messages", help="The same as --messages none.")
    ] = False,
    wait: WaitOption = 10.0,
    format_: Annotated[
        Format, typer.Option("--format", envvar="TESTLYTICS_FORMAT", help="table or json.")
    ] = Format.TABLE,
) -> None:
    """Read test results and keep them: run files of the pytest plugin, JUnit XML of any tool.

    The same file twice changes nothing. A bad file costs no good one: the good ones are stored,
    and the exit code is 3.
    """
    from testlytics import api
    from testlytics_collector.formats.interface import Limits, Messages
    from testlytics_collector.ingest import Stated, find

    if format_ not in {Format.TABLE, Format.JSON}:
        raise ConfigError(f"ingest answers as table or json, not as {format_}.", slug="format")
    stated = Stated(
        project=project,
        run_id=run_id,
        run_attempt=run_attempt,
        shard=shard,
        commit=commit,
        branch=branch,
        pull_request=pull_request,
        variant=variant_pairs(variant),
    )
    kept = Messages.NONE if no_messages else Messages(messages.value)
    limits = Limits(size=max_size << 20, repair=repair, messages=kept)
    found = find(paths or _own_run_files())
    results = _missing(found)
    if found.paths:
        with progress(len(found.paths), "ingest") as step:
            results += api.ingest(
                found.paths,
                store_path(store),
                stated=stated,
                wait_s=wait,
                limits=limits,
                on_file=lambda _: step(),
            )
    for folder in found.empty:
        _errors.say(f"testlytics: {folder}: no run files (.jsonl) and no JUnit XML in this folder.")
    if not results:
        raise NotFoundError(
            "There is nothing to ingest.",
            slug="nothing-to-ingest",
            hint="Make results with: pytest --testlytics, or give JUnit XML files.",
        )
    write(_as_json(results) if format_ is Format.JSON else _as_table(results))
    if any(result.status == "refused" for result in results):
        raise typer.Exit(_errors.FAILED)


def _own_run_files() -> list[str]:
    folder = project_root() / FOLDER
    here = Path.cwd()
    short = folder.relative_to(here) if folder.is_relative_to(here) else folder
    return [str(path) for path in sorted(short.glob("*.jsonl"))]


def _missing(found: Found) -> list[FileResult]:
    from testlytics_collector.ingest import FileResult, Status, glob_like
    from testlytics_collector.records import Problem

    return [
        FileResult(
            path,
            None,
            Status.REFUSED,
            problems=(
                Problem(
                    "No file matches." if glob_like(path) else "There is no such file or folder."
                ),
            ),
        )
        for path in found.missing
    ]


def _as_json(results: list[FileResult]) -> str:
    files = [
        {
            "path": result.path,
            "format": result.format,
            "status": result.status.value,
            "run_id": result.run_id,
            **(asdict(result.counts) if result.counts else {}),
            "problems": [problem._asdict() for problem in result.problems],
        }
        for result in results
    ]
    # Paths may hold bytes that are no UTF-8; ASCII keeps the document valid.
    return json.dumps({"schema": 1, "files": files}, indent=2) + "\n"


def _as_table(results: list[FileResult]) -> str:
    """Say in a line a file what became of it; problems go to stderr, with the file's name."""
    from testlytics.report.render import visible

    lines = []
    for result in results:
        if result.counts is not None:
            parts = [
                f"{number} {name}" for name in _COUNTS if (number := getattr(result.counts, name))
            ]
            told = ", ".join(parts) if parts else "no results"
        else:
            told = f"run {result.run_id}" if result.run_id else ""
        lines.append(visible(f"{result.status:<14}  {result.path}  {told}".rstrip()))
        for problem in result.problems:
            place = f":{problem.line}" if problem.line else ""
            _errors.say(f"testlytics: {result.path}{place}: {problem.text}")
    if len(results) > 1:
        sums = {
            s: sum(r.status == s for r in results) for s in dict.fromkeys(r.status for r in results)
        }
        lines.append(", ".join(f"{number} {status}" for status, number in sums.items()))
    return "\n".join(lines) + "\n"
