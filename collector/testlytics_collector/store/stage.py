"""The temporary tables in which an upload is gathered, and the way from there to the facts."""

from __future__ import annotations

DENSE = {
    "duration_us": ("bigint", 3),
    "setup_us": ("bigint", 4),
    "teardown_us": ("bigint", 5),
    "started_us": ("bigint", 6),
    "worker": ("varchar", 7),
}
"""Columns of the stage beside the test id: type, and place in an attempt."""

TABLES = {
    "stage": {"test_id": "varchar", **{name: kind for name, (kind, _) in DENSE.items()}},
    "stage_special": {
        "n": "integer",
        "attempt": "integer",
        "outcome": "varchar",
        "digest": "varchar",
    },
    "stage_notes": {"n": "integer", "kind": "varchar", "name": "varchar", "value": "varchar"},
    "stage_why": dict.fromkeys(("type", "message", "text", "place", "digest"), "varchar"),
}
"""Temporary tables. Most attempts passed at the first try: only of the others, by their number in
the stage, attempt, outcome and failure are written down."""

MAKE = {
    table: f"create or replace temp table {table} ({', '.join(map(' '.join, columns.items()))})"
    for table, columns in TABLES.items()
}
FROM_JSON = {
    table: (
        f"insert into {table} select {', '.join(f'unnest(doc.{name})' for name in columns)} "  # noqa: S608 - constants
        "from (select from_json($1::json, '{"
        + ", ".join(f'"{name}": ["{kind}"]' for name, kind in columns.items())
        + "}') as doc)"
    )
    for table, columns in TABLES.items()
}
ADD = {
    has_whys: f"""
insert into raw.attempts
select $1, coalesce(k.test_key, $2 + k.n), coalesce(s.attempt, 1),
       coalesce(s.outcome, 'passed')::raw.outcome, k.duration_us,
       k.setup_us, k.teardown_us, k.started_us, k.worker,
       {"m.message_key" if has_whys else "null"}
from keyed k
left join stage_special s using (n)
{"left join why_keyed m on m.digest = s.digest" if has_whys else ""}
order by 2, 3
"""  # noqa: S608 - constants
    for has_whys in (False, True)
}
ADD_NOTES = """
insert into raw.notes
select $1, coalesce(k.test_key, $2 + k.n), coalesce(s.attempt, 1), x.kind, x.name, x.value
from stage_notes x
join keyed k using (n)
left join stage_special s using (n)
order by 2, 3
"""
