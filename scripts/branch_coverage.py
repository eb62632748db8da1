"""Run the tests under coverage, and say how much of each package they reach: exit code 0, or 1.

Processes that tests start, fork and stop count as well. What may not be missing is
`[tool.coverage.report] fail_under` in pyproject.toml, in percent of the branches of each package.
Timing is not what is asked here: leave tests/performance out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / ".coverage.d"
_PARTLY = 10
"""How many files are named of a package that is below."""


@dataclass(frozen=True)
class Reached:
    """How much of a package, or of a file, tests reach.

    Attributes:
        name: Package or path.
        lines: Statements, and how many of them ran.
        branches: Ways that a decision may take, and how many of them were taken.
    """

    name: str
    lines: tuple[int, int]
    branches: tuple[int, int]

    @property
    def line_percent(self) -> float | None:
        """Share of the lines that ran, 0 to 100; null without lines."""
        return _percent(*self.lines)

    @property
    def branch_percent(self) -> float | None:
        """Share of the branches that were taken, 0 to 100; null without branches."""
        return _percent(*self.branches)

    @property
    def missing(self) -> int:
        """How many branches were never taken."""
        return self.branches[0] - self.branches[1]


def _percent(all_of_them: int, reached: int) -> float | None:
    return 100 * reached / all_of_them if all_of_them else None


def by_file(report: Mapping[str, Any], package: str) -> list[Reached]:
    """Return the files of a package, those with most missing branches first.

    Args:
        report: What `coverage json` writes.
        package: Name of an import package; its folder is named so.
    """
    files = [
        Reached(
            path,
            (told["summary"]["num_statements"], told["summary"]["covered_lines"]),
            (told["summary"]["num_branches"], told["summary"]["covered_branches"]),
        )
        for path, told in report["files"].items()
        if package in Path(path).parts[:-1]
    ]
    return sorted(files, key=lambda file: (-file.missing, file.name))


def together(package: str, files: Iterable[Reached]) -> Reached:
    """Add the files of a package up."""
    every = list(files)
    lines, branches = (
        (sum(all_of_them for all_of_them, _ in pairs), sum(reached for _, reached in pairs))
        for pairs in ([one.lines for one in every], [one.branches for one in every])
    )
    return Reached(package, lines, branches)


def judged(
    report: Mapping[str, Any], packages: Sequence[str], least: float
) -> tuple[list[str], list[str]]:
    """Say how much of each package is reached.

    Args:
        report: What `coverage json` writes.
        packages: Names of the packages.
        least: Percent of the branches of each package that must be taken.

    Returns:
        The lines of a table, and a line for each package that is below, or of which nothing is
        known.
    """
    lines = [f"{'package':<22}{'lines':>9}{'branches':>10}{'missing':>9}"]
    below: list[str] = []
    for package in packages:
        files = by_file(report, package)
        whole = together(package, files)
        line, branch = whole.line_percent, whole.branch_percent
        if line is None or branch is None:
            below.append(f"{package}: nothing was measured")
            continue
        lines.append(f"{package:<22}{line:>7.1f} %{branch:>8.1f} %{whole.missing:>9}")
        if branch < least:
            worst = ", ".join(f"{one.name} ({one.missing})" for one in files[:_PARTLY])
            below.append(f"{package}: below {least:g} % of the branches; missing: {worst}")
    return lines, below


def _measured(pytest_arguments: Sequence[str]) -> int:
    shutil.rmtree(DATA, ignore_errors=True)
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", *pytest_arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _report() -> dict[str, Any]:
    from coverage import Coverage

    coverage = Coverage(config_file=str(ROOT / "pyproject.toml"))
    coverage.combine(keep=True)
    coverage.save()
    written = DATA / "report.json"
    coverage.json_report(outfile=str(written))
    report: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge; return 0, or 1 where a test failed or too little is reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="judge what was measured last")
    parser.add_argument("pytest", nargs="*", help="what pytest is given, after --")
    given = parser.parse_args(arguments)
    failed = 0 if given.keep else _measured(given.pytest)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = settings["tool"]["coverage"]
    lines, below = judged(_report(), asked["run"]["source_pkgs"], asked["report"]["fail_under"])
    print(*lines, *below, sep="\n", flush=True)
    return 1 if failed or below else 0


if __name__ == "__main__":
    sys.exit(main())
