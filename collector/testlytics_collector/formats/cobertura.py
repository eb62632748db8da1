"""Reads Cobertura XML: lines and branches in percent, of each file and of all.

Classes of one file are taken together, by their lines. No entity is read, nothing is fetched.
"""

from __future__ import annotations

import re
from typing import BinaryIO
from xml.parsers import expat

from testlytics_collector.errors import InputError
from testlytics_collector.formats.coverage_json import TOTAL, add_share
from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.formats.junit.instants import instant_of
from testlytics_collector.formats.measured import Measurements, upload_of
from testlytics_collector.formats.text import printable

_CHUNK = 1 << 16
_MOST_FILES = 200_000
_MOST_LINES = 20_000_000
_HINT = "Give the XML that coverage xml, or another tool that speaks Cobertura, wrote."
_OF = re.compile(r"\((\d{1,9})/(\d{1,9})\)")

Lines = dict[int, tuple[bool, int, int]]
"""By number: whether it was hit, and how many of how many branches were."""


def read(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:  # noqa: ARG001
    """Read one report; see `interface.Read`."""
    parser = expat.ParserCreate()
    taken = Measurements(limits)
    found = _Report(parser, limits.depth)
    try:
        while chunk := stream.read(_CHUNK):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise _wrong(parser, f"not well-formed, {expat.ErrorString(error.code)}") from error
    except UnicodeError as error:
        raise _wrong(parser, "it is in no encoding that can be read") from error
    _take(taken, TOTAL, found.all_lines())
    for name, lines in found.files.items():
        _take(taken, name, [*lines.values()])
    instant = instant_of(found.root.get("timestamp", ""))
    version = found.root.get("version", "")
    producer = f"Cobertura {printable(version)}" if version else "Cobertura"
    return taken.reading(upload_of(origin, producer, instant.us if instant else None))


def _take(taken: Measurements, name: str, lines: list[tuple[bool, int, int]]) -> None:
    hit, covered, branches = (sum(one[at] for one in lines) for at in range(3))
    add_share(taken, name, "line-coverage", (hit, len(lines)), "lines")
    add_share(taken, name, "branch-coverage", (covered, branches), "branches")


def _wrong(parser: expat.XMLParserType, what: str) -> InputError:
    return InputError(
        f"Not Cobertura XML: {what}.",
        slug="cobertura",
        hint=_HINT,
        line=parser.CurrentLineNumber,
        column=parser.CurrentColumnNumber + 1,
    )


class _Report:
    """What the parser has met.

    Attributes:
        root: Attributes of the root.
        files: Lines by file, in document order.
    """

    def __init__(self, parser: expat.XMLParserType, depth: int) -> None:
        self.root: dict[str, str] = {}
        self.files: dict[str, Lines] = {}
        self._parser, self._depth = parser, depth
        self._path: list[str] = []
        self._lines: Lines | None = None
        self._count = 0
        parser.specified_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._refuse_entity

    def all_lines(self) -> list[tuple[bool, int, int]]:
        """Return the lines of all files."""
        return [line for lines in self.files.values() for line in lines.values()]

    def _refuse_entity(self, *_: object) -> None:
        raise _wrong(self._parser, "it declares entities")

    def _start(self, tag: str, attrs: dict[str, str]) -> None:
        if not self._path:
            if tag != "coverage":
                raise _wrong(self._parser, f"its root is {printable(tag)}")
            self.root = attrs
        self._path.append(tag)
        if len(self._path) > self._depth:
            raise _wrong(self._parser, f"elements nest deeper than {self._depth}")
        if tag == "class":
            self._open(attrs)
        # What stands in methods stands in the class again.
        elif tag == "line" and self._lines is not None and self._path[-3:-1] == ["class", "lines"]:
            self._line(self._lines, attrs)

    def _end(self, tag: str) -> None:
        self._path.pop()
        if tag == "class":
            self._lines = None

    def _open(self, attrs: dict[str, str]) -> None:
        name = attrs.get("filename") or attrs.get("name") or ""
        if not name:
            raise _wrong(self._parser, "a class has no filename")
        self._lines = self.files.setdefault(name.replace("\\", "/"), {})
        if len(self.files) > _MOST_FILES:
            raise _wrong(self._parser, f"it has more than {_MOST_FILES} files")

    def _line(self, lines: Lines, attrs: dict[str, str]) -> None:
        number, hits = attrs.get("number", ""), attrs.get("hits", "")
        if not _is_whole(number) or not _is_whole(hits):
            raise _wrong(self._parser, f"a line is {printable(number)} with {printable(hits)} hits")
        self._count += 1
        if self._count > _MOST_LINES:
            raise _wrong(self._parser, f"it has more than {_MOST_LINES} lines")
        told = _OF.search(attrs.get("condition-coverage", ""))
        covered, branches = (int(told[1]), int(told[2])) if told else (0, 0)
        was = lines.get(int(number), (False, 0, 0))
        hit = was[0] or int(hits) > 0
        lines[int(number)] = (hit, max(was[1], covered), max(was[2], branches))


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
