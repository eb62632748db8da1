"""The reviewed file of quarantined tests, the same that the pytest plugin enforces."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

from testlytics.config import project_root
from testlytics.reviewed import (
    A_DAY,
    A_TEXT,
    A_VARIANT,
    Fields,
    Form,
    append,
    fits,
    read,
    read_strictly,
)
from testlytics_collector.errors import ConfigError

FILE = "quarantine.toml"
"""Its name, at the project's root."""

LONGEST_DAYS = 30
"""No entry lasts longer, in days."""

FORM = Form(
    table="quarantine",
    keys={
        "test": A_TEXT,
        "owner": A_TEXT,
        "reason": A_TEXT,
        "issue": A_TEXT,
        "since": A_DAY,
        "expires": A_DAY,
        "variant": A_VARIANT,
    },
    required=("test", "owner", "reason", "expires"),
    longest_days=LONGEST_DAYS,
    slug="quarantine-wrong",
)


class Entry(NamedTuple):
    """A quarantined test.

    Attributes:
        test: Its id, or the id without parameters: then all of them.
        owner: Who mends it.
        reason: Why it is here.
        issue: Where it is spoken about; None where nobody says.
        since: Its first day, UTC; None where nobody says.
        expires: The first day, UTC, on which it counts again.
        variant: It is quarantined where the variant has all of these; empty for everywhere.
    """

    test: str
    owner: str
    reason: str
    issue: str | None
    since: date | None
    expires: date
    variant: Mapping[str, str]

    def is_expired(self, today: date) -> bool:
        """Tell whether it has no effect any more on a day."""
        return self.expires <= today

    def fits(self, variant: str) -> bool:
        """Tell whether it speaks of a variant, given in canonical form."""
        return fits(self.variant, variant)


class Reviewed(NamedTuple):
    """What the file says.

    Attributes:
        entries: Those that can be used, expired ones too, in the file's order.
        problems: What is wrong with the others, a line each.
    """

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


def default_file() -> Path:
    """Return the path of the file where nobody names one."""
    return project_root() / FILE


def read_quarantine(given: Path | None, today: date) -> tuple[Entry, ...]:
    """Read a file in which nothing may be wrong.

    Args:
        given: The file that was asked for; the one at the project's root, if it is there, where
            None.
        today: The day, UTC.

    Raises:
        ConfigError: It is not there, or something in it is wrong.
    """
    path = given or default_file()
    found = read_strictly(path, FORM, today, needed=given is not None)
    return tuple(map(_entry, found))


def review_quarantine(given: Path | None, today: date) -> Reviewed:
    """Read a file, and say what is wrong with single entries; see `read_quarantine`.

    Raises:
        ConfigError: It is not there, or cannot be used at all.
    """
    path = given or default_file()
    written = read(path, FORM, today)
    if written is None:
        if given is not None:
            raise ConfigError(f"There is no file {path}.", slug="quarantine-wrong")
        return Reviewed((), ())
    return Reviewed(tuple(map(_entry, written.entries)), written.problems)


def add_entry(path: Path, entry: Entry, today: date) -> None:
    """Append an entry to the file, which is made where it is missing; what is in it stays.

    Raises:
        ConfigError: The test is in the file already, or something in it is or would be wrong.
        Error: The file cannot be written.
    """
    for one in map(_entry, read_strictly(path, FORM, today, needed=False)):
        if (one.test, one.variant) == (entry.test, entry.variant):
            until = "it expired on" if one.is_expired(today) else "it is quarantined until"
            raise ConfigError(
                f"{path} holds {entry.test!r} already: {until} {one.expires}.",
                slug="quarantine-there",
                hint="To keep it longer, change the entry and let that be reviewed.",
            )
    fields: Fields = {key: value for key, value in entry._asdict().items() if value}
    append(path, FORM, fields, today)


def _entry(fields: Fields) -> Entry:
    return Entry(
        fields["test"],
        fields["owner"],
        fields["reason"],
        fields.get("issue"),
        fields.get("since"),
        fields["expires"],
        fields.get("variant", {}),
    )
