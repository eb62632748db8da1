"""Which format an input is of, told from its first bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module

from testlytics_collector.errors import InputError
from testlytics_collector.formats import junit, runfile
from testlytics_collector.formats.interface import Read
from testlytics_collector.formats.text import printable

_READERS = {
    "cobertura": "cobertura.read",
    "coverage-json": "coverage_json.read",
    "ctrf": "ctrf.read",
    "hyperfine": "benchmarks.read_hyperfine",
    "locust-csv": "locust.read_csv",
    "locust-json": "locust.read_json",
    "pytest-benchmark": "benchmarks.read_pytest",
    "pytest-json-report": "pytest_json.read",
    "pytest-reportlog": "reportlog.read",
}
"""Readers by format. They are imported when they are needed: most calls need none of them."""

_COBERTURA = re.compile(
    rb"(?>\s|<\?xml[^>]*>|<!DOCTYPE[^\[>]*(?:\[[^\]]*\]\s*)?>|<!--.*?-->|\xff\xfe|\xfe\xff)*+<coverage\s[^>]*line-rate",
    re.DOTALL,
)
_LOCUST = re.compile(rb'"?Type"?,"?Name"?,"?Request Count"?,"?Failure Count"?,')
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)\s*(:?)\s*(.?)|[{}\[\]]', re.DOTALL)
"""A string, also one that is cut off, with the colon and the sign behind it; or a bracket."""


def recognise(head: bytes) -> tuple[str, Read]:
    """Name the format of an input, and who reads it.

    Args:
        head: Its first few KB.

    Raises:
        InputError: It is empty, or of no known format.
    """
    if not head.strip(b" \t\r\n\0\xef\xbb\xbf"):
        raise InputError(
            "The file is empty.", slug="empty", hint="A run file or JUnit XML was expected."
        )
    plain = head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").lstrip()  # of UTF-16
    if runfile.looks_like(head):
        return _reader(_of_object(head))
    if plain[:1] == b"[" and b'"num_requests"' in head:
        return _reader("locust-json")
    if _LOCUST.match(plain):
        return _reader("locust-csv")
    if _COBERTURA.match(plain):
        return _reader("cobertura")
    if junit.looks_like(head):
        return _reader("junit")
    raise InputError(
        f"Neither a run file nor JUnit XML, nor what docs/how-to/measurements.md names; it begins "
        f"with: {printable(head[:40])}.",
        slug="unknown-format",
        hint="Give the files that pytest --testlytics, a reporter or a benchmark wrote.",
    )


def _reader(form: str) -> tuple[str, Read]:
    if form == "run-file":
        return form, runfile.read
    if form == "junit":
        return form, junit.read
    module, _, name = _READERS[form].partition(".")
    read: Read = getattr(import_module(f"testlytics_collector.formats.{module}"), name)
    return form, read


def _of_object(head: bytes) -> str:
    """Tell what begins with `{`: by the keys of the outermost object, and how their values begin.

    What is none of the others is for the reader of run files to take or to refuse.
    """
    keys = dict(_outer_keys(head))
    form = "run-file"
    if "type" in keys:
        pass
    elif "$report_type" in keys:
        form = "pytest-reportlog"
    elif "machine_info" in keys or "benchmarks" in keys:
        form = "pytest-benchmark"
    elif "reportFormat" in keys or keys.get("results") == b"{":
        form = "ctrf"
    elif keys.get("results") == b"[":
        form = "hyperfine"
    elif keys.get("meta") == b"{":
        form = "coverage-json"
    elif "exitcode" in keys and "created" in keys:
        form = "pytest-json-report"
    return form


def _outer_keys(head: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the keys of the outermost object with the first sign of their values.

    Later objects, as JSON Lines have them, are not looked at.
    """
    depth = at = 0
    while found := _TOKEN.search(head, at):
        at = found.end()
        sign = head[found.start() : found.start() + 1]
        if sign == b'"':
            at = found.end(2)
            if depth == 1 and found[2]:
                yield found[1].decode("utf-8", "replace"), found[3]
        else:
            depth += 1 if sign in b"{[" else -1
            if depth <= 0:
                return
