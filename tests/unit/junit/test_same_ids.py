"""A pytest suite has the same test ids through its run file and through its JUnit XML."""

from __future__ import annotations

from pathlib import Path

import pytest

from testlytics_collector.formats import runfile
from testlytics_collector.formats.interface import Limits, Origin
from tests.unit.junit.reports import Kept, read
from tests.unit.plugin.recorded import record

SUITE = {
    "test_top.py": '''
        """Parameters of all kinds, also such as no two runs have in common."""
        import datetime, tempfile, time, uuid
        import pytest

        class Thing:
            pass

        MADE_UP = [
            repr(Thing()), repr(Thing()), repr(Thing()), str(uuid.uuid4()), str(uuid.uuid4()),
            tempfile.gettempdir() + "/x/" + uuid.uuid4().hex, datetime.datetime.now().isoformat(),
            str(time.time()), str(int(time.time())), f"1-{Thing()!r}-b::c",
        ]

        @pytest.mark.parametrize("value", range(len(MADE_UP)), ids=MADE_UP)
        def test_made_up(value):
            assert value % 2

        @pytest.mark.parametrize(
            "value",
            ["", "a b", "a/b", "a::b", "a.b", "a[b]", "[", "]", "a\\nb", "\\x1b[1m", "\\xe9", "<&>",
             "'\\"", "test_top.py", "@x", "\\\\", "a" * 300, None, 1.5, b"\\xff"],
        )
        def test_odd(value):
            pass

        def test_skipped():
            pytest.skip("why")

        @pytest.mark.xfail
        def test_xfailed():
            assert False

        @pytest.fixture
        def broken():
            yield
            raise ValueError

        def test_errored_twice(broken):
            assert False
    ''',
    "test_broken.py": "import no_such_module",
    "test_left_out.py": "import pytest; pytest.skip('why', allow_module_level=True)",
    "pkg/__init__.py": "",
    "pkg/mod.py": '''
        def double(x):
            """
            >>> double(2)
            4
            """
            return 2 * x

        class Box:
            """
            >>> 1 + 1
            3
            """
    ''',
    "pkg/deep/test_classes.py": """
        import uuid
        import pytest
        from unittest import TestCase

        @pytest.mark.parametrize("kind", ["a", "b"])
        class TestOuter:
            def test_one(self, kind):
                pass

            class TestInner:
                @pytest.mark.parametrize("value", [uuid.uuid4()], ids=str)
                def test_two(self, value, kind):
                    assert kind == "a"

        class Old(TestCase):
            def setUp(self):
                pass

            def test_three(self):
                for n in range(2):
                    with self.subTest(n=n):
                        self.assertEqual(n, 0)

            def test_four(self):
                self.skipTest("why")
    """,
    "docs/guide.rst": ">>> 1 + 1\n2\n",
}
LOWERCASE = {
    "a.b/test_dots.py": "def test_five(): pass",
    "test_Upper.py": "def test_six(): pass",
    "Upper/test_folder.py": "class lowercase_class:\n    def test_seven(self): pass",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        path.write_text("\n".join(line[indent:] for line in lines) + "\n", encoding="utf-8")


def run(folder: Path, family: str) -> tuple[list[str], list[str], str]:
    """Run pytest once; give the ids of its run file and of its JUnit XML, and the problems."""
    options: tuple[str, ...] = (
        "-o",
        f"junit_family={family}",
        "-o",
        "python_classes=Test* lowercase*",
    )
    options += ("--doctest-modules", "--doctest-glob=*.rst", "--continue-on-collection-errors")
    recording = record(folder, "--junitxml=junit.xml", *options)
    assert recording.path is not None, recording.output
    sink = Recorded()
    with recording.path.open("rb") as stream:
        reading = runfile.read(stream, sink, Origin("0" * 64, recording.path.name), Limits())
    report = read((folder / "junit.xml").read_bytes())
    told = [
        [problem.text for problem in found.problems if "differs from run to run" in problem.text]
        for found in (reading, report.reading)
    ]
    assert told[0] == told[1]
    return [row.test_id for row in sink.attempts], report.ids, "\n".join(told[0])


class Recorded(Kept):
    """A sink for an input that names its project."""

    def begin(self, project: str) -> None:
        assert project == "default"


@pytest.fixture(params=["xunit1", "xunit2"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_both_readers_give_the_same_ids_in_every_run(tmp_path: Path, family: str) -> None:
    found = []
    for name in ("first", "second"):
        write(tmp_path / name, SUITE)
        recorded, reported, problem = run(tmp_path / name, family)
        assert set(reported) == set(recorded)
        assert "(12; the first: " in problem
        found.append(set(recorded))
    assert found[0] == found[1]
    assert len(found[0]) == 44


def test_dots_and_capitals_are_read_right_where_the_file_is_told(
    tmp_path: Path, family: str
) -> None:
    write(tmp_path, LOWERCASE)
    recorded, reported, _ = run(tmp_path, family)
    differing = set(recorded) ^ set(reported)
    assert not differing if family == "xunit1" else len(differing) > 0
