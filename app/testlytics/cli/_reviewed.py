"""Options that name reviewed files, and the day that their entries are held against."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from testlytics.config import project_root


def today() -> date:
    """Return the day, UTC."""
    return datetime.now(UTC).date()


def _from_root(
    context: typer.Context, param: typer.CallbackParam, value: Path | None
) -> Path | None:
    """Take what no command line says as relative to the project's root, as the plugin does."""
    if value is None or param.name is None:
        return None
    source = context.get_parameter_source(param.name)
    typed = source is not None and source.name == "COMMANDLINE"
    return value if typed else project_root() / value


QuarantineFileOption = Annotated[
    Path | None,
    typer.Option(
        "--quarantine",
        envvar="TESTLYTICS_QUARANTINE",
        metavar="FILE",
        callback=_from_root,
        help="The quarantined tests. [default: quarantine.toml at the project's root]",
        show_default=False,
    ),
]
AllowancesFileOption = Annotated[
    Path | None,
    typer.Option(
        "--allowances",
        envvar="TESTLYTICS_ALLOWANCES",
        metavar="FILE",
        callback=_from_root,
        help="What may be. [default: testlytics-allowances.toml at the project's root]",
        show_default=False,
    ),
]
