"""Which lines of Python files differ from the default branch, as git says.

Everything comes from the git program, within a limit of time, and nothing is written. Of the
programs that the repository's configuration names, only the filters of Python files may be run
(`filter.*.clean`, `filter.*.process`): git needs them to compare the working tree, as in `status`.
"""

from __future__ import annotations

import inspect
import os
import re
from typing import Dict, Iterator, List, Optional, Tuple

import pytest

from pytest_testlytics import REAL_CLOCKS
from pytest_testlytics.git import Repository

LIMIT_S = 10.0
_BASES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_BEGINS_BLOCK = re.compile(rb"\s*(?:def|class|async)\b|\s*@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPED = {
    b"a": b"\a",
    b"b": b"\b",
    b"t": b"\t",
    b"n": b"\n",
    b"v": b"\v",
    b"f": b"\f",
    b"r": b"\r",
}
_PLAIN = (
    "--no-literal-pathspecs",
    "-c", "core.fsmonitor=false", "-c", "core.quotepath=off", "-c", "diff.relative=false",
    "-c", "diff.noprefix=false", "-c", "diff.mnemonicprefix=false",
)  # fmt: skip
_PATHS = ":(top,glob)**/*.py"
"""Says how it is to be read, so that `GIT_GLOB_PATHSPECS` and its like do not."""

Spans = Dict[str, List[Tuple[int, int]]]
"""By real path of a file: first and last changed line, both included.

Where lines were only removed, the span ends before it begins: `(8, 7)` is between the two.
"""

WHOLE = (1, 1_000_000_000)


class Unknown(Exception):  # noqa: N818 - what cannot be found out is no error
    """Nobody knows what has changed; the text says why."""


def read_changes(folder: str, base: Optional[str]) -> Spans:
    """Find the lines of Python files that differ from a merge base, untracked files included.

    Args:
        folder: Any folder of the repository.
        base: Branch or commit; None for the default branch.

    Raises:
        Unknown: No repository, no git program, no merge base, or git took too long.
    """
    repository = Repository(folder)
    if not repository.exists:
        raise Unknown("no git repository")
    _, now = REAL_CLOCKS
    deadline = now() + LIMIT_S

    def read(*arguments: str) -> bytes | None:
        answer = repository.read(*arguments, timeout_s=max(0.1, deadline - now()))
        if repository.hangs:
            raise Unknown(f"git took longer than {LIMIT_S:.0f} seconds")
        return answer

    top = read("rev-parse", "--show-toplevel")
    if top is None:
        raise Unknown("git does not answer")
    found = None
    for candidate in [base] if base else _BASES:
        if not candidate.startswith("-"):
            found = found or read("merge-base", "HEAD", candidate)
    if not found:
        with_what = base or "a default branch"
        raise Unknown(f"no merge base with {with_what} (in a shallow clone, fetch more of it)")
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--find-renames", "--text")
    context = ("--unified=0", "--inter-hunk-context=0")
    prefixes = ("--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules")
    commit = found.decode("ascii", "replace").split()[0]
    diff = read(*_PLAIN, "diff", *options, *context, *prefixes, commit, "--", _PATHS)
    new = read(
        *_PLAIN, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", _PATHS
    )
    if diff is None or new is None:
        raise Unknown("git cannot compare")
    files = dict(parse_diff(diff))
    files.update((name, [WHOLE]) for name in new.split(b"\0") if name)
    return _absolute(os.fsdecode(top.rstrip(b"\r\n")), files)


def parse_diff(diff: bytes) -> Iterator[Tuple[bytes, List[Tuple[int, int]]]]:
    """Read the changed lines out of a diff.

    Lines of context are passed over: `GIT_DIFF_OPTS` asks for them whatever the options say.

    Args:
        diff: Of git, with the prefixes `a/` and `b/`.

    Yields:
        Path and changed lines of each file that still exists.
    """
    path: Optional[bytes] = None
    spans: List[Tuple[int, int]] = []
    # Lines of a file have `+` or `-` in front; this one says that its last has no end.
    lines = (line for line in diff.split(b"\n") if not line.startswith(b"\\ "))
    for line in lines:
        hunk = _HUNK.match(line)
        if hunk:
            removed, first, added = (int(part or b"1") for part in hunk.groups())
            spans.extend(_changes_of(lines, removed, first, added))
        elif line.startswith(b"+++ "):
            if path is not None:
                yield path, spans
            path, spans = _path_of(line[4:]), []
    if path is not None:
        yield path, spans


def _changes_of(
    lines: Iterator[bytes], removed: int, first: int, added: int
) -> Iterator[Tuple[int, int]]:
    """Read one hunk, by number of lines: the text of a change may look like a header.

    Args:
        lines: Those that follow the header.
        removed: How many lines it has in the old file, context included.
        first: Its first line in the new file; where it has none there, the line above.
        added: How many lines it has in the new file, context included.

    Yields:
        Changed lines, without context between them.
    """
    here = first if added else first + 1
    begin, texts = here, []
    end = here + added
    while removed > 0 or here < end:
        line = next(lines, None)
        if line is None:
            break
        if line.startswith(b"-"):
            removed -= 1
            texts.append(line)
        elif line.startswith(b"+"):
            here += 1
        else:
            yield from _change(begin, here, texts)
            removed -= 1
            here += 1
            begin, texts = here, []
    yield from _change(begin, here, texts)


def _change(begin: int, end: int, removed: List[bytes]) -> Iterator[Tuple[int, int]]:
    if end > begin:
        yield begin, end - 1
    elif removed:
        yield _gap(begin - 1, removed)


def _gap(before: int, removed: List[bytes]) -> Tuple[int, int]:
    """Return what has changed where lines were only removed.

    Args:
        before: The line above them.
        removed: Each with `-` in front.
    """
    texts = [text[1:] for text in removed if text[1:].strip()]
    if texts and texts[-1].lstrip().startswith(b"@"):
        return before + 1, before + 1  # decorators of what follows
    if texts and texts[0][:1].isspace() and not _BEGINS_BLOCK.match(texts[0]):
        return before, before  # the end of what stands above
    return before + 1, before


def is_changed(item: pytest.Function, spans: Spans) -> bool:
    """Tell whether a line of a test's function has changed, decorators included."""
    function = inspect.unwrap(item.function)
    code = getattr(function, "__code__", None)
    path = os.path.realpath(code.co_filename if code else str(item.path))
    changed = spans.get(path)
    if not changed:
        return False
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError, SyntaxError):
        return True  # which lines are its own cannot be said
    last = first + len(lines) - 1
    return any(begin <= last and end >= first for begin, end in changed)


def _absolute(top: str, files: Dict[bytes, List[Tuple[int, int]]]) -> Spans:
    spans: Spans = {}
    for name, changed in files.items():
        path = os.path.realpath(os.path.join(top, os.fsdecode(name)))
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            continue  # cannot be sent to a worker
        spans[path] = changed
    return spans


def _path_of(text: bytes) -> Optional[bytes]:
    """Read the path behind `+++ `; None for a file that was removed."""
    text = text.rstrip(b"\t\r")  # git ends a path with a blank in it with a tab
    if text == b"/dev/null":
        return None
    if text.startswith(b'"'):
        text = _ESCAPE.sub(_unescape, text.strip(b'"'))
    return text[len(b"b/") :]


def _unescape(found: "re.Match[bytes]") -> bytes:
    text = found.group(1)
    return bytes([int(text, 8)]) if len(text) == 3 else _ESCAPED.get(text, text)
