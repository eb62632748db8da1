"""The durations of a window as a matrix: what the analytics look for slowdowns in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb
    import numpy as np
    import numpy.typing as npt

    Execute = Callable[..., duckdb.DuckDBPyConnection]

_NEWEST = 5
"""Runs of a variant among which the one is taken that says how large the suite is."""

_PASSED = """
from raw.attempts a
join chosen c using (upload_key)
where a.outcome = 'passed'::raw.outcome and a.duration_us is not null
"""

_EACH = f"select a.test_key, c.variant_key, c.step::integer as step, a.duration_us {_PASSED}"

# The last passed attempt of a run is the one that stands, as in verdicts.
_LAST = f"""
select a.test_key, c.variant_key, c.step::integer as step,
       arg_max(a.duration_us, (c.run_attempt, c.upload_key, a.attempt)) as duration_us
{_PASSED}
group by all
"""

_GROUPS = """
select distinct c.variant_key, w.project, v.variant
from chosen c
join (select row_number() over (order by project, position) - 1 as step, project from windowed) w
    using (step)
join raw.variants v using (variant_key)
order by all
"""

_NAMES = """
select test_key, test_id from raw.tests where test_key in (select unnest($1::integer[]))
"""

# Of the newest runs of each variant the largest one: the newest may be of a few tests only.
_SUITE = f"""
with stepped as (
    select row_number() over (order by project, position) - 1 as step, project from windowed
),
sized as (
    select c.variant_key, c.step, sum(u.attempts) as attempts
    from chosen c
    join stepped using (step)
    join raw.uploads u using (upload_key)
    where project = $1
    group by c.variant_key, c.step
    qualify row_number() over (partition by c.variant_key order by c.step desc) <= {_NEWEST}
),
taken as (
    select variant_key, arg_max(step, (attempts, step)) as step from sized group by variant_key
),
suite as (
    select distinct a.test_key, c.variant_key
    from raw.attempts a
    join chosen c using (upload_key)
    join taken using (variant_key, step)
)
select s.scope, count(*)::integer
from suite
join raw.tests t using (test_key)
join raw.variants v using (variant_key)
join (select unnest($2::varchar[]) as scope) s
    on starts_with(t.test_id, s.scope) or list_contains(string_split(v.variant, ','), s.scope)
group by s.scope
"""  # noqa: S608 - constants

_PHASES = """
select a.test_key, c.step::integer as step,
       arg_max(
           {'setup': a.setup_us, 'all': a.duration_us, 'teardown': a.teardown_us},
           (c.run_attempt, c.upload_key, a.attempt)
       ) as phases
from raw.attempts a
join chosen c using (upload_key)
join raw.variants v using (variant_key)
where a.outcome = 'passed'::raw.outcome and v.variant = $1
  and a.test_key in (select unnest($2::integer[])) and c.step in (select unnest($3::integer[]))
group by a.test_key, c.step
"""


class Phases(NamedTuple):
    """Durations of the parts of tests, seconds; rows are the tests asked for, columns their runs.

    NaN where no attempt passed in the run, or nobody told of the parts.

    Attributes:
        setup: Before the test itself: its fixtures.
        call: The test itself.
        teardown: Behind it.
    """

    setup: npt.NDArray[np.float32]
    call: npt.NDArray[np.float32]
    teardown: npt.NDArray[np.float32]


class Durations(NamedTuple):
    """Durations of one project in one variant.

    Attributes:
        project: Namespace of the tests.
        variant: The variant in canonical form; empty where nothing is known.
        tests: Key of each row's test, rising.
        steps: Step of each column's run (`WindowReader.runs`), rising; every run has a value.
        seconds: Tests by runs, float32; NaN where no attempt of the test passed in the run, or at
            least a microsecond.
    """

    project: str
    variant: str
    tests: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float32]


def duration_matrices(execute: Execute, *, runs: int) -> list[Durations]:
    """Read the durations of the newest runs of each project and variant.

    Needs the tables `chosen` and `windowed`.

    Args:
        execute: Runs a statement on the store.
        runs: How many runs of each project and variant at most, the newest.

    Returns:
        One entry per project and variant that has any, by project and variant.
    """
    import numpy as np

    found: list[Durations] = []
    projects = _project_of_step(execute)
    groups = execute(_GROUPS).fetchall()
    for statement in (_EACH, _LAST):
        told = execute(statement).fetchnumpy()
        columns = [told[name].astype(np.int64) for name in ("test_key", "variant_key", "step")]
        micros = told["duration_us"].astype(np.float32)
        found = []
        for variant_key, project, text in groups:
            held = (columns[1] == variant_key) & (projects[columns[2]] == project)
            if held.any():
                tests, steps, seconds = matrix_of(columns[0][held], columns[2][held], micros[held])
                found.append(Durations(project, text, tests, steps, seconds))
        # As many cells as attempts: no test passed twice in a run, and none had to be chosen.
        if sum(int(np.isfinite(one.seconds).sum()) for one in found) == len(micros):
            break
    return [
        one._replace(steps=one.steps[-runs:], seconds=np.ascontiguousarray(one.seconds[:, -runs:]))
        for one in found
    ]


def matrix_of(
    test: npt.NDArray[np.int64], step: npt.NDArray[np.int64], micros: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the tests, the steps and the seconds of each."""
    import numpy as np

    tests, rows = _numbered(test)
    steps, columns = _numbered(step)
    seconds = np.full((len(tests), len(steps)), np.nan, np.float32)
    seconds[rows, columns] = np.maximum(micros, 1) * np.float32(1e-6)
    return tests, steps, seconds


def _numbered(
    keys: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the different keys, rising, and each one's number among them; keys are small."""
    import numpy as np

    there = np.zeros(int(keys.max()) + 1, bool)
    there[keys] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[keys]


def _project_of_step(execute: Execute) -> npt.NDArray[Any]:
    import numpy as np

    rows = execute("select project from windowed order by project, position").fetchall()
    return np.array([project for (project,) in rows], dtype=object)


def names_of(execute: Execute, keys: list[int]) -> dict[int, str]:
    """Return the ids of tests by their keys."""
    return dict(execute(_NAMES, keys).fetchall())


def phase_matrices(execute: Execute, durations: Durations, keys: list[int]) -> Phases:
    """Read how long the parts of a few tests took, in the runs of a matrix.

    Args:
        execute: Runs a statement on the store.
        durations: Says which variant, and which runs.
        keys: Keys of the tests.
    """
    import numpy as np

    steps = {step: column for column, step in enumerate(durations.steps.tolist())}
    rows = {key: row for row, key in enumerate(keys)}
    found = np.full((3, len(keys), len(steps)), np.nan, np.float32)
    for test, step, told in execute(_PHASES, durations.variant, keys, list(steps)).fetchall():
        setup, whole, teardown = told["setup"], told["all"], told["teardown"]
        if setup is not None and whole is not None and teardown is not None:
            parts = setup, max(0, whole - setup - teardown), teardown
            found[:, rows[test], steps[step]] = [one * 1e-6 for one in parts]
    return Phases(*found)


def scope_sizes(execute: Execute, project: str, scopes: list[str]) -> dict[str, int]:
    """Count the tests of a project in scopes, each variant apart, by a recent run of each.

    Args:
        execute: Runs a statement on the store.
        project: Namespace of the tests.
        scopes: Beginnings of test ids, or pairs of the variant; the empty one holds all tests.

    Returns:
        Tests by scope; a scope without any is left out.
    """
    return dict(execute(_SUITE, project, scopes).fetchall())
