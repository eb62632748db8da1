"""The work that changes a store as a whole, as chaos_store.py kills it and lets it run out of room.

Each kind has a store to begin with, made once and copied for each fault; something that is done to
it; and what must hold afterwards, wherever that was cut off, and again after it was done anew.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from scripts.chaos_process import WAIT_S, done, run_file
from testlytics import api, upkeep
from testlytics_collector import delivery  # noqa: F401 - loaded before the forks, as are these
from testlytics_collector.formats import junit, runfile  # noqa: F401
from testlytics_collector.store import compaction, merge  # noqa: F401
from testlytics_collector.store.retention import Policy
from testlytics_collector.store.store import Store, open_store

SCHEMA_1 = Path(__file__).resolve().parent.parent / "tests" / "data" / "store" / "schema-1.sql"
RUNS, KEEP, ROWS = 40, 15, 300

Seen = dict[str, list[int]]
"""What a store holds, by run: uploads, attempts as told, attempts that are there, and a sum over
all that they say."""

_CENSUS = """
select r.run_id, count(*), sum(u.attempts)::bigint, coalesce(sum(a.rows), 0)::bigint,
       coalesce(bit_xor(a.said), 0)::bigint
from {0}raw.runs r
left join {0}raw.uploads u using (run_key)
left join (
    select upload_key, count(*) as rows,
           bit_xor(hash(t.test_id, a.attempt, a.outcome::varchar, a.duration_us, m.message) >> 2)
               as said
    from {0}raw.attempts a
    join {0}raw.tests t using (test_key)
    left join {0}raw.messages m using (message_key)
    group by all
) a using (upload_key)
group by r.run_id
"""

_COUNTED = """
select sum(seen)::bigint, sum(passed)::bigint, sum(failed)::bigint, sum(total_us)::bigint,
       min(first_us), max(last_us)
from derived.state
"""

_OLDER = f"""
insert into raw.tests select 2 + i, 'default', 'tests/test_' || i // 50 || '.py::test_' || i
from range(1, {ROWS + 1}) t(i);
insert into raw.runs
select 2 + r, 'default', 'old-' || r, 'c' || r, 't' || r, false, 'main', null, null, null
from range(1, {RUNS + 1}) t(r);
insert into raw.uploads
select 2 + r, 2 + r, 1, 'up' || r, 'dig' || r, 'junit', null, 1, null,
       1790000000000000 + r * 3600000000, null, null, null, {ROWS}, 3
from range(1, {RUNS + 1}) t(r);
insert into raw.attempts
select 2 + r, 2 + i, 1, case when (i * 7 + r) % 50 = 0 then 'failed' else 'passed' end::raw.outcome,
       1000 + i * r, null, null, null, null, case when (i * 7 + r) % 50 = 0 then 1 end
from range(1, {RUNS + 1}) t(r), range(1, {ROWS + 1}) s(i)
order by r, i;
"""  # noqa: S608 - constants


def census(store: Store) -> Seen:
    """Count what an open store holds, by run."""
    return {name: list(told) for name, *told in store._rows(_CENSUS.format(""))}  # noqa: SLF001


def compare(expected: Seen, found: Seen) -> tuple[int, int, int]:
    """Return how many of the expected runs are lost, torn (not as they were) and there twice."""
    both = [(told, found[name]) for name, told in expected.items() if name in found]
    return (
        len(expected) - len(both),
        sum(told[1:] != here[1:] and told[0] == here[0] for told, here in both),
        sum(told[0] != here[0] for told, here in both),
    )


@dataclass
class Kind:
    """One kind of work on a whole store.

    Attributes:
        name: What it is called in the tally.
        make: Makes what it begins with, in a folder.
        act: Does it, in a folder.
        before: The runs that are there before.
        final: The runs that are there after it was done.
        takes_s: How long it takes where nothing is in its way.
        counted: What must be counted over all runs, whichever of them are still there; None
            where that changes.
    """

    name: str
    make: Callable[[Path], None]
    act: Callable[[Path], None]
    folder: Path = field(default_factory=Path)
    before: Seen = field(default_factory=dict)
    final: Seen = field(default_factory=dict)
    takes_s: float = 0.0
    counted: list[object] | None = None

    def prepare(self, folder: Path) -> None:
        """Make the template, and do the work once to the end, undisturbed."""
        self.folder = folder / self.name
        self.folder.mkdir()
        done(lambda _: self.make(self.folder))
        trial = folder / f"{self.name}-trial"
        shutil.copytree(self.folder, trial)

        def work(writer: int) -> None:
            before = look(trial)
            began = time.monotonic()
            self.act(trial)
            took = time.monotonic() - began
            told = {"before": before, "after": look(trial), "took": took}
            told["counted"] = _counted(trial)
            os.write(writer, f"{json.dumps(told)}\n".encode())

        told = json.loads(done(work)[-1])
        shutil.rmtree(trial)
        self.takes_s, self.before, self.final = told["took"], told["before"], told["after"]
        if self.name != "merge":
            self.counted = told["counted"]

    def check(self, folder: Path, *, acknowledged: bool) -> tuple[int, int, int]:
        """Look at what was cut off, do it again, and look again; see `compare`.

        Args:
            folder: Where it was cut off.
            acknowledged: Whether it had said before that it was done.

        Raises:
            AssertionError: Another promise is broken.
        """
        with open_store(folder / "h.duckdb", write=True, create=False, wait_s=WAIT_S) as opened:
            found = census(opened)
            if differences := opened.differences(mend=False):
                raise AssertionError(f"{self.name}: {differences}")
        if self.counted is not None and _counted(folder) != self.counted:
            raise AssertionError(f"{self.name}: {_counted(folder)} counted, not {self.counted}")
        broken = compare(self._must_be(found, acknowledged=acknowledged), found)
        _check_copy(folder, self.before)
        self.act(folder)
        after = look(folder)
        if after != self.final:
            raise AssertionError(f"{self.name}, done again: {compare(self.final, after)}")
        return broken

    def _must_be(self, found: Seen, *, acknowledged: bool) -> Seen:
        """Return the runs that must be there, where these are."""
        if acknowledged:
            return self.final
        if self.name == "merge":  # run by run: of those that come, any may be there
            return {
                name: told
                for name, told in self.final.items()
                if name in self.before or name in found
            }
        # All or nothing. What is in between is told as loss.
        return self.final if found.keys() == self.final.keys() else self.before


def look(folder: Path) -> Seen:
    """Count what the store in a folder holds, also where its schema is an older one."""
    store = folder / "h.duckdb"
    with duckdb.connect(str(store), read_only=True) as connection:
        rows = connection.execute(_CENSUS.format("")).fetchall()
    return {name: list(told) for name, *told in rows}


def _counted(folder: Path) -> list[object]:
    with duckdb.connect(str(folder / "h.duckdb"), read_only=True) as connection:
        return list(connection.execute(_COUNTED).fetchall()[0])


def _check_copy(folder: Path, before: Seen) -> None:
    """Look whether the copy that a migration leaves is whole, where there is one."""
    copy = folder / "h.duckdb.schema1"
    if not copy.exists():
        return
    with duckdb.connect(str(copy), read_only=True) as connection:
        rows = connection.execute(_CENSUS.format("")).fetchall()
        [(version,)] = connection.execute("select value from raw.meta").fetchall()
    if version != "1" or {name: list(told) for name, *told in rows} != before:
        raise AssertionError(f"the copy of schema {version} is not what the store was")


# --- the kinds -----------------------------------------------------------------------------------


def _make_old(folder: Path, *, log: bool = False) -> None:
    """Make a store of schema 1; with `log`, its writer died and its last runs are in the log."""
    connection = duckdb.connect(str(folder / "h.duckdb"))
    connection.execute(SCHEMA_1.read_text(encoding="utf-8")).fetchall()
    if log:
        connection.execute("checkpoint").fetchall()
        connection.execute("pragma disable_checkpoint_on_shutdown").fetchall()
    connection.execute(_OLDER).fetchall()
    connection.close()


def _migrate(folder: Path) -> None:
    with open_store(folder / "h.duckdb", write=True, wait_s=WAIT_S):
        pass


def _make_new(folder: Path, numbers: range = range(RUNS), store: str = "h.duckdb") -> None:
    paths = [run_file(folder / f"{n}.jsonl", f"{n}-run", ROWS) for n in numbers]
    results = api.ingest(map(str, paths), folder / store, wait_s=WAIT_S)
    for path, result in zip(paths, results, strict=True):
        path.unlink()
        if result.status != "stored":
            raise AssertionError(str(result))


def _prune(folder: Path) -> None:
    upkeep.prune(folder / "h.duckdb", Policy(keep_runs=KEEP), wait_s=WAIT_S)


def _prune_and_compact(folder: Path) -> None:
    upkeep.prune(folder / "h.duckdb", Policy(keep_runs=KEEP), compact=True, wait_s=WAIT_S)


def _make_two(folder: Path) -> None:
    _make_new(folder, range(6))
    _make_new(folder, range(4, 14), "other.duckdb")


def _merge(folder: Path) -> None:
    [merged] = api.merge([str(folder / "other.duckdb")], folder / "h.duckdb", wait_s=WAIT_S)
    if merged.refused:
        raise AssertionError(str(merged))


def kinds() -> list[Kind]:
    """Return all kinds of work, not yet prepared."""
    return [
        Kind("migration", _make_old, _migrate),
        Kind("migration-log", lambda folder: _make_old(folder, log=True), _migrate),
        Kind("prune", _make_new, _prune),
        Kind("compact", _make_new, _prune_and_compact),
        Kind("merge", _make_two, _merge),
    ]
