"""Tests that go under a new name: their old keys read as the new ones. No fact is changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

Spelling = Callable[[str], str]
"""Turns a statement over the tables into one that follows the aliases."""

# A new name that no fact has yet borrows the key of an old one.
_KEYS = """
create or replace temp table aliased_keys as
with pairs as (
    select distinct unnest($1::varchar[]) as old_id, unnest($2::varchar[]) as new_id
),
named as (
    select t.test_key, t.project, p.new_id is not null as renamed,
           coalesce(p.new_id, t.test_id) as test_id
    from raw.tests t
    left join pairs p on p.old_id = t.test_id
    where t.test_id in (select old_id from pairs union all select new_id from pairs)
)
select test_key as old_key, test_id,
       first_value(test_key) over (partition by project, test_id order by renamed, test_key)
           as new_key
from named
qualify count_if(renamed) over (partition by project, test_id) > 0
"""

_VIEW = """
create or replace temp view aliased_{name} as
select t.* replace (coalesce(k.new_key, t.test_key) as test_key)
from {table} t
left join aliased_keys k on k.old_key = t.test_key
"""

_NAMES = """
create or replace temp view aliased_tests as
select t.* replace (coalesce(k.test_id, t.test_id) as test_id)
from raw.tests t
left join aliased_keys k on k.old_key = t.test_key
where k.new_key is null or k.new_key = t.test_key
"""

_TABLES = {
    "raw.attempts": "attempts",
    "raw.notes": "notes",
    "derived.events": "events",
    "derived.state": "state",
}
_READ = re.compile(r"\b(?:raw\.(attempts|notes|tests)|derived\.(events|state))\b")


def spelling(
    connection: duckdb.DuckDBPyConnection, aliases: tuple[tuple[str, str], ...]
) -> Spelling:
    """Let statements read the facts of old names under the new ones.

    Args:
        connection: A connection to the store; gets temporary views where there are aliases.
        aliases: Old and new test id, in every project; no new id is an old one of another pair.

    Returns:
        What to put every statement through; it changes none where no test has an old name.
    """
    if not aliases:
        return str
    old, new = zip(*aliases, strict=True)
    connection.execute(_KEYS, [list(old), list(new)]).fetchall()
    if connection.execute("select count(*) from aliased_keys").fetchall() == [(0,)]:
        return str
    for table, name in _TABLES.items():
        connection.execute(_VIEW.format(table=table, name=name)).fetchall()
    connection.execute(_NAMES).fetchall()
    return _aliased


def _aliased(sql: str) -> str:
    return _READ.sub(lambda found: f"aliased_{found[1] or found[2]}", sql)
