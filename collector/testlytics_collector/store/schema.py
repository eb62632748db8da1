"""The schema: tables inside, public views outside, and the steps from older versions.

Everything below `raw` may change between versions; the views in `main` are the promise. Integer
keys live inside, text outside. Facts are only ever added; what a person prunes or purges goes.
"""

from __future__ import annotations

from testlytics_collector.store import derived, gated_runs, measured, pruned

SCHEMA_VERSION = 3
"""Rises by one with every change of the tables or of the meaning of a view.

History:
    1: the first.
    2: notes, commits, and what follows from the facts (schema `derived`).
    3: what gates said of runs, measurements; baselines without the spread, which nothing read.
"""

TABLES = (
    """
create schema raw;

-- What this file is: schema_version, created by which testlytics.
create table raw.meta (
    key varchar not null,
    value varchar not null
);

create type raw.outcome as enum (
    'passed', 'failed', 'errored', 'skipped', 'xfailed', 'xpassed',
    'crashed', 'interrupted', 'unknown'
);

-- One logical test of a project, without its variant.
create table raw.tests (
    test_key integer not null,
    project varchar not null,
    test_id varchar not null using compression zstd
);

-- key=value ways of running, in canonical form; '' where nothing is known.
create table raw.variants (
    variant_key integer not null,
    variant varchar not null
);

-- One logical execution of a suite on one state of the sources.
create table raw.runs (
    run_key integer not null,
    project varchar not null,
    run_id varchar not null
);

-- One delivery of results of a run: a shard, a matrix leg, a re-run, or all of it.
create table raw.uploads (
    upload_key integer not null,
    run_key integer not null,
    variant_key integer not null,
    upload_id varchar not null,
    digest varchar not null,       -- BLAKE2b-256 of the decompressed bytes
    format varchar not null,
    producer varchar,
    run_attempt integer not null,  -- the CI's re-run counter, first = 1
    shard varchar,
    started_us bigint,             -- microseconds since the epoch, UTC
    ended_us bigint,
    complete boolean,              -- false: the writer died; null: the format cannot tell
    exit_status integer,
    attempts integer not null,
    ingested_us bigint not null,
    commit_id varchar,
    tree_sha varchar,
    dirty boolean,                 -- null: nobody looked
    branch varchar,
    pull_request varchar,
    ci varchar,
    ci_url varchar
);

-- Why an attempt did not pass; each distinct text once.
create table raw.messages (
    message_key integer not null,
    digest varchar not null,
    type varchar,
    message varchar using compression zstd,
    text varchar using compression zstd,
    place varchar
);

-- One execution of one test. Rows of one upload lie together, sorted by test.
create table raw.attempts (
    upload_key integer not null,
    test_key integer not null,
    attempt integer not null,      -- within the upload, first = 1
    outcome raw.outcome not null,
    duration_us bigint,            -- setup + call + teardown
    setup_us bigint,
    teardown_us bigint,
    started_us bigint,
    worker varchar,
    message_key integer
);

-- What else attempts say of themselves.
create table raw.notes (
    upload_key integer not null,
    test_key integer not null,
    attempt integer not null,
    kind varchar not null,         -- property, attachment, tag
    name varchar not null,
    value varchar not null
);

-- Where commits stand: their dates, moved up where one is not later than its parents.
create table raw.commits (
    commit_id varchar not null,
    order_us bigint not null
);
"""
    + measured.TABLES
    + gated_runs.TABLES
    + pruned.TABLES
    + derived.TABLES
)
"""All tables of a new store."""

_MOVED = ("commit_id", "tree_sha", "dirty", "branch", "pull_request", "ci", "ci_url")

STEPS = {
    1: "".join(
        (
            *(
                f"alter table raw.uploads add column {name} "
                f"{'boolean' if name == 'dirty' else 'varchar'};\n"
                for name in _MOVED
            ),
            "update raw.uploads set ",
            ", ".join(f"{name} = r.{name}" for name in _MOVED),
            " from raw.runs r where r.run_key = uploads.run_key;\n",
            *(f"alter table raw.runs drop column {name};\n" for name in _MOVED),
            """
create table raw.notes (
    upload_key integer not null, test_key integer not null, attempt integer not null,
    kind varchar not null, name varchar not null, value varchar not null
);
create table raw.commits (commit_id varchar not null, order_us bigint not null);
""",
            pruned.TABLES,
            derived.TABLES,
        )
    ),
    2: (
        f"{measured.TABLES}{gated_runs.TABLES} "
        "alter table derived.baselines drop column if exists mad_us;"
    ),
}
"""What brings a store of a version to the next."""

VIEWS = """
-- A test id without its parameters: what stands before the first `[` behind the first `::`
-- (before the first `[` where there is no `::`), where the id ends with `]`.
create or replace macro main.family_of(test_id) as
    case
        when ends_with(test_id, ']')
             and instr(substr(test_id, greatest(instr(test_id, '::'), 2)), '[') > 0
        then left(
            test_id,
            greatest(instr(test_id, '::'), 2)
            + instr(substr(test_id, greatest(instr(test_id, '::'), 2)), '[') - 2
        )
        else test_id
    end;

-- One row per run. `position` orders the runs of a project by where their commits stand in the
-- history, where that is known, and else by when they began; `sources` names what was tested, null
-- where that is not known exactly (no commit, or uncommitted changes); `gate` is what a gate said
-- last: blocked, or passed where it had blocked before; null where it never blocked.
create or replace view main.runs as
with delivered as (
    select
        run_key,
        min(coalesce(started_us, ingested_us)) as started_us,
        max(ended_us) as ended_us,
        bool_and(coalesce(complete, true)) as complete,
        max(run_attempt) as run_attempts,
        count(*)::integer as uploads,
        sum(attempts)::bigint as attempts,
        -- What uploads disagree on is taken from the one that began first.
        arg_min(
            {'commit_id': commit_id, 'tree_sha': tree_sha, 'dirty': dirty},
            (coalesce(started_us, ingested_us), upload_id)
        ) filter (where commit_id is not null) as tested,
        arg_min(branch, (coalesce(started_us, ingested_us), upload_id)) as branch,
        arg_min(pull_request, (coalesce(started_us, ingested_us), upload_id)) as pull_request,
        arg_min(ci, (coalesce(started_us, ingested_us), upload_id)) as ci,
        arg_min(ci_url, (coalesce(started_us, ingested_us), upload_id)) as ci_url
    from raw.uploads
    group by run_key
)
select
    r.project,
    r.run_id,
    row_number() over (
        partition by r.project
        order by coalesce(c.order_us, d.started_us), d.started_us, r.run_id
    ) as position,
    make_timestamp(d.started_us) as started_at,
    make_timestamp(d.ended_us) as ended_at,
    d.tested.commit_id as "commit",
    d.tested.tree_sha as tree_sha,
    d.tested.dirty as dirty,
    case when d.tested.dirty = false then coalesce(d.tested.tree_sha, d.tested.commit_id) end
        as sources,
    d.branch,
    d.pull_request,
    d.ci,
    d.ci_url,
    d.complete,
    d.run_attempts,
    d.uploads,
    d.attempts,
    g.verdict as gate
from raw.runs r
join delivered d using (run_key)
left join raw.commits c on c.commit_id = d.tested.commit_id
left join (
    select run_key, arg_max(verdict, decided_us) as verdict from raw.gates group by run_key
) g using (run_key);

create or replace view main.tests as
select project, test_id, family_of(test_id) as family from raw.tests;

-- One row per attempt. `attempt` counts within (run, test, variant, run_attempt, upload).
create or replace view main.attempts as
select
    r.project,
    r.run_id,
    t.test_id,
    family_of(t.test_id) as family,
    v.variant,
    u.run_attempt,
    u.shard,
    a.attempt,
    a.outcome::varchar as outcome,
    a.duration_us / 1e6 as duration_s,
    a.setup_us / 1e6 as setup_s,
    (a.duration_us - a.setup_us - a.teardown_us) / 1e6 as call_s,
    a.teardown_us / 1e6 as teardown_s,
    make_timestamp(a.started_us) as started_at,
    a.worker,
    u.commit_id as "commit",
    u.tree_sha,
    u.branch
from raw.attempts a
join raw.uploads u using (upload_key)
join raw.runs r using (run_key)
join raw.tests t using (test_key)
join raw.variants v using (variant_key);

-- All attempts of a test in one run and variant, taken together. Null where nothing that was
-- seen speaks for or against the test (interrupted, unknown).
create or replace view main.verdicts as
with counted as (
    select
        u.run_key,
        u.variant_key,
        a.test_key,
        count_if(a.outcome in ('passed', 'xpassed', 'xfailed'))::integer as passes,
        count_if(a.outcome in ('failed', 'errored', 'crashed'))::integer as failures,
        count_if(a.outcome = 'skipped')::integer as skips,
        count(*)::integer as attempts,
        arg_max(
            a.duration_us,
            (u.run_attempt, u.upload_key, a.attempt)
        ) filter (where a.outcome = 'passed') / 1e6 as duration_s
    from raw.attempts a
    join raw.uploads u using (upload_key)
    group by u.run_key, u.variant_key, a.test_key
)
select
    t.project,
    r.run_id,
    t.test_id,
    v.variant,
    case
        when c.passes > 0 and c.failures > 0 then 'flaky'
        when c.failures > 0 then 'failed'
        when c.passes > 0 then 'passed'
        when c.skips > 0 then 'skipped'
    end as verdict,
    c.passes,
    c.failures,
    c.skips,
    c.attempts,
    c.duration_s
from counted c
join raw.runs r using (run_key)
join raw.tests t using (test_key)
join raw.variants v using (variant_key);

-- One row per attempt that has something to say: why it failed, was skipped or xfailed.
create or replace view main.failures as
select
    r.project,
    r.run_id,
    t.test_id,
    v.variant,
    u.run_attempt,
    a.attempt,
    a.outcome::varchar as outcome,
    m.type,
    m.message,
    m.text,
    m.place
from raw.attempts a
join raw.messages m using (message_key)
join raw.uploads u using (upload_key)
join raw.runs r using (run_key)
join raw.tests t using (test_key)
join raw.variants v using (variant_key);

-- What attempts say of themselves beyond their outcome: properties, attachments, tags.
create or replace view main.notes as
select
    r.project,
    r.run_id,
    t.test_id,
    v.variant,
    u.run_attempt,
    n.attempt,
    n.kind,
    n.name,
    n.value
from raw.notes n
join raw.uploads u using (upload_key)
join raw.runs r using (run_key)
join raw.tests t using (test_key)
join raw.variants v using (variant_key);

-- Any other number of a run: benchmarks, percentiles of load tests, coverage. `good` says which
-- values are good: lower or higher.
create or replace view main.measurements as
select
    r.project,
    r.run_id,
    d.name,
    d.metric,
    v.variant,
    u.run_attempt,
    u.shard,
    d.unit,
    d.good,
    m.value,
    u.commit_id as "commit",
    u.branch
from raw.measurements m
join raw.measured d using (measured_key)
join raw.uploads u using (upload_key)
join raw.runs r using (run_key)
join raw.variants v using (variant_key);
"""
