-- What the loader writes: calls and forms as received, and a log of the windows read.
-- `project_id` leads each key: data is distributed by it once one machine is too small.
--
-- The loader runs this file if a table, column, index or view that it names is missing, so each
-- statement must not change what exists. A column that is added to a table of an earlier version
-- has its own `alter table`. Views keep their columns: dbt and BI depend on them.

create table if not exists ringostat_raw.calls (
    project_id bigint not null,
    call_id text not null,
    call_at timestamptz not null,
    payload jsonb not null,
    load_id bigint not null,
    first_loaded_at timestamptz not null,
    loaded_at timestamptz not null,
    removed_at timestamptz,
    digest bigint,  -- of the text as answered and the zone: a known text is not sent again
    primary key (project_id, call_id)
);

alter table ringostat_raw.calls add column if not exists digest bigint;

-- Each window compares its answer with the stored calls of its period: without this index it reads
-- the whole table (at 300,000 calls 0.2 s per window instead of 0.04 s, and growing).
create index if not exists calls_call_at on ringostat_raw.calls (project_id, call_at);

-- dbt reads what has changed since its last run: without this index an ordinary day reads all
-- history (1.3 s more at 1,000,000 calls, and growing).
create index if not exists calls_loaded_at on ringostat_raw.calls (project_id, loaded_at);

-- The windows of the last 90 days: `load_state` includes the older ones.
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

-- When the API was proven to answer such windows whole; null until then.
alter table ringostat_raw.loads add column if not exists whole_since timestamptz;

-- The state of each project in one row: the log is too long to be read for each window.
create table if not exists ringostat_raw.load_state (
    project_id bigint primary key,
    loaded tstzmultirange not null,  -- the union of all windows read
    last_loaded_at timestamptz,  -- the `loaded_at` of the newest landed window
    status text not null check (status in ('loaded', 'failed')),  -- of the newest row of the log
    error text,
    finished_at timestamptz not null,
    time_zone text  -- in which it was read; null if an earlier version read it
);

-- The state of projects that an earlier version loaded.
insert into ringostat_raw.load_state
    (project_id, loaded, last_loaded_at, status, error, finished_at)
select
    project_id,
    coalesce(
        range_agg(tstzrange(window_from, window_to)) filter (where status = 'loaded'),
        '{}'
    ),
    max(finished_at) filter (where status = 'loaded'),
    (array_agg(status order by load_id desc))[1],
    (array_agg(error order by load_id desc))[1],
    (array_agg(finished_at order by load_id desc))[1]
from ringostat_raw.loads
where not exists (select 1 from ringostat_raw.load_state)
group by project_id;

-- The fields of a call that each project accepts and refuses.
create table if not exists ringostat_raw.known_fields (
    project_id bigint primary key,
    accepted text[] not null,
    refused text[] not null,
    checked_at timestamptz not null  -- when the refused ones were last asked for
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

-- The salt of caller_key: dbt reads it here, so that it is not in SQL text, logs and artifacts.
create table if not exists ringostat_raw.settings (
    name text primary key,
    value text not null check (value <> '')
);

revoke all on ringostat_raw.settings from public;

-- Rows without a usable time, as received. Reading one again changes nothing.
create table if not exists ringostat_raw.rejected_calls (
    project_id bigint not null,
    digest bigint not null,  -- of the payload
    call_id text not null,  -- for `ringostat contact delete`
    payload text not null,  -- not always JSON that Postgres can hold
    reason text not null,
    load_id bigint not null,
    rejected_at timestamptz not null,
    primary key (project_id, digest)
);

-- The failures that were alerted and have not ended: each is alerted once, and so is its end.
create table if not exists ringostat_raw.alerts (
    project_id bigint not null,  -- 0: no project's, but the whole run's or the build's
    subject text not null,
    error text not null,
    alerted_at timestamptz not null,
    primary key (project_id, subject)
);

-- The periods that are loaded without a gap.
create or replace view ringostat_raw.loaded_ranges as
select
    load_state.project_id,
    lower(ranges.loaded) as loaded_from,
    upper(ranges.loaded) as loaded_until
from ringostat_raw.load_state
cross join lateral unnest(load_state.loaded) as ranges (loaded);

-- The status of the newest window of each project, and when one was last landed.
create or replace view ringostat_raw.last_loads as
select
    project_id,
    status,
    error,
    finished_at,
    last_loaded_at
from ringostat_raw.load_state;

-- Calls and forms that were deleted on request. Ringostat still answers them: the loader recognises
-- them by the salted hash of their ids (one salt per project) and leaves them out.
create table if not exists ringostat_raw.deleted_contacts (
    project_id bigint not null,
    contact_hash text not null,
    salt text not null,
    deleted_at timestamptz not null,
    primary key (project_id, contact_hash)
);
