"""What groups of tests cost in each run of a window, and how much of it is set-up.

Nearly every test passes once in a run: their rows are summed as they lie. Only of those that passed
several times in some run the last passed attempt is looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from testlytics_collector.store.outcomes import PASSED

Rows = Callable[..., list[tuple[Any, ...]]]

_PASSED = f"a.outcome = {PASSED} and a.duration_us is not null"

_KNOWN = """
select test_key, project, test_id
from raw.tests
where project in (select project from windowed)
order by project, test_id
"""

_TAGS = """
select t.project, t.test_id, arg_max(n.value, n.upload_key)
from raw.notes n
join raw.tests t using (test_key)
where n.kind = 'tag' and n.name = 'owner' and n.value <> ''
group by t.project, t.test_id
"""

_LABELLED = """
create or replace temp table labelled as
select unnest($1::integer[]) as test_key, unnest($2::integer[]) as label
"""

_COSTS = f"""
create or replace temp table costs as
with told as (
    select l.label, a.test_key, c.variant_key, c.step, a.duration_us, a.setup_us, a.teardown_us,
           (c.run_attempt, c.upload_key, a.attempt) as place
    from raw.attempts a
    join chosen c using (upload_key)
    join labelled l on l.test_key = a.test_key
    where {_PASSED}
),
several as materialized (
    select distinct test_key
    from (select test_key from told group by test_key, variant_key, step having count(*) > 1)
),
-- Of the phases an attempt tells all or none.
taken as (
    select label, test_key, variant_key, step, duration_us as us, setup_us, teardown_us
    from told
    where test_key not in (select test_key from several)
    union all
    select label, test_key, variant_key, step, last.us, last.setup_us, last.teardown_us
    from (
        select label, test_key, variant_key, step,
               arg_max({{'us': duration_us, 'setup_us': setup_us, 'teardown_us': teardown_us}},
                       place) as last
        from told
        where test_key in (select test_key from several)
        group by all
    )
)
select label, variant_key, step, sum(us)::bigint as us,
       sum(us) filter (where setup_us + teardown_us is not null)::bigint as phased_us,
       sum(setup_us) filter (where teardown_us is not null)::bigint as setup_us,
       sum(teardown_us) filter (where setup_us is not null)::bigint as teardown_us
from taken
group by all
"""  # noqa: S608 - constants

_TESTS = f"""
    select label, variant_key, count(*) as tests
    from (
        select distinct l.label, a.test_key, c.variant_key
        from raw.attempts a
        join chosen c using (upload_key)
        join labelled l on l.test_key = a.test_key
        where {_PASSED}
    )
    group by all
"""  # noqa: S608 - constants

_SUMMED = """
count(*)::integer, median(us) / 1e6, quantile_cont(us, 0.95) / 1e6, sum(us)::bigint / 1e6
"""

_GROUPS = f"""
with held as ({_TESTS})
select c.label, v.variant, any_value(h.tests)::integer, {_SUMMED},
       sum(c.setup_us)::bigint / nullif(sum(c.phased_us), 0)::bigint
from costs c
join held h using (label, variant_key)
join raw.variants v using (variant_key)
group by c.label, v.variant
order by c.label, v.variant
"""  # noqa: S608 - constants

_PHASES = f"""
with apart as (
    select label, variant_key, 'setup' as phase, setup_us as us from costs
    union all
    select label, variant_key, 'call', phased_us - setup_us - teardown_us from costs
    union all
    select label, variant_key, 'teardown', teardown_us from costs
    union all
    select label, variant_key, null, nullif(us - coalesce(phased_us, 0), 0) from costs
)
select label, variant, phase, {_SUMMED}
from apart
join raw.variants using (variant_key)
where us is not null
group by label, variant, phase
order by label, variant, phase
"""  # noqa: S608 - constants


class Known(NamedTuple):
    """A test of the window's projects, run in the window or not.

    Attributes:
        key: What `costs` and `Durations.tests` name it by.
        project: Its namespace.
        test_id: Its name.
    """

    key: int
    project: str
    test_id: str


class Cost(NamedTuple):
    """What a group of tests costs a run: its passed attempts, of each test the last one.

    Attributes:
        label: The group.
        variant: The variant in canonical form; empty where nothing is known.
        tests: How many of its tests passed in the window.
        samples: Runs in which any of them passed.
        median_s: Median over these runs of the sum over the tests …
        p95_s: … and the 95th percentile (linear interpolation) …
        total_s: … and the sum.
        setup_share: Set-up as a share of the attempts that tell their phases; None without any.
    """

    label: int
    variant: str
    tests: int
    samples: int
    median_s: float
    p95_s: float
    total_s: float
    setup_share: float | None


class PhaseCost(NamedTuple):
    """What one phase of a group of tests costs a run.

    Attributes:
        label: The group.
        variant: The variant in canonical form; empty where nothing is known.
        phase: `setup`, `call`, `teardown`; None for attempts that do not tell their phases.
        samples: Runs in which it is known.
        median_s: Median over these runs of the sum over the tests …
        p95_s: … and the 95th percentile (linear interpolation) …
        total_s: … and the sum.
    """

    label: int
    variant: str
    phase: str | None
    samples: int
    median_s: float
    p95_s: float
    total_s: float


def known_tests(rows: Rows) -> list[Known]:
    """Return the tests of the window's projects by project and test id. Needs `windowed`."""
    return [Known(*row) for row in rows(_KNOWN)]


def owner_tags(rows: Rows) -> dict[tuple[str, str], str]:
    """Return the newest tag `owner` of each test that has one, by project and test id."""
    return {(project, test_id): owner for project, test_id, owner in rows(_TAGS)}


def group_costs(rows: Rows, labels: Mapping[int, int]) -> list[Cost]:
    """Sum up what groups of tests cost. Needs the table `chosen` of `windowed`.

    Args:
        rows: Runs a statement.
        labels: The group of each test, by key; tests that are not in it are left out.

    Returns:
        A row for each group and variant in which a test passed, by label and variant.
    """
    _sum_up(rows, labels)
    return [Cost(*row) for row in rows(_GROUPS)]


def phase_costs(rows: Rows, labels: Mapping[int, int]) -> list[PhaseCost]:
    """Sum up what the phases of groups cost; they add up to what `group_costs` gives.

    Args:
        rows: Runs a statement.
        labels: As of `group_costs`.

    Returns:
        By label, variant and phase, the unknown one last; what is nowhere known is left out.
    """
    _sum_up(rows, labels)
    return [PhaseCost(*row) for row in rows(_PHASES)]


def _sum_up(rows: Rows, labels: Mapping[int, int]) -> None:
    rows(_LABELLED, list(labels), list(labels.values()))
    rows(_COSTS)
