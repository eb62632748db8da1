"""`testlytics init`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from testlytics.cli._output import write


class Provider(StrEnum):
    """Where the tests run; as `starting.PROVIDERS`, which help need not load."""

    GITHUB = "github"
    GITLAB = "gitlab"
    BUILDKITE = "buildkite"
    JENKINS = "jenkins"
    AZURE = "azure"
    CIRCLECI = "circleci"


def init(
    ci: Annotated[
        Provider | None,
        typer.Option(help="Where the tests run. [default: what the files here say]"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")
    ] = False,
) -> None:
    """Write a workflow for the CI, and what belongs into pyproject.toml and .gitignore.

    Nothing that is there is changed: files are made, or lines added to their end.
    """
    from testlytics import starting
    from testlytics.config import project_root
    from testlytics.report.render import visible

    root = project_root()
    provider = ci.value if ci is not None else starting.provider_of(root)
    for planned in starting.plan(root, provider):
        name = visible(planned.path)
        if planned.left is not None:
            write(f"left      {name} {planned.left}\n")
            if dry_run:
                write(_indented(planned.text))
        elif dry_run:
            write(f"would {'make' if planned.is_new else 'add to'}  {name}\n")
            write(_indented(planned.text))
        else:
            starting.write(root, planned)
            write(f"{'made' if planned.is_new else 'added to':<8}  {name}\n")
    write(_NEXT.format(provider=provider))


_NEXT = """
Next
  pip install testlytics pytest-testlytics
  pytest --testlytics; testlytics ingest; testlytics report
  Look at the new lines, commit them, and push. The gate blocks nothing before
  it has five runs of the base branch. What else can be set:
  https://github.com/testlytics/testlytics/tree/main/docs/how-to/ci/{provider}.md
"""


def _indented(text: str) -> str:
    return "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())
