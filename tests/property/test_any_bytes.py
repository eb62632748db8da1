"""Whatever bytes lie where the command reads, it answers as it should: never with a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.command import command
from tests.planted import Broken, Flaky, Suite

# Many processes: where the machine is busy they take long, and nothing hangs.
pytestmark = pytest.mark.timeout(600)
SUITE = Suite(tests=4, runs=6, plants=[Flaky(0), Broken(1, since=3)])
RUN_FILE = next(SUITE.files())
JUNIT = (
    b'<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="s" tests="2">'
    b'<testcase classname="tests.test_a" name="test_b[1]" time="0.1"><failure message="no">x'
    b'</failure></testcase><testcase classname="c" name="d"/></testsuite></testsuites>'
)
ENTRY = (
    b'schema = 1\n[[quarantine]]\ntest = "a.py::t"\nowner = "me"\nreason = "why"\n'
    b"expires = 2026-12-01\n"
)
ALLOWED = (
    ENTRY.replace(b"quarantine", b"allowance").replace(b"owner", b"link") + b'kind = "slower"\n'
)
RENAMES = b'schema = 1\n[[rename]]\nold = "a.py::t"\nnew = "b.py::t"\n'
SETTINGS = b'[tool.testlytics]\nproject = "p"\n[tool.testlytics.gate]\nblock = ["slower"]\n'
STATE = b'{"schema": 1, "open": [], "runs": {}}'
MARKS = [b"\0", b'"', b"\n", b"\xff", b"<", b"}", b"\xe2\x80\xae"]
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
GOOD = (0, 1, 2, 3, 5)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes that are nothing, or were something once."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=200))
    made = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(made)))
        until = at + draw(st.integers(0, 8))
        made[at:until] = draw(
            st.binary(max_size=8) | st.sampled_from([b"\0", b'"', b"\n", b"\xff"])
        )
    return bytes(made)


def check(done: Any, what: bytes) -> None:  # noqa: ANN401
    assert done.code in GOOD, (what, done)
    assert "Traceback" not in done.err + done.out, (what, done.err)
    if done.code in {2, 3}:
        assert done.err.startswith("testlytics: ") or '"problems"' in done.out, (what, done)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("any")
    assert command("ingest", *SUITE.write(folder), cwd=folder).code == 0
    return folder


@settings(max_examples=settings().max_examples // 20)
@given(st.lists(damaged(RUN_FILE) | damaged(JUNIT), min_size=1, max_size=12))
def test_files_of_results(contents: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(contents):
            name = f"{number}.{('xml', 'jsonl', 'json')[number % 3]}"
            Path(folder, name).write_bytes(content)
        files = sorted(Path(folder).iterdir())
        done = command("ingest", *files, "--format", "json", cwd=Path(folder), stdin=contents[0])
        check(done, repr(contents).encode())
        assert len(done.json["files"]) == len(contents)
        again = command("report", "--flaky", "--broken", cwd=Path(folder))
        check(again, repr(contents).encode())


@settings(max_examples=settings().max_examples // 25)
@given(damaged(RUN_FILE), damaged(JUNIT))
def test_standard_input(one: bytes, other: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for content in (one, other):
            check(command("ingest", "-", cwd=Path(folder), stdin=content), content)


PLACES = {
    "quarantine.toml": (ENTRY, ["gate", "quarantine list"]),
    "testlytics-allowances.toml": (ALLOWED, ["gate"]),
    "testlytics-renames.toml": (RENAMES, ["report --flaky", "tests"]),
    "pyproject.toml": (SETTINGS, ["report", "gate"]),
    ".testlytics/alerts.json": (STATE, ["alerts"]),
    "CODEOWNERS": (b"/tests/ @me @org/team\n*.py a@b.c\n", ["tests", "alerts"]),
    ".testlytics/history.duckdb": (b"DUCK" * 4_096, ["report", "doctor", "sql select"]),
}


@pytest.mark.parametrize("place", PLACES)
def test_files_beside_them(place: str, project: Path) -> None:
    whole, commands = PLACES[place]
    path = project / place
    before = path.read_bytes() if path.exists() else None

    @settings(max_examples=settings().max_examples // 33)
    @given(damaged(whole))
    def holds(content: bytes) -> None:
        path.write_bytes(content)
        for one in commands:
            check(command(*one.split(), cwd=project), content)

    try:
        holds()
    finally:
        path.unlink()
        if before is not None:
            path.write_bytes(before)


@settings(max_examples=settings().max_examples // 12)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12), max_size=4
    )
)
def test_arguments(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "testlytics", *arguments],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=100,
            check=False,
        )
    assert done.returncode in GOOD, (arguments, done)
    assert b"Traceback" not in done.stdout + done.stderr, (arguments, done)
