"""The file of one upload in the spool: what the stage holds of it, ready to be taken over.

A first line with the version; for each portion a line of JSON that says what follows, and the bytes
of its columns; a line of JSON with what else is known of the upload; a line with a checksum of all
that. To write and to read it needs neither DuckDB nor a second look at a row.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from testlytics_collector.store import stage
from testlytics_collector.store.columns import Column, Piece, Table

_FIRST = b"testlytics spool 2\n"
_CHUNK = 1 << 20
_MOST_LINE = 64 << 20


class Writer(stage.Gathering):
    """A sink that writes what it is given into a file.

    Args:
        file: Empty, open for writing.
        project: The project that the caller states, or None.
    """

    def __init__(self, file: BinaryIO, project: str | None) -> None:
        super().__init__(project)
        self._file = file
        self._sum = 0
        self._put(_FIRST)

    def _put(self, part: bytes) -> None:
        self._sum = zlib.crc32(part, self._sum)
        self._file.write(part)

    def _move(self, stage_: stage.Stage) -> None:
        portion = {
            name: [
                [piece.length, {key: list(map(len, value)) for key, value in piece.columns.items()}]
                for piece in table.pieces
            ]
            for name, table in stage_.tables.items()
        }
        parts = [
            part
            for table in stage_.tables.values()
            for piece in table.pieces
            for column in piece.columns.values()
            for part in column
        ]
        head = {"portion": portion, "bad": stage_.bad, "bytes": sum(map(len, parts))}
        self._put(json.dumps(head).encode() + b"\n")
        for part in parts:
            self._put(part)

    def finish(self, about: dict[str, Any]) -> None:
        """Write the rest, and what else is known."""
        self._settle()
        self._put(json.dumps({"about": about}).encode() + b"\n")
        self._file.write(b"%08x\n" % self._sum)


class Upload:
    """An upload in the spool, read to its end once to see that it is whole.

    Args:
        path: Its file.

    Attributes:
        about: What was known of it beside its attempts.

    Raises:
        ValueError: It is no such file, of another version, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._portions: list[tuple[int, dict[str, Any]]] = []
        with path.open("rb") as file:
            first = file.readline(len(_FIRST))
            if first != _FIRST:
                raise ValueError(f"it is not of the spool's version: it begins with {first!r}")
            self.about = self._walk(file, zlib.crc32(first))

    def _walk(self, file: BinaryIO, checksum: int) -> dict[str, Any]:
        while line := file.readline(_MOST_LINE):
            checksum = zlib.crc32(line, checksum)
            head = json.loads(line)
            if "about" in head:
                if file.read() != b"%08x\n" % checksum:
                    raise ValueError("its checksum differs")
                about: dict[str, Any] = head["about"]
                return about
            self._portions.append((file.tell(), head))
            left: int = head["bytes"]
            while left > 0:
                chunk = file.read(min(left, _CHUNK))
                if not chunk:
                    break
                checksum = zlib.crc32(chunk, checksum)
                left -= len(chunk)
        raise ValueError("it is cut short")

    def portions(self) -> Iterator[stage.Stage]:
        """Yield its attempts, as they were gathered."""
        with self._path.open("rb") as file:
            for start, head in self._portions:
                file.seek(start)
                tables = {
                    name: Table(
                        kinds, [_piece(file, *told) for told in head["portion"].get(name, [])]
                    )
                    for name, kinds in stage.TABLES.items()
                }
                yield stage.Stage(tables, head["bad"])


def _piece(file: BinaryIO, length: int, columns: dict[str, list[int]]) -> Piece:
    made = {name: Column(*(file.read(size) for size in sizes)) for name, sizes in columns.items()}
    return Piece(length, made)
