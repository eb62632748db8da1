"""`testlytics report --html`: one page, safe, small, readable, the same for the same store."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from random import Random

import pytest

from testlytics.report.html import svg
from testlytics.report.render import visible
from tests.command import command
from tests.factories import START_US, attempt, end, header, lines
from tests.factories import history as few
from tests.html_pages import Element, faults, read

KINDS = "PPLPPPLPPPPPLPPPPPPP"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "</style></title></svg><iframe src=//evil.example>",
    "' onmouseover='alert(1)",
    "{{7*7}}{% raw %}&lt;b&gt;",
    "\u202egnp.exe\x1b[31m\x00\u2028",
    "javascript:alert(1)//::[<b>]",
)


def history(folder: Path, names: list[str], runs: int = 24, rest: int = 0) -> None:
    """Flaky, broken, slower and calm tests; every text of a run holds one of the names.

    Args:
        folder: Where to.
        names: At least five.
        runs: How many.
        rest: So many calm tests more, in the first run only.
    """
    (folder / "pyproject.toml").touch()
    dice = Random(4)
    for number in range(runs):
        rows: list[dict[str, object]] = []
        machine = dice.lognormvariate(0, 0.1)
        for at, name in enumerate(names):
            text = names[(at + 1) % len(names)]
            failure = {"type": text, "message": f"{text} {number}", "place": f"{text}:3"}
            slow = at % 10 == 2 and number > runs // 2 + at % 40 - 2
            call_us = machine * (400_000 if slow else 200_000) * dice.lognormvariate(0, 0.02)
            more = {"call_us": int(call_us), "worker": f"gw{at % 2}"}
            letter = KINDS[(number + at) % 20] if at % 5 == 0 else "P"
            letter = "F" if at % 5 == 1 and number > runs - 6 else letter
            if at % 5 == 4 and number % 7 == 3:
                letter = "S"
            if letter in "FL":
                rows.append(attempt(name, "failed", failure=failure) | more)
            if letter in "PL":
                rows.append(attempt(name, attempt=2 if letter == "L" else 1) | more)
            if letter == "S":
                rows.append(attempt(name, "skipped"))
            rows[-1]["markers"] = {"owner": text}
        if number == 0:
            rows += [attempt(f"tests/d{n % 60}/test_x.py::test_{n}") for n in range(rest)]
        head = header(
            number,
            run_id=f"{names[0]}-{number}",
            project=names[1],
            variant={"os": re.sub(r"[,=\s\x00-\x1f]", "", names[2])},
        )
        written = lines(head, *rows, end(len(rows), ended_us=START_US, exit_status=1))
        (folder / f"{number:03}.jsonl").write_bytes(written)
    done = command("ingest", ".", cwd=folder)
    assert done.code == 0, done.err


def page_of(folder: Path, *options: str) -> str:
    done = command("report", "--html", "page.html", *options, cwd=folder)
    assert (done.code, done.out, done.err) == (0, "", "")
    return (folder / "page.html").read_text(encoding="utf-8")


NAMES = [f"tests/shop/test_pay.py::TestPay::test_{n}" for n in range(10)]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calm")
    history(folder, NAMES)
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    history(folder, [*HOSTILE, *(f"tests/<x>/{n}.py::{one}" for n, one in enumerate(HOSTILE[:3]))])
    return folder


def by_heading(root: Element, name: str) -> Element:
    for one in root.all("section"):
        if one.attributes["aria-labelledby"] == name:
            return one
    raise AssertionError(name)


def test_every_list_is_there(calm: Path) -> None:
    root = read(page_of(calm))
    assert faults(root) == []
    for name, shown in (
        ("broken", ["test_1", "test_6", "between"]),
        ("flaky", ["test_0", "test_5", "proven"]),
        ("slower", ["test_2", "Since between"]),
        ("causes", ["failures of 4 tests in", "first seen in"]),
        ("slow", ["tests/shop", "test_2"]),
        ("impact", ["Critical path", "blocked", "test_1"]),
        ("advice", ["Fix tests/shop/test_pay.py::TestPay::test_1", "Quarantine", "Look into"]),
        ("suite", ["tests that got slower", "machine"]),
    ):
        text = by_heading(root, name).text
        assert [part for part in shown if part not in text] == [], name
    tiles = [one.text for one in by_heading(root, "summary").all("li")]
    assert tiles[0].split()[:2] == ["Tests", "10"]
    assert tiles[1].split()[:2] == ["Broken", "2"]
    assert tiles[2].split()[:2] == ["Flaky", "2"]
    assert tiles[3].split()[:2] == ["Slower", "1"]
    assert tiles[4].split()[:2] == ["Retried", "3.3"]
    assert "is much" not in tiles[4]


def test_too_many_retries_are_told(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    made = few(tmp_path, {"a": "PPPPPPLL", "b": "PPPPPPPP"})
    assert command("ingest", *made, cwd=tmp_path).code == 0
    root = read(page_of(tmp_path))
    [tile] = [one for one in by_heading(root, "summary").all("li") if "Retried" in one.text]
    # Two of four in the last quarter of the runs, none in the first.
    assert " ".join(tile.text.split()) == (
        "Retried 50.0 % of tests, 0.0 % before; more than 5 % is much"
    )
    assert tile.attributes["class"] == "bad"


def test_the_numbers_are_those_of_the_lists(calm: Path) -> None:
    told = command("report", "--impact", "--flaky", "--format", "json", cwd=calm).json
    root = read(page_of(calm))
    text = by_heading(root, "advice").text
    assert [row["text"] for row in told["advice"] if row["text"] not in text] == []
    rows = next(by_heading(root, "flaky").all("tbody")).all("tr")
    named = [next(row.all("b")).text for row in rows]
    assert named == [row["test_id"].rpartition("::")[2] for row in told["flaky"]]


def test_strips_tell_each_run(calm: Path) -> None:
    """The cells of a strip are counted from its shapes, and compared with the history's letters."""
    row = next(by_heading(read(page_of(calm)), "flaky").all("tbody")).children[1]
    assert isinstance(row, Element)
    [strip] = row.all("svg")
    name = next(row.all("b")).text
    at = int(name.removeprefix("test_"))
    letters = [KINDS[(number + at) % 20] for number in range(24)]
    title = strip.child("title")
    assert title is not None
    flaky = letters.count("L")
    assert title.text == f"24 runs: {24 - flaky} passed, {flaky} failed and passed"
    [cells] = [one for one in strip.all("g") if one.attributes["class"] == "l"]
    places = [int(path.attributes["d"][1:].split()[0]) // svg.CELL for path in cells.all("path")]
    assert places == [number for number, letter in enumerate(letters) if letter == "L"]
    assert all("failed and passed: 20" in path.text for path in cells.all("path"))


def test_nothing_of_the_data_becomes_an_element(hostile: Path, calm: Path) -> None:
    page = page_of(hostile)
    root = read(page)
    assert faults(root) == []
    # Beside what ids are broken up by, the very same kinds of elements with the same attributes.
    kinds = {(one.tag, *sorted(one.attributes)) for one in root.all()}
    plain = {(one.tag, *sorted(one.attributes)) for one in read(page_of(calm)).all()}
    assert kinds <= plain
    for name in HOSTILE[:4]:
        assert name in root.text
    assert "{{7*7}}" in root.text
    assert visible(HOSTILE[5])[:10] in root.text
    for sign in ("\u202e", "\x1b", "\x00", "\u2028"):
        assert sign not in page


def test_only_its_own_style_and_script_may_be_used(hostile: Path) -> None:
    root = read(page_of(hostile))
    [policy] = [
        one.attributes["content"] for one in root.all("meta") if "http-equiv" in one.attributes
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for tag in ("style", "script"):
        [text] = [one.text for one in root.all(tag)]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert "http:" not in policy + root.text.replace("http-equiv", "")


def test_the_same_store_gives_the_same_bytes(calm: Path) -> None:
    first = page_of(calm)
    assert page_of(calm) == first
    done = command("report", "--format", "html", cwd=calm, env={"PYTHONHASHSEED": "7"})
    assert done.out == first
    # The newest run's time, and no other clock.
    assert set(re.findall(r"20\d\d-\d\d-\d\d", first)) <= {"2026-05-28", "2026-05-29"}


def test_five_thousand_tests_fit_in_half_a_megabyte(tmp_path: Path) -> None:
    names = [f"tests/d{n % 40}/test_of_something_{n % 7}.py::TestIt::test_{n}" for n in range(500)]
    history(tmp_path, names, runs=100, rest=4_500)
    page = page_of(tmp_path)
    root = read(page)
    tiles = [one.text.split()[:2] for one in by_heading(root, "summary").all("li")]
    assert tiles[0] == ["Tests", "5,000"]
    assert [int(tile[1]) for tile in tiles[1:4]] == [100, 100, 50]
    assert len(list(by_heading(root, "flaky").all("svg"))) == 100 + 4
    assert len(page.encode()) < 500_000
    assert faults(root) == []


def test_lists_are_cut_where_the_page_would_be_large(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    kind = "P" * 11 + "LP" + "P" * 11
    names = [f"tests/{'very_long/' * 150}a.py::test_{n}" for n in range(240)]
    made = few(tmp_path, {name: kind[n % 12 :][:12] for n, name in enumerate(names)})
    assert command("ingest", *made, cwd=tmp_path).code == 0
    page = page_of(tmp_path)
    assert len(page.encode()) < 500_000
    flaky = by_heading(read(page), "flaky")
    shown = len(list(flaky.all("svg"))) - 4
    told = command("report", "--flaky", "--format", "json", cwd=tmp_path).json["flaky"]
    assert 0 < shown < len(told)
    assert f"… and {len(told) - shown} more." in flaky.text


def test_the_first_run_of_all(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    text = lines(header(), attempt("a", "skipped"), end(1))
    (tmp_path / "a.jsonl").write_bytes(text)
    assert command("ingest", "a.jsonl", cwd=tmp_path).code == 0
    root = read(page_of(tmp_path))
    assert faults(root) == []
    assert "No flaky tests." in root.text


def test_projects_and_variants_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    for number in range(40):
        project, os_ = ("shop", "billing")[number % 2], ("linux", "mac")[number // 2 % 2]
        failed = project == "shop" and os_ == "mac" and number > 20
        rows = [attempt("a.py::t", "failed" if failed else "passed"), attempt("a.py::u")]
        head = header(number, project=project, variant={"os": os_})
        text = lines(head, *rows, end(2, exit_status=int(failed)))
        (tmp_path / f"{number:02}.jsonl").write_bytes(text)
    assert command("ingest", ".", cwd=tmp_path).code == 0
    root = read(page_of(tmp_path))
    assert faults(root) == []
    assert [one.text.partition(":")[2] for one in root.all("figcaption")] == [
        " billing os=linux",
        " billing os=mac",
        " shop os=linux",
        " shop os=mac",
    ]
    [advice] = by_heading(root, "advice").all("li")
    assert advice.text.startswith("Fix shop: a.py::t (os=mac): broken with 9")


def test_of_one_owner(calm: Path) -> None:
    # The tests name the one behind them as their owner.
    root = read(page_of(calm, "--owner", NAMES[1]))
    assert "test_0" in by_heading(root, "flaky").text
    assert "test_5" not in by_heading(root, "flaky").text
    assert [one.text for one in by_heading(root, "advice").all("li")] != []
    assert faults(root) == []


@pytest.mark.parametrize(
    ("options", "slug"),
    [(["--flaky"], "--flaky"), (["--by", "folder"], "--by")],
)
def test_lists_are_not_asked_for_beside_the_page(calm: Path, options: list[str], slug: str) -> None:
    done = command("report", "--html", "x.html", *options, cwd=calm)
    assert done.code == 2
    assert f"{slug} beside a page" in done.err
    assert not (calm / "x.html").exists()


def test_a_page_that_cannot_be_written(calm: Path) -> None:
    done = command("report", "--html", "no/such/place.html", cwd=calm)
    assert done.code == 3
    assert "Traceback" not in done.err


def test_no_store(tmp_path: Path) -> None:
    done = command("report", "--html", "x.html", cwd=tmp_path)
    assert done.code == 5
    assert not (tmp_path / "x.html").exists()
