"""The quarantine: the gate obeys it and its end, and the command looks after it."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from pytest_testlytics import quarantine_file
from pytest_testlytics.quarantine_file import today as today_in_pytest
from testlytics.cli import explain, gate, quarantine
from testlytics.cli.main import main
from testlytics.gate.allowances import FORM as ALLOWANCES
from testlytics.quarantine_file import FORM
from testlytics.reviewed import parse
from tests.command import Done
from tests.factories import history as run_files
from tests.gating import History, failing, passing
from tests.unit.plugin.recorded import record

ROOT = Path(__file__).parents[2]
DAY = date.fromisoformat(today_in_pytest())
ENTRY = '[[quarantine]]\ntest = "{}"\nowner = "team"\nreason = "races"\nexpires = {}\n'
HOSTILE = 'a.py::t["\\\n]\x1b[31m\u202e[[quarantine]]\ntest = "x"]'
TESTS = [f"a.py::test_{n}" for n in range(20)]

Command = Callable[..., Done]


def day(days: int) -> str:
    return (DAY + timedelta(days=days)).isoformat()


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no midnight fall between what a test says and what the command and pytest read."""
    for module in (explain, gate, quarantine):
        monkeypatch.setattr(module, "today", lambda: DAY)
    monkeypatch.setattr(quarantine_file, "today", DAY.isoformat)


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Command:
    """The command, in this process and in a project of its own."""
    for name in list(os.environ):
        if name.startswith(("TESTLYTICS", "GITHUB_")):
            monkeypatch.delenv(name)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["testlytics", *map(str, arguments)])
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        told = capfdbinary.readouterr()
        assert isinstance(left.value.code, int)
        return Done(left.value.code, told.out.decode(), told.err.decode())

    return command


@pytest.fixture
def gated(tmp_path: Path) -> Path:
    """A store whose newest run lost a test, and in which two failed that had passed before."""
    store = tmp_path / ".testlytics" / "history.duckdb"
    store.parent.mkdir()
    with History(store) as history:
        for _ in range(10):
            history.run(passing(*TESTS), variant={"os": "linux"})
        said = {TESTS[0]: "no", TESTS[1]: "no"}
        history.run([*passing(*TESTS[3:]), *failing(said)], variant={"os": "linux"})
    return store


def reasons(done: Done) -> dict[str, tuple[str, str, str]]:
    return {
        one["test_id"]: (one["kind"], one["level"], one["reason"]) for one in done.json["findings"]
    }


def test_gate_obeys_the_quarantine_until_it_expires(here: Command, gated: Path) -> None:
    before = here("gate", "--format", "json")
    assert before.code == 1
    assert reasons(before)[TESTS[0]][:2] == ("new-failure", "block")
    for test in TESTS[:2]:
        added = here(
            "quarantine", "add", test, "--owner", "me", "--reason", "races", "--expires", "14d"
        )
        assert added.code == 0, added.err
    done = here("gate", "--format", "json")
    assert done.code == 0
    kind, level, reason = reasons(done)[TESTS[0]]
    assert (kind, level) == ("quarantined", "warn")
    assert reason.startswith(f"quarantined until {day(14)} (me): races; passed in all 10 runs")
    path = gated.parents[1] / "quarantine.toml"
    text = path.read_text()
    path.write_text(
        text.replace(day(14), day(-1)).replace(f"since = {day(0)}", f"since = {day(-9)}")
    )
    done = here("gate", "--format", "json")
    assert done.code == 1
    kind, level, reason = reasons(done)[TESTS[1]]
    assert (kind, level) == ("new-failure", "block")
    assert reason.endswith(f"; its quarantine expired on {day(-1)}")
    note = f"The quarantine has expired of {TESTS[0]}, {TESTS[1]}: failures count again."
    assert note in done.json["notes"]
    path.write_text(text.replace('owner = "me"', 'variant = { os = "windows" }\nowner = "me"'))
    assert here("gate").code == 1


def test_one_file_serves_pytest_and_the_gate(here: Command, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(n): assert n == 1\n"
    )
    test = "test_it.py::test_it"
    call = ("quarantine", "add", test, "--owner", "me", "--reason", "races", "--expires", "3d")
    assert here(*call).code == 0
    recorded = record(tmp_path, "--testlytics-quarantine", "quarantine.toml")
    assert recorded.exit_status == 0, recorded.output
    assert here("ingest").code == 0
    gate = ("gate", "--least-runs", "0", "--format", "json")
    assert reasons(here(*gate))[f"{test}[2]"][:2] == ("quarantined", "warn")
    (tmp_path / "quarantine.toml").unlink()
    assert record(tmp_path).exit_status == 1
    assert here(*gate).code == 1


def test_gate_takes_an_allowance_for_a_warning(here: Command, gated: Path) -> None:
    path = gated.parents[1] / "testlytics-allowances.toml"
    text = (
        f'schema = 1\n[[allowance]]\ntest = "{TESTS[2]}"\nkind = "removed"\nlink = "https://x/7"\n'
        f'reason = "never liked it"\nsince = {day(-60)}\nexpires = {day(30)}\n'
    )
    call = ("gate", "--format", "json", "--block", "removed")
    assert reasons(here(*call))[TESTS[2]][:2] == ("removed", "block")
    path.write_text(text)
    done = here(*call)
    kind, level, reason = reasons(done)[TESTS[2]]
    assert (done.code, kind, level) == (0, "removed", "warn")
    assert reason.endswith(f"; allowed until {day(30)} (https://x/7): never liked it")
    path.write_text(text.replace(day(30), day(0)))
    done = here(*call)
    assert (done.code, reasons(done)[TESTS[2]][1]) == (1, "block")
    assert any(TESTS[2] in note and "expired" in note for note in done.json["notes"])
    other = gated.parents[1] / "other.toml"
    other.write_text(text)
    assert here(*call, "--allowances", "other.toml").code == 0


@pytest.mark.parametrize("name", ["quarantine", "allowances"])
@pytest.mark.parametrize("text", ["schema = 3\n", "[[", "schema = 1\n[[{}]]\ntest = 'a.py::*'\n"])
def test_a_slip_in_a_file_never_lets_the_gate_pass(
    here: Command, gated: Path, name: str, text: str
) -> None:
    default = {"quarantine": "quarantine.toml", "allowances": "testlytics-allowances.toml"}[name]
    assert here("gate", f"--{name}", "nothing.toml").code == 2
    (gated.parents[1] / default).write_text(text.format(name.removesuffix("s")))
    done = here("gate")
    assert (done.code, done.out) == (2, "")
    assert default in done.err


def test_who_is_in_quarantine_is_told_with_what_became_of_it(here: Command, tmp_path: Path) -> None:
    """The factory's 30 runs began on 2026-05-28 and the days after."""
    tests = {
        "a.py::flaky": ("P" * 4 + "L") * 3 + "P" * 15,
        "a.py::broken": "P" * 20 + "F" * 10,
        "a.py::fine": "P" * 30,
        "a.py::gone": "PF" * 5 + "-" * 20,
        "a.py::par[1]": "P" * 30,
        "a.py::par[2]": "PPF" * 10,
        HOSTILE: "PPPPPF" * 5,
    }
    assert here("ingest", *run_files(tmp_path, tests)).code == 0
    for test in (
        "a.py::flaky",
        "a.py::broken",
        "a.py::fine",
        "a.py::gone",
        "a.py::par",
        HOSTILE,
        "b",
    ):
        done = here("quarantine", "add", test, "--owner", "me", "--reason", "x", "--expires", "9d")
        assert done.code == 0, done.err
    path = tmp_path / "quarantine.toml"
    path.write_text(path.read_text().replace(f"since = {day(0)}", f"since = {day(-5)}"))
    rows = {
        row["test"]: row
        for row in here("quarantine", "list", "--format", "json").json["quarantine"]
    }
    assert {row["days_left"] for row in rows.values()} == {9}
    assert {row["runs"] for row in rows.values()} == {0}
    assert rows["a.py::fine"]["flake_rate"] is None
    assert 0.1 < rows["a.py::flaky"]["flake_rate"] < 0.4
    checked = here("quarantine", "check", "--format", "json")
    found = [(row["test"], row["finding"]) for row in checked.json["findings"]]
    assert (checked.code, found) == (1, [("a.py::gone", "gone"), ("b", "unknown")])
    for words in (["list"], ["check"], ["prove"], ["review"], ["list", "--format", "markdown"]):
        told = here("quarantine", *words).out
        assert "a.py::" in told
        assert not {"\x1b", "\u202e"} & set(told)
    # Everything since the first run: the entries have long expired by now.
    text = path.read_text().replace(f"since = {day(-5)}", "since = 2026-05-28")
    path.write_text(text.replace(f"expires = {day(9)}", "expires = 2026-06-20"))
    rows = {
        row["test"]: row
        for row in here("quarantine", "list", "--format", "json").json["quarantine"]
    }
    assert {
        key: rows["a.py::par"][key] for key in ("expired", "tests", "runs", "passed", "failed")
    } == {
        "expired": True,
        "tests": 2,
        "runs": 60,
        "passed": 50,
        "failed": 10,
    }
    assert (rows["a.py::flaky"]["flaky"], rows["b"]["runs"]) == (3, 0)
    assert here("quarantine", "check").code == 1


def test_proof_says_how_many_passes_there_are_and_must_be(here: Command, tmp_path: Path) -> None:
    tests = {"a.py::t[1]": "PPPPL" * 2 + "P" * 20, "a.py::t[2]": "PPPPL" * 6, "a.py::u": "P" * 30}
    assert here("ingest", *run_files(tmp_path, tests)).code == 0
    rows = here("quarantine", "prove", "a.py::t", "--format", "json").json["proofs"]
    mended, flaky = rows
    assert (mended["test_id"], mended["passes"], mended["left"]) == ("a.py::t[1]", 20, 0)
    assert (flaky["test_id"], flaky["passes"], flaky["left"]) == ("a.py::t[2]", 0, flaky["needed"])
    assert "mended" in here("quarantine", "prove", "a.py::t[1]").out
    [calm] = here("quarantine", "prove", "a.py::u", "--format", "json").json["proofs"]
    assert (calm["flake_rate"], calm["needed"], calm["left"]) == (None, None, None)
    assert here("quarantine", "prove", "a.py::none").code == 5


def test_review_names_what_needs_an_eye(here: Command, tmp_path: Path) -> None:
    store = tmp_path / ".testlytics" / "history.duckdb"
    store.parent.mkdir()
    with History(store) as history:  # one an hour from 2026-05-28 20:26 on
        for number in range(30):
            said = {"a.py::news": "KeyError: 'x'" if number > 25 else f"timeout after {number} s"}
            bad = failing(said) if number % 6 == 0 or number == 26 else passing("a.py::news")
            worse = failing({"a.py::bad": "no"}) if number > 2 else passing("a.py::bad")
            history.run([*bad, *worse, *passing("a.py::good", *TESTS)])
    since, expires = "2026-05-29", "2026-06-20"
    names = ("a.py::news", "a.py::bad", "a.py::good", "a.py::never")
    path = tmp_path / "quarantine.toml"
    path.write_text(
        "schema = 1\n"
        + "".join(ENTRY.format(name, f"{expires}\nsince = {since}") for name in names)
    )
    done = here("quarantine", "review", "--format", "json")
    found = {(row["test"], row["finding"]): row["text"] for row in done.json["review"]}
    expected = {(name, "expired") for name in names} | {
        ("a.py::news", "says something new"),
        ("a.py::bad", "always fails"),
        ("a.py::good", "always passes"),
        ("a.py::never", "never ran"),
    }
    assert (done.code, set(found)) == (0, expected)
    assert found["a.py::news", "says something new"] == "KeyError: 'x'"
    assert found["a.py::good", "always passes"] == "30 runs in a row, and no failure is known"
    soon = "schema = 1\n" + ENTRY.format("a.py::t", day(7)) + ENTRY.format("a.py::u", day(8))
    path.write_text(soon)
    rows = here("quarantine", "review", "--format", "json").json["review"]
    assert [row["test"] for row in rows if row["finding"] == "expires soon"] == ["a.py::t"]


def test_without_a_store_the_file_is_looked_at_alone(here: Command, tmp_path: Path) -> None:
    assert "The quarantine is in order." in here("quarantine", "check").out
    path = tmp_path / "quarantine.toml"
    path.write_text("schema = 1\n" + ENTRY.format("a.py::t", day(3)))
    done = here("quarantine", "check")
    assert done.code == 0
    assert "Tests were not looked for." in done.err
    [row] = here("quarantine", "list", "--format", "json").json["quarantine"]
    assert (row["runs"], row["flake_rate"], row["days_left"]) == (None, None, 3)
    assert here("quarantine", "prove").code == 5
    path.write_text(
        "schema = 1\n" + ENTRY.format("a.py::t", day(-3)) + ENTRY.format("a.py::*", day(3))
    )
    done = here("quarantine", "check", "--format", "json")
    assert [row["finding"] for row in done.json["findings"]] == ["malformed", "expired"]
    assert done.code == 1
    listed = here("quarantine", "list")
    assert (listed.code, "entry 2" in listed.err) == (0, True)
    path.write_text("schema = 1\n[[")
    assert [here("quarantine", word).code for word in ("list", "check", "prove", "review")] == [
        2
    ] * 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["--owner", "o", "--reason", "r", "--expires", "31d"],
        ["--owner", "o", "--reason", "r", "--expires", "soon"],
        ["--owner", "o", "--reason", "r", "--expires", day(31)],
        ["--owner", "o", "--reason", "r", "--expires", day(-1)],
        ["--owner", " ", "--reason", "r", "--expires", "3d"],
        ["--owner", "o", "--reason", "r", "--expires", "3d", "--variant", "os"],
        ["--owner", "o", "--expires", "3d"],
    ],
)
def test_add_refuses_what_cannot_be(here: Command, tmp_path: Path, arguments: list[str]) -> None:
    assert here("quarantine", "add", "a.py::t", *arguments).code == 2
    assert not (tmp_path / "quarantine.toml").exists()


def test_settings_name_the_file_from_the_projects_root(
    here: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "q.toml").write_text("schema = 1\n" + ENTRY.format("a.py::t", day(3)))
    monkeypatch.chdir(tmp_path / "ci")
    call = ("quarantine", "list", "--format", "json")
    assert here(*call).json["quarantine"] == []
    assert len(here(*call, "--quarantine", "q.toml").json["quarantine"]) == 1
    monkeypatch.setenv("TESTLYTICS_QUARANTINE", "ci/q.toml")
    assert len(here(*call).json["quarantine"]) == 1
    monkeypatch.delenv("TESTLYTICS_QUARANTINE")
    config = tmp_path / "pyproject.toml"
    for table in ("tool.testlytics", "tool.testlytics.quarantine"):
        config.write_text(f'[{table}]\nquarantine = "ci/q.toml"\nstore = "none.duckdb"\n')
        done = here(*call)
        assert len(done.json["quarantine"]) == 1
        assert "none.duckdb" in done.err
    config.write_text("[tool.testlytics.quarantine]\nquarantines = 1\n")
    assert here(*call).code == 2


def test_the_page_works(here: Command, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "quarantine.md").read_text()
    name = "tests/test_shop.py::test_checkout"
    assert here("ingest", *run_files(tmp_path, {name: "PPPPPL" * 2})).code == 0
    calls = re.findall(r"^\$ testlytics (.*)$", page, re.MULTILINE)
    assert len(calls) == 5
    for call in calls:
        done = here(*shlex.split(call))
        assert done.code == 0, done
    first, allowed = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    written = tomllib.loads((tmp_path / "quarantine.toml").read_text())["quarantine"]
    shown = tomllib.loads(first)["quarantine"]
    days = ("since", "expires")
    assert [{**one, **dict.fromkeys(days)} for one in written] == [
        {**one, **dict.fromkeys(days)} for one in shown
    ]
    when = date(2026, 11, 21)
    for text, form in ((first, FORM), (allowed, ALLOWANCES)):
        told = parse(text.encode(), tmp_path, form, when)
        assert (len(told.entries), told.problems) == (1, ())
