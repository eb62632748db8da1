"""Refusals: every reason for which a document is not read, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.parsers import expat
from xml.parsers.expat import errors

from testlytics_collector.errors import InputError
from testlytics_collector.formats.text import printable

if TYPE_CHECKING:
    from testlytics_collector.formats.junit.parser import Handler

_CODES: dict[str, int] = errors.codes
_JUNK_AFTER = _CODES[errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]
_CUT_OFF = {
    _CODES[name]
    for name in (
        errors.XML_ERROR_NO_ELEMENTS,
        errors.XML_ERROR_UNCLOSED_TOKEN,
        errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        errors.XML_ERROR_PARTIAL_CHAR,
    )
}
_REPAIR = "Remove it, or read the file with --repair."
_SUITES = ("testsuites", "testsuite", "testcase")
_OTHERS = {
    "html": "an HTML page",
    "test-run": "NUnit's own format",
    "test-results": "NUnit's own format",
    "assemblies": "xUnit.net's own format",
    "TestRun": "a Visual Studio test result (TRX)",
    "robot": "Robot Framework's own format",
    "coverage": "a coverage report",
    "checkstyle": "a Checkstyle report",
    "testng-results": "TestNG's own format",
    "project": "a Maven project file",
    "testExecutions": "Sonar's generic format",
}


def not_well_formed(error: expat.ExpatError, handler: Handler, chunk: bytes) -> InputError:
    """Say where and why a document is not XML, and what may have happened to it."""
    line, column = error.lineno, error.offset + 1
    if handler.root is None and not chunk.strip():
        return InputError(
            "The document is empty.",
            slug="junit-empty",
            hint="The test runner died before it wrote its report, or wrote it elsewhere.",
        )
    reason = errors.messages[error.code]
    text = f"The document is not well-formed XML at line {line}, column {column}: {reason}."
    hint = "Check the tool that wrote it; nothing of this document was stored."
    if handler.closed:
        text = f"Something follows the document's end at line {line}, column {column}."
        hint = "One report a file; text after it " + _REPAIR.replace("Remove it", "must go")
    elif error.code in _CUT_OFF:
        inner = handler.innermost()
        where = f"inside <{printable(inner)}>" if inner else "before its first element is complete"
        text = f"The document ends at line {line}, column {column} {where}: it is cut off."
        hint = "The test runner was killed while writing, or the file was not copied completely."
    elif error.code == _CODES[errors.XML_ERROR_INVALID_TOKEN]:
        hint = f"A control character or a bare `<` or `&` stands there. {_REPAIR}"
    elif error.code in (
        _CODES[errors.XML_ERROR_BAD_CHAR_REF],
        _CODES[errors.XML_ERROR_MISPLACED_XML_PI],
    ):
        hint = _REPAIR
    return InputError(text, slug="junit-xml", hint=hint, line=line, column=column)


def not_text(error: UnicodeError) -> InputError:
    """Refuse characters that no text can hold."""
    return InputError(
        f"The document holds characters that are none: {printable(str(error))}.",
        slug="junit-encoding",
    )


def entity(line: int, column: int) -> InputError:
    """Refuse an entity declaration, which is how XML is made to explode or to read files."""
    return InputError(
        f"The document declares an entity at line {line}, column {column}; no report needs one.",
        slug="junit-entity",
        hint="Remove the declaration.",
        line=line,
        column=column,
    )


def too_long(most: int, line: int) -> InputError:
    """Refuse a tag that would fill the memory."""
    return InputError(
        f"A single tag at line {line} is longer than {most >> 20} MiB.",
        slug="junit-size",
        hint="Let the tool write shorter names and messages.",
        line=line,
    )


def too_deep(most: int, line: int, column: int) -> InputError:
    """Refuse elements that nest without end."""
    return InputError(
        f"Elements nest deeper than {most} levels at line {line}: this is no test report.",
        slug="junit-depth",
        hint="Check which tool wrote the file.",
        line=line,
        column=column,
    )


def too_many(what: str, most: int) -> InputError:
    """Refuse what no test report has so many of."""
    return InputError(
        f"The document has more than {most:,} {what}: this is no test report.",
        slug="junit-size",
        hint="Check which tool wrote the file.",
    )


def unless_junit(root: str | None, foreign: str | None, attempts: int) -> None:
    """Refuse a well-formed document that is something else.

    Args:
        root: Local name of its root.
        foreign: The first element that JUnit XML does not have, or None.
        attempts: How many attempts it holds.

    Raises:
        InputError: It has no testcase, and elements that JUnit XML does not have.
    """
    if attempts or (root in _SUITES and foreign is None):
        return
    named = f", {_OTHERS[root]}" if root in _OTHERS else ""
    raise InputError(
        f"The document is well-formed XML but no JUnit report: its root is <{printable(root)}>"
        f"{named}, it holds <{printable(foreign or root)}>, but no testcase.",
        slug="junit-foreign",
        hint="Let the tool write JUnit XML, or convert the file.",
        line=1,
        column=1,
    )
