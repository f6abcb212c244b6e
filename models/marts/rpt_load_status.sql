-- Look-ups in indexes, project by project, find how far the marts are built: `offset 0` keeps
-- Postgres from reading whole tables instead.
with

projects as not materialized (
    select * from {{ ref('stg_config__projects') }}
),

loaded_until as (
    select * from {{ ref('int_loaded_until') }}
),

last_loads as (
    select * from {{ ref('stg_ringostat__last_loads') }}
),

-- The newest rows that staging, int_contacts and the daily numbers have read.
taken as not materialized (
    select
        projects.project_id,
        {{ newest('loaded_at', ref('stg_ringostat__calls'), ['staged_at', 'loaded_at']) }}
            as staged_until,
        {{ newest('staged_at', ref('int_contacts'), ['staged_at']) }} as converted_until,
        {{ newest('written_at', ref('int_contacts'), ['written_at']) }} as written_until,
        read_until.written_at as reported_until
    from projects
    -- Its row without a day says up to which contact a project was read.
    left join {{ ref('int_conversions_daily') }} as read_until
        on
            projects.project_id = read_until.project_id
            and read_until.conversion_date is null
),

-- The first call that waits for staging, for int_contacts or for the daily numbers.
not_built as (
    select
        taken.project_id,
        taken.written_until,
        coalesce(taken.reported_until > '-infinity', false) as is_ever_built,
        least(
            (
                select min(arrived.call_at)
                from (
                    select landed.call_at
                    from {{ ref('stg_ringostat__landed_calls') }} as landed
                    where
                        landed.project_id = taken.project_id
                        and landed.loaded_at > coalesce(taken.staged_until, '-infinity')
                        and landed.loaded_at <= 'infinity'
                    offset 0
                ) as arrived
            ),
            (
                select min(arrived.call_at)
                from (
                    select staged.call_at
                    from {{ ref('stg_ringostat__calls') }} as staged
                    where
                        staged.project_id = taken.project_id
                        and staged.staged_at > coalesce(taken.converted_until, '-infinity')
                        and staged.staged_at <= 'infinity'
                    offset 0
                ) as arrived
            ),
            (
                select min(arrived.occurred_at)
                from (
                    select contacts.occurred_at
                    from {{ ref('int_contacts') }} as contacts
                    where
                        contacts.project_id = taken.project_id
                        and contacts.written_at > coalesce(taken.reported_until, '-infinity')
                        and contacts.written_at <= 'infinity'
                        and contacts.conversion_type <> 'form'
                    offset 0
                ) as arrived
            )
        ) as first_call_at
    from taken
),

daily as (
    select
        project_id,
        sum(calls)::bigint as calls,
        min(first_call_at) as first_call_at,
        max(last_call_at) as last_call_at,
        max(written_at) as counted_until,
        -- A contact that was deleted on request is counted until the next build.
        bool_and(made_with is not null) as is_counted
    from {{ ref('int_calls_daily') }}
    group by project_id
),

-- The projects whose calls the daily numbers do not hold as they have landed.
not_counted as (
    select not_built.project_id
    from not_built
    left join daily
        on not_built.project_id = daily.project_id
    where
        not_built.first_call_at is not null
        or not_built.written_until is distinct from daily.counted_until
        or not daily.is_counted
),

-- Counting calls one by one reads all history of a project.
calls as (
    select
        project_id,
        calls,
        first_call_at,
        last_call_at
    from daily
    where project_id not in (select not_counted.project_id from not_counted)
    union all
    select
        project_id,
        count(*) as calls,
        min(call_at) as first_call_at,
        max(call_at) as last_call_at
    from {{ ref('stg_ringostat__landed_calls') }}
    where
        removed_at is null
        and project_id in (select not_counted.project_id from not_counted)
    group by project_id
),

loaded as (
    select
        projects.project_id,
        projects.project_name,
        projects.is_active,
        last_loads.status as last_status,
        last_loads.error as last_error,
        last_loads.last_loaded_at,
        loaded_until.loaded_until,
        (extract(epoch from now() - loaded_until.loaded_until) / 3600)::numeric(12, 1)
            as hours_behind
    from projects
    left join last_loads
        on projects.project_id = last_loads.project_id
    left join loaded_until
        on projects.project_id = loaded_until.project_id
),

final as (
    select
        loaded.project_id,
        loaded.project_name,
        case
            when not loaded.is_active then 'inactive'
            when loaded.last_status is null then 'never_loaded'
            when loaded.last_status = 'failed' then 'failed'
            when not_built.first_call_at is not null then 'not_built'
            when loaded.hours_behind <= {{ env_var('RINGOSTAT_STALE_HOURS', '26') }} then 'loaded'
            else 'stale'
        end as status,
        loaded.loaded_until,
        loaded.last_loaded_at,
        loaded.last_error,
        coalesce(calls.calls, 0) as calls,
        calls.first_call_at,
        calls.last_call_at,
        loaded.hours_behind,
        -- If no call waits, everything that has landed is built.
        case
            when
                loaded.loaded_until is not null
                and (not_built.is_ever_built or not_built.first_call_at is null)
                then least(loaded.loaded_until, not_built.first_call_at)
        end as built_until
    from loaded
    inner join not_built
        on loaded.project_id = not_built.project_id
    left join calls
        on loaded.project_id = calls.project_id
)

select * from final
