"""Measurements in the store: benchmarks, percentiles of load tests, coverage.

What is measured has a key; a run adds little more than the values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Rows = Callable[..., list[tuple[Any, ...]]]

TABLES = """
-- What is measured: a benchmark, an endpoint, a file, and what of it.
create table raw.measured (
    measured_key integer not null,
    name varchar not null,
    metric varchar not null,
    unit varchar not null,
    good varchar not null          -- lower, higher
);

-- One number of a run. Rows of one upload lie together.
create table raw.measurements (
    upload_key integer not null,
    measured_key integer not null,
    value double not null
);
"""

_ADD_NEW = """
insert into raw.measured
with new as (
    select name, metric, unit, good from stage_measurements
    except
    select name, metric, unit, good from raw.measured
)
select (select coalesce(max(measured_key), 0) from raw.measured)
           + row_number() over (order by name, metric, unit, good),
       name, metric, unit, good
from new
"""

_ADD = """
insert into raw.measurements
select $1, d.measured_key, s.value
from stage_measurements s
join raw.measured d using (name, metric, unit, good)
order by d.measured_key, s.value
"""

_UNUSED = """
delete from raw.measured where measured_key not in (select measured_key from raw.measurements)
"""

# Of several values of one run the last one counts, as the last attempt of a test does.
_SERIES = """
select r.project, d.name, v.variant, d.metric, d.unit, d.good, c.step::integer,
       arg_max(m.value, (c.run_attempt, c.upload_key, m.rowid))
from raw.measurements m
join chosen c using (upload_key)
join raw.measured d using (measured_key)
join raw.runs r using (run_key)
join raw.variants v using (variant_key)
group by all
order by all
"""


class Measured(NamedTuple):
    """The value of one series in one run of a window.

    Attributes:
        project: Namespace of the run.
        name: A benchmark, an endpoint, a file.
        variant: The variant in canonical form; empty where nothing is known.
        metric: What of it.
        unit: Of the value.
        good: `lower` or `higher`.
        step: The run, an index of `WindowReader.runs`.
        value: The last one of the run.
    """

    project: str
    name: str
    variant: str
    metric: str
    unit: str
    good: str
    step: int
    value: float


def add(rows: Rows, upload_key: int) -> None:
    """Move the measurements of the stage to the facts of an upload."""
    rows(_ADD_NEW)
    rows(_ADD, [upload_key])


def forget(rows: Rows, name: str) -> list[tuple[Any, ...]]:
    """Remove all measurements of a name; return how many, as the one row of an answer."""
    removed = rows(
        """delete from raw.measurements where measured_key in (
               select measured_key from raw.measured where name = $1
           )""",
        [name],
    )
    forget_unused(rows)
    return removed


def forget_unused(rows: Rows) -> None:
    """Remove the names of what no measurement is of."""
    rows(_UNUSED)


def series(rows: Rows) -> list[Measured]:
    """Return the measurements of the window in `chosen`, sorted by series and run."""
    return [Measured(*row) for row in rows(_SERIES)]
