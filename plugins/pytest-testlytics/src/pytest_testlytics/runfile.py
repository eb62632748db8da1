"""The run file: opened once, one write per line, slots that are overwritten in place.

Nothing here knows pytest. After the first failure nothing more is written, and nothing is raised.
"""

from __future__ import annotations

import json
import os
import weakref
from typing import Callable, Optional

from pytest_testlytics.text import clean, quote

SLOT_BYTES = 2_048
MOST_ID_BYTES = SLOT_BYTES - 160

PWRITE: Optional[Callable[[int, bytes, int], int]] = getattr(os, "pwrite", None)
_write = os.write
_open_files: "weakref.WeakSet[RunFile]" = weakref.WeakSet()


def _forget_in_child() -> None:
    for run_file in list(_open_files):
        run_file.fd = None


if hasattr(os, "register_at_fork"):
    # Weak: whatever is reachable from here lives until the interpreter ends.
    os.register_at_fork(after_in_child=_forget_in_child)


class Slot:
    """A line that says what one worker is running.

    Attributes:
        offset: Where it begins in the file.
        shown: Length of its text; the rest of the line is spaces.
    """

    __slots__ = ("head", "offset", "shown")

    def __init__(self, offset: int, worker: str | None) -> None:
        who = "null" if worker is None else quote(clean(worker))
        self.head = f'{{"type":"running","worker":{who},"test_id":'
        self.offset = offset
        self.shown = 0

    def idle_text(self, done: int) -> str:
        """Say that nothing runs.

        Args:
            done: Attempts of this worker that are complete.
        """
        return f'{self.head}null,"started_us":null,"done":{done}}}'


class RunFile:
    """An open run file.

    Attributes:
        path: Where it is.
        fd: The file descriptor; None when closed, broken, or in a forked child.
        trouble: Why writing stopped, one line; None as long as all is well.
    """

    def __init__(self, path: str, *, overwrite: bool) -> None:
        """Create the file.

        Args:
            path: Where; the folder must exist.
            overwrite: Empty an existing file instead of refusing it.

        Raises:
            OSError: The file cannot be created.
        """
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        flags |= os.O_TRUNC if overwrite else os.O_EXCL
        self.path = path
        self.trouble: str | None = None
        self.fd: int | None = _move_high(os.open(path, flags, 0o644))
        self._slots: list[Slot] = []
        _open_files.add(self)

    def append(self, line: bytes, written: int = 0) -> None:
        """Write one whole line at the end.

        Args:
            line: With its newline.
            written: How much of it is there already.
        """
        if self.fd is None:
            return
        try:
            while written < len(line):
                written += _write(self.fd, line[written:])
        except OSError as error:
            self.give_up(_reason(error), torn=written)

    def add_slot(self, worker: str | None) -> Slot:
        """Append the slot of a worker; nothing runs there yet.

        Slots are aligned, so that none spans two pages and a process that is killed leaves either
        the old or the new text.
        """
        end = os.lseek(self.fd, 0, os.SEEK_CUR) if self.fd is not None else 0
        padding = -end % SLOT_BYTES
        slot = Slot(end + padding, worker)
        text = slot.idle_text(done=0)
        self.append(b" " * padding + text.encode("ascii").ljust(SLOT_BYTES - 1) + b"\n")
        slot.shown = len(text)
        self._slots.append(slot)
        return slot

    def show(self, slot: Slot, quoted_id: str, started_us: int, done: int) -> None:
        """Say in a slot which test runs.

        Args:
            slot: That of the worker.
            quoted_id: The test id as ASCII JSON.
            started_us: When it began, microseconds since the epoch.
            done: Attempts of this worker that were complete then.
        """
        if self.fd is None or PWRITE is None:
            return
        try:
            if len(quoted_id) > MOST_ID_BYTES:
                quoted_id = _cut_to_fit(quoted_id)
            text = f'{slot.head}{quoted_id},"started_us":{started_us},"done":{done}}}'
            PWRITE(self.fd, text.ljust(slot.shown).encode(), slot.offset)
            slot.shown = len(text)
        except OSError as error:
            self.give_up(_reason(error))

    def show_idle(self, slot: Slot, done: int) -> None:
        """Say in a slot that nothing runs.

        Args:
            slot: That of the worker.
            done: Attempts of this worker that are complete.
        """
        if self.fd is None or PWRITE is None:
            return
        try:
            PWRITE(self.fd, slot.idle_text(done).ljust(slot.shown).encode(), slot.offset)
        except OSError as error:
            self.give_up(_reason(error))

    def close(self) -> None:
        """Close the file; does nothing where that has happened."""
        fd, self.fd = self.fd, None
        if fd is not None:
            try:
                os.close(fd)
            except OSError as error:
                self.trouble = self.trouble or _reason(error)

    def fail(self, error: OSError) -> None:
        """Stop writing for good, for what the system said."""
        self.give_up(_reason(error))

    def give_up(self, reason: str, *, torn: int = 0) -> None:
        """Stop writing for good.

        Args:
            reason: Why, one line.
            torn: How many bytes at the end are a line that is not whole.
        """
        self.trouble = f"recording stopped: {reason}"
        fd, self.fd = self.fd, None
        if fd is None:
            return
        try:
            # What is kept ends with a whole line and names no test as running.
            os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR) - torn)
            for slot in self._slots:
                if PWRITE is not None:
                    PWRITE(fd, slot.idle_text(done=0).ljust(slot.shown).encode(), slot.offset)
            os.close(fd)
        except OSError:
            pass


def _cut_to_fit(quoted_id: str) -> str:
    """Cut the middle out of a long test id; return it with the key that says so."""
    test_id: str = json.loads(quoted_id)
    half = len(test_id) // 2
    while len(quoted_id) > MOST_ID_BYTES:
        half = half * 3 // 4
        quoted_id = quote(test_id[:half] + "…" + test_id[-half:])
    return f'{quoted_id},"cut":true'


def _move_high(fd: int) -> int:
    # A test that closes "all" descriptors and opens a file would get ours, were it a low one.
    try:
        from fcntl import F_DUPFD_CLOEXEC, fcntl
    except ImportError:
        return fd
    for lowest in (900, 200):
        try:
            high = fcntl(fd, F_DUPFD_CLOEXEC, lowest)
        except OSError:
            continue
        os.close(fd)
        return high
    return fd


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
