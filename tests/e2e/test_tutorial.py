"""The tutorial, and the how-tos with an example of their own, done as they are written.

Blocks whose first line is a comment with a file's name are that file; blocks `console` are run, all
of a page in one shell and one empty folder. The tutorial's block `sh` is not: it installs from the
package index.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.documents import DOCS, ROOT, Step, agrees, blocks, steps

TUTORIAL = DOCS / "tutorial.md"
JOURNEYS = [
    TUTORIAL,
    *(DOCS / "how-to" / f"{name}.md" for name in ("monorepo", "shards", "archive-branch")),
]
FILES = {"python", "toml"}


def script(page: str, folder: Path) -> tuple[str, list[Step]]:
    """Return the page as a shell script that leaves what each step says in files of a folder."""
    lines: list[str] = []
    session: list[Step] = []
    for block in blocks(page):
        named = re.match(r"# (\S+)\n", block.text)
        if block.language in FILES and named:
            path = shlex.quote(named[1])
            lines.append(f"mkdir -p $(dirname {path}); cat > {path} <<'END OF FILE'")
            lines.append(f"{block.text}END OF FILE")
        elif block.language == "console":
            for step in steps(block):
                kept = shlex.quote(str(folder / str(len(session))))
                lines.append(f"{{ {step.command}\n}} > {kept} 2>&1; echo $? > {kept}.code")
                session.append(step)
    return "\n".join(lines), session


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", JOURNEYS, ids=lambda page: page.stem)
def test_every_step_does_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    kept, work = tmp_path / "kept", tmp_path / "work"
    kept.mkdir()
    work.mkdir()
    text, session = script(page.read_text(encoding="utf-8"), kept)
    person = {
        f"GIT_{who}_{what}": "reader@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    subprocess.run(
        ["bash", "-c", text],
        cwd=work,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(tmp_path / "nobody"),
            "LC_ALL": "C.UTF-8",
            # A reader has no other plugins; one of ours shuffles, and all of them take time.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "pytest_testlytics,xdist.plugin",
            **person,
        },
        check=True,
        timeout=200,
    )
    assert sum(bool(step.shown) for step in session) >= 3
    for number, step in enumerate(session):
        printed = (kept / str(number)).read_text(encoding="utf-8")
        told = f"{page.name}:{step.line}: $ {step.command}\n{printed}"
        assert int((kept / f"{number}.code").read_text()) == step.code, told
        assert not step.shown or agrees(step.shown, printed), told


def test_what_is_installed_are_the_two_distributions() -> None:
    names = {
        tomllib.loads((ROOT / path).read_text(encoding="utf-8"))["project"]["name"]
        for path in ("pyproject.toml", "plugins/pytest-testlytics/pyproject.toml")
    }
    [block] = [one for one in blocks(TUTORIAL.read_text(encoding="utf-8")) if one.language == "sh"]
    [line] = [line for line in block.text.splitlines() if line.startswith("pip install ")]
    assert set(line.split()[2:]) == names


@pytest.mark.parametrize(
    ("shown", "printed", "is_so"),
    [
        ("3 passed in ...", "3 passed in 0.02s\n", True),
        ("3 passed in ...", "2 passed in 0.02s\n", False),
        ("3 passed in ...", "3 passed in 0.02s\nmore\n", False),
        ("...\nlast", "first\nsecond\nlast \n", True),
        ("...\nlast", "last\n", True),
        ("first\n...", "first\n", True),
        ("first\n...", "before\nfirst\n", False),
        ("a ... c", "a b\nc\n", False),
        ("runs  took\n   3   ...", "runs    took\n   3  22 ms\n", True),
        ("runs  took", "runstook\n", False),
        ("60 % (.*)", "60 % of all\n", False),
    ],
)
def test_what_is_shown_is_compared(shown: str, printed: str, is_so: bool) -> None:
    assert agrees(tuple(shown.split("\n")), printed) is is_so
