"""Files of which one process at a time is in charge."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: the service takes what comes twice only once
    fcntl = None  # type: ignore[assignment]


def take(file: BinaryIO) -> bool:
    """Take charge of an open file, where nobody has. It ends with the process, however that ends.

    Returns:
        Whether it is ours now.
    """
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let nobody else into this block meanwhile; waits for those who are in it.

    Args:
        path: A file of its own, made where it is missing.
    """
    with path.open("ab") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
