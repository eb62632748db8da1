"""Run archives over HTTP, and where the commits of uploads stand."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.command import command
from tests.factories import attempt, end, header, lines
from tests.serving import Answer, Serving, serving

FAILED = {"type": "E", "message": "no'; drop table raw.runs; --", "text": "<script>"}


def run(number: int, *, project: str = "default", **more: object) -> bytes:
    rows = (
        attempt("a.py::good"),
        attempt("a.py::bad", "failed", failure=FAILED),
        attempt("a.py::dead", "crashed"),
    )
    return lines(header(number, project=project, **more), *rows, end(len(rows)))


def archived(folder: Path, *runs: bytes) -> list[Path]:
    """Return the files of an archive of these runs."""
    folder.mkdir(exist_ok=True)
    for number, body in enumerate(runs):
        (folder / f"{number}.jsonl").write_bytes(body)
    done = command("ingest", ".", "--store", "from.duckdb", cwd=folder)
    assert done.code == 0, done.err
    done = command("export", "--archive", "a", "--store", "from.duckdb", cwd=folder)
    assert done.code == 0, done.err
    return sorted((folder / "a").rglob("*.parquet"))


def views(store: Path) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect(str(store), read_only=True) as connection:
        return {
            name: sorted(connection.execute(f"from {name}").fetchall(), key=repr)
            for name in ("runs", "attempts", "verdicts", "failures", "measurements")
        }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("service")
    with serving(folder / "h.duckdb", "--max-body", 1, "--max-attempts", 50) as one:
        yield one


def test_a_store_filled_by_archive_files_is_equal(tmp_path: Path) -> None:
    shard = run(1, upload_id="5" * 32, shard="2/2", project="p")
    timed = {"name": "x", "fullname": "b.py::x", "stats": {"min": 1.0, "median": 1.5, "rounds": 3}}
    benchmark = {
        "machine_info": {},
        "datetime": "2026-01-31T12:00:00+00:00",
        "benchmarks": [timed],
    }
    measured = json.dumps(benchmark).encode()
    files = archived(tmp_path / "one", run(1, project="p"), shard, run(2, project="q"), measured)
    random.Random(1).shuffle(files)
    store = tmp_path / "h.duckdb"
    with serving(store) as service:
        for path in files:
            answer = service.upload(path.read_bytes())
            assert (answer.status, answer.json["format"]) == (201, "archive"), answer.body
        of_p = next(path for path in files if path.parent.name == "p")
        told = service.upload(gzip.compress(of_p.read_bytes()))
        assert (told.status, told.json["status"]) == (200, "already stored")
        assert (told.json["run_id"], told.json["counts"]) == ("run-1", None)
        assert service.end() == 0
    assert views(store) == views(tmp_path / "one" / "from.duckdb")
    assert views(store)["measurements"]
    assert list((tmp_path / "h.duckdb.spool").iterdir()) == []


def test_an_archive_file_is_counted_as_its_run(service: Serving, tmp_path: Path) -> None:
    [path] = archived(tmp_path / "x", run(3, project="counted"))
    counts = service.upload(path.read_bytes(), "project=counted&name=x.parquet").json["counts"]
    expected = {"attempts": 3, "testcases": 3, "tests": 3, "passed": 1, "failed": 1, "errored": 1}
    assert {name: number for name, number in counts.items() if number} == expected


def test_what_was_stored_otherwise_is_known(service: Serving, tmp_path: Path) -> None:
    body = run(4, project="known")
    assert service.upload(body).status == 201
    [path] = archived(tmp_path / "x", body)
    assert service.upload(path.read_bytes()).json["status"] == "already stored"
    assert len(service.ask("/api/v1/runs?project=known").json["runs"]) == 1


def refused(answer: Answer, status: int, slug: str) -> None:
    assert (answer.status, answer.slug) == (status, slug)
    assert b".body" not in answer.body
    assert b"Traceback" not in answer.body


def test_a_file_of_another_project_is_refused(tmp_path: Path) -> None:
    [path] = archived(tmp_path / "x", run(5, project="theirs"))
    store = tmp_path / "h.duckdb"
    made = command(
        *("serve", "token", "create", "mine", "--project", "mine", "--store", store), cwd=tmp_path
    )
    token = made.out.strip()
    with serving(store) as service:
        refused(service.upload(path.read_bytes(), token=token), 403, "archive-project")
        refused(service.upload(path.read_bytes(), "project=x", token=token), 403, "token-project")
        assert service.end() == 0
    assert views(store)["runs"] == []


@pytest.mark.parametrize("query", ["run_id=x", "branch=b", "variant=a%3Db", "commit_time=1"])
def test_an_archive_file_says_all_itself(service: Serving, tmp_path: Path, query: str) -> None:
    [path] = archived(tmp_path / "x", run(6, project="stated"))
    refused(service.upload(path.read_bytes(), query), 400, "archive-stated")
    assert service.ask("/api/v1/runs?project=stated").slug == "no-runs"


def test_files_that_are_none_are_refused_by_name(service: Serving, tmp_path: Path) -> None:
    [path] = archived(tmp_path / "x", run(7, project="refused"))
    whole = path.read_bytes()
    refused(service.upload(whole[:-20]), 422, "archive-damaged")
    refused(service.upload(b"PAR1"), 422, "archive-damaged")
    refused(service.upload(gzip.compress(whole)[:-9]), 422, "http-gzip")
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as x) to '{tmp_path}/other.parquet'")
        refused(service.upload((tmp_path / "other.parquet").read_bytes()), 422, "archive-foreign")
    many = [attempt(f"t{number}") for number in range(51)]
    [path] = archived(tmp_path / "y", lines(header(8), *many, end(51)))
    refused(service.upload(path.read_bytes()), 413, "archive-size")
    bomb = gzip.compress(b"PAR1" + b"\0" * (80 << 20))
    assert len(bomb) < 1 << 20
    refused(service.upload(bomb), 413, "too-large")
    assert service.ask("/api/v1/runs?project=refused").slug == "no-runs"
    assert list(Path(f"{service.store}.spool").iterdir()) == []


@pytest.mark.chaos
def test_changed_bytes_are_refused_or_read_and_end_nothing(
    service: Serving, tmp_path: Path
) -> None:
    [path] = archived(tmp_path / "x", run(9, project="changed"))
    whole, dice = path.read_bytes(), random.Random(5)
    for _ in range(60):
        body = bytearray(whole)
        for _ in range(dice.choice([1, 3, 20])):
            body[dice.randrange(4, len(body))] = dice.randrange(256)
        answer = service.upload(bytes(body))
        assert answer.status in {200, 201, 403, 413, 422}, answer.body
        assert b"Traceback" not in answer.body
    assert service.ask("/healthz").status == 200


def placed(number: int, project: str) -> bytes:
    sources = {"commit": f"{number:040x}", "dirty": False, "branch": "main"}
    return run(number, project=project, sources=sources)


def order(store: Path, sent: list[tuple[bytes, str]], project: str) -> list[str]:
    """Upload these and return the runs of a project by their position."""
    with serving(store) as service:
        for body, query in sent:
            assert service.upload(body, query).status == 201
        assert service.end() == 0
    with duckdb.connect(str(store), read_only=True) as connection:
        rows = connection.execute(
            "select run_id from runs where project = $1 order by position", [project]
        ).fetchall()
    return [run_id for (run_id,) in rows]


def test_runs_stand_where_their_commits_do(tmp_path: Path) -> None:
    """Run 12 began before 13 and is of a later commit; the clock of 14's commit was wrong."""
    wrong = f"commit_time=1700000000.5&parent={11:040x}&parent={12:040x}"
    sent = {
        13: "commit_time=1780000100",
        12: "commit_time=2026-05-28T22:30:00%2B02:00",
        14: wrong,
        11: "",  # of which nothing is said: it stands where it began
    }
    uploads = [(placed(number, "p"), query) for number, query in sent.items()]
    told = order(tmp_path / "h.duckdb", uploads, "p")
    assert told == ["run-13", "run-12", "run-14", "run-11"]


def test_one_project_moves_no_commit_of_another(tmp_path: Path) -> None:
    of_one = {"commit": f"{23:040x}"}
    uploads = [
        (placed(21, "mine"), "commit_time=1780000200"),
        (placed(22, "mine"), "commit_time=1780000100"),
        (placed(22, "theirs"), "commit_time=1780000900"),
        # Its own project may: of two places the later is right.
        (run(20, project="mine", sources=of_one), "commit_time=1780000050"),
        (run(19, project="mine", sources=of_one), "commit_time=1780000300"),
        (run(18, project="mine", sources=of_one), "commit_time=1780000010"),
    ]
    told = order(tmp_path / "h.duckdb", uploads, "mine")
    assert told == ["run-22", "run-21", "run-18", "run-19", "run-20"]


@pytest.mark.parametrize(
    "query",
    [
        "commit_time=0",
        "commit_time=-1",
        "commit_time=yesterday",
        "commit_time=2026-01-31T12:00:00",
        "commit_time=9999-12-31T12:00:00Z",
        "commit_time=99999999999",
        "commit_time=1e9",
        "commit_time=%D9%A1",
        f"parent={1:040x}",
        "commit_time=1&parent=x",
        f"commit_time=1&parent={1:040x}%0A",
        f"commit_time=1&parent={1:041x}",
    ],
)
def test_places_that_are_none_are_refused(service: Serving, query: str) -> None:
    refused(service.upload(placed(30, "none"), query), 400, "http-parameter")
