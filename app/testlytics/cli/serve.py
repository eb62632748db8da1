"""`testlytics serve`."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import typer

from testlytics.cli import _output
from testlytics.cli._commands import HELP_OPTIONS
from testlytics.cli._options import FormatOption, StoreOption, WaitOption, store_path
from testlytics.cli._output import Format
from testlytics.cli._show import show
from testlytics_collector.errors import ConfigError, NotFoundError

_LOOK: dict[str, Any] = {
    "context_settings": HELP_OPTIONS,
    "rich_markup_mode": None,
    "add_completion": False,
    "pretty_exceptions_enable": False,
}

commands = typer.Typer(
    help="Serve a store over HTTP: uploads from many machines, and questions.",
    invoke_without_command=True,
    **_LOOK,
)
tokens = typer.Typer(
    help="Make, list and revoke the tokens that the service asks for.",
    no_args_is_help=True,
    **_LOOK,
)
commands.add_typer(tokens, name="token", short_help="Make, list and revoke tokens.")


@commands.callback()
def serve(
    context: typer.Context,
    store: StoreOption = None,
    host: Annotated[
        str, typer.Option(envvar="TESTLYTICS_HOST", help="The address to listen at.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            envvar="TESTLYTICS_PORT", min=0, max=65_535, help="The port; 0 takes a free one."
        ),
    ] = 8321,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Take no uploads; others may write the store.")
    ] = False,
    max_body: Annotated[
        int, typer.Option(min=1, metavar="MIB", help="Largest upload, as it is sent.")
    ] = 64,
    max_size: Annotated[
        int, typer.Option(min=1, metavar="MIB", help="Largest upload, decompressed.")
    ] = 512,
    max_attempts: Annotated[
        int, typer.Option(min=1, metavar="N", help="Most attempts of tests in an upload.")
    ] = 1_000_000,
    rate: Annotated[
        float, typer.Option(min=0.1, metavar="N", help="Requests a second for each token.")
    ] = 50.0,
    burst: Annotated[
        int, typer.Option(min=1, metavar="N", help="Requests at once for each token.")
    ] = 200,
    oidc: Annotated[
        Path | None,
        typer.Option(
            envvar="TESTLYTICS_OIDC",
            metavar="FILE",
            help="Which CI jobs may come without a token of ours, in TOML.",
        ),
    ] = None,
    public: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PROJECT",
            help="Show the pages of a project to everybody; may be given several times.",
        ),
    ] = None,
    wait: WaitOption = 10.0,
) -> None:
    """Serve a store over HTTP: uploads from many machines, and questions.

    Without tokens only this machine is answered. SIGTERM ends it: what was begun is answered, what
    was acknowledged is stored. It listens to HTTP; beyond this machine put TLS in front of it.
    """
    if context.invoked_subcommand is not None:
        return
    from testlytics.service.server import Settings, serve
    from testlytics.service.uploads import Bounds

    bounds = Bounds(body=max_body << 20, size=max_size << 20, attempts=max_attempts)
    path = store_path(store)
    shown = tuple(public or ())
    serve(Settings(path, host, port, read_only, bounds, rate, burst, wait, oidc, shown))


@tokens.command(short_help="Make a token and show it, once.")
def create(
    name: Annotated[str, typer.Argument(help="Its name, for lists and logs.")],
    store: StoreOption = None,
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help="The only project that it opens.")
    ] = None,
    all_projects: Annotated[
        bool, typer.Option("--all-projects", help="Instead: it opens all.")
    ] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="ingest, read or admin; may be given several times. [default: ingest]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a token and show it. It is kept nowhere but as a hash: copy it now."""
    from testlytics.service.tokens import create_token

    if (project is None) != all_projects:
        raise ConfigError(
            "A token opens one project, or all.",
            slug="token-which-project",
            hint="Give --project NAME, or --all-projects.",
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    secret = create_token(
        store_path(store), name, project=project, scopes=scope or ["ingest"], created=now
    )
    _output.write(f"{secret}\n")


@tokens.command(name="list", short_help="List the tokens.")
def list_tokens(store: StoreOption = None, format_: FormatOption = Format.TABLE) -> None:
    """List the tokens: names, projects and scopes, not the tokens themselves."""
    from testlytics.report.sections import Column, Section
    from testlytics.service.tokens import read_tokens

    found = read_tokens(store_path(store))
    if not found:
        raise NotFoundError(
            "There are no tokens.",
            slug="token-unknown",
            hint="Make one: testlytics serve token create NAME --project PROJECT",
        )
    names = ("name", "project", "scopes", "created")
    rows = [
        {"name": one.name, "project": one.project, "scopes": " ".join(one.scopes)}
        | {"created": one.created}
        for one in found
    ]
    whole = Column("project", lambda row: row["project"] or "all")
    columns = tuple(
        whole if name == "project" else Column(name, itemgetter(name)) for name in names
    )
    show(Section("tokens", "Tokens", rows, columns, "No tokens."), format_)


@tokens.command(short_help="Make a token worthless.")
def revoke(
    name: Annotated[str, typer.Argument(help="Its name.")], store: StoreOption = None
) -> None:
    """Make a token worthless, at once, also where the service runs."""
    from testlytics.service.tokens import revoke_token

    revoke_token(store_path(store), name)
