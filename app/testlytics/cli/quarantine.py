"""`testlytics quarantine`."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testlytics.cli import _errors
from testlytics.cli._commands import HELP_OPTIONS
from testlytics.cli._options import (
    BranchOption,
    FormatOption,
    LimitOption,
    ProjectOption,
    RenamesFileOption,
    StoreOption,
    WaitOption,
    rows_shown,
    store_path,
    variant_pairs,
)
from testlytics.cli._output import Format
from testlytics.cli._reviewed import QuarantineFileOption, today
from testlytics.cli._show import show
from testlytics_collector.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from testlytics.quarantine import Looked
    from testlytics_collector.store.reader import Window

LastOption = Annotated[
    int, typer.Option(min=1, metavar="N", help="Only the newest N runs of each project.")
]

commands = typer.Typer(
    help="Look after the tests whose failures do not count for a while.\n\n"
    "The file lies in the repository, where changes of it are reviewed; pytest and the gate read "
    "it. No entry lasts longer than 30 days.",
    no_args_is_help=True,
    context_settings=HELP_OPTIONS,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@commands.command(short_help="Put a test into quarantine.")
def add(
    test: Annotated[str, typer.Argument(help="Its id; without its parameters, all of them.")],
    owner: Annotated[str, typer.Option(metavar="NAME", help="Who mends it.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it is here, one line.")],
    expires: Annotated[
        str,
        typer.Option(metavar="WHEN", help="When it counts again: 14d, or a date; 30 days at most."),
    ],
    issue: Annotated[
        str | None, typer.Option(metavar="LINK", help="Where it is spoken about.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="Only there; may be given several times."),
    ] = None,
    quarantine: QuarantineFileOption = None,
) -> None:
    """Put a test into quarantine: append an entry to the file, which is made where it is missing.

    What is in the file stays as it is. A test that is in it already is refused.
    """
    from testlytics.quarantine_file import Entry, add_entry, default_file

    day = today()
    entry = Entry(test, owner, reason, issue, day, _until(expires, day), variant_pairs(variant))
    path = quarantine or default_file()
    add_entry(path, entry, day)
    _errors.say(f"{path}: {test} is quarantined until {entry.expires}")


@commands.command("list", short_help="List the entries.")
def list_entries(
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    last: LastOption = 1000,
    quarantine: QuarantineFileOption = None,
    renames_file: RenamesFileOption = None,
    format_: FormatOption = Format.TABLE,
    wait: WaitOption = 10.0,
) -> None:
    """List the entries: days left, and what became of their tests since they are quarantined.

    Without `since` in an entry, since the earliest day on which it can have begun.
    """
    from testlytics import renames
    from testlytics.quarantine import listed
    from testlytics.quarantine_file import review_quarantine
    from testlytics.report.quarantine import entries_section

    reviewed = review_quarantine(quarantine, today())
    names = [one.test for one in reviewed.entries]
    window = _window(project, branch, last, renames.aliases(renames_file))
    looked = _look_if_there(store, window, names, wait)
    show(entries_section(listed(reviewed.entries, looked, today())), format_)
    for problem in reviewed.problems:
        _errors.say(f"testlytics: {problem}")


@commands.command(short_help="Say what in the file must be mended: 0 or 1.")
def check(
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    last: LastOption = 20,
    quarantine: QuarantineFileOption = None,
    format_: FormatOption = Format.TABLE,
    wait: WaitOption = 10.0,
) -> None:
    """Say what in the file must be mended: exit code 0, or 1 where there is something.

    That is an entry that is malformed or has expired, or whose test is in none of the newest runs.
    Without a store the tests are not looked for.
    """
    from testlytics.quarantine import checked
    from testlytics.quarantine_file import review_quarantine
    from testlytics.report.quarantine import findings_section

    reviewed = review_quarantine(quarantine, today())
    names = [one.test for one in reviewed.entries]
    looked = _look_if_there(store, _window(project, branch, last), names, wait)
    rows = checked(reviewed, looked, today())
    show(findings_section(rows), format_)
    if rows:
        raise typer.Exit(1)


@commands.command(short_help="Say how far a test is from being mended.")
def prove(
    test: Annotated[
        str | None,
        typer.Argument(help="Its id, or without parameters all. [default: what is quarantined]"),
    ] = None,
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    last: LastOption = 1000,
    limit: LimitOption = None,
    quarantine: QuarantineFileOption = None,
    renames_file: RenamesFileOption = None,
    format_: FormatOption = Format.TABLE,
    wait: WaitOption = 10.0,
) -> None:
    """Say how many passes in a row show that a test is mended, and how many it has.

    A test that fails in 5 % of its runs passes 59 in a row in less than one of 20 cases.
    """
    from testlytics import renames
    from testlytics.quarantine import look, proofs
    from testlytics.quarantine_file import read_quarantine
    from testlytics.report.quarantine import proofs_section

    names = [test] if test else [one.test for one in read_quarantine(quarantine, today())]
    where = store_path(store)
    window = _window(project, branch, last, renames.aliases(renames_file))
    rows = proofs(look(where, window, names, wait_s=wait), names, where)
    most = rows_shown(limit, format_)
    show(proofs_section(rows[:most], len(rows[most:]) if most else 0), format_)


@commands.command(short_help="Sum up which entries need somebody's eye.")
def review(
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    last: LastOption = 1000,
    quarantine: QuarantineFileOption = None,
    renames_file: RenamesFileOption = None,
    format_: FormatOption = Format.TABLE,
    wait: WaitOption = 10.0,
) -> None:
    """Sum up which entries need somebody's eye, once a week for instance.

    Those that have expired or will within 7 days, whose tests always pass, always fail or never
    run, and whose failures say what they never said before.
    """
    from testlytics import quarantine as told
    from testlytics import renames
    from testlytics.quarantine_file import read_quarantine
    from testlytics.report.quarantine import review_section

    entries = read_quarantine(quarantine, today())
    window = _window(project, branch, last, renames.aliases(renames_file))
    names = [one.test for one in entries]
    looked = told.look(store_path(store), window, names, wait_s=wait)
    show(review_section(told.review(entries, looked, today())), format_)


def _window(
    project: str | None,
    branch: str | None,
    last: int,
    aliases: tuple[tuple[str, str], ...] = (),
) -> Window:
    from testlytics_collector.store.reader import Window

    return Window(project=project, branch=branch, last=last, aliases=aliases)


def _look_if_there(
    store: Path | None, window: Window, names: list[str], wait_s: float
) -> Looked | None:
    """Ask the store; where there is none, or nothing in it, say so and go on without it."""
    from testlytics.quarantine import look

    if not names:
        return None
    try:
        return look(store_path(store), window, names, wait_s=wait_s)
    except NotFoundError as error:
        _errors.say(f"testlytics: {error.message} Tests were not looked for.")
        return None


def _until(text: str, today: date) -> date:
    days = re.fullmatch(r"(\d{1,3})\s*d", text.strip())
    try:
        return today + timedelta(days=int(days[1])) if days else date.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigError(
            f"--expires {text!r}: a number of days or a date was expected.",
            slug="quarantine-until",
            hint="For example: --expires 14d, or --expires 2026-12-01.",
        ) from error
