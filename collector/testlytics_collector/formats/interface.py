"""What a reader is given and what it gives back.

Imports only records and errors. A reader is a function with the signature of `Read`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, NamedTuple, Protocol

from testlytics_collector.records import Attempt, Counts, Measurement, Problem, Upload


class Sink(Protocol):
    """Where a reader puts attempts, in document order.

    What was written counts only once the reader has returned: when it raises, all of it is
    discarded. A reader writes batches of a few thousand, so that memory stays flat.
    """

    def begin(self, project: str) -> None:
        """Say which project the input names, before the first attempts; only if it names one."""

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Take the next attempts."""


class Messages(StrEnum):
    """What is kept of failure messages and texts: all, a digest that tells equal ones, nothing."""

    KEEP = "keep"
    HASH = "hash"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is taken from one input.

    Attributes:
        message_chars: Longest failure message kept, in characters; the middle is cut out.
        text_chars: Longest failure text kept, in characters; the middle is cut out.
        size: Largest input that is read, decompressed, in bytes.
        batch: How many attempts go to the sink at once.
        depth: How deep elements may nest.
        problems: How many problems are kept; the rest is counted in one last problem.
        repair: Whether a document that is not well-formed for control characters inside it, or
            for text before or after it, is read all the same, and the repair told as a problem.
            False refuses it.
        messages: What is kept of failure messages and texts; type and place are kept always.
    """

    message_chars: int = 2_000
    text_chars: int = 8_000
    size: int = 2 << 30
    batch: int = 10_000
    depth: int = 1_000
    problems: int = 50
    repair: bool = False
    messages: Messages = Messages.KEEP


class Origin(NamedTuple):
    """Where an input comes from, beside its bytes.

    Attributes:
        digest: BLAKE2b-256 of the decompressed bytes, hexadecimal. Names an upload without a name.
        name: The input's path as the caller gave it (`-` for standard input), for dialects that
            speak through file names.
    """

    digest: str
    name: str


class Reading(NamedTuple):
    """What one input held, beside the attempts that went to the sink.

    Attributes:
        upload: Where the results come from.
        counts: How many of what.
        problems: What a person should know of, in the order found.
        measurements: What was measured, in document order; few enough to be held.
    """

    upload: Upload
    counts: Counts
    problems: tuple[Problem, ...]
    measurements: tuple[Measurement, ...] = ()


Read = Callable[[BinaryIO, Sink, Origin, Limits], Reading]
"""Reads one input from its first byte to its last.

Raises:
    InputError: The input is not (wholly) of this format. Names line and column where known. The
        attempts written so far must be discarded by the caller.
"""
