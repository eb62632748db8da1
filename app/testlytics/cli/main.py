"""The command `testlytics`: its commands, and where the defaults of their options come from."""

from __future__ import annotations

import os
import sys
import threading
from typing import Annotated, NoReturn

import typer

import testlytics
from testlytics.cli import _errors
from testlytics.cli._commands import HELP_OPTIONS, LazyGroup, OptionNames, defaults
from testlytics.config import settings

app = typer.Typer(
    name="testlytics",
    cls=LazyGroup,
    help="Tell which tests are flaky, broken, slow or getting slower, from one local file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP_OPTIONS,
)


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
    commands = context.command.commands  # type: ignore[attr-defined]
    context.default_map = {
        name: defaults(
            commands[name],
            {("format_" if key == "format" else key): value for key, value in options.items()},
        )
        for name, options in settings(OptionNames(commands)).items()
    }


def main() -> None:
    """Run the command line."""
    _errors.guarded(app)


def run() -> NoReturn:
    """Run the command line and leave at once; the entry point.

    All files are closed by then. To take every module apart as well, as the interpreter does at its
    end, takes as long as many a command.
    """
    # Our matrices are small: threads for them wait for each other longer than they work.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        main()
    except SystemExit as ended:
        if not isinstance(ended.code, int) or threading.active_count() > 1 or _is_watched():
            raise
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except (AttributeError, OSError):  # no stream, or one that takes no more
            raise ended from None
        os._exit(ended.code)
    raise SystemExit


def _is_watched() -> bool:
    """Tell whether somebody writes down at the end what was run."""
    return sys.gettrace() is not None or sys.getprofile() is not None or "coverage" in sys.modules
