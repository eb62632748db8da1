"""Strings that every JSON reader accepts, of bounded length, without credentials."""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring_ascii as quote
from typing import Any

__all__ = ["clean", "dump", "mask_arguments", "quote", "shorten", "strip_credentials", "to_text"]

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_SECRET_OPTION = re.compile(
    r"^-{1,2}[\w.-]*(?:token|password|passwd|secret|api-?key|credential)[\w.-]*$", re.IGNORECASE
)


def clean(text: str) -> str:
    """Return the text without what some JSON readers refuse.

    Args:
        text: Any string, also one with lone surrogates or NUL.

    Returns:
        The same text with surrogate pairs joined, and each lone surrogate and NUL replaced by
        U+FFFD.
    """
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def to_text(value: object) -> str:
    """Return `str(value)`, cleaned; a fixed text where the object cannot say what it is."""
    try:
        return clean(str(value))
    except Exception:
        return f"<unprintable {type(value).__name__}>"


def shorten(text: str, limit: int) -> str:
    """Cut the middle out of a text.

    Args:
        text: Any text.
        limit: Longest result in characters, at least 1.

    Returns:
        The text itself where it fits, else its beginning and its end around `…`.
    """
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return text[: limit - 1 - tail] + "…" + (text[-tail:] if tail else "")


def strip_credentials(text: str) -> str:
    """Remove `user:password@` from every URL in a text."""
    return _CREDENTIALS.sub("", text)


def mask_arguments(arguments: list[str]) -> list[str]:
    """Make command line arguments fit to be kept.

    Args:
        arguments: As they were given to pytest.

    Returns:
        The same arguments without credentials in URLs, with `***` for the value of each option
        whose name speaks of a token, password, secret, key or credential.
    """
    masked = []
    hide_next = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        secret = bool(_SECRET_OPTION.match(name))
        if hide_next and not argument.startswith("-"):
            masked.append("***")
        elif secret and equals:
            masked.append(f"{name}=***")
        else:
            masked.append(clean(strip_credentials(argument)))
        hide_next = secret and not equals
    return masked


def dump(record: dict[str, Any]) -> bytes:
    """Write one record as a line of valid UTF-8 JSON, whatever it holds."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=to_text)
    return clean(text).encode("utf-8") + b"\n"
