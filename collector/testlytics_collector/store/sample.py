"""A sample of a window's runs, and the tests that it leaves open.

Most tests are in most runs: a few runs say of nearly all of them what is asked. Only the others are
looked for in all runs.
"""

from __future__ import annotations

_BLOCK = 6
"""Runs next to each other, for their rows lie together …"""

_BLOCKS = 4
"""… and about so many blocks of them, spread over the runs of each project."""

SAMPLED = f"""
    select project, run_id, row_number() over (order by project, position) - 1 as step,
           case when back % apart < {_BLOCK} then back // apart * {_BLOCK} + back % apart end
               as sample
    from (
        select project, run_id, position,
               row_number() over (partition by project order by position desc) - 1 as back,
               greatest(count(*) over (partition by project) // {_BLOCKS}, {_BLOCK}) as apart
        from windowed
    )
"""  # noqa: S608 - constants
"""The runs of a window: `step` counts them from 0; `sample` counts those of the sample in each
project, below 60, and is null of all others."""

LEFT_OPEN = """
    select t.test_key
    from raw.tests t
    left join (select test_key, count(*) as variants from known group by test_key) k
        using (test_key)
    where t.project in (select project from windowed)
      and coalesce(k.variants, 0) < (select count(distinct variant_key) from chosen)
"""
"""Tests of which the table `known` does not hold each variant of the window."""
