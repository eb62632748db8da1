"""Writes the reference pages that follow from the code, or checks that they are in step.

The command line from its own help, the store's schema from its commented SQL.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from testlytics_collector.store import derived, schema

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
COMMANDS = (
    "",
    "ingest",
    "report",
    "runs",
    "tests",
    "failures",
    "sql",
    "prune",
    "purge",
    "export",
    "merge",
    "doctor",
)
HEAD = """\
<!-- Made by scripts/generate_reference.py; change the code, then run make docs. -->
# The command line

Defaults of options may also stand in `pyproject.toml`, in `[tool.testlytics]` for all commands or
in `[tool.testlytics.<command>]`. A flag wins over an environment variable, that over the table of
the command, that over the shared table.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | findings that block |
| 2 | wrong usage or configuration |
| 3 | could not do it: unreadable input, store in use or unreadable |
| 5 | nothing found to work on |"""
NOTE = "<!-- Made by scripts/generate_reference.py; change the code, then run make docs. -->\n"


def command_page() -> str:
    """Return the page of the command line."""
    blocks = [HEAD]
    for name in COMMANDS:
        arguments = [word for word in ("testlytics", name, "--help") if word]
        shown = subprocess.run(
            [sys.executable, "-m", *arguments], capture_output=True, text=True, check=True
        ).stdout.replace("python -m testlytics", "testlytics")
        blocks.append(
            f"## {' '.join(arguments[:-1])}\n\n```\n$ {' '.join(arguments)}\n{shown.strip()}\n```"
        )
    return "\n\n".join(blocks) + "\n"


def schema_page() -> str:
    """Return the page of the store."""
    about = (
        f"Schema {schema.SCHEMA_VERSION}. One DuckDB file that DuckDB from 1.5.5 on reads while no "
        "`testlytics` is writing.\nBuild on the views; what lies in `raw` may change with any "
        "version."
    )
    views = f"## Public views\n\n```sql{schema.VIEWS}```"
    tables = f"## Tables inside\n\n```sql{schema.TABLES}```"
    follows = f"## What follows from them\n\n```sql{derived.VIEWS}```"
    return f"{NOTE}# The store's schema\n\n{about}\n\n{views}\n\n{tables}\n\n{follows}\n"


def main() -> int:
    """Write the pages, or with --check say which are out of step (exit code 1)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    stale = []
    for name, text in (("cli.md", command_page()), ("store-schema.md", schema_page())):
        path = REFERENCE / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"out of step: {', '.join(stale)}; run: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
