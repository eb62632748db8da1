"""A renamed test keeps its history where a reviewed file says so, and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from testlytics import api, browse
from testlytics.moved_files import moved_files
from testlytics.renames import add_renames, aliases, read_renames
from testlytics.report import render
from testlytics_analytics.renames import Rename
from testlytics_collector.errors import ConfigError
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from tests.command import command
from tests.factories import history

OTHERS = {"c.py::good": "P" * 14, "c.py::bad": "P" * 11 + "FFF", "c.py::slow": "P" * 14}
LETTERS = {
    "flaky": "PPFPLPPSPPFPPP",
    "broken": "P" * 9 + "FFFFF",
    "steady": "P" * 14,
    "slower": "P" * 14,
}
SECONDS = {
    "slower": [1.0] * 13 + [9.0],
    "steady": [0.5 + n / 50 for n in range(14)],
}


def filled(folder: Path, cuts: list[int], names: list[str]) -> Path:
    """A store in which each test has the names one after the other, from the cuts on."""
    folder.mkdir()
    tests, durations = dict(OTHERS), {}
    for leaf, letters in LETTERS.items():
        starts, ends = [0, *cuts], [*cuts, len(letters)]
        for name, start, stop in zip(names, starts, ends, strict=True):
            kept = "-" * start + letters[start:stop] + "-" * (len(letters) - stop)
            tests[f"{name}::{leaf}"] = kept
            durations[f"{name}::{leaf}"] = SECONDS.get(leaf, [0.1] * len(letters))
    store = folder / "h.duckdb"
    api.ingest(map(str, history(folder, tests, durations)), store)
    return store


def told(store: Path, pairs: tuple[tuple[str, str], ...], last: int | None = None) -> list[object]:
    window = Window(aliases=pairs, last=last)
    found: list[object] = [
        render.as_json(api.report(store, window, sections=sections, limits={"slowest": 3}))
        for sections in ((), api.SECTIONS)
    ]
    found += [browse.list_cases(store, window), browse.list_cases(store, window, "new")]
    return [*found, browse.list_failures(store, window), browse.list_failures(store, window, "new")]


@pytest.mark.parametrize(
    ("cuts", "names"),
    [
        ([4], ["a.py", "b.py::new"]),
        ([10], ["a.py", "b.py::new"]),
        ([3, 9], ["a.py", "d.py", "b.py::new"]),
        ([], ["a.py"]),  # the new name was never seen
    ],
)
def test_report_is_that_of_a_store_that_had_the_new_names_from_the_start(
    tmp_path: Path, cuts: list[int], names: list[str]
) -> None:
    renamed = filled(tmp_path / "renamed", cuts, names)
    always = filled(tmp_path / "always", [], ["b.py::new"])
    pairs = tuple(
        (f"{name}::{leaf}", f"b.py::new::{leaf}")
        for name in names
        for leaf in LETTERS
        if name != "b.py::new"
    )
    for last in (None, 8):
        expected = told(always, (), last)
        assert told(renamed, pairs, last) == expected
        assert told(always, pairs, last) == expected
    plain = api.report(renamed, Window(), sections=["slowest"])
    assert plain != api.report(renamed, Window(aliases=pairs), sections=["slowest"])


def test_facts_stay_as_they_were(tmp_path: Path) -> None:
    store = filled(tmp_path / "x", [4], ["a.py", "b.py::new"])
    before = told(store, ())
    told(store, (("a.py::flaky", "b.py::new::flaky"),))
    assert told(store, ()) == before
    with open_store(store, write=True) as opened:
        assert opened.differences(mend=False) == {}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    history(
        tmp_path,
        {
            "a.py::test_cart": "PFPPFP------",
            "b.py::test_cart": "------PPFPPP",
            "a.py::test_login": "PPPPPP------",
            "a.py::test_log_in": "------PPPPPP",
            "c.py::test_gone": "PPPPPP------",
            "c.py::test_stays": "PPPPPPPPPPPP",
            "c.py::test_young": "PP----------",
            'c.py::test["\\\x1b\u202e]': "PPPP--------",
            'd.py::test["\\\x1b\u202e]': "-----PPPPPPP",
        },
    )
    assert command("ingest", ".", cwd=tmp_path).code == 0
    return tmp_path


def test_renames_are_proposed_written_once_and_followed(project: Path) -> None:
    found = command("tests", "--renames", "--format", "json", cwd=project)
    pairs = {row["old"]: row for row in found.json["renames"]}
    assert found.code == 0
    assert (pairs["a.py::test_cart"]["new"], pairs["a.py::test_login"]["new"]) == (
        "b.py::test_cart",
        "a.py::test_log_in",
    )
    assert not {"c.py::test_gone", "c.py::test_stays", "c.py::test_young"} & set(pairs)
    assert all(0.5 <= row["score"] <= 1 for row in pairs.values())
    assert command("tests", "--renames", "--check", cwd=project).code == 1
    path = project / "testlytics-renames.toml"
    path.write_text('# ours\n[[rename]]\nold = "x"\nnew = "y"')
    done = command("tests", "--renames", "--write", cwd=project)
    assert (done.code, done.err) == (0, f"{path}: 3 renames added\n")
    written = path.read_text()
    assert written.startswith('# ours\n[[rename]]\nold = "x"\nnew = "y"\n\n# 0.')
    assert not {"\x1b", "\u202e"} & set(written)
    assert len(read_renames(path)) == 4
    again = command("tests", "--renames", "--write", cwd=project)
    assert (again.code, path.read_text()) == (0, written)
    assert "No renames." in again.out
    assert command("tests", "--renames", "--check", cwd=project).code == 0
    cases = command("tests", "cart", "--format", "json", cwd=project).json["tests"]
    assert [(row["test_id"], row["runs"], row["failed"]) for row in cases] == [
        ("b.py::test_cart", 12, 3)
    ]
    failed = command("failures", "--format", "json", cwd=project).json["failures"]
    assert [row["test_id"] for row in failed] == ["b.py::test_cart"] * 3
    flaky = command("report", "--flaky", "--format", "csv", cwd=project).out
    assert "b.py::test_cart" in flaky
    assert "a.py::test_cart" not in flaky


def test_nothing_is_proposed_where_no_run_fits(project: Path) -> None:
    assert command("tests", "--renames", "--branch", "x", cwd=project).code == 5
    assert command("tests", "--write", cwd=project).code == 2
    assert command("report", "--renames-file", "none.toml", cwd=project).code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[rename]]\nold = "a"\nnew = "b"\nx = 1', "line 1: the unknown key 'x'"),
        ('owner = "me"', "the unknown key 'owner'"),
        ('[[rename]]\nold = "a"\n', "line 1: old and new were expected"),
        ('[[rename]]\nold = "a"\nnew = 1\n', "old and new were expected"),
        ('\n[[rename]]\nold = "a"\nnew = "a"\n', "line 2: 'a' becomes itself"),
        (
            '[[rename]]\nold="a"\nnew="b"\n[[rename]]\nold="b"\nnew="a"',
            "line 4: 'b' becomes itself",
        ),
        ('[[rename]]\nold="a"\nnew="b"\n[[rename]]\nold="a"\nnew="c"', "line 4: 'a' has two"),
        ('rename = [{old="a", new="b"}, {old="a", new="c"}]', "entry 2: 'a' has two"),
        ("rename = 3", "a rename that is no [[rename]]"),
        ("rename = [3]", "a table with old and new"),
        ("[[", "is no TOML"),
    ],
)
def test_a_file_that_says_what_cannot_be(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as told:
        aliases(path)
    assert words in str(told.value)


def test_renames_of_renames_end_at_the_latest_name(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('rename = [{old="b", new="c"}, {old="a", new="b"}, {old="x", new="c"}]')
    assert aliases(path) == (("b", "c"), ("a", "c"), ("x", "c"))
    with pytest.raises(ConfigError):  # TOML cannot extend such a list
        add_renames(path, [Rename("p", "m", "n", 1.0, "")])
    assert path.read_text().startswith("rename = [")


def test_every_name_can_be_written(tmp_path: Path) -> None:
    name = "".join(map(chr, [*range(256), 0x202E, 0xFFFE, 0x1F600, 0xE0001]))
    path = tmp_path / "r.toml"
    assert add_renames(path, [Rename("p", name, f"{name}2", 0.9, "a\nb = 1")]) == 1
    assert tomllib.loads(path.read_text())["rename"] == [{"old": name, "new": f"{name}2"}]


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_files_that_git_saw_move(tmp_path: Path) -> None:
    assert moved_files(tmp_path) == {}
    git(tmp_path, "init", "-q")
    py = tmp_path / "py"
    (py / "sub").mkdir(parents=True)
    for name in ("a.py", "\u00e9 b.py"):
        (py / name).write_text("\n".join(f"{name} {n}" for n in range(40)))
    for moves in ((), (("a.py", "sub/b.py"),), (("sub/b.py", "c.py"), ("\u00e9 b.py", "d.py"))):
        for old, new in moves:
            (py / old).rename(py / new)
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "-qm", "x")
    assert moved_files(py) == {"a.py": "c.py", "sub/b.py": "c.py", "\u00e9 b.py": "d.py"}
    assert moved_files(tmp_path)["py/a.py"] == "py/c.py"
