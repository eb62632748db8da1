"""The commands, each made only when it is asked for: one call needs one of them.

Building them all takes longer than many a command itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

HELP_OPTIONS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 80}

_COMMANDS = {
    "ingest": ("ingest", "ingest", "Read test results and keep them."),
    "export": ("export", "export", "Write runs: JUnit XML, tables, a run archive."),
    "merge": ("merge", "merge", "Take in run archives and other stores."),
    "report": ("report", "report", "Tell which tests are flaky, broken, slow or slower."),
    "explain": ("explain", "explain", "Tell everything behind one verdict."),
    "gate": ("gate", "gate", "Say whether a run broke something: 0 or 1."),
    "comment": ("comment", "comment", "Tell it in a GitHub pull request."),
    "alerts": ("alerts", "alerts", "Tell once what became worse or better."),
    "quarantine": ("quarantine", "commands", "Look after tests whose failures do not count."),
    "runs": ("runs", "list_runs", "List runs."),
    "tests": ("tests", "list_cases", "List tests and how often they fail."),
    "failures": ("failures", "list_failures", "List failures and what they said."),
    "sql": ("sql", "sql", "Ask the store in SQL."),
    "serve": ("serve", "commands", "Serve the store over HTTP."),
    "push": ("push", "push", "Bring test results to a service."),
    "prune": ("prune", "prune", "Remove old runs, keep what they count for."),
    "purge": ("purge", "purge", "Remove for good what should not be kept."),
    "init": ("init", "init", "Begin: a workflow for the CI, and settings."),
    "doctor": ("doctor", "doctor", "Look whether a store is sound, and put it right."),
}
"""By name, in the order of the help: module below `testlytics.cli`, what is in it, short help."""


class Commands(MutableMapping[str, Any]):
    """The commands by name; built when they are taken out."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - Typer does not export their class
        if name not in self._made:
            module, function, short_help = _COMMANDS[name]
            made = getattr(import_module(f"testlytics.cli.{module}"), function)
            if not isinstance(made, typer.Typer):
                alone = typer.Typer(
                    add_completion=False,
                    pretty_exceptions_enable=False,
                    rich_markup_mode=None,
                    context_settings=HELP_OPTIONS,
                )
                alone.command(name, short_help=short_help)(made)
                made = alone
            command: Any = typer.main.get_command(made)
            command.name, command.short_help = name, short_help
            self._made[name] = command
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401 - as above
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class OptionNames(Mapping[str, frozenset[str]]):
    """Names of the options of each command; the commands are built when they are asked for."""

    def __init__(self, commands: Mapping[str, Any]) -> None:
        self._commands = commands

    def __getitem__(self, name: str) -> frozenset[str]:
        command = self._commands[name]
        parts = (command, *_below(command).values())
        return frozenset(
            option.name.rstrip("_") for part in parts for option in part.params if option.name
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


def defaults(command: Any, options: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Return the defaults of a command's options as Typer takes them: in a group for each below it.

    Args:
        command: The command, or the group.
        options: Values by name.
    """
    return options | {name: defaults(one, options) for name, one in _below(command).items()}


def _below(command: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as above
    found: Mapping[str, Any] = getattr(command, "commands", {})
    return found


class LazyGroup(TyperGroup):
    """The group of all commands."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - whatever Typer hands on
        super().__init__(**options)
        self.commands = Commands()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - Typer's signature
        """Return the names in the order of the help."""
        return list(self.commands)
