"""What is made of the histories of quarantined tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest

from testlytics import reviewed
from testlytics.quarantine import Looked, Row, Series, checked, listed, proofs, review
from testlytics.quarantine_file import Entry, Reviewed, add_entry
from testlytics_analytics.evidence import Tried
from testlytics_analytics.histories import History, Run
from testlytics_collector.errors import ConfigError
from testlytics_collector.store.watched import Said

TODAY = date(2026, 11, 21)
SINCE = date(2026, 11, 11)


def entry(test: str = "a::t", /, **more: object) -> Entry:
    made = Entry(test, "team", "races", None, SINCE, TODAY + timedelta(days=8), {})
    return made._replace(**more)  # type: ignore[arg-type]


def looked(
    tests: Mapping[str, str], void: tuple[int, ...] = (), said: Mapping[str, str] = {}
) -> Looked:
    """One run a day up to today; what a test said in its failed runs, a letter for each run."""
    runs = max(map(len, tests.values()))
    days = [(TODAY - timedelta(days=runs - 1 - n)).isoformat() for n in range(runs)]
    by_name: dict[str, list[Series]] = {}
    for name, letters in tests.items():
        tries = [(int(letter == "L"), 1) for letter in letters if letter in "FL"]
        texts = said.get(name, "x" * runs)
        spoken = [
            Said(n, "E", texts[n], None) for n, letter in enumerate(letters) if letter in "FL"
        ]
        history = History("p", name, "", list(range(len(letters))), letters)
        for one in reviewed.names(name):
            by_name.setdefault(one, []).append(Series(Tried(history, tries), spoken))
    series = [by_name[name][0] for name in tests]
    told = [Run(f"run-{n}", f"c{n}", f"s{n}") for n in range(runs)]
    return Looked(told, void, days, frozenset(by_name), series, by_name)


def kinds(rows: list[Row]) -> list[tuple[str | None, str]]:
    return [(row["test"], row["finding"]) for row in rows]


def test_runs_count_from_the_first_day_on_and_outages_do_not() -> None:
    letters = "F" * 10 + "PPLFSF?PPPP"
    [row] = listed([entry()], looked({"a::t": letters}), TODAY)
    assert (row["runs"], row["passed"], row["failed"], row["flaky"]) == (9, 6, 2, 1)
    [row] = listed([entry()], looked({"a::t": letters}, (13, 15)), TODAY)
    assert (row["runs"], row["passed"], row["failed"], row["flaky"]) == (7, 6, 0, 1)
    assert row["last_failed_at"] == "2026-11-13"
    [row] = listed([entry(since=None)], looked({"a::t": letters}), TODAY)
    assert row["runs"] == 19  # from 30 days before its end


def test_nearest_to_its_proof_comes_first() -> None:
    tests = {"a::calm": "P" * 30, "a::far": "PPPPL" * 6, "a::near": "PPPPL" * 2 + "P" * 20}
    rows = proofs(looked(tests), list(tests), Path("h.duckdb"))
    assert [row["test_id"] for row in rows] == ["a::near", "a::far", "a::calm"]


@pytest.mark.parametrize(
    ("letters", "texts", "void", "found"),
    [
        ("FPPPPFPPPPPPPFP", "axxxxaxxxxxxxbx", (), True),
        ("FPPPPFPPPPPPPFP", "axxxxaxxxxxxxax", (), False),
        ("PPPPPPPPPPPPPFP", "xxxxxxxxxxxxxbx", (), False),  # nobody knows what it said before
        ("FPPPPFPPPPPPPFP", "axxxxaxxxxxxxbx", (13,), False),
        ("FPPPFPPPPPPPPPP", "axxxbxxxxxxxxxx", (), True),
        ("FPPFPPPPPPPPPPP", "axxbxxxxxxxxxxx", (), False),
    ],
)
def test_what_was_never_said_before_is_news(
    letters: str, texts: str, void: tuple[int, ...], found: bool
) -> None:
    rows = review([entry()], looked({"a::t": letters}, void, {"a::t": texts}), TODAY)
    assert (("a::t", "says something new") in kinds(rows)) is found


def test_review_is_in_the_order_of_what_matters() -> None:
    tests = {"a::good": "P" * 15, "a::bad": "P" * 4 + "F" * 11, "a::t[1]": "P" * 15}
    entries = [
        entry("a::good", expires=TODAY + timedelta(days=7)),
        entry("a::t", expires=TODAY),
        entry("a::bad"),
        entry("a::none"),
    ]
    assert kinds(review(entries, looked(tests), TODAY)) == [
        ("a::t", "expired"),
        ("a::bad", "always fails"),
        ("a::good", "expires soon"),
        ("a::none", "never ran"),
        ("a::good", "always passes"),
        ("a::t", "always passes"),
    ]


def test_one_that_always_fails_among_many_is_enough() -> None:
    tests = {"a::t[1]": "P" * 11, "a::t[2]": "F" * 11}
    [row] = review([entry()], looked(tests), TODAY)
    assert row["text"] == "1 of 2 tests: 11 runs in a row"
    mended = review([entry()], looked({"a::t": "PPPPL" * 3 + "P" * 40}), TODAY)
    assert mended[0]["text"] == "40 runs in a row, which shows that it is mended"
    young = review(
        [entry(since=TODAY - timedelta(days=5))], looked({"a::t": "PPPPL" * 3 + "P" * 6}), TODAY
    )
    assert young[0]["text"].startswith("6 runs in a row, ")
    assert young[0]["text"].endswith(" show it")


def test_check_names_what_must_be_mended_and_nothing_else() -> None:
    entries = (entry(), entry("a::late", expires=TODAY), entry("a::u", variant={"os": "x"}))
    found = looked({"a::t[1]": "PP", "a::late": "PP", "a::u": "PP"})
    assert kinds(checked(Reviewed(entries, ()), found, TODAY)) == [
        ("a::late", "expired"),
        ("a::u", "gone"),
    ]
    assert kinds(checked(Reviewed((), ("wrong",)), None, TODAY)) == [(None, "malformed")]
    assert kinds(checked(Reviewed((entry("b"),), ()), found, TODAY)) == [("b", "unknown")]
    assert kinds(checked(Reviewed((entry("b"),), ()), None, TODAY)) == []


def test_an_entry_that_would_be_read_as_two_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second line of defence: the escaping alone must not be what keeps others out."""
    monkeypatch.setattr(reviewed, "_quoted", lambda text: f'"{text}"')
    more = 'owner = "o"\nreason = "r"\nexpires = 2026-11-22\n[[quarantine]]\ntest = "b'
    with pytest.raises(ConfigError, match="by hand"):
        add_entry(tmp_path / "q.toml", entry(f'a"\n{more}'), TODAY)
    assert list(tmp_path.iterdir()) == []
