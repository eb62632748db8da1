"""One comment in a pull request for what a gate says: written once, then kept up to date."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from testlytics.gate.markdown import COMMENT_CHARS, as_markdown
from testlytics.gate.render import headline
from testlytics_collector.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from testlytics.gate.findings import GateResult
    from testlytics.github.client import Comment, GitHub

MAX_CHARS = 65_536
"""GitHub refuses a longer one."""

_GAP = "&#8203;"


class Mode(StrEnum):
    """When there is a comment. One that is there is kept up to date in all modes but `off`."""

    ALWAYS = "always"
    CHANGES = "changes"
    FAILURES = "failures"
    OFF = "off"


class Done(StrEnum):
    """What became of the comment."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    NOT_NEEDED = "not needed"


def body_of(result: GateResult, key: str) -> str:
    """Write the comment: a mark that nobody sees, then what the gate says.

    Args:
        result: What to write.
        key: Which of several comments it is.

    Returns:
        At most `MAX_CHARS` characters.

    Raises:
        ConfigError: The key is no name.
    """
    start = f"{_mark(key)}\n"
    most = COMMENT_CHARS
    while most > 1_000:
        text = start + _quiet(as_markdown(result, most=most))
        if len(text) <= MAX_CHARS:
            return text
        most //= 2
    # What surrounds the findings is too long already: only made up input does that.
    return f"{start}## testlytics: {result.verdict}, {headline(result)}\n"


def upsert(github: GitHub, number: int, result: GateResult, key: str, mode: Mode) -> Done:
    """Write the comment, or bring it up to date where it is there.

    Args:
        github: The repository.
        number: Of the pull request.
        result: What the gate says.
        key: Which of several comments of one pull request it is.
        mode: When a new one is written.

    Raises:
        ApiError: GitHub did not take it.
        ConfigError: The key is no name.
    """
    mark = _mark(key)
    if mode is Mode.OFF:
        return Done.NOT_NEEDED
    body = body_of(result, key)
    old = _first(github, number, lambda one: _is_ours(one, mark))
    if old is None:
        if not _worth(result, mode):
            return Done.NOT_NEEDED
        github.add(number, body)
        return Done.CREATED
    if _same(old.body or "", body):
        return Done.UNCHANGED
    github.change(old.id, body)
    return Done.UPDATED


def _mark(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_.])?", key) or "--" in key:
        raise ConfigError(
            f"--key {key!r}: a name of letters, digits, '.', '_' and '-' was expected.",
            slug="comment-key",
            hint="For example: --key linux",
        )
    return f"<!-- testlytics:{key} -->"


def _quiet(text: str) -> str:
    """Keep GitHub from naming people and issues: it looks for them after entities are resolved."""
    return text.replace("&#64;", f"&#64;{_GAP}").replace("&#35;", f"&#35;{_GAP}")


def _first(github: GitHub, number: int, wanted: Callable[[Comment], bool]) -> Comment | None:
    return next((one for one in github.comments(number) if wanted(one)), None)


def _is_ours(one: Comment, mark: str) -> bool:
    """Tell whether a bot wrote it for us; people can write the mark as well."""
    is_bot = one.user is not None and one.user.type == "Bot"
    return is_bot and (one.body or "").startswith(mark)


def _worth(result: GateResult, mode: Mode) -> bool:
    if mode is Mode.ALWAYS:
        return True
    return bool(result.findings if mode is Mode.CHANGES else result.blocking)


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.strip()
