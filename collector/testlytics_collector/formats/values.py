"""Reading JSON values that may be anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


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
