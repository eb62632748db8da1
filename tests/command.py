"""Runs the real command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import forked

TIMEOUT_S = 100


@dataclass(frozen=True)
class Done:
    """What a run of the command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


def outer_environment() -> dict[str, str]:
    """Return the variables of this process without those that testlytics would obey."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TESTLYTICS", "GITHUB_", "CI", "COV_"))
    }


def command(
    *arguments: object,
    cwd: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] = {},
) -> Done:
    """Run `testlytics` with these arguments in a clean environment."""
    whole = {**outer_environment(), "NO_COLOR": "1", **env}
    if forked.can_fork(env):
        code, out, err = forked.run(
            list(map(str, arguments)), cwd=cwd, stdin=stdin, env=whole, timeout=TIMEOUT_S
        )
        return Done(code, out.decode(), err.decode())
    done = subprocess.run(
        [sys.executable, "-m", "testlytics", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=whole,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
