"""What the commands share that take files in: what is stated of them, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from testlytics.cli import _errors
from testlytics.cli._output import Format
from testlytics.config import FOLDER, project_root
from testlytics_collector.errors import ConfigError

if TYPE_CHECKING:
    from testlytics_collector.ingest import FileResult, Found

PathsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="Files, folders, globs, or - for standard input. "
        "[default: the run files in .testlytics]",
        show_default=False,
    ),
]
RunIdOption = Annotated[
    str | None,
    typer.Option(
        envvar="TESTLYTICS_RUN_ID",
        metavar="ID",
        help="The run all of these files belong to. [default: what each says; else its own]",
        show_default=False,
    ),
]
RunAttemptOption = Annotated[
    int | None,
    typer.Option(
        envvar="TESTLYTICS_RUN_ATTEMPT", min=1, metavar="N", help="The CI's re-run counter."
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(envvar="TESTLYTICS_SHARD", metavar="NAME", help="Which part of the run."),
]
CommitOption = Annotated[
    str | None,
    typer.Option(
        envvar="TESTLYTICS_COMMIT",
        metavar="SHA",
        help="The commit that was tested, without other changes.",
    ),
]
PullRequestOption = Annotated[
    str | None,
    typer.Option(envvar="TESTLYTICS_PR", metavar="N", help="The pull request it was of."),
]
AnswerOption = Annotated[
    Format, typer.Option("--format", envvar="TESTLYTICS_FORMAT", help="table or json.")
]

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


def check_answer(command: str, form: Format) -> None:
    """Refuse the forms that answers about files do not have.

    Raises:
        ConfigError: It is neither table nor json.
    """
    if form not in {Format.TABLE, Format.JSON}:
        raise ConfigError(f"{command} answers as table or json, not as {form}.", slug="format")


def say_empty(found: Found) -> None:
    """Name the folders in which there was nothing."""
    for folder in found.empty:
        _errors.say(f"testlytics: {folder}: no run files (.jsonl) and no JUnit XML in this folder.")


def own_run_files() -> list[str]:
    """Return the run files of the project, as the plugin leaves them."""
    folder = project_root() / FOLDER
    here = Path.cwd()
    short = folder.relative_to(here) if folder.is_relative_to(here) else folder
    return [str(path) for path in sorted(short.glob("*.jsonl"))]


def missing(found: Found) -> list[FileResult]:
    """Return an answer for each path at which there is nothing."""
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


def as_json(lists: Mapping[str, Sequence[FileResult]], **more: object) -> str:
    """Write answers as a JSON document.

    Args:
        lists: Answers by the name of their list.
        more: What else it says.
    """
    document: dict[str, Any] = {"schema": 1}
    for name, results in lists.items():
        document[name] = [
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
    return json.dumps(document | more, indent=2) + "\n"


def as_lines(results: Sequence[FileResult]) -> str:
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
