"""`testlytics alerts`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testlytics.cli import _errors, _output
from testlytics.cli._options import (
    BranchOption,
    ProjectOption,
    RenamesFileOption,
    StoreOption,
    VariantOption,
    WaitOption,
    store_path,
    variant_pairs,
)
from testlytics.cli._reviewed import QuarantineFileOption, today
from testlytics.config import project_root
from testlytics_collector.errors import ConfigError

if TYPE_CHECKING:
    from testlytics.alerts.events import Event

SECRET = "TESTLYTICS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable


class Target(StrEnum):
    """Where alerts go."""

    JSON = "json"
    GITHUB_ISSUE = "github-issue"
    WEBHOOK = "webhook"
    SLACK = "slack"


def alerts(
    to: Annotated[
        Target,
        typer.Option(
            "--to",
            envvar="TESTLYTICS_ALERTS_TO",
            help="json and github-issue (Markdown) are printed; webhook and slack go to --url.",
        ),
    ] = Target.JSON,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="TESTLYTICS_ALERTS_URL",
            metavar="URL",
            help="The address. TESTLYTICS_WEBHOOK_SECRET signs what goes there.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            envvar="TESTLYTICS_ALERTS_STATE",
            metavar="FILE",
            help="What was told last. [default: alerts.json beside the store]",
            show_default=False,
        ),
    ] = None,
    since_run: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Without such a file: what was so after this run counts as told."
        ),
    ] = None,
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    variant: VariantOption = None,
    last: Annotated[
        int, typer.Option(min=1, metavar="N", help="Only the newest N runs of each project.")
    ] = 100,
    quarantine: QuarantineFileOption = None,
    renames_file: RenamesFileOption = None,
    wait: WaitOption = 10.0,
) -> None:
    """Tell once that a test became flaky, broken, slower, fixed or faster.

    Also: that a quarantine expired, and that more than 5 % of the tests are tried again. What
    could not be delivered (exit code 3) is told by the next call.
    """
    from testlytics import renames
    from testlytics.alerts import events as formats
    from testlytics.alerts import tell
    from testlytics.owners import read_owners
    from testlytics.quarantine_file import read_quarantine
    from testlytics_collector.store.reader import Window

    sent_to = _address(to, url)
    path, day = store_path(store), today()
    window = Window(
        project=project,
        branch=branch,
        variant=variant_pairs(variant),
        last=last,
        aliases=renames.aliases(renames_file),
    )
    told = tell.alerts(
        path,
        window,
        state or path.with_name("alerts.json"),
        lambda found: _tell(found, to, sent_to),
        today=day,
        since_run=since_run,
        owners=read_owners(project_root()),
        entries=read_quarantine(quarantine, day),
        wait_s=wait,
    )
    if not told and to is Target.JSON:
        _output.write(formats.as_json([]))
    elif not told:
        _errors.say("Nothing new.")


def _address(to: Target, url: str | None) -> str:
    from testlytics.alerts.delivery import checked

    if to not in {Target.WEBHOOK, Target.SLACK}:
        return ""
    if not url:
        raise ConfigError(
            f"--to {to.value} without an address.",
            slug="alerts-url",
            hint="Give --url, or TESTLYTICS_ALERTS_URL.",
        )
    checked(url)
    return url


def _tell(events: Sequence[Event], to: Target, url: str) -> None:
    from testlytics.alerts import delivery, messages
    from testlytics.alerts.events import as_json

    if to is Target.JSON:
        _output.write(as_json(events))
    elif to is Target.GITHUB_ISSUE:
        _output.write(messages.as_issue(events))
    elif to is Target.SLACK:
        delivery.deliver(url, messages.as_slack(events).encode())
    else:
        secret = os.environ.get(SECRET) or None
        delivery.deliver(url, as_json(events).encode("utf-8", "backslashreplace"), secret=secret)
