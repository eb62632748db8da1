-- A store as schema 1 was: its tables, its views and two runs.
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
    run_id varchar not null,
    commit_id varchar,
    tree_sha varchar,
    dirty boolean,                 -- null: nobody looked
    branch varchar,
    pull_request varchar,
    ci varchar,
    ci_url varchar
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
    ingested_us bigint not null
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

-- One row per run. `position` orders the runs of a project by when they began; `sources` names
-- what was tested, null where that is not known exactly (no commit, or uncommitted changes).
create or replace view main.runs as
with delivered as (
    select
        run_key,
        min(coalesce(started_us, ingested_us)) as started_us,
        max(ended_us) as ended_us,
        bool_and(coalesce(complete, true)) as complete,
        max(run_attempt) as run_attempts,
        count(*)::integer as uploads,
        sum(attempts)::bigint as attempts
    from raw.uploads
    group by run_key
)
select
    r.project,
    r.run_id,
    row_number() over (partition by r.project order by d.started_us, r.run_id) as position,
    make_timestamp(d.started_us) as started_at,
    make_timestamp(d.ended_us) as ended_at,
    r.commit_id as "commit",
    r.tree_sha,
    r.dirty,
    case when r.dirty = false then coalesce(r.tree_sha, r.commit_id) end as sources,
    r.branch,
    r.pull_request,
    r.ci,
    r.ci_url,
    d.complete,
    d.run_attempts,
    d.uploads,
    d.attempts
from raw.runs r
join delivered d using (run_key);

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
    r.commit_id as "commit",
    r.tree_sha,
    r.branch
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

insert into raw.meta values ('schema_version', '1');
insert into raw.tests values (1, 'default', 'a.py::test_one'), (2, 'default', 'a.py::test_two[x]');
insert into raw.variants values (1, 'os=linux');
insert into raw.runs values
    (1, 'default', 'run-1', 'c1', 't1', false, 'main', null, null, null),
    (2, 'default', 'run-2', 'c2', 't2', false, 'main', null, null, null);
insert into raw.uploads values
    (1, 1, 1, 'u1', 'd1', 'junit', null, 1, null, 1780000000000000, null, null, null, 2, 1),
    (2, 2, 1, 'u2', 'd2', 'junit', null, 1, null, 1780003600000000, null, null, null, 3, 2);
insert into raw.messages values (1, 'm1', 'E', 'no', 'at line 3', 'a.py:3');
insert into raw.attempts values
    (1, 1, 1, 'passed', 1000, null, null, null, null, null),
    (1, 2, 1, 'passed', 2000, null, null, null, null, null),
    (2, 1, 1, 'failed', 1500, null, null, null, null, 1),
    (2, 1, 2, 'passed', 1100, null, null, null, null, null),
    (2, 2, 1, 'skipped', null, null, null, null, null, null);
