"""What may stand in a quarantine file, and what it does to reports."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_testlytics import quarantine_file
from pytest_testlytics.defused import REAL_OUTCOME, as_it_was
from pytest_testlytics.quarantine import Quarantine, family_of
from pytest_testlytics.quarantine_file import Entry, read_quarantine, today

GOOD = {
    "test": '"t.py::test_a"',
    "owner": '"team"',
    "reason": '"races"',
    "expires": "2026-12-01",
}


@pytest.fixture(autouse=True)
def november(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be 2026-11-15: second 1,794,700,800, by `date -u -d 2026-11-15 +%s`."""
    monkeypatch.setattr(quarantine_file, "REAL_CLOCKS", (lambda: 1_794_700_800.0, None))


def write(path: Path, *entries: dict[str, str], head: str = "schema = 1\n") -> str:
    lines = [head]
    for entry in entries:
        lines += ["[[quarantine]]", *(f"{key} = {value}" for key, value in entry.items())]
    file = path / "quarantine.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return str(file)


def test_entry_is_read(tmp_path: Path) -> None:
    more = {"issue": '"https://x"', "since": "2026-11-01", "variant": '{ os = "windows" }'}
    reviewed = read_quarantine(write(tmp_path, GOOD, {**GOOD, **more}))
    plain = Entry("t.py::test_a", "team", "races", "2026-12-01", {})
    assert reviewed == ((plain, plain._replace(variant={"os": "windows"})), ())


@pytest.mark.parametrize(
    ("slip", "why"),
    [
        ({"varient": '{ os = "windows" }'}, "unknown key 'varient'"),
        ({"test": "3"}, "test is not a string"),
        ({"test": '" "'}, "test is not a string"),
        ({"test": '"t.py::test_*"'}, "test is a pattern; name each test"),
        ({"owner": '""'}, "owner is not a string"),
        ({"reason": "[]"}, "reason is not a string"),
        ({"expires": '"2026-12-01"'}, "expires is not a date without quotes"),
        ({"expires": "2026-12-01T00:00:00Z"}, "expires is not a date without quotes"),
        ({"since": "2026-12-02"}, "expires before since"),
        ({"since": "2026-10-31"}, "expires more than 30 days after since"),
        ({"expires": "2026-12-16"}, "more than 30 days from today, and there is no since"),
        ({"since": "2026-12-17", "expires": "2027-01-16"}, "and since is yet to come"),
        ({"variant": '"windows"'}, "variant is not a table of strings"),
        ({"variant": "{ python = 3.11 }"}, "variant is not a table of strings"),
    ],
)
def test_entry_with_a_slip_is_left_out_and_named(
    tmp_path: Path, slip: dict[str, str], why: str
) -> None:
    reviewed = read_quarantine(write(tmp_path, GOOD, {**GOOD, **slip}))
    assert len(reviewed.entries) == 1
    (problem,) = reviewed.problems
    assert problem.startswith("quarantine.toml, entry 2")
    assert why in problem
    assert problem.endswith("; entry ignored")
    assert "\n" not in problem


@pytest.mark.parametrize("key", GOOD)
def test_entry_without_a_key_is_left_out(tmp_path: Path, key: str) -> None:
    lacking = {name: value for name, value in GOOD.items() if name != key}
    reviewed = read_quarantine(write(tmp_path, lacking))
    assert reviewed.entries == ()
    assert f"{key} is missing" in reviewed.problems[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"schema = 1\n[[quarantine]\n", "quarantine.toml: "),
        (b"\xff\xfe", "utf-8"),
        (b"", "schema = 1 is missing"),
        (b"schema = 2\n", "schema = 1 is missing"),
        (b"schema = 1\nquarantine = 3\n", "[[quarantine]] is no list"),
        (b"schema = 1\n#" + b"x" * 1_000_000, "larger than"),
        (b"schema = 1\n" + b"a." * 51 + b"a = 1", "line 2 has more than 50 dots outside of quotes"),
        (b"schema = 1\n#" + b"x" * 4_000, "line 2 is longer than 4000 characters"),
    ],
)
def test_file_with_a_slip_quarantines_nothing(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "quarantine.toml").write_bytes(content)
    reviewed = read_quarantine(str(tmp_path / "quarantine.toml"))
    assert reviewed.entries == ()
    (problem,) = reviewed.problems
    assert why in problem
    assert problem.endswith("; nothing is quarantined")


def test_other_places_and_contents_are_problems_too(tmp_path: Path) -> None:
    assert "No such file" in read_quarantine(str(tmp_path / "none.toml")).problems[0]
    assert "Is a directory" in read_quarantine(str(tmp_path)).problems[0]
    path = write(tmp_path, GOOD, head="schema = 1\nextra = 1\n")
    assert read_quarantine(path).problems == ("quarantine.toml: unknown key 'extra', ignored",)
    assert len(read_quarantine(path).entries) == 1
    path = write(tmp_path, head="schema = 1\nquarantine = [3]\n")
    assert read_quarantine(path).problems == (
        "quarantine.toml, entry 1: is no table; entry ignored",
    )


@pytest.mark.parametrize(
    "dates", [{"expires": "2026-12-15"}, {"since": "2026-11-16", "expires": "2026-12-16"}]
)
def test_limit_counts_from_today_at_the_latest(tmp_path: Path, dates: dict[str, str]) -> None:
    assert read_quarantine(write(tmp_path, {**GOOD, **dates})).problems == ()


def test_thousand_usual_entries_are_read(tmp_path: Path) -> None:
    usual = {**GOOD, "test": '"tests/unit/shop/test_checkout.py::TestCheckout::test_total[a.b]"'}
    usual["reason"] = '"the clock races the database. See the issue."'
    assert len(read_quarantine(write(tmp_path, *[usual] * 1_000)).entries) == 1_000


def test_dots_in_quotes_are_no_keys(tmp_path: Path) -> None:
    entry = {**GOOD, "reason": f'"{"wait. " * 60}"', "owner": f"'{'.' * 60}'"}
    assert read_quarantine(write(tmp_path, entry)).problems == ()


def test_what_terminals_obey_is_escaped_and_bounded(tmp_path: Path) -> None:
    nasty = {**GOOD, "owner": r'"\u001b[31mred"', "reason": f'"\\u202e{"x" * 3_000}"'}
    (entry,) = read_quarantine(write(tmp_path, nasty)).entries
    assert entry.owner == r"\x1b[31mred"
    assert entry.reason.startswith(r"\u202exxx")
    assert len(entry.reason) == 200
    nasty = {r'"\u001b[2J' + "k" * 300 + '"': "1"}
    (problem,) = read_quarantine(write(tmp_path, {**GOOD, **nasty})).problems
    assert problem.isprintable()
    assert len(problem) < 400


def test_day_comes_from_the_real_clock_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert today() > "2026"
    # 2026-12-01 00:00:00 UTC is second 1,796,083,200, by `date -u -d 2026-12-01 +%s`.
    for second, day in ((1_796_083_199.0, "2026-11-30"), (1_796_083_200.0, "2026-12-01")):
        monkeypatch.setattr(quarantine_file, "REAL_CLOCKS", (lambda at=second: at, None))
        assert today() == day


def test_entry_counts_again_on_the_day_it_expires() -> None:
    entry = Entry("t", "o", "r", "2026-12-01", {})
    days = ("2026-11-30", "2026-12-01", "2026-12-02")
    assert [entry.is_expired(day) for day in days] == [False, True, True]


def test_entry_fits_variants_that_have_all_of_its_keys() -> None:
    entry = Entry("t", "o", "r", "2026-12-01", {"os": "linux", "browser": "lynx"})
    assert entry.fits({"os": "linux", "browser": "lynx", "python": "3.11"})
    assert not entry.fits({"os": "linux", "python": "3.11"})
    assert not entry.fits({"os": "linux", "browser": "w3m"})


@pytest.mark.parametrize(
    ("test_id", "family"),
    [
        ("t.py::test_a", "t.py::test_a"),
        ("t.py::test_a[1]", "t.py::test_a"),
        ("t.py::C::test_a[x]y]", "t.py::C::test_a"),
        ("t.py::test_a[a::b]", "t.py::test_a"),
        ("a[b]/t.py::test_a[1]", "a[b]/t.py::test_a"),
        ("a[b]/t.py::test_a", "a[b]/t.py::test_a"),
        ("t.py::test_a[1", "t.py::test_a[1"),
    ],
)
def test_family_is_what_the_store_calls_family(test_id: str, family: str) -> None:
    assert family_of(test_id) == family


class Reports:
    """Sends reports through a quarantine, as pytest does."""

    def __init__(self, *tests: str, with_groups: bool = False) -> None:
        self.quarantine = Quarantine(dict.fromkeys(tests, "because"), with_groups=with_groups)

    def send(self, test: str, when: str, outcome: str, **more: object) -> pytest.TestReport:
        report = pytest.TestReport(
            nodeid=test,
            location=("t.py", 1, test),
            keywords={},
            outcome=outcome,  # type: ignore[arg-type]
            longrepr=None,
            when=when,  # type: ignore[arg-type]
        )
        report.__dict__.update(more)
        hook = self.quarantine.pytest_runtest_logreport(report)
        next(hook)
        with pytest.raises(StopIteration):
            next(hook)
        return report


@pytest.mark.parametrize("when", ["setup", "call", "teardown", "???"])
def test_failure_becomes_expected_and_can_be_read_back(when: str) -> None:
    reports = Reports("t::a")
    report = reports.send("t::a[1]", when, "failed")
    assert (report.outcome, report.__dict__["wasxfail"]) == ("skipped", "because")
    original = as_it_was(report)
    assert (original.outcome, hasattr(original, "wasxfail")) == ("failed", False)
    assert report.outcome == "skipped"
    assert reports.quarantine.ended == {"t::a[1]": "failed"}


def test_other_tests_and_outcomes_are_left_alone() -> None:
    reports = Reports("t::a")
    assert reports.send("t::ab", "call", "failed").failed
    assert reports.send("t::a", "call", "passed").passed
    assert reports.send("t::a", "call", "rerun").__dict__["outcome"] == "rerun"
    assert not hasattr(reports.send("t::a", "call", "skipped"), "wasxfail")


def test_report_that_a_worker_has_defused_is_only_counted() -> None:
    sent = Reports("t::a").send("t::a", "call", "failed")
    controller = Reports("t::a")
    attached = {key: sent.__dict__[key] for key in ("wasxfail", REAL_OUTCOME)}
    report = controller.send("t::a", "call", "skipped", **attached)
    assert as_it_was(report).outcome == "failed"
    assert controller.quarantine.ended == {"t::a": "failed"}


def test_pass_with_failed_subtests_is_defused_with_them() -> None:
    reports = Reports("t::a")
    assert reports.send("t::a", "call", "failed", context="sub").skipped
    report = reports.send("t::a", "call", "passed")
    assert (report.outcome, as_it_was(report).outcome) == ("skipped", "passed")
    assert reports.send("t::a", "call", "passed").passed


def test_tries_that_are_repeated_do_not_count() -> None:
    reports = Reports("t::a")
    reports.send("t::a", "call", "failed", context="sub")
    reports.send("t::a", "call", "rerun")
    reports.send("t::a", "teardown", "passed")
    reports.send("t::a", "call", "passed")
    reports.send("t::a", "teardown", "passed")
    assert reports.quarantine.ended == {"t::a": "passed"}


def test_group_of_xdist_is_no_part_of_the_test_id() -> None:
    assert Reports("t::a", with_groups=True).send("t::a@g", "call", "failed").skipped
    assert Reports("t::a").send("t::a@g", "call", "failed").failed


def test_report_that_cannot_be_read_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = Reports("t::a")
    monkeypatch.setattr(reports.quarantine, "_take", lambda report: report.nothing)
    assert reports.send("t::a", "call", "failed").failed
    assert "AttributeError" in reports.quarantine.trouble
