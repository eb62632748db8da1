"""Reads the pages of the documentation: their code blocks, and the sessions shown in them.

A block `console` is a session: `$ ` begins a command, the lines below it are what it prints, and a
comment `# exit code N` behind it says how it ends where that is not 0. In what is printed `...`
stands for any text within a line; alone in a line, for any number of lines. How many spaces there
are does not count: columns are as wide as what stands in them, such as a duration. A command
without lines below it may print anything.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^( *)(`{3,})(\w*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_BEFORE = r"(?:^|[;&|({]|\b(?:run:|then|do|else)\s)[\s$>-]*"
_OPERATOR = re.compile(r"[();<>|&]+")
_CODE = re.compile(r"# exit code (\d+)$")


def pages() -> list[Path]:
    """Return the README and all pages under docs/, sorted by path."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Attributes:
        line: The line of the page on which its text begins, first = 1.
        language: The word behind the fence; empty without one.
        text: What stands between the fences.
    """

    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Step:
    """One command of a session.

    Attributes:
        line: The line of the page on which it stands, first = 1.
        command: As it is typed, its comment included.
        shown: The lines shown below it; empty where nothing is promised.
        code: The exit code that is promised.
    """

    line: int
    command: str
    shown: tuple[str, ...]
    code: int


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [
        Block(text.count("\n", 0, found.start(4)) + 1, found[3], found[4])
        for found in _FENCE.finditer(text)
    ]


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", text)


def steps(block: Block) -> list[Step]:
    """Return the commands of a session, in order.

    Raises:
        ValueError: Something is shown before the first command.
    """
    found: list[Step] = []
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        if line.startswith("$ "):
            code = _CODE.search(line)
            found.append(Step(number, line[2:], (), int(code[1]) if code else 0))
        elif found:
            last = found.pop()
            found.append(Step(last.line, last.command, (*last.shown, line.rstrip()), last.code))
        else:
            raise ValueError(f"line {number}: a session begins with a command")
    return found


def _narrow(line: str) -> str:
    return re.sub(" +", " ", line).rstrip()


def agrees(shown: tuple[str, ...], printed: str) -> bool:
    """Tell whether a command printed what its page shows."""
    pattern = "".join(
        r"(?:[^\n]*\n)*?"
        if line == "..."
        else ".*?".join(re.escape(part) for part in _narrow(line).split("...")) + r"\n"
        for line in shown
    )
    told = "".join(f"{_narrow(line)}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, told) is not None


def calls(program: str, text: str) -> list[list[str]]:
    """Return the arguments of each call of a program in lines of a shell or of a CI's file.

    What stands behind the call (a pipe, a redirection, a further command, a comment) is left out.
    """
    begins = re.compile(rf"{_BEFORE}(?:\S*/bin/)?{program}(?=\s|$)(?!\s*=)", re.MULTILINE)
    joined = re.sub(r"\\\n\s*", " ", text)
    found = []
    for begun in begins.finditer(joined):
        rest = joined[begun.end() :].partition("\n")[0]
        # A number before `>` belongs to the shell.
        words = shlex.shlex(re.sub(r"\d>", ">", rest), posix=True, punctuation_chars=True)
        words.whitespace_split = True
        found.append(list(takewhile(lambda word: not _OPERATOR.fullmatch(word), words)))
    return found


def spans(text: str) -> list[str]:
    """Return what stands in inline code, outside of fenced blocks."""
    return [found[1] for found in re.finditer(r"(?<!`)`([^`\n]+)`(?!`)", prose(text))]
