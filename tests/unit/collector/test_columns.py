"""Rows laid out for DuckDB come back as they were, straight and by way of a file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testlytics_collector.records import Attempt, Failure, Note, NoteKind, Outcome
from testlytics_collector.store import spool_file, stage
from testlytics_collector.store.arrow import shown
from testlytics_collector.store.columns import Table

KINDS = {"n": "integer", "us": "bigint", "name": "varchar"}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ROW = st.tuples(
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | TEXT,
)
PIECES = st.lists(
    st.tuples(st.lists(ROW, min_size=1, max_size=20), st.sets(st.sampled_from([*KINDS]))),
    max_size=4,
)


@settings(deadline=None)
@given(PIECES)
def test_what_is_shown_is_what_was_added(
    pieces: list[tuple[list[tuple[int | None, int | None, str | None]], set[str]]],
) -> None:
    table, expected = Table(KINDS), []
    for rows, left_out in pieces:
        columns = dict(zip(KINDS, map(list, zip(*rows, strict=True)), strict=True))
        given_ = {name: column for name, column in columns.items() if name not in left_out}
        if not given_:
            continue
        table.add(given_)
        blank: list[object] = [None] * len(rows)
        expected += list(zip(*(given_.get(name, blank) for name in KINDS), strict=True))
    if not expected:
        return
    there = ", ".join(name if name in table.names else "null" for name in KINDS)
    with duckdb.connect() as connection, shown(connection, {"seen": table}):
        found = connection.execute(f"select {there} from seen").fetchall()
    assert found == expected
    assert len(table) == len(expected)


def test_columns_of_different_lengths_are_no_rows() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        Table(KINDS).add({"n": [1], "us": [1, 2]})


ATTEMPTS = [
    Attempt("t::a", 1, Outcome.PASSED, 5, 1, 1, 9, "gw0"),
    Attempt("t::\u00e9", 2, Outcome.FAILED, None, failure=Failure("E", "why", None, None)),
    Attempt("t::c", 1, Outcome.PASSED, 7, notes=(Note(NoteKind.TAG, "slow", ""),)),
]


def written(path: Path) -> bytes:
    with path.open("wb") as file:
        writer = spool_file.Writer(file, None)
        writer.write(ATTEMPTS)
        writer.finish({"attempts": len(ATTEMPTS)})
    return path.read_bytes()


def test_a_spooled_upload_is_read_as_it_was_written(tmp_path: Path) -> None:
    written(tmp_path / "u")
    expected = stage.Stage()
    expected.add(ATTEMPTS)
    expected.close()
    upload = spool_file.Upload(tmp_path / "u")
    [portion] = upload.portions()
    assert upload.about == {"attempts": 3}
    assert portion.bad == expected.bad == [2]
    assert {name: table.pieces for name, table in portion.tables.items()} == {
        name: table.pieces for name, table in expected.tables.items()
    }


def test_a_spooled_upload_that_is_cut_or_changed_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "u"
    whole = written(path)
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises((ValueError, KeyError, TypeError)):
                spool_file.Upload(path)
