"""The script that kills and starves writers, as tests call it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def chaos(*arguments: str) -> None:
    """Run the script in a process of its own: it forks, which a test runner had better not."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.chaos_store", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
