"""The pages hold together: an index of all of them, and no link that leads nowhere."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.documents import DOCS, ROOT, pages, prose

INDEX = DOCS / "README.md"
# A target ends at the first bracket; text in brackets may hold code with anything in it.
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(prose(text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def links(page: Path) -> list[str]:
    """Return the targets of a page's links that stay within the repository."""
    return [
        target
        for target in LINK.findall(prose(page.read_text(encoding="utf-8")))
        if not re.match(r"[a-z]+:", target)
    ]


def lost(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    missing = []
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text("utf-8"))):
            missing.append(target)
    return missing


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("*.md")), *pages()[1:]], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert lost(page) == []


def test_a_lost_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text(
        "# One `two`, *three*\n\n## One\n\n## One\n\n```\n# Not\n```\n"
    )
    page = tmp_path / "page.md"
    right = ["other.md#one-two-three", "other.md#one-1", "#here", "https://example.org/#x"]
    wrong = ["other.md#one-2", "other.md#not", "#there", "nowhere.md"]
    page.write_text("# Here\n" + "".join(f"[`a)`]({target})\n" for target in right + wrong))
    assert lost(page) == wrong


def test_the_index_names_every_page_once() -> None:
    named = Counter((DOCS / target.partition("#")[0]).resolve() for target in links(INDEX))
    there = {page.resolve() for page in pages()[1:] if page != INDEX}
    assert {page.relative_to(DOCS) for page in there - set(named)} == set()
    assert [page.name for page in there if named[page] > 1] == []


def test_the_index_is_sorted_into_kinds() -> None:
    kind = ""
    misplaced = []
    for line in INDEX.read_text(encoding="utf-8").splitlines():
        kind = line.removeprefix("## ") if line.startswith("## ") else kind
        for target in LINK.findall(line):
            folder = target.partition("/")[0]
            wanted = {"how-to": "How to", "reference": "Look up", "explanation": "Understand"}
            if folder in wanted and kind != "In your CI" and wanted[folder] != kind:
                misplaced.append(f"{target} under {kind}")
    assert misplaced == []


def test_the_readme_leads_to_the_index_and_the_tutorial() -> None:
    assert {"docs/README.md", "docs/tutorial.md"} <= set(links(ROOT / "README.md"))
