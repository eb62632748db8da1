"""Reading JSON values that may be anything."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

BLANK = object()
"""Stands for a line with nothing on it."""

_CHUNK = 1 << 18
_MARK = os.urandom(8).hex()
"""Stands between two lines; no file can hold it, so that lines never complete each other."""
_BETWEEN = f',"{_MARK}",'.encode()


def values_of(stream: BinaryIO, longest: int) -> Iterator[tuple[bytes, object]]:
    """Yield each line of JSON Lines and its value; the error where it is none, BLANK for no text.

    Many lines are read as one array, which takes a third less than one by one. Where one value and
    one mark do not take turns in it, some line is none, and they are read one by one.

    Args:
        stream: The lines.
        longest: How many bytes a line has at most; a longer one is cut, and so an error.
    """
    while chunk := stream.read(_CHUNK):
        if not chunk.endswith(b"\n"):
            chunk += stream.readline(longest)
        lines = chunk.removesuffix(b"\n").split(b"\n")
        try:
            values: list[object] = json.loads(b"[" + _BETWEEN.join(lines) + b"]")
        except (ValueError, RecursionError):
            values = []
        marks = len(lines) - 1
        takes_turns = len(values) == marks + len(lines) and values[1::2].count(_MARK) == marks
        yield from zip(lines, values[::2] if takes_turns else map(_value, lines), strict=True)


def _value(line: bytes) -> object:
    if not line.strip():
        return BLANK
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        return error
    return value


def object_of(value: object) -> dict[str, Any]:
    """Return an object, an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str | None:
    """Return a storable text: no lone surrogates and no NUL, which no database takes."""
    if not isinstance(value, str) or not value:
        return None
    if value.isascii():
        return value.replace("\0", "\ufffd")
    joined = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined.replace("\0", "\ufffd")


def strings_of(value: object) -> Iterator[tuple[str, str]]:
    """Give the pairs of an object of strings; what is none is passed over."""
    for key, text in object_of(value).items():
        name = text_of(key)
        if name and isinstance(text, str):
            yield name, text_of(text) or ""
