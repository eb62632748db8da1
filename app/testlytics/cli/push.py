"""`testlytics push`."""

from __future__ import annotations

import os
from pathlib import Path
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
from testlytics.cli._options import BranchOption, ProjectOption, VariantOption, variant_pairs
from testlytics.cli._output import Format, progress, write
from testlytics.config import FOLDER, project_root
from testlytics_collector.errors import ConfigError, NotFoundError


def push(
    paths: PathsArgument = None,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="TESTLYTICS_URL",
            metavar="URL",
            help="The service, such as https://testlytics.example.com.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar="TESTLYTICS_TOKEN_FILE",
            metavar="FILE",
            help="Holds the token. [default: what TESTLYTICS_TOKEN holds]",
            show_default=False,
        ),
    ] = None,
    id_token: Annotated[
        bool,
        typer.Option(
            "--id-token",
            help="Where no token is given: show what GitHub Actions signs for this job.",
        ),
    ] = False,
    audience: Annotated[
        str | None,
        typer.Option(
            envvar="TESTLYTICS_AUDIENCE",
            metavar="TEXT",
            help="Whom the job's ID token is for. [default: the address of --url]",
            show_default=False,
        ),
    ] = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    variant: VariantOption = None,
    run_id: RunIdOption = None,
    run_attempt: RunAttemptOption = None,
    shard: ShardOption = None,
    commit: CommitOption = None,
    pull_request: PullRequestOption = None,
    outbox: Annotated[
        Path | None,
        typer.Option(
            envvar="TESTLYTICS_OUTBOX",
            metavar="PATH",
            help="The folder where files wait. [default: .testlytics/outbox at the project's root]",
            show_default=False,
        ),
    ] = None,
    within: Annotated[
        float,
        typer.Option(
            envvar="TESTLYTICS_PUSH_WITHIN",
            min=1,
            max=86_400,
            metavar="SECONDS",
            help="How long to send; what is left then waits for the next push.",
        ),
    ] = 60.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 3 where a file could not be brought now.")
    ] = False,
    plain_http: Annotated[
        bool,
        typer.Option("--plain-http", help="Send the token over http:// beyond this machine."),
    ] = False,
    format_: AnswerOption = Format.TABLE,
) -> None:
    """Bring test results to a service: run files of the pytest plugin, JUnit XML of any tool.

    While the service is away or busy, files wait in the outbox, a warning says so, and the exit
    code is 0; the next push brings them. The same file twice changes nothing. What the service
    refuses is an error at once.
    """
    from testlytics.push import address, identity
    from testlytics.push.delivery import Push
    from testlytics_collector.ingest import Stated, find

    check_answer("push", format_)
    if url is None:
        raise ConfigError(
            "push needs --url, the address of a service.",
            slug="push-url",
            hint="TESTLYTICS_URL is the same; testlytics ingest keeps results here.",
        )
    token = address.read_token(token_file) if token_file else os.environ.get("TESTLYTICS_TOKEN")
    asks = id_token and not token
    service = address.service(url, token or None, plain_http=plain_http, is_shown=asks)
    who = identity.of_job(os.environ, audience or service.address) if asks else None
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
    found = find(paths or own_run_files())
    lost = missing(found)
    with progress(len(found.paths), "push") as step:
        one = Push(service, outbox or _own_outbox(), within_s=within, identity=who)
        pushed = one.bring(found.paths, stated, on_file=lambda _: step())
    say_empty(found)
    results = [*lost, *pushed.files]
    told = [*pushed.earlier, *results]
    if not told and not pushed.waiting:
        raise NotFoundError(
            "There is nothing to push.",
            slug="nothing-to-push",
            hint="Make results with: pytest --testlytics, or give JUnit XML files.",
        )
    if format_ is Format.JSON:
        lists = {"files": results, "earlier": pushed.earlier}
        write(as_json(lists, waiting=pushed.waiting))
    elif told:
        write(as_lines(told))
    for note in pushed.notes:
        _errors.say(f"testlytics: {note}")
    if pushed.is_misused:
        raise typer.Exit(_errors.USAGE)
    # An earlier file is another job's: it turns this one red only where that was asked for.
    refused = any(one.status == "refused" for one in (told if strict else results))
    if refused or (strict and pushed.is_late):
        raise typer.Exit(_errors.FAILED)


def _own_outbox() -> Path:
    folder = project_root() / FOLDER / "outbox"
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
