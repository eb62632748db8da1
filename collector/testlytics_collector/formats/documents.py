"""Reading JSON documents into typed structures: what differs from the format is said by path."""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO, TypeVar

import msgspec

from testlytics_collector.errors import InputError
from testlytics_collector.formats.text import printable

LARGEST = 512 << 20
"""Largest document that is read at once, in bytes."""

_BOM = b"\xef\xbb\xbf"
_AT_BYTE = re.compile(r"\(byte (\d+)\)")
_PATH = re.compile(r"`(\$\S*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")

Kind = TypeVar("Kind")


def read(stream: BinaryIO, kind: type[Kind], what: str) -> Kind:
    """Read a document.

    Python's own writer writes NaN and Infinity, which are no JSON, and numbers can be too large:
    they are read, NaN as null and the others as infinite.

    Args:
        stream: The document from its first byte.
        kind: What it must be.
        what: Name of the format, for people.

    Raises:
        InputError: It is no JSON, or not of the format; says line, or path and value.
    """
    data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InputError(
            f"The {what} document is larger than {LARGEST >> 20} MiB.",
            slug="document-size",
            hint="Write it without the single values.",
        )
    return decode(data.removeprefix(_BOM), kind, what)


def decode(data: bytes, kind: type[Kind], what: str, line: int = 1) -> Kind:
    """Read a document that is held; see `read`.

    Args:
        data: The document.
        kind: What it must be.
        what: Name of the format, for people.
        line: The line it begins at.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        first = error
    try:
        value = json.loads(data, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise _no_json(data, first, what, line) from first
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise _differs(value, error, what, line) from error


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


def _no_json(data: bytes, error: Exception, what: str, line: int) -> InputError:
    at = _AT_BYTE.search(str(error))
    byte = int(at[1]) if at else len(data)
    return InputError(
        f"Not {what}: no JSON, {printable(str(error))}.",
        slug="document-json",
        hint="The file is cut off or was changed; let the tool write it again.",
        line=line + data.count(b"\n", 0, byte),
    )


def _differs(document: object, error: Exception, what: str, line: int) -> InputError:
    text = str(error)
    found = _PATH.search(text)
    value = _value_at(document, found[1]) if found else ""
    return InputError(
        f"Not {what}: {printable(text)}{value}.",
        slug="document-shape",
        hint="See docs/how-to/measurements.md for the formats that are read.",
        line=line if line > 1 else None,
    )


def _value_at(value: Any, path: str) -> str:  # noqa: ANN401 - any JSON
    """Show the value at a path; nothing where the path names no single one, or no plain one."""
    if "[...]" in path:
        return ""
    for key, index in _STEP.findall(path):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and index and int(index) < len(value):
            value = value[int(index)]
        else:
            return ""
    return "" if isinstance(value, dict | list) else f", where {printable(value)} stands"
