"""A pytest test has the same id through JUnit XML as pytest itself gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.junit.reports import read

FILES = {
    "tests/test_shop.py": """
import unittest
import pytest

@pytest.mark.parametrize("value", ["a", "b c", "é", "x::y", "a.b", "[1]"])
def test_param(value): pass

class TestBasket:
    def test_empty(self): pass

    class TestDeep:
        def test_inside(self): assert 0

class Prices(unittest.TestCase):
    def test_sum(self): pass

@pytest.mark.xfail
def test_expected(): assert 0

@pytest.fixture
def broken(): raise ValueError

def test_setup(broken): pass
""",
    "tests/unit/check/test_more_of_it.py": "def test_x(): pass",
    "src/shop/tax.py": 'def rate():\n    """\n    >>> 1 + 1\n    2\n    """\n',
    "docs/guide.rst": ">>> 1 + 1\n2\n",
}


def run_pytest(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    command += ["--import-mode=importlib", "--doctest-modules", "--doctest-glob=*.rst", *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_ids_are_node_ids(tmp_path: Path, family: str) -> None:
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    listed = run_pytest(tmp_path, "--collect-only", "-q", ".")
    node_ids = sorted(line for line in listed.splitlines() if "::" in line)
    assert len(node_ids) > 12
    run_pytest(tmp_path, "--junitxml=out.xml", "-o", f"junit_family={family}", ".")
    found = read((tmp_path / "out.xml").read_bytes())
    assert sorted(found.ids) == node_ids
    assert found.reading.upload.producer == "pytest"
    assert found.reading.upload.started_us is not None
    assert found.problems == ""


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_a_module_that_cannot_be_collected_has_the_id_of_the_module(
    tmp_path: Path, family: str
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "tests" / "test_gone.py").write_text("import nowhere_at_all", encoding="utf-8")
    run_pytest(tmp_path, "--junitxml=out.xml", "-o", f"junit_family={family}", "tests")
    assert read((tmp_path / "out.xml").read_bytes()).told == [("tests/test_gone.py", 1, "errored")]


def test_a_suite_of_another_name_is_recognised_by_its_attributes(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_x(): pass", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    run_pytest(tmp_path, "--junitxml=out.xml", "-o", "junit_suite_name=nightly")
    found = read((tmp_path / "out.xml").read_bytes())
    assert (found.ids, found.reading.upload.producer) == (["test_a.py::test_x"], "pytest")
