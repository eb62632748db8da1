"""`testlytics explain`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from testlytics.cli import _errors, _output
from testlytics.cli._options import (
    BranchOption,
    ProjectOption,
    RenamesFileOption,
    SinceOption,
    StoreOption,
    VariantOption,
    WaitOption,
    instant_us,
    store_path,
    variant_pairs,
)
from testlytics.cli._reviewed import QuarantineFileOption, today
from testlytics.config import project_root


class ExplainFormat(StrEnum):
    """How the answer is written."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def explain(
    test: Annotated[
        str,
        typer.Argument(help="A test id, the end of one, or an id without parameters: all of them."),
    ],
    store: StoreOption = None,
    project: ProjectOption = None,
    branch: BranchOption = None,
    variant: VariantOption = None,
    since: SinceOption = None,
    last: Annotated[
        int, typer.Option(min=1, metavar="N", help="Only the newest N runs of each project.")
    ] = 100,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Variants of tests, the worst first, 0 for all. [default: 6; all in json]",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        ExplainFormat,
        typer.Option("--format", envvar="TESTLYTICS_FORMAT", help="How to write the answer."),
    ] = ExplainFormat.TABLE,
    bisect: Annotated[
        bool,
        typer.Option(
            "--bisect",
            help="Instead: a script for `git bisect run` that finds the commit which broke the "
            "test, else made it flaky, else slow.",
        ),
    ] = False,
    confidence: Annotated[
        float,
        typer.Option(min=0.5, max=0.9999, help="How sure the search for the commit shall be."),
    ] = 0.95,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the script to this file.")
    ] = None,
    quarantine: QuarantineFileOption = None,
    renames_file: RenamesFileOption = None,
    wait: WaitOption = 10.0,
) -> None:
    """Tell everything behind the verdict on one test, each variant apart.

    With --bisect of several variants that of the worst is looked into.
    """
    from testlytics import renames
    from testlytics.explain import explained, written
    from testlytics.owners import read_owners
    from testlytics.quarantine_file import read_quarantine
    from testlytics_collector.store.reader import Window

    day = today()
    window = Window(
        project=project,
        branch=branch,
        variant=variant_pairs(variant),
        since_us=instant_us(since),
        last=last,
        aliases=renames.aliases(renames_file),
    )
    most = limit if limit is not None else 0 if format_ is ExplainFormat.JSON else 6
    rows = explained.explain(
        store_path(store),
        window,
        test,
        owners=read_owners(project_root()),
        entries=read_quarantine(quarantine, day),
        today=day,
        limit=most or None,
        wait_s=wait,
    )
    if bisect:
        _write_script(rows[0], confidence, output)
    elif format_ is ExplainFormat.JSON:
        _output.write(written.as_json(rows))
    elif format_ is ExplainFormat.MARKDOWN:
        _output.write(written.as_markdown(rows))
    else:
        _output.write(written.as_table(rows, width=_output.width(), colour=_output.colour()))


def _write_script(row: dict[str, Any], level: float, output: Path | None) -> None:
    """Write the script, and say on stderr how it is used."""
    from testlytics.explain import bisect
    from testlytics.report.sections import count

    found = bisect.search(row["variants"][0], level=level)
    file = "bisect.sh" if output is None else str(output)
    text = bisect.script(found, row["test_id"], folder=_below_repository(), file=file)
    if output is None:
        _output.write(text)
    else:
        _output.save(output, text.encode("utf-8", "surrogateescape"))
    tries = count(found.repeats, "try", "tries")
    _errors.say(f"{row['test_id']}: since when it is {found.what}, {tries} a commit at most.")
    for line in (bisect.start_line(found), f"git bisect run sh {bisect.quoted(file)}"):
        _errors.say(line)


def _below_repository() -> str:
    """Return the project's root from that of the repository."""
    root = project_root()
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return root.relative_to(folder).as_posix()
    return "."
