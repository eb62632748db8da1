"""Telling one cause of failure from another by what failures say.

A failure's text is normalised: what differs from run to run (numbers, addresses, times, paths,
quoted values) gives way to a placeholder. Equal normalised texts are one fingerprint; nearly equal
ones are one cluster, by the share of characters that must change (as in Kubernetes' Triage, which
takes texts together that differ in less than a tenth).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

_MOST_CHARS = 2_000
_MOST_ROUNDS = 8
_COMPARED_CHARS = 400
_MOST_COMPARED = 400

Key = TypeVar("Key", bound=Hashable)

# One alternative each, tried in this order at each place; none can match the same text in two ways,
# so that no text takes long.
_CHANGING = re.compile(
    r"""
      (?P<ansi>\x1b\[[0-9;]*[A-Za-z])
    | (?P<url>\b[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s'"<>]+)
    | (?P<id>\b[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\b)
    | (?P<time>\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?
        | \b\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\b)
    | (?P<quoted>(?<![A-Za-z0-9])(?:'[^'\n]{0,300}'|"[^"\n]{0,300}"|`[^`\n]{0,300}`))
    | (?P<path>(?<![\w.])(?:[A-Za-z]:\\|\\\\|~?/)[^\s'"<>|:,;()\[\]{}]+)
    | (?P<address>\b0[xX][0-9A-Fa-f]+\b)
    | (?P<hex>\b(?=[A-Fa-f]*\d)(?=\d*[A-Fa-f])[0-9A-Fa-f]{7,}\b)
    | (?P<number>(?<![A-Za-z_])[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?)
    """,
    re.VERBOSE,
)
_PLACEHOLDERS = {
    "ansi": "",
    "url": "<url>",
    "id": "<id>",
    "time": "<time>",
    "quoted": "<text>",
    "path": "<path>",
    "address": "<address>",
    "hex": "<hex>",
    "number": "<n>",
}
_LINE_OF_PLACE = re.compile(r":\d+(?::\d+)?$")
_SPACE = re.compile(r"\s+")


class FailureText(NamedTuple):
    """What is known of one failure.

    Attributes:
        type: Kind of the error, such as the exception's class; None where unknown.
        message: What it says, None likewise.
        place: Where it was raised, `file:line`; None likewise.
    """

    type: str | None = None
    message: str | None = None
    place: str | None = None


class Cluster(NamedTuple, Generic[Key]):
    """Failures with one likely cause.

    Attributes:
        text: Their normalised text, of the commonest fingerprint.
        fingerprints: Those that are in it, the commonest first.
        members: Keys of the failures, in the order given.
    """

    text: str
    fingerprints: tuple[str, ...]
    members: tuple[Key, ...]


def normalise(text: str) -> str:
    """Replace what differs from run to run by placeholders.

    Args:
        text: A failure's message; of a long one only the first 2,000 characters count.

    Returns:
        One line; the same again for its own result.
    """
    text = text[:_MOST_CHARS]
    for _ in range(_MOST_ROUNDS):  # a placeholder can complete what begins before it
        replaced = _CHANGING.sub(_placeholder, text)
        before, text = text, _SPACE.sub(" ", replaced[:_MOST_CHARS]).strip()
        if text == before:
            break
    return text


def _placeholder(found: re.Match[str]) -> str:
    return _PLACEHOLDERS[found.lastgroup or "ansi"]


@lru_cache(maxsize=4_096)
def cause_text(failure: FailureText) -> str:
    """Say in one line what tells a failure's cause from others: type, message, file."""
    place = _LINE_OF_PLACE.sub("", failure.place or "").replace("\\", "/")
    message = normalise(failure.message or "")
    kind = failure.type or ""
    if kind and message.startswith(kind):
        kind = ""
    said = ": ".join(part for part in (kind, message) if part)
    return " @ ".join(part for part in (said, place) if part)


@lru_cache(maxsize=4_096)
def fingerprint(failure: FailureText) -> str:
    """Return 16 hexadecimal digits, equal for equal causes.

    Lines of a place do not count: they move with every change above them.
    """
    return hashlib.blake2b(cause_text(failure).encode(), digest_size=8).hexdigest()


def clusters(
    failures: Iterable[tuple[Key, FailureText]], *, distance: float = 0.1
) -> list[Cluster[Key]]:
    """Group failures by cause.

    Args:
        failures: A key of the caller's for each failure, and what it says.
        distance: Texts are one cause where less than this share of the longer one's characters
            must be changed to make the other, from 0 to 1.

    Returns:
        The largest first; equally large ones by text. Each failure is in one of them.
    """
    by_text: dict[str, list[tuple[int, Key]]] = {}
    prints: dict[str, str] = {}
    for number, (key, failure) in enumerate(failures):
        text = cause_text(failure)
        by_text.setdefault(text, []).append((number, key))
        prints[text] = fingerprint(failure)
    order = sorted(by_text, key=lambda text: (-len(by_text[text]), text))
    made = []
    for texts in _alike(order, distance):
        members = sorted(
            (one for text in texts for one in by_text[text]), key=lambda member: member[0]
        )
        made.append(
            Cluster(
                texts[0],
                tuple(prints[text] for text in texts),
                tuple(key for _, key in members),
            )
        )
    return sorted(made, key=lambda one: (-len(one.members), one.text))


def _alike(texts: Sequence[str], distance: float) -> list[list[str]]:
    """Put each text to the first one that it is alike to; the commonest lead.

    Of very many different texts only the commonest lead: the others stay alone.
    """
    if len(texts) < 2:
        return [[text] for text in texts]
    from rapidfuzz.distance import Levenshtein  # only here: it takes longer than all of a gate

    groups: list[list[str]] = []
    for text in texts:
        for group in groups[:_MOST_COMPARED]:
            apart = Levenshtein.normalized_distance(
                text[:_COMPARED_CHARS], group[0][:_COMPARED_CHARS], score_cutoff=distance
            )
            if apart < distance:
                group.append(text)
                break
        else:
            groups.append([text])
    return groups
