-- What the loader writes: calls and forms as they came, and a log of the windows read.
-- `project_id` leads each key: data is spread by it when one machine is outgrown.

create schema if not exists ringostat_raw;

create table if not exists ringostat_raw.calls (
    project_id bigint not null,
    call_id text not null,
    call_at timestamptz not null,
    payload jsonb not null,
    load_id bigint not null,
    first_loaded_at timestamptz not null,
    loaded_at timestamptz not null,
    removed_at timestamptz,
    digest bigint,  -- of the text as answered: a call that has it again is not parsed again
    primary key (project_id, call_id)
);

-- A window looks for calls of its period, which of them came again and which did not: without this
-- index it reads the whole table (at 300,000 calls 0.2 s a window instead of 0.04 s, and growing).
create index if not exists calls_call_at on ringostat_raw.calls (project_id, call_at);

-- dbt reads what changed since its last run: without this index an ordinary day reads all history
-- (1.3 s more at 1,000,000 calls, and growing).
create index if not exists calls_loaded_at on ringostat_raw.calls (project_id, loaded_at);

create table if not exists ringostat_raw.loads (
    load_id bigint generated always as identity,
    project_id bigint not null,
    window_from timestamptz not null,
    window_to timestamptz not null,
    status text not null check (status in ('loaded', 'failed')),
    fetched bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    removed bigint not null default 0,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    error text,
    primary key (project_id, load_id)
);

create table if not exists ringostat_raw.forms (
    project_id bigint not null,
    form_id text not null,
    submitted_at timestamptz not null,
    payload jsonb not null,
    load_id bigint not null,
    first_loaded_at timestamptz not null,
    loaded_at timestamptz not null,
    primary key (project_id, form_id)
);

create index if not exists forms_loaded_at on ringostat_raw.forms (project_id, loaded_at);

-- The salt of caller_key, for dbt to read: in SQL text, logs and artifacts it would not stay secret.
create table if not exists ringostat_raw.settings (
    name text primary key,
    value text not null check (value <> '')
);

revoke all on ringostat_raw.settings from public;

-- The periods that are loaded without a gap, whatever the windows they were read in.
create or replace view ringostat_raw.loaded_ranges as
select
    merged.project_id,
    lower(ranges.loaded) as loaded_from,
    upper(ranges.loaded) as loaded_until
from (
    select
        project_id,
        range_agg(tstzrange(window_from, window_to)) as loaded
    from ringostat_raw.loads
    where status = 'loaded'
    group by project_id
) as merged
cross join lateral unnest(merged.loaded) as ranges (loaded);

-- How the newest window of each project went, and when one was last landed.
create or replace view ringostat_raw.last_loads as
select
    newest.project_id,
    newest.status,
    newest.error,
    newest.finished_at,
    landed.last_loaded_at
from (
    select distinct on (project_id)
        project_id,
        status,
        error,
        finished_at
    from ringostat_raw.loads
    order by project_id, load_id desc
) as newest
left join (
    select
        project_id,
        max(finished_at) as last_loaded_at
    from ringostat_raw.loads
    where status = 'loaded'
    group by project_id
) as landed
    on newest.project_id = landed.project_id;

-- The zone in which a window was read: another one today means that all of it is read again.
alter table ringostat_raw.loads add column if not exists time_zone text;

-- Rows that cannot be placed in time, as they came. Reading one again changes nothing.
create table if not exists ringostat_raw.rejected_calls (
    project_id bigint not null,
    digest bigint not null,  -- of the payload
    payload text not null,  -- not always JSON that Postgres can hold
    reason text not null,
    load_id bigint not null,
    rejected_at timestamptz not null,
    primary key (project_id, digest)
);
