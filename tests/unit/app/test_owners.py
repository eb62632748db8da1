"""CODEOWNERS as GitHub and GitLab read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from testlytics.owners import Owners, read_owners

GITHUB = r"""
# a comment
*               @all
*.js            @js # inline
/build/logs/    @doctocat
docs/*          docs@example.com
apps/           @octocat
/scripts/       @a @b
**/logs         @logs
/apps/github
src/**/deep.py  @deep
/with\ space/   @space
[x].py          @brackets not-an-owner
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("tests/test_a.py", ("@all",)),
        ("web/a.js", ("@js",)),
        ("build/logs/x/y", ("@logs",)),
        ("build/logs2", ("@all",)),
        ("docs/a.md", ("docs@example.com",)),
        ("docs/deep/a.md", ("@all",)),
        ("deep/apps/a.py", ("@octocat",)),
        ("./scripts/a.py", ("@a", "@b")),
        ("x/scripts/a.py", ("@all",)),
        ("apps/github/x.py", ()),
        ("src/deep.py", ("@deep",)),
        ("src/a/b/deep.py", ("@deep",)),
        ("with space/a.py", ("@space",)),
        ("a.py", ("@all",)),
    ],
)
def test_last_match_wins(path: str, owners: tuple[str, ...]) -> None:
    assert Owners(GITHUB).of(path) == owners


GITLAB = """
* @default
[Docs][2] @docs-team
docs/
README.md @reader
^[Database] @db
model/db/
!model/db/generated/
[DOCS]
docs/api/ @api
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("a.py", ("@default",)),
        ("docs/a.md", ("@default", "@docs-team")),
        ("README.md", ("@default", "@reader")),
        ("model/db/x.rb", ("@default", "@db")),
        ("model/db/generated/x.rb", ("@default",)),
        ("docs/api/x.md", ("@default", "@api")),
    ],
)
def test_sections_count_apart(path: str, owners: tuple[str, ...]) -> None:
    assert Owners(GITLAB).of(path) == owners


def test_where_the_file_is(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "packages" / "one"
    inner.mkdir(parents=True)
    assert read_owners(inner) is None
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "CODEOWNERS").write_text("* @docs")
    assert (found := read_owners(inner)) is not None
    assert found.of("x") == ("@docs",)
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / "CODEOWNERS").write_bytes(b"* @hub\xff\n")
    assert (found := read_owners(tmp_path)) is not None
