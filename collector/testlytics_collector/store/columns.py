"""Rows as columns in memory, laid out as Arrow does, so that DuckDB reads them where they lie.

Standard library only: to import what else makes such columns takes longer than to take in a run.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, cast

_CODES = {"integer": "i", "bigint": "q", "double": "d"}


class Column(NamedTuple):
    """One column of a piece.

    Attributes:
        valid: A bit for each row, the first the lowest, 1 where it has a value; empty where all
            have one.
        ends: Of texts: where each ends in `data`, in bytes, as 64-bit integers after a first 0;
            else empty.
        data: The values, one after the other.
    """

    valid: bytes
    ends: bytes
    data: bytes


class Piece(NamedTuple):
    """Some rows: how many, and their columns by name; a column that is not there is null."""

    length: int
    columns: dict[str, Column]


class Table:
    """Rows that come in pieces.

    Args:
        kinds: The DuckDB type of each column: integer, bigint, double or varchar.
        pieces: The rows, in order.
    """

    def __init__(self, kinds: Mapping[str, str], pieces: Sequence[Piece] = ()) -> None:
        self.kinds = kinds
        self.pieces = list(pieces)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return sum(piece.length for piece in self.pieces)

    @property
    def names(self) -> list[str]:
        """The columns that are there in any piece, in the order of `kinds`."""
        return [name for name in self.kinds if any(name in piece.columns for piece in self.pieces)]

    def add(self, columns: Mapping[str, Sequence[object]]) -> None:
        """Add rows, as columns of equal length; those that are not given are null.

        Raises:
            ValueError: The columns differ in length, or a text holds half a surrogate pair.
        """
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1:
            raise ValueError(f"Columns of different lengths: {sorted(lengths)}.")
        made = {name: column(self.kinds[name], values) for name, values in columns.items()}
        self.pieces.append(Piece(lengths.pop(), made))


def column(kind: str, values: Sequence[object]) -> Column:
    """Lay out values of one type; None is null."""
    valid = b""
    if None in values:
        valid = _bits(values)
        blank: object = "" if kind == "varchar" else 0
        values = [blank if value is None else value for value in values]
    if kind == "varchar":
        return Column(valid, *_texts(cast("Sequence[str]", values)))
    return Column(valid, b"", array(_CODES[kind], cast("Sequence[int]", values)).tobytes())


def _texts(values: Sequence[str]) -> tuple[bytes, bytes]:
    joined = "".join(values)
    data = joined.encode()
    if len(data) == len(joined):
        lengths = list(map(len, values))
    else:
        lengths = [len(value.encode()) for value in values]
    return array("q", list(accumulate(lengths, initial=0))).tobytes(), data


def _bits(values: Sequence[object]) -> bytes:
    digits = "".join(["0" if value is None else "1" for value in reversed(values)])
    return int(digits, 2).to_bytes((len(values) + 7) // 8, "little")
