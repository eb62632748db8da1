"""Installs the built wheels into an environment of their own and uses them, as a user would.

Proves that nothing of the development environment is needed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITE = """
import pytest

@pytest.mark.parametrize("n", range(3))
def test_it(n):
    assert n != 1
"""


def main() -> int:
    """Install and use the wheels; the first step that fails ends it with exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, default=ROOT / "dist", help="folder of the wheels")
    wheels = sorted(parser.parse_args().wheels.glob("*.whl"))
    if len(wheels) != 2:
        print(f"two wheels were expected, {len(wheels)} found; run: make build", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="testlytics smoke ") as name:
        folder = Path(name)
        venv.create(folder / "env", with_pip=True)
        bin_folder = folder / "env" / "bin"
        (folder / "test_it.py").write_text(SUITE)
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        steps: list[tuple[int, list[str]]] = [
            (0, ["python", "-m", "pip", "install", "-q", *constraints, *map(str, wheels)]),
            (0, ["testlytics", "--help"]),
            (0, ["python", "-m", "pytest", "-p", "pytest_testlytics", "--version"]),
            (1, ["python", "-m", "pytest", "-q", "--testlytics"]),
            (1, ["python", "-m", "pytest", "-q", "--testlytics", "-p", "pytest_testlytics"]),
            (0, ["testlytics", "ingest"]),
            (0, ["testlytics", "report", "--slowest"]),
            (0, ["testlytics", "report", "--html", "report.html"]),
        ]
        clean = {
            key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "TMPDIR"}
        }
        pip = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_"))}
        for expected, (tool, *arguments) in steps:
            print("$", tool, *arguments, flush=True)
            code = subprocess.run(
                [str(bin_folder / tool), *arguments], cwd=folder, env=clean | pip, check=False
            ).returncode
            if code != expected:
                print(f"exit code {code}, {expected} was expected", file=sys.stderr)
                return 1
    print("the wheels work on their own")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
