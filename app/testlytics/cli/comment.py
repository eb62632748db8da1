"""`testlytics comment`."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testlytics.cli import _errors
from testlytics.cli._output import write
from testlytics_collector.errors import ConfigError, InputError

if TYPE_CHECKING:
    from testlytics.gate.findings import GateResult
    from testlytics.github.client import GitHub


class CommentMode(StrEnum):
    """When there is a comment; as `github.comment.Mode`, which help need not load."""

    ALWAYS = "always"
    CHANGES = "changes"
    FAILURES = "failures"
    OFF = "off"


def comment(
    report: Annotated[
        Path, typer.Option(metavar="FILE", help="What `testlytics gate --output FILE` wrote.")
    ],
    pull_request: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2_000_000_000,
            metavar="N",
            help="Its number. [default: what the report says; --head has to confirm it]",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="SHA", help="Only where this commit is the pull request's newest one."
        ),
    ] = None,
    key: Annotated[
        str, typer.Option(metavar="NAME", help="Which of several comments it is.")
    ] = "default",
    mode: Annotated[
        CommentMode,
        typer.Option(
            help="When to write a new one: always, where something was found, where it blocks."
        ),
    ] = CommentMode.CHANGES,
) -> None:
    """Write what a gate said into a GitHub pull request: one comment, kept up to date.

    From the environment: GITHUB_TOKEN, GITHUB_REPOSITORY, GITHUB_API_URL.

    The report may come from a stranger's run: it is read strictly, and shown with everything
    escaped. Where GitHub refuses, that is a warning and the exit code is 0: no comment is no reason
    for a red build.
    """
    from testlytics.github.client import ApiError
    from testlytics.github.comment import Mode, upsert

    github = _github()
    result = _read(report)
    number = _number(result, pull_request, head)
    try:
        if head is not None and github.head(number) != head:
            _warn(
                f"No comment: pull request {number} is not at commit {head[:8]}. There are newer "
                "commits, or the report is about another one."
            )
            return
        done = upsert(github, number, result, key, Mode(mode.value))
    except ApiError as error:
        _warn(f"No comment: {error}")
        return
    write(f"pull request {number}: comment {done.value}\n")


def _github() -> GitHub:
    from testlytics.github.client import GitHub

    return GitHub(
        os.environ.get("GITHUB_REPOSITORY", ""),
        os.environ.get("GITHUB_TOKEN", ""),
        address=os.environ.get("GITHUB_API_URL") or "https://api.github.com",
    )


def _read(report: Path) -> GateResult:
    from testlytics.gate.reading import MAX_BYTES, read_result

    try:
        with report.open("rb") as file:
            return read_result(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise InputError(
            f"{report} cannot be read: {error.strerror}.",
            slug="gate-answer-unreadable",
            hint="Write it with: testlytics gate --output FILE",
        ) from error


def _number(result: GateResult, given: int | None, head: str | None) -> int:
    if given is not None:
        return given
    if head is None:
        raise ConfigError(
            "Which pull request? A report alone is not trusted to say it.",
            slug="comment-where",
            hint="Give --pull-request N, or --head SHA with the commit that was tested.",
        )
    told = result.pull_request or ""
    if not (told.isascii() and told.isdigit() and 0 < len(told) < 11 and int(told)):
        raise InputError(
            f"The report is about no pull request of GitHub: {told!r}.", slug="comment-number"
        )
    return int(told)


def _warn(text: str) -> None:
    _errors.say(f"testlytics: {text}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from testlytics.report.render import visible

        write(f"::warning title=testlytics::{visible(text).replace('%', '%25')}\n")
