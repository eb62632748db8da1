"""Numbers that are seen first."""

from __future__ import annotations

from typing import NamedTuple


class Tile(NamedTuple):
    """A number.

    Attributes:
        label: What it counts.
        value: The number.
        note: What is to be known of it; may be empty.
        kind: bad, warn or good; empty where it is neither.
        href: Where more of it stands; empty for nowhere.
    """

    label: str
    value: str
    note: str = ""
    kind: str = ""
    href: str = ""
