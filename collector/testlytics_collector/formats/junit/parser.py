"""The events of one document, turned into attempts.

One object takes every event of expat. A testcase without children, which nearly all of them are,
costs two calls: its attributes are kept when it starts and become a row when it ends. Everything
else takes the longer way.
"""

from __future__ import annotations

from xml.parsers import expat

from testlytics_collector.formats.interface import Limits
from testlytics_collector.formats.junit import refusal, verdict
from testlytics_collector.formats.junit.identity import Attrs
from testlytics_collector.formats.junit.numbers import LONGEST_S
from testlytics_collector.formats.junit.results import LOOSE, OUTCOMES, TELLING, Results
from testlytics_collector.formats.junit.text import Gathering, cut
from testlytics_collector.formats.junit.verdict import Detail, Try
from testlytics_collector.formats.unstable import is_suspect
from testlytics_collector.records import Attempt, NoteKind, Outcome

_KNOWN = frozenset(
    {"testsuites", "testsuite", "testcase", "properties", "property", "system-out", "system-err"}
    | {"failure", "error", "stackTrace"}
    | verdict.SKIPPING_TAGS
    | set(verdict.RERUN_TAGS)
)
_RESULTS = frozenset(OUTCOMES) | set(verdict.RERUN_TAGS)
_OUTPUT = frozenset({"system-out", "system-err"})
_TALKING = _RESULTS | _OUTPUT
_SUITES = frozenset({"testsuites", "testsuite"})
_AROUND_PROPERTY: tuple[list[str], ...] = ([], ["properties"])
_PASSED = Outcome.PASSED
# Stands for the children of a testcase that has one: `_single` holds it.
_SINGLE = Detail()
_LONGEST_US = LONGEST_S * 1_000_000
_NO_ATTRS: Attrs = {}
_new = tuple.__new__


class Handler:
    """Takes the events of one document.

    Attributes:
        foreign: The first element that JUnit XML does not know and that stands where a testcase
            could, or None.
        root: Local name of the root element, or None before it.
    """

    __slots__ = (
        "_append",
        "_buried",
        "_case",
        "_child",
        "_class",
        "_detail",
        "_duration",
        "_epoch",
        "_first",
        "_gathering",
        "_inside",
        "_limits",
        "_local",
        "_namer",
        "_notebook",
        "_old",
        "_older",
        "_open",
        "_outer",
        "_parser",
        "_prefix",
        "_property",
        "_results",
        "_rows",
        "_seen",
        "_single",
        "_tag",
        "_take_text",
        "_window",
        "findings",
        "foreign",
        "root",
        "suites",
    )

    def __init__(self, results: Results, limits: Limits, parser: expat.XMLParserType) -> None:
        """Begin.

        Args:
            results: Where testcases go.
            limits: Bounds.
            parser: Where character data is switched on and off.
        """
        rows = results.rows
        self.findings = results.findings
        self.foreign: str | None = None
        self.root: str | None = None
        self.suites = results.suites
        self._namer = results.namer
        self._notebook = results.notebook
        self._duration = results.namer.duration
        self._results = results
        self._rows = rows
        # What the short way needs, without a detour.
        self._append = rows.pending.append
        self._first = rows.first
        self._older = rows.seen.older
        self._window = rows.seen.window
        self._old = False
        self._seen = rows.seen.suite_of
        self._class: str | None = None
        self._prefix = ""
        self._epoch = "\0"
        self._tag = self.suites.tag
        self._limits = limits
        self._parser = parser
        self._gathering = Gathering(limits.text_chars)
        self._take_text = self._gathering.pieces.append
        self._single: tuple[str, Attrs, str] = ("", _NO_ATTRS, "")
        self._local: dict[str, str] = {}
        self._buried = 0
        self._open: list[str] = []
        self._case: Attrs | None = None
        self._detail: Detail | None = None
        self._child: Attrs | None = None
        self._property: str | None = None
        self._inside: list[str] = []
        self._outer: list[tuple[Attrs, Detail | None, list[str], Attrs | None]] = []

    def settle(self, *, heavy: bool) -> None:
        """Do between two chunks what need not be done with every testcase."""
        self._rows.settle(heavy=heavy)
        self._gathering.compact()
        if self._rows.seen.put_away():
            self._class = None

    @property
    def closed(self) -> bool:
        """Whether the document's root was closed."""
        return (
            not (self._open or self._inside)
            and self._case is None
            and (self.root is not None or len(self._rows.pending) + self._rows.written > 0)
        )

    def innermost(self) -> str:
        """Name the innermost element that is open."""
        if self._case is not None:
            return self._inside[-1] if self._inside else "testcase"
        return self._open[-1] if self._open else ""

    # --- events ------------------------------------------------------------------------------

    def start(self, tag: str, attrs: Attrs) -> None:
        """Take the start of an element."""
        if tag == "testcase" and self._case is None:
            self._case = attrs
        elif tag in _RESULTS and self._case is not None and not self._inside:
            self._child = attrs
            self._inside.append(tag)
            self._parser.CharacterDataHandler = self._take_text
        elif tag != "property" or self._case is not None:
            self._descend(tag, attrs)
        elif attrs.get("name") == "go.version":
            self._namer.go = True

    def end(self, tag: str) -> None:  # noqa: C901 - it is called once per testcase, so it calls little
        """Take the end of an element."""
        if tag != "testcase" or self._inside:
            if tag != "property" or self._case is not None:
                self._ascend(tag)
            return
        case = self._case or _NO_ATTRS
        try:
            name, key, time = case["name"], case["classname"], case["time"]
            us = int(float(time) * 1e6 + 0.5)
            duration = us if -1 < us < _LONGEST_US and "_" not in time else self._duration(time)
            plain = len(case) == 3
        except (KeyError, ValueError, OverflowError):
            name, key = case.get("name", ""), case.get("classname", "")
            duration = self._duration(case.get("time"))
            plain = False
        if not plain:
            plain = TELLING.isdisjoint(case)
            if "file" in case:
                key = f"{case['file']}\0{key}"
        if key != self._class:
            self._enter_class(key, case)
        if (
            not name
            or ("[" in name and is_suspect(name, self._epoch))
            or len(name) > 500
            or self._class is None
        ):
            self._end_odd(case, duration)
            return
        test_id = self._prefix + name
        window = self._window
        if test_id in window:
            self._finish(case, test_id, duration, window[test_id])
            return
        if not self._old:
            window[test_id] = self._tag
        elif (seen_in := self._older(test_id, self._tag)) is not None:
            self._finish(case, test_id, duration, seen_in)
            return
        if plain and self._detail is None:
            row = (test_id, self._first, _PASSED, duration, None, None, None, None, None, ())
            self._append(_new(Attempt, row))
            self._case = None
        elif plain and self._detail is _SINGLE:
            self._results.finish_single(case, self._single, test_id, duration)
            self._case = self._detail = None
        else:
            self._finish(case, test_id, duration, None)

    def _end_odd(self, case: Attrs, duration: int | None) -> None:
        """End a testcase whose name needs a look."""
        prefix, test_id = self._namer.name(case)
        if self._namer.dialect.unit_s != 1.0:
            # Only now it is known what the time counts in.
            duration = self._duration(case.get("time"))
        self._finish(case, test_id, duration, self._seen(test_id, prefix, self._tag))

    def _finish(
        self, case: Attrs, test_id: str, duration: int | None, seen_in: bytes | None
    ) -> None:
        """End a testcase that has children or telling attributes, or comes again."""
        detail = self._details() if self._detail is _SINGLE else self._detail
        self._results.finish(case, detail, test_id, duration, seen_in)
        self._case = self._detail = None
        if self._outer:
            self._unnest()

    # --- the longer way ----------------------------------------------------------------------

    def _descend(self, tag: str, attrs: Attrs) -> None:
        name = self._local.get(tag) or self._localise(tag)
        if len(self._open) + len(self._inside) + self._buried >= self._limits.depth:
            raise refusal.too_deep(self._limits.depth, *self.findings.where())
        if name == "testcase":
            self._nest(attrs)
        elif self._case is not None:
            if not self._inside and name in _TALKING:
                self._child = attrs
                self._parser.CharacterDataHandler = self._take_text
            elif name == "property":
                self._begin_property(attrs)
            self._inside.append(name)
        else:
            self._begin_outside(name, attrs)
            self._open.append(name)

    def _nest(self, attrs: Attrs) -> None:
        """Begin a testcase that stands inside of another, or has a prefix before its tag."""
        if self._case is not None:
            self._parser.CharacterDataHandler = None
            self._outer.append((self._case, self._detail, self._inside, self._child))
            self._buried += len(self._inside) + 1
            self._property = None
            # Having children, it is not taken for a plain one when it ends.
            self._detail, self._inside, self._child = Detail(), [], None
        self._case = attrs

    def _unnest(self) -> None:
        self._case, self._detail, self._inside, self._child = self._outer.pop()
        self._buried -= len(self._inside) + 1

    def _ascend(self, tag: str) -> None:
        name = self._local.get(tag) or self._localise(tag)
        if self._case is None:
            self._open.pop()
            if name in _SUITES:
                self._results.leave_suite()
                self.suites.leave(name)
                self._change_suite(entered=False)
            elif name in LOOSE and self._open and self._open[-1] in _SUITES:
                self._end_loose(name)
        elif self._inside:
            self._inside.pop()
            if name == "property" and self._property is not None:
                self._end_property()
            # A failure of the suite may be open around the testcase: its child is not ours.
            if not self._inside and self._child is not None and name in _TALKING:
                self._end_child(name)
        else:
            # A tag with a prefix before it.
            self.end("testcase")

    def _enter_class(self, key: str, case: Attrs) -> None:
        self._prefix = prefix = self._namer.prefix_of(key, case)
        self._class = key if prefix else None
        self._old = self._rows.seen.enter(prefix or None)

    def _change_suite(self, *, entered: bool) -> None:
        self._tag = self.suites.tag
        self._class = None
        if entered:
            self._namer.enter_suite()
        self._namer.change_suite()
        self._epoch = self._namer.stabiliser.epoch

    def _localise(self, tag: str) -> str:
        name = tag.rpartition(":")[2]
        if len(self._local) < 1_000 or name in _KNOWN:
            self._local[tag] = name
        return name

    def _begin_outside(self, name: str, attrs: Attrs) -> None:
        if self.root is None:
            self.root = name
        if name in _SUITES:
            self.suites.enter(name, attrs)
            self._change_suite(entered=True)
        elif name in LOOSE and self._open and self._open[-1] in _SUITES:
            self._child = attrs
            self._parser.CharacterDataHandler = self._take_text
        elif name not in _KNOWN and self.foreign is None and self._child is None:
            self.foreign = name

    def _end_loose(self, name: str) -> None:
        """Take a failure that stands outside of any testcase."""
        attrs, self._child = self._child or _NO_ATTRS, None
        self._results.put_loose(name, attrs, self._text())

    def _end_child(self, name: str) -> None:
        attrs, self._child = self._child or _NO_ATTRS, None
        text = self._text()
        if self._detail is None:
            if name in OUTCOMES:
                self._detail, self._single = _SINGLE, (name, attrs, text)
                return
            self._detail = Detail()
        detail = self._details()
        if name in _OUTPUT:
            detail.add_output(name, text)
            for path in self._gathering.marks if text else ():
                self._notebook.add(detail.notes, NoteKind.ATTACHMENT, "", path)
            return
        failure = detail.failure_of(attrs, text, self._limits)
        if name not in verdict.RERUN_TAGS:
            detail.add_result(verdict.KINDS[name], failure)
            return
        outcome = verdict.RERUN_TAGS[name]
        duration = self._duration(attrs.get("time"))
        started = self.suites.instant(attrs.get("timestamp"))
        if not detail.add_rerun(Try(outcome, failure, duration, started)):
            self.findings.note("retries", name)

    def _begin_property(self, attrs: Attrs) -> None:
        name, value = attrs.get("name"), attrs.get("value")
        if name == "go.version":
            self._namer.go = True
        if not name or self._inside not in _AROUND_PROPERTY:
            return
        if value is not None:
            self._detail = detail = self._details()
            self._notebook.add_property(detail.notes, name, value)
        else:
            self._property = name
            self._parser.CharacterDataHandler = self._take_text

    def _end_property(self) -> None:
        name, self._property = self._property or "", None
        self._detail = detail = self._details()
        self._notebook.add_property(detail.notes, name, self._text().strip())

    def _details(self) -> Detail:
        """Give the children of the testcase; the only one so far is made one of several."""
        detail = self._detail or Detail()
        if detail is _SINGLE:
            name, attrs, text = self._single
            detail = self._detail = Detail()
            failure = detail.failure_of(attrs, text, self._limits)
            detail.add_result(verdict.KINDS[name], failure)
        return detail

    def _text(self) -> str:
        """Take the character data of the child that ends."""
        self._parser.CharacterDataHandler = None
        if not self._gathering.pieces:
            return ""
        text, dropped = self._gathering.take()
        return cut(text, self._limits.text_chars, dropped)
