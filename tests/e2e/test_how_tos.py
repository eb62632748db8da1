"""The commands of the pages, run on a small history: none of them is one that testlytics refuses.

Only their exit codes are compared: what they say depends on somebody's own tests. All run in this
process, which saves the time that Python takes to start. Pages with an example of their own are
done as a whole in `test_tutorial.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testlytics.cli.main import main
from tests.documents import ROOT, blocks, calls, pages
from tests.e2e.test_tutorial import JOURNEYS
from tests.factories import history, run_file

TEST = "tests/test_shop.py::test_checkout"
# What waits for clients, or speaks to somebody else's machine.
ELSEWHERE = {"serve", "push", "comment", "merge", "init"}
SESSIONS = {
    page: [
        call
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.language == "console"
        for call in calls("testlytics", block.text)
        if call
        and call[0] not in ELSEWHERE
        and not {"webhook", "slack", "--archive"}.intersection(call)
    ]
    for page in pages()
    if page not in JOURNEYS
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "page", [page for page, session in SESSIONS.items() if session], ids=lambda page: page.stem
)
def test_the_commands_of_a_page_are_taken(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("TESTLYTICS", "GITHUB_", "CI"))]:
        monkeypatch.delenv(name)
    runs = tmp_path / ".testlytics"
    runs.mkdir()
    history(runs, {TEST: "PPPPPPFPPPPPLPPP", "tests/test_shop.py::test_total": "P" * 16})
    for number, name in enumerate(("bench.json", "coverage.json", "results.xml")):
        run_file(tmp_path / name, [], 100 + number)
    for call in (["ingest"], *SESSIONS[page]):
        monkeypatch.setattr("sys.argv", ["testlytics", *call])
        with pytest.raises(SystemExit) as ended:
            main()
        # 1 says that something blocks, 5 that a list is empty; 2 and 3 that it cannot be done.
        assert ended.value.code in {0, 1, 5}, f"testlytics {' '.join(call)}\n{capfd.readouterr()}"


def test_most_pages_are_run() -> None:
    assert sum(map(len, SESSIONS.values())) >= 25
    assert {ROOT / "README.md"} < {page for page, session in SESSIONS.items() if session}
