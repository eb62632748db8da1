"""What `testlytics tests --renames` does."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from testlytics.cli import _errors
from testlytics.cli._output import Format
from testlytics.cli._show import show
from testlytics_collector.errors import ConfigError

if TYPE_CHECKING:
    from testlytics_collector.store.reader import Window


def propose(
    store: Path,
    window: Window,
    path: Path,
    *,
    min_score: float,
    write: bool,
    check: bool,
    limit: int | None,
    form: Format,
    wait_s: float,
) -> None:
    """Show which tests may have a new name, and take the likely ones into the file."""
    from testlytics import renames
    from testlytics.report.lists import renames_section

    known = renames.read_renames(path)
    found = renames.propose_renames(store, window, known, wait_s=wait_s)
    likely = [one for one in found if one.score >= min_score]
    rows = [asdict(one) for one in found[:limit]]
    show(renames_section(rows, len(found) - len(rows)), form)
    if write:
        added = renames.add_renames(path, likely)
        _errors.say(f"{path}: {added} renames added")
    elif check and likely:
        _errors.say(
            f"{path} lacks {len(likely)} likely renames. Add them with: "
            "testlytics tests --renames --write"
        )
        raise typer.Exit(1)


def refuse_alone(*, write: bool, check: bool) -> None:
    """Refuse options that only go with --renames.

    Raises:
        ConfigError: One was given.
    """
    if write or check:
        raise ConfigError("--write and --check go with --renames.", slug="renames-alone")
