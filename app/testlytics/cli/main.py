"""The command `testlytics`: its commands, and where the defaults of their options come from."""

from __future__ import annotations

from typing import Annotated

import typer

import testlytics
from testlytics.cli import (
    _errors,
    doctor,
    export,
    failures,
    ingest,
    merge,
    prune,
    purge,
    report,
    runs,
    sql,
    tests,
)
from testlytics.config import settings

app = typer.Typer(
    name="testlytics",
    help="Tell which tests are flaky, broken, slow or getting slower, from one local file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
app.command(short_help="Read test results and keep them.")(ingest.ingest)
app.command(short_help="Write runs: JUnit XML, tables, a run archive.")(export.export)
app.command(short_help="Take in run archives and other stores.")(merge.merge)
app.command(short_help="Tell which tests are flaky, broken, slow or slower.")(report.report)
app.command("runs", short_help="List runs.")(runs.list_runs)
app.command("tests", short_help="List tests and how often they fail.")(tests.list_cases)
app.command("failures", short_help="List failures and what they said.")(failures.list_failures)
app.command(short_help="Ask the store in SQL.")(sql.sql)
app.command(short_help="Remove old runs, keep what they count for.")(prune.prune)
app.command(short_help="Remove for good what should not be kept.")(purge.purge)
app.command(short_help="Look whether a store is sound, and put it right.")(doctor.doctor)


def _version(*, asked: bool) -> None:
    if asked:
        print(f"testlytics {testlytics.__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _defaults(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _version(asked=value),
            is_eager=True,
            help="Show the version and leave.",
        ),
    ] = False,
) -> None:
    """Take the defaults of options from [tool.testlytics] in pyproject.toml."""
    group = typer.main.get_command(app)
    known = {
        name: frozenset(option.name.rstrip("_") for option in command.params if option.name)
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }
    context.default_map = {
        name: {("format_" if key == "format" else key): value for key, value in options.items()}
        for name, options in settings(known).items()
    }


def main() -> None:
    """Run the command line; the entry point."""
    _errors.guarded(app)
