"""The page of settings says what the command does with them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.command import command
from tests.documents import DOCS, ROOT

PAGE = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z-]+)`[^|]* \| ([^|]+) \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE)
JUNIT = '<testsuite name="s"><testcase classname="a" name="b" time="1"/></testsuite>'


def test_every_variable_of_the_code_is_on_the_page() -> None:
    # What the plugin says to the processes that it starts is nobody else's.
    own = {"TESTLYTICS_ACTIVE"}
    code = {
        name
        for top in ("app", "collector", "plugins")
        for path in (ROOT / top).rglob("*.py")
        for name in re.findall(r"TESTLYTICS_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r"TESTLYTICS_[A-Z_]*[A-Z]", PAGE)) == code - own


def test_every_key_is_taken_by_the_commands_it_names(tmp_path: Path) -> None:
    examples = {"number": "1", "flag": "true", "list": '["a"]', "text": '"a"'}
    tables: dict[str, dict[str, str]] = {}
    for key, value, names in ROWS:
        form = examples.get(value.partition(",")[0]) or f'"{value.split("`")[1]}"'
        for name in re.findall(r"`([^`]+)`", names):
            tables.setdefault(name.partition(" ")[0], {})[key] = form
    assert len(tables) >= 18
    text = "".join(
        f"[tool.testlytics.{name}]\n" + "".join(f"{key} = {form}\n" for key, form in table.items())
        for name, table in tables.items()
    )
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    done = command("doctor", "--store", "none.duckdb", "--format", "json", cwd=tmp_path)
    assert (done.code, "config-unknown-key" in done.err) == (5, False), done.err
    (tmp_path / "pyproject.toml").write_text(
        f"{text}[tool.testlytics.x]\na = 1\n", encoding="utf-8"
    )
    assert command("doctor", cwd=tmp_path).code == 2


@pytest.mark.parametrize(
    ("options", "variable", "own", "shared", "stored"),
    [
        ("--project a", "b", "c", "d", "a"),
        ("", "b", "c", "d", "b"),
        ("", "", "c", "d", "c"),
        ("", None, None, "d", "d"),
        ("", None, None, None, "default"),
    ],
)
def test_what_wins(
    options: str,
    variable: str | None,
    own: str | None,
    shared: str | None,
    stored: str,
    tmp_path: Path,
) -> None:
    lines = [f'[tool.testlytics]\nproject = "{shared}"\n' if shared else ""]
    lines += [f'[tool.testlytics.ingest]\nproject = "{own}"\n' if own else ""]
    (tmp_path / "pyproject.toml").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "r.xml").write_text(JUNIT, encoding="utf-8")
    env = {} if variable is None else {"TESTLYTICS_PROJECT": variable}
    done = command(
        "ingest", "r.xml", "--store", "s.duckdb", *shlex.split(options), cwd=tmp_path, env=env
    )
    assert done.code == 0, done.err
    query = "select project from runs"
    asked = command("sql", query, "--format", "csv", "--store", "s.duckdb", cwd=tmp_path)
    assert asked.out.split() == ["project", stored]


def test_a_list_in_a_variable_has_spaces_between_its_parts(tmp_path: Path) -> None:
    (tmp_path / "r.xml").write_text(JUNIT, encoding="utf-8")
    env = {"TESTLYTICS_VARIANT": "os=linux browser=firefox"}
    done = command("ingest", "r.xml", "--store", "s.duckdb", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    query = "select variant from verdicts"
    asked = command("sql", query, "--format", "json", "--store", "s.duckdb", cwd=tmp_path)
    assert "browser=firefox,os=linux" in asked.out
