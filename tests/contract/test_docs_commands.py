"""Every command, option, variable and setting that a page names is one that there is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from testlytics.cli._commands import OptionNames
from testlytics.cli.main import app
from testlytics.config import settings
from tests.composite import load
from tests.documents import DOCS, ROOT, blocks, calls, pages, spans

ROOT_COMMAND: Any = typer.main.get_command(app)
# It is made of the commands' own help, and a test of its own holds it.
PAGES = [page for page in pages() if page != DOCS / "reference" / "cli.md"]
PLUGIN = "\n".join(path.read_text() for path in (ROOT / "plugins").rglob("src/**/*.py"))
SCRIPTS = "\n".join(path.read_text() for path in (ROOT / "scripts").rglob("*.py"))
CODE = PLUGIN + "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
# Options of pytest and its plugins of which our pages speak.
FOREIGN = {
    *("--deselect", "--junitprefix", "--last-failed", "--lf", "--maxfail", "--rootdir"),
    *("--dist", "--max-worker-restart"),
    *("--group", "--num-shards", "--shard-id", "--splits"),
}


def found(arguments: list[str]) -> tuple[Any, list[str]]:
    """Return the command that is meant and what it is given; a LookupError where there is none."""
    command, rest = ROOT_COMMAND, list(arguments)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def options(command: Any) -> set[str]:  # noqa: ANN401 - Typer does not export their class
    return {"-h", "--help"} | {one for part in command.params for one in part.opts}


def wrong(arguments: list[str]) -> str | None:
    """Say what is wrong with a call as it is typed; nothing is run."""
    try:
        command, rest = found(arguments)
        if command is not ROOT_COMMAND:
            command.make_context(command.name, rest)
    except KeyError as error:
        return f"no command {error}"
    except Exception as error:  # noqa: BLE001 - Typer does not export the class of its errors
        return str(error) or type(error).__name__
    return None


def wrong_words(arguments: list[str]) -> str | None:
    """Say what is wrong with a call that is told rather than typed: `prune ... --compact`."""
    words = [word.strip("[]…") for word in arguments if word not in {"...", "…"}]
    try:
        command, rest = found(words)
    except KeyError as error:
        return f"no command {error}"
    named = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    unknown = sorted(named - options(command))
    return f"no option {', '.join(unknown)}" if unknown else None


def typed(page: Path) -> Iterator[list[str]]:
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language:
            yield from calls("testlytics", block.text)


def told(page: Path) -> Iterator[list[str]]:
    text = page.read_text(encoding="utf-8")
    for part in (*spans(text), *(one.text for one in blocks(text) if not one.language)):
        yield from calls("testlytics", part)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_call_is_understood(page: Path) -> None:
    faults = [(one, fault) for one in typed(page) if (fault := wrong(one))]
    faults += [(one, fault) for one in told(page) if (fault := wrong_words(one))]
    assert faults == []


def test_calls_are_found() -> None:
    assert sum(1 for page in PAGES for _ in typed(page)) >= 50
    assert sum(1 for page in PAGES for _ in told(page)) >= 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ testlytics ingest  # all", [["ingest"]]),
        ("  - run: testlytics gate --summary s.md > a || b", [["gate", "--summary", "s.md"]]),
        ("pytest; testlytics ingest; testlytics gate", [["ingest"], ["gate"]]),
        ("if true; then .venv/bin/testlytics runs 2>&1; fi", [["runs"]]),
        ("testlytics \\\n  runs --last 3", [["runs", "--last", "3"]]),
        ("pip install testlytics pytest\nkey: testlytics | x", []),
    ],
)
def test_a_call_ends_where_the_shell_ends_it(text: str, expected: list[list[str]]) -> None:
    assert calls("testlytics", text) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ["reports"],
        ["report", "--flakey"],
        ["report", "--last", "many"],
        ["quarantine", "provoke"],
        ["report", "more"],
        ["explain"],
    ],
)
def test_a_wrong_call_is_seen(arguments: list[str]) -> None:
    assert wrong(arguments)


@pytest.mark.parametrize("arguments", [["prune", "...", "--compress"], ["heal"]])
def test_wrong_words_are_seen(arguments: list[str]) -> None:
    assert wrong_words(arguments)
    assert wrong_words(["prune", "...", "--compact"]) is None


def every_option(command: Any) -> set[str]:  # noqa: ANN401 - as above
    found = options(command)
    for name in getattr(command, "commands", ()):
        found |= every_option(command.commands[name])
    return found


def test_options_that_are_named_alone_are_those_of_some_command() -> None:
    known = every_option(ROOT_COMMAND) | FOREIGN
    named = {
        option
        for page in PAGES
        for span in spans(page.read_text(encoding="utf-8"))
        if span.startswith("--")
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span)
    }
    assert len(named) >= 50
    assert {one for one in named - known if f'"{one}"' not in PLUGIN + SCRIPTS} == set()


def test_options_of_the_plugin_are_there() -> None:
    named = {
        option
        for page in PAGES
        for option in re.findall(r"--(?:no-)?testlytics[a-z-]*", page.read_text(encoding="utf-8"))
    }
    assert len(named) >= 8
    assert {one for one in named if f'"{one}"' not in PLUGIN} == set()


def test_environment_variables_are_there() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"\bTESTLYTICS_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8"))
    }
    assert len(named) >= 15
    assert {one for one in named if one not in CODE} == set()


def test_make_targets_are_there() -> None:
    makefiles = "".join((ROOT / name).read_text() for name in ("Makefile", "Makefile.test.mk"))
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefiles, re.MULTILINE))
    named = {
        target
        for page in (*PAGES, *ROOT.glob("*.md"))
        for target in re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", page.read_text(), re.MULTILINE)
    }
    assert len(named) >= 20
    assert named - targets == set()


def test_files_of_the_repository_are_there() -> None:
    named = {
        name.rstrip("/.")
        for page in (*PAGES, *ROOT.glob("*.md"))
        if page.name != "CHANGELOG.md"
        for name in re.findall(
            r"`((?:scripts|tests/[a-z0-9]+|examples)/[\w./-]+)`", page.read_text()
        )
    }
    # Somebody's own tests, of which examples speak, lie right below `tests/`.
    assert len(named) >= 6
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_inputs_of_the_action_are_there() -> None:
    action = load(ROOT / "action.yml")
    fragments = [
        textwrap.dedent(block.text)
        for page in PAGES
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.language == "yaml" and "testlytics/testlytics@" in block.text
    ]
    given = {
        name
        for text in fragments
        for step in re.split(r"^ *- ", text, flags=re.MULTILINE)
        if "testlytics/testlytics@" in step
        for name in re.findall(r"^ +([a-z-]+): ", step.partition("with:")[2], re.MULTILINE)
    }
    assert (len(fragments) >= 2, bool(given)) == (True, True)
    assert given <= set(action["inputs"])
    page = (DOCS / "how-to" / "ci" / "github.md").read_text(encoding="utf-8")
    inputs, outputs = page.partition("## Inputs")[2].partition("| output |")[::2]
    rows = re.compile(r"^\| `([a-z-]+)` \|", re.MULTILINE)
    assert set(rows.findall(inputs)) == set(action["inputs"])
    assert set(rows.findall(outputs.partition("## ")[0])) == set(action["outputs"])


def configured() -> Iterator[tuple[str, str]]:
    for page in pages():
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language == "toml" and "[tool.testlytics" in block.text:
                yield f"{page.name}:{block.line}", block.text


@pytest.mark.parametrize(
    "text", [text for _, text in configured()], ids=[n for n, _ in configured()]
)
def test_settings_shown_are_settings(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert any(settings(OptionNames(ROOT_COMMAND.commands)).values())
