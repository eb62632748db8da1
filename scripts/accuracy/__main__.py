"""Measures how often our verdicts are wrong, beside the rules of others on the same histories.

Each part prints its tables; they are kept in a folder, so that parts can be run one by one.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.accuracy import (
    cost,
    duration_weak_spots,
    durations,
    gates,
    installed_rivals,
    outcomes,
    places,
    real_outcomes,
)
from scripts.accuracy.table import Table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "accuracy.md"
PARTS: dict[str, Callable[..., list[Table]]] = {
    "outcomes": outcomes.tables,
    "real-outcomes": real_outcomes.tables,
    "places": places.tables,
    "durations": durations.tables,
    "rivals": installed_rivals.tables,
    "weak-spots": duration_weak_spots.tables,
    "gates": gates.tables,
    "cost": cost.tables,
}
HEAD = """# How often verdicts are wrong

Measured by `make accuracy`, and written by it: `make accuracy UPDATE=1`. Every rule judged the same
histories, whose truth is known: simulated ones, and real durations from which the level shifts were
taken out and into which steps were put ([where they come from](../../tests/data/series/README.md)).
The constants of ours were chosen on other seeds than the ones scored. `make accuracy-rivals`
installs the packages that ours are compared with; without them their rows are missing. How verdicts
are made stands in [verdicts](verdicts.md).
"""


def write_page(parts: Sequence[str], page: Path) -> None:
    """Put the parts below each other."""
    page.write_text("\n\n".join([HEAD.rstrip(), *parts]) + "\n", encoding="utf-8")


def parts_of(text: str) -> dict[str, str]:
    """Return the parts that a page is made of, by name; each begins with its name in a comment."""
    pieces = re.split(r"^<!-- part: ([a-z-]+) -->$", text, flags=re.MULTILINE)
    return {name: told.strip() for name, told in zip(pieces[1::2], pieces[2::2], strict=True)}


def update(folder: Path, page: Path) -> None:
    """Write the page: what is kept in the folder, and of other parts what the page had."""
    told = parts_of(page.read_text(encoding="utf-8")) if page.exists() else {}
    for name in PARTS:
        kept = folder / f"{name}.md"
        if kept.exists():
            told[name] = kept.read_text(encoding="utf-8")
    write_page([f"<!-- part: {name} -->\n\n{told[name]}" for name in PARTS if name in told], page)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.accuracy", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--small", action="store_true", help="a fraction of it, in a minute or two")
    parser.add_argument("--folder", type=Path, default=ROOT / ".benchmarks" / "accuracy")
    parser.add_argument("--update", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        print(f"{name} ...", file=sys.stderr)
        told = "\n\n".join(
            table.markdown() for table in PARTS[name](seeds=given.seeds, small=given.small)
        )
        print(told, end="\n\n", flush=True)
        if not given.small:
            (given.folder / f"{name}.md").write_text(told, encoding="utf-8")
    if given.update:
        update(given.folder, PAGE)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
