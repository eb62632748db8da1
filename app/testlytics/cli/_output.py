"""What goes to stdout, and progress on stderr."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from testlytics_collector.errors import unwritable


class Format(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def write(text: str) -> None:
    """Write data to stdout; what its encoding cannot hold is escaped."""
    write_bytes(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def write_bytes(data: bytes) -> bool:
    """Write data to stdout; a reader that has gone (`testlytics report | head`) is no error.

    Returns:
        Whether somebody still reads.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def save(path: Path, data: bytes, *, append: bool = False, option: str = "--output") -> None:
    """Write a file that an option names, or to its end.

    Raises:
        Error: It cannot be written.
    """
    try:
        with path.open("ab" if append else "wb") as file:
            file.write(data)
    except OSError as error:
        raise unwritable(path, error, option) from error


def write_all(texts: Iterable[str]) -> None:
    """Write data to stdout while it comes, for as long as somebody reads."""
    encoding = sys.stdout.encoding or "utf-8"
    for portion in _portions(texts):
        if not write_bytes(portion.encode(encoding, "backslashreplace")):
            return


def _portions(texts: Iterable[str]) -> Iterator[str]:
    held, size = [], 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size > 65_536:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)


def width() -> int:
    """Return the columns to write for: those of the terminal, 80 in a pipe."""
    if sys.stdout.isatty():
        return max(shutil.get_terminal_size((80, 24)).columns, 40)
    return 80


def colour() -> bool:
    """Tell whether stdout wants colours (https://no-color.org)."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[], None]]:
    """Show how far the work is, on a terminal only.

    Args:
        total: How many steps there are.
        what: What is being done, one word.

    Yields:
        A function to call after each step.
    """
    if not sys.stderr.isatty() or total < 2:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
