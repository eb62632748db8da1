"""The history that is written without git, against ids that git gave and against git itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from scripts.git_history import HistoryError, Patch, apply_patch, read_patch, snapshot

if TYPE_CHECKING:
    from pathlib import Path

ADA = "Ada Reed <ada@example.org>"
MONDAY = 1_772_440_800
MESSAGE = "First\n\nWith a body."

PATCH = """\
From: Ada Reed <ada@example.org>
Date: Mon, 02 Mar 2026 08:40:00 +0000
Subject: Say more

In two words.
---
--- a/poem.txt
+++ b/poem.txt
@@ -1,4 +1,5 @@
 one
-two
+two and
+a half

 three
@@ -7 +8,2 @@
 six
+seven
--- /dev/null
+++ b/new/file.txt
@@ -0,0 +1,3 @@
+first
+
+third
"""
POEM = "one\ntwo\n\nthree\nfour\nfive\nsix\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files whose order in a tree is not the order of their names."""
    folder = tmp_path / "work tree"
    (folder / "a").mkdir(parents=True)
    (folder / "b" / "c").mkdir(parents=True)
    (folder / "a" / "x.txt").write_text("one\n")
    (folder / "b" / "c" / "empty").write_text("")
    (folder / "a.b").write_text("two\n")
    (folder / "a-b").write_text("three\n")
    (folder / "hö.txt").write_text("hö\n", encoding="utf-8")
    return folder


def git(folder: Path, *arguments: str) -> str:
    if shutil.which("git") is None:
        pytest.skip("there is no git on this machine")
    nobody = {"HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    command = ["git", "-c", f"safe.directory={folder}", *arguments]
    result = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **nobody},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


class TestSnapshot:
    def test_the_id_is_the_one_that_git_gives(self, folder: Path) -> None:
        commit = snapshot(folder, MESSAGE, author=ADA, author_time=MONDAY)
        assert commit == "2f4c1796a05ddaf85d91b998bdc60114029fdd2d"
        assert (folder / ".git" / "refs" / "heads" / "main").read_text() == f"{commit}\n"
        assert (folder / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"

    def test_caches_empty_folders_and_permissions_do_not_count(self, folder: Path) -> None:
        bare = snapshot(folder, MESSAGE, author=ADA, author_time=MONDAY)
        (folder / "a" / "__pycache__").mkdir()
        (folder / "a" / "__pycache__" / "x.pyc").write_bytes(b"\0")
        (folder / "nothing" / "here").mkdir(parents=True)
        (folder / "a.b").chmod(0o755)
        assert snapshot(folder, MESSAGE, author=ADA, author_time=MONDAY) == bare

    @pytest.mark.parametrize(
        "change", ["content", "message", "author", "author_time", "parent"], ids=str
    )
    def test_everything_else_counts(self, folder: Path, change: str) -> None:
        first = snapshot(folder, MESSAGE, author=ADA, author_time=MONDAY)
        if change == "content":
            (folder / "a.b").write_text("2\n")
        second = snapshot(
            folder,
            "Second" if change == "message" else MESSAGE,
            author="Tomas Lind <tomas@example.org>" if change == "author" else ADA,
            author_time=MONDAY + (change == "author_time"),
            parent=first if change == "parent" else None,
        )
        assert second != first

    def test_a_link_is_refused(self, folder: Path) -> None:
        (folder / "link").symlink_to("a.b")
        with pytest.raises(HistoryError, match=r"neither a file nor a folder: .*link"):
            snapshot(folder, MESSAGE, author=ADA, author_time=MONDAY)

    def test_git_finds_nothing_to_complain_about(self, folder: Path) -> None:
        first = snapshot(folder, MESSAGE, author=ADA, author_time=MONDAY)
        (folder / "a" / ("long" * 50)).write_text("new\n")
        (folder / "a.b").unlink()
        snapshot(folder, "Second", author=ADA, author_time=MONDAY + 60, parent=first)
        assert git(folder, "fsck", "--strict", "--full", "--no-dangling") == ""
        assert git(folder, "log", "--format=%an|%ae|%ct|%s|%b") == (
            f"Ada Reed|ada@example.org|{MONDAY + 60}|Second|\n"
            f"Ada Reed|ada@example.org|{MONDAY}|First|With a body.\n\n"
        )
        assert git(folder, "log", "-1", "--name-status", "--format=").splitlines() == [
            "D\ta.b",
            f"A\ta/{'long' * 50}",
        ]

    def test_git_sees_changes_and_only_changes(self, folder: Path) -> None:
        snapshot(folder, MESSAGE, author=ADA, author_time=MONDAY)
        assert git(folder, "status", "--porcelain") == ""
        (folder / "a.b").write_text("TWO\n")
        assert git(folder, "status", "--porcelain") == " M a.b\n"


class TestPatch:
    def test_headers_message_and_diff(self) -> None:
        patch = read_patch(PATCH)
        assert patch.author == ADA
        assert patch.author_time == MONDAY
        assert patch.message == "Say more\n\nIn two words."
        assert patch.diff.startswith("--- a/poem.txt\n")

    def test_a_message_without_a_body(self) -> None:
        assert read_patch(PATCH.replace("In two words.\n", "")).message == "Say more"

    @pytest.mark.parametrize("missing", ["From", "Date", "Subject"])
    def test_a_missing_header_is_named(self, missing: str) -> None:
        lines = [line for line in PATCH.splitlines(keepends=True) if not line.startswith(missing)]
        with pytest.raises(HistoryError, match=f"there is no {missing}"):
            read_patch("".join(lines))

    def test_a_mail_without_a_diff_is_refused(self) -> None:
        with pytest.raises(HistoryError, match="there is no line ---"):
            read_patch(PATCH.partition("---")[0])

    def test_files_are_changed_and_added(self, tmp_path: Path) -> None:
        (tmp_path / "poem.txt").write_text(POEM)
        apply_patch(tmp_path, read_patch(PATCH))
        expected = "one\ntwo and\na half\n\nthree\nfour\nfive\nsix\nseven\n"
        assert (tmp_path / "poem.txt").read_text() == expected
        assert (tmp_path / "new" / "file.txt").read_text() == "first\n\nthird\n"

    def test_git_applies_it_alike(self, tmp_path: Path) -> None:
        ours, theirs = tmp_path / "ours", tmp_path / "theirs"
        for folder in (ours, theirs):
            folder.mkdir()
            (folder / "poem.txt").write_text(POEM)
        apply_patch(ours, read_patch(PATCH))
        (tmp_path / "diff").write_text(read_patch(PATCH).diff)
        git(theirs, "apply", str(tmp_path / "diff"))
        for name in ("poem.txt", "new/file.txt"):
            assert (ours / name).read_text() == (theirs / name).read_text()

    def test_a_patch_that_does_not_fit_changes_nothing(self, tmp_path: Path) -> None:
        moved = POEM.replace("six", "6")
        (tmp_path / "poem.txt").write_text(moved)
        with pytest.raises(HistoryError, match=r"does not fit poem\.txt at line 7"):
            apply_patch(tmp_path, read_patch(PATCH))
        assert (tmp_path / "poem.txt").read_text() == moved
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(
        "diff",
        [
            "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n one\n",
            "--- a/x\n+++ b/x\n@@ -1 +1 @@\n one\n\\ No newline at end of file\n",
            "--- a/x\n+++ b/x\nBinary files differ\n",
        ],
    )
    def test_what_is_not_understood_is_refused(self, tmp_path: Path, diff: str) -> None:
        (tmp_path / "x").write_text("one\n")
        with pytest.raises(HistoryError, match="cannot read this line"):
            apply_patch(tmp_path, Patch(ADA, MONDAY, MESSAGE, diff))
