"""The docs are in step with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from testlytics_analytics.frames import VERDICTS

ROOT = Path(__file__).parents[2]
SOURCES = [path for top in ("app", "collector") for path in (ROOT / top).rglob("*.py")]


def test_reference_pages_follow_from_the_code() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_error_is_documented_and_every_documented_error_exists() -> None:
    pattern = re.compile(r'(?:slug=|default_slug = )"([a-z-]+)"')
    raised = {slug for path in SOURCES for slug in pattern.findall(path.read_text())}
    page = (ROOT / "docs" / "reference" / "messages.md").read_text()
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    bases = {"error", "config", "input", "store", "not-found"}
    assert documented == raised - bases


def test_columns_are_words_of_the_glossary() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    known = set(re.findall(r"`([a-z_]+)`", glossary)) | {"passes", "failures"}
    assert set(VERDICTS) - known == set()


@pytest.mark.parametrize("target", ["demo", "test", "check", "fix", "docs", "build"])
def test_make_help_lists_the_targets(target: str) -> None:
    text = "".join((ROOT / name).read_text() for name in ("Makefile", "Makefile.test.mk"))
    assert re.search(rf"^{target}:.* ## ", text, re.MULTILINE)


def test_no_document_points_nowhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
