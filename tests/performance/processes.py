"""Measures what a whole process costs: processor time and peak memory, of it and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.command import outer_environment

# The kernel counts the memory of whoever starts a process as that process's own until it runs
# another program, and pytest is large. So something small starts it.
_STARTER = """
import json, os, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


class Cost(NamedTuple):
    """What a process took.

    Attributes:
        cpu_s: Processor time, user and system, in seconds.
        memory: Peak of its resident memory: KiB on Linux, bytes on macOS.
    """

    cpu_s: float
    memory: float

    def least(self, other: Cost) -> Cost:
        """Return the lesser of each: noise only ever adds."""
        return Cost(min(self.cpu_s, other.cpu_s), min(self.memory, other.memory))

    def over(self, reference: Cost) -> Cost:
        """Return both as multiples of a reference's."""
        return Cost(self.cpu_s / reference.cpu_s, self.memory / reference.memory)


def cost(command: Sequence[str], cwd: Path, more: Mapping[str, str] = {}) -> Cost:
    """Run a command to its end and say what it took.

    Raises:
        AssertionError: It did not end well.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", _STARTER, *command],
        cwd=cwd,
        env={**outer_environment(), "NO_COLOR": "1", **more},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    code, cpu_s, memory = json.loads(done.stdout)
    assert code == 0, f"{command} ended with {code}: {done.stderr}"
    return Cost(cpu_s, memory)
