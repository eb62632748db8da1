"""The reviewed files: what they may say, what is appended, and what is refused."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from pathlib import Path

import pytest

from testlytics.gate.allowances import read_allowances, with_allowed
from testlytics.gate.findings import BLOCK, WARN, Finding, GateResult
from testlytics.gate.quarantined import excused_by, with_expired
from testlytics.quarantine_file import Entry, add_entry, read_quarantine, review_quarantine
from testlytics_collector.errors import ConfigError

TODAY = date(2026, 11, 21)
GOOD = {
    "test": '"a.py::t"',
    "owner": '"team"',
    "reason": '"races"',
    "since": "2026-11-20",
    "expires": "2026-12-01",
}
HOSTILE = 'a.py::t["\\\n[[quarantine]]\ntest = "x"\x1b[31m\u202e\x00]'


def entry(test: str = "a.py::t", /, **more: object) -> Entry:
    made = Entry(test, "team", "races", None, TODAY, TODAY + timedelta(days=9), {})
    return made._replace(**more)  # type: ignore[arg-type]


def toml(table: str = "quarantine", /, **changed: str | None) -> str:
    fields = {**GOOD, **changed}
    rows = "".join(f"{key} = {value}\n" for key, value in fields.items() if value is not None)
    return f"schema = 1\n[[{table}]]\n{rows}"


def written(folder: Path, text: str) -> Path:
    path = folder / "q.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_entry_is_read(tmp_path: Path) -> None:
    text = toml(issue='"https://x"', variant='{ os = "windows" }')
    [one] = read_quarantine(written(tmp_path, text), TODAY)
    variant = {"os": "windows"}
    day, last = date(2026, 11, 20), date(2026, 12, 1)
    assert one == Entry("a.py::t", "team", "races", "https://x", day, last, variant)


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ({"owner": None}, "owner is missing"),
        ({"expires": None}, "expires is missing"),
        ({"expires": '"2026-12-01"'}, "expires is '2026-12-01', not a date without quotes"),
        ({"expires": "2026-12-01T00:00:00"}, "not a date"),
        ({"expires": "2026-12-21"}, "expires 2026-12-21, more than 30 days after since 2026-11-20"),
        ({"expires": "2026-12-22", "since": None}, "more than 30 days from today"),
        ({"expires": "2026-11-19"}, "expires 2026-11-19, before since 2026-11-20"),
        ({"since": "2027-11-20", "expires": "2027-11-30"}, "since 2027-11-20 is yet to come"),
        ({"reason": '" "'}, "reason is ' ', not a text"),
        ({"test": '"a.py::*"'}, "test is 'a.py::*', a pattern"),
        ({"variant": "{ os = 1 }"}, "variant is {'os': 1}, not a table of texts"),
        ({"exipres": "2026-12-01"}, "unknown key 'exipres'"),
    ],
)
def test_slip_is_refused_with_file_entry_and_value(
    tmp_path: Path, changed: dict[str, str | None], value: str
) -> None:
    path = written(tmp_path, toml(**changed) + toml().partition("\n")[2])
    with pytest.raises(ConfigError) as refused:
        read_quarantine(path, TODAY)
    assert str(refused.value).startswith(f"{path}, entry 1 (")
    assert value in str(refused.value)
    reviewed = review_quarantine(path, TODAY)
    assert ([one.test for one in reviewed.entries], len(reviewed.problems)) == (["a.py::t"], 1)


@pytest.mark.parametrize("days", [30, 31])
def test_limit_holds_to_the_day(tmp_path: Path, days: int) -> None:
    path = written(tmp_path, toml(since=None, expires=f"{TODAY + timedelta(days=days)}"))
    assert len(review_quarantine(path, TODAY).entries) == (days == 30)
    # A reader who looks a day later has a day more.
    assert len(review_quarantine(path, TODAY + timedelta(days=1)).entries) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "schema = 2\n",
        "schema = 1\nquarantine = 3\n",
        "schema = [",
        "schema = 1\nx = " + "[" * 3_000,
        "schema = 1\n# " + "x" * 5_000,
        "schema = 1\n" + "a." * 60 + "a = 1\n",
        "schema = 1\n" + "#\n" * 200_000,
    ],
)
def test_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=r"q\.toml"):
        review_quarantine(path, TODAY)
    with pytest.raises(ConfigError):
        add_entry(path, entry(), TODAY)
    assert path.read_text() == text


def test_missing_file_is_empty_unless_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_quarantine(None, TODAY) == ()
    assert review_quarantine(None, TODAY) == ((), ())
    for path in (tmp_path / "no.toml", tmp_path):
        with pytest.raises(ConfigError):
            read_quarantine(path, TODAY)
        with pytest.raises(ConfigError):
            review_quarantine(path, TODAY)


@pytest.mark.parametrize("before", [None, "", "# ours\r\n", '[[quarantine]]\ntest = "b"'])
def test_what_is_there_stays_and_the_rest_is_appended(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "q.toml"
    if before is not None:
        rows = toml().partition('test = "a.py::t"\n')[2] if "test" in before else ""
        before = f"schema = 1\n{before}\n{rows}".removesuffix("\n")
        path.write_bytes(before.encode())
    more = {"os": "windows", 'a"] \n': "x"}
    for one in (entry(HOSTILE), entry(), entry(variant=more)):
        add_entry(path, one, TODAY)
    text = path.read_bytes().decode()
    assert text.startswith(before or "schema = 1\n")
    assert not {"\x1b", "\u202e", "\x00"} & set(text)
    tests = [one["test"] for one in tomllib.loads(text)["quarantine"]]
    assert tests == ["b", HOSTILE, "a.py::t", "a.py::t"][before is None or "test" not in before :]
    assert read_quarantine(path, TODAY)[-1] == entry(variant=more)


@pytest.mark.parametrize("day", [TODAY, TODAY + timedelta(days=20)])
def test_what_is_there_already_is_not_appended(tmp_path: Path, day: date) -> None:
    path = tmp_path / "q.toml"
    add_entry(path, entry(), TODAY)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="already") as refused:
        add_entry(path, entry(expires=day + timedelta(days=5), since=day), day)
    assert ("expired" in str(refused.value)) is (day > TODAY)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "more",
    [
        {"expires": TODAY + timedelta(days=31)},
        {"test": "a.py::*"},
        {"test": " "},
        {"test": "x" * 5_000},
        {"test": "a.py::\udcff"},
        {"owner": ""},
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, more: dict[str, object]) -> None:
    path = tmp_path / "q.toml"
    add_entry(path, entry("b.py::t"), TODAY)
    before = path.read_bytes()
    with pytest.raises(ConfigError):
        add_entry(path, entry(**more), TODAY)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["q.toml"]


def result(*findings: Finding) -> GateResult:
    return GateResult("p", "r", None, None, None, True, None, 9, None, None, 0, [], [*findings])


def test_quarantine_excuses_its_tests_in_its_variants_until_its_day() -> None:
    linux = {"os": "linux"}
    why = excused_by([entry("a.py::t"), entry("b.py::t[1]", variant=linux)], TODAY)
    assert why("a.py::t[x-1]", "") == "quarantined until 2026-11-30 (team): races"
    assert why("a.py::t", "os=windows") is not None
    assert why("b.py::t[1]", "os=linux,python=3.13") is not None
    for test, variant in [
        ("b.py::t[1]", "os=windows"),
        ("b.py::t[1]", ""),
        ("b.py::t[2]", "os=linux"),
        ("b.py::t", "os=linux"),
        ("a.py::t2", ""),
        ("a.py", ""),
    ]:
        assert why(test, variant) is None
    assert excused_by([entry()], TODAY + timedelta(days=9))("a.py::t", "") is None


def test_expired_quarantine_is_named_and_its_failures_count() -> None:
    day = TODAY + timedelta(days=9)
    failed = Finding("new-failure", BLOCK, "a.py::t[1]", "", "passed before")
    slower = Finding("slower", BLOCK, "a.py::t", "", "2 s")
    told = with_expired(result(failed, slower), [entry(), entry("b.py::t", expires=TODAY)], day)
    assert told.findings[0].reason == "passed before; its quarantine expired on 2026-11-30"
    assert told.findings[0].level == BLOCK
    assert told.findings[1] == slower
    assert told.notes == ["The quarantine has expired of a.py::t, b.py::t: failures count again."]
    assert with_expired(result(failed), [entry()], TODAY) == result(failed)


ALLOWED = {"kind": '"slower"', "link": '"https://x/7"', "owner": None}


def test_allowance_turns_its_findings_into_warnings(tmp_path: Path) -> None:
    other = toml("allowance", **{**ALLOWED, "kind": '"removed"', "expires": "2026-11-21"})
    text = toml("allowance", **ALLOWED, variant='{ os = "linux" }') + other.partition("\n")[2]
    allowed = read_allowances(written(tmp_path, text), TODAY)
    findings = [
        Finding("slower", BLOCK, "a.py::t[1]", "os=linux", "2 s"),
        Finding("slower", BLOCK, "a.py::t", "os=windows", "2 s"),
        Finding("slower", BLOCK, "b.py::t", "os=linux", "2 s"),
        Finding("removed", BLOCK, "a.py::t", "os=linux", "gone"),
    ]
    told = with_allowed(result(*findings), allowed, TODAY)
    assert [(one.test_id, one.variant, one.level) for one in told.findings] == [
        ("a.py::t", "os=windows", BLOCK),
        ("b.py::t", "os=linux", BLOCK),
        ("a.py::t", "os=linux", BLOCK),
        ("a.py::t[1]", "os=linux", WARN),
    ]
    assert told.findings[-1].reason == "2 s; allowed until 2026-12-01 (https://x/7): races"
    assert told.findings[-1].details["allowance_link"] == "https://x/7"
    assert told.notes == [
        "Allowances have expired and count no more: a.py::t (removed, 2026-11-21)."
    ]
    assert with_allowed(result(*findings), (), TODAY) == result(*findings)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": '"new-failure"'}, "belong into the quarantine"),
        ({"kind": '"systemic"'}, "belong into the quarantine"),
        ({"kind": '"sloower"'}, "Known are: slower, removed, newly-skipped"),
        ({"expires": "2027-02-19"}, "more than 90 days after since 2026-11-20"),
        ({"link": None}, "link is missing"),
        ({"owner": '"x"'}, "unknown key 'owner'"),
    ],
)
def test_allowance_of_what_cannot_be_allowed_is_refused(
    tmp_path: Path, changed: dict[str, str | None], said: str
) -> None:
    path = written(tmp_path, toml("allowance", **{**ALLOWED, **changed}))
    with pytest.raises(ConfigError) as refused:
        read_allowances(path, TODAY)
    assert str(refused.value).startswith(f"{path}, entry 1 ('a.py::t'): ")
    assert said in str(refused.value)


def test_allowance_may_last_90_days(tmp_path: Path) -> None:
    path = written(tmp_path, toml("allowance", **{**ALLOWED, "expires": "2027-02-18"}))
    assert len(read_allowances(path, TODAY)) == 1
