"""The page of settings and environment variables, from the options of the commands themselves."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import typer

from testlytics.cli._commands import OptionNames
from testlytics.cli.main import app

HEAD = """\
# Settings and environment variables

For you if you want to set once what you would otherwise type each time.

## What wins

| | where | for |
|---|---|---|
| 1 | an option on the command line | this call |
| 2 | an environment variable | all calls that see it, such as those of a CI job |
| 3 | `[tool.testlytics.COMMAND]` in `pyproject.toml` | this command, and all commands below it |
| 4 | `[tool.testlytics]` | all commands that know the key |
| 5 | the default | |

The first that says something counts. `pyproject.toml` is that of the project's root: the nearest
folder upwards with `.testlytics`, `pyproject.toml` or `.git` in it. Only that one file is read. A
key that no command knows is an error (exit code 2, `config-unknown-key`), so a slip of the pen is
not passed over.

```toml
[tool.testlytics]
store = "ci/history.duckdb"

[tool.testlytics.gate]
block = ["new-failure", "flaky-new-failure"]
least-runs = 10
```

Keys are the names of the options, with `-` or `_`. Values: *text*, *number*, *flag* (`true` or
`false`), *list* (`["a", "b"]`); in an environment variable the parts of a list stand with spaces
between them, and an empty variable counts as none. A relative path is one from the folder in which
you call the command; for `quarantine` and `allowances`, where no option says them, from the
project's root. A pull request can change `pyproject.toml`: look at it in a review as you look at a
workflow.

The settings of the pytest plugin are pytest's: [plugin.md](plugin.md#settings).
"""
TAIL = """
Object stores take addresses and credentials from variables of their own, see
[archive.md](archive.md). The plugin reads what the CI says of itself, see
[plugin.md](plugin.md#what-it-finds-out).
"""
OTHERS = {
    "TESTLYTICS_TOKEN": "the token of `testlytics push`; no option takes it",
    "TESTLYTICS_WEBHOOK_SECRET": "signs what `testlytics alerts` sends; no option takes it",
    "TESTLYTICS_TRACEBACK": "`1` shows where an internal error happened",
    "TESTLYTICS": "switches the pytest plugin on (`1`), off (`0`), or on in a CI (`ci`)",
    "TESTLYTICS_DIR": "where the plugin puts run files",
    "TESTLYTICS_TAGS": "what the plugin adds to the variant",
    "TESTLYTICS_TREE": "the tree that was tested, for the plugin",
    "GITHUB_TOKEN": "writes the comment of `testlytics comment`",
    "GITHUB_REPOSITORY": "the repository that `testlytics comment` writes to",
    "GITHUB_API_URL": "the address of GitHub's API, where it is not github.com's",
    "GITHUB_ACTIONS": "`true` makes `testlytics gate` answer in the form `github`",
    "NO_COLOR": "no colours, whatever its value; so does `TERM=dumb`",
}
"""Variables that stand for no option, and what they do."""
PLUGIN = {"BRANCH", "COMMIT", "PR", "PROJECT", "QUARANTINE", "RUN_ATTEMPT", "RUN_ID", "SHARD"}
"""Variables (without their prefix) that the pytest plugin reads as well."""


class Setting(NamedTuple):
    """One option as a key.

    Attributes:
        key: Its name in pyproject.toml, as code; behind it the option, where that has another name.
        value: What kind of value it takes.
        default: As it is shown; empty where there is none, or where `meaning` says it.
        variable: Its environment variable; empty without one.
        meaning: What its help says.
    """

    key: str
    value: str
    default: str
    variable: str
    meaning: str


def _value(option: Any) -> str:  # noqa: ANN401 - Typer does not export their class
    if getattr(option, "is_flag", False):
        return "flag"
    if option.multiple or option.nargs == -1:
        return "list"
    kind = option.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return ", ".join(f"`{one.value}`" for one in kind)
    if kind not in {int, float}:
        return "text"
    low, high = (f"{bound:,}" if bound is not None else "" for bound in (option.min, option.max))
    if not low:
        return "number"
    return f"number, {low} to {high}" if high else f"number, {low} or more"


def _default(option: Any, meaning: str) -> tuple[str, str]:  # noqa: ANN401 - as above
    """Return the default as it is shown, and the meaning without it."""
    told = re.search(r" ?\[default: ([^\]]+)\]", meaning)
    if told:
        return told[1], meaning.replace(told[0], "")
    value = option.default
    if value is None or callable(value) or isinstance(value, bool | list | tuple):
        return "", meaning
    shown = value.value if isinstance(value, enum.Enum) else value
    return f"`{shown:g}`" if isinstance(shown, float) else f"`{shown}`", meaning


def _options(
    command: Any,  # noqa: ANN401 - as above
    name: str,
    known: frozenset[str],
) -> Iterator[tuple[Setting, str]]:
    for option in command.params:
        # What only commands two levels below a group know is no key.
        if option.name != "help" and option.name.rstrip("_") in known:
            default, meaning = _default(option, option.help or "")
            key = option.name.rstrip("_").replace("_", "-")
            typed = "" if f"--{key}" in option.opts else f" (`{option.opts[-1]}`)"
            typed = typed if typed.startswith(" (`-") else ""
            yield (
                Setting(f"`{key}`{typed}", _value(option), default, option.envvar or "", meaning),
                name,
            )
    for below, one in getattr(command, "commands", {}).items():
        yield from _options(one, f"{name} {below}", known)


def settings() -> dict[Setting, list[str]]:
    """Return all settings and the commands that know each, sorted by key."""
    root: Any = typer.main.get_command(app)
    found: dict[Setting, list[str]] = {}
    known = OptionNames(root.commands)
    for name, command in root.commands.items():
        for setting, where in _options(command, name, known[name]):
            found.setdefault(setting, []).append(where)
    return dict(sorted(found.items()))


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def page() -> str:
    """Return the page."""
    found = settings()
    keys = [
        f"| {one.key} | {one.value} | {_cell(one.default)} | {_cell(one.meaning)} "
        f"| {', '.join(f'`{name}`' for name in names)} |"
        for one, names in found.items()
    ]
    variables: dict[str, set[str]] = {}
    for one in found:
        if one.variable:
            variables.setdefault(one.variable, set()).add(one.key)
    told = OTHERS | {
        name: f"the key {' or '.join(sorted(given))}"
        + ("; the pytest plugin reads it too" if name.partition("_")[2] in PLUGIN else "")
        for name, given in variables.items()
    }
    return "\n".join(
        [
            HEAD,
            "## Keys",
            "",
            "| key | value | default | meaning | commands |",
            "|---|---|---|---|---|",
            *keys,
            "",
            "## Environment variables",
            "",
            "| variable | what it sets |",
            "|---|---|",
            *(f"| `{name}` | {told[name]} |" for name in sorted(told)),
            "",
            TAIL,
        ]
    )
