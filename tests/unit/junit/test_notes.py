"""What a testcase says of itself beyond its status: properties and attachments."""

from __future__ import annotations

import pytest

from testlytics_collector.formats.interface import Limits
from testlytics_collector.formats.notes import MOST_NOTES
from testlytics_collector.records import Note, NoteKind
from tests.unit.junit.reports import Read, read


def case(inside: str, limits: Limits | None = None) -> Read:
    return read(
        f'<testsuite name="s"><testcase name="a" classname="c" time="1">{inside}</testcase>'
        "</testsuite>",
        limits=limits,
    )


def properties(inside: str) -> list[tuple[str, str, str]]:
    found = case(f"<properties>{inside}</properties>")
    assert found.told == [("c::a", 1, "passed")]
    return [(note.kind.value, note.name, note.value) for note in found.attempts[0].notes]


@pytest.mark.parametrize(
    ("inside", "notes"),
    [
        ('<property name="n" value="v"/>', [("property", "n", "v")]),
        ('<property name="n">v <![CDATA[<w>]]></property>', [("property", "n", "v <w>")]),
        ('<property name="n" value="v">text</property>', [("property", "n", "v")]),
        ('<property name="n" value=""/>', [("property", "n", "")]),
        ('<property name="n"/>', [("property", "n", "")]),
        ('<property name="n"><b>x</b>y<b/></property>', [("property", "n", "xy")]),
        ('<property value="v"/><property/>', []),
        (
            '<property name="n" value="1"/><property name="n" value="2"/>',
            [("property", "n", "1"), ("property", "n", "2")],
        ),
        ('<x:property xmlns:x="u" name="n">v</x:property>', [("property", "n", "v")]),
        ('<property name="attachment" value="a.png"/>', [("attachment", "", "a.png")]),
        ('<property name="attachment:log">a.txt</property>', [("attachment", "log", "a.txt")]),
        ('<property name="testrail_attachment" value="a"/>', [("attachment", "", "a")]),
        ('<property name="attachment_count" value="3"/>', [("property", "attachment_count", "3")]),
    ],
)
def test_properties(inside: str, notes: list[tuple[str, str, str]]) -> None:
    assert properties(inside) == notes


def test_properties_outside_of_testcases_are_not_stored() -> None:
    found = read(
        '<testsuites><properties><property name="a">b</property></properties><testsuite name="s">'
        '<properties><property name="n" value="v"/><property name="m">w</property></properties>'
        '<testcase name="a"/></testsuite></testsuites>'
    )
    assert [row.notes for row in found.attempts] == [()]


@pytest.mark.parametrize("result", ["", "<skipped/>", "<failure>f</failure>", "<error/>"])
@pytest.mark.parametrize("before", [True, False])
def test_properties_change_no_status(result: str, before: bool) -> None:
    props = '<properties><property name="n">v</property><property name="m" value="w"/></properties>'
    found = case(props + result if before else result + props)
    plain = case(result)
    assert found.attempts[0]._replace(notes=()) == plain.attempts[0]
    assert found.attempts[0].notes == (
        Note(NoteKind.PROPERTY, "n", "v"),
        Note(NoteKind.PROPERTY, "m", "w"),
    )
    assert found.reading.counts == plain.reading.counts


def test_a_property_inside_a_failure_is_its_text() -> None:
    found = case('<failure>before <property name="n">x</property> after</failure>')
    (row,) = found.attempts
    assert row.notes == ()
    assert row.failure is not None
    assert row.failure.text == "before x after"


def test_an_inner_testcase_keeps_its_notes_to_itself() -> None:
    found = case(
        '<properties><property name="n">v<testcase name="inner" classname="c"><properties>'
        '<property name="m" value="w"/></properties></testcase></property>'
        '<property name="o" value="p"/></properties>'
    )
    notes = {row.test_id: [note.name for note in row.notes] for row in found.attempts}
    assert notes == {"c::inner": ["m"], "c::a": ["o"]}


def test_attachments_in_either_output() -> None:
    found = case(
        "<system-out>\n[[ATTACHMENT|out/a b.png]]\nlog [[ATTACHMENT|x.zip]] [[ATTACHMENT|x.zip]]"
        "</system-out><failure/><system-err>[[ATTACHMENT|e.txt]] [[ATTACHMENT|]] [[ATTACHMENT|cut"
        "</system-err>"
    )
    (row,) = found.attempts
    assert [note.value for note in row.notes] == ["out/a b.png", "x.zip", "e.txt"]
    assert {(note.kind, note.name) for note in row.notes} == {(NoteKind.ATTACHMENT, "")}


def test_attachments_in_the_middle_of_a_long_output_are_found() -> None:
    filler = "0123456789 " * 300_000
    found = case(
        f"<system-out>[[ATTACHMENT|first]]{filler}[[ATTACHMENT|middle]]{filler}"
        "[[ATTACHMENT|last]]</system-out><system-err>nothing</system-err>"
    )
    assert [note.value for note in found.attempts[0].notes] == ["first", "middle", "last"]


def test_notes_stand_at_the_last_attempt() -> None:
    found = case('<flakyFailure/><properties><property name="n" value="v"/></properties>')
    assert [(row.outcome.value, len(row.notes)) for row in found.attempts] == [
        ("failed", 0),
        ("passed", 1),
    ]


def test_notes_are_bounded_and_the_rest_is_counted() -> None:
    many = "".join(f'<property name="n{n}" value="v"/>' for n in range(MOST_NOTES + 7))
    found = case(f"<properties>{many}</properties>")
    assert len(found.attempts[0].notes) == MOST_NOTES
    assert "7 more are left out" in found.problems
    long = case(f'<properties><property name="{"n" * 999}" value="{"v" * 999}"/></properties>')
    (note,) = long.attempts[0].notes
    assert len(note.name) <= 300
    short = case(
        f'<properties><property name="n" value="{"v" * 999}"/></properties>',
        limits=Limits(message_chars=200),
    )
    assert len(short.attempts[0].notes[0].value) <= 200


def test_secrets_are_taken_out_and_told() -> None:
    found = case(
        '<properties><property name="api_key" value="abc"/><property name="n">https://u:p'
        '@host</property><property name="author" value="me"/></properties>'
    )
    assert [note.value for note in found.attempts[0].notes] == ["<redacted>", "<redacted>", "me"]
    assert "stored as <redacted> (2; the first: api_key)" in found.problems


def test_gos_version_is_seen_wherever_it_stands() -> None:
    prop = '<properties><property name="go.version" value="go1.22"/></properties>'
    test = '<testcase name="TestA" classname="b" time="1"/>'
    found = read(f'<testsuite name="example.org/a/b">{prop}{test}</testsuite>')
    assert found.ids == ["example.org/a/b::TestA"]
    assert found.attempts[0].notes == ()
