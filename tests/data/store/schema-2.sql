-- A store as schema 2 was: its tables, its views and two runs.
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

-- What derived.totals said of runs that were pruned: a fact, for theirs are gone.
create table raw.rollups (
    test_key integer not null,
    variant_key integer not null,
    month integer not null,
    seen integer not null,
    passed integer not null,
    failed integer not null,
    flaky integer not null,
    skipped integer not null,
    timed integer not null,
    total_us bigint not null,
    first_us bigint not null,
    last_us bigint not null
);

-- Uploads that were pruned: they are known when they come again, and not counted twice.
create table raw.pruned (
    project varchar not null,
    run_id varchar not null,
    upload_id varchar not null,
    run_attempt integer not null,
    digest varchar not null,
    pruned_us bigint not null
);

create schema derived;

-- Verdicts with a failure in them. All else that is asked about flaky and broken tests is asked
-- about these few tests.
create table derived.events (
    run_key integer not null,
    variant_key integer not null,
    test_key integer not null,
    passes integer not null,
    failures integer not null,
    skips integer not null,
    attempts integer not null,
    message_key integer            -- of the last attempt that failed and said why
);

-- Sums over the runs in derived.folded, by the month in which the run began in the variant
-- (year * 12 + month - 1).
create table derived.totals (
    test_key integer not null,
    variant_key integer not null,
    month integer not null,
    seen integer not null,         -- runs it was in, whatever became of it
    passed integer not null,       -- verdicts
    failed integer not null,
    flaky integer not null,
    skipped integer not null,
    timed integer not null,        -- attempts that passed and have a duration
    total_us bigint not null,      -- the sum of these
    first_us bigint not null,      -- start of the first and of the last of their uploads
    last_us bigint not null
);

-- Which runs and variants the totals hold; all others are still to be counted.
create table derived.folded (
    run_key integer not null,
    variant_key integer not null
);

-- Durations of attempts that passed, over the last runs of a project up to its mark. A screen: what
-- it lets through is looked at exactly.
create table derived.baselines (
    project varchar not null,
    test_key integer not null,
    variant_key integer not null,
    samples integer not null,
    median_us double not null,
    mad_us double not null,        -- median distance from the median
    p95_us double not null
);

-- Up to which run the baselines of a project go.
create table derived.marks (
    project varchar not null,
    run_key integer not null
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

-- One row per run. `position` orders the runs of a project by where their commits stand in the
-- history, where that is known, and else by when they began; `sources` names what was tested, null
-- where that is not known exactly (no commit, or uncommitted changes).
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
    d.attempts
from raw.runs r
join delivered d using (run_key)
left join raw.commits c on c.commit_id = d.tested.commit_id;

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

-- When a run in a variant began, and the last of its uploads.
create or replace view derived.suites as
select
    run_key,
    variant_key,
    min(coalesce(started_us, ingested_us)) as first_us,
    max(coalesce(started_us, ingested_us)) as last_us,
    year(make_timestamp(first_us))::integer * 12 + month(make_timestamp(first_us))::integer - 1
        as month
from raw.uploads
group by run_key, variant_key;

-- What the totals do not hold yet.
create or replace view derived.waiting as
with verdict as (
    select
        u.run_key, u.variant_key, a.test_key,
        count_if(a.outcome in ('passed'::raw.outcome, 'xpassed'::raw.outcome, 'xfailed'::raw.outcome))::integer as passes,
        count_if(a.outcome in ('failed'::raw.outcome, 'errored'::raw.outcome, 'crashed'::raw.outcome))::integer as failures,
        count_if(a.outcome = 'skipped'::raw.outcome)::integer as skips,
        count(*)::integer as attempts,
        count(a.duration_us) filter (where a.outcome = 'passed'::raw.outcome)::integer as timed,
        coalesce(sum(a.duration_us) filter (where a.outcome = 'passed'::raw.outcome), 0)::bigint as total_us,
        arg_max(a.message_key, (u.run_attempt, u.upload_key, a.attempt))
            filter (where a.outcome in ('failed'::raw.outcome, 'errored'::raw.outcome, 'crashed'::raw.outcome)) as message_key
    from raw.attempts a
    join raw.uploads u using (upload_key)

    where a.upload_key in (
        select w.upload_key
        from raw.uploads w
        anti join derived.folded f on f.run_key = w.run_key and f.variant_key = w.variant_key
    )
    group by all
)
select
    v.test_key, v.variant_key, r.month,
    count(*)::integer as seen,
    count_if(v.passes > 0 and v.failures = 0)::integer as passed,
    count_if(v.failures > 0 and v.passes = 0)::integer as failed,
    count_if(v.failures > 0 and v.passes > 0)::integer as flaky,
    count_if(v.skips > 0 and v.passes = 0 and v.failures = 0)::integer as skipped,
    sum(v.timed)::integer as timed,
    sum(v.total_us)::bigint as total_us,
    min(r.first_us) as first_us,
    max(r.last_us) as last_us
from verdict v
join derived.suites r using (run_key, variant_key)
group by v.test_key, v.variant_key, r.month
;

-- One row per test, variant and month: what is folded, what waits and what stays of pruned runs,
-- as if all were folded.
create or replace view derived.state as
select
    test_key, variant_key, month,
    sum(seen)::bigint as seen,
    sum(passed)::bigint as passed,
    sum(failed)::bigint as failed,
    sum(flaky)::bigint as flaky,
    sum(skipped)::bigint as skipped,
    sum(timed)::bigint as timed,
    sum(total_us)::bigint as total_us,
    min(first_us) as first_us,
    max(last_us) as last_us
from (
    select * from derived.totals
    union all by name
    select * from derived.waiting
    union all by name
    select * from raw.rollups
)
group by test_key, variant_key, month;

insert into raw.attempts values
    (1, 1, 1, 'passed', 1000, null, null, null, null, null),
    (1, 2, 1, 'passed', 2000, null, null, null, null, null),
    (2, 1, 1, 'failed', 1500, null, null, null, null, 1),
    (2, 1, 2, 'passed', 1100, null, null, null, null, null),
    (2, 2, 1, 'skipped', null, null, null, null, null, null);
insert into raw.messages values
    (1, 'm1', 'E', 'no', 'at line 3', 'a.py:3');
insert into raw.meta values
    ('schema_version', '2');
insert into raw.runs values
    (1, 'default', 'run-1'),
    (2, 'default', 'run-2');
insert into raw.tests values
    (1, 'default', 'a.py::test_one'),
    (2, 'default', 'a.py::test_two[x]');
insert into raw.uploads values
    (1, 1, 1, 'u1', 'd1', 'junit', null, 1, null, 1780000000000000, null, null, null, 2, 1, 'c1', 't1', false, 'main', null, null, null),
    (2, 2, 1, 'u2', 'd2', 'junit', null, 1, null, 1780003600000000, null, null, null, 3, 2, 'c2', 't2', false, 'main', null, null, null);
insert into raw.variants values
    (1, 'os=linux');
insert into derived.events values
    (2, 1, 1, 1, 1, 0, 2, 1);
insert into derived.folded values
    (1, 1),
    (2, 1);
insert into derived.totals values
    (1, 1, 24316, 2, 1, 0, 1, 0, 2, 2100, 1780000000000000, 1780003600000000),
    (2, 1, 24316, 2, 1, 0, 0, 1, 1, 2000, 1780000000000000, 1780003600000000);
