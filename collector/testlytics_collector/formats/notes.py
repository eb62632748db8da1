"""What attempts say of themselves: bounded, without secrets, and what was left out is counted."""

from __future__ import annotations

from testlytics_collector.formats import redact
from testlytics_collector.formats.interface import Limits
from testlytics_collector.formats.text import bounded, printable
from testlytics_collector.records import Note, NoteKind

MOST_NOTES = 100
"""Notes of one attempt that are kept."""

LONGEST_NAME = 300
"""Characters of a note's name; longer ones are cut in the middle."""

_ATTACHMENTS = frozenset({"attachment", "attachments", "testrail_attachment"})


class Notebook:
    """Writes the notes of one input.

    Attributes:
        left_out: How many notes were too many for their attempt.
        redacted: How many values were taken for secrets.
    """

    __slots__ = ("_example", "_limits", "left_out", "redacted")

    def __init__(self, limits: Limits) -> None:
        self.left_out = 0
        self.redacted = 0
        self._example = ""
        self._limits = limits

    def add(self, notes: list[Note], kind: NoteKind, name: str, value: str) -> None:
        """Add one note to those of an attempt.

        Args:
            notes: Those so far.
            kind: What it is.
            name: Its name, of any length.
            value: Its value, of any length.
        """
        if len(notes) >= MOST_NOTES:
            self.left_out += 1
            return
        kept = redact.redacted(name, value)
        name = bounded(name, LONGEST_NAME) or ""
        if kept is not value:
            self.redacted += 1
            self._example = self._example or printable(name)
        notes.append(Note(kind, name, bounded(kept, self._limits.message_chars) or ""))

    def add_property(self, notes: list[Note], name: str, value: str) -> None:
        """Add a property, or the attachment that some tools write as one (`attachment:log`)."""
        plain, _, rest = name.partition(":")
        if plain.strip().lower() in _ATTACHMENTS:
            self.add(notes, NoteKind.ATTACHMENT, rest.strip(), value)
        else:
            self.add(notes, NoteKind.PROPERTY, name, value)

    def problems(self) -> list[str]:
        """Say what was left out and what was redacted."""
        told = []
        if self.redacted:
            told.append(
                f"Values that look like secrets are stored as {redact.REDACTED} "
                f"({self.redacted}; the first: {self._example})."
            )
        if self.left_out:
            told.append(
                f"An attempt keeps {MOST_NOTES} properties, attachments and tags; "
                f"{self.left_out} more are left out."
            )
        return told
