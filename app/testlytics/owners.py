"""Who owns a file, as CODEOWNERS says it (GitHub's and GitLab's rules)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PLACES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where the file may be, below the project's root; the first that is there counts."""

LARGEST = 3 << 20
"""Bytes of the file; GitHub ignores larger ones as well."""

_SECTION = re.compile(r"\^?\[(?P<name>[^\]]+)\](?:\[\d+\])?(?P<owners>(?:\s+\S+)*)\s*")
_OWNER = re.compile(r"@\S+|[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True)
class _Rule:
    section: str
    pattern: re.Pattern[str]
    owners: tuple[str, ...]
    excludes: bool = False


class Owners:
    """The rules of one CODEOWNERS file.

    Args:
        text: Its content. Lines that are no rules are left out, as the forges do.
    """

    def __init__(self, text: str) -> None:
        self._rules = list(_rules(text))

    def of(self, path: str) -> tuple[str, ...]:
        """Return the owners of a file.

        Args:
            path: From the root of the sources, with `/`.

        Returns:
            Names as the file writes them, in its order; of each section the last rule that matches
            counts. Empty where there is none, or the rule names nobody.
        """
        path = path.replace("\\", "/").removeprefix("./").lstrip("/")
        found: dict[str, tuple[str, ...]] = {}
        barred: set[str] = set()
        for rule in self._rules:
            if rule.pattern.fullmatch(path):
                if rule.excludes:
                    barred.add(rule.section)
                found[rule.section] = rule.owners
        names = (
            name for section, owners in found.items() if section not in barred for name in owners
        )
        return tuple(dict.fromkeys(names))


class OwnerOf:
    """Who owns a test: its tag `owner`, else whom CODEOWNERS names for its file.

    Args:
        tags: Tags of tests by project and test id.
        owners: The rules; None where there are none.
    """

    def __init__(self, tags: Mapping[tuple[str, str], str], owners: Owners | None) -> None:
        self._tags = tags
        self._owners = owners
        self._of_file: dict[str, str | None] = {}

    def __call__(self, project: str, test_id: str) -> str | None:
        """Return the owner of a test; several with a space between them, None without any."""
        tag = self._tags.get((project, test_id))
        if tag is not None or self._owners is None:
            return tag
        from testlytics_collector.formats.junit_writer import split

        path = split(test_id)[0]
        if not path:
            return None
        if path not in self._of_file:
            self._of_file[path] = " ".join(self._owners.of(path)) or None
        return self._of_file[path]


def is_owned(owner: str | None, name: str) -> bool:
    """Tell whether a name is among the owners; `@`, capitals and small letters do not matter.

    Args:
        owner: As `OwnerOf` gives it.
        name: What is looked for, such as `@team/payments`.
    """
    wanted = name.removeprefix("@").casefold()
    return any(one.removeprefix("@").casefold() == wanted for one in (owner or "").split())


def read_owners(root: Path) -> Owners | None:
    """Read the CODEOWNERS file of a project.

    Args:
        root: The project's folder; those above it are looked at too, up to one with `.git`.

    Returns:
        Its rules; None where there is no readable file.
    """
    for folder in (root, *root.parents):
        for place in PLACES:
            path = folder / place
            try:
                if path.is_file() and path.stat().st_size <= LARGEST:
                    return Owners(path.read_text(encoding="utf-8", errors="replace"))
            except OSError:
                return None
        if (folder / ".git").exists():
            return None
    return None


def _rules(text: str) -> list[_Rule]:
    rules = []
    section = ""
    defaults: tuple[str, ...] = ()
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        head = _SECTION.fullmatch(line)
        if head:
            # GitLab joins sections of the same name, whatever their capitals.
            section, defaults = head["name"].strip().lower(), tuple(head["owners"].split())
            continue
        pattern, *rest = (part for part in re.split(r"(?<!\\)\s+", line) if part)
        owners = []
        for word in rest:
            if word.startswith("#"):
                break
            if _OWNER.fullmatch(word):
                owners.append(word)
        excludes = bool(section) and pattern.startswith("!")
        pattern = pattern[1:] if excludes else pattern
        rules.append(_Rule(section, _compiled(pattern), tuple(owners) or defaults, excludes))
    return rules


def _compiled(pattern: str) -> re.Pattern[str]:
    """Turn a pattern into an expression; `[` and `!` are only themselves, as on GitHub."""
    plain = re.sub(r"\\(.)", r"\1", pattern)
    anchored = "/" in plain.rstrip("/")
    folder = plain.endswith("/")
    body = plain.strip("/")
    parts = re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?)", body)
    wild = {"**/": "(?:[^/]+/)*", "/**": "/.+", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    expression = "".join(wild.get(part, re.escape(part)) for part in parts)
    start = "" if anchored else "(?:.*/)?"
    if folder:
        tail = "/.+"
    elif re.search(r"/\*$", body):
        tail = ""  # `docs/*` is what lies in docs, not what lies deeper
    else:
        tail = "(?:/.+)?"
    return re.compile(f"{start}{expression}{tail}", re.DOTALL)
