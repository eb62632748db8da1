"""What was told last: a small JSON file. Written after everything was delivered, wholly or not."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from testlytics.alerts.events import RULES
from testlytics_collector.errors import ConfigError, Error

SCHEMA = 1
_MOST_BYTES = 64 << 20


class Name(NamedTuple):
    """What an alert is about.

    Attributes:
        kind: A key of `events.RULES`.
        project: Namespace of the tests; empty where it is about no project.
        test_id: The test; None for the suite.
        variant: In canonical form; None for all.
    """

    kind: str
    project: str
    test_id: str | None
    variant: str | None


class Open(msgspec.Struct, frozen=True):
    """An alert that was told and is not over.

    Attributes:
        calm: Runs in a row that it has been calm for.
        values: What was told.
    """

    calm: int
    values: dict[str, Any]


class State(NamedTuple):
    """What was told last.

    Attributes:
        runs: The newest run that was looked at, by project.
        open: The alerts that are not over.
    """

    runs: Mapping[str, str]
    open: Mapping[Name, Open]


class _Entry(msgspec.Struct, frozen=True):
    kind: str
    project: str
    test_id: str | None
    variant: str | None
    calm: int
    values: dict[str, Any]


class _Document(msgspec.Struct, frozen=True):
    schema: int
    runs: dict[str, str]
    open: list[_Entry]


def read_state(path: Path) -> State | None:
    """Read the file; None where there is none yet.

    Raises:
        ConfigError: It is not what `save_state` writes.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _wrong(path, "it is too large")
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _wrong(path, str(error)) from error
    if document.schema != SCHEMA:
        raise _wrong(path, f"its schema is {document.schema}, not {SCHEMA}")
    known = [one for one in document.open if one.kind in RULES]
    return State(
        document.runs,
        {
            Name(one.kind, one.project, one.test_id, one.variant): Open(one.calm, one.values)
            for one in known
        },
    )


def save_state(path: Path, state: State) -> None:
    """Write the file, in the same order whatever came first.

    Raises:
        Error: It cannot be written.
    """
    order = sorted(state.open.items(), key=lambda one: json.dumps(one[0]))
    document = {
        "schema": SCHEMA,
        "runs": dict(sorted(state.runs.items())),
        "open": [
            {**name._asdict(), "calm": told.calm, "values": told.values} for name, told in order
        ],
    }
    part = path.absolute().with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise Error(
            f"Cannot write {path}: {error.strerror}.",
            slug="alerts-unwritable",
            hint="Choose another file with --state; what was told will be told again.",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _wrong(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is not what alerts has written: {why}.",
        slug="alerts-state",
        hint="Choose another file with --state, or remove it: then all is told again.",
    )
