"""Keeping failure texts, and the people and secrets they name, out of the store."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import BinaryIO

from testlytics_collector.formats.interface import Limits, Messages, Origin, Read, Reading, Sink
from testlytics_collector.records import Attempt, Failure

_KIND = re.compile(r"[\w.$:<>\[\]-]{1,200}")


def discreet(read: Read, messages: Messages) -> Read:
    """Return a reader that passes on of failures only what may be kept.

    Args:
        read: Reads one input.
        messages: What may be kept.
    """
    if messages is Messages.KEEP:
        return read

    def silently(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:
        return read(stream, _Silent(sink, messages), origin, limits)

    return silently


class _Silent:
    def __init__(self, sink: Sink, messages: Messages) -> None:
        self._sink = sink
        self._messages = messages

    def begin(self, project: str) -> None:
        self._sink.begin(project)

    def write(self, attempts: Sequence[Attempt]) -> None:
        self._sink.write(
            [
                row if row.failure is None else row._replace(failure=self._silenced(row.failure))
                for row in attempts
            ]
        )

    def _silenced(self, why: Failure) -> Failure:
        # A free text stands where some tools should name a type.
        kind = why.type if why.type and _KIND.fullmatch(why.type) else None
        if self._messages is Messages.NONE or (why.message is None and why.text is None):
            return Failure(kind, None, None, why.place)
        content = repr((why.type, why.message, why.text)).encode()
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        return Failure(kind, f"blake2b:{digest}", None, why.place)
