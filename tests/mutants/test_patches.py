"""The planted faults fit the sources, and the script that plants them tells what became of them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scripts.run_mutants import ROOT, Mutant, PlantError, plant, read_mutants

MUTANTS = read_mutants()
TRIED = "tests/unit/collector/test_records.py::test_variant_is_canonical"
FILE = "collector/testlytics_collector/records.py"
SORTED = """    return ",".join(f"{quote(k)}={quote(v)}" for k, v in sorted(variant.items()))"""


@cache
def names_in(file: str) -> frozenset[str]:
    """Name the functions of a file of tests, without running it."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef))


def test_there_are_enough() -> None:
    assert len(MUTANTS) >= 30
    suites = {test.split("/")[1] for mutant in MUTANTS for test in mutant.tests}
    assert {"unit", "property", "contract", "chaos"} <= suites


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_fits_the_sources_and_names_tests_that_exist(mutant: Mutant) -> None:
    assert plant(mutant, ROOT, only_check=True) == ""
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert file.startswith("tests/")
        assert not name or name.partition("[")[0] in names_in(file)


def test_no_fault_changes_a_test() -> None:
    for mutant in MUTANTS:
        assert not [target for target in mutant.targets if target.startswith("tests/")]


def patch(folder: Path, name: str, changed: str, *, line: str = SORTED) -> None:
    place = 1 + (ROOT / FILE).read_text(encoding="utf-8").splitlines().index(SORTED)
    (folder / f"{name}.patch").write_text(
        f"Breaks: the order of keys.\nCaught by: {TRIED}\n\n"
        f"--- a/{FILE}\n+++ b/{FILE}\n@@ -{place} +{place} @@\n-{line}\n+{changed}\n",
        encoding="utf-8",
    )


def test_what_became_of_each_fault_is_told(tmp_path: Path) -> None:
    patch(tmp_path, "gone", "    return 1", line="    return of a version that was")
    patch(tmp_path, "harmless", f"{SORTED}  # the same")
    patch(tmp_path, "no-program", "    return (")
    patch(tmp_path, "unsorted", SORTED.replace("sorted(variant.items())", "variant.items()"))
    answer = tmp_path / "answer.json"
    done = subprocess.run(
        [
            *(sys.executable, "scripts/run_mutants.py", "--patches", str(tmp_path)),
            *("--json", str(answer)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(answer.read_text(encoding="utf-8"))
    assert {one["name"]: one["status"] for one in told["mutants"]} == {
        "gone": "does not fit",
        "harmless": "survived",
        "no-program": "not run",
        "unsorted": "caught",
    }
    assert told["caught"] == 1
    assert told["mutants"][-1]["suites"] == ["unit"]
    assert told["mutants"][-1]["caught_by"] == [TRIED]
    assert "1 of 4 faults caught" in done.stdout


def test_a_patch_without_its_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bare.patch").write_text("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    with pytest.raises(PlantError, match="Breaks"):
        read_mutants(tmp_path)
