"""Options that several commands share, and the values people type."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from testlytics.cli._output import Format
from testlytics.config import default_store
from testlytics_collector.errors import ConfigError

StoreOption = Annotated[
    Path | None,
    typer.Option(
        envvar="TESTLYTICS_STORE",
        help="The store's file. [default: .testlytics/history.duckdb at the project's root]",
        show_default=False,
    ),
]
WaitOption = Annotated[
    float,
    typer.Option(
        envvar="TESTLYTICS_WAIT",
        min=0,
        max=86_400,
        metavar="SECONDS",
        help="How long to wait for others who use the store.",
    ),
]
FormatOption = Annotated[
    Format, typer.Option("--format", envvar="TESTLYTICS_FORMAT", help="How to write the answer.")
]
ProjectOption = Annotated[
    str | None,
    typer.Option(envvar="TESTLYTICS_PROJECT", metavar="NAME", help="Namespace of the tests."),
]
BranchOption = Annotated[
    str | None, typer.Option(envvar="TESTLYTICS_BRANCH", metavar="NAME", help="Name of the branch.")
]
VariantOption = Annotated[
    list[str] | None,
    typer.Option(
        envvar="TESTLYTICS_VARIANT",
        metavar="K=V",
        help="A way of running, such as os=linux; may be given several times.",
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Only runs since then: 2026-01-31, or an age like 30d."),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="Rows, 0 for all. [default: 50; all in json and csv]",
        show_default=False,
    ),
]
RenamesFileOption = Annotated[
    Path | None,
    typer.Option(
        envvar="TESTLYTICS_RENAMES_FILE",
        metavar="FILE",
        help="The renamed tests. [default: testlytics-renames.toml at the project's root]",
        show_default=False,
    ),
]


def rows_shown(limit: int | None, form: Format) -> int | None:
    """Return how many rows of a list are shown; None for all."""
    if limit is not None:
        return limit or None
    return None if form in {Format.JSON, Format.CSV} else 50


def store_path(given: Path | None) -> Path:
    """Return the store that is meant."""
    return given if given is not None else default_store()


def variant_pairs(texts: list[str] | None) -> dict[str, str]:
    """Read `key=value` texts.

    Raises:
        ConfigError: A text is not of that form, or a key comes twice.
    """
    pairs: dict[str, str] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or key.strip() in pairs:
            raise ConfigError(
                f"--variant {text!r}: key=value was expected, each key once.",
                slug="option-variant",
                hint="For example: --variant os=linux --variant python=3.12",
            )
        pairs[key.strip()] = value.strip()
    return pairs


def instant_us(
    text: str | None, now: datetime | None = None, *, option: str = "--since"
) -> int | None:
    """Read a point in time: a date, a date with time (UTC unless it says), or an age like `30d`.

    Returns:
        Microseconds since the epoch; None for None.

    Raises:
        ConfigError: The text is none of these.
    """
    if text is None:
        return None
    age = re.fullmatch(r"(\d{1,5})\s*([smhdw])", text.strip())
    try:
        if age:
            units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
            moment = (now or datetime.now(UTC)) - timedelta(**{units[age[2]]: int(age[1])})
        else:
            moment = datetime.fromisoformat(text.strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{option} {text!r}: a date or an age was expected.",
            slug="option-since",
            hint=f"For example: {option} 2026-01-31, or {option} 30d (s, m, h, d, w).",
        ) from error
