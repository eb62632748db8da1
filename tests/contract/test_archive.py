"""The run archive: nothing lost on the way there and back, and nothing believed that is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from testlytics import api
from testlytics_collector.errors import ConfigError
from testlytics_collector.store import facts
from testlytics_collector.store.reader import Window
from tests.command import command
from tests.factories import attempt, end, header, history, lines, run_file

DATA = Path(__file__).parent.parent / "data" / "measurements"
VIEWS = ("runs", "tests", "attempts", "verdicts", "failures", "notes", "measurements")
TESTS = {"tests/a.py::test_one": "PPFLS", 'b.py::test_two["é中\'"]': "FLSPP"}


def rows(store: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(store), read_only=True) as connection:
        found: list[tuple[object, ...]] = connection.execute(sql).fetchall()
        return found


def everything(store: Path) -> dict[str, list[tuple[object, ...]]]:
    return {view: sorted(rows(store, f"from {view}"), key=repr) for view in VIEWS}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    made = folder / "h.duckdb"
    extra = folder / "extra.jsonl"
    ci = {"provider": "github", "run_attempt": 2, "shard": "1"}
    sharded = header(90, run_id="run-0", ci=ci, sources=header(0)["sources"])
    why = {"type": "E", "message": "boom", "text": "long\n" * 90, "place": "a.py:1"}
    said = {"properties": [["jira", "A-1"]], "tags": {"slow": ""}}
    extra.write_bytes(lines(sharded, attempt("c", "failed", failure=why, **said), end(1)))
    nothing = folder / "nothing.jsonl"
    nothing.write_bytes(lines(header(91, project="../ä b/c", run_id="..", variant={}), end(0)))
    dead = folder / "dead.jsonl"
    dead.write_bytes(lines(header(92), attempt("d")))
    given = [*history(folder, TESTS), extra, nothing, dead]
    results = api.ingest([str(path) for path in given], made)
    assert {result.status for result in results} == {"stored"}
    return made


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    """A copy of one's own: some tests write."""
    return Path(shutil.copy(filled, tmp_path))


def test_a_store_made_from_its_archive_is_equal(store: Path, tmp_path: Path) -> None:
    assert api.export_archive(store, Window(), str(tmp_path / "archive")) == (7, 0)
    again = tmp_path / "again.duckdb"
    (merged,) = api.merge([str(tmp_path / "archive")], again)
    assert (merged.stored, merged.already_stored, merged.refused) == (8, 0, [])
    assert everything(again) == everything(store)
    assert api.doctor(again)["differences"] == {}
    api.export_archive(again, Window(), str(tmp_path / "other"))
    assert files(tmp_path / "other") == files(tmp_path / "archive"), "equal facts, equal bytes"


def test_files_are_only_added(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    api.export_archive(store, Window(last=1), str(folder))
    first = files(folder)
    assert api.export_archive(store, Window(), str(folder)) == (5, 2)
    grown = tmp_path / "grown.jsonl"
    grown.write_bytes(lines(header(99, run_id="run-1"), attempt("new"), end(1)))
    api.ingest([str(grown)], store)
    assert api.export_archive(store, Window(), str(folder)) == (1, 6)
    assert first.items() <= files(folder).items()
    assert len(files(folder)) == 8
    again = tmp_path / "again.duckdb"
    api.merge([str(folder)], again)
    assert everything(again) == everything(store)
    (merged,) = api.merge([str(folder)], again)
    assert merged.stored == 0
    assert everything(again) == everything(store)


def test_names_stay_below_the_archive(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "archive"
    api.export_archive(store, Window(), str(folder))
    for name in files(tmp_path):
        assert re.fullmatch(r"deep/archive/[\w.-]+/[\w.-]+-[0-9a-f]{32}\.parquet", name, re.ASCII)
    assert {path.name for path in folder.iterdir()} == {"default", "_.___b_c"}


def test_other_stores_are_merged_and_the_own_is_left_alone(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    api.ingest([str(run_file(tmp_path / "o.jsonl", [attempt("o")], 50))], other)
    mine, theirs = api.merge([str(store), str(other)], store)
    assert (mine.stored, mine.already_stored, mine.refused) == (0, 0, [])
    assert theirs.stored == 1
    assert rows(store, "select count(*) from runs") == [(8,)]


def test_the_longer_copy_stays_whichever_comes_first(tmp_path: Path) -> None:
    early, late = tmp_path / "early.jsonl", tmp_path / "late.jsonl"
    slot = {"type": "running", "test_id": "gone", "done": 1, "started_us": 1}
    early.write_bytes(lines(header(), slot, attempt("a")))
    late.write_bytes(lines(header(), attempt("a"), attempt("b"), end(2)))
    api.ingest([str(early)], tmp_path / "early.db")
    api.ingest([str(late)], tmp_path / "late.db")
    orders = [["early.db", "late.db"], ["late.db", "early.db"]]
    made = []
    for number, order in enumerate(orders):
        api.merge([str(tmp_path / name) for name in order], tmp_path / f"{number}.db")
        made.append(everything(tmp_path / f"{number}.db"))
        assert rows(tmp_path / f"{number}.db", "select min(ingested_us) from raw.uploads") == rows(
            tmp_path / "early.db", "select ingested_us from raw.uploads"
        )
    assert made[0] == made[1]
    assert [test for _, test, _ in made[0]["tests"]] == ["a", "b"], "no test of the lost copy"


def good_rows(store: Path, tmp_path: Path) -> pl.DataFrame:
    api.export_archive(store, Window(run_id="run-0"), str(tmp_path / "good"))
    (path,) = (tmp_path / "good").rglob("*.parquet")
    return pl.read_parquet(path)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"outcome": pl.lit("fine")}, "outcome is unknown"),
        ({"run_id": pl.int_range(pl.len()).cast(pl.String)}, "several runs"),
        ({"digest": pl.lit(None, pl.String)}, "name is missing"),
        ({"attempts": pl.lit(7, pl.Int32)}, "contradict"),
        ({"branch": pl.int_range(pl.len()).cast(pl.String)}, "contradict"),
        ({"attempt": pl.lit(0, pl.Int32)}, "less than 1"),
        ({"started_us": pl.lit(2**63 - 1)}, "time is far too large"),
        ({"worker": pl.lit("x" * 2_000_000)}, "far too long"),
        ({"test_id": pl.lit(None, pl.String)}, "no test"),
        ({"variant": pl.lit("b=1,a=2")}, "canonical"),
        ({"attempt": pl.lit(1.5)}, "none that testlytics"),
    ],
)
def test_what_no_store_can_say_is_refused(
    store: Path, tmp_path: Path, wrong: dict[str, pl.Expr], words: str
) -> None:
    bad = tmp_path / "bad.parquet"
    frame = good_rows(store, tmp_path).with_columns(**wrong)
    frame.write_parquet(bad, metadata={facts.VERSION_KEY: "1"})
    target = tmp_path / "target.duckdb"
    refused, good = api.merge([str(bad), str(tmp_path / "good")], target)
    assert words in refused.refused[0].text
    assert refused.refused[0].path == str(bad)
    assert (refused.stored, good.stored) == (0, 2)
    assert api.doctor(target)["differences"] == {}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [({facts.VERSION_KEY: "99"}, "version 99"), ({}, "none that"), ({"x": "1"}, "none that")],
)
def test_versions(store: Path, tmp_path: Path, metadata: dict[str, str], words: str) -> None:
    good_rows(store, tmp_path).write_parquet(tmp_path / "v.parquet", metadata=metadata)
    (refused,) = api.merge([str(tmp_path / "v.parquet")], tmp_path / "t.duckdb")
    assert words in refused.refused[0].text


def test_damaged_files_are_named_and_cost_nothing_else(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    api.export_archive(store, Window(), str(folder))
    (victim, *_) = sorted(folder.rglob("run-0*.parquet"))
    whole = victim.read_bytes()
    middle = len(whole) // 2
    (folder / "empty.parquet").write_bytes(b"")
    (folder / "noise.parquet").write_bytes(bytes(range(256)) * 90)
    (folder / "cut.parquet").write_bytes(whole[:middle])
    (folder / "torn.parquet").write_bytes(whole[:middle] + b"\xff" * 40 + whole[middle + 40 :])
    (folder / "head.parquet").write_bytes(b"PAR1" + b"\0" * 20 + b"\xff\xff\xff\x7fPAR1")
    (folder / ".part.parquet").write_bytes(b"still being written")
    done = command("merge", "archive", "--store", "n.duckdb", "--format", "json", cwd=tmp_path)
    assert done.code == 3
    (told,) = done.json["sources"]
    assert told["stored"] == 8
    names = {Path(one["path"]).name for one in told["refused"]}
    assert names >= {"empty.parquet", "noise.parquet", "cut.parquet", "head.parquet"}
    assert names <= {f"{one}.parquet" for one in ("empty", "noise", "cut", "torn", "head")}
    assert everything(tmp_path / "n.duckdb") == everything(store)


def test_command(store: Path, tmp_path: Path) -> None:
    both = ("--store", "h.duckdb")
    done = command("export", "--archive", "arch", "--since", "2020-01-01", *both, cwd=tmp_path)
    assert (done.code, done.out) == (0, "arch: 7 runs added, 0 there already\n")
    assert command("export", "--archive", "arch", "--last", 1, *both, cwd=tmp_path).out == (
        "arch: 0 runs added, 2 there already\n"
    )
    done = command("merge", "arch", "h.duckdb", "--store", "n.duckdb", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "arch: 8 uploads stored, 0 already stored\nh.duckdb: 0 uploads stored, 8 already stored\n"
    )
    for arguments, code in [
        (("export",), 2),
        (("export", "--archive", "a", "--format", "junit"), 2),
        (("export", "--archive", "a", "--variant", "os=linux"), 2),
        (("export", "--archive", "ftp://a/b", *both), 2),
        (("export", "--archive", "git:a b", *both), 2),
        (("export", "--archive", "arch", "--branch", "none", *both), 5),
        (("export", "--archive", "h.duckdb/x", *both), 3),
        (("merge", "missing", *both), 3),
        (("merge", "h.duckdb", *both), 5),
    ]:
        done = command(*arguments, cwd=tmp_path)
        assert (done.code, done.err.count("\n")) == (code, 1), (arguments, done.err)


def test_columns_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "archive.md").read_text()
    told = re.findall(r"^\| `([a-z_]+)` \| ([A-Z][^|]*) \|", page, re.MULTILINE)
    assert told == [(name, kind) for name, (kind, _) in facts.COLUMNS.items()]
    assert f"version {facts.VERSION}" in page


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout


PUSHER = """
import sys
from testlytics import api
from testlytics_collector.store.reader import Window
from pathlib import Path
store, place, *runs = sys.argv[1:]
for run in runs:
    api.export_archive(Path(store), Window(run_id=run), place, wait_s=60)
"""


def test_no_run_is_lost_when_many_push_to_one_branch(tmp_path: Path) -> None:
    made = tmp_path / "h.duckdb"
    api.ingest(map(str, history(tmp_path, {"t": "P" * 12})), made)
    git("init", "-q", "--bare", "remote.git", cwd=tmp_path)
    place = f"git:{tmp_path}/remote.git#runs"
    pushers = [
        subprocess.Popen(
            [sys.executable, "-c", PUSHER, str(made), place]
            + [f"run-{number}" for number in range(one, 12, 4)]
        )
        for one in range(4)
    ]
    assert [pusher.wait(100) for pusher in pushers] == [0] * 4
    (merged,) = api.merge([place], tmp_path / "again.duckdb")
    assert (merged.stored, merged.refused) == (12, [])
    assert everything(tmp_path / "again.duckdb") == everything(made)
    assert len(git("log", "--format=%h", "runs", cwd=tmp_path / "remote.git").split()) == 12


def test_git_branch_of_the_repository_one_works_in(store: Path, tmp_path: Path) -> None:
    git("init", "-q", "--bare", "remote.git", cwd=tmp_path)
    git("init", "-q", "work", cwd=tmp_path)
    git("remote", "add", "origin", "../remote.git", cwd=tmp_path / "work")
    asked = ("--store", store, "--archive", "git:results")
    inside = {"GIT_DIR": str(tmp_path / "work" / ".git")}  # as hooks have it
    done = command("export", *asked, cwd=tmp_path / "work", env=inside)
    assert (done.code, done.out) == (0, "git:results: 7 runs added, 0 there already\n"), done.err
    done = command("export", *asked, cwd=tmp_path / "work")
    assert done.out == "git:results: 0 runs added, 7 there already\n"
    assert git("status", "--porcelain", cwd=tmp_path / "work") == ""
    done = command("merge", "git:results", "--store", "n.duckdb", cwd=tmp_path / "work")
    assert done.code == 0, done.err
    assert everything(tmp_path / "work" / "n.duckdb") == everything(store)
    done = command("merge", "git:none", "--store", "n.duckdb", cwd=tmp_path / "work")
    assert (done.code, "no such branch" in done.err) == (3, True)
    with pytest.raises(ConfigError):
        api.merge(["git:nowhere#x"], tmp_path / "n.duckdb")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    address = "http://{}:{}".format(*running.get_host_and_port())
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    import urllib.request

    made = urllib.request.Request(f"{address}/runs", method="PUT")
    urllib.request.urlopen(made).close()
    yield address
    running.stop()


def test_object_store(store: Path, tmp_path: Path, bucket: str) -> None:
    place = "s3://runs/some where"
    assert api.export_archive(store, Window(last=1), place) == (2, 0)
    assert api.export_archive(store, Window(), place) == (5, 2)
    again = tmp_path / "again.duckdb"
    (merged,) = api.merge([place], again)
    assert (merged.stored, merged.refused) == (8, [])
    assert everything(again) == everything(store)
    import urllib.request

    noise = f"{bucket}/runs/some%20where/default/noise.parquet"
    kind = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(noise, b"noise \xff noise", kind, method="PUT")
    urllib.request.urlopen(request, timeout=20).close()
    (merged,) = api.merge([place], again)
    assert (merged.already_stored, len(merged.refused)) == (8, 1)
    assert "noise.parquet" in merged.refused[0].path
    assert api.export_archive(store, Window(), place) == (0, 7)
    (none,) = api.merge(["s3://nobody/x"], again)
    assert "cannot be read" in none.refused[0].text


@pytest.mark.usefixtures("bucket")
def test_files_of_both_versions_in_an_object_store(store: Path, tmp_path: Path) -> None:
    place = "s3://runs/both"
    api.ingest([str(DATA / "hyperfine.json")], store)
    assert api.export_archive(store, Window(), place) == (8, 0)
    assert api.export_archive(store, Window(), place) == (0, 8)
    again = tmp_path / "again.duckdb"
    (merged,) = api.merge([place], again)
    assert (merged.stored, merged.refused) == (9, [])
    assert everything(again) == everything(store)
    assert len(everything(again)["measurements"]) == 6
