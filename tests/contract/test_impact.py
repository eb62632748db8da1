"""`testlytics report --impact`, for people and programs."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import command
from tests.factories import attempt, end, header, lines

HOSTILE = "evil/\x1b[31m\u202e|=x.py::t"
SHAKY, BROKEN, LONG = "tests/a.py::shaky", "tests/a.py::broken", "tests/b.py::long"
RUNS = 24


def took(
    name: str, seconds: float, worker: str = "gw0", outcome: str = "passed", number: int = 1
) -> dict[str, object]:
    call_us = round(seconds * 1e6) - 2_000
    return attempt(name, outcome, attempt=number, call_us=call_us, worker=worker)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flaky test that is tried again, one that blocks, one that is too long for two workers."""
    folder = tmp_path_factory.mktemp("impact")
    (folder / "pyproject.toml").touch()
    (folder / "CODEOWNERS").write_text("/tests/a.py @org/a\n")
    for number in range(RUNS):
        broken = number >= RUNS - 6
        rows = [took(LONG, 8), took("tests/b.py::short", 1, "gw1"), took(HOSTILE, 1, "gw1")]
        rows.append(took(BROKEN, 1, "gw1", outcome="failed" if broken else "passed"))
        if number % 4 == 1:
            rows.append(took(SHAKY, 2, "gw1", outcome="failed"))
            rows.append(took(SHAKY, 1, "gw1", number=2))
        else:
            rows.append(took(SHAKY, 1, "gw1"))
        text = lines(header(number), *rows, end(len(rows), exit_status=int(broken)))
        (folder / f"{number:02}.jsonl").write_bytes(text)
    assert command("ingest", ".", cwd=folder).code == 0
    return folder


def test_the_numbers(project: Path) -> None:
    told = command("report", "--impact", "--format", "json", cwd=project).json
    rows = {row["test_id"]: row for row in told["impact"]}
    # Jobs take their longest worker, 8 s. Of the six red ones all is lost to the one that blocked
    # them; of the six runs in which the other was tried again one is red, and not through it.
    assert list(rows) == [BROKEN, SHAKY]
    assert (rows[BROKEN]["blocked"], rows[BROKEN]["blocked_alone"]) == (6, 6)
    assert rows[BROKEN]["lost_s"] == pytest.approx(48)
    assert rows[BROKEN]["status"] == "broken"
    assert (rows[SHAKY]["blocked"], rows[SHAKY]["retries"]) == (0, 6)
    assert rows[SHAKY]["lost_s"] == pytest.approx(2 * 5)
    assert rows[SHAKY]["status"] == "flaky"
    assert rows[SHAKY]["lost_share"] == pytest.approx(10 / 58)
    path = {row["test_id"]: row for row in told["critical_path"]}
    assert list(path) == [LONG]
    assert path[LONG]["share"] == pytest.approx(1)
    assert (path[LONG]["workers"], path[LONG]["jobs"], path[LONG]["all_jobs"]) == (2, RUNS, RUNS)
    assert path[LONG]["even_s"] == pytest.approx(6)
    assert told["summary"]["tests"] == 5


def test_what_is_worth_doing_names_its_numbers(project: Path) -> None:
    told = command("report", "--impact", "--format", "json", cwd=project).json
    fix, quarantine, split = told["advice"]
    assert [one["kind"] for one in (fix, quarantine, split)] == ["fix", "quarantine", "split"]
    assert fix["text"].startswith(f"Fix {BROKEN}: broken with 9")
    assert fix["text"].endswith("it blocked 6 jobs, 6 of them alone, and cost 48 s.")
    assert f"Quarantine {SHAKY}: it failed in 6 of 24 runs, flake rate " in quarantine["text"]
    assert quarantine["text"].endswith(
        "evidence proven; it was tried again 6 times, and cost 10 s."
    )
    assert split["text"] == (
        f"Split {LONG}: it takes 100 % of the critical path, 8 s of 8 s; an even share of 2 workers"
        " is 6 s."
    )


def test_of_one_owner(project: Path) -> None:
    told = command("report", "--impact", "--owner", "@org/a", "--format", "json", cwd=project).json
    assert [row["test_id"] for row in told["impact"]] == [BROKEN, SHAKY]
    assert told["critical_path"] == []
    assert [row["kind"] for row in told["advice"]] == ["fix", "quarantine"]


def test_csv_holds_the_tests(project: Path) -> None:
    done = command("report", "--impact", "--format", "csv", cwd=project)
    assert [row["test_id"] for row in csv.DictReader(io.StringIO(done.out))] == [BROKEN, SHAKY]


def test_for_people(project: Path) -> None:
    table = command("report", "--impact", cwd=project).out
    assert "What failures cost (2)" in table
    assert "Lost to failures: 58 s of 3.2 min (30 %); 6 of 24 jobs blocked" in " ".join(
        table.split()
    )
    assert max(map(len, table.splitlines())) <= 80
    for text in (table, command("report", "--impact", "--format", "markdown", cwd=project).out):
        assert not {"\x1b", "\u202e"} & set(text)


def test_nothing_failed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "a.jsonl").write_bytes(lines(header(), took("a", 1), end(1)))
    assert command("ingest", "a.jsonl", cwd=tmp_path).code == 0
    told = command("report", "--impact", "--format", "json", cwd=tmp_path).json
    assert (told["impact"], told["advice"]) == ([], [])
    table = command("report", "--impact", cwd=tmp_path).out
    assert "No test failed." in table
    assert "Nothing that the evidence speaks for." in table


@pytest.mark.parametrize(
    ("options", "loaded"), [(["--impact"], False), (["--flaky"], False), (["--html", "x"], True)]
)
def test_the_page_alone_needs_templates(project: Path, options: list[str], loaded: bool) -> None:
    code = (
        f"import sys; sys.argv = ['testlytics', 'report', *{options!r}]\n"
        "from testlytics.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "print('jinja2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str(loaded)
