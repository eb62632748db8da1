"""The one repair: what XML forbids and tools write all the same, without a guess at content.

Control characters (colours of a terminal, mostly) become U+FFFD; what stands before the first tag
and after the last one is cut off. Nothing else is touched, so no testcase can be won or lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_HEAD = 1 << 16

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]{1,8})|(\d{1,10}));")
_UNFINISHED = re.compile(r"&(?:#[0-9a-fA-FxX]{0,11})?\Z")
_DECLARATION = re.compile(r"<\?xml\s[^>]{0,300}\?>")
_ROOT = re.compile(r"<(?:[\w.-]+:)?test(?:suites?|case)\b")
_PROLOG = re.compile(r"(?:\s+|<!--.*?-->|<\?(?!xml\s).*?\?>)*", re.DOTALL)
_ANOTHER = re.compile(r"<\?xml\s|<(?:[\w.-]+:)?test(?:suites?|case)\b")


class Repair:
    """Repairs one document on its way in.

    Attributes:
        characters: How many control characters and references to such were replaced.
        before: How many characters of junk were cut off before the document.
        after: How many after it.
    """

    __slots__ = ("after", "before", "characters")

    def __init__(self) -> None:
        self.characters = 0
        self.before = 0
        self.after = 0

    def text(self, pieces: Iterable[str]) -> Iterator[str]:
        """Repair a document's text.

        Args:
            pieces: The text, cut anywhere.

        Yields:
            The repaired text. The first piece holds all of the document's first 64 Ki characters.
        """
        held = ""
        head = True
        for piece in pieces:
            held += piece
            if head and len(held) < _HEAD:
                continue
            ready, held = self._split(held)
            yield self._clean(self._from_root(ready) if head else ready)
            head = False
        yield self._clean(self._from_root(held) if head else held)

    def is_trailing_junk(self, text: str) -> bool:
        """Take a piece of what follows the document; False where it may be another document."""
        self.after += len(text.strip())
        return _ANOTHER.search(text) is None

    def summary(self) -> str | None:
        """Say what was repaired, or None where nothing was."""
        done = [
            what
            for n, what in (
                (self.characters, f"{self.characters} control characters became U+FFFD"),
                (self.before, f"{self.before} characters before it were cut off"),
                (self.after, f"{self.after} characters after it were cut off"),
            )
            if n
        ]
        return (
            f"The document was not well-formed and was repaired: {', '.join(done)}."
            if done
            else None
        )

    @staticmethod
    def _split(text: str) -> tuple[str, str]:
        unfinished = _UNFINISHED.search(text, max(len(text) - 14, 0))
        return (text[: unfinished.start()], unfinished[0]) if unfinished else (text, "")

    def _clean(self, text: str) -> str:
        text, characters = _FORBIDDEN.subn(REPLACEMENT, text)
        self.characters += characters
        return _REFERENCE.sub(self._legal, text)

    def _legal(self, reference: re.Match[str]) -> str:
        code = int(reference[1], 16) if reference[1] else int(reference[2])
        legal = code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0x10FFFF
        if legal and code not in (0xFFFE, 0xFFFF):
            return reference[0]
        self.characters += 1
        return REPLACEMENT

    def _from_root(self, text: str) -> str:
        text = text.removeprefix("\ufeff")
        declaration = _DECLARATION.match(text)
        prolog = _PROLOG.match(text, declaration.end() if declaration else 0)
        if prolog is None or _ROOT.match(text, prolog.end()):
            return text
        root = _ROOT.search(text, prolog.end())
        if root is None or "<!DOCTYPE" in text[: root.start()]:
            return text
        declaration = _DECLARATION.search(text, 0, root.start())
        kept = declaration[0] if declaration else ""
        self.before = root.start() - len(kept)
        # Lines keep their numbers, so that a later message points into the file as it is.
        lines = text.count("\n", 0, root.start()) - kept.count("\n")
        return kept + "\n" * lines + text[root.start() :]
