"""Where things are by default, and what `[tool.testlytics]` in pyproject.toml says."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from testlytics_collector.errors import ConfigError

FOLDER = ".testlytics"
STORE = "history.duckdb"
_ROOT_MARKS = (FOLDER, "pyproject.toml", ".git")


def project_root(start: Path | None = None) -> Path:
    """Return the folder of the project that `start` lies in.

    Args:
        start: A folder; the working folder where None.

    Returns:
        The nearest folder upwards with `.testlytics`, `pyproject.toml` or `.git` in it; `start`
        itself where there is none.
    """
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in _ROOT_MARKS):
            return folder
    return start


def default_store() -> Path:
    """Return the store's path where nobody names one, short where it is below the work folder."""
    path = project_root() / FOLDER / STORE
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def settings(known: Mapping[str, frozenset[str]]) -> dict[str, dict[str, object]]:
    """Read the defaults of options from the project's pyproject.toml.

    Args:
        known: Option names (with underscores) of each command.

    Returns:
        Values of options by command; `[tool.testlytics.<command>]` wins over `[tool.testlytics]`.
        Empty where there is no such file or table.

    Raises:
        ConfigError: The file is no TOML, or a key is not an option.
    """
    path = project_root() / "pyproject.toml"
    try:
        with path.open("rb") as stream:
            table = tomllib.load(stream).get("tool", {}).get("testlytics", {})
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", slug="config-unreadable") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: [tool.testlytics] is not a table.", slug="config-unreadable")
    if not table:  # to tell what a command knows, it must be built
        return {}
    shared: dict[str, object] = {}
    own: dict[str, dict[str, object]] = {}
    every = frozenset().union(*known.values())
    for key, value in table.items():
        if key in known and isinstance(value, dict):
            own[key] = _options(path, f"tool.testlytics.{key}", value, known[key])
        else:
            shared |= _options(path, "tool.testlytics", {key: value}, every)
    return {
        command: {k: v for k, v in shared.items() if k in names} | own.get(command, {})
        for command, names in known.items()
    }


def _options(
    path: Path, table: str, values: Mapping[str, object], known: frozenset[str]
) -> dict[str, object]:
    options = {key.replace("-", "_"): value for key, value in values.items()}
    for key in options:
        if key not in known:
            raise ConfigError(
                f"{path}: [{table}] has the unknown key {key!r}.",
                slug="config-unknown-key",
                hint=f"Known keys: {', '.join(sorted(known))}.",
            )
    return options
