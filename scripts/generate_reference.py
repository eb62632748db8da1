"""Writes the reference pages that follow from the code, or checks that they are in step.

The command line from its own help, the settings from its options, the service from its OpenAPI
document, the store's schema from its commented SQL, the constants of the verdicts from the classes
and functions that hold them.
"""

from __future__ import annotations

import argparse
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import configuration_page
from testlytics.gate.findings import Policy
from testlytics.service import openapi
from testlytics_analytics.confirmation import ErrorRates
from testlytics_analytics.durations.fresh import FreshOptions
from testlytics_analytics.durations.fresh_metrics import FreshMetricOptions
from testlytics_analytics.durations.groups import OnsetOptions
from testlytics_analytics.durations.metrics import MetricOptions
from testlytics_analytics.durations.phases import PhaseOptions
from testlytics_analytics.durations.run_factor import FactorOptions
from testlytics_analytics.durations.segments import SegmentOptions
from testlytics_analytics.durations.separation import OrderOptions
from testlytics_analytics.durations.shift_scan import ScanOptions
from testlytics_analytics.durations.slowdowns import SlowdownOptions
from testlytics_analytics.durations.suite_null import NullOptions
from testlytics_analytics.evidence import outages, systemic_runs
from testlytics_analytics.excuses import ExcuseOptions
from testlytics_analytics.impact import ImpactOptions
from testlytics_analytics.outcome_changes import broken_since
from testlytics_analytics.outcome_priors import Priors
from testlytics_analytics.outcome_verdicts import VerdictOptions
from testlytics_analytics.scopes import ScopeOptions
from testlytics_analytics.status import SimpleRule
from testlytics_analytics.trends import TrendOptions
from testlytics_collector.store import derived, schema

DOCS = Path(__file__).parent.parent / "docs"
REFERENCE = DOCS / "reference"
VERDICTS = DOCS / "explanation" / "verdicts.md"
SLOWDOWNS = DOCS / "explanation" / "slowdowns.md"
GROUPS = DOCS / "explanation" / "regression-groups.md"
GATE = DOCS / "explanation" / "gate.md"
TRENDS = DOCS / "explanation" / "trends.md"
IMPACT = DOCS / "explanation" / "impact.md"
CONSTANTS: dict[Path, tuple[Callable[..., object], ...]] = {
    VERDICTS: (
        VerdictOptions,
        Priors,
        systemic_runs,
        outages,
        broken_since,
        SimpleRule,
        ErrorRates,
    ),
    GROUPS: (OnsetOptions, ScopeOptions, PhaseOptions, SegmentOptions),
    SLOWDOWNS: (SlowdownOptions, FactorOptions, ScanOptions, OrderOptions, NullOptions),
    TRENDS: (TrendOptions, MetricOptions),
    IMPACT: (ImpactOptions,),
    GATE: (ExcuseOptions, FreshOptions, FreshMetricOptions, Policy),
}
BEGIN = (
    "<!-- Constants, made by scripts/generate_reference.py; change the code, run make docs. -->\n"
)
END = "<!-- End of the constants. -->\n"
COMMANDS = (
    "",
    "ingest",
    "report",
    "explain",
    "gate",
    "comment",
    "alerts",
    "quarantine",
    "quarantine add",
    "quarantine list",
    "quarantine check",
    "quarantine prove",
    "quarantine review",
    "runs",
    "tests",
    "failures",
    "sql",
    "serve",
    "serve token create",
    "serve token list",
    "serve token revoke",
    "push",
    "prune",
    "purge",
    "init",
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
        arguments = ["testlytics", *name.split(), "--help"]
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


def _meanings(described: Callable[..., object]) -> dict[str, str]:
    """Return what a docstring says of each attribute or argument."""
    text = inspect.getdoc(described) or ""
    part = re.search(r"(?ms)^(?:Attributes|Args):\n(.*?)(?=^\S|\Z)", text)
    found: dict[str, str] = {}
    name = ""
    for line in part[1].splitlines() if part else ():
        begun = re.match(r" {4}(\w+): (.*)", line)
        if begun:
            name = begun[1]
            found[name] = begun[2]
        elif line.strip():
            found[name] += f" {line.strip()}"
    return found


def _shown(value: object) -> str:
    """Write a constant; long tuples as their parts."""
    if isinstance(value, tuple):
        return ", ".join(
            ":".join(f"{one:g}" for one in part) if isinstance(part, tuple) else f"{part:g}"
            for part in value
        )
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def constants(page: Path) -> str:
    """Return the tables of the constants of the verdicts."""
    blocks = []
    for held in CONSTANTS[page]:
        meanings = _meanings(held)
        rows = [
            f"| `{name}` | {_shown(one.default)} | {meanings[name]} |"
            for name, one in inspect.signature(held).parameters.items()
            if isinstance(one.default, int | float | tuple)
        ]
        if held is VerdictOptions:
            meanings.pop("priors")
        elif held is Priors:
            rows = [
                f"| `{name}` | {_shown(getattr(Priors(), name))} | {meanings[name]} |"
                for name in meanings
            ]
        head = f"`{held.__module__.rpartition('.')[2]}.{held.__name__}`"
        blocks.append(
            "\n".join([head, "", "| constant | value | meaning |", "|---|---|---|", *rows])
        )
    return "\n\n".join(blocks)


def page_with_constants(page: Path) -> str:
    """Return a page on verdicts, with its constants as they are."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{constants(page)}\n\n{END}{after}"


def main() -> int:
    """Write the pages, or with --check say which are out of step (exit code 1)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    stale = []
    pages = {
        REFERENCE / "cli.md": command_page(),
        REFERENCE / "store-schema.md": schema_page(),
        REFERENCE / "http.md": NOTE + openapi.page(),
        REFERENCE / "configuration.md": NOTE + configuration_page.page(),
        **{page: page_with_constants(page) for page in CONSTANTS},
    }
    for path, text in pages.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"out of step: {', '.join(stale)}; run: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
