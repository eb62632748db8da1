"""A git history made without git: patches applied to a folder, the folder written as commits.

Only what a small example needs: regular files, one branch, loose objects. What is written is a true
repository, which `git log` and `git status` read like any other.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from email.parser import HeaderParser
from email.utils import parsedate_to_datetime
from hashlib import sha1
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

BRANCH = "refs/heads/main"
IGNORED = frozenset({".git", "__pycache__", ".pytest_cache"})
EMPTY_TREE = bytes.fromhex("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
DIFF_BEGINS = re.compile(r"^---\n(?=--- )", re.MULTILINE)
HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")


class HistoryError(Exception):
    """A patch that cannot be read or does not fit, or a folder that cannot become a commit."""


@dataclass(frozen=True)
class Patch:
    """One commit to be.

    Attributes:
        author: `Name <address>`.
        author_time: Seconds since the Unix epoch.
        message: Subject, and the body below it, if any.
        diff: Unified diff of the files.
    """

    author: str
    author_time: int
    message: str
    diff: str


class _Hunk(NamedTuple):
    start: int
    old: list[str]
    new: list[str]


class _Entry(NamedTuple):
    path: bytes
    blob: bytes


def read_patch(text: str) -> Patch:
    """Read a patch: `From`, `Date` and `Subject`, the body of the message, `---`, the diff.

    Args:
        text: The whole file.

    Raises:
        HistoryError: A header or the line `---` is missing.
    """
    mail = HeaderParser().parsestr(text)
    body, *diff = DIFF_BEGINS.split(str(mail.get_payload()), maxsplit=1)
    missing = [name for name in ("From", "Date", "Subject") if name not in mail]
    if missing or not diff:
        raise HistoryError(f"not a patch: there is no {missing[0] if missing else 'line ---'}")
    return Patch(
        author=mail["From"],
        author_time=int(parsedate_to_datetime(mail["Date"]).timestamp()),
        message="\n\n".join(filter(None, (mail["Subject"], body.strip()))),
        diff=diff[0],
    )


def apply_patch(folder: Path, patch: Patch) -> None:
    """Change the files of a folder; a patch that does not fit exactly changes nothing.

    Args:
        folder: Where the paths of the patch begin, without their `a/` and `b/`.
        patch: May add and change files, not remove them.

    Raises:
        HistoryError: A line of the patch is not what the file has there.
    """
    changed = {}
    for name, hunks in _read_diff(patch.diff).items():
        file = folder / name
        before = _lines(file.read_text(encoding="utf-8")) if file.exists() else []
        changed[file] = _patched(before, hunks, name)
    for file, lines in changed.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _read_diff(diff: str) -> dict[str, list[_Hunk]]:
    files: dict[str, list[_Hunk]] = {}
    hunks: list[_Hunk] = []
    lines = iter(_lines(diff))
    for line in lines:
        if line.startswith("+++ b/"):
            hunks = files.setdefault(line.removeprefix("+++ b/"), [])
        elif match := HUNK.match(line):
            start, old_count, new_count = (int(part or 1) for part in match.groups())
            hunk = _Hunk(start - 1 if old_count else start, [], [])
            while len(hunk.old) < old_count or len(hunk.new) < new_count:
                _add_line(hunk, next(lines, "(the end)"))
            hunks.append(hunk)
        elif not line.startswith("--- "):
            raise HistoryError(f"cannot read this line of a patch: {line!r}")
    return files


def _add_line(hunk: _Hunk, line: str) -> None:
    sign, content = line[:1] or " ", line[1:]
    if sign not in " -+":
        raise HistoryError(f"cannot read this line of a patch: {line!r}")
    if sign != "+":
        hunk.old.append(content)
    if sign != "-":
        hunk.new.append(content)


def _patched(before: list[str], hunks: list[_Hunk], name: str) -> list[str]:
    after: list[str] = []
    position = 0
    for hunk in hunks:
        end = hunk.start + len(hunk.old)
        if hunk.start < position or before[hunk.start : end] != hunk.old:
            raise HistoryError(f"the patch does not fit {name} at line {hunk.start + 1}")
        after += before[position : hunk.start] + hunk.new
        position = end
    return after + before[position:]


def snapshot(
    folder: Path, message: str, *, author: str, author_time: int, parent: str | None = None
) -> str:
    """Commit all files of a folder on the branch `main`; the repository is made if there is none.

    Permissions are not recorded, so that the same files give the same commit on every machine.

    Args:
        folder: The work tree; its repository is in `.git` below it.
        message: Subject line, and a body after an empty line.
        author: `Name <address>`; the committer is the same.
        author_time: Seconds since the Unix epoch, written with the offset of UTC.
        parent: The commit before, None for the first.

    Returns:
        The id of the commit.

    Raises:
        HistoryError: There is something else than files and folders.
    """
    repository = folder / ".git"
    _prepare(repository)
    entries: list[_Entry] = []
    tree = _write_tree(repository, folder, b"", entries)
    header = [f"tree {tree.hex()}"]
    if parent is not None:
        header.append(f"parent {parent}")
    header += [f"{role} {author} {author_time} +0000" for role in ("author", "committer")]
    text = "\n".join([*header, "", message]) + "\n"
    commit = _write_object(repository, b"commit", text.encode()).hex()
    _write_index(repository, entries)
    (repository / BRANCH).write_text(f"{commit}\n", encoding="ascii")
    return commit


def _prepare(repository: Path) -> None:
    for name in ("objects", "refs/heads", "refs/tags"):
        (repository / name).mkdir(parents=True, exist_ok=True)
    (repository / "HEAD").write_text(f"ref: {BRANCH}\n", encoding="ascii")
    (repository / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = false\n\tbare = false\n",
        encoding="ascii",
    )


def _write_tree(repository: Path, folder: Path, prefix: bytes, entries: list[_Entry]) -> bytes:
    rows: list[tuple[bytes, bytes]] = []
    for path in folder.iterdir():
        if path.name in IGNORED:
            continue
        name = path.name.encode()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise HistoryError(f"neither a file nor a folder: {path}")
        if path.is_dir():
            tree = _write_tree(repository, path, prefix + name + b"/", entries)
            # git keeps no empty folders, and sorts a folder as if its name ended with a slash.
            if tree != EMPTY_TREE:
                rows.append((name + b"/", b"40000 " + name + b"\0" + tree))
        else:
            blob = _write_object(repository, b"blob", path.read_bytes())
            rows.append((name, b"100644 " + name + b"\0" + blob))
            entries.append(_Entry(prefix + name, blob))
    return _write_object(repository, b"tree", b"".join(row for _, row in sorted(rows)))


def _write_object(repository: Path, kind: bytes, content: bytes) -> bytes:
    data = kind + b" %d\0" % len(content) + content
    key = sha1(data, usedforsecurity=False)
    path = repository / "objects" / key.hexdigest()[:2] / key.hexdigest()[2:]
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(data))
    return key.digest()


def _write_index(repository: Path, entries: list[_Entry]) -> None:
    """Write what `git status` compares the files with, without times: git then reads the files."""
    parts = [b"DIRC" + struct.pack(">II", 2, len(entries))]
    for path, blob in sorted(entries):
        size_and_times = [0] * 6
        stat = [*size_and_times, 0o100644, 0, 0, 0]
        entry = struct.pack(">10I", *stat) + blob + struct.pack(">H", min(len(path), 0xFFF)) + path
        parts.append(entry + b"\0" * (8 - len(entry) % 8))
    index = b"".join(parts)
    checksum = sha1(index, usedforsecurity=False).digest()
    (repository / "index").write_bytes(index + checksum)
