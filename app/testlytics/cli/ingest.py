"""`testlytics ingest`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from testlytics.cli import _errors
from testlytics.cli._files import (
    AnswerOption,
    CommitOption,
    PathsArgument,
    PullRequestOption,
    RunAttemptOption,
    RunIdOption,
    ShardOption,
    as_json,
    as_lines,
    check_answer,
    missing,
    own_run_files,
    say_empty,
)
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
from testlytics_collector.errors import NotFoundError


class KeptMessages(StrEnum):
    """What is kept of failure texts; as `formats.interface.Messages`, which help need not load."""

    KEEP = "keep"
    HASH = "hash"
    NONE = "none"


def ingest(
    paths: PathsArgument = None,
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    variant: VariantOption = None,
    run_id: RunIdOption = None,
    run_attempt: RunAttemptOption = None,
    shard: ShardOption = None,
    commit: CommitOption = None,
    pull_request: PullRequestOption = None,
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
    format_: AnswerOption = Format.TABLE,
) -> None:
    """Read test results and keep them: run files of the pytest plugin, JUnit XML of any tool.

    The same file twice changes nothing. A bad file costs no good one: the good ones are stored,
    and the exit code is 3.
    """
    from testlytics import api
    from testlytics_collector.formats.interface import Limits, Messages
    from testlytics_collector.ingest import Stated, find

    check_answer("ingest", format_)
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
    found = find(paths or own_run_files())
    results = missing(found)
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
    say_empty(found)
    if not results:
        raise NotFoundError(
            "There is nothing to ingest.",
            slug="nothing-to-ingest",
            hint="Make results with: pytest --testlytics, or give JUnit XML files.",
        )
    write(as_json({"files": results}) if format_ is Format.JSON else as_lines(results))
    if any(result.status == "refused" for result in results):
        raise typer.Exit(_errors.FAILED)
