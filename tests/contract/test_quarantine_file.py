"""A quarantine that one of pytest and the gate reads, the other reads alike."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_testlytics import quarantine_file
from pytest_testlytics.quarantine import family_of
from pytest_testlytics.quarantine_file import read_quarantine as read_in_pytest
from pytest_testlytics.quarantine_file import today as today_in_pytest
from testlytics.quarantine_file import Entry, add_entry, review_quarantine
from testlytics.reviewed import names
from testlytics_collector.errors import ConfigError

DAY = date.fromisoformat(today_in_pytest())
ENTRY = '[[quarantine]]\ntest = "{}"\nowner = "team"\nreason = "races"\nexpires = {}\n'
HOSTILE = 'a.py::t["\\\n]\x1b[31m\u202e[[quarantine]]\ntest = "x"\x00]'


def day(days: int) -> str:
    return (DAY + timedelta(days=days)).isoformat()


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no midnight fall between what a test says and what is read."""
    monkeypatch.setattr(quarantine_file, "today", DAY.isoformat)


def assert_read_alike(path: Path) -> tuple[int, int]:
    """Both readers find the same entries; give how many, and how many problems."""
    plugin = read_in_pytest(str(path))
    try:
        ours = review_quarantine(path, DAY)
    except ConfigError as refused:
        assert (plugin.entries, len(plugin.problems)) == ((), 1), refused
        return 0, 1
    assert len(ours.problems) == len(plugin.problems), (ours.problems, plugin.problems)
    today = DAY.isoformat()
    assert [
        (one.test, one.expires.isoformat(), dict(one.variant), one.is_expired(DAY))
        for one in ours.entries
    ] == [(one.test, one.expires, one.variant, one.is_expired(today)) for one in plugin.entries]
    return len(ours.entries), len(ours.problems)


@pytest.mark.parametrize(
    ("text", "entries", "problems"),
    [
        ("", 0, 1),
        ("schema = 1\n", 0, 0),
        ("schema = true\n", 0, 0),
        ("schema = 1.0\n", 0, 0),
        ('schema = "1"\n', 0, 1),
        ("schema = 1\nquarantine = 7\n", 0, 1),
        ("schema = 1\nquarantine = [7]\n", 0, 1),
        ("schema = 1\nquarantine = {}\n", 0, 1),
        ("schema = 1\nmore = 2\n" + ENTRY.format("a.py::t", day(3)), 1, 1),
        ("schema = 1\n" + ENTRY.format("a.py::t", day(0)), 1, 0),
        ("schema = 1\n" + ENTRY.format("a.py::t", day(30)), 1, 0),
        ("schema = 1\n" + ENTRY.format("a.py::t", day(31)), 0, 1),
        ("schema = 1\n" + ENTRY.format("a.py::t", f"{day(31)}\nsince = {day(1)}"), 1, 0),
        ("schema = 1\n" + ENTRY.format("a.py::t", f"{day(32)}\nsince = {day(2)}"), 0, 1),
        ("schema = 1\n" + ENTRY.format("x" * 3_900, day(3)), 1, 0),
        ("schema = 1\n" + ENTRY.format("x" * 4_000, day(3)), 0, 1),
        ("schema = 1\n# " + "." * 51 + "\n", 0, 1),
        ("\ufeffschema = 1\n", 0, 1),
        ("schema = 1\r\n# \u2028 x\r\n", 0, 0),
        ("schema = 1\n" + "x = " + "[" * 3_000, 0, 1),
        ("schema = 1\n" + "#" * 262_133, 0, 1),
        ("schema = 1\n" + "# 345678\n" * 29_125, 0, 0),
        ("schema = 1\n" + "# 345678\n" * 29_126, 0, 1),
    ],
)
def test_a_file_is_read_alike(tmp_path: Path, text: str, entries: int, problems: int) -> None:
    path = tmp_path / "quarantine.toml"
    path.write_bytes(text.encode())
    assert assert_read_alike(path) == (entries, problems)


def test_what_is_no_file_is_refused_alike(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"schema = 1\n# \xff\n")
    for name in ("pipe", "binary", "none", "."):
        assert assert_read_alike(tmp_path / name) == (0, 1)


VALUES = {
    "test": ['"a.py::t"', '"b.py::t[1]"', '"a.py::*"', '""', "1"],
    "owner": ['"team"', '"\\t"', "[]"],
    "reason": ['"races"', "true"],
    "issue": ['"https://x"', "7"],
    "since": [day(0), day(-29), day(1), day(2), f'"{day(0)}"'],
    "expires": [day(0), day(1), day(30), day(31), day(-1), f"{day(3)}T00:00:00", "00:00:00"],
    "variant": ['{ os = "linux" }', "{}", "{ os = 1 }", '"os=linux"'],
    "until": ["1"],
}
ONE = st.fixed_dictionaries(
    {key: st.sampled_from(VALUES[key]) for key in ("test", "owner", "reason", "expires")},
    optional={key: st.sampled_from(VALUES[key]) for key in ("issue", "since", "variant", "until")},
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(entries=st.lists(ONE, min_size=1, max_size=3), dropped=st.sampled_from([None, *VALUES]))
def test_whatever_entries_say_is_read_alike(
    tmp_path: Path, entries: list[dict[str, str]], dropped: str | None
) -> None:
    blocks = [
        "".join(f"{key} = {value}\n" for key, value in one.items() if key != dropped)
        for one in entries
    ]
    path = tmp_path / "quarantine.toml"
    path.write_text("schema = 1\n" + "".join(f"[[quarantine]]\n{one}" for one in blocks))
    found, problems = assert_read_alike(path)
    assert found + problems == len(entries)


@pytest.mark.parametrize(
    "test_id",
    [
        "a.py::t",
        "a.py::t[1]",
        "a.py::T::t[a[b]]",
        "a[1].py::t[x::y]",
        "a[1].py::t",
        "t[1]",
        "a::b[]",
    ],
)
def test_a_family_is_the_same_to_both(test_id: str) -> None:
    assert set(names(test_id)) == {test_id, family_of(test_id)}


def test_what_add_writes_is_what_pytest_obeys(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.toml"
    variant = {"os": "windows", 'a" = 1 }\n[[quarantine]]': "\x1b'"}
    for name in (HOSTILE, "a.py::t", "\U0001f409::\u2028"):
        last = DAY + timedelta(days=30)
        add_entry(path, Entry(name, "o\nx", 'r"', "i\\", DAY, last, variant), DAY)
    assert assert_read_alike(path) == (3, 0)
    assert read_in_pytest(str(path)).entries[0].test == HOSTILE
