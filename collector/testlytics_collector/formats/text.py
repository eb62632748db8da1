"""Texts from untrusted inputs: bounded, and safe to show."""

from __future__ import annotations


def bounded(text: str | None, limit: int) -> str | None:
    """Cut the middle out of a text that is too long; its head and its tail say the most.

    Args:
        text: Any text, or None.
        limit: The longest result, in characters; at least 100.

    Returns:
        The text itself where it fits (None stays None), else head, a mark that says how many
        characters are missing, and tail.
    """
    if text is None or len(text) <= limit:
        return text
    tail = limit // 3
    head = limit - tail - 50  # the mark takes fewer than 50 characters
    return f"{text[:head]}\n[... {len(text) - head - tail} characters left out ...]\n{text[-tail:]}"


def printable(value: object) -> str:
    """Write an untrusted value so that it fits into one line of a message.

    Args:
        value: Anything; bytes are shown as text where they are ASCII.

    Returns:
        Printable ASCII, at most 80 characters.
    """
    if isinstance(value, bytes):
        value = value.decode("ascii", "backslashreplace")
    shown = value if isinstance(value, str) else repr(value)
    shown = shown.encode("unicode_escape").decode("ascii") if not shown.isprintable() else shown
    return shown if len(shown) <= 80 else shown[:77] + "..."
